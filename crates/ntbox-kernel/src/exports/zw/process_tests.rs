//! A process is opened by its id and says what it is.

use super::super::tests::{close, handle_of, with_name};
use super::*;
use crate::nt::{APC_LEVEL, STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE};
use crate::processor::irql;
use crate::verifier::capture;
use std::ptr::{null, null_mut, without_provenance_mut};

fn id(value: u32) -> HANDLE {
    without_provenance_mut(value as usize)
}

fn open_with(name: &str, client: *const ClientId, access: u32) -> Result<HANDLE, NTSTATUS> {
    with_name(name, |attributes| {
        // SAFETY: all pointers are to locals.
        handle_of(|handle| unsafe { open(handle, access, attributes, client, 0) })
    })
}

fn open_process(process: HANDLE, thread: HANDLE, access: u32) -> Result<HANDLE, NTSTATUS> {
    let client = ClientId { process, thread };
    open_with("", &raw const client, access)
}

/// Status, the length that is told, and the words of the buffer.
fn ask(handle: HANDLE, class: i32, room: usize) -> (NTSTATUS, u32, [u64; 32]) {
    let mut words = [7_u64; 32];
    let mut returned = 0;
    let start = words.as_mut_ptr().cast();
    // SAFETY: the buffer has as many bytes.
    let status = unsafe { query(handle, class, start, room as u32, &raw mut returned, 0) };
    (status, returned, words)
}

#[test]
fn a_process_is_opened_by_its_id_or_by_that_of_a_thread() {
    let user = open_process(id(process::user().id()), null_mut(), 0x0200_0000).expect("there");
    let words = ask(user, class::BASIC, size_of::<Basic>()).2;
    assert_eq!(words[4], u64::from(process::user().id()));
    assert_eq!(close(user), STATUS_SUCCESS);

    let mine = id(thread::current().id());
    let owner = open_process(null_mut(), mine, QUERY_LIMITED_INFORMATION).expect("there");
    let object = handle::object_of_handle(owner);
    assert_eq!(object, Ok(thread::current().process()));
    assert_eq!(close(owner), STATUS_SUCCESS);

    let nobody = open_process(id(0xFFF0), null_mut(), 0x400);
    assert_eq!(nobody, Err(STATUS_INVALID_CID));
    let by_name = ClientId {
        process: id(4),
        thread: null_mut(),
    };
    for mixed in [
        open_with("", null(), 0x400),
        open_with(r"\System", &raw const by_name, 0x400),
    ] {
        assert_eq!(mixed, Err(STATUS_INVALID_PARAMETER_MIX));
    }
}

#[test]
fn a_process_tells_its_file_to_who_has_room_and_the_right() {
    let current = without_provenance_mut(usize::MAX);
    let path: Vec<u16> = process::user().image_path().encode_utf16().collect();
    let all = size_of::<UNICODE_STRING>() + 2 * path.len() + 2;
    let (status, returned, words) = ask(current, class::IMAGE_FILE_NAME, all);
    assert_eq!((status, returned as usize), (STATUS_SUCCESS, all));
    assert_eq!(
        words[0] as u32,
        (path.len() as u32 * 2) | (path.len() as u32 * 2 + 2) << 16
    );
    let units: Vec<u16> = words[2..]
        .iter()
        .flat_map(|word| (0..4).map(move |index| (word >> (16 * index)) as u16))
        .collect();
    assert_eq!((&units[..path.len()], units[path.len()]), (&*path, 0));

    let (status, returned, words) = ask(current, class::IMAGE_FILE_NAME, all - 1);
    assert_eq!(
        (status, returned as usize),
        (STATUS_INFO_LENGTH_MISMATCH, all)
    );
    assert_eq!(words, [7; 32]);
    let longer = ask(current, class::BASIC, size_of::<Basic>() + 8);
    assert_eq!(longer.0, STATUS_INFO_LENGTH_MISMATCH);
    assert_eq!(ask(current, 999, 8).0, STATUS_INVALID_INFO_CLASS);
    assert_eq!(ask(null_mut(), class::BASIC, 48).0, STATUS_INVALID_HANDLE);

    let system = open_process(id(4), null_mut(), QUERY_INFORMATION).expect("there");
    let (status, returned, words) = ask(system, class::IMAGE_FILE_NAME, 16);
    assert_eq!(
        (status, returned, words[0] as u32, words[1]),
        (STATUS_SUCCESS, 16, 0, 0)
    );
    close(system);
    let blind = open_process(id(4), null_mut(), 0x1).expect("there");
    assert_eq!(ask(blind, class::WOW64, 8).0, STATUS_ACCESS_DENIED);
    let ((), found) = capture(|| {
        let _level = irql::raised_to(APC_LEVEL);
        close(blind);
    });
    assert_eq!(found.len(), 1);
}

#[test]
fn the_current_process_is_the_one_that_the_thread_is_attached_to() {
    let current = without_provenance_mut(usize::MAX);
    let session = || ask(current, class::SESSION, 4).2[0] as u32;
    assert_eq!(session(), 1);
    let before = process::attach(thread::system_process(), 0, 0);
    assert_eq!(session(), 0);
    process::attach(before, 0, 0);
}
