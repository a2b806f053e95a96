//! Tests of the drivers: a program's calls go through the I/O manager to the
//! file system, without a filter, under every choice of the adversary.

#![expect(unsafe_code, reason = "file objects are looked at")]

use super::adversary::{self, CONFIGURED, Mix};
use crate::io_manager::storage::{self, MountTiming, VolumeDescription, VolumeKind};
use crate::io_manager::{mount, object};
use crate::nt::*;
use crate::processor::{thread, work};
use crate::user::access::{DELETE, FILE_READ_ATTRIBUTES, READ, SYNCHRONIZE, WRITE};
use crate::user::locks::Range;
use crate::user::{CreateParameters, File, Outcome, create_file, identity, query_attributes};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, OnceLock, PoisonError};
use windows_sys::Win32::System::Ioctl::{FSCTL_DISMOUNT_VOLUME, FSCTL_REQUEST_OPLOCK_LEVEL_1};

const SYNCHRONOUS: u32 = FILE_SYNCHRONOUS_IO_NONALERT;
const RIGHTS: u32 = READ | WRITE | DELETE | SYNCHRONIZE;

/// Shares of the mixes that make one choice always.
fn mixes() -> Vec<Mix> {
    let all = 1000;
    vec![
        Mix::quiet(),
        Mix { at_dispatch: all, decline_fast_io: all, ..Mix::quiet() },
        Mix { pend: all, decline_fast_io: all, ..Mix::quiet() },
        Mix { pend_at_dispatch: all, decline_fast_io: all, ..Mix::quiet() },
        Mix { other_thread: all, decline_fast_io: all, ..Mix::quiet() },
        Mix { other_thread_at_dispatch: all, decline_fast_io: all, ..Mix::quiet() },
        Mix::default(),
    ]
}

struct Volumes {
    disk: (PathBuf, usize),
    network: PathBuf,
    late: PathBuf,
    cd: PathBuf,
    lost: (PathBuf, usize),
}

fn description(letter: char, host_directory: &Path, kind: VolumeKind, mount: MountTiming) -> VolumeDescription {
    VolumeDescription { letter, host_directory: host_directory.to_owned(), kind, mount, recognized: false }
}

/// The volumes of all tests here: the box has one kernel, and names are given once.
fn volumes() -> &'static Volumes {
    static VOLUMES: OnceLock<Volumes> = OnceLock::new();
    VOLUMES.get_or_init(|| {
        super::start();
        let folder = || tempfile::tempdir().unwrap().keep();
        let new = |letter, kind, mount| {
            let folder = folder();
            let device = storage::create(description(letter, &folder, kind, mount));
            (folder, device as usize)
        };
        let network = folder();
        super::add_network_volume(description('N', &network, VolumeKind::Network, MountTiming::After));
        Volumes {
            disk: new('H', VolumeKind::Disk, MountTiming::Before),
            network,
            late: new('J', VolumeKind::Removable, MountTiming::Async).0,
            cd: new('K', VolumeKind::CdRom, MountTiming::After).0,
            lost: new('L', VolumeKind::Disk, MountTiming::After),
        }
    })
}

/// One test at a time, as user thread 1, with a mix.
fn turn(mix: Mix) -> (MutexGuard<'static, ()>, &'static Volumes) {
    let alone = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
    let volumes = volumes();
    settle(mix);
    identity::begin_thread(1);
    (alone, volumes)
}

fn settle(mix: Mix) {
    adversary::drain();
    work::drain();
    adversary::configure(11, mix);
}

fn open_with(name: &str, access: u32, disposition: u32, options: u32) -> Result<File, NTSTATUS> {
    let parameters = CreateParameters::new(name).access(access).disposition(disposition).options(options);
    let opened = create_file(&parameters);
    opened.file.ok_or(opened.outcome.status)
}

fn open(name: &str, disposition: u32, options: u32) -> File {
    open_with(name, RIGHTS, disposition, options).unwrap_or_else(|status| panic!("{name}: {}", Status(status)))
}

#[track_caller]
fn succeeded(outcome: Outcome) -> Outcome {
    assert_eq!(outcome.status, STATUS_SUCCESS, "{}", outcome.status());
    outcome
}

fn file_object(file: &File) -> &'static FILE_OBJECT {
    let object = object::object_of_handle(file.handle()).unwrap();
    // SAFETY: the handle keeps the object.
    unsafe { &*object.cast::<FILE_OBJECT>() }
}

/// What a program does to files, and what it sees: the same under every choice.
fn session(root: &str) -> Vec<(NTSTATUS, usize, Vec<u8>)> {
    let mut seen = Vec::new();
    let mut note = |outcome: Outcome| {
        seen.push((outcome.status, outcome.information, outcome.data.clone()));
        outcome
    };
    let path = |name: &str| format!(r"{root}\{name}");
    drop(open(&path("dir"), FILE_CREATE, FILE_DIRECTORY_FILE | SYNCHRONOUS));
    let file = open(&path(r"dir\file"), FILE_CREATE, SYNCHRONOUS);
    note(file.write(None, b"hello "));
    note(file.write(None, b"world"));
    note(file.read(None, 4));
    note(file.read(Some(3), 100));
    note(file.read(None, 4));
    note(file.set_information(FilePositionInformation, &6_i64.to_le_bytes()));
    note(file.read(None, 100));
    note(file.query_information(FileStandardInformation, 24));
    note(file.query_information(FileStandardInformation, 23));
    note(file.query_information(FileNameInformation, 300));
    note(file.query_information(FileNameInformation, 12));
    note(file.set_information(FileEndOfFileInformation, &5_i64.to_le_bytes()));
    note(file.flush());
    let range = Range { offset: 0, length: 2, key: 0 };
    note(file.lock(range, true, true));
    let other = open(&path(r"DIR\FILE"), FILE_OPEN, SYNCHRONOUS);
    note(other.read(Some(0), 5));
    note(other.read(Some(2), 5));
    note(other.lock(range, true, false));
    note(file.unlock(range));
    note(file.unlock(range));
    note(other.read(Some(0), 5));
    note(other.fs_control(FSCTL_REQUEST_OPLOCK_LEVEL_1, &[], 0));
    note(other.device_control(0x7_0000, &[], 0));
    note(other.query_volume(FileFsAttributeInformation, 64));
    let directory = open(&path("dir"), FILE_OPEN, FILE_DIRECTORY_FILE | SYNCHRONOUS);
    note(directory.query_directory(FileNamesInformation, 100, None, false, true));
    note(directory.query_directory(FileNamesInformation, 100, None, false, false));
    note(directory.query_directory(FileNamesInformation, 100, None, false, false));
    note(directory.query_directory(FileNamesInformation, 100, None, true, false));
    note(directory.query_directory(999, 100, None, true, false));
    note(file.set_information(FileDispositionInformation, &[1]));
    assert!(file_object(&file).DeletePending);
    note(create_file(&CreateParameters::new(&path(r"dir\file"))).outcome);
    note(file.close());
    note(other.close());
    note(create_file(&CreateParameters::new(&path(r"dir\file"))).outcome);
    note(query_attributes(&path(r"dir\none")));
    note(directory.set_information(FileDispositionInformation, &[1]));
    note(directory.close());
    note(create_file(&CreateParameters::new(&path("dir"))).outcome);
    seen
}

#[test]
fn every_choice_gives_the_same_results() {
    let (_alone, volumes) = turn(Mix::quiet());
    for (root, host) in
        [(r"\??\H:", &volumes.disk.0), (r"\??\N:", &volumes.network), (r"\??\J:", &volumes.late)]
    {
        let mut first = None;
        for mix in mixes() {
            settle(mix.clone());
            identity::begin_thread(1);
            let seen = session(root);
            let first = first.get_or_insert_with(|| seen.clone());
            for (index, (seen, first)) in seen.iter().zip(first.iter()).enumerate() {
                assert_eq!(seen, first, "{root} call {index} {mix:?}");
            }
            assert!(std::fs::read_dir(host).unwrap().next().is_none());
        }
    }
    settle(Mix::quiet());
}

#[test]
fn choices_are_really_taken() {
    let (_alone, _) = turn(Mix::quiet());
    let of = |mix: Mix| {
        settle(mix);
        session(r"\??\H:");
        adversary::drain();
        adversary::counts()
    };
    let all = Mix { decline_fast_io: 1000, ..Mix::quiet() };
    let quiet = of(Mix::quiet());
    assert!(quiet.now > 25 && quiet.pended() == 0 && quiet.fast_io > 0, "{quiet:?}");
    let pended = of(Mix { pend: 1000, ..all.clone() });
    assert!(pended.pend > 20 && pended.fast_io == 0 && pended.fast_io_declined > 5);
    assert!(of(Mix { pend_at_dispatch: 1000, ..all.clone() }).pend_at_dispatch > 15);
    assert!(of(Mix { at_dispatch: 1000, ..all.clone() }).at_dispatch > 15);
    assert!(of(Mix { other_thread: 1000, ..all }).other_thread > 15);
    let majors = adversary::counts_by_major();
    assert!(majors.iter().any(|(major, counts)| u32::from(*major) == IRP_MJ_READ && counts.requests() > 0));
    settle(Mix::quiet());
}

#[test]
fn file_objects_are_set_up_as_file_systems_do() {
    let (_alone, volumes) = turn(Mix::quiet());
    let file = open(r"\??\H:\setup", FILE_CREATE, SYNCHRONOUS);
    let other = open(r"\??\H:\SETUP", FILE_OPEN, 0);
    let (one, two) = (file_object(&file), file_object(&other));
    assert!(!one.FsContext.is_null() && one.FsContext == two.FsContext);
    assert_ne!(one.FsContext2, two.FsContext2);
    assert!(!one.SectionObjectPointer.is_null() && !one.PrivateCacheMap.is_null());
    assert!(one.ReadAccess && one.WriteAccess && one.SharedDelete);
    succeeded(file.write(None, &[7; 5000]));
    assert_eq!(one.CurrentByteOffset, 5000);
    // SAFETY: the context of an open file.
    let header = unsafe { &*one.FsContext.cast::<FSRTL_ADVANCED_FCB_HEADER>() };
    assert_eq!((header.Base.FileSize, header.Base.AllocationSize), (5000, 8192));
    assert_eq!(i32::from(header.Base.IsFastIoPossible), FastIoIsPossible);
    succeeded(file.lock(Range { offset: 0, length: 1, key: 0 }, true, true));
    assert_eq!(i32::from(header.Base.IsFastIoPossible), FastIoIsQuestionable);
    assert_ne!(u32::from(header.Base.Flags) & FSRTL_FLAG_ADVANCED_HEADER, 0);
    let uncached = open(r"\??\H:\setup", FILE_OPEN, SYNCHRONOUS | FILE_NO_INTERMEDIATE_BUFFERING);
    assert!(file_object(&uncached).PrivateCacheMap.is_null());
    let outcome = uncached.read(Some(0), 100);
    assert_eq!(outcome.status, STATUS_INVALID_PARAMETER);
    drop(uncached);
    drop((file, other));
    std::fs::remove_file(volumes.disk.0.join("setup")).unwrap();
}

#[test]
fn volumes_ask_for_the_buffers_they_should() {
    let (_alone, volumes) = turn(Mix::quiet());
    // SAFETY: a storage device of this test.
    let volume = unsafe { mount::volume_device(volumes.disk.1 as *mut DEVICE_OBJECT) }.unwrap();
    // SAFETY: a mounted volume's device.
    let flags = unsafe { (*volume).Flags };
    assert_eq!(flags & (DO_DIRECT_IO | DO_BUFFERED_IO | DO_DEVICE_INITIALIZING), DO_DIRECT_IO);
    let file = open(r"\??\N:\x", FILE_CREATE, SYNCHRONOUS | FILE_DELETE_ON_CLOSE);
    // SAFETY: an open file's device.
    let device = unsafe { &*file_object(&file).DeviceObject };
    assert_eq!(device.Flags & (DO_DIRECT_IO | DO_BUFFERED_IO | DO_DEVICE_INITIALIZING), 0);
    assert_eq!(device.DeviceType, FILE_DEVICE_NETWORK_FILE_SYSTEM);
    let name = succeeded(file.query_information(FileNameInformation, 100));
    assert_eq!(&name.data[4..], "\\box\\share\\x".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
}

#[test]
fn locks_that_wait_are_granted_or_cancelled() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        let one = open(r"\??\H:\locks", FILE_CREATE, 0);
        let two = open(r"\??\H:\locks", FILE_OPEN, 0);
        let range = Range { offset: 0, length: 10, key: 0 };
        succeeded(one.lock(range, false, true));
        let mut waits = two.start_lock(range, false, true);
        assert!(!waits.finishes_within(200_000));
        succeeded(one.unlock(range));
        let outcome = succeeded(waits.wait());
        assert!(outcome.pended);
        let mut cancelled = one.start_lock(range, false, true);
        assert!(!cancelled.finishes_within(200_000));
        cancelled.cancel();
        assert_eq!(cancelled.wait().status, STATUS_CANCELLED);
        let waits = one.start_lock(range, false, false);
        succeeded(two.close());
        succeeded(waits.wait());
        drop(one);
        std::fs::remove_file(volumes.disk.0.join("locks")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

#[test]
fn changes_are_told_and_watching_ends() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        let root = open_with(r"\??\H:\", READ, FILE_OPEN, FILE_DIRECTORY_FILE).unwrap();
        let watch = root.start_notify(FILE_NOTIFY_NAMES, true, 200);
        let file = open(r"\??\H:\seen", FILE_CREATE, SYNCHRONOUS);
        let outcome = succeeded(watch.wait());
        assert_eq!((outcome.information, outcome.data[4]), (20, 1));
        assert_eq!(outcome.data[12..], *b"s\0e\0e\0n\0");
        let mut cancelled = root.start_notify(FILE_NOTIFY_NAMES, true, 200);
        assert!(!cancelled.finishes_within(200_000));
        cancelled.cancel();
        assert_eq!(cancelled.wait().status, STATUS_CANCELLED);
        drop(file);
        drop(root);
        std::fs::remove_file(volumes.disk.0.join("seen")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

/// `FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME`.
const FILE_NOTIFY_NAMES: u32 = 3;

#[test]
fn a_held_request_ends_with_its_cancellation() {
    let (_alone, volumes) = turn(Mix::quiet());
    let file = open(r"\??\H:\held", FILE_CREATE, FILE_NO_INTERMEDIATE_BUFFERING);
    identity::hold_next_until_cancelled();
    let mut read = file.start_read(Some(0), 512);
    assert!(!read.finishes_within(500_000));
    read.cancel();
    assert_eq!(read.wait().status, STATUS_CANCELLED);
    let counts = adversary::counts();
    assert_eq!((counts.held, counts.cancelled), (1, 1));
    assert_eq!(file.read(Some(0), 512).status, STATUS_END_OF_FILE);
    drop(file);
    std::fs::remove_file(volumes.disk.0.join("held")).unwrap();
}

#[test]
fn failures_hit_only_those_who_allow_them() {
    let mix = Mix { fail: 1000, fail_with: vec![STATUS_IO_DEVICE_ERROR], decline_fast_io: 1000, ..Mix::quiet() };
    let (_alone, volumes) = turn(mix);
    let file = open(r"\??\H:\fails", FILE_CREATE, SYNCHRONOUS);
    identity::allow_failure_of_next();
    assert_eq!(file.write(None, b"x").status, STATUS_IO_DEVICE_ERROR);
    succeeded(file.write(None, b"x"));
    assert_eq!(adversary::counts().failed, 1);
    drop(file);
    std::fs::remove_file(volumes.disk.0.join("fails")).unwrap();
}

#[test]
fn renames_go_through_a_target_directory() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        drop(open(r"\??\H:\to", FILE_CREATE, FILE_DIRECTORY_FILE | SYNCHRONOUS));
        let file = open(r"\??\H:\from", FILE_CREATE, SYNCHRONOUS);
        let rename = |name: &str| {
            let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let mut buffer = vec![0; 16];
            buffer.extend((name.len() as u32).to_le_bytes());
            buffer.extend(name);
            file.set_information(FileRenameInformation, &buffer)
        };
        succeeded(rename("other"));
        assert!(volumes.disk.0.join("other").exists());
        succeeded(rename(r"\??\H:\TO\there"));
        assert!(volumes.disk.0.join("to/there").exists());
        assert_eq!(rename(r"\??\H:\none\there").status, STATUS_OBJECT_PATH_NOT_FOUND);
        assert_eq!(rename(r"\??\N:\there").status, STATUS_NOT_SAME_DEVICE);
        let name = succeeded(file.query_information(FileNameInformation, 100));
        let expected: Vec<u8> = r"\to\there".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(name.data[4..], expected);
        drop(file);
        std::fs::remove_dir_all(volumes.disk.0.join("to")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

#[test]
fn a_cd_rom_is_read_only() {
    let (_alone, volumes) = turn(Mix::default());
    std::fs::write(volumes.cd.join("f"), b"data").unwrap();
    assert_eq!(open_with(r"\??\K:\f", RIGHTS, FILE_OPEN, SYNCHRONOUS).err(), Some(STATUS_ACCESS_DENIED));
    assert_eq!(open_with(r"\??\K:\n", READ, FILE_CREATE, SYNCHRONOUS).err(), Some(STATUS_MEDIA_WRITE_PROTECTED));
    let file = open_with(r"\??\K:\f", READ, FILE_OPEN, SYNCHRONOUS).unwrap();
    assert_eq!(succeeded(file.read(Some(0), 10)).data, b"data");
    let device = succeeded(file.query_volume(FileFsDeviceInformation, 8));
    assert_eq!(device.data[0], 2);
}

#[test]
fn paths_of_the_redirector_are_checked() {
    let (_alone, _) = turn(Mix::quiet());
    for name in [r"\;N:\box\other\f", r"\;Q:\box\share\f", r"\;N:\box\shared", r"\x", r"\;", r"\;N"] {
        let name = format!(r"\Device\HostRedirector{name}");
        assert_eq!(open_with(&name, READ, FILE_OPEN, SYNCHRONOUS).err(), Some(STATUS_BAD_NETWORK_NAME), "{name}");
    }
    let itself = open_with(r"\Device\HostRedirector", READ, FILE_OPEN, SYNCHRONOUS).unwrap();
    assert_eq!(itself.read(Some(0), 1).status, STATUS_INVALID_DEVICE_REQUEST);
    let root = open_with(r"\??\N:\", READ, FILE_OPEN, SYNCHRONOUS).unwrap();
    let volume = root.fs_control(FSCTL_DISMOUNT_VOLUME, &[], 0);
    assert_eq!(volume.status, STATUS_INVALID_DEVICE_REQUEST);
}

#[test]
fn no_name_leads_out_of_a_volume() {
    let (_alone, volumes) = turn(Mix::quiet());
    std::fs::write(volumes.disk.0.parent().unwrap().join("ntbox-outside"), b"x").unwrap();
    for name in [r"..\ntbox-outside", r"a\..\..\ntbox-outside", r"../ntbox-outside", r"\..\ntbox-outside"] {
        for root in [r"\??\H:\", r"\??\N:\"] {
            let status = open_with(&format!("{root}{name}"), READ, FILE_OPEN, SYNCHRONOUS).err().unwrap();
            assert!(status == STATUS_OBJECT_NAME_INVALID, "{name}: {}", Status(status));
        }
    }
    std::fs::remove_file(volumes.disk.0.parent().unwrap().join("ntbox-outside")).unwrap();
}

#[test]
fn a_dismounted_volume_is_mounted_anew() {
    let (_alone, volumes) = turn(Mix::default());
    let storage = volumes.lost.1 as *mut DEVICE_OBJECT;
    let old = open(r"\??\L:\f", FILE_CREATE, SYNCHRONOUS);
    let root = open_with(r"\??\L:\", READ, FILE_OPEN, FILE_DIRECTORY_FILE).unwrap();
    let watch = root.start_notify(FILE_NOTIFY_NAMES, true, 100);
    let mounts = mount::mounts();
    // SAFETY: the storage device of this test.
    assert_eq!(unsafe { super::dismount(storage) }, STATUS_SUCCESS);
    assert_eq!(watch.wait().status, STATUS_VOLUME_DISMOUNTED);
    assert_eq!(old.write(Some(0), b"x").status, STATUS_VOLUME_DISMOUNTED);
    let new = open(r"\??\L:\f", FILE_OPEN, SYNCHRONOUS);
    assert_eq!(mount::mounts(), mounts + 1);
    succeeded(new.write(None, b"new"));
    drop((old, root));
    assert_eq!(succeeded(new.read(Some(0), 9)).data, b"new");
    // Through the volume itself, as a program does it.
    let volume = open_with(r"\??\L:", READ | WRITE, FILE_OPEN, SYNCHRONOUS).unwrap();
    succeeded(volume.fs_control(FSCTL_DISMOUNT_VOLUME, &[], 0));
    assert_eq!(new.read(Some(0), 9).status, STATUS_VOLUME_DISMOUNTED);
    drop((new, volume));
    let again = open(r"\??\L:\f", FILE_OPEN, SYNCHRONOUS | FILE_DELETE_ON_CLOSE);
    assert_eq!(succeeded(again.read(Some(0), 9)).data, b"new");
}

#[test]
fn fast_query_open_agrees_with_an_open() {
    let (_alone, volumes) = turn(Mix::quiet());
    std::fs::write(volumes.disk.0.join("q"), b"12345").unwrap();
    let fast = succeeded(query_attributes(r"\??\H:\Q"));
    assert!(fast.fast);
    settle(Mix { decline_fast_io: 1000, ..Mix::quiet() });
    let slow = succeeded(query_attributes(r"\??\H:\q"));
    assert!(!slow.fast);
    assert_eq!(fast.data, slow.data);
    assert_eq!(query_attributes(r"\??\H:\none").status, STATUS_OBJECT_NAME_NOT_FOUND);
    let file = open_with(r"\??\H:\q", FILE_READ_ATTRIBUTES | SYNCHRONIZE, FILE_OPEN, SYNCHRONOUS).unwrap();
    assert_eq!(succeeded(file.query_information(FileNetworkOpenInformation, 56)).data[..52], fast.data[..52]);
    drop(file);
    std::fs::remove_file(volumes.disk.0.join("q")).unwrap();
}

#[test]
fn threads_share_a_volume_under_the_adversary() {
    let (_alone, volumes) = turn(Mix::default());
    let threads: Vec<_> = (1..=4_u32)
        .map(|ordinal| {
            thread::spawn("tester", move || {
                identity::begin_thread(ordinal);
                for round in 0..30_u32 {
                    let name = format!(r"\??\H:\t{ordinal}");
                    let file = open(&name, FILE_OVERWRITE_IF, SYNCHRONOUS);
                    let data = vec![ordinal as u8; 100 + round as usize];
                    succeeded(file.write(None, &data));
                    assert_eq!(succeeded(file.read(Some(0), 1000)).data, data);
                    drop(file);
                    let file = open(&name, FILE_OPEN, SYNCHRONOUS | FILE_DELETE_ON_CLOSE);
                    assert_eq!(succeeded(file.read(None, 1000)).data, data);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    settle(Mix::quiet());
    assert!(std::fs::read_dir(&volumes.disk.0).unwrap().next().is_none());
}
