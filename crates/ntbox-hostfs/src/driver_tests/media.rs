//! Media that are exchanged, under every choice of the adversary.

use super::*;
use ntbox_kernel::io_manager::media::{self, Put};
use ntbox_kernel::user::exchange_medium;
use std::path::PathBuf;

/// A removable disk and a CD-ROM, which is mounted asynchronously, each with its letter and the media for it.
fn drives() -> &'static [(&'static str, usize, [PathBuf; 2])] {
    static DRIVES: OnceLock<Vec<(&str, usize, [PathBuf; 2])>> = OnceLock::new();
    DRIVES.get_or_init(|| {
        crate::start();
        let new = |letter, kind, timing| {
            let media = ["first", "other"].map(|name| {
                let folder = tempfile::tempdir().unwrap().keep().join(name);
                std::fs::create_dir(&folder).unwrap();
                std::fs::write(folder.join("file"), name).unwrap();
                folder
            });
            let device = storage::create(description(letter, &media[0], kind, timing));
            (device as usize, media)
        };
        let (disk, disks) = new('W', VolumeKind::Removable, MountTiming::After);
        let (cd, cds) = new('Y', VolumeKind::CdRom, MountTiming::Async);
        vec![(r"\??\W:", disk, disks), (r"\??\Y:", cd, cds)]
    })
}

/// A drive of these tests.
struct Drive {
    name: &'static str,
    device: usize,
    media: &'static [PathBuf; 2],
}

impl Drive {
    fn put_in(&self, medium: Option<usize>) {
        let put = match medium {
            None => Put::Nothing,
            Some(0) => Put::First,
            Some(number) => Put::Other(&self.media[number]),
        };
        succeeded(exchange_medium(self.name, put));
    }
    fn open(&self, path: &str) -> Result<File, NTSTATUS> {
        let rights = READ | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
        open_with(
            &format!("{}{path}", self.name),
            rights,
            FILE_OPEN,
            SYNCHRONOUS,
        )
    }
    /// What `file` on the medium that is inside says.
    fn says(&self) -> Vec<u8> {
        succeeded(self.open(r"\file").unwrap().read(Some(0), 8)).data
    }
    fn is_marked(&self) -> bool {
        // SAFETY: a storage device of these tests.
        unsafe { media::is_marked(self.device as *mut DEVICE_OBJECT) }
    }
    /// The VPB and the volume device that it is mounted with.
    fn mounted(&self) -> (usize, usize) {
        // SAFETY: a storage device of these tests.
        let vpb = unsafe { (*(self.device as *mut DEVICE_OBJECT)).Vpb };
        // SAFETY: a storage device has a VPB.
        (vpb.addr(), unsafe { (*vpb).DeviceObject }.addr())
    }
}

/// With every mix, on both drives, each with its first medium inside.
fn on_each(look: impl Fn(&Drive)) {
    for mix in mixes() {
        let (_alone, _) = turn(mix);
        for (name, device, media) in drives() {
            let (name, device) = (*name, *device);
            let drive = Drive {
                name,
                device,
                media,
            };
            // SAFETY: a storage device of these tests.
            let references = || unsafe { storage::references(device as *mut DEVICE_OBJECT) };
            drive.put_in(Some(0));
            let before = references();
            look(&drive);
            drive.put_in(Some(0));
            assert_eq!(drive.says(), b"first");
            adversary::drain();
            work::drain();
            assert_eq!(references(), before, "{name}");
        }
        settle(Mix::quiet());
    }
}

#[test]
fn the_same_medium_is_found_again() {
    on_each(|drive| {
        let file = drive.open(r"\file").unwrap();
        let mounted = drive.mounted();
        for open in [false, true] {
            drive.put_in(Some(0));
            assert!(drive.is_marked());
            match open {
                true => drop(drive.open(r"\file").unwrap()),
                false => assert_eq!(succeeded(file.read(Some(0), 8)).data, b"first"),
            }
            assert!(!drive.is_marked());
        }
        assert_eq!(drive.mounted(), mounted);
    });
}

#[test]
fn another_medium_is_another_volume() {
    on_each(|drive| {
        let (file, volume) = (drive.open(r"\file").unwrap(), drive.open("").unwrap());
        let first = drive.mounted();
        drive.put_in(Some(1));
        let wrong = |outcome: ntbox_kernel::user::Outcome| {
            assert_eq!(outcome.status(), Status(STATUS_WRONG_VOLUME));
        };
        wrong(file.read(Some(0), 8));
        wrong(file.query_information(FileStandardInformation, 24));
        wrong(volume.query_volume(FileFsVolumeInformation, 64));
        assert_eq!(drive.says(), b"other");
        let other = drive.mounted();
        assert_ne!(other, first);
        // What is relative to it is looked for on it, and not in the drive.
        let parameters = CreateParameters::new("").relative_to(&file);
        assert_eq!(create_file(&parameters).outcome.status, STATUS_WRONG_VOLUME);
        wrong(file.read(Some(0), 8));

        drive.put_in(Some(0));
        assert_eq!(drive.says(), b"first");
        assert_eq!(drive.mounted(), first, "it is the same volume again");
        assert_eq!(succeeded(file.read(Some(0), 8)).data, b"first");
    });
}

#[test]
fn a_volume_that_nobody_has_open_goes_with_its_medium() {
    on_each(|drive| {
        assert_eq!(drive.says(), b"first");
        work::drain();
        adversary::drain();
        drive.put_in(Some(1));
        let other = drive.open(r"\file").unwrap();
        drive.put_in(Some(0));
        assert_eq!(drive.says(), b"first");
        assert_eq!(other.read(Some(0), 8).status, STATUS_WRONG_VOLUME);
        // The last file takes the volume along.
        drop(other);
        drive.put_in(Some(1));
        assert_eq!(drive.says(), b"other");
    });
}

#[test]
fn an_empty_drive_has_no_volume_to_open() {
    on_each(|drive| {
        let file = drive.open(r"\file").unwrap();
        let mounted = drive.mounted();
        drive.put_in(None);
        assert_eq!(drive.open(r"\file").err(), Some(STATUS_NO_MEDIA_IN_DEVICE));
        assert_eq!(file.read(Some(0), 8).status, STATUS_NO_MEDIA_IN_DEVICE);
        assert!(drive.is_marked());
        drive.put_in(Some(0));
        assert_eq!(succeeded(file.read(Some(0), 8)).data, b"first");
        // Who opens the volume itself might be content with less: that it is gone is known then.
        drive.put_in(None);
        assert_eq!(drive.open("").err(), Some(STATUS_NO_MEDIA_IN_DEVICE));
        assert_eq!(file.read(Some(0), 8).status, STATUS_WRONG_VOLUME);
        drive.put_in(Some(0));
        assert_eq!(drive.says(), b"first");
        assert_eq!(drive.mounted(), mounted);
        assert_eq!(succeeded(file.read(Some(0), 8)).data, b"first");
    });
}

/// IOCTL_STORAGE_CHECK_VERIFY2 is the device's to answer.
#[test]
fn the_device_says_that_its_medium_is_to_be_verified() {
    on_each(|drive| {
        let volume = drive.open("").unwrap();
        let checked = || volume.device_control(0x2D_0800, &[], 0).status;
        assert_eq!(checked(), STATUS_SUCCESS);
        drive.put_in(None);
        assert_eq!(checked(), STATUS_NO_MEDIA_IN_DEVICE);
        drive.put_in(Some(0));
        assert_eq!(checked(), STATUS_VERIFY_REQUIRED);
        assert_eq!(drive.says(), b"first");
        assert_eq!(checked(), STATUS_SUCCESS);
    });
}

#[test]
fn a_fixed_disk_has_one_medium() {
    let (_alone, _) = turn(Mix::quiet());
    let exchanged = exchange_medium(r"\??\C:", Put::Nothing);
    assert_eq!(exchanged.status, STATUS_INVALID_DEVICE_REQUEST);
    assert_eq!(
        exchange_medium(r"\??\N:", Put::Nothing).status,
        STATUS_NO_SUCH_DEVICE
    );
}

/// All that is done to a file at the time at which another medium is put in ends well, or with the statuses for that.
#[test]
fn requests_meet_the_exchange_of_a_medium() {
    on_each(|drive| {
        let file = drive.open(r"\file").unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for _ in 0..50 {
                    let read = file.read(Some(0), 8);
                    assert!(matches!(read.status, STATUS_SUCCESS | STATUS_WRONG_VOLUME));
                    assert!(read.data.is_empty() || read.data == b"first");
                    drop(drive.open(r"\file").unwrap());
                }
            });
            for medium in 0..20 {
                drive.put_in(Some(medium % 2));
            }
            reader.join().unwrap();
        });
    });
}
