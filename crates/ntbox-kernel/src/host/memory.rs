//! Address space: reserving it, and deciding page by page what may touch it.

#![expect(unsafe_code, reason = "mappings are made and unmade by address")]

use super::{PAGE, system};
use crate::host::pageable;

/// What may be done with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Nothing; any access is a fault.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
    /// Reading and executing.
    ReadExecute,
    /// Everything; only for pool that was asked for as executable.
    ReadWriteExecute,
}

/// Bytes of memory that the process occupies; `None` where the host does not say.
pub fn resident() -> Option<usize> {
    system::resident()
}

/// Rounds up to whole pages.
pub const fn whole_pages(bytes: usize) -> usize {
    bytes.div_ceil(PAGE) * PAGE
}

/// Mappings that the host lets a process have.
pub fn mapping_limit() -> usize {
    system::mapping_limit()
}

/// Reserves address space; nothing in it is accessible and it costs no memory.
pub fn reserve(bytes: usize) -> Option<usize> {
    system::reserve(bytes)
}

/// Sets the protection of whole pages. False if the host refuses (out of
/// memory, or out of mappings).
///
/// # Safety
/// The pages belong to a reservation of [`reserve`], and no live reference
/// needs more access than `protection` gives.
#[must_use]
pub unsafe fn protect(address: usize, bytes: usize, protection: Protection) -> bool {
    debug_assert!(address.is_multiple_of(PAGE) && bytes.is_multiple_of(PAGE));
    // SAFETY: contract of the function.
    unsafe { system::protect(address, bytes, protection) }
}

/// Gives the memory of whole pages back and makes them inaccessible. The
/// address space stays reserved and merges with inaccessible neighbours.
///
/// # Safety
/// As for [`protect`].
#[must_use]
pub unsafe fn discard(address: usize, bytes: usize) -> bool {
    debug_assert!(address.is_multiple_of(PAGE) && bytes.is_multiple_of(PAGE));
    // SAFETY: contract of the function.
    unsafe { system::discard(address, bytes) }
}

/// Frees the memory of whole pages and marks them in the page tables: an access
/// is a fault, and no mapping is split for it. False where the host cannot do
/// that (Linux can from 6.13 on).
///
/// # Safety
/// The pages belong to a reservation of [`reserve`], and nothing refers to them.
#[must_use]
pub unsafe fn mark(address: usize, bytes: usize) -> bool {
    debug_assert!(address.is_multiple_of(PAGE) && bytes.is_multiple_of(PAGE));
    // SAFETY: contract of the function.
    unsafe { system::mark(address, bytes) }
}

/// Takes the marks of [`mark`] away: the pages have the protection of their
/// mapping again, and are zero.
///
/// # Safety
/// As for [`mark`].
#[must_use]
pub unsafe fn unmark(address: usize, bytes: usize) -> bool {
    debug_assert!(address.is_multiple_of(PAGE) && bytes.is_multiple_of(PAGE));
    // SAFETY: contract of the function.
    unsafe { system::unmark(address, bytes) }
}

/// Ends a reservation as a whole.
///
/// # Safety
/// `address` and `bytes` are those of one [`reserve`], and nothing refers into it.
pub unsafe fn release(address: usize, bytes: usize) {
    // SAFETY: contract of the function.
    unsafe { system::release(address, bytes) }
}

/// Reads memory that may not be there. False if any byte is not readable.
pub fn try_read(address: usize, into: &mut [u8]) -> bool {
    system::try_read(address, into)
        || pageable::look(address, into.len(), || system::try_read(address, into))
}

/// Where a thread that has faulted at `instruction` goes on; `None` if that is not [`try_read`]'s.
#[cfg(windows)]
pub(crate) use system::goes_on_at;

/// Reads a pointer-size value that may not be there.
pub fn try_read_usize(address: usize) -> Option<usize> {
    let mut bytes = [0; size_of::<usize>()];
    try_read(address, &mut bytes).then(|| usize::from_ne_bytes(bytes))
}

/// Copies a structure of integers and pointers that may not be there.
///
/// # Safety
/// Every bit pattern is a valid `T`.
pub unsafe fn try_read_as<T: Copy>(address: usize) -> Option<T> {
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: the slice covers the value, which was zeroed, so that each byte is initialized.
    let bytes =
        unsafe { std::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
    // SAFETY: contract of the function; the bytes were zeroed and then overwritten.
    try_read(address, bytes).then(|| unsafe { value.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_pages_are_inaccessible_until_protected() {
        let base = reserve(4 * PAGE).unwrap();
        let mut byte = [9];
        assert!(!try_read(base, &mut byte));
        // SAFETY: pages of the reservation above, which nothing refers to.
        assert!(unsafe { protect(base, PAGE, Protection::ReadWrite) });
        // SAFETY: the page is writable now.
        unsafe { (base as *mut u8).write(0x5A) };
        assert!(try_read(base, &mut byte));
        assert_eq!(byte, [0x5A]);
        assert_eq!(try_read_usize(base), Some(0x5A));
        assert_eq!(
            try_read_usize(base + PAGE - 4),
            None,
            "it reaches into the next page"
        );
        // SAFETY: as above.
        assert!(unsafe { discard(base, PAGE) });
        assert!(!try_read(base, &mut byte));
        // SAFETY: as above; the memory comes back zeroed.
        assert!(unsafe { protect(base, PAGE, Protection::Read) });
        assert_eq!(try_read_usize(base), Some(0));
        // SAFETY: the reservation ends here.
        unsafe { release(base, 4 * PAGE) };
    }

    #[test]
    fn marked_pages_are_inaccessible_without_a_mapping_of_their_own() {
        let base = reserve(4 * PAGE).unwrap();
        // SAFETY: pages of the reservation above, here and below.
        assert!(unsafe { protect(base, 4 * PAGE, Protection::ReadWrite) });
        // SAFETY: as above.
        if unsafe { mark(base + PAGE, PAGE) } {
            assert_eq!(try_read_usize(base), Some(0));
            assert_eq!(try_read_usize(base + PAGE), None);
            // SAFETY: as above.
            assert!(unsafe { unmark(base + PAGE, PAGE) });
            assert_eq!(try_read_usize(base + PAGE), Some(0));
        }
        // SAFETY: the reservation ends here.
        unsafe { release(base, 4 * PAGE) };
    }

    #[test]
    fn reading_at_null_fails() {
        assert_eq!(try_read_usize(0), None);
        assert_eq!(try_read_usize(usize::MAX - 16), None);
    }
}
