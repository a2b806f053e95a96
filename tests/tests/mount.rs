//! Mounting: volumes that appear while the driver is there, and file systems that are loaded for them.

use fsglass_tests::machine::{Device, Machine, UNLOADABLE, load, stack_above, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{How, Probe, Request};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{
    APC_LEVEL, DO_BUFFERED_IO, DO_DIRECT_IO, IRP_MJ_FILE_SYSTEM_CONTROL, STATUS_DEVICE_NOT_READY,
    STATUS_PENDING, STATUS_SUCCESS,
};

const MOUNT_VOLUME: u8 = 1;
const LOAD_FILE_SYSTEM: u8 = 3;

/// A6, D6, D9: a volume that is mounted after the driver was loaded is attached before its first open goes
/// on, of every kind that is filtered: with direct I/O as NTFS, and with neither as FASTFAT and CDFS (A2).
#[test]
fn a_volume_mounted_after_is_attached() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, &[]);
        for (letter, kind, io) in [
            ('C', VolumeKind::Disk, DO_DIRECT_IO),
            ('D', VolumeKind::Removable, 0),
            ('E', VolumeKind::CdRom, 0),
        ] {
            let volume = machine.volume(letter, kind, MountTiming::After);
            volume.mount();
            assert_eq!(
                volume.attachments(&driver),
                1,
                "{kind:?}: {:?}",
                volume.stack()
            );
            for device in volume.stack() {
                let flags = device.flags() & (DO_BUFFERED_IO | DO_DIRECT_IO);
                assert_eq!(flags, io, "{kind:?}: {device:?}");
            }
        }
    });
}

/// A6, C8 a: the file system returns STATUS_PENDING for the mount and completes it later, at
/// DISPATCH_LEVEL; the driver attaches all the same, in the thread that asked.
#[test]
fn a_volume_mounted_asynchronously_is_attached() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, &[]);
        for letter in 'C'..='H' {
            let volume = machine.volume(letter, VolumeKind::Disk, MountTiming::Async);
            volume.mount();
            assert_eq!(volume.attachments(&driver), 1, "{:?}", volume.stack());
        }
    });
}

/// A6, C4, C8 b, C10, C11, D3: where the thread may not wait, the mount is pended and finished on a work
/// item; the volume is attached when it completes.
#[test]
fn a_mount_that_may_not_wait_is_pended() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, &[]);
        let Some(file_system) = Device::named(r"\HostFs") else {
            panic!("the machine has a file system")
        };
        for (letter, timing) in [('C', MountTiming::After), ('D', MountTiming::Async)] {
            let volume = machine.volume(letter, VolumeKind::Disk, timing);
            let request = Request {
                minor: MOUNT_VOLUME,
                parameters: volume.mount_parameters(),
                irql: APC_LEVEL,
                ..Request::new(IRP_MJ_FILE_SYSTEM_CONTROL as u8)
            };
            let reply = request.send(file_system.top());
            assert_eq!(
                (reply.returned, reply.status),
                (STATUS_PENDING, STATUS_SUCCESS),
                "{timing:?}"
            );
            assert!(
                reply.pending_returned,
                "marked pending, so the originator is told"
            );
            let Some(mounted) = volume.mounted_device() else {
                panic!("the file system has mounted it")
            };
            assert!(
                mounted.top().belongs_to(&driver),
                "{:?}",
                stack_above(mounted)
            );
        }
    });
}

/// A6: a volume that is dismounted and mounted again has another volume device and another VPB; it
/// is attached again, once, and nothing keeps the old device or the storage device.
#[test]
fn a_volume_mounted_again_is_attached_again() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, &[]);
        let volume = machine.volume('C', VolumeKind::Removable, MountTiming::After);
        volume.mount();
        let (devices, references) = (Device::all_of(&driver).len(), volume.storage_references());
        for _round in 0..50 {
            assert!(volume.dismount().is_success());
            machine.settle();
            assert_eq!(
                Device::all_of(&driver).len(),
                devices - 1,
                "the filter device went with the volume"
            );
            volume.mount();
            assert_eq!(volume.attachments(&driver), 1, "{:?}", volume.stack());
        }
        assert_eq!(
            volume.storage_references(),
            references,
            "references to the storage device are given back"
        );
    });
}

/// A6: a mount that fails attaches to nothing and leaves nothing.
#[test]
fn a_mount_that_fails_attaches_nothing() {
    in_own_process(|path| {
        let machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let devices = Device::all_of(&driver).len();
        let references = volume.storage_references();
        for how in How::BY_ITSELF {
            probe.answer(how, STATUS_DEVICE_NOT_READY, 0);
            let request = Request {
                minor: MOUNT_VOLUME,
                parameters: volume.mount_parameters(),
                ..Request::new(IRP_MJ_FILE_SYSTEM_CONTROL as u8)
            };
            let reply = request.send(probe.device().top());
            assert_eq!(reply.status, STATUS_DEVICE_NOT_READY, "{how:?}");
            assert_eq!(Device::all_of(&driver).len(), devices, "{how:?}");
            assert_eq!(volume.storage_references(), references, "{how:?}");
        }
        unload(driver);
    });
}

/// A7, D6: the driver lets go of a control device before the request to load its file system reaches
/// it, stays away if loading succeeds, and comes back if it fails.
#[test]
fn the_driver_lets_go_while_a_file_system_is_loaded() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let request = Request {
            minor: LOAD_FILE_SYSTEM,
            ..Request::new(IRP_MJ_FILE_SYSTEM_CONTROL as u8)
        };
        for how in How::BY_ITSELF {
            assert!(
                probe.device().top().belongs_to(&driver),
                "attached before ({how:?})"
            );
            probe.answer(how, STATUS_DEVICE_NOT_READY, 0);
            let reply = request.send(probe.device().top());
            assert_eq!(reply.status, STATUS_DEVICE_NOT_READY);
            let [seen] = probe.seen()[..] else {
                panic!("the request arrives once")
            };
            assert!(
                seen.alone,
                "still attached when the request arrived ({how:?})"
            );
            assert_eq!(
                stack_above(probe.device()).len(),
                2,
                "attached again, once, after the failure ({how:?})"
            );
        }
        probe.answer(How::Now, STATUS_SUCCESS, 0);
        let reply = request.send(probe.device().top());
        assert_eq!(
            (reply.returned, reply.status),
            (STATUS_SUCCESS, STATUS_SUCCESS)
        );
        assert_eq!(
            stack_above(probe.device()),
            [probe.device()],
            "not attached again after success"
        );
        unload(driver);
    });
}

/// A4, A6, A7: a volume whose file system a recognizer loads is attached when that has mounted it.
#[test]
fn a_volume_of_a_loaded_file_system_is_attached() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.recognized_volume('C');
        let driver = load(path, &[]);
        volume.mount();
        assert_eq!(volume.attachments(&driver), 1, "{:?}", volume.stack());
    });
}
