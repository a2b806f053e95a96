//! Handles: one table for the process.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the table holds references to objects by pointer"
)]

use super::lifetime::{dereference, reference};
use super::object::{header, locked};
use super::{process, thread};
use crate::nt::{HANDLE, NTSTATUS, STATUS_INVALID_HANDLE, STATUS_SUCCESS};
use crate::pe_image::{self, Image};
use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::sync::atomic::Ordering;
use std::sync::{LazyLock, Mutex};

struct Entry {
    object: usize,
    access: u32,
    /// Whose handle it is; kernel handles are the system's.
    process: u32,
    /// The call of a driver that opened it; 0 if it was a program's.
    opened_by: usize,
}

/// One table for the process: the box has one system and one user process, and
/// kernel handles are told apart by their high bits only.
#[derive(Default)]
struct Table {
    next: usize,
    entries: HashMap<usize, Entry>,
    /// Handles that drivers have closed last, with the call that did; no number is given out again.
    closed: VecDeque<(usize, usize)>,
}

/// So many are remembered.
const CLOSED: usize = 1024;

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

/// Set in kernel handles, as in NT.
const KERNEL_HANDLE: usize = 0xFFFF_FFFF_8000_0000;

/// Puts a new handle on the object, which it references.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn open_handle(object: *mut c_void, access: u32, kernel: bool) -> HANDLE {
    // SAFETY: contract.
    unsafe { reference(object) };
    // SAFETY: contract.
    unsafe { header(object) }
        .handles
        .fetch_add(1, Ordering::Relaxed);
    let opened_by = pe_image::driver_calls().first().copied().unwrap_or(0);
    let mut table = locked(&TABLE);
    table.next += 4;
    let value = if kernel {
        table.next | KERNEL_HANDLE
    } else {
        table.next
    };
    table.entries.insert(
        value,
        Entry {
            object: object as usize,
            access,
            process: if kernel {
                process::system()
            } else {
                thread::current().owner()
            }
            .id(),
            opened_by,
        },
    );
    value as HANDLE
}

/// Another handle of the current process on the object, with the same access.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`.
pub fn duplicate(handle: HANDLE) -> Result<HANDLE, NTSTATUS> {
    let (object, access) = reference_by_handle(handle)?;
    // SAFETY: referenced above, until the new handle has a reference.
    unsafe {
        let duplicate = open_handle(object, access, false);
        dereference(object);
        Ok(duplicate)
    }
}

/// True for a handle that programs cannot use.
pub fn is_kernel_handle(handle: HANDLE) -> bool {
    handle as usize & KERNEL_HANDLE == KERNEL_HANDLE
}

/// The object behind a handle, not referenced; the handle keeps it.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`.
pub fn object_of_handle(handle: HANDLE) -> Result<*mut c_void, NTSTATUS> {
    let table = locked(&TABLE);
    let entry = table
        .entries
        .get(&(handle as usize))
        .ok_or(STATUS_INVALID_HANDLE)?;
    Ok(entry.object as *mut c_void)
}

/// The object behind a handle with a reference of its own, and the granted access.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`.
pub fn reference_by_handle(handle: HANDLE) -> Result<(*mut c_void, u32), NTSTATUS> {
    let table = locked(&TABLE);
    let entry = table
        .entries
        .get(&(handle as usize))
        .ok_or(STATUS_INVALID_HANDLE)?;
    let object = entry.object as *mut c_void;
    // SAFETY: the table holds a reference while the entry is in it, and it is locked.
    unsafe { reference(object) };
    Ok((object, entry.access))
}

/// Access that was granted to the handle.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`.
pub fn access_of_handle(handle: HANDLE) -> Result<u32, NTSTATUS> {
    let table = locked(&TABLE);
    table
        .entries
        .get(&(handle as usize))
        .map(|entry| entry.access)
        .ok_or(STATUS_INVALID_HANDLE)
}

/// The handles that code of the image has opened and nobody has closed, with who opened each. Those of a program are
/// closed when it ends; kernel handles are the system's, as are all that its threads open.
pub fn left_by(image: &Image) -> Vec<(usize, usize)> {
    let system = process::system().id();
    let table = locked(&TABLE);
    let of_system = table.entries.iter();
    of_system
        .filter(|(_, entry)| entry.process == system)
        .map(|(value, entry)| (*value, entry.opened_by))
        .filter(|(_, site)| image.contains(*site))
        .collect()
}

/// A driver has closed the handle, by its call that returns to `site`.
pub fn remember_closed(handle: HANDLE, site: usize) {
    let mut table = locked(&TABLE);
    if table.closed.len() == CLOSED {
        table.closed.pop_front();
    }
    table.closed.push_back((handle as usize, site));
}

/// The call of a driver that has closed the handle, if it is not long ago.
pub fn closed_at(handle: HANDLE) -> Option<usize> {
    let table = locked(&TABLE);
    let mut closed = table.closed.iter();
    closed
        .find(|(closed, _)| *closed == handle as usize)
        .map(|(_, site)| *site)
}

/// Number of open handles.
pub fn open_handles() -> usize {
    locked(&TABLE).entries.len()
}

/// `NtClose`. The last handle of a file sends `IRP_MJ_CLEANUP`, its last
/// reference `IRP_MJ_CLOSE`, the last one of a process that has locked bytes `IRP_MN_UNLOCK_ALL`: its type's procedures do.
pub fn close_handle(handle: HANDLE) -> NTSTATUS {
    let mut table = locked(&TABLE);
    let Some(entry) = table.entries.remove(&(handle as usize)) else {
        return STATUS_INVALID_HANDLE;
    };
    // SAFETY: the removed entry owned a reference, given up below.
    let others = unsafe { header(entry.object as *mut c_void) }
        .handles
        .load(Ordering::Acquire)
        > 1;
    let of_process = |other: &Entry| (other.object, other.process) == (entry.object, entry.process);
    // A driver closes its own in the middle of the file's requests, under whose lock locks are given back.
    let left = others && !is_kernel_handle(handle) && !table.entries.values().any(of_process);
    drop(table);
    let object = entry.object as *mut c_void;
    // SAFETY: as above.
    unsafe {
        if left && let Some(left) = header(object).procedures.and_then(|type_| type_.left) {
            left(object);
        }
        let last = header(object).handles.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && let Some(closed) = header(object).procedures.and_then(|type_| type_.closed) {
            closed(object);
        }
        dereference(object);
    }
    STATUS_SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::object::{Kind, create, handle_count, kind_of, pointer_count};

    #[test]
    fn a_handle_keeps_its_object_and_closes_once() {
        let object = create(Kind::Event, 24);
        // SAFETY: the object is alive and owned here.
        unsafe {
            assert_eq!(kind_of(object), Some(Kind::Event));
            let handle = open_handle(object, 3, true);
            assert!(handle as isize <= -0x8000_0000 || handle as usize & 0x8000_0000 != 0);
            assert_eq!(pointer_count(object), 2);
            assert_eq!(handle_count(object), 1);
            assert_eq!(object_of_handle(handle), Ok(object));
            assert_eq!(access_of_handle(handle), Ok(3));
            let (again, _) = reference_by_handle(handle).expect("open");
            assert_eq!(pointer_count(again), 3);
            dereference(again);
            assert_eq!(close_handle(handle), STATUS_SUCCESS);
            assert_eq!(close_handle(handle), STATUS_INVALID_HANDLE);
            assert_eq!(object_of_handle(handle), Err(STATUS_INVALID_HANDLE));
            assert_eq!(pointer_count(object), 1);
            dereference(object);
        }
    }
}
