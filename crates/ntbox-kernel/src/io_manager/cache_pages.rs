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
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A list that is out. Another may lie where it was as soon as it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loan {
    number: u64,
    bytes: usize,
}

/// The lists that are out, by their exposed address.
static LENT: LazyLock<Mutex<HashMap<usize, Loan>>> = LazyLock::new(Mutex::default);
static LOANS: AtomicU64 = AtomicU64::new(0);

fn lent() -> MutexGuard<'static, HashMap<usize, Loan>> {
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
    let loan = Loan {
        number: LOANS.fetch_add(1, Relaxed),
        bytes: bytes.len(),
    };
    lent().insert(list.expose_provenance(), loan);
    list
}

/// What `list` is out as; none if it is not.
pub fn loan(list: *const MDL) -> Option<Loan> {
    lent().get(&list.addr()).copied()
}

/// A list that is out, with the address of its pages and their bytes; none if it is not.
fn find(list: *const MDL, lent: &HashMap<usize, Loan>) -> Option<(*mut MDL, *mut u8, usize)> {
    let bytes = lent.get(&list.addr())?.bytes;
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
        assert!(loan(list).is_some());
        assert_eq!(read(list), Some(vec![1; 5000]));
        write(list, &[2; 6000]);
        assert_eq!(take_back(list), Some(vec![2; 5000]));
        assert_eq!(loan(list), None);
        assert_eq!((read(list), take_back(list)), (None, None));
    }

    /// Who asks later for the loan that he had is not told of another's at the same address.
    #[test]
    fn each_loan_is_another() {
        let list = lend(&[1; 5]);
        let first = loan(list);
        take_back(list);
        let again = lend(&[1; 5]);
        assert_ne!(loan(again), first);
        take_back(again);
    }

    #[test]
    fn nothing_is_lent_of_nothing() {
        assert!(lend(&[]).is_null());
    }
}
