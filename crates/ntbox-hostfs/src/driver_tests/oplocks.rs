//! Oplocks, from a program's side: granted, broken, acknowledged, cancelled, closed.

use super::*;
use ntbox_kernel::user::Pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use windows_sys::Win32::System::Ioctl as code;

const TO_TWO: usize = FILE_OPLOCK_BROKEN_TO_LEVEL_2 as usize;
const TO_NONE: usize = FILE_OPLOCK_BROKEN_TO_NONE as usize;

/// Opens `name` in a thread of its own and reads a byte; the flag says that the open is done.
fn open_elsewhere(name: &'static str) -> (std::thread::JoinHandle<()>, Arc<AtomicBool>) {
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    let thread = thread::spawn("another program", move || {
        identity::begin_thread(2);
        let file = open(name, FILE_OPEN, SYNCHRONOUS);
        flag.store(true, Ordering::Release);
        succeeded(file.read(Some(0), 1));
    });
    (thread, done)
}

fn file_with_a_byte(name: &str) {
    succeeded(open(name, FILE_CREATE, SYNCHRONOUS).write(None, b"x"));
}

/// An oplock that is held: the request may have been put off, and who opened the file meanwhile would be in its way.
fn granted(owner: &File, oplock: u32) -> Pending<'_> {
    let request = owner.start_fs_control(oplock, &[], 0);
    adversary::drain();
    assert!(request.is_outstanding(), "the oplock is not granted");
    request
}

#[test]
fn an_open_waits_for_the_acknowledgment() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        file_with_a_byte(r"\??\H:\op");
        let owner = open(r"\??\H:\op", FILE_OPEN, 0);
        let request = granted(&owner, code::FSCTL_REQUEST_BATCH_OPLOCK);
        let (other, done) = open_elsewhere(r"\??\H:\op");
        let broken = succeeded(request.wait());
        assert_eq!((broken.information, broken.pended), (TO_TWO, true));
        assert!(!done.load(Ordering::Acquire), "the open did not wait");
        let mut two = owner.start_fs_control(code::FSCTL_OPLOCK_BREAK_ACKNOWLEDGE, &[], 0);
        other.join().unwrap();
        assert!(
            !two.finishes_within(100_000),
            "reading does not break level 2"
        );
        // Its own write does, without an acknowledgment.
        succeeded(owner.write(Some(0), b"y"));
        assert_eq!(succeeded(two.wait()).information, TO_NONE);
        let unexpected = owner.fs_control(code::FSCTL_OPLOCK_BREAK_ACKNOWLEDGE, &[], 0);
        assert_eq!(unexpected.status, STATUS_INVALID_OPLOCK_PROTOCOL);
        drop(owner);
        std::fs::remove_file(volumes.disk.0.join("op")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

#[test]
fn zeroes_break_as_a_write_does() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        file_with_a_byte(r"\??\H:\op0");
        let owner = open(r"\??\H:\op0", FILE_OPEN, 0);
        let two = granted(&owner, code::FSCTL_REQUEST_OPLOCK_LEVEL_2);
        // To ask which bytes have room breaks nothing.
        let range: Vec<u8> = [0, 1_u64].into_iter().flat_map(u64::to_le_bytes).collect();
        succeeded(owner.fs_control(code::FSCTL_QUERY_ALLOCATED_RANGES, &range, 16));
        assert!(two.is_outstanding());
        succeeded(owner.fs_control(code::FSCTL_SET_ZERO_DATA, &range, 0));
        adversary::drain();
        // Whoever has ended it has left the rest to this thread.
        thread::deliver_apcs();
        assert!(!two.is_outstanding(), "the oplock is not broken");
        assert_eq!(succeeded(two.wait()).information, TO_NONE);
        drop(owner);
        std::fs::remove_file(volumes.disk.0.join("op0")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

#[test]
fn closing_acknowledges_and_cancelling_gives_up() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        file_with_a_byte(r"\??\H:\op2");
        let owner = open(r"\??\H:\op2", FILE_OPEN, 0);
        let request = granted(&owner, code::FSCTL_REQUEST_OPLOCK_LEVEL_1);
        let (other, done) = open_elsewhere(r"\??\H:\op2");
        assert_eq!(succeeded(request.wait()).information, TO_TWO);
        assert!(!done.load(Ordering::Acquire), "the open did not wait");
        succeeded(owner.close());
        other.join().unwrap();

        let owner = open(r"\??\H:\op2", FILE_OPEN, 0);
        let mut request = granted(&owner, code::FSCTL_REQUEST_OPLOCK_LEVEL_1);
        request.cancel();
        assert_eq!(request.wait().status, STATUS_CANCELLED);
        // Nothing is in the way any more.
        drop(open(r"\??\H:\op2", FILE_OPEN, SYNCHRONOUS));
        drop(owner);
        std::fs::remove_file(volumes.disk.0.join("op2")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

#[test]
fn an_open_that_does_not_wait_is_told_of_the_break() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        let owner = open(r"\??\H:\op3", FILE_CREATE, 0);
        let request = granted(&owner, code::FSCTL_REQUEST_BATCH_OPLOCK);
        // An open for attributes breaks nothing.
        let attributes = FILE_READ_ATTRIBUTES | SYNCHRONIZE;
        drop(open_with(r"\??\H:\op3", attributes, FILE_OPEN, SYNCHRONOUS).unwrap());
        assert!(request.is_outstanding());
        let parameters = CreateParameters::new(r"\??\H:\op3")
            .access(RIGHTS)
            .options(SYNCHRONOUS | FILE_COMPLETE_IF_OPLOCKED);
        let opened = create_file(&parameters);
        assert_eq!(opened.outcome.status, STATUS_OPLOCK_BREAK_IN_PROGRESS);
        let other = opened.file.expect("it is open all the same");
        assert_eq!(succeeded(request.wait()).information, TO_TWO);
        succeeded(owner.fs_control(code::FSCTL_OPLOCK_BREAK_ACK_NO_2, &[], 0));
        succeeded(other.fs_control(code::FSCTL_OPLOCK_BREAK_NOTIFY, &[], 0));
        succeeded(other.write(Some(0), b"z"));
        drop((owner, other));
        std::fs::remove_file(volumes.disk.0.join("op3")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

/// `REQUEST_OPLOCK_INPUT_BUFFER`.
fn of_windows_7(level: u32, flags: u32) -> Vec<u8> {
    [1 | 12 << 16, level, flags].map(u32::to_le_bytes).concat()
}

#[test]
fn those_of_windows_7_are_told_what_is_left() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        file_with_a_byte(r"\??\H:\op5");
        let owner = open(r"\??\H:\op5", FILE_OPEN, 0);
        let all = of_windows_7(7, 1);
        let request = owner.start_fs_control(code::FSCTL_REQUEST_OPLOCK, &all, 24);
        adversary::drain();
        assert!(request.is_outstanding());
        let (other, done) = open_elsewhere(r"\??\H:\op5");
        let broken = succeeded(request.wait());
        let told: Vec<u32> = broken.data[..16]
            .chunks(4)
            .map(|int| u32::from_le_bytes(int.try_into().unwrap()))
            .collect();
        assert_eq!(
            (broken.information, told),
            (24, vec![1 | 24 << 16, 7, 3, 1])
        );
        assert!(!done.load(Ordering::Acquire), "the open did not wait");
        let keep = of_windows_7(3, 2);
        let mut kept = owner.start_fs_control(code::FSCTL_REQUEST_OPLOCK, &keep, 24);
        other.join().unwrap();
        assert!(!kept.finishes_within(100_000), "reading does not break it");
        // Its own write does not either; another one's goes on, and is acknowledged.
        succeeded(owner.write(Some(0), b"y"));
        assert!(kept.is_outstanding());
        succeeded(open(r"\??\H:\op5", FILE_OPEN, SYNCHRONOUS).write(None, b"z"));
        let broken = succeeded(kept.wait());
        assert_eq!(broken.data[4..16], [3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        succeeded(owner.fs_control(code::FSCTL_REQUEST_OPLOCK, &of_windows_7(0, 2), 24));
        drop(owner);
        std::fs::remove_file(volumes.disk.0.join("op5")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

#[test]
fn a_rename_waits_for_the_oplock_of_what_it_replaces() {
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        file_with_a_byte(r"\??\H:\old");
        file_with_a_byte(r"\??\H:\new");
        let owner = open(r"\??\H:\old", FILE_OPEN, 0);
        let request = granted(&owner, code::FSCTL_REQUEST_BATCH_OPLOCK);
        let renaming = thread::spawn("another program", || {
            identity::begin_thread(2);
            let new = open(r"\??\H:\new", FILE_OPEN, SYNCHRONOUS);
            let mut information = vec![1, 0, 0, 0];
            information.resize(16, 0);
            information.extend([6, 0, 0, 0, b'o', 0, b'l', 0, b'd', 0]);
            succeeded(new.set_information(FileRenameInformation, &information));
        });
        assert_eq!(succeeded(request.wait()).information, TO_NONE);
        assert!(
            volumes.disk.0.join("new").exists(),
            "the rename did not wait"
        );
        drop(owner);
        renaming.join().unwrap();
        assert!(!volumes.disk.0.join("new").exists());
        std::fs::remove_file(volumes.disk.0.join("old")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

/// `FILE_NAME_INFORMATION` with the name S.
const SHORT_NAME: [u8; 8] = [2, 0, 0, 0, b'S', 0, 0, 0];

#[test]
fn a_short_name_of_a_directory_waits_for_oplocks_below_it() {
    const DIRECTORY: u32 = SYNCHRONOUS | FILE_DIRECTORY_FILE;
    for mix in mixes() {
        let (_alone, volumes) = turn(mix);
        let name = r"\??\H:\long directory";
        drop(open(name, FILE_CREATE, DIRECTORY));
        file_with_a_byte(&format!(r"{name}\f"));
        let owner = open(&format!(r"{name}\f"), FILE_OPEN, 0);
        let request = granted(&owner, code::FSCTL_REQUEST_BATCH_OPLOCK);
        let set = move || {
            identity::begin_thread(2);
            let directory = open(name, FILE_OPEN, DIRECTORY);
            succeeded(directory.set_information(FileShortNameInformation, &SHORT_NAME));
        };
        let setting = thread::spawn("another program", set);
        assert_eq!(succeeded(request.wait()).information, TO_NONE);
        drop(owner);
        setting.join().unwrap();
        drop(open(r"\??\H:\s\f", FILE_OPEN, 0));
        std::fs::remove_dir_all(volumes.disk.0.join("long directory")).unwrap();
        adversary::configure(0, Mix::quiet());
    }
}

#[test]
fn who_may_not_delete_a_file_gives_it_no_short_name() {
    let (_alone, volumes) = turn(Mix::quiet());
    file_with_a_byte(r"\??\H:\op6");
    let rights = RIGHTS & !DELETE;
    let file = open_with(r"\??\H:\op6", rights, FILE_OPEN, SYNCHRONOUS).unwrap();
    let set = file.set_information(FileShortNameInformation, &SHORT_NAME);
    assert_eq!(set.status, STATUS_ACCESS_DENIED);
    drop(file);
    std::fs::remove_file(volumes.disk.0.join("op6")).unwrap();
}

#[test]
fn oplocks_need_an_asynchronous_handle_and_a_file() {
    let (_alone, volumes) = turn(Mix::quiet());
    let file = open(r"\??\H:\op4", FILE_CREATE, SYNCHRONOUS);
    let refused = file.fs_control(code::FSCTL_REQUEST_OPLOCK_LEVEL_2, &[], 0);
    assert_eq!(refused.status, STATUS_OPLOCK_NOT_GRANTED);
    drop(file);
    let root = open_with(r"\??\H:\", READ, FILE_OPEN, FILE_DIRECTORY_FILE).unwrap();
    let refused = root.fs_control(code::FSCTL_REQUEST_OPLOCK_LEVEL_2, &[], 0);
    assert_eq!(refused.status, STATUS_INVALID_PARAMETER);
    std::fs::remove_file(volumes.disk.0.join("op4")).unwrap();
}
