//! Pages of the cache that are lent by an MDL, to who reads or writes in them instead of through a buffer of his own.
//!
//! The file system lends them (`CcMdlRead`, `CcPrepareMdlWrite`), and takes them back when the request of completion
//! has come down to it (`CcMdlReadComplete`, `CcMdlWriteComplete`): until then they stay locked, whatever else is
//! asked of the file. There is one list for each transfer.
//!
//! Source: DDI of those routines, `IRP_MN_MDL` and `IRP_MN_COMPLETE_MDL` in IRP_MJ_READ and IRP_MJ_WRITE.

#![expect(unsafe_code, reason = "an MDL is shared with drivers by pointer")]

use super::mdl;
use crate::nt::MDL;
use crate::pool;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The lists that are out, with the bytes of each.
static LENT: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);

fn lent() -> MutexGuard<'static, HashMap<usize, usize>> {
    LENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lends pages that hold `bytes`: their list, whose pages are locked; null if there is no memory, or nothing to lend.
pub fn lend(bytes: &[u8]) -> *mut MDL {
    let Ok(length) = u32::try_from(bytes.len()) else {
        return null_mut();
    };
    if length == 0 {
        return null_mut();
    }
    let pages = pool::allocate_for_box_as(bytes.len(), "pages of the cache, lent by an MDL,");
    if pages.is_null() {
        return null_mut();
    }
    // SAFETY: a new block of that size.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), pages.cast(), bytes.len()) };
    // SAFETY: there is no request.
    let list = unsafe { mdl::allocate(pages, length, false, null_mut()) };
    // SAFETY: a new list.
    unsafe { mdl::lock_pages(list) };
    lent().insert(list.addr(), bytes.len());
    list
}

/// True if `list` is out.
pub fn is_lent(list: *const MDL) -> bool {
    lent().contains_key(&list.addr())
}

/// The pages of `list`, and their bytes, for who was lent them.
fn pages(list: *mut MDL, lent: &HashMap<usize, usize>) -> Option<(*mut c_void, usize)> {
    let bytes = *lent.get(&list.addr())?;
    // SAFETY: a list that is out is alive.
    let pages = unsafe { mdl::virtual_address(list) };
    Some((pages, bytes))
}

/// What is in the pages of `list`; none if it is not out.
pub fn read(list: *mut MDL) -> Option<Vec<u8>> {
    let lent = lent();
    let (pages, bytes) = pages(list, &lent)?;
    // SAFETY: the block of a list that is out; who was lent it asks.
    Some(unsafe { std::slice::from_raw_parts(pages.cast::<u8>(), bytes) }.to_vec())
}

/// Fills the pages of `list` from their begin, as far as there are so many.
pub fn write(list: *mut MDL, data: &[u8]) {
    let lent = lent();
    if let Some((pages, bytes)) = pages(list, &lent) {
        let bytes = bytes.min(data.len());
        // SAFETY: the block of a list that is out; who was lent it asks.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), pages.cast(), bytes) };
    }
}

/// Takes pages back, with what is in them; none if `list` is not out.
pub fn take_back(list: *mut MDL) -> Option<Vec<u8>> {
    let found = read(list)?;
    lent().remove(&list.addr())?;
    // SAFETY: it was out until now, and is nobody else's.
    let pages = unsafe { mdl::virtual_address(list) };
    // SAFETY: as above.
    unsafe { mdl::unlock_pages(list) };
    // SAFETY: as above.
    unsafe { mdl::free(list, 0) };
    // SAFETY: the block that the list was made for.
    unsafe { pool::free_for_box(pages) };
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_lent_until_they_are_taken_back() {
        let list = lend(&[1; 5000]);
        assert!(is_lent(list));
        assert_eq!(read(list), Some(vec![1; 5000]));
        write(list, &[2; 6000]);
        assert_eq!(take_back(list), Some(vec![2; 5000]));
        assert!(!is_lent(list));
        assert_eq!((read(list), take_back(list)), (None, None));
    }

    #[test]
    fn nothing_is_lent_of_nothing() {
        assert!(lend(&[]).is_null());
    }
}
