//! Tables of both kinds, used as a driver uses them.

use super::*;
use crate::nt::{DISPATCH_LEVEL, RTL_GENERIC_TABLE, STATUS_END_OF_FILE};
use crate::processor::irql::HIGH_LEVEL;
use crate::verifier::capture;
use std::alloc::{Layout, alloc, dealloc};

/// What the driver keeps with its table: the elements that are allocated, and how many more may be.
#[derive(Default)]
struct Memory {
    live: Vec<(usize, u32)>,
    room: usize,
}

/// # Safety
/// The table was made by [`with`].
unsafe fn memory<'a, T: Table + Context>(table: *mut T) -> &'a mut Memory {
    // SAFETY: contract.
    unsafe { &mut *T::context(table).cast() }
}

trait Context {
    /// # Safety
    /// The table is initialized.
    unsafe fn context(table: *mut Self) -> *mut c_void;
}

impl Context for RTL_AVL_TABLE {
    unsafe fn context(table: *mut Self) -> *mut c_void {
        // SAFETY: contract.
        unsafe { (*table).TableContext }
    }
}

impl Context for RTL_GENERIC_TABLE {
    unsafe fn context(table: *mut Self) -> *mut c_void {
        // SAFETY: contract.
        unsafe { (*table).TableContext }
    }
}

unsafe extern "win64" fn compare<T>(_: *mut T, one: *const c_void, two: *const c_void) -> i32 {
    // SAFETY: elements are numbers.
    let (one, two) = unsafe { (*one.cast::<u32>(), *two.cast::<u32>()) };
    match one.cmp(&two) {
        Ordering::Less => GenericLessThan,
        Ordering::Equal => GenericEqual,
        Ordering::Greater => crate::nt::GenericGreaterThan,
    }
}

fn layout(bytes: u32) -> Layout {
    Layout::from_size_align(bytes as usize, 16).unwrap()
}

unsafe extern "win64" fn allocate<T: Table + Context>(table: *mut T, bytes: u32) -> *mut c_void {
    // SAFETY: as the box calls it.
    let memory = unsafe { memory(table) };
    if memory.live.len() == memory.room {
        return null_mut();
    }
    // SAFETY: there are bytes.
    let block = unsafe { alloc(layout(bytes)) };
    memory.live.push((block as usize, bytes));
    block.cast()
}

unsafe extern "win64" fn free<T: Table + Context>(table: *mut T, block: *mut c_void) {
    // SAFETY: as the box calls it.
    let memory = unsafe { memory(table) };
    let index = memory.live.iter().position(|(at, _)| *at == block as usize);
    let (_, bytes) = memory.live.remove(index.expect("what was allocated"));
    // SAFETY: allocated above.
    unsafe { dealloc(block.cast(), layout(bytes)) };
}

/// Calls `f` with a table of at most `room` elements; the bytes of those that are left.
fn with<T: Table + Context + Default>(room: usize, f: impl FnOnce(*mut T)) -> Vec<u32> {
    let mut memory = Memory {
        room,
        ..Memory::default()
    };
    let mut table = T::default();
    let context = (&raw mut memory).cast();
    // SAFETY: both live until the end of the function.
    unsafe {
        initialize(&raw mut table, compare, allocate, free, context, 0);
    }
    f(&raw mut table);
    memory.live.iter().map(|(_, bytes)| *bytes).collect()
}

fn put<T: Table>(table: *mut T, key: u32) -> (Option<u32>, bool) {
    let mut new = 7;
    let key = (&raw const key).cast();
    // SAFETY: a table of numbers.
    let element = unsafe { insert(table, key, 4, &raw mut new, 0) };
    (value(element), new != 0)
}

fn value(element: *mut c_void) -> Option<u32> {
    // SAFETY: null or an element, which is a number.
    unsafe { element.cast::<u32>().as_ref() }.copied()
}

fn has<T: Table>(table: *mut T, key: u32) -> bool {
    // SAFETY: as above.
    !unsafe { lookup(table, (&raw const key).cast(), 0) }.is_null()
}

fn take<T: Table>(table: *mut T, key: u32) -> bool {
    // SAFETY: as above.
    unsafe { delete(table, (&raw const key).cast(), 0) != 0 }
}

fn by_index<T: Table>(table: *mut T) -> Vec<u32> {
    // SAFETY: as above; there is no element behind the last.
    let all = (0..).map(|index| value(unsafe { get_element(table, index) }));
    all.map_while(|value| value).collect()
}

fn in_order<T: Table>(table: *mut T) -> Vec<u32> {
    let mut key = null_mut();
    let next = || {
        // SAFETY: as above; the key is what the last call left.
        value(unsafe { enumerate_without_splaying(table, &raw mut key, 0) })
    };
    std::iter::from_fn(next).collect()
}

/// Even numbers below 8 are wanted.
unsafe extern "win64" fn even_below_8(
    _: *mut RTL_AVL_TABLE,
    element: *mut c_void,
    data: *mut c_void,
) -> NTSTATUS {
    assert_eq!(data.addr(), 5);
    match value(element) {
        Some(8..) => STATUS_END_OF_FILE,
        Some(number) if number % 2 == 0 => STATUS_SUCCESS,
        _ => STATUS_NO_MATCH,
    }
}

#[test]
fn a_table_is_listed_like_a_directory() {
    with(10, |table: *mut RTL_AVL_TABLE| {
        for number in [3, 9, 1, 6, 2, 4, 8] {
            put(table, number);
        }
        let (mut key, mut deleted) = (null_mut(), 0);
        let mut list = |matches, from: u32, next| {
            let (buffer, data) = (
                (&raw const from).cast(),
                std::ptr::without_provenance_mut(5),
            );
            let (key, deleted) = (&raw mut key, &raw mut deleted);
            // SAFETY: a table of numbers, and locals.
            value(unsafe {
                enumerate_like_a_directory(table, matches, data, next, key, deleted, buffer, 0)
            })
        };
        // From what the buffer says, or what comes behind that.
        assert_eq!(list(None, 2, 0), Some(2));
        assert_eq!(list(None, 0, 1), Some(3));
        assert_eq!(list(None, 0, 0), Some(3));
        assert_eq!(list(Some(even_below_8), 0, 1), Some(4));
        assert_eq!(list(Some(even_below_8), 0, 1), Some(6));
        assert_eq!(list(Some(even_below_8), 0, 1), None);
        // What was deleted since leaves the buffer to say where to go on.
        assert!(take(table, 6));
        assert_eq!(list(None, 6, 1), Some(8));
        assert_eq!(list(None, 0, 1), Some(9));
        assert_eq!(list(None, 0, 1), None);
        assert!(take(table, 9));
        assert_eq!(list(None, 10, 0), None);
        assert_eq!(deleted, 2);
    });
}

fn elements_come_and_go<T: Table + Context + Default>(header: u32) {
    let left = with(3, |table: *mut T| {
        // SAFETY: the table is initialized.
        assert_eq!(unsafe { is_empty(table) }, 1);
        assert_eq!(put(table, 5), (Some(5), true));
        assert_eq!(put(table, 3), (Some(3), true));
        assert_eq!(put(table, 5), (Some(5), false), "there already");
        assert_eq!(put(table, 9), (Some(9), true));
        assert_eq!(put(table, 7), (None, false), "the driver has no memory");
        assert!(has(table, 3) && !has(table, 4));
        assert_eq!(in_order(table), [3, 5, 9]);
        // SAFETY: as above.
        assert_eq!(unsafe { (number(table), is_empty(table)) }, (3, 0));
        // What is returned last may be deleted, and the enumeration goes on behind it.
        let step = |restart| {
            // SAFETY: as above.
            value(unsafe { enumerate(table, restart, 0) })
        };
        assert_eq!([step(1), step(0)], [Some(3), Some(5)]);
        assert!(take(table, 5) && !take(table, 5));
        assert_eq!([step(0), step(0)], [Some(9), None]);
        assert_eq!(put(table, 4), (Some(4), true));
    });
    assert_eq!(left, [header + 4; 3], "links and data");
}

#[test]
fn elements_come_and_go_in_both_kinds() {
    elements_come_and_go::<RTL_AVL_TABLE>(32);
    elements_come_and_go::<RTL_GENERIC_TABLE>(40);
}

#[test]
fn only_splay_links_keep_the_order_of_insertions() {
    with(9, |table: *mut RTL_GENERIC_TABLE| {
        for key in [5, 3, 9, 1] {
            put(table, key);
        }
        take(table, 3);
        assert_eq!(by_index(table), [5, 9, 1]);
    });
    with(9, |table: *mut RTL_AVL_TABLE| {
        for key in [5, 3, 9, 1] {
            put(table, key);
        }
        take(table, 3);
        assert_eq!(by_index(table), [1, 5, 9]);
    });
}

#[test]
fn a_search_tells_where_to_insert() {
    with(9, |table: *mut RTL_AVL_TABLE| {
        for key in [20_u32, 10, 15, 5, 30, 10] {
            let (mut node, mut result) = (null_mut(), -1);
            let buffer = (&raw const key).cast();
            // SAFETY: a table of numbers.
            let found = unsafe { lookup_full(table, buffer, &raw mut node, &raw mut result, 0) };
            assert_eq!(found.is_null(), result != TableFoundNode);
            // SAFETY: as above, and the search has ended there.
            let put = unsafe { insert_full(table, buffer, 4, null_mut(), node, result, 0) };
            assert_eq!(value(put), Some(key));
        }
        assert_eq!(in_order(table), [5, 10, 15, 20, 30]);
        let (mut key, buffer) = (null_mut(), 15_u32);
        // SAFETY: as above.
        let first = unsafe { lookup_first(table, (&raw const buffer).cast(), &raw mut key, 0) };
        assert_eq!(value(first), Some(15));
        // SAFETY: as above.
        let behind = unsafe { enumerate_without_splaying(table, &raw mut key, 0) };
        assert_eq!(value(behind), Some(20));
    });
}

#[test]
fn a_table_is_used_up_to_dispatch_level() {
    with(9, |table: *mut RTL_AVL_TABLE| {
        let at = |level| {
            let (_, found) = capture(|| {
                let _level = irql::raised_to(level);
                put(table, 1);
            });
            found.len()
        };
        assert_eq!([at(DISPATCH_LEVEL), at(HIGH_LEVEL)], [0, 1]);
    });
}
