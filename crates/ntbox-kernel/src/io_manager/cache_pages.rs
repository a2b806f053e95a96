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
use std::ptr::null_mut;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The lists that are out, by their exposed address, with the bytes of each.
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
    lent().insert(list.expose_provenance(), bytes.len());
    list
}

/// True if `list` is out.
pub fn is_lent(list: *const MDL) -> bool {
    lent().contains_key(&list.addr())
}

/// A list that is out, with the address of its pages and their bytes; none if it is not.
fn find(list: *const MDL, lent: &HashMap<usize, usize>) -> Option<(*mut MDL, *mut u8, usize)> {
    let bytes = *lent.get(&list.addr())?;
    let list = std::ptr::with_exposed_provenance_mut(list.addr());
    // SAFETY: one that is out is alive.
    let pages = unsafe { mdl::virtual_address(list) };
    Some((list, pages.cast(), bytes))
}

/// What is in the pages of `list`; none if it is not out.
pub fn read(list: *const MDL) -> Option<Vec<u8>> {
    let lent = lent();
    let (_, pages, bytes) = find(list, &lent)?;
    let mut found = vec![0; bytes];
    // SAFETY: the block of a list that is out, which stays while the lock is held.
    unsafe { std::ptr::copy_nonoverlapping(pages, found.as_mut_ptr(), bytes) };
    Some(found)
}

/// Fills the pages of `list` from their begin, as far as there are so many.
pub fn write(list: *const MDL, data: &[u8]) {
    let lent = lent();
    if let Some((_, pages, bytes)) = find(list, &lent) {
        // SAFETY: as in `read`.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), pages, bytes.min(data.len())) };
    }
}

/// Takes pages back, with what is in them; none if `list` is not out.
pub fn take_back(list: *const MDL) -> Option<Vec<u8>> {
    let found = read(list)?;
    let mut lent = lent();
    let (list, pages, _) = find(list, &lent)?;
    lent.remove(&list.addr());
    drop(lent);
    // SAFETY: it was out until now, and is nobody else's.
    unsafe { mdl::unlock_pages(list) };
    // SAFETY: as above.
    unsafe { mdl::free(list, 0) };
    // SAFETY: the block that the list was made for.
    unsafe { pool::free_for_box(pages.cast()) };
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
