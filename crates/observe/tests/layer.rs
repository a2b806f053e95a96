//! The layer's own memory on a host: boxes, slices, lists, and values that come and go while others look in.
//!
//! These files of `wdm` call few routines of the kernel, which stand below. Miri sees whether a pointer of theirs
//! is used against a reference that is there, or after what it points to is gone:
//! `cargo +nightly miri test -p observe --test layer`.

#![cfg(not(feature = "model"))]
#![expect(
    dead_code,
    unused_imports,
    reason = "the layer has more than is tried here, and the models have the rest"
)]

extern crate self as wdk_sys;

#[path = "../../wdm/src/irql.rs"]
mod irql;
#[path = "../../wdm/src/list.rs"]
mod list;
#[path = "../../wdm/src/pool/mod.rs"]
mod pool;
#[path = "../../wdm/src/processors.rs"]
mod processors;
#[path = "../../wdm/src/status.rs"]
mod status;

/// With fences, as in the models. Without them Miri's emulation of weak memory has, with one seed of 16, who frees
/// not see who has looked, which one order of all that is sequentially consistent excludes; without that emulation
/// with none of 32.
mod atomic {
    pub use core::sync::atomic::{AtomicU64, Ordering, fence};

    pub fn after_the_way_in() {
        fence(Ordering::SeqCst);
    }

    pub fn before_the_look() {
        fence(Ordering::SeqCst);
    }
}
#[path = "../../wdm/src/sync/door.rs"]
mod door;
#[path = "../../wdm/src/sync/guest.rs"]
mod guest;
#[path = "../../wdm/src/sync/spin_lock.rs"]
mod spin_lock;

/// Without what waits.
mod event {
    pub fn delay(_milliseconds: u32, _level: &mut crate::irql::Passive) {
        std::thread::yield_now();
    }
}

/// What the bindings have, as far as it is used.
pub(crate) mod ntddk {
    #![expect(
        non_snake_case,
        unsafe_code,
        reason = "the names and the kind of the routines that stand here"
    )]

    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ffi::c_void;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    /// Blocks that have not been given back.
    pub static OUT: AtomicUsize = AtomicUsize::new(0);
    /// In front of a block: its size.
    const HEAD: usize = 16;

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(HEAD + bytes, HEAD).expect("a small block")
    }

    /// As `ExAllocatePool2`.
    pub unsafe fn ExAllocatePool2(_flags: u64, bytes: u64, _tag: u32) -> *mut c_void {
        let bytes = bytes as usize;
        // SAFETY: not empty, because of the head.
        let block = unsafe { alloc_zeroed(layout(bytes)) };
        // SAFETY: the head is there and aligned.
        unsafe { block.cast::<usize>().write(bytes) };
        OUT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: behind the head.
        unsafe { block.add(HEAD) }.cast()
    }

    /// As `ExFreePoolWithTag`.
    pub unsafe fn ExFreePoolWithTag(memory: *mut c_void, _tag: u32) {
        // SAFETY: the head of a block.
        let block = unsafe { memory.cast::<u8>().sub(HEAD) };
        // SAFETY: written when it was allocated.
        let bytes = unsafe { block.cast::<usize>().read() };
        OUT.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: allocated above.
        unsafe { dealloc(block, layout(bytes)) };
    }

    /// As `KeAcquireSpinLockRaiseToDpc`.
    pub unsafe fn KeAcquireSpinLockRaiseToDpc(lock: *mut u64) -> u8 {
        // SAFETY: a lock, which nobody touches otherwise.
        let lock = unsafe { AtomicU64::from_ptr(lock) };
        while lock.swap(1, Ordering::Acquire) != 0 {
            std::thread::yield_now();
        }
        0
    }

    /// As `KeReleaseSpinLock`.
    pub unsafe fn KeReleaseSpinLock(lock: *mut u64, _level: u8) {
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(lock) }.store(0, Ordering::Release);
    }

    /// As `KeGetCurrentIrql`.
    pub unsafe fn KeGetCurrentIrql() -> u8 {
        0
    }

    /// As `KeQueryMaximumProcessorCountEx`.
    pub unsafe fn KeQueryMaximumProcessorCountEx(_group: u16) -> u32 {
        1
    }

    /// As `KeQueryActiveProcessorCountEx`.
    pub unsafe fn KeQueryActiveProcessorCountEx(_group: u16) -> u32 {
        1
    }

    /// As `KeGetCurrentProcessorNumberEx`.
    pub unsafe fn KeGetCurrentProcessorNumberEx(_number: *mut c_void) -> u32 {
        0
    }
}

pub(crate) use bindings::*;

mod bindings {
    #![expect(
        non_camel_case_types,
        clippy::upper_case_acronyms,
        reason = "names of the bindings"
    )]

    pub type NTSTATUS = i32;
    pub type KSPIN_LOCK = u64;
    pub const POOL_FLAG_NON_PAGED: u64 = 0x40;
    pub const ALL_PROCESSOR_GROUPS: u32 = 0xFFFF;
    pub const PASSIVE_LEVEL: u32 = 0;
    pub const DISPATCH_LEVEL: u32 = 2;

    // What they are is of no matter here: each is its own, and negative where it is an error.
    macro_rules! statuses {
        ($($name:ident = $value:literal;)*) => { $(pub const $name: NTSTATUS = $value;)* };
    }

    statuses! {
        STATUS_BUFFER_OVERFLOW = -1;
        STATUS_BUFFER_TOO_SMALL = -2;
        STATUS_CANCELLED = -3;
        STATUS_DELETE_PENDING = -4;
        STATUS_DEVICE_BUSY = -5;
        STATUS_IMAGE_ALREADY_LOADED = -6;
        STATUS_INFO_LENGTH_MISMATCH = -7;
        STATUS_INSUFFICIENT_RESOURCES = -8;
        STATUS_INVALID_DEVICE_REQUEST = -9;
        STATUS_INVALID_DEVICE_STATE = -10;
        STATUS_INVALID_PARAMETER = -11;
        STATUS_MEDIA_WRITE_PROTECTED = -12;
        STATUS_MORE_PROCESSING_REQUIRED = -13;
        STATUS_NAME_TOO_LONG = -14;
        STATUS_NOT_FOUND = -15;
        STATUS_NO_SUCH_DEVICE = -16;
        STATUS_OBJECT_NAME_COLLISION = -17;
        STATUS_OBJECT_NAME_NOT_FOUND = -18;
        STATUS_OBJECT_TYPE_MISMATCH = -19;
        STATUS_PENDING = 259;
        STATUS_REPARSE = -20;
        STATUS_REVISION_MISMATCH = -21;
        STATUS_SUCCESS = 0;
        STATUS_TOO_MANY_SESSIONS = -22;
    }
}

use guest::Guests;
use irql::Passive;
use list::List;
use pool::{NonPagedArc, NonPagedBox, NonPagedSlice, SetOnce};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The level of every thread of a host.
fn passive() -> Passive {
    #[expect(unsafe_code, reason = "a host has no other level")]
    // SAFETY: as above.
    unsafe {
        Passive::assume()
    }
}

/// One test at a time: each sees that nothing is left.
fn alone(body: impl FnOnce()) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    body();
    assert_eq!(ntddk::OUT.load(Ordering::Relaxed), 0, "blocks left");
}

/// Counts itself out.
struct Counted<'c>(&'c AtomicUsize, Vec<u32>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        assert_eq!(self.1, [1, 2, 3]);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_is_owned_is_dropped_once() {
    alone(|| {
        let dropped = AtomicUsize::new(0);
        let counted = || Counted(&dropped, vec![1, 2, 3]);
        let mut one = NonPagedBox::try_new(counted()).unwrap();
        one.1[0] = 1;
        let raw = one.into_raw();
        #[expect(unsafe_code, reason = "what travels through a context pointer")]
        // SAFETY: given up above, and taken back once.
        let one = unsafe { NonPagedBox::from_raw(raw) };
        let Counted(..) = &*one;
        drop(one.into_inner());
        let slice = NonPagedSlice::try_from_fn(3, |_| Ok(counted())).unwrap();
        assert_eq!(slice.len(), 3);
        drop(slice);
        let shared = NonPagedArc::try_new(counted()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let shared = shared.clone();
                scope.spawn(move || assert_eq!(shared.1.len(), 3));
            }
        });
        drop(shared);
        let once = SetOnce::new();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| once.get_or_try(|| Ok(counted())).unwrap().1.len());
            }
        });
        let made = dropped.load(Ordering::Relaxed);
        drop(once);
        assert_eq!(dropped.load(Ordering::Relaxed), made + 1);
        assert!((5..=6).contains(&made), "{made}");
    });
}

#[test]
fn a_list_keeps_its_newest() {
    alone(|| {
        let mut list = List::new(3);
        for value in 0..5 {
            let is_full = value >= 3;
            assert_eq!(list.push_out(vec![value]).unwrap(), is_full);
        }
        let values = |list: &List<Vec<u32>>| list.iter().map(|value| value[0]).collect::<Vec<_>>();
        assert_eq!(values(&list), [4, 3, 2]);
        list.retain(|value| value[0] != 3);
        assert_eq!(values(&list), [4, 2]);
    });
}

/// Threads look in while values come and go: what they see is whole, and nothing is left in the end.
#[test]
fn what_is_looked_at_stays() {
    const ROUNDS: u32 = if cfg!(miri) { 20 } else { 2_000 };
    alone(|| {
        let guests = Guests::try_new(2).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let Some(look) = guests.look() else { continue };
                        for place in 0..2 {
                            if let Some(value) = look.get(place) {
                                let value: &Vec<u32> = value;
                                assert!(value.iter().all(|each| *each == value[0]));
                            }
                        }
                    }
                });
            }
            for number in 0..ROUNDS {
                let place = (number % 2) as usize;
                guests
                    .enter(place, vec![number; 4], &mut passive())
                    .unwrap();
                if number % 3 == 0 {
                    guests.leave(place, &mut passive());
                }
            }
        });
        guests.settle(&mut passive());
    });
}
