//! Races between attaching and what happens to volumes meanwhile, in every order of their steps.
//!
//! Two threads take turns ([`ntbox::processor::turns`]): one runs up to some step, the other one up
//! to some step, and so on, until every plan with up to two changes has been tried. A volume must
//! be filtered exactly once whatever the order (A5, A6), and nothing may be left behind (A9, A12).

use fsglass_tests::client::Client;
use fsglass_tests::machine::{Device, Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use ntbox::io_manager::driver::Loaded;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{STATUS_OBJECT_NAME_COLLISION, STATUS_SUCCESS};
use ntbox::processor::turns::{every_plan, run};
use std::path::Path;

/// Plans below which a test would have walked through nothing.
const MANY: u32 = 100;

/// The volume is mounted and filtered once.
fn expect_filtered(volume: &Volume, driver: &Loaded, plan: &[u32]) {
    assert!(volume.is_mounted(), "plan {plan:?}");
    let stack = volume.stack();
    let times = stack.iter().filter(|device| device.belongs_to(driver));
    assert_eq!(times.count(), 1, "plan {plan:?}: {stack:?}");
}

/// Unloads the driver with nobody else about: where threads take turns, no time passes.
fn unload_alone(driver: Loaded) {
    run(&[], || unload(driver), || ());
}

/// Nothing of the driver is left above the volume.
fn expect_bare(volume: &Volume, plan: &[u32]) {
    assert_eq!(volume.stack().len(), 1, "plan {plan:?}");
}

/// The volume is mounted while the driver loads: before, in the middle of, and after the
/// registration for file systems and the enumeration of volumes (A5).
fn mount_while_loading(path: &Path, timing: MountTiming) -> u32 {
    let machine = Machine::start();
    let volume = machine.volume('C', VolumeKind::Disk, timing);
    every_plan(|plan| {
        let ran = run(plan, || volume.mount(), || load(path, UNLOADABLE));
        expect_filtered(&volume, &ran.second, plan);
        unload_alone(ran.second);
        expect_bare(&volume, plan);
        assert!(volume.dismount().is_success());
        machine.settle();
        ran.changes
    })
}

/// A5: a mount that begins first.
#[test]
fn a_driver_that_loads_during_a_mount_attaches_once() {
    in_own_process(|path| {
        let plans = mount_while_loading(path, MountTiming::After);

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A5, A6: the same with a file system that mounts asynchronously.
#[test]
fn a_driver_that_loads_during_an_asynchronous_mount_attaches_once() {
    in_own_process(|path| {
        let plans = mount_while_loading(path, MountTiming::Async);

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A5: a driver that begins to load first.
#[test]
fn a_mount_during_the_load_attaches_once() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let plans = every_plan(|plan| {
            let ran = run(plan, || load(path, UNLOADABLE), || volume.mount());
            expect_filtered(&volume, &ran.first, plan);
            unload_alone(ran.first);
            assert!(volume.dismount().is_success());
            machine.settle();
            ran.changes
        });

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A5, A9: a volume goes away while the driver enumerates it.
#[test]
fn a_volume_that_goes_during_the_load_leaves_nothing() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let other = machine.volume('D', VolumeKind::Disk, MountTiming::Before);
        other.mount();
        let plans = every_plan(|plan| {
            volume.mount();
            let ran = run(
                plan,
                || load(path, UNLOADABLE),
                || assert!(volume.dismount().is_success()),
            );
            machine.settle();
            assert!(!volume.is_mounted());
            expect_filtered(&other, &ran.first, plan);
            let above_nothing = Device::all_of(&ran.first)
                .into_iter()
                .filter(|device| device.lower().is_none());
            assert_eq!(
                above_nothing.count(),
                1,
                "the control device, plan {plan:?}"
            );
            unload_alone(ran.first);
            ran.changes
        });

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A12: a volume is mounted while the driver is unloaded: nothing is attached any more, and nothing
/// that was is left.
#[test]
fn a_mount_during_the_unload_leaves_nothing() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let plans = every_plan(|plan| {
            let driver = load(path, UNLOADABLE);
            let ran = run(plan, || volume.mount(), || unload(driver));
            expect_bare(&volume, plan);
            assert!(volume.dismount().is_success());
            machine.settle();
            ran.changes
        });

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A6: two threads open a volume that nobody has mounted yet: it is attached once.
#[test]
fn two_opens_of_a_new_volume_attach_once() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, &[]);
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let plans = every_plan(|plan| {
            let ran = run(plan, || volume.mount(), || volume.mount());
            expect_filtered(&volume, &driver, plan);
            assert!(volume.dismount().is_success());
            machine.settle();
            ran.changes
        });

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A5: two programs ask for a volume to be attached at the same time: one of them gets it, and the
/// other is told.
#[test]
fn two_attachments_by_name_attach_once() {
    const NAME: &str = r"\Device\HarddiskVolume1";
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        volume.mount();
        let driver = load(path, &[("AttachDisk", 0)]);
        let clients = [Client::open(), Client::open()];
        let plans = every_plan(|plan| {
            let ran = run(plan, || clients[0].attach(NAME), || clients[1].attach(NAME));
            expect_filtered(&volume, &driver, plan);
            let mut answers = [ran.first, ran.second];
            answers.sort_unstable();
            assert_eq!(answers, [STATUS_OBJECT_NAME_COLLISION, STATUS_SUCCESS]);
            assert_eq!(clients[0].detach(NAME), STATUS_SUCCESS, "plan {plan:?}");
            ran.changes
        });

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A6, A9: a volume is dismounted and mounted again while another thread mounts it.
#[test]
fn a_dismount_during_a_mount_attaches_once() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, &[]);
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let plans = every_plan(|plan| {
            volume.mount();
            let ran = run(
                plan,
                || {
                    let _not_if_it_is_being_mounted = volume.dismount();
                },
                || {
                    let _dismounted_before_it_was_open = volume.open("\\", |open| open);
                },
            );
            volume.mount();
            expect_filtered(&volume, &driver, plan);
            assert!(volume.dismount().is_success());
            machine.settle();
            ran.changes
        });

        assert!(plans >= MANY, "{plans} plans");
    });
}
