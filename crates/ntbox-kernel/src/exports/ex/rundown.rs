//! Rundown protection, plain and cache-aware.
//!
//! The value of an `EX_RUNDOWN_REF` is twice the number of references, or, with
//! bit 0 set, the address of the wait block of the thread that runs the object
//! down (nothing but bit 0 once that is completed). The cache-aware variant is one
//! such value per processor; a reference may be released on another processor, so
//! only the sum of the counts means anything.
//!
//! Source: "Run-Down Protection" in the kernel architecture guide.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use crate::nt::KEVENT;
use crate::pool::{self, Kind};
use crate::processor::thread::PROCESSORS;
use crate::processor::{dispatcher, irql, points, thread};
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

type Reference = *mut usize;

const ACTIVE: usize = 1;
const ONE: usize = 2;

/// Lies on the stack of the thread that waits.
#[repr(C, align(16))]
struct WaitBlock {
    /// References that are still out.
    left: AtomicIsize,
    event: KEVENT,
}

/// # Safety
/// `reference` points to an `EX_RUNDOWN_REF`.
unsafe fn word<'a>(reference: Reference) -> &'a AtomicUsize {
    // SAFETY: contract of the function.
    unsafe { AtomicUsize::from_ptr(reference) }
}

fn acquire_in(word: &AtomicUsize, count: usize) -> bool {
    word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |value| {
        (value & ACTIVE == 0).then(|| value.wrapping_add(ONE * count))
    })
    .is_ok()
}

/// # Safety
/// A wait block named by the value is alive while references are out.
unsafe fn release_in(word: &AtomicUsize, count: usize, single: bool, caller: usize) {
    let changed = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |value| {
        (value & ACTIVE == 0 && !(single && value < ONE * count))
            .then(|| value.wrapping_sub(ONE * count))
    });
    let Err(value) = changed else { return };
    if value <= ACTIVE {
        violation(
            &rules::RUNDOWN_PAIRING,
            format!(
                "rundown protection {:p} was released more often than acquired",
                word.as_ptr()
            ),
            &[("released at", caller)],
        );
        return;
    }
    let block: *const WaitBlock = std::ptr::with_exposed_provenance(value & !ACTIVE);
    // SAFETY: contract of the function.
    unsafe { leave(block, count as isize) };
}

/// Takes `count` references off a wait block and ends the wait with the last.
///
/// # Safety
/// The block is alive: its thread waits until the count is zero.
unsafe fn leave(block: *const WaitBlock, count: isize) {
    // SAFETY: contract of the function.
    let left = unsafe { &(*block).left };
    if left.fetch_sub(count, Ordering::AcqRel) == count {
        // SAFETY: the waiter returns only after the event is set.
        unsafe { dispatcher::set_event((&raw const (*block).event).cast_mut()) };
    }
}

/// Runs all of `words` down: later acquires fail, and this returns when the
/// references are released.
fn wait_for(words: &[&AtomicUsize], caller: usize) {
    /// Keeps the count above zero until all words are summed up.
    const BIAS: isize = 1 << 40;
    let mut block = WaitBlock {
        left: AtomicIsize::new(BIAS),
        event: KEVENT::default(),
    };
    // SAFETY: a local event.
    unsafe { dispatcher::initialize_event(&raw mut block.event, false, false) };
    let at = &raw const block;
    let mut sum = 0_isize;
    for word in words {
        let marked = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |value| {
            (value & ACTIVE == 0).then_some(at.expose_provenance() | ACTIVE)
        });
        match marked {
            Ok(value) => sum += value.cast_signed() >> 1,
            // Run down already; that is no error.
            Err(ACTIVE) => {}
            Err(_) => {
                violation(
                    &rules::RUNDOWN_PAIRING,
                    format!(
                        "rundown protection {:p} is waited for by two threads",
                        word.as_ptr()
                    ),
                    &[("waited at", caller)],
                );
            }
        }
    }
    if block.left.fetch_add(sum - BIAS, Ordering::AcqRel) != BIAS - sum {
        // SAFETY: a local event.
        unsafe {
            dispatcher::wait_for(&[(&raw mut block.event).cast()], false, None, false, caller)
        };
    }
    for word in words {
        word.store(ACTIVE, Ordering::Release);
    }
}

/// `ExInitializeRundownProtection`, `ExReInitializeRundownProtection`.
pub unsafe extern "win64" fn initialize(reference: Reference) {
    irql::require("ExInitializeRundownProtection", 0);
    points::point();
    // SAFETY: the driver passes the memory of a reference.
    unsafe { word(reference) }.store(0, Ordering::Release);
}

/// `ExAcquireRundownProtection`.
pub unsafe extern "win64" fn acquire(reference: Reference, caller: usize) -> u8 {
    // SAFETY: the driver passes a reference.
    unsafe { acquire_ex(reference, 1, caller) }
}

/// `ExAcquireRundownProtectionEx`.
pub unsafe extern "win64" fn acquire_ex(reference: Reference, count: u32, caller: usize) -> u8 {
    irql::require("ExAcquireRundownProtectionEx", caller);
    irql::require("ExAcquireRundownProtection", caller);
    // SAFETY: the driver passes a reference.
    let acquired = acquire_in(unsafe { word(reference) }, count as usize);
    // Who runs it down has to wait from here on, or is waited for.
    points::point();
    u8::from(acquired)
}

/// `ExReleaseRundownProtection`.
pub unsafe extern "win64" fn release(reference: Reference, caller: usize) {
    // SAFETY: the driver passes a reference that it acquired.
    unsafe { release_ex(reference, 1, caller) }
}

/// `ExReleaseRundownProtectionEx`.
pub unsafe extern "win64" fn release_ex(reference: Reference, count: u32, caller: usize) {
    irql::require("ExReleaseRundownProtectionEx", caller);
    irql::require("ExReleaseRundownProtection", caller);
    // SAFETY: the driver passes a reference that it acquired.
    let word = unsafe { word(reference) };
    // SAFETY: the value is only changed by these routines.
    unsafe { release_in(word, count as usize, true, caller) };
    // Who has been waited for by that is still in its driver.
    points::point();
}

/// `ExRundownCompleted`.
pub unsafe extern "win64" fn completed(reference: Reference) {
    irql::require("ExRundownCompleted", 0);
    // SAFETY: the driver passes a reference.
    unsafe { word(reference) }.store(ACTIVE, Ordering::Release);
}

/// `ExWaitForRundownProtectionRelease`.
pub unsafe extern "win64" fn wait_for_release(reference: Reference, caller: usize) {
    irql::require("ExWaitForRundownProtectionRelease", caller);
    // SAFETY: the driver passes a reference.
    wait_for(&[unsafe { word(reference) }], caller);
}

/// `EX_RUNDOWN_REF_CACHE_AWARE`: a cache line per processor.
#[repr(C, align(64))]
pub struct CacheAware {
    lines: [[usize; 8]; PROCESSORS as usize],
}

type Aware = *mut CacheAware;

/// # Safety
/// `aware` points to a `CacheAware`.
unsafe fn line<'a>(aware: Aware, index: usize) -> &'a AtomicUsize {
    // SAFETY: contract of the function; `index` is below the number of lines.
    unsafe { word(aware.cast::<usize>().wrapping_add(index * 8)) }
}

/// # Safety
/// As for [`line`].
unsafe fn lines<'a>(aware: Aware) -> Vec<&'a AtomicUsize> {
    // SAFETY: contract of the function.
    (0..PROCESSORS as usize)
        .map(|index| unsafe { line(aware, index) })
        .collect()
}

/// # Safety
/// As for [`line`].
unsafe fn set_all(aware: Aware, value: usize) {
    // SAFETY: contract of the function.
    unsafe { lines(aware) }
        .into_iter()
        .for_each(|line| line.store(value, Ordering::Release));
}

/// # Safety
/// As for [`line`].
unsafe fn own_line<'a>(aware: Aware) -> &'a AtomicUsize {
    // SAFETY: contract of the function.
    unsafe { line(aware, thread::current().processor() as usize) }
}

/// `ExSizeOfRundownProtectionCacheAware`.
pub unsafe extern "win64" fn size_of_cache_aware() -> usize {
    irql::require("ExSizeOfRundownProtectionCacheAware", 0);
    size_of::<CacheAware>()
}

/// `ExInitializeRundownProtectionCacheAware`.
pub unsafe extern "win64" fn initialize_cache_aware(aware: Aware, _size: usize) {
    irql::require("ExInitializeRundownProtectionCacheAware", 0);
    // SAFETY: the driver passes memory of the size that the box names.
    unsafe { set_all(aware, 0) };
}

/// `ExAllocateCacheAwareRundownProtection`. `kind` is a `POOL_TYPE`.
pub unsafe extern "win64" fn allocate_cache_aware(
    kind: u32,
    tag: u32,
    caller: usize,
) -> *mut c_void {
    irql::require("ExAllocateCacheAwareRundownProtection", caller);
    let kind = if kind & 1 == 0 {
        Kind::NonPaged
    } else {
        Kind::Paged
    };
    let block = pool::allocate(kind, size_of::<CacheAware>(), tag, caller);
    if !block.is_null() {
        // SAFETY: a new block of that size.
        unsafe { set_all(block.cast(), 0) };
    }
    block
}

/// `ExFreeCacheAwareRundownProtection`.
pub unsafe extern "win64" fn free_cache_aware(aware: Aware, caller: usize) {
    irql::require("ExFreeCacheAwareRundownProtection", caller);
    // SAFETY: the driver passes a block of `allocate_cache_aware`.
    unsafe { pool::free(aware.cast(), None, caller) };
}

/// `ExReInitializeRundownProtectionCacheAware`.
pub unsafe extern "win64" fn reinitialize_cache_aware(aware: Aware) {
    irql::require("ExReInitializeRundownProtectionCacheAware", 0);
    // SAFETY: the driver passes a reference.
    unsafe { set_all(aware, 0) };
}

/// `ExAcquireRundownProtectionCacheAware`.
pub unsafe extern "win64" fn acquire_cache_aware(aware: Aware, caller: usize) -> u8 {
    // SAFETY: the driver passes a reference.
    unsafe { acquire_cache_aware_ex(aware, 1, caller) }
}

/// `ExAcquireRundownProtectionCacheAwareEx`.
pub unsafe extern "win64" fn acquire_cache_aware_ex(aware: Aware, count: u32, caller: usize) -> u8 {
    irql::require("ExAcquireRundownProtectionCacheAwareEx", caller);
    irql::require("ExAcquireRundownProtectionCacheAware", caller);
    // SAFETY: the driver passes a reference.
    u8::from(acquire_in(unsafe { own_line(aware) }, count as usize))
}

/// `ExReleaseRundownProtectionCacheAware`.
pub unsafe extern "win64" fn release_cache_aware(aware: Aware, caller: usize) {
    // SAFETY: the driver passes a reference that it acquired.
    unsafe { release_cache_aware_ex(aware, 1, caller) }
}

/// `ExReleaseRundownProtectionCacheAwareEx`.
pub unsafe extern "win64" fn release_cache_aware_ex(aware: Aware, count: u32, caller: usize) {
    irql::require("ExReleaseRundownProtectionCacheAwareEx", caller);
    irql::require("ExReleaseRundownProtectionCacheAware", caller);
    // SAFETY: the driver passes a reference that it acquired.
    let line = unsafe { own_line(aware) };
    // SAFETY: the value is only changed by these routines.
    unsafe { release_in(line, count as usize, false, caller) };
}

/// `ExRundownCompletedCacheAware`.
pub unsafe extern "win64" fn completed_cache_aware(aware: Aware) {
    irql::require("ExRundownCompletedCacheAware", 0);
    // SAFETY: the driver passes a reference.
    unsafe { set_all(aware, ACTIVE) };
}

/// `ExWaitForRundownProtectionReleaseCacheAware`.
pub unsafe extern "win64" fn wait_for_release_cache_aware(aware: Aware, caller: usize) {
    irql::require("ExWaitForRundownProtectionReleaseCacheAware", caller);
    // SAFETY: the driver passes a reference.
    wait_for(&unsafe { lines(aware) }, caller);
}

#[cfg(test)]
#[path = "rundown_tests.rs"]
mod tests;
