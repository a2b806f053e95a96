//! The filter manager's list of filters.

#![expect(unsafe_code, reason = "Windows is called by its C interface")]

use crate::system::{Filter, filter_manager};
use std::ffi::c_void;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Storage::InstallableFileSystems::{
    FilterAggregateBasicInformation, FilterFindClose, FilterFindFirst, FilterFindNext,
};

/// Room for one entry with the longest names, which are less than 64 KB each.
const ROOM: usize = 0x2_0000;

/// All of them, or those before the first failure; none without administrator rights.
pub fn all() -> Vec<Filter> {
    let mut filters = Vec::new();
    // In units of the entries' alignment.
    let mut buffer = vec![0_u32; ROOM / size_of::<u32>()];
    let (first, room) = (buffer.as_mut_ptr().cast::<c_void>(), ROOM as u32);
    let (mut returned, mut search): (u32, HANDLE) = (0, std::ptr::null_mut());
    let class = FilterAggregateBasicInformation;
    // SAFETY: a buffer of the stated size, and places for the length and the handle.
    let mut result =
        unsafe { FilterFindFirst(class, first, room, &raw mut returned, &raw mut search) };
    if result < 0 {
        return filters;
    }
    while result >= 0 {
        let length = (returned as usize).min(ROOM);
        // SAFETY: so much of the buffer is initialized: it was zeroed, and then filled.
        let bytes = unsafe { std::slice::from_raw_parts(first.cast::<u8>(), length) };
        filters.extend(filter_manager::filters(bytes));
        // SAFETY: the handle of the search; as above.
        result = unsafe { FilterFindNext(search, class, first, room, &raw mut returned) };
    }
    // SAFETY: the handle of the search, closed once.
    unsafe { FilterFindClose(search) };
    filters
}
