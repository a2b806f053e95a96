//! Requests that wait, are cancelled, or end with their volume.

#![expect(unsafe_code, reason = "storage devices are given by pointer")]

use super::*;

/// `FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME`.
const FILE_NOTIFY_NAMES: u32 = 3;

#[test]
fn locks_that_wait_are_granted_or_cancelled() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        let one = open(r"\??\H:\locks", FILE_CREATE, 0);
        let two = open(r"\??\H:\locks", FILE_OPEN, 0);
        let range = Range {
            offset: 0,
            length: 10,
            key: 0,
        };
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
        let told = open_with(r"\??\H:\", READ, FILE_OPEN, FILE_DIRECTORY_FILE).unwrap();
        let class = DirectoryNotifyExtendedInformation;
        let watch = told.start_notify_by(class, FILE_NOTIFY_NAMES, true, 200);
        succeeded(open(r"\??\H:\more", FILE_CREATE, FILE_DELETE_ON_CLOSE).close());
        let outcome = succeeded(watch.wait());
        assert_eq!((outcome.information, outcome.data[4]), (92, 1));
        assert_eq!((outcome.data[56], outcome.data[80]), (0x20, 8));
        let none = open_with(r"\??\H:\", READ, FILE_OPEN, FILE_DIRECTORY_FILE).unwrap();
        let unknown = none.start_notify_by(4, FILE_NOTIFY_NAMES, true, 200);
        assert_eq!(unknown.wait().status, STATUS_INVALID_INFO_CLASS);
        drop((told, none));
        // The directory is still watched through the first handle, which has kept what it missed.
        let kept = succeeded(root.start_notify(FILE_NOTIFY_NAMES, true, 200).wait());
        assert_eq!((kept.data[4], kept.data[20 + 4]), (1, 2));
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
fn a_dismounted_volume_is_mounted_anew() {
    let (_alone, volumes) = turn(Mix::default());
    let storage = volumes.lost.1 as *mut DEVICE_OBJECT;
    let old = open(r"\??\L:\f", FILE_CREATE, SYNCHRONOUS);
    let root = open_with(r"\??\L:\", READ, FILE_OPEN, FILE_DIRECTORY_FILE).unwrap();
    let watch = root.start_notify(FILE_NOTIFY_NAMES, true, 100);
    let mounts = mount::mounts();
    // SAFETY: the storage device of this test.
    let dismounted = unsafe { crate::dismount(storage) };
    assert_eq!(dismounted, STATUS_SUCCESS);
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
