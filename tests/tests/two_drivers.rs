//! Two services that run the same image: stacked, each whole, each with a control device of its own.

use fsglass_tests::machine::{Device, Machine, UNLOADABLE, Volume, load_as, stack_above, unload};
use fsglass_tests::own_process::in_own_process;
use ntbox::io_manager::driver::{LoadError, Loaded, UnloadRefused};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::STATUS_SUCCESS;
use ntbox::user::{CreateParameters, create_file};
use std::path::Path;

const SERVICES: [&str; 2] = ["fsglass", "fsglass2"];

fn load_both(path: &Path) -> [Loaded; 2] {
    SERVICES.map(|service| {
        load_as(path, service, UNLOADABLE).unwrap_or_else(|error| panic!("{service}: {error}"))
    })
}

/// The drivers of the stack above the file system, the top first.
fn order(volume: &Volume, drivers: &[Loaded; 2]) -> Vec<usize> {
    let mut found = Vec::new();
    for device in volume.stack() {
        found.extend(drivers.iter().position(|driver| device.belongs_to(driver)));
    }
    found
}

fn opens(name: &str) -> bool {
    let opened = create_file(&CreateParameters::new(name));
    opened.outcome.status == STATUS_SUCCESS
}

/// A5, A6: both filter every volume once, mounted before or after; each one's control device is
/// named after its service. The lower one cannot go while the upper one lies on it; after that it
/// is as whole as before.
#[test]
fn both_filter_each_volume_once() {
    in_own_process(|path| {
        let machine = Machine::start();
        let before = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        before.mount();
        let drivers = load_both(path);
        let after = machine.volume('D', VolumeKind::CdRom, MountTiming::After);
        after.mount();
        for name in [
            r"\HostFs",
            r"\HostFsCd",
            r"\Device\RawDisk",
            r"\Device\RawCdRom",
        ] {
            let Some(device) = Device::named(name) else {
                panic!("{name} is there")
            };
            assert_eq!(stack_above(device).len(), 3, "{:?}", stack_above(device));
        }
        assert_eq!(order(&before, &drivers), [1, 0], "{:?}", before.stack());
        // The upper one sees the mount complete after the lower one: it attaches above it.
        assert_eq!(order(&after, &drivers), [1, 0], "{:?}", after.stack());
        drop(before.create("\\file"));
        assert!(opens(r"\??\fsglass") && opens(r"\??\fsglass2"));

        let [lower, upper] = drivers;
        let Err((lower, UnloadRefused::InUse(_))) = lower.unload() else {
            panic!("a driver with another one above it is in use")
        };
        unload(upper);
        assert!(opens(r"\??\fsglass") && !opens(r"\??\fsglass2"));
        for volume in [&before, &after] {
            assert_eq!(volume.attachments(&lower), 1, "{:?}", volume.stack());
        }
        drop(before.create("\\file"));
        unload(lower);
        assert_eq!(before.stack().len(), 1, "{:?}", before.stack());
        assert!(!opens(r"\??\fsglass"));
    });
}

/// A11: a service of the same name is refused, and the one that runs is not disturbed.
#[test]
fn the_same_service_twice_is_refused() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        let driver = load_as(path, "fsglass", UNLOADABLE).unwrap_or_else(|error| panic!("{error}"));
        let again = load_as(path, "fsglass", UNLOADABLE);
        assert!(
            matches!(again, Err(LoadError::AlreadyLoaded(_))),
            "{again:?}"
        );
        assert_eq!(volume.attachments(&driver), 1);
        unload(driver);
    });
}
