//! Interlocked operations under a spin lock of the driver.
//!
//! Any IRQL: NT disables interrupts while the lock is held, so it may be one that
//! is never used with `KeAcquireSpinLock`.
//!
//! Source: `ExInterlockedInsertHeadList` and its relatives in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{LIST_ENTRY, SINGLE_LIST_ENTRY};
use crate::processor::{irql, spin_lock};

type List = *mut LIST_ENTRY;
type Single = *mut SINGLE_LIST_ENTRY;

/// Runs `f` at `HIGH_LEVEL` with the lock held.
///
/// # Safety
/// `lock` points to a spin lock.
unsafe fn locked<R>(lock: *mut usize, caller: usize, f: impl FnOnce() -> R) -> R {
    let raised = irql::raised_to(irql::HIGH_LEVEL);
    // SAFETY: contract of the function.
    unsafe { spin_lock::acquire_for(lock, irql::current(), caller) };
    let result = f();
    // SAFETY: held.
    unsafe { spin_lock::release_for(lock, caller) };
    drop(raised);
    result
}

/// Links `entry` between two neighbours.
///
/// # Safety
/// The neighbours are entries of one list, `entry` is in none.
unsafe fn link(before: List, entry: List, after: List) {
    // SAFETY: contract of the function.
    unsafe {
        entry.write(LIST_ENTRY {
            Flink: after,
            Blink: before,
        })
    };
    // SAFETY: contract of the function.
    unsafe { (*before).Flink = entry };
    // SAFETY: contract of the function.
    unsafe { (*after).Blink = entry };
}

/// The neighbour, or null if the list has no entry but its head.
fn unless_head(entry: List, head: List) -> List {
    if entry == head {
        std::ptr::null_mut()
    } else {
        entry
    }
}

/// Which end of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Head,
    Tail,
}

/// Inserts at one end, and returns the entry that was there, or null.
///
/// # Safety
/// A list, an entry that is in none, and a spin lock.
unsafe fn insert(head: List, entry: List, lock: *mut usize, caller: usize, end: End) -> List {
    let insert = || {
        // SAFETY: contract of the function.
        let LIST_ENTRY { Flink, Blink } = unsafe { head.read() };
        let (before, after, there) = match end {
            End::Head => (head, Flink, Flink),
            End::Tail => (Blink, head, Blink),
        };
        // SAFETY: as above.
        unsafe { link(before, entry, after) };
        unless_head(there, head)
    };
    // SAFETY: contract of the function.
    unsafe { locked(lock, caller, insert) }
}

/// `ExInterlockedInsertHeadList`: returns the entry that was first, or null.
pub unsafe extern "win64" fn insert_head_list(
    head: List,
    entry: List,
    lock: *mut usize,
    caller: usize,
) -> List {
    // SAFETY: the driver passes them.
    unsafe { insert(head, entry, lock, caller, End::Head) }
}

/// `ExInterlockedInsertTailList`: returns the entry that was last, or null.
pub unsafe extern "win64" fn insert_tail_list(
    head: List,
    entry: List,
    lock: *mut usize,
    caller: usize,
) -> List {
    // SAFETY: the driver passes them.
    unsafe { insert(head, entry, lock, caller, End::Tail) }
}

/// `ExInterlockedRemoveHeadList`: returns the entry that was first, or null.
pub unsafe extern "win64" fn remove_head_list(head: List, lock: *mut usize, caller: usize) -> List {
    let remove = || {
        // SAFETY: the driver passes a list.
        let first = unsafe { (*head).Flink };
        if first == head {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        let second = unsafe { (*first).Flink };
        // SAFETY: as above.
        unsafe { (*head).Flink = second };
        // SAFETY: as above.
        unsafe { (*second).Blink = head };
        first
    };
    // SAFETY: the driver passes a spin lock.
    unsafe { locked(lock, caller, remove) }
}

/// `ExInterlockedPushEntryList`: returns the entry that was first, or null.
pub unsafe extern "win64" fn push_entry_list(
    head: Single,
    entry: Single,
    lock: *mut usize,
    caller: usize,
) -> Single {
    let push = || {
        // SAFETY: the driver passes a list.
        let first = unsafe { (*head).Next };
        // SAFETY: the driver passes an entry that is in no list.
        unsafe { (*entry).Next = first };
        // SAFETY: as above.
        unsafe { (*head).Next = entry };
        first
    };
    // SAFETY: the driver passes a spin lock.
    unsafe { locked(lock, caller, push) }
}

/// `ExInterlockedPopEntryList`: returns the entry that was first, or null.
pub unsafe extern "win64" fn pop_entry_list(
    head: Single,
    lock: *mut usize,
    caller: usize,
) -> Single {
    let pop = || {
        // SAFETY: the driver passes a list.
        let first = unsafe { (*head).Next };
        if !first.is_null() {
            // SAFETY: entries stay alive while they are in the list.
            let next = unsafe { (*first).Next };
            // SAFETY: as above.
            unsafe { (*head).Next = next };
        }
        first
    };
    // SAFETY: the driver passes a spin lock.
    unsafe { locked(lock, caller, pop) }
}

/// Adds in memory that need not be aligned, and returns the old value.
///
/// # Safety
/// `addend` is a number of the driver's, `lock` a spin lock.
unsafe fn add<T: Copy>(
    addend: *mut T,
    lock: *mut usize,
    caller: usize,
    sum: impl FnOnce(T) -> T,
) -> T {
    let add = || {
        // SAFETY: contract of the function.
        let old = unsafe { addend.read_unaligned() };
        // SAFETY: as above.
        unsafe { addend.write_unaligned(sum(old)) };
        old
    };
    // SAFETY: contract of the function.
    unsafe { locked(lock, caller, add) }
}

/// `ExInterlockedAddLargeInteger`: returns the old value.
pub unsafe extern "win64" fn add_large_integer(
    addend: *mut i64,
    increment: i64,
    lock: *mut usize,
    caller: usize,
) -> i64 {
    // SAFETY: the driver passes a `LARGE_INTEGER` and a spin lock.
    unsafe { add(addend, lock, caller, |old| old.wrapping_add(increment)) }
}

/// `ExInterlockedAddUlong`: returns the old value.
pub unsafe extern "win64" fn add_ulong(
    addend: *mut u32,
    increment: u32,
    lock: *mut usize,
    caller: usize,
) -> u32 {
    // SAFETY: the driver passes a `ULONG` and a spin lock.
    unsafe { add(addend, lock, caller, |old| old.wrapping_add(increment)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_order_and_report_neighbours() {
        let mut lock = 0_usize;
        let mut entries = [LIST_ENTRY::default(); 4];
        let base = entries.as_mut_ptr();
        let [head, a, b, c] = [0, 1, 2, 3].map(|index| base.wrapping_add(index));
        // SAFETY: a local list, here and below.
        unsafe {
            head.write(LIST_ENTRY {
                Flink: head,
                Blink: head,
            })
        };
        // SAFETY: as above.
        assert!(unsafe { insert_tail_list(head, b, &raw mut lock, 0) }.is_null());
        // SAFETY: as above.
        assert_eq!(unsafe { insert_head_list(head, a, &raw mut lock, 0) }, b);
        // SAFETY: as above.
        assert_eq!(unsafe { insert_tail_list(head, c, &raw mut lock, 0) }, b);
        for expected in [a, b, c, std::ptr::null_mut()] {
            assert_eq!(
                // SAFETY: as above.
                unsafe { remove_head_list(head, &raw mut lock, 0) },
                expected
            );
        }
        assert_eq!((lock, irql::current()), (0, 0));
    }

    #[test]
    fn sums_return_the_old_value() {
        let (mut lock, mut sum, mut large) = (0_usize, u32::MAX, -5_i64);
        assert_eq!(
            // SAFETY: local variables, here and below.
            unsafe { add_ulong(&raw mut sum, 2, &raw mut lock, 0) },
            u32::MAX
        );
        assert_eq!(
            // SAFETY: as above.
            unsafe { add_large_integer(&raw mut large, 7, &raw mut lock, 0) },
            -5
        );
        assert_eq!((sum, large), (1, 2));
    }
}
