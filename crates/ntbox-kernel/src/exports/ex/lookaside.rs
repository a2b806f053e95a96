//! Lookaside lists.
//!
//! The structure is laid out as the DDI headers say, because allocating and
//! freeing is inline there: pop from `ListHead` or call `Allocate`, and push while
//! the depth is below `Depth` or call `Free`. With checks on, `Depth` is zero, so
//! that every block goes back to the guarded pool; otherwise it is the minimum
//! of NT, which the box does not adapt.
//!
//! Source: "Using Lookaside Lists", `ExInitializeNPagedLookasideList`,
//! `ExInitializeLookasideListEx` in the DDI reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use super::{lookaside_entries, slist};
use crate::exports;
use crate::nt::{
    APC_LEVEL, DISPATCH_LEVEL, LIST_ENTRY, NTSTATUS, SLIST_ENTRY, SLIST_HEADER,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER_4, STATUS_INVALID_PARAMETER_5,
    STATUS_SUCCESS,
};
use crate::pool::active;
use crate::processor::given;
use crate::processor::irql;
use crate::verifier::options::{self, Options};
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::mem::offset_of;

/// `GENERAL_LOOKASIDE`; the headers align it to a cache line, the list head needs 16.
#[repr(C, align(16))]
pub struct Lookaside {
    list_head: SLIST_HEADER,
    depth: u16,
    maximum_depth: u16,
    total_allocates: u32,
    allocate_misses: u32,
    total_frees: u32,
    free_misses: u32,
    kind: u32,
    tag: u32,
    size: u32,
    allocate: usize,
    free: usize,
    list_entry: LIST_ENTRY,
    last_total_allocates: u32,
    last_allocate_misses: u32,
    future: [u32; 2],
}

const _: () = assert!(
    offset_of!(Lookaside, depth) == 16
        && offset_of!(Lookaside, allocate_misses) == 24
        && offset_of!(Lookaside, kind) == 36
        && offset_of!(Lookaside, size) == 44
        && offset_of!(Lookaside, allocate) == 48
        && offset_of!(Lookaside, free) == 56
        && offset_of!(Lookaside, future) == 88
        && size_of::<Lookaside>() == 96
);

/// `ExMinimumLookasideDepth` and the maximum of NT.
const MINIMUM_DEPTH: u16 = 4;
const MAXIMUM_DEPTH: u16 = 256;
/// A block must hold the link of the free list.
const MINIMUM_SIZE: u32 = size_of::<SLIST_ENTRY>() as u32;
const PAGED_POOL: u32 = 1;
/// `EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL` and `…_FAIL_NO_RAISE`.
const RAISE_ON_FAIL: u32 = 1;
const FAIL_NO_RAISE: u32 = 2;
/// `POOL_RAISE_IF_ALLOCATION_FAILURE`, `POOL_QUOTA_FAIL_INSTEAD_OF_RAISE`.
const POOL_RAISE: u32 = 16;
const POOL_FAIL: u32 = 8;

/// The bound address of an export of this box: what a driver calls through a
/// pointer in the list must be the thunk that tells the callee its caller.
fn bound(name: &str) -> usize {
    exports::resolve("ntoskrnl.exe", name).unwrap_or_default()
}

/// What the blocks of a list are.
struct Blocks {
    allocate: usize,
    free: usize,
    kind: u32,
    size: usize,
    tag: u32,
}

/// The tag of the blocks of a list, and whether they are pageable.
///
/// # Safety
/// `list` points to a lookaside list.
pub unsafe fn blocks(list: *const Lookaside) -> (u32, bool) {
    // SAFETY: contract of the function.
    unsafe { ((*list).tag, (*list).kind & PAGED_POOL != 0) }
}

/// # Safety
/// `list` points to the memory of a lookaside list.
unsafe fn initialize(ddi: &'static str, list: *mut Lookaside, blocks: &Blocks, caller: usize) {
    let Blocks {
        allocate,
        free,
        kind,
        size,
        tag,
    } = *blocks;
    if size < MINIMUM_SIZE as usize {
        violation(
            &rules::LOOKASIDE_SIZE,
            format!("{ddi} was called for blocks of {size} bytes, of at least {MINIMUM_SIZE}"),
            &[("initialized at", caller)],
        );
    }
    LIST.begin(list.addr(), caller);
    let links = list
        .wrapping_byte_add(offset_of!(Lookaside, list_entry))
        .cast::<LIST_ENTRY>();
    let value = Lookaside {
        list_head: SLIST_HEADER::default(),
        // A free list would hide who uses what he has freed.
        depth: if options::on(Options::SPECIAL_POOL) {
            0
        } else {
            MINIMUM_DEPTH
        },
        maximum_depth: MAXIMUM_DEPTH,
        total_allocates: 0,
        allocate_misses: 0,
        total_frees: 0,
        free_misses: 0,
        kind,
        tag,
        size: u32::try_from(size).unwrap_or(u32::MAX).max(MINIMUM_SIZE),
        allocate: if allocate == 0 {
            bound("ExAllocatePoolWithTag")
        } else {
            allocate
        },
        free: if free == 0 { bound("ExFreePool") } else { free },
        list_entry: LIST_ENTRY {
            Flink: links,
            Blink: links,
        },
        last_total_allocates: 0,
        last_allocate_misses: 0,
        future: [0; 2],
    };
    // SAFETY: contract of the function.
    unsafe { list.write(value) };
}

/// A list that was initialized and not deleted.
static LIST: active::Kind = active::Kind {
    what: "lookaside list",
    begun: "initialized",
    freed: Some(&rules::LOOKASIDE_FREED),
    twice: Some(&rules::LOOKASIDE_INITIALIZED_TWICE),
    missing: Some(&rules::LOOKASIDE_DELETED),
    forget: |_| {},
};

/// Notes that the list is deleted; false, with a report, if there is none.
fn is_deleted_rightly(list: *const Lookaside, ddi: &'static str, caller: usize) -> bool {
    irql::require(ddi, caller);
    let there_is_one = LIST.end(list.addr());
    if !there_is_one {
        LIST.is_missing(ddi, list.addr(), caller);
    }
    there_is_one
}

/// `ExInitializeNPagedLookasideList`.
pub unsafe extern "win64" fn initialize_nonpaged(
    list: *mut Lookaside,
    allocate: usize,
    free: usize,
    flags: u32,
    size: usize,
    tag: u32,
    _depth: u16,
    caller: usize,
) {
    let ddi = "ExInitializeNPagedLookasideList";
    irql::require(ddi, caller);
    for routine in [allocate, free] {
        given::remember(routine, ddi, caller);
    }
    let blocks = Blocks {
        allocate,
        free,
        kind: flags,
        size,
        tag,
    };
    // SAFETY: the driver passes the memory of a list.
    unsafe { initialize(ddi, list, &blocks, caller) };
}

/// `ExInitializePagedLookasideList`.
pub unsafe extern "win64" fn initialize_paged(
    list: *mut Lookaside,
    allocate: usize,
    free: usize,
    flags: u32,
    size: usize,
    tag: u32,
    _depth: u16,
    caller: usize,
) {
    let ddi = "ExInitializePagedLookasideList";
    irql::require(ddi, caller);
    for routine in [allocate, free] {
        given::remember(routine, ddi, caller);
    }
    let blocks = Blocks {
        allocate,
        free,
        kind: PAGED_POOL | flags,
        size,
        tag,
    };
    // SAFETY: the driver passes the memory of a list.
    unsafe { initialize(ddi, list, &blocks, caller) };
}

/// `ExInitializeLookasideListEx`. The routines of such a list take the list as
/// one argument more, which the pool routines do not look at.
pub unsafe extern "win64" fn initialize_ex(
    list: *mut Lookaside,
    allocate: usize,
    free: usize,
    kind: u32,
    flags: u32,
    size: usize,
    tag: u32,
    _depth: u16,
    caller: usize,
) -> NTSTATUS {
    let ddi = "ExInitializeLookasideListEx";
    irql::require(ddi, caller);
    for routine in [allocate, free] {
        given::remember(routine, ddi, caller);
    }
    if crate::pool::failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let pool_flags = match flags {
        0 => 0,
        RAISE_ON_FAIL => POOL_RAISE,
        FAIL_NO_RAISE => POOL_FAIL,
        _ => return STATUS_INVALID_PARAMETER_5,
    };
    // NonPagedPool, PagedPool and NonPagedPoolNx are the types it takes.
    if !matches!(kind, 0 | PAGED_POOL | 512) {
        return STATUS_INVALID_PARAMETER_4;
    }
    let [allocate, free] = match (allocate, free) {
        // Entries that a list keeps for itself are not seen to come and go.
        (0, 0) if options::on(Options::SPECIAL_POOL) => lookaside_entries::routines(),
        given => given.into(),
    };
    let blocks = Blocks {
        allocate,
        free,
        kind: kind | pool_flags,
        size,
        tag,
    };
    // SAFETY: the driver passes the memory of a list.
    unsafe { initialize(ddi, list, &blocks, caller) };
    STATUS_SUCCESS
}

/// Frees the entries that are kept.
///
/// # Safety
/// `list` points to a lookaside list.
unsafe fn flush(list: *mut Lookaside) {
    type Free = unsafe extern "win64" fn(*mut c_void, *mut Lookaside);
    // SAFETY: contract of the function.
    let free = unsafe { (&raw const (*list).free).cast::<Free>().read() };
    // SAFETY: contract of the function; the head is the first member.
    let mut entry = unsafe { slist::flush(list.cast()) };
    while !entry.is_null() {
        // SAFETY: flushed entries are ours until they are freed.
        let next = unsafe { (*entry).Next };
        // SAFETY: the routine the driver gave, or ExFreePool, which takes one argument.
        unsafe { free(entry.cast(), list) };
        entry = next;
    }
}

/// `ExDeleteNPagedLookasideList`.
pub unsafe extern "win64" fn delete_nonpaged(list: *mut Lookaside, caller: usize) {
    if !is_deleted_rightly(list, "ExDeleteNPagedLookasideList", caller) {
        return;
    }
    // SAFETY: the driver passes a list.
    unsafe { flush(list) };
}

/// `ExDeletePagedLookasideList`.
pub unsafe extern "win64" fn delete_paged(list: *mut Lookaside, caller: usize) {
    if !is_deleted_rightly(list, "ExDeletePagedLookasideList", caller) {
        return;
    }
    // SAFETY: the driver passes a list.
    unsafe { flush(list) };
}

/// `ExDeleteLookasideListEx`.
pub unsafe extern "win64" fn delete_ex(list: *mut Lookaside, caller: usize) {
    if is_deleted_rightly(list, "ExDeleteLookasideListEx", caller) {
        // SAFETY: the driver passes a list, which was initialized.
        unsafe { flush_kind("ExDeleteLookasideListEx", list, caller) };
    }
}

/// `ExFlushLookasideListEx`.
pub unsafe extern "win64" fn flush_ex(list: *mut Lookaside, caller: usize) {
    // SAFETY: the driver passes a list.
    unsafe { flush_kind("ExFlushLookasideListEx", list, caller) };
}

/// [`flush`] of a list of either kind of pool.
///
/// # Safety
/// `list` points to a lookaside list.
unsafe fn flush_kind(ddi: &'static str, list: *mut Lookaside, caller: usize) {
    // SAFETY: contract of the function.
    let paged = unsafe { (*list).kind } & PAGED_POOL != 0;
    let maximum = if paged { APC_LEVEL } else { DISPATCH_LEVEL };
    irql::require_at_most(ddi, maximum, caller);
    // SAFETY: contract of the function.
    unsafe { flush(list) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::capture;

    type Allocate = unsafe extern "win64" fn(u32, usize, u32) -> *mut c_void;
    type Free = unsafe extern "win64" fn(*mut c_void);

    /// `ExAllocateFromNPagedLookasideList` as the header has it inline.
    fn allocate(list: *mut Lookaside) -> *mut c_void {
        // Its thread calls as a driver's does.
        crate::processor::thread::current();
        // SAFETY: the tests pass a list.
        let entry = unsafe { slist::pop(list.cast()) };
        if !entry.is_null() {
            return entry.cast();
        }
        // SAFETY: as above; this is what the inline routine does with the members.
        unsafe {
            (*list).allocate_misses += 1;
            let routine = std::mem::transmute::<usize, Allocate>((*list).allocate);
            routine((*list).kind, (*list).size as usize, (*list).tag)
        }
    }

    /// `ExFreeToNPagedLookasideList` as the header has it inline.
    fn free(list: *mut Lookaside, block: *mut c_void) {
        // SAFETY: as in `allocate`.
        unsafe {
            (*list).total_frees += 1;
            if slist::depth(list.cast()) >= (*list).depth {
                (*list).free_misses += 1;
                std::mem::transmute::<usize, Free>((*list).free)(block);
            } else {
                slist::push(list.cast(), block.cast(), 0);
            }
        }
    }

    #[test]
    fn blocks_come_from_the_pool_and_are_kept_up_to_the_depth() {
        let mut memory = std::mem::MaybeUninit::<Lookaside>::uninit();
        let list = memory.as_mut_ptr();
        // SAFETY: the memory of a list.
        unsafe { initialize_nonpaged(list, 0, 0, 512, 40, u32::from_le_bytes(*b"Look"), 0, 0) };
        // SAFETY: initialized; a depth as without checks.
        unsafe { (*list).depth = 1 };
        let (first, second) = (allocate(list), allocate(list));
        assert!(!first.is_null() && !second.is_null() && first != second);
        // SAFETY: blocks of 40 bytes.
        unsafe { first.cast::<u8>().write_bytes(0x55, 40) };
        assert_eq!(
            crate::pool::block_at(first.addr()).map(|(_, bytes)| bytes),
            Some(40)
        );
        free(list, first);
        free(list, second);
        assert_eq!(allocate(list), first, "the first freed block was kept");
        free(list, first);
        // SAFETY: initialized.
        unsafe { delete_nonpaged(list, 0) };
        assert!(
            crate::pool::block_at(first.addr()).is_none(),
            "deleting frees what is kept"
        );
        // SAFETY: initialized.
        assert_eq!(unsafe { (*list).allocate_misses }, 2);
        // SAFETY: nothing is done with it, because it was deleted.
        let ((), recorded) = capture(|| unsafe { delete_nonpaged(list, 0) });
        assert_eq!(recorded.len(), 1);
        assert_eq!(recorded[0].rule, &rules::LOOKASIDE_DELETED);
    }

    #[test]
    fn own_routines_are_used() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        unsafe extern "win64" fn give(_kind: u32, bytes: usize, _tag: u32) -> *mut c_void {
            CALLS.fetch_add(bytes, Ordering::Relaxed);
            std::ptr::without_provenance_mut(0x1000)
        }
        let mut memory = std::mem::MaybeUninit::<Lookaside>::uninit();
        let list = memory.as_mut_ptr();
        // SAFETY: the memory of a list.
        let ((), found) = capture(|| unsafe {
            initialize_nonpaged(list, give as *const () as usize, 0, 0, 4, 1, 0, 0)
        });
        let found: Vec<_> = found.iter().map(|found| found.rule).collect();
        assert_eq!(found, [&rules::LOOKASIDE_SIZE]);
        assert_eq!(allocate(list).addr(), 0x1000);
        assert_eq!(
            CALLS.load(Ordering::Relaxed),
            8,
            "at least the link of the free list"
        );
    }
}
