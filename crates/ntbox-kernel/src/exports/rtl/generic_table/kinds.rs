//! The two kinds of table: where each has what both have, and what the links in front of an element are.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "tables and elements lie in memory of the driver"
)]

use super::tree::{self, Node, Tree};
use crate::nt::{
    LIST_ENTRY, RTL_AVL_TABLE, RTL_BALANCED_LINKS, RTL_GENERIC_TABLE, RTL_SPLAY_LINKS,
};
use std::ffi::c_void;

/// `RTL_GENERIC_COMPARE_ROUTINE`: the order of the first to the second.
pub type Compare<T> = unsafe extern "win64" fn(*mut T, *const c_void, *const c_void) -> i32;
/// `RTL_GENERIC_ALLOCATE_ROUTINE`: of that many bytes, links included.
pub type Allocate<T> = unsafe extern "win64" fn(*mut T, u32) -> *mut c_void;
/// `RTL_GENERIC_FREE_ROUTINE`.
pub type Free<T> = unsafe extern "win64" fn(*mut T, *mut c_void);

/// The same as the metadata has them: without parameters and calling convention.
type RawCompare = Option<unsafe extern "system" fn() -> i32>;
type RawAllocate = Option<unsafe extern "system" fn() -> *mut c_void>;
type RawFree = Option<unsafe extern "system" fn()>;

/// The names of the routines on one kind of table.
pub struct Names {
    pub initialize: &'static str,
    pub insert: &'static str,
    pub insert_full: &'static str,
    pub delete: &'static str,
    pub lookup: &'static str,
    pub lookup_full: &'static str,
    pub enumerate: &'static str,
    pub enumerate_without_splaying: &'static str,
    pub number: &'static str,
    pub is_empty: &'static str,
}

/// Where a table has what both kinds have.
pub struct Parts<T> {
    pub root: *mut Node,
    pub count: *mut u32,
    /// What the enumeration returned last, null in front of the first.
    pub last: *mut Node,
    pub compare: Compare<T>,
    pub allocate: Allocate<T>,
    pub free: Free<T>,
}

/// A kind of table.
pub trait Table: Sized {
    /// Bytes in front of what the driver put into an element.
    const HEADER: usize;
    /// What its routines are called.
    const NAMES: Names;
    /// # Safety
    /// `table` is memory for one.
    unsafe fn initialize(
        table: *mut Self,
        compare: Compare<Self>,
        allocate: Allocate<Self>,
        free: Free<Self>,
        context: *mut c_void,
    );
    /// # Safety
    /// `table` was just given to `initialize`.
    unsafe fn initialized(_table: *mut Self) {}
    /// # Safety
    /// `table` is initialized.
    unsafe fn parts(table: *mut Self) -> Parts<Self>;
    /// # Safety
    /// `node` was added to the table.
    unsafe fn added(_table: *mut Self, _node: Node) {}
    /// # Safety
    /// `node` is to be taken out of the table.
    unsafe fn removing(_table: *mut Self, _node: Node) {}
    /// The node at `index`, below the number of elements.
    ///
    /// # Safety
    /// `table` is initialized.
    unsafe fn element(table: *mut Self, index: u32) -> Node;
}

macro_rules! parts {
    ($table:expr, $root:expr, $last:expr) => {
        // SAFETY: contract; the routines are those that `initialize` was given.
        unsafe {
            Parts {
                root: $root.cast(),
                count: &raw mut (*$table).NumberGenericTableElements,
                last: $last.cast(),
                compare: std::mem::transmute::<RawCompare, Compare<Self>>((*$table).CompareRoutine),
                allocate: std::mem::transmute::<RawAllocate, Allocate<Self>>(
                    (*$table).AllocateRoutine,
                ),
                free: std::mem::transmute::<RawFree, Free<Self>>((*$table).FreeRoutine),
            }
        }
    };
}

macro_rules! initialize {
    ($type:ty) => {
        unsafe fn initialize(
            table: *mut Self,
            compare: Compare<Self>,
            allocate: Allocate<Self>,
            free: Free<Self>,
            context: *mut c_void,
        ) {
            // SAFETY: contract; a routine is a pointer whatever its type.
            unsafe {
                table.write(<$type>::default());
                (*table).CompareRoutine = std::mem::transmute::<Compare<Self>, RawCompare>(compare);
                (*table).AllocateRoutine =
                    std::mem::transmute::<Allocate<Self>, RawAllocate>(allocate);
                (*table).FreeRoutine = std::mem::transmute::<Free<Self>, RawFree>(free);
                (*table).TableContext = context;
            }
        }
    };
}

impl Table for RTL_AVL_TABLE {
    const HEADER: usize = size_of::<RTL_BALANCED_LINKS>();
    const NAMES: Names = Names {
        initialize: "RtlInitializeGenericTableAvl",
        insert: "RtlInsertElementGenericTableAvl",
        insert_full: "RtlInsertElementGenericTableFullAvl",
        delete: "RtlDeleteElementGenericTableAvl",
        lookup: "RtlLookupElementGenericTableAvl",
        lookup_full: "RtlLookupElementGenericTableFullAvl",
        enumerate: "RtlEnumerateGenericTableAvl",
        enumerate_without_splaying: "RtlEnumerateGenericTableWithoutSplayingAvl",
        number: "RtlNumberGenericTableElementsAvl",
        is_empty: "RtlIsGenericTableEmptyAvl",
    };
    initialize!(RTL_AVL_TABLE);
    unsafe fn parts(table: *mut Self) -> Parts<Self> {
        parts!(
            table,
            (&raw mut (*table).BalancedRoot.RightChild),
            (&raw mut (*table).RestartKey)
        )
    }
    unsafe fn removing(table: *mut Self, _node: Node) {
        // SAFETY: contract.
        unsafe { (*table).DeleteCount += 1 };
    }
    unsafe fn element(table: *mut Self, index: u32) -> Node {
        // SAFETY: contract.
        unsafe {
            let mut node = Tree::at(Self::parts(table).root).first();
            for _ in 0..index {
                node = tree::next(node);
            }
            node
        }
    }
}

/// Links of an element of a table of splay links: behind those of the tree, those of the list of insertions.
#[repr(C)]
struct SplayHeader {
    links: RTL_SPLAY_LINKS,
    order: LIST_ENTRY,
}

impl Table for RTL_GENERIC_TABLE {
    const HEADER: usize = size_of::<SplayHeader>();
    const NAMES: Names = Names {
        initialize: "RtlInitializeGenericTable",
        insert: "RtlInsertElementGenericTable",
        insert_full: "RtlInsertElementGenericTableFull",
        delete: "RtlDeleteElementGenericTable",
        lookup: "RtlLookupElementGenericTable",
        lookup_full: "RtlLookupElementGenericTableFull",
        enumerate: "RtlEnumerateGenericTable",
        enumerate_without_splaying: "RtlEnumerateGenericTableWithoutSplaying",
        number: "RtlNumberGenericTableElements",
        is_empty: "RtlIsGenericTableEmpty",
    };
    initialize!(RTL_GENERIC_TABLE);
    unsafe fn initialized(table: *mut Self) {
        // SAFETY: contract.
        unsafe {
            let list = &raw mut (*table).InsertOrderList;
            (*list).Flink = list;
            (*list).Blink = list;
        }
    }
    unsafe fn parts(table: *mut Self) -> Parts<Self> {
        parts!(
            table,
            (&raw mut (*table).TableRoot),
            (&raw mut (*table).OrderedPointer)
        )
    }
    unsafe fn added(table: *mut Self, node: Node) {
        // SAFETY: contract: the element begins with the header.
        unsafe {
            let list = &raw mut (*table).InsertOrderList;
            let entry = &raw mut (*node.cast::<SplayHeader>()).order;
            let last = (*list).Blink;
            *entry = LIST_ENTRY {
                Flink: list,
                Blink: last,
            };
            (*last).Flink = entry;
            (*list).Blink = entry;
        }
    }
    unsafe fn removing(_table: *mut Self, node: Node) {
        // SAFETY: contract: the element is in the list.
        unsafe {
            let LIST_ENTRY { Flink, Blink } = (*node.cast::<SplayHeader>()).order;
            (*Blink).Flink = Flink;
            (*Flink).Blink = Blink;
        }
    }
    unsafe fn element(table: *mut Self, index: u32) -> Node {
        // SAFETY: contract.
        unsafe {
            let mut entry = (*table).InsertOrderList.Flink;
            for _ in 0..index {
                entry = (*entry).Flink;
            }
            entry
                .byte_sub(std::mem::offset_of!(SplayHeader, order))
                .cast()
        }
    }
}
