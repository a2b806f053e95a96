//! Sequenced singly linked lists.
//!
//! An `SLIST_HEADER` has the layout that the inline routines of the DDI read: the
//! depth in the low 16 bits, a sequence number above it, and the address of the
//! first entry in the second quadword. Only these routines change one, so a lock
//! of the box (one of several, by address) makes each step atomic.
//!
//! Source: "Singly and Doubly Linked Lists" in the kernel architecture guide.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{SLIST_ENTRY, SLIST_HEADER, STATUS_DATATYPE_MISALIGNMENT};
use crate::processor::{exception, irql};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

type Header = *mut SLIST_HEADER;
type Entry = *mut SLIST_ENTRY;

const DEPTH: u64 = 0xFFFF;
/// One in the sequence number.
const SEQUENCE: u64 = 0x1_0000;

fn lock(header: Header) -> MutexGuard<'static, ()> {
    static LOCKS: [Mutex<()>; 16] = [const { Mutex::new(()) }; 16];
    let index = header.addr() / 64 % LOCKS.len();
    LOCKS[index].lock().unwrap_or_else(PoisonError::into_inner)
}

/// The depth and the address of the first entry.
///
/// # Safety
/// `header` points to an `SLIST_HEADER`.
unsafe fn words<'a>(header: Header) -> (&'a AtomicU64, &'a AtomicU64) {
    let words = header.cast::<u64>();
    // SAFETY: contract of the function: two aligned quadwords.
    let depth = unsafe { AtomicU64::from_ptr(words) };
    // SAFETY: as above.
    let first = unsafe { AtomicU64::from_ptr(words.wrapping_add(1)) };
    (depth, first)
}

/// As heads and entries have to lie (`MEMORY_ALLOCATION_ALIGNMENT`).
fn is_aligned(address: usize) -> bool {
    address.is_multiple_of(16)
}

/// `InitializeSListHead`.
pub unsafe extern "win64" fn initialize(header: Header, _caller: usize) {
    if !is_aligned(header.addr()) {
        return exception::raise("InitializeSListHead", STATUS_DATATYPE_MISALIGNMENT);
    }
    // SAFETY: the driver passes the memory of a header.
    let (depth, first) = unsafe { words(header) };
    depth.store(0, Ordering::Relaxed);
    first.store(0, Ordering::Release);
}

/// `ExQueryDepthSList`.
pub unsafe extern "win64" fn depth(header: Header) -> u16 {
    irql::require("ExQueryDepthSList", 0);
    // SAFETY: the driver passes a header.
    let (depth, _) = unsafe { words(header) };
    (depth.load(Ordering::Acquire) & DEPTH) as u16
}

/// `ExpInterlockedPushEntrySList`: returns the entry that was first.
pub unsafe extern "win64" fn push(header: Header, entry: Entry, _caller: usize) -> Entry {
    if !is_aligned(header.addr()) || !is_aligned(entry.addr()) {
        exception::raise("ExInterlockedPushEntrySList", STATUS_DATATYPE_MISALIGNMENT);
        return std::ptr::null_mut();
    }
    let _guard = lock(header);
    // SAFETY: the driver passes a header.
    let (depth, first) = unsafe { words(header) };
    let old: Entry = std::ptr::with_exposed_provenance_mut(first.load(Ordering::Relaxed) as usize);
    // SAFETY: the driver passes an entry that is in no list.
    unsafe { (*entry).Next = old };
    first.store(entry.expose_provenance() as u64, Ordering::Release);
    let state = depth.load(Ordering::Relaxed);
    depth.store(
        (state.wrapping_add(SEQUENCE) & !DEPTH) | (state.wrapping_add(1) & DEPTH),
        Ordering::Release,
    );
    old
}

/// `ExpInterlockedPopEntrySList`: null if the list is empty.
pub unsafe extern "win64" fn pop(header: Header) -> Entry {
    let _guard = lock(header);
    // SAFETY: the driver passes a header.
    let (depth, first) = unsafe { words(header) };
    let entry: Entry =
        std::ptr::with_exposed_provenance_mut(first.load(Ordering::Relaxed) as usize);
    if !entry.is_null() {
        // SAFETY: entries stay alive while they are in the list.
        let next = unsafe { (*entry).Next };
        first.store(next.addr() as u64, Ordering::Release);
        let state = depth.load(Ordering::Relaxed);
        depth.store(
            (state & !DEPTH) | (state.wrapping_sub(1) & DEPTH),
            Ordering::Release,
        );
    }
    entry
}

/// `ExpInterlockedFlushSList`: returns the first of all entries, still linked.
pub unsafe extern "win64" fn flush(header: Header) -> Entry {
    let _guard = lock(header);
    // SAFETY: the driver passes a header.
    let (depth, first) = unsafe { words(header) };
    depth.fetch_and(!DEPTH, Ordering::AcqRel);
    std::ptr::with_exposed_provenance_mut(first.swap(0, Ordering::AcqRel) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C, align(16))]
    struct Node {
        entry: SLIST_ENTRY,
        value: u32,
    }

    #[repr(align(16))]
    #[derive(Default)]
    struct Head(SLIST_HEADER);

    fn node(value: u32) -> Entry {
        Box::into_raw(Box::new(Node {
            entry: SLIST_ENTRY {
                Next: std::ptr::null_mut(),
            },
            value,
        }))
        .cast()
    }

    /// Frees the node.
    fn value(entry: Entry) -> u32 {
        assert!(!entry.is_null());
        // SAFETY: made by `node`, and popped once.
        unsafe { Box::from_raw(entry.cast::<Node>()) }.value
    }

    #[test]
    fn what_is_misaligned_raises() {
        let mut memory = [0_u128; 2];
        let at = memory.as_mut_ptr().cast::<u8>();
        // SAFETY: nothing is touched at an address that is not aligned.
        let first = unsafe { push(at.wrapping_add(8).cast(), at.cast(), 0) };
        assert!(first.is_null() && exception::has_raised());
        assert_eq!(memory, [0; 2]);
    }

    #[test]
    fn last_in_first_out_with_depth() {
        let mut header = Head::default();
        let at = &raw mut header.0;
        // SAFETY: a local list, here and below.
        unsafe { initialize(at, 0) };
        let nodes = [node(1), node(2), node(3)];
        let mut before = std::ptr::null_mut();
        for entry in nodes {
            // SAFETY: as above.
            assert_eq!(unsafe { push(at, entry, 0) }, before);
            before = entry;
        }
        // SAFETY: as above.
        assert_eq!(unsafe { depth(at) }, 3);
        // What `ExQueryDepthSList` reads inline.
        // SAFETY: both members of the union are plain words.
        assert_eq!(unsafe { header.0.HeaderX64._bitfield1 } & 0xFFFF, 3);
        // SAFETY: as above.
        assert_eq!(value(unsafe { pop(at) }), 3);
        // SAFETY: as above.
        let rest = unsafe { flush(at) };
        // SAFETY: the flushed list is ours.
        let next = unsafe { (*rest).Next };
        assert_eq!((value(rest), value(next)), (2, 1));
        // SAFETY: as above.
        assert!(unsafe { pop(at) }.is_null());
        // SAFETY: as above.
        assert_eq!(unsafe { depth(at) }, 0);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let header: &'static mut Head = Box::leak(Box::default());
        let at = (&raw mut header.0).expose_provenance();
        let list = move || std::ptr::with_exposed_provenance_mut::<SLIST_HEADER>(at);
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                std::thread::spawn(move || {
                    let mut sum = 0_u64;
                    for index in 0..2_000 {
                        // SAFETY: a leaked list.
                        unsafe { push(list(), node(thread * 2_000 + index), 0) };
                        if index % 2 == 0 {
                            // SAFETY: as above; never empty here, each thread has pushed more than it popped.
                            sum += u64::from(value(unsafe { pop(list()) }));
                        }
                    }
                    sum
                })
            })
            .collect();
        let mut sum: u64 = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum();
        // SAFETY: as above.
        assert_eq!(unsafe { depth(list()) }, 4_000);
        loop {
            // SAFETY: as above.
            let entry = unsafe { pop(list()) };
            if entry.is_null() {
                break;
            }
            sum += u64::from(value(entry));
        }
        assert_eq!(sum, (0..8_000_u64).sum::<u64>());
    }
}
