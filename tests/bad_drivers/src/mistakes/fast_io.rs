//! Fast I/O that returns otherwise than it was entered.

use super::Mistake;
use crate::filter::fast_io_query_standard_info;
use crate::kernel::KfRaiseIrql;
use wdk_sys::{
    APC_LEVEL, BOOLEAN, FILE_OBJECT, KIRQL, PDEVICE_OBJECT, PFILE_STANDARD_INFORMATION,
    PIO_STATUS_BLOCK, ntddk,
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
