//! Fast I/O for byte-range locks.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "arguments are given by pointer"
)]

use super::control::LockRequest;
use super::fast_call::{Call, Device, File, Iosb, answer, entry};
use super::oplocks::Operation;
use super::waiting::{Effects, Outcome, Ticket};
use ntbox_kernel::nt::{NTSTATUS, STATUS_SUCCESS};
use std::ffi::c_void;

pub(super) unsafe extern "win64" fn lock(
    file: File,
    offset: *mut i64,
    length: *mut i64,
    process: *mut c_void,
    key: u32,
    fail_immediately: u8,
    exclusive: u8,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(
            entry::LOCK,
            (file, device),
            [*offset as u64, *length as u64],
            iosb,
            |call| {
                if !call.oplock_allows(Operation::Lock) {
                    return None;
                }
                let request = LockRequest {
                    offset: *offset,
                    length: *length,
                    process: process as usize,
                    key,
                    exclusive: exclusive != 0,
                    fail_immediately: true,
                };
                // A lock that must wait is the IRP's business.
                let outcome = call
                    .mounted
                    .volume
                    .lock(call.open, &request, Ticket(0), &|| false);
                call.update();
                match outcome {
                    Outcome::Done(STATUS_SUCCESS, _) => Some((STATUS_SUCCESS, 0)),
                    Outcome::Done(status, _) if fail_immediately != 0 => Some((status, 0)),
                    Outcome::Done(..) | Outcome::Waiting => None,
                }
            },
        )
    }
}

pub(super) unsafe extern "win64" fn unlock_single(
    file: File,
    offset: *mut i64,
    length: *mut i64,
    process: *mut c_void,
    key: u32,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(
            entry::UNLOCK_SINGLE,
            (file, device),
            [*offset as u64, *length as u64],
            iosb,
            |call| {
                let (range, process) = ((*offset, *length), process as usize);
                let volume = &call.mounted.volume;
                let unlock = |effects: &mut Effects<'_>| {
                    volume.unlock_single(call.open, process, key, range, effects)
                };
                Some((call.with_effects(unlock), 0))
            },
        )
    }
}

fn unlock_keys(call: &Call, process: *mut c_void, key: Option<u32>) -> Option<(NTSTATUS, usize)> {
    let (volume, process) = (&call.mounted.volume, process as usize);
    Some((
        call.with_effects(|effects| volume.unlock_all(call.open, process, key, effects)),
        0,
    ))
}

pub(super) unsafe extern "win64" fn unlock_all(
    file: File,
    process: *mut c_void,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(entry::UNLOCK_ALL, (file, device), [0; 2], iosb, |call| {
            unlock_keys(call, process, None)
        })
    }
}

pub(super) unsafe extern "win64" fn unlock_all_by_key(
    file: File,
    process: *mut c_void,
    key: u32,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(
            entry::UNLOCK_ALL_BY_KEY,
            (file, device),
            [0; 2],
            iosb,
            |call| unlock_keys(call, process, Some(key)),
        )
    }
}
