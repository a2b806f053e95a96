//! A token is opened of a process and says who it is.

use super::super::tests::{close, handle_of};
use super::*;
use crate::exports::se::sid;
use crate::nt::{STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE};
use std::ptr::without_provenance_mut;

const CURRENT_PROCESS: usize = usize::MAX;

fn open(access: u32) -> Result<HANDLE, NTSTATUS> {
    let process = without_provenance_mut(CURRENT_PROCESS);
    // SAFETY: a local variable.
    handle_of(|handle| unsafe { open_process_ex(process, access, KERNEL_HANDLE, handle, 0) })
}

fn ask(token: HANDLE, class: i32, room: usize) -> (NTSTATUS, usize, Vec<u8>) {
    // Words, so that what is in it can be looked at by pointer.
    let mut buffer = vec![0x77_u8; room.max(64)];
    let mut returned = 0;
    let start = buffer.as_mut_ptr();
    // SAFETY: the buffer has as many bytes.
    let status = unsafe {
        query(
            token,
            class,
            start.cast(),
            room as u32,
            &raw mut returned,
            0,
        )
    };
    // What refers to the buffer is told as an offset in it.
    for at in (0..buffer.len() - 7).step_by(8) {
        let word = usize::from_le_bytes(buffer[at..at + 8].try_into().expect("8 bytes"));
        if let Some(offset) = word
            .checked_sub(start.addr())
            .filter(|offset| *offset < room)
        {
            buffer[at..at + 8].copy_from_slice(&offset.to_le_bytes());
        }
    }
    (status, returned as usize, buffer)
}

#[test]
fn a_token_says_who_it_is_in_one_buffer() {
    let token = open(0x8).expect("there");
    let (user, groups) = token::identifiers(thread::current().token());
    let all = 16 + user.bytes().len();
    let (status, returned, bytes) = ask(token, TokenUser, all);
    assert_eq!((status, returned), (STATUS_SUCCESS, all));
    assert_eq!(
        bytes[..16],
        [16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(&bytes[16..all], user.bytes());
    let (status, returned, bytes) = ask(token, TokenUser, all - 1);
    assert_eq!((status, returned), (STATUS_BUFFER_TOO_SMALL, all));
    assert!(bytes.iter().all(|byte| *byte == 0x77));

    let (status, returned, bytes) = ask(token, TokenGroups, 256);
    assert_eq!((status, bytes[0] as usize), (STATUS_SUCCESS, groups.len()));
    let first = usize::from(bytes[8]);
    assert_eq!((first, bytes[16]), (8 + 16 * groups.len(), 7));
    assert_eq!(
        &bytes[first..first + groups[0].bytes().len()],
        groups[0].bytes()
    );
    let texts: usize = groups.iter().map(|sid| sid.bytes().len()).sum();
    assert_eq!(returned, first + texts);

    assert_eq!(ask(token, TokenOwner, 64).2[8..8 + all - 16], *user.bytes());
    assert_eq!(ask(token, TokenType, 4).2[..4], TokenPrimary.to_le_bytes());
    assert_eq!(ask(token, 99, 64).0, STATUS_INVALID_INFO_CLASS);
    close(token);
    assert_eq!(ask(token, TokenUser, 64).0, STATUS_INVALID_HANDLE);
    assert_eq!(sid::LOCAL_SYSTEM.bytes().len(), 12);
}

#[test]
fn a_token_is_asked_with_the_right_alone() {
    let blind = open(0x1).expect("there");
    assert_eq!(ask(blind, TokenUser, 64).0, STATUS_ACCESS_DENIED);
    let process = blind;
    // SAFETY: a local variable.
    let wrong = handle_of(|handle| unsafe { open_process(process, 0x8, handle, 0) });
    assert_eq!(wrong, Err(STATUS_OBJECT_TYPE_MISMATCH));
    close(blind);
    let thread = without_provenance_mut(CURRENT_THREAD as usize);
    // SAFETY: as above.
    let none = handle_of(|handle| unsafe { open_thread_ex(thread, 0x8, 1, 0, handle, 0) });
    assert_eq!(none, Err(STATUS_NO_TOKEN));
}
