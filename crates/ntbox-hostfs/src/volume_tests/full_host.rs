//! A host whose disk is full, and that cannot give room back.

#![expect(
    unsafe_code,
    reason = "the kernel of the host is asked to let calls fail"
)]

use super::*;
use crate::volume::{Object, Stream};
use std::sync::Arc;

const PORTION: usize = 0x1_0000;

/// Has `fallocate` fail from now on in this thread, and writes that begin at `full_from` in a file or behind it.
fn fill_host(full_from: u32) {
    let instruction = |code: u32, k: u32, skipped| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: skipped,
        k,
    };
    let load = |at| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0);
    let unless =
        |test, value, skipped| instruction(libc::BPF_JMP | libc::BPF_K | test, value, skipped);
    let returns = |value| instruction(libc::BPF_RET | libc::BPF_K, value, 0);
    let fails = |error: i32| returns(libc::SECCOMP_RET_ERRNO | error.cast_unsigned());
    // In `seccomp_data`: the number of the call, and its fourth argument, which is where a write begins.
    let (number, offset) = (0, 40);
    let filter = [
        load(number),
        unless(libc::BPF_JEQ, libc::SYS_fallocate as u32, 1),
        fails(libc::EOPNOTSUPP),
        unless(libc::BPF_JEQ, libc::SYS_pwrite64 as u32, 3),
        load(offset),
        unless(libc::BPF_JGE, full_from, 1),
        fails(libc::ENOSPC),
        returns(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: numbers alone.
    let no_more = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program is whole, and the kernel copies it.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    assert_eq!((no_more, set), (0, 0));
}

/// Runs `work` on such a host.
fn on_a_full_host<R: Send>(full_from: usize, work: impl FnOnce() -> R + Send) -> R {
    let filled = move || {
        fill_host(full_from as u32);
        work()
    };
    std::thread::scope(|scope| scope.spawn(filled).join().unwrap())
}

fn stream(fixture: &Fixture, open: OpenId) -> Arc<Stream> {
    match &fixture.volume.state().file_of(open).unwrap().object {
        Object::File(stream) => Arc::clone(stream),
        _ => panic!("it is a file"),
    }
}

#[test]
fn zeroes_are_told_of_as_they_are_written() {
    let fixture = new();
    let f = fixture.open(r"\f", FILE_CREATE, 0);
    fixture.write(f, 0, &[1; 4 * PORTION]);
    let stream = stream(&fixture, f);
    let zero = |full_from| {
        let bytes = 5..4 * PORTION as u64 - 5;
        let mut told = Vec::new();
        let zeroed = on_a_full_host(full_from, || {
            let zeroed = stream.zero(&bytes, false, |part| told.push(part.clone()));
            zeroed.map_err(|error| error.kind())
        });
        let seen = fixture.read(f, 0, 4 * PORTION).unwrap();
        for (at, byte) in (0..).zip(seen) {
            let is_told = told.iter().any(|part| part.contains(&at));
            assert_eq!(byte, u8::from(!is_told), "{at}");
        }
        (zeroed, told.last().unwrap().end)
    };
    let full = Err(std::io::ErrorKind::StorageFull);
    assert_eq!(zero(2 * PORTION), (full, 2 * PORTION as u64 + 5));
    assert_eq!(zero(5 * PORTION), (Ok(true), 4 * PORTION as u64 - 5));
}

/// Where all is zero, nothing is written on such a host; yet the last write is now.
#[test]
fn zeroes_that_are_there_are_written_now() {
    let fixture = new();
    let f = fixture.open(r"\f", FILE_CREATE, 0);
    let end = (PORTION as u64).to_le_bytes();
    fixture.set(f, FileEndOfFileInformation, &end);
    let stream = stream(&fixture, f);
    let written = || stream.metadata().unwrap().written;
    let old = written() - 10_000_000;
    stream.set_times(None, Some(old)).unwrap();
    let zero = |from: u64| {
        let range = [from, from + 5].map(u64::to_le_bytes).concat();
        let zeroed = on_a_full_host(0, || {
            let (control, caller) = (code::FSCTL_SET_ZERO_DATA, Transfer::default());
            let buffers = (&range[..], &mut [][..]);
            let zero = |effects: &mut Effects<'_>| {
                let volume = &fixture.volume;
                volume.sparse_control(f, control, &caller, buffers, effects)
            };
            effects(zero).0
        });
        assert_eq!(zeroed, (STATUS_SUCCESS, 0));
    };
    zero(2 * PORTION as u64);
    assert_eq!(written(), old, "there is nothing behind the end");
    zero(0);
    assert!(written() > old);
}

#[test]
fn a_file_without_room_for_a_write_stays_as_it_is() {
    let fixture = new();
    let f = fixture.open(r"\f", FILE_CREATE, 0);
    fixture.write(f, 0, b"data");
    fixture.close(f);
    let f = fixture.open(r"\f", FILE_OPEN, 0);
    let sparse = |on| {
        let control = code::FSCTL_SET_SPARSE;
        let buffers = (&[on][..], &mut [][..]);
        let caller = Transfer::default();
        effects(|effects| {
            fixture
                .volume
                .sparse_control(f, control, &caller, buffers, effects)
        });
    };
    sparse(1);
    let state = || {
        let bytes = fixture.query(f, FileNetworkOpenInformation, 56).unwrap();
        (bytes[16..24].to_vec(), bytes[40..48].to_vec())
    };
    let before = state();
    let transfer = Transfer {
        offset: PORTION as i64,
        ..Transfer::default()
    };
    let room = || fixture.volume.make_room(f, &transfer, 100);
    assert_eq!(on_a_full_host(PORTION, room), Err(STATUS_DISK_FULL));
    assert_eq!(state(), before);
    assert_eq!(room(), Ok(()));
    assert_eq!(state().1, (PORTION as u64 + 100).to_le_bytes());
    // Inside of the file, some of it has got room when there is no more.
    let end = (4 * PORTION as u64).to_le_bytes();
    fixture.set(f, FileEndOfFileInformation, &end);
    let before = state();
    let transfer = Transfer::default();
    let room = || {
        let length = 4 * PORTION as u32;
        fixture.volume.make_room(f, &transfer, length)
    };
    assert_eq!(on_a_full_host(3 * PORTION, room), Err(STATUS_DISK_FULL));
    assert_eq!(state(), before);
}
