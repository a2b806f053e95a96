//! Races between attaching and what happens to volumes meanwhile, in the orders that their steps can have.
//!
//! Two threads take turns ([`ntbox::processor::turns`]): one runs up to some step, the other one up
//! to some step, and so on, until every plan with up to two changes has been tried. Where each plan loads a driver, and
//! there are thousands, a part of the second changes is, in turn: no place is left out. A volume must be filtered exactly
//! once whatever the order (A5, A6), and nothing may be left behind (A9, A12).

use fsglass_tests::client::{Client, Traced, everything};
use fsglass_tests::event_log::entries;
use fsglass_tests::machine::{Device, Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{Probe, Request};
use ntbox::io_manager::driver::Loaded;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{
    DO_DEVICE_INITIALIZING, IRP_MJ_READ, STATUS_CANCELLED, STATUS_DELETE_PENDING,
    STATUS_OBJECT_NAME_COLLISION, STATUS_SUCCESS,
};
use ntbox::processor::turns::{Met, every_nth_plan, every_plan, run, run_suspended, run_within};
use ntbox::processor::work;
use ntbox::user::File;
use std::iter::successors;
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
    every_nth_plan(8, |plan| {
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
        let plans = every_nth_plan(16, |plan| {
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

/// A5: a file system that registers while the driver loads, and cannot be attached to at once, is left to a work item:
/// DriverEntry and that wait for mounts at the same time.
#[test]
fn two_that_wait_for_mounts_both_do() {
    in_own_process(|path| {
        let machine = Machine::start();
        let probe = Probe::register();
        probe.unregister();
        let another = probe.device().attach_another();
        for after in 1.. {
            let held = work::hold();
            let register = || {
                another.set_flags(DO_DEVICE_INITIALIZING);
                probe.register_again();
                another.clear_flags(DO_DEVICE_INITIALIZING);
                held.run();
            };
            let ran = run(&[after], || load(path, UNLOADABLE), register);
            drop(held);
            machine.settle();
            assert_eq!(entries().len(), 0, "after {after}: {:?}", entries());
            let top = probe.device().top();
            assert!(top.belongs_to(&ran.first), "after {after}: {top:?}");
            unload_alone(ran.first);
            probe.unregister();
            if ran.changes == 0 {
                break;
            }
        }
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
        let plans = every_nth_plan(12, |plan| {
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
        let plans = every_nth_plan(2, |plan| {
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

/// Does `work` while the driver is unloaded, after `prepare`, in every order, whichever begins.
fn work_while_unloading<T: Send>(
    path: &Path,
    settings: &[(&str, u32)],
    volume: &Volume,
    mut prepare: impl FnMut() -> T,
    work: impl Fn(T) + Sync,
) -> u32 {
    let mut attempt = |plan: &[u32], unload_first: bool| {
        let driver = load(path, settings);
        let prepared = prepare();
        let changes = if unload_first {
            run(plan, || unload(driver), || work(prepared)).changes
        } else {
            run(plan, || work(prepared), || unload(driver)).changes
        };
        if volume.is_mounted() {
            expect_bare(volume, plan);
        }
        changes
    };
    every_plan(|plan| attempt(plan, false)) + every_plan(|plan| attempt(plan, true))
}

/// A call of fast I/O, and a request.
fn write_and_flush(file: &File) {
    assert!(file.write(Some(0), b"data").is_success());
    assert!(file.flush().is_success());
}

/// A12, C15: a request is passed on and comes back while the driver is unloaded: nobody is in the driver
/// when it is gone, neither in its dispatch routine nor in its completion routine, nor about to call it.
#[test]
fn a_request_during_the_unload_finds_the_driver_or_none() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        let file = volume.create("\\file");
        let plans = work_while_unloading(
            path,
            UNLOADABLE,
            &volume,
            || (),
            |()| write_and_flush(&file),
        );

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A12: the same with a request whose completion looks at the driver's state.
#[test]
fn a_counted_request_during_the_unload_finds_the_state_or_none() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        let file = volume.create("\\file");
        let settings = [UNLOADABLE, &[("Statistics", 1)]].concat();
        let plans =
            work_while_unloading(path, &settings, &volume, || (), |()| write_and_flush(&file));

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// D2: a driver that looks through the devices of another finds one that is being created, and sends it a request: it is
/// refused, and not taken for one of a device that is finished.
#[test]
fn a_device_that_is_being_created_is_no_filter_device() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, &[]);
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        // The other one goes through the list at once: what it has met is not finished meanwhile.
        let met = (1..).map_while(|after| {
            let ran = run(
                &[after],
                || volume.mount(),
                || {
                    let devices = Device::all_of(&driver).into_iter();
                    let unfinished = devices.filter(|device| device.is_unfinished());
                    let send = |device| Request::new(IRP_MJ_READ as u8).send(device).status;
                    unfinished.map(send).collect::<Vec<_>>()
                },
            );
            expect_filtered(&volume, &driver, &[after]);
            assert!(volume.dismount().is_success());
            machine.settle();
            (ran.changes > 0).then_some(ran.second)
        });
        let met: Vec<_> = met.flatten().collect();

        assert_eq!(met, [STATUS_DELETE_PENDING]);
    });
}

/// A9, A12: the last close of a dismounted volume takes the filter device along while the driver is
/// unloaded: it is waited for although its device is gone.
#[test]
fn a_last_close_during_the_unload_is_waited_for() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let settings = [UNLOADABLE, &[("Statistics", 1)]].concat();
        let plans = work_while_unloading(
            path,
            &settings,
            &volume,
            || {
                let file = volume.create("\\last");
                assert!(volume.dismount().is_success());
                file
            },
            |file| {
                drop(file);
                machine.settle();
            },
        );

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// Reads a trace: whether the read ended by itself, and what it gave.
fn read_that_ends(client: &Client) -> (bool, Vec<u8>) {
    /// In 100 ns. It passes when nobody else has anything to do.
    const SECOND: i64 = 10_000_000;
    let mut reading = client.read_trace(1 << 16);
    let ended = reading.finishes_within(SECOND);
    if !ended {
        reading.cancel();
    }
    (ended, reading.wait().data)
}

/// D7: a trace is stopped while it is read, and another client's begins in its place: the read ends, and
/// takes nothing of the other's.
#[test]
fn a_read_of_a_trace_that_stops_is_none_of_the_next_one() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        volume.mount();
        let driver = load(path, UNLOADABLE);
        let (one, other) = (Client::open(), Client::open());
        let plans = every_plan(|plan| {
            assert_eq!(one.start_trace(everything(), "", ""), STATUS_SUCCESS);
            let ran = run(
                plan,
                || read_that_ends(&one),
                || {
                    assert_eq!(one.stop_trace(), STATUS_SUCCESS);
                    assert_eq!(other.start_trace(everything(), "", ""), STATUS_SUCCESS);
                },
            );
            assert_eq!(ran.first, (true, vec![]), "plan {plan:?}");
            assert_eq!(other.stop_trace(), STATUS_SUCCESS, "plan {plan:?}");
            ran.changes
        });

        assert!(plans >= MANY, "{plans} plans");
        drop((one, other));
        unload_alone(driver);
    });
}

/// D7: a trace is stopped while a thread that reads it stands still for longer than anybody waits for it: what it
/// asks for ends all the same.
#[test]
fn a_read_of_a_trace_that_stops_does_not_wait_for_ever() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        volume.mount();
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        let plans = every_plan(|plan| {
            assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
            let ran = run_suspended(
                plan,
                || read_that_ends(&client),
                || assert_eq!(client.stop_trace(), STATUS_SUCCESS),
            );
            assert_eq!(ran.first, (true, vec![]), "plan {plan:?}");
            ran.changes
        });

        assert!(plans >= MANY, "{plans} plans");
        drop(client);
        unload_alone(driver);
    });
}

/// O2: two requests read a trace at the same time, the one of which is interrupted anywhere: each record goes to one of
/// them, whole.
#[test]
fn two_that_read_a_trace_share_its_records() {
    const RECORDS: usize = 2;
    /// Of the driver, behind a point: where a record is taken out, it calls nothing for long.
    const FIRST: u32 = 64;
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
        let read = || {
            let mut reading = client.read_trace(1 << 16);
            if reading.is_outstanding() {
                reading.cancel();
            }
            let mut traced = Traced::default();
            let outcome = reading.wait();
            if outcome.status != STATUS_CANCELLED {
                traced.add(&outcome);
            }
            traced.requests
        };
        let mut changes = 0;
        let mut meet = |point, instructions| {
            let mut sent = [0; RECORDS].map(|_| {
                changes += 1;
                let major = IRP_MJ_READ as u8;
                let parameters = [changes, 0, 0, 0];
                let request = Request {
                    parameters,
                    ..Request::new(major)
                };
                assert_eq!(request.send(probe.device().top()).status, STATUS_SUCCESS);
                changes as u64
            });
            let (met, ran) = run_within(point, instructions, read, read);
            let read = ran.first.iter().chain(&ran.second);
            let mut read: Vec<u64> = read.map(|(record, _)| record.parameters[1].get()).collect();
            read.sort_unstable();
            sent.sort_unstable();
            assert_eq!(
                read, sent,
                "behind point {point}, instruction {instructions}"
            );
            met
        };
        let mut points = 0;
        for point in 1.. {
            let places = successors(Some(FIRST), |at| Some(at + at / 4));
            let met = places.map(|at| meet(point, at));
            let mut met = met.skip_while(|met| *met == Met::Changed);
            points = point;
            if met.next() == Some(Met::NoPoint) {
                break;
            }
        }
        assert!(
            points > 10 && changes > 50,
            "{points} points, {changes} records"
        );
        drop(client);
        unload(driver);
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
