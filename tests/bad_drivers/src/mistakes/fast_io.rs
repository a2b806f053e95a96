//! Fast I/O that returns otherwise than it was entered, or answers what is not its to answer.

use super::Mistake;
use crate::filter::fast_io_query_standard_info;
use crate::kernel::KfRaiseIrql;
use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::{
    APC_LEVEL, BOOLEAN, FILE_OBJECT, KIRQL, PDEVICE_OBJECT, PFILE_STANDARD_INFORMATION,
    PIO_STATUS_BLOCK, PMDL, ntddk,
};

/// FAST_IO_QUERY_STANDARD_INFO.
type Query = unsafe extern "C" fn(
    *mut FILE_OBJECT,
    BOOLEAN,
    PFILE_STANDARD_INFORMATION,
    PIO_STATUS_BLOCK,
    PDEVICE_OBJECT,
) -> BOOLEAN;

/// The routine for the fast I/O table, if the mistake is made there.
pub fn query(mistake: Mistake) -> Option<Query> {
    match mistake {
        Mistake::FastIoReturnsRaised => Some(query_and_raise),
        Mistake::FastIoReturnsInCriticalRegion => Some(query_and_enter),
        _ => None,
    }
}

/// A routine of which there is nothing, for a slot that the system calls.
pub fn wild<F: Copy>() -> Option<F> {
    const { assert!(size_of::<Option<F>>() == size_of::<usize>()) };
    let address = core::hint::black_box(NOWHERE);
    // SAFETY: it is no function, which is the mistake; nothing but the slot gets it.
    unsafe { core::mem::transmute_copy(&address) }
}

/// As of characters, which have been copied over a pointer.
const NOWHERE: usize = 0x41_4141_4140;

/// Lists that were answered for.
static ANSWERED: AtomicU32 = AtomicU32::new(0);

/// MDL_READ_COMPLETE, of pages that come from below.
pub unsafe extern "C" fn answer_mdl_read(
    _file: *mut FILE_OBJECT,
    _list: PMDL,
    _device: PDEVICE_OBJECT,
) -> BOOLEAN {
    ANSWERED.fetch_add(1, Ordering::Relaxed);
    1
}

unsafe extern "C" fn query_and_raise(
    file: *mut FILE_OBJECT,
    wait: BOOLEAN,
    buffer: PFILE_STANDARD_INFORMATION,
    result: PIO_STATUS_BLOCK,
    device: PDEVICE_OBJECT,
) -> BOOLEAN {
    let answered = fast_io_query_standard_info(file, wait, buffer, result, device);
    KfRaiseIrql(APC_LEVEL as KIRQL);
    answered
}

unsafe extern "C" fn query_and_enter(
    file: *mut FILE_OBJECT,
    wait: BOOLEAN,
    buffer: PFILE_STANDARD_INFORMATION,
    result: PIO_STATUS_BLOCK,
    device: PDEVICE_OBJECT,
) -> BOOLEAN {
    ntddk::KeEnterCriticalRegion();
    fast_io_query_standard_info(file, wait, buffer, result, device)
}
