//! `qsort` and `bsearch`, which ask a routine of the driver's for the order of two elements.
//!
//! Source: the C run-time library reference. The order of elements that are equal is not said.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::processor::driver_code::entering;
use std::cmp::Ordering;
use std::ffi::c_void;
use std::ptr::null_mut;

/// The order of the first to the second: below, at or above zero.
pub type Compare = unsafe extern "win64" fn(*const c_void, *const c_void) -> i32;

/// # Safety
/// Both are elements that the driver's routine takes.
unsafe fn order(compare: Compare, a: *const u8, b: *const u8) -> Ordering {
    // SAFETY: contract.
    unsafe { entering(compare)(a.cast(), b.cast()) }.cmp(&0)
}

/// `qsort`, in place, so that the driver's routine only sees its own array. A heap: one whose routine contradicts
/// itself gets some order, as on Windows.
pub unsafe extern "win64" fn sort(
    base: *mut u8,
    count: usize,
    width: usize,
    compare: Compare,
    _caller: usize,
) {
    let at = |index: usize| base.wrapping_add(index * width);
    // SAFETY: two elements of the driver's array, which are none or the same.
    let exchange =
        |a: usize, b: usize| unsafe { std::ptr::swap_nonoverlapping(at(a), at(b), width) };
    // SAFETY: as above.
    let is_less = |a: usize, b: usize| unsafe { order(compare, at(a), at(b)) }.is_lt();
    let sift = |mut root: usize, end: usize| {
        while let Some(child) = Some(2 * root + 1).filter(|child| *child < end) {
            let child = child + usize::from(child + 1 < end && is_less(child, child + 1));
            if !is_less(root, child) {
                break;
            }
            exchange(root, child);
            root = child;
        }
    };
    for root in (0..count / 2).rev() {
        sift(root, count);
    }
    for end in (1..count).rev() {
        exchange(0, end);
        sift(0, end);
    }
}

/// `bsearch`: an element that is equal to the key, or null. The key is the first that the driver's routine gets.
pub unsafe extern "win64" fn search(
    key: *const u8,
    base: *mut u8,
    count: usize,
    width: usize,
    compare: Compare,
    _caller: usize,
) -> *mut u8 {
    let (mut from, mut to) = (0, count);
    while from < to {
        let middle = from + (to - from) / 2;
        let element = base.wrapping_add(middle * width);
        // SAFETY: the driver's key, and an element of its array.
        match unsafe { order(compare, key, element) } {
            Ordering::Less => to = middle,
            Ordering::Greater => from = middle + 1,
            Ordering::Equal => return element,
        }
    }
    null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "win64" fn by_value(a: *const c_void, b: *const c_void) -> i32 {
        // SAFETY: elements of the arrays below, here and in the next line.
        let a = unsafe { *a.cast::<i32>() };
        // SAFETY: as above.
        let b = unsafe { *b.cast::<i32>() };
        a.cmp(&b) as i32
    }

    #[test]
    fn sorted_is_what_a_search_finds() {
        for count in 0..40_i32 {
            let mut values: Vec<i32> = (0..count).map(|value| value * 7 % 11 - 5).collect();
            let mut wanted = values.clone();
            wanted.sort_unstable();
            // SAFETY: so many elements.
            unsafe { sort(values.as_mut_ptr().cast(), values.len(), 4, by_value, 0) };
            assert_eq!(values, wanted);
            for key in -7..7_i32 {
                let base = values.as_mut_ptr().cast::<u8>();
                // SAFETY: as above.
                let found =
                    unsafe { search((&raw const key).cast(), base, values.len(), 4, by_value, 0) };
                assert_eq!(!found.is_null(), values.contains(&key));
                // SAFETY: an element of the array.
                assert!(found.is_null() || unsafe { *found.cast::<i32>() } == key);
            }
        }
    }

    unsafe extern "win64" fn always_less(_: *const c_void, _: *const c_void) -> i32 {
        -1
    }

    /// Whatever the routine says, the elements stay those that they were.
    #[test]
    fn an_order_that_is_none_ends() {
        let mut values = [1, 2, 3, 4, 5];
        // SAFETY: so many elements.
        unsafe { sort(values.as_mut_ptr().cast(), 5, 4, always_less, 0) };
        values.sort_unstable();
        assert_eq!(values, [1, 2, 3, 4, 5]);
    }
}
