//! Attaching: to file systems, to volumes that are mounted already, each exactly once.

use fsglass_tests::machine::{self, Device, Machine, UNLOADABLE, Volume, load, stack_above};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{How, Probe};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{
    DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO, DO_SUPPORTS_TRANSACTIONS,
    FILE_DEVICE_SECURE_OPEN, STATUS_SUCCESS,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the driver is in the stack above a named device.
fn attachments_above(name: &str, driver: &ntbox::io_manager::driver::Loaded) -> usize {
    let device = Device::named(name).unwrap_or_else(|| panic!("there is no device {name}"));
    stack_above(device)
        .iter()
        .filter(|device| device.belongs_to(driver))
        .count()
}

/// A4: the control devices of file systems that registered before the driver was loaded are
/// attached, those of RAW by name, each once; the recognizer's are not.
#[test]
fn file_systems_are_attached_and_recognizers_are_not() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let driver = load(path, &[]);
        for name in [
            r"\HostFs",
            r"\HostFsCd",
            r"\Device\HostRedirector",
            r"\Device\RawDisk",
            r"\Device\RawCdRom",
        ] {
            assert_eq!(attachments_above(name, &driver), 1, "{name}");
        }
        let recognizers = Device::all_of_named(r"\FileSystem\Fs_Rec");
        assert!(!recognizers.is_empty(), "the machine has a recognizer");
        for recognizer in recognizers {
            assert_eq!(
                stack_above(recognizer),
                [recognizer],
                "the recognizer is left alone"
            );
        }
    });
}

/// A4: a file system that registers later is attached, and let go when it unregisters.
#[test]
fn a_file_system_that_registers_later_is_attached() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let driver = load(path, &[]);
        let probe = Probe::register();
        assert!(
            probe.device().top().belongs_to(&driver),
            "{:?}",
            stack_above(probe.device())
        );
        assert_eq!(stack_above(probe.device()).len(), 2);
        probe.unregister();
        assert_eq!(
            stack_above(probe.device()),
            [probe.device()],
            "the driver lets go"
        );
    });
}

/// A5: the volumes of a file system that registers again are attached already.
#[test]
fn the_volumes_of_a_file_system_that_registers_again_are_attached_once() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        volume.mount();
        let driver = load(path, &[]);
        let Some(file_system) = Device::named(r"\HostFs") else {
            panic!("the machine has a file system")
        };
        file_system.unregister_file_system();
        file_system.register_file_system();
        for device in [Some(file_system), volume.mounted_device()] {
            assert!(device.is_some_and(|device| device.top().belongs_to(&driver)));
        }
        assert_eq!(volume.attachments(&driver), 1, "{:?}", volume.stack());
    });
}

/// A5: volumes that were mounted before the driver was loaded are attached, each exactly once.
#[test]
fn volumes_mounted_before_are_attached_once() {
    in_own_process(|path| {
        let machine = Machine::start();
        let kinds = [
            VolumeKind::Disk,
            VolumeKind::Disk,
            VolumeKind::Removable,
            VolumeKind::CdRom,
        ];
        let volumes = machine.mounted(('C'..).zip(kinds));
        let driver = load(path, &[]);
        for volume in &volumes {
            assert_eq!(volume.attachments(&driver), 1, "{:?}", volume.stack());
        }
    });
}

/// A5: the list of devices is read again when it has grown: no volume is left out of many.
#[test]
fn many_volumes_are_all_attached() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = machine.mounted(('C'..='Z').map(|letter| (letter, VolumeKind::Disk)));
        let driver = load(path, &[]);
        for volume in &volumes {
            assert_eq!(volume.attachments(&driver), 1, "{:?}", volume.stack());
        }
    });
}

/// A3, A5: each exactly once also when volumes are mounted and dismounted while the driver loads.
#[test]
fn a_mount_at_the_same_time_attaches_once() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes: Vec<_> = ('C'..='J')
            .map(|letter| machine.volume(letter, VolumeKind::Disk, MountTiming::After))
            .collect();
        for _round in 0..20 {
            let stop = AtomicBool::new(false);
            let driver = std::thread::scope(|scope| {
                for half in volumes.chunks(4) {
                    let stop = &stop;
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            for volume in half {
                                volume.mount();
                                volume.dismount();
                            }
                        }
                    });
                }
                std::thread::sleep(Duration::from_millis(2));
                let driver = load(path, UNLOADABLE);
                stop.store(true, Ordering::Relaxed);
                driver
            });
            for volume in &volumes {
                assert_eq!(volume.attachments(&driver), 1, "{:?}", volume.stack());
            }
            machine::unload(driver);
            for volume in &volumes {
                assert_eq!(
                    volume.stack().len(),
                    1,
                    "nothing is left: {:?}",
                    volume.stack()
                );
            }
        }
    });
}

/// Mounts `volume` while the driver loads and cannot go on, until `let_go`: the volume is mounted
/// meanwhile, and filtered when the driver has loaded.
fn mount_while_it_waits(path: &Path, volume: &Volume, waits: impl Fn() -> bool, let_go: impl Fn()) {
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| load(path, UNLOADABLE));
        while !waits() && !loading.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mounting = scope.spawn(|| volume.mount());
        // Mounts that are kept out would be so until the driver is let go.
        let end = Instant::now() + Duration::from_secs(10);
        while !mounting.is_finished() && !loading.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mounted = mounting.is_finished() && !loading.is_finished();
        let_go();
        let Ok(driver) = loading.join() else {
            panic!("the driver does not load")
        };
        assert!(mounted, "nothing is mounted while the driver waits");
        assert_eq!(volume.attachments(&driver), 1, "{:?}", volume.stack());
        machine::unload(driver);
    });
}

/// A3, A4, A5: while the driver waits for another filter to initialize, the I/O manager's lock is
/// free, and what is mounted then is filtered.
#[test]
fn volumes_are_mounted_while_the_driver_waits_for_another_filter() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let (Some(file_system), Some(raw)) =
            (Device::named(r"\HostFs"), Device::named(r"\Device\RawDisk"))
        else {
            panic!("the machine has file systems")
        };
        file_system.set_flags(DO_DEVICE_INITIALIZING);
        mount_while_it_waits(
            path,
            &volume,
            || raw.top() != raw,
            || file_system.clear_flags(DO_DEVICE_INITIALIZING),
        );
    });
}

/// A3, A4: a file system that registers when the driver runs, below another filter that is still
/// initializing, is attached when that is done; the registration does not wait for it.
#[test]
fn a_late_file_system_is_attached_when_another_filter_has_initialized() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, UNLOADABLE);
        let probe = Probe::register();
        probe.unregister();
        let device = probe.device();
        assert_eq!(device.top(), device, "the driver lets go");
        let another = device.attach_another();
        assert_ne!(another.flags() & DO_DEVICE_INITIALIZING, 0);
        probe.register_again();
        assert_eq!(device.top(), another, "told of it, and gone on");
        another.clear_flags(DO_DEVICE_INITIALIZING);
        machine.settle();
        assert!(
            device.top().belongs_to(&driver),
            "{:?}",
            stack_above(device)
        );
        machine::unload(driver);
    });
}

/// A4, A5: the driver opens the device of RAW while the I/O manager's lock is free.
#[test]
fn volumes_are_mounted_while_the_driver_opens_raw() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let Some(raw) = Device::named(r"\Device\RawDisk") else {
            panic!("the machine has RAW")
        };
        let probe = Probe::attach_to(raw);
        probe.answer(How::Stays, STATUS_SUCCESS, 0);
        mount_while_it_waits(
            path,
            &volume,
            || !probe.seen().is_empty(),
            || probe.let_return(),
        );
    });
}

/// A2: a filter device is like the device right below: its type, its buffering, secure opens of a
/// control device; it is ready, unnamed (A1), and its stack is one higher. So is one that is created
/// when the driver has been loaded.
#[test]
fn a_filter_device_is_like_the_one_below() {
    in_own_process(|path| {
        let machine = Machine::start();
        let _volumes = machine.mounted([('C', VolumeKind::Disk), ('R', VolumeKind::CdRom)]);
        let driver = load(path, &[]);
        let later = machine.volume('L', VolumeKind::Disk, MountTiming::After);
        later.mount();
        let secure = Probe::register().device();
        assert_ne!(secure.characteristics() & FILE_DEVICE_SECURE_OPEN, 0);
        for device in [Some(secure), later.mounted_device()] {
            assert!(device.is_some_and(|device| device.top().belongs_to(&driver)));
        }
        let filters: Vec<Device> = Device::all_of(&driver)
            .into_iter()
            .filter(|device| device.lower().is_some())
            .collect();
        assert!(
            filters.len() >= 9,
            "control devices, RAW and three volumes: {filters:?}"
        );
        for filter in filters {
            let Some(lower) = filter.lower() else {
                continue;
            };
            const COPIED: u32 = DO_BUFFERED_IO | DO_DIRECT_IO | DO_SUPPORTS_TRANSACTIONS;
            assert_eq!(
                filter.flags() & COPIED,
                lower.flags() & COPIED,
                "above {lower:?}"
            );
            assert_eq!(
                filter.flags() & DO_DEVICE_INITIALIZING,
                0,
                "above {lower:?}"
            );
            assert_eq!(filter.device_type(), lower.device_type(), "above {lower:?}");
            assert_eq!(
                filter.characteristics() & FILE_DEVICE_SECURE_OPEN,
                lower.characteristics() & FILE_DEVICE_SECURE_OPEN,
                "above {lower:?}"
            );
            assert_eq!(
                filter.stack_size(),
                lower.stack_size() + 1,
                "above {lower:?}"
            );
            assert_eq!(filter.name(), None, "a filter device has no name");
        }
    });
}
