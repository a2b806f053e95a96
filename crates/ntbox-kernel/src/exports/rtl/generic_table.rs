//! Generic tables: of splay links, and of balanced links (AVL).
//!
//! Both are one tree here ([`tree`]); they differ in the links in front of an element, of whose size a driver's
//! AllocateRoutine is told, and in that only the first keeps the order of insertions: the one of balanced links
//! has no room for it, and counts elements in the order of their keys.
//!
//! Source: `RtlInitializeGenericTable`, `RtlInitializeGenericTableAvl` and their like in the DDI reference.

#![expect(
    non_upper_case_globals,
    reason = "constants of the metadata are matched"
)]
#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "tables and elements lie in memory of the driver"
)]

mod kinds;
mod tree;

use crate::nt::{
    GenericEqual, GenericLessThan, NTSTATUS, RTL_AVL_TABLE, STATUS_NO_MATCH, STATUS_SUCCESS,
    TABLE_SEARCH_RESULT, TableEmptyTree, TableFoundNode, TableInsertAsLeft, TableInsertAsRight,
};
use crate::processor::driver_code::entering;
use crate::processor::irql;
use kinds::{Allocate, Compare, Free, Table};
use std::cmp::Ordering;
use std::ffi::c_void;
use std::ptr::null_mut;
use tree::{Node, Place, Tree};

/// What the driver put into the element, or null for none.
fn data<T: Table>(node: Node) -> *mut c_void {
    if node.is_null() {
        null_mut()
    } else {
        node.wrapping_byte_add(T::HEADER).cast()
    }
}

/// Asks the driver for the order of `buffer` to each node.
///
/// # Safety
/// `table` is initialized, and `buffer` what its CompareRoutine takes.
unsafe fn order<T: Table>(table: *mut T, buffer: *const c_void) -> impl Fn(Node) -> Ordering {
    // SAFETY: contract.
    let compare = unsafe { T::parts(table) }.compare;
    move |node| {
        // SAFETY: contract; the other is the data of a node.
        match unsafe { entering(compare)(table, buffer, data::<T>(node)) } {
            GenericEqual => Ordering::Equal,
            GenericLessThan => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

/// # Safety
/// `table` is initialized, and `buffer` what its CompareRoutine takes.
unsafe fn find<T: Table>(table: *mut T, buffer: *const c_void) -> Place {
    // SAFETY: contract.
    unsafe { Tree::at(T::parts(table).root).find(order(table, buffer)) }
}

/// `RtlInitializeGenericTable(Avl)`.
pub unsafe extern "win64" fn initialize<T: Table>(
    table: *mut T,
    compare: Compare<T>,
    allocate: Allocate<T>,
    free: Free<T>,
    context: *mut c_void,
    caller: usize,
) {
    irql::require(T::NAMES.initialize, caller);
    // SAFETY: the driver passes the memory of a table.
    unsafe {
        T::initialize(table, compare, allocate, free, context);
        T::initialized(table);
    }
}

/// Adds an element that [`find`] did not find; its data, or null if the driver has no memory.
///
/// # Safety
/// As [`find`]; `buffer` has `size` bytes.
unsafe fn add<T: Table>(
    table: *mut T,
    buffer: *const c_void,
    size: u32,
    place: Place,
) -> *mut c_void {
    // SAFETY: contract; the driver's routine gives memory for links and data, or null.
    unsafe {
        let parts = T::parts(table);
        let node: Node = entering(parts.allocate)(table, T::HEADER as u32 + size).cast();
        if !node.is_null() {
            Tree::at(parts.root).add(node, place);
            T::added(table, node);
            *parts.count += 1;
            data::<T>(node)
                .cast::<u8>()
                .copy_from_nonoverlapping(buffer.cast(), size as usize);
        }
        data::<T>(node)
    }
}

/// # Safety
/// `new` is null or the driver's pointer.
unsafe fn tell(new: *mut u8, is: bool) {
    if !new.is_null() {
        // SAFETY: contract.
        unsafe { new.write(u8::from(is)) };
    }
}

/// `RtlInsertElementGenericTable(Avl)`.
pub unsafe extern "win64" fn insert<T: Table>(
    table: *mut T,
    buffer: *const c_void,
    size: u32,
    new: *mut u8,
    caller: usize,
) -> *mut c_void {
    irql::require(T::NAMES.insert, caller);
    // SAFETY: the driver's table and buffer.
    match unsafe { find(table, buffer) } {
        Place::At(node) => {
            // SAFETY: the driver's pointer.
            unsafe { tell(new, false) };
            data::<T>(node)
        }
        place => {
            // SAFETY: the driver's table and buffer.
            let added = unsafe { add(table, buffer, size, place) };
            // SAFETY: the driver's pointer.
            unsafe { tell(new, !added.is_null()) };
            added
        }
    }
}

/// `RtlDeleteElementGenericTable(Avl)`.
pub unsafe extern "win64" fn delete<T: Table>(
    table: *mut T,
    buffer: *const c_void,
    caller: usize,
) -> u8 {
    irql::require(T::NAMES.delete, caller);
    // SAFETY: the driver's table and buffer.
    let Place::At(node) = (unsafe { find(table, buffer) }) else {
        return 0;
    };
    // SAFETY: the node is in the table, and the driver's routine gets it when it is not any more.
    unsafe {
        let parts = T::parts(table);
        if *parts.last == node {
            *parts.last = tree::previous(node);
        }
        T::removing(table, node);
        Tree::at(parts.root).remove(node);
        *parts.count -= 1;
        entering(parts.free)(table, node.cast());
    }
    1
}

/// `RtlLookupElementGenericTable(Avl)`.
pub unsafe extern "win64" fn lookup<T: Table>(
    table: *mut T,
    buffer: *const c_void,
    caller: usize,
) -> *mut c_void {
    irql::require(T::NAMES.lookup, caller);
    // SAFETY: the driver's table and buffer.
    match unsafe { find(table, buffer) } {
        Place::At(node) => data::<T>(node),
        _ => null_mut(),
    }
}

/// The node behind that at `key`, or the first if there is none, which becomes the key.
///
/// # Safety
/// `table` is initialized; `key` points to null or a node of it.
unsafe fn advance<T: Table>(table: *mut T, key: *mut Node) -> *mut c_void {
    // SAFETY: contract.
    unsafe {
        let node = match *key {
            last if last.is_null() => Tree::at(T::parts(table).root).first(),
            last => tree::next(last),
        };
        if !node.is_null() {
            *key = node;
        }
        data::<T>(node)
    }
}

/// `RtlEnumerateGenericTable(Avl)`.
pub unsafe extern "win64" fn enumerate<T: Table>(
    table: *mut T,
    restart: u8,
    caller: usize,
) -> *mut c_void {
    irql::require(T::NAMES.enumerate, caller);
    // SAFETY: the driver's table.
    unsafe {
        let last = T::parts(table).last;
        if restart != 0 {
            *last = null_mut();
        }
        advance(table, last)
    }
}

/// `RtlEnumerateGenericTableWithoutSplaying(Avl)`.
pub unsafe extern "win64" fn enumerate_without_splaying<T: Table>(
    table: *mut T,
    key: *mut Node,
    caller: usize,
) -> *mut c_void {
    irql::require(T::NAMES.enumerate_without_splaying, caller);
    // SAFETY: the driver's table and the key that it was given.
    unsafe { advance(table, key) }
}

/// `RTL_AVL_MATCH_FUNCTION`: success for an element that is wanted, `STATUS_NO_MATCH` for one that is not, and anything
/// else where no further one is.
type Match = unsafe extern "win64" fn(*mut RTL_AVL_TABLE, *mut c_void, *mut c_void) -> NTSTATUS;

/// `RtlEnumerateGenericTableLikeADirectory`: from the key, or where elements were deleted since that was given, from
/// what the buffer describes; `next` is not 0 for the one behind.
pub unsafe extern "win64" fn enumerate_like_a_directory(
    table: *mut RTL_AVL_TABLE,
    matches: Option<Match>,
    match_data: *mut c_void,
    next: u32,
    restart_key: *mut Node,
    deleted: *mut u32,
    buffer: *const c_void,
    caller: usize,
) -> *mut c_void {
    irql::require("RtlEnumerateGenericTableLikeADirectory", caller);
    let behind = |node| match next {
        0 => node,
        // SAFETY: a node of the table.
        _ => unsafe { tree::next(node) },
    };
    // SAFETY: the driver's table, and what it was given of it.
    let mut node = unsafe {
        if !(*restart_key).is_null() && *deleted == (*table).DeleteCount {
            behind(*restart_key)
        } else {
            match find(table, buffer) {
                Place::At(node) => behind(node),
                Place::LeftOf(node) => node,
                Place::RightOf(node) => tree::next(node),
                Place::Empty => null_mut(),
            }
        }
    };
    if let Some(matches) = matches {
        while !node.is_null() {
            // SAFETY: the driver's routine, for an element of its table.
            match unsafe { entering(matches)(table, data::<RTL_AVL_TABLE>(node), match_data) } {
                STATUS_SUCCESS => break,
                // SAFETY: a node of the table.
                STATUS_NO_MATCH => node = unsafe { tree::next(node) },
                _ => node = null_mut(),
            }
        }
    }
    // SAFETY: the driver's pointers.
    unsafe {
        *deleted = (*table).DeleteCount;
        if !node.is_null() {
            *restart_key = node;
        }
    }
    data::<RTL_AVL_TABLE>(node)
}

/// `RtlGetElementGenericTable(Avl)`. Any IRQL.
pub unsafe extern "win64" fn get_element<T: Table>(table: *mut T, index: u32) -> *mut c_void {
    // SAFETY: the driver's table.
    unsafe {
        if index < *T::parts(table).count {
            data::<T>(T::element(table, index))
        } else {
            null_mut()
        }
    }
}

/// `RtlNumberGenericTableElements(Avl)`.
pub unsafe extern "win64" fn number<T: Table>(table: *mut T) -> u32 {
    irql::require(T::NAMES.number, 0);
    // SAFETY: the driver's table.
    unsafe { *T::parts(table).count }
}

/// `RtlIsGenericTableEmpty(Avl)`.
pub unsafe extern "win64" fn is_empty<T: Table>(table: *mut T) -> u8 {
    irql::require(T::NAMES.is_empty, 0);
    // SAFETY: the driver's table.
    u8::from(unsafe { *T::parts(table).count } == 0)
}

/// `RtlLookupElementGenericTableFull(Avl)`: also where it is, or would be.
pub unsafe extern "win64" fn lookup_full<T: Table>(
    table: *mut T,
    buffer: *const c_void,
    node_or_parent: *mut Node,
    result: *mut TABLE_SEARCH_RESULT,
    caller: usize,
) -> *mut c_void {
    irql::require(T::NAMES.lookup_full, caller);
    // SAFETY: the driver's table and buffer.
    let place = unsafe { find(table, buffer) };
    let (node, found) = match place {
        Place::Empty => (None, TableEmptyTree),
        Place::At(node) => (Some(node), TableFoundNode),
        Place::LeftOf(node) => (Some(node), TableInsertAsLeft),
        Place::RightOf(node) => (Some(node), TableInsertAsRight),
    };
    // SAFETY: the driver's pointer.
    unsafe { result.write(found) };
    if let Some(node) = node {
        // SAFETY: the driver's pointer.
        unsafe { node_or_parent.write(node) };
    }
    match place {
        Place::At(node) => data::<T>(node),
        _ => null_mut(),
    }
}

/// `RtlInsertElementGenericTableFull(Avl)`: where [`lookup_full`] has ended.
pub unsafe extern "win64" fn insert_full<T: Table>(
    table: *mut T,
    buffer: *const c_void,
    size: u32,
    new: *mut u8,
    node_or_parent: Node,
    result: TABLE_SEARCH_RESULT,
    caller: usize,
) -> *mut c_void {
    irql::require(T::NAMES.insert_full, caller);
    let place = match result {
        TableFoundNode => {
            // SAFETY: the driver's pointer.
            unsafe { tell(new, false) };
            return data::<T>(node_or_parent);
        }
        TableInsertAsLeft => Place::LeftOf(node_or_parent),
        TableInsertAsRight => Place::RightOf(node_or_parent),
        _ => Place::Empty,
    };
    // SAFETY: the driver's table and buffer, and where its search has ended.
    let added = unsafe { add(table, buffer, size, place) };
    // SAFETY: the driver's pointer.
    unsafe { tell(new, !added.is_null()) };
    added
}

/// `RtlLookupFirstMatchingElementGenericTableAvl`: the first of those that the driver calls equal.
pub unsafe extern "win64" fn lookup_first(
    table: *mut RTL_AVL_TABLE,
    buffer: *const c_void,
    restart_key: *mut Node,
    caller: usize,
) -> *mut c_void {
    irql::require("RtlLookupFirstMatchingElementGenericTableAvl", caller);
    // SAFETY: the driver's table and buffer.
    let node =
        unsafe { Tree::at(RTL_AVL_TABLE::parts(table).root).find_first(order(table, buffer)) };
    // SAFETY: the driver's pointer.
    unsafe { restart_key.write(node) };
    data::<RTL_AVL_TABLE>(node)
}

#[cfg(test)]
#[path = "generic_table/tests.rs"]
mod tests;
