//! The medium in a drive is exchanged: the driver passes IRP_MN_VERIFY_VOLUME on, goes with a volume that is gone, and is
//! above one that has come back as it was.

use fsglass_protocol::trace::wanted;
use fsglass_protocol::{Operation, TraceStart};
use fsglass_tests::client::{Client, Counted, everything};
use fsglass_tests::machine::{Device, Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use ntbox::io_manager::driver::Loaded;
use ntbox::io_manager::media::Put;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{NTSTATUS, STATUS_NO_MEDIA_IN_DEVICE, STATUS_SUCCESS, STATUS_WRONG_VOLUME, Status};
use ntbox::user::{File, exchange_medium};
use std::path::{Path, PathBuf};

/// A removable disk that is mounted at once, and one that is mounted and verified later, at DISPATCH_LEVEL.
fn drives(machine: &Machine) -> [Volume; 2] {
    let drives = [('E', MountTiming::Before), ('F', MountTiming::Async)];
    drives.map(|(letter, timing)| {
        let volume = machine.volume(letter, VolumeKind::Removable, timing);
        volume.mount();
        volume
    })
}

/// An empty medium beside the one that the drive was described with.
fn other_medium(volume: &Volume) -> PathBuf {
    let other = volume.host_directory().with_file_name("other");
    std::fs::create_dir_all(&other).expect("a directory");
    other
}

#[track_caller]
fn put(volume: &Volume, medium: Put<'_>) {
    let outcome = exchange_medium(&volume.name(""), medium);
    assert_eq!(outcome.status(), Status(STATUS_SUCCESS));
}

#[track_caller]
fn reads(file: &File, status: NTSTATUS) {
    assert_eq!(file.read(Some(0), 4).status(), Status(status));
}

/// The filter devices that there are, when nothing is under way any more.
fn devices(machine: &Machine, driver: &Loaded) -> usize {
    machine.settle();
    Device::all_of(driver).len()
}

/// The driver is loaded, under one adversary after another, `look` sees each drive with it and another medium, and it is
/// unloaded.
fn on_each(path: &Path, look: impl Fn(&Machine, &Loaded, &Volume, &Path)) {
    let machine = Machine::start();
    let volumes = drives(&machine);
    for seed in 0..6 {
        if seed > 0 {
            machine.adverse(seed);
        }
        let driver = load(path, UNLOADABLE);
        for volume in &volumes {
            look(&machine, &driver, volume, &other_medium(volume));
            put(volume, Put::First);
            volume.mount();
        }
        unload(driver);
        for volume in &volumes {
            assert_eq!(volume.stack().len(), 1);
        }
    }
}

/// A9: the volume is the same one: so is the filter device, and what is open stays.
#[test]
fn a_volume_that_is_verified_keeps_the_filter_device() {
    in_own_process(|path| {
        on_each(path, |machine, driver, volume, _| {
            let (file, mounted) = (volume.create("\\kept"), devices(machine, driver));
            assert!(file.write(Some(0), b"kept").is_success());
            let stack = volume.stack();
            put(volume, Put::First);
            reads(&file, STATUS_SUCCESS);
            put(volume, Put::First);
            assert_eq!(volume.stack(), stack);
            put(volume, Put::Nothing);
            let refused = volume.open("\\kept", |open| open);
            assert_eq!(refused.outcome.status(), Status(STATUS_NO_MEDIA_IN_DEVICE));
            put(volume, Put::First);
            reads(&file, STATUS_SUCCESS);
            assert_eq!(volume.stack(), stack);
            assert_eq!(devices(machine, driver), mounted);
        });
    });
}

/// A6, A9: another medium is another volume, which is attached to when it is mounted; open files keep the first one's filter
/// device, which is attached to once when its medium comes back.
#[test]
fn a_volume_whose_medium_comes_back_is_attached_to_once() {
    in_own_process(|path| {
        on_each(path, |machine, driver, volume, other| {
            let (file, mounted) = (volume.create("\\kept"), devices(machine, driver));
            assert!(file.write(Some(0), b"kept").is_success());
            let stack = volume.stack();
            put(volume, Put::Other(other));
            assert_eq!(volume.attachments(driver), 1);
            assert_ne!(volume.stack(), stack);
            assert_eq!(
                devices(machine, driver),
                mounted + 1,
                "a file is open on the first"
            );
            reads(&file, STATUS_WRONG_VOLUME);
            let on_other = volume.create("\\kept");
            assert!(on_other.write(Some(0), b"more").is_success());

            put(volume, Put::First);
            assert_eq!(volume.stack(), stack, "it is the same volume again");
            assert_eq!(volume.attachments(driver), 1);
            assert_eq!(file.read(Some(0), 4).data, b"kept");
            reads(&on_other, STATUS_WRONG_VOLUME);
            drop(on_other);
            assert_eq!(devices(machine, driver), mounted, "the other one is gone");
        });
    });
}

/// A9: nothing is open: the filter device goes while the request to verify the volume is below it.
#[test]
fn a_volume_that_goes_with_its_medium_takes_the_filter_device_along() {
    in_own_process(|path| {
        on_each(path, |machine, driver, volume, other| {
            volume.mount();
            let mounted = devices(machine, driver);
            let before = volume.mounted_device();
            put(volume, Put::Other(other));
            volume.mount();
            assert_eq!(devices(machine, driver), mounted);
            assert_ne!(volume.mounted_device(), before);
            assert_eq!(volume.attachments(driver), 1);
        });
    });
}

/// A12: media are exchanged while the driver is being unloaded.
#[test]
fn a_medium_is_exchanged_during_the_unload() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = drives(&machine);
        machine.adverse(3);
        for open in [false, true, false, true] {
            for volume in &volumes {
                let other = other_medium(volume);
                let driver = load(path, UNLOADABLE);
                let file = open.then(|| volume.create("\\kept"));
                put(volume, Put::Other(&other));
                std::thread::scope(|scope| {
                    let verified = scope.spawn(|| {
                        volume.mount();
                        put(volume, Put::First);
                        volume.mount();
                    });
                    unload(driver);
                    assert!(verified.join().is_ok());
                });
                drop(file);
                machine.settle();
                assert_eq!(volume.stack().len(), 1);
            }
        }
    });
}

/// O2, O6: both volumes are counted as one drive, and a file is called what it is called on its own medium, before and after.
#[test]
fn what_is_asked_about_either_medium_is_counted_and_named() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = drives(&machine);
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.observe(true), STATUS_SUCCESS);
        let named = TraceStart {
            wanted: wanted::NAMES.into(),
            ..everything()
        };
        assert_eq!(client.start_trace(named, "", ""), STATUS_SUCCESS);
        for volume in &volumes {
            let other = other_medium(volume);
            let first = volume.create("\\First");
            put(volume, Put::Other(&other));
            let second = volume.create("\\Second");
            assert!(second.flush().is_success());
            assert_eq!(first.flush().status(), Status(STATUS_WRONG_VOLUME));
            put(volume, Put::First);
            drop(volume.create("\\first"));
            assert!(first.flush().is_success());
        }
        machine.settle();
        let traced = client.drain_trace();
        let flushes = traced
            .requests
            .iter()
            .filter(|(record, _)| record.operation == Operation::FLUSH_BUFFERS.number());
        let names: Vec<_> = flushes.map(|(_, name)| &**name).collect();
        let of_one = ["\\Second", "\\First", "\\First"];
        assert_eq!(names, [of_one, of_one].concat());

        let counted: Vec<Counted> = client.statistics();
        let verified = counted.iter().filter_map(|volume| {
            let (record, _) = volume.operations.get(&Operation::FILE_SYSTEM_CONTROL)?;
            Some((record.completed.get(), record.errors.get()))
        });
        let verified: Vec<_> = verified.collect();
        // The file system is asked to mount either medium of both drives; each drive's volumes are verified twice.
        assert_eq!(verified, [(4, 0), (2, 2), (2, 2)], "{counted:#?}");
        drop(client);
        unload(driver);
    });
}
