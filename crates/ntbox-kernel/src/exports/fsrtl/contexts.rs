//! Per-stream contexts, in the list of the file's `FSRTL_ADVANCED_FCB_HEADER`.
//!
//! The list is guarded by one lock of the box instead of the header's fast
//! mutex: nothing but these routines and the file system's teardown uses it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the list is linked through memory of file system and filters"
)]

use crate::nt::{
    FSRTL_ADVANCED_FCB_HEADER, FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS, FSRTL_PER_STREAM_CONTEXT,
    LIST_ENTRY, NTSTATUS, STATUS_INVALID_DEVICE_REQUEST, STATUS_SUCCESS,
};
use crate::processor::driver_code::entering;
use crate::processor::irql;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

static LISTS: Mutex<()> = Mutex::new(());

fn lists() -> MutexGuard<'static, ()> {
    LISTS.lock().unwrap_or_else(PoisonError::into_inner)
}

type Header = *mut FSRTL_ADVANCED_FCB_HEADER;
type StreamContext = *mut FSRTL_PER_STREAM_CONTEXT;
/// `PFREE_FUNCTION`.
type Free = unsafe extern "win64" fn(*mut c_void);

/// # Safety
/// `header` is null or a file system's header.
unsafe fn supports_contexts(header: Header) -> bool {
    let flag = FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS as u8;
    // SAFETY: contract of the function.
    !header.is_null() && unsafe { (*header).Base.Flags2 } & flag != 0
}

unsafe fn unlink(entry: *mut LIST_ENTRY) {
    // SAFETY: contract of the callers: an entry of a list that is locked.
    unsafe {
        let (next, previous) = ((*entry).Flink, (*entry).Blink);
        (*previous).Flink = next;
        (*next).Blink = previous;
    }
}

unsafe fn find(header: Header, owner: *const c_void, instance: *const c_void) -> StreamContext {
    // SAFETY: contract of the callers: a header with a list that is locked.
    unsafe {
        let list = &raw mut (*header).FilterContexts;
        let mut entry = (*list).Flink;
        while entry != list {
            let context: StreamContext = entry.cast();
            let of_owner = owner.is_null() || (*context).OwnerId.cast_const() == owner;
            let of_instance = instance.is_null() || (*context).InstanceId.cast_const() == instance;
            if of_owner && of_instance {
                return context;
            }
            entry = (*entry).Flink;
        }
    }
    null_mut()
}

/// `FsRtlInsertPerStreamContext`.
///
/// # Safety
/// The header of a file system's live stream, and a context that is in no list and stays until it is taken out.
pub unsafe extern "win64" fn insert(header: Header, context: StreamContext) -> NTSTATUS {
    irql::require("FsRtlInsertPerStreamContext", 0);
    let _lists = lists();
    // SAFETY: the file system's header, the filter's context.
    unsafe {
        if !supports_contexts(header) {
            return STATUS_INVALID_DEVICE_REQUEST;
        }
        let list = &raw mut (*header).FilterContexts;
        let entry = &raw mut (*context).Links;
        let first = (*list).Flink;
        (*entry).Flink = first;
        (*entry).Blink = list;
        (*first).Blink = entry;
        (*list).Flink = entry;
    }
    STATUS_SUCCESS
}

/// `FsRtlLookupPerStreamContextInternal`: null identifications fit any.
///
/// # Safety
/// The header of a file system's live stream.
pub unsafe extern "win64" fn lookup(
    header: Header,
    owner: *const c_void,
    instance: *const c_void,
) -> StreamContext {
    irql::require("FsRtlLookupPerStreamContextInternal", 0);
    let _lists = lists();
    // SAFETY: the file system's header.
    unsafe {
        if supports_contexts(header) {
            find(header, owner, instance)
        } else {
            null_mut()
        }
    }
}

/// `FsRtlRemovePerStreamContext`.
///
/// # Safety
/// As [`lookup`].
pub unsafe extern "win64" fn remove(
    header: Header,
    owner: *const c_void,
    instance: *const c_void,
) -> StreamContext {
    irql::require("FsRtlRemovePerStreamContext", 0);
    let _lists = lists();
    // SAFETY: the file system's header.
    unsafe {
        if !supports_contexts(header) {
            return null_mut();
        }
        let context = find(header, owner, instance);
        if !context.is_null() {
            unlink(context.cast());
        }
        context
    }
}

/// `FsRtlTeardownPerStreamContexts`: each filter frees its own, with no lock held.
///
/// # Safety
/// As [`lookup`]; nobody uses its contexts any more.
pub unsafe extern "win64" fn teardown(header: Header) {
    irql::require("FsRtlTeardownPerStreamContexts", 0);
    loop {
        // SAFETY: the file system's header.
        let context = unsafe { remove(header, std::ptr::null(), std::ptr::null()) };
        if context.is_null() {
            return;
        }
        // SAFETY: taken out of the list; its filter's callback frees it. The metadata lacks the
        // parameter and the calling convention.
        unsafe {
            if let Some(free) = (*context).FreeCallback {
                let free = std::mem::transmute::<unsafe extern "system" fn(), Free>(free);
                entering(free)(context.cast());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static FREED: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "win64" fn count(_: *mut c_void) {
        FREED.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn contexts_are_found_by_owner_and_instance_and_freed_at_teardown() {
        // SAFETY: zero is valid for structures of integers and pointers.
        let (mut header, mut one, mut two): (
            FSRTL_ADVANCED_FCB_HEADER,
            FSRTL_PER_STREAM_CONTEXT,
            _,
        ) = unsafe { std::mem::zeroed() };
        let header = &raw mut header;
        let (first, second): (StreamContext, StreamContext) = (&raw mut one, &raw mut two);
        let id = |value: usize| value as *mut c_void;
        // SAFETY: all three live until the end of the test.
        unsafe {
            (*header).FilterContexts.Flink = &raw mut (*header).FilterContexts;
            (*header).FilterContexts.Blink = &raw mut (*header).FilterContexts;
            for (context, instance) in [(first, 10), (second, 20)] {
                (*context).OwnerId = id(1);
                (*context).InstanceId = id(instance);
                let callback = std::mem::transmute::<Free, unsafe extern "system" fn()>(count);
                (*context).FreeCallback = Some(callback);
            }
            assert_eq!(insert(header, first), STATUS_INVALID_DEVICE_REQUEST);
            (*header).Base.Flags2 = FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS as u8;
            assert_eq!(insert(header, first), STATUS_SUCCESS);
            assert_eq!(insert(header, second), STATUS_SUCCESS);
            assert_eq!(lookup(header, id(1), id(10)), first);
            assert_eq!(
                lookup(header, id(1), null_mut()),
                second,
                "the newest is found first"
            );
            assert_eq!(lookup(header, id(2), null_mut()), null_mut());
            assert_eq!(remove(header, id(1), id(20)), second);
            assert_eq!(lookup(header, id(1), id(20)), null_mut());
            teardown(header);
            assert_eq!(FREED.load(Ordering::Relaxed), 1);
            assert_eq!(lookup(header, null_mut(), null_mut()), null_mut());
        }
    }
}
