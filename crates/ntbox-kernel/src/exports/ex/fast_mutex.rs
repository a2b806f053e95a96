//! Fast mutexes and guarded mutexes.
//!
//! `ExInitializeFastMutex` is inline: `Count` 1, no owner, a synchronization
//! event. `Count` goes below 1 while the mutex is held and by one more for each
//! waiter; who releases it with waiters sets the event. A guarded mutex has the
//! same structure; it holds off APCs by a guarded region instead of the IRQL.
//!
//! Source: "Fast Mutexes and Guarded Mutexes" in the kernel architecture guide;
//! bug checks 0xC4/33, 34, 39 and 3A.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use crate::exports::resident;
use crate::nt::{APC_LEVEL, FAST_MUTEX};
use crate::processor::lock_order::{self, Mode};
use crate::processor::{dispatcher, irql, thread};
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering};

type Mutex = *mut FAST_MUTEX;
/// What the lock is called in reports.
const KIND: &str = "fast mutex";

/// # Safety
/// `mutex` points to an initialized fast mutex.
unsafe fn count<'a>(mutex: Mutex) -> &'a AtomicI32 {
    // SAFETY: contract of the function.
    unsafe { AtomicI32::from_ptr(&raw mut (*mutex).Count) }
}

fn me() -> *mut c_void {
    std::ptr::from_ref(thread::current()).cast_mut().cast()
}

/// # Safety
/// As for [`count`].
unsafe fn take(mutex: Mutex, caller: usize) {
    // SAFETY: contract of the function, here and below.
    if unsafe { (*mutex).Owner } == me() {
        violation(
            &rules::FAST_MUTEX_PAIRING,
            format!("fast mutex {mutex:p} was acquired again by the thread that holds it"),
            &[("acquired again at", caller)],
        );
        return;
    }
    lock_order::acquiring(mutex.addr(), KIND, Mode::Exclusive, caller);
    // SAFETY: as above.
    if unsafe { count(mutex) }.fetch_sub(1, Ordering::AcqRel) != 1 {
        // SAFETY: as above.
        unsafe { AtomicI32::from_ptr((&raw mut (*mutex).Contention).cast()) }
            .fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        let event = unsafe { &raw mut (*mutex).Event };
        // SAFETY: the event of the mutex.
        unsafe { dispatcher::wait_for(&[event.cast()], false, None, false, caller) };
    }
    // SAFETY: held now.
    unsafe { (*mutex).Owner = me() };
    lock_order::acquired(mutex.addr(), KIND, Mode::Exclusive, caller);
}

/// # Safety
/// As for [`count`].
unsafe fn give(mutex: Mutex, caller: usize) {
    // SAFETY: contract of the function, here and below.
    if unsafe { (*mutex).Owner } != me() {
        violation(
            &rules::FAST_MUTEX_PAIRING,
            format!("fast mutex {mutex:p} was released by a thread that does not hold it"),
            &[("released at", caller)],
        );
        return;
    }
    lock_order::released(mutex.addr());
    // SAFETY: as above.
    unsafe { (*mutex).Owner = std::ptr::null_mut() };
    // SAFETY: as above.
    if unsafe { count(mutex) }.fetch_add(1, Ordering::AcqRel) != 0 {
        // SAFETY: as above; there are waiters, so the mutex is alive.
        unsafe { dispatcher::set_event(&raw mut (*mutex).Event) };
    }
}

/// # Safety
/// As for [`count`].
unsafe fn try_take(mutex: Mutex, caller: usize) -> bool {
    // SAFETY: contract of the function.
    let taken = unsafe { count(mutex) }
        .compare_exchange(1, 0, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok();
    if taken {
        // SAFETY: held now.
        unsafe { (*mutex).Owner = me() };
        lock_order::acquired(mutex.addr(), KIND, Mode::Exclusive, caller);
    }
    taken
}

/// `ExAcquireFastMutex`: raises to `APC_LEVEL`.
pub unsafe extern "win64" fn acquire(mutex: Mutex, caller: usize) {
    irql::require("ExAcquireFastMutex", caller);
    let old = irql::raised_silently(APC_LEVEL);
    // SAFETY: the driver passes a fast mutex.
    unsafe { take(mutex, caller) };
    // SAFETY: held now.
    unsafe { (*mutex).OldIrql = u32::from(old) };
}

/// `ExReleaseFastMutex`: lowers to the level before the acquire.
pub unsafe extern "win64" fn release(mutex: Mutex, caller: usize) {
    let level = irql::current();
    if level != APC_LEVEL {
        violation(
            &rules::FAST_MUTEX_RELEASE_IRQL,
            format!(
                "ExReleaseFastMutex was called at {} ({level})",
                irql::name(level)
            ),
            &[("released at", caller)],
        );
    }
    // SAFETY: the driver passes a fast mutex that it holds.
    let old = unsafe { (*mutex).OldIrql } as u8;
    // SAFETY: as above.
    unsafe { give(mutex, caller) };
    irql::restore(old.min(level));
}

/// `ExTryToAcquireFastMutex`.
pub unsafe extern "win64" fn try_to_acquire(mutex: Mutex, caller: usize) -> u8 {
    irql::require("ExTryToAcquireFastMutex", caller);
    let old = irql::raised_silently(APC_LEVEL);
    // SAFETY: the driver passes a fast mutex.
    let taken = unsafe { try_take(mutex, caller) };
    if taken {
        // SAFETY: held now.
        unsafe { (*mutex).OldIrql = u32::from(old) };
    } else {
        irql::restore(old);
    }
    u8::from(taken)
}

fn require_no_apcs(ddi: &str, caller: usize) {
    if irql::current() < APC_LEVEL && !thread::apcs_disabled() {
        violation(
            &rules::FAST_MUTEX_UNSAFE,
            format!("{ddi} was called with APCs enabled"),
            &[("called at", caller)],
        );
    }
}

/// `ExAcquireFastMutexUnsafe`, `KeAcquireGuardedMutexUnsafe`.
pub unsafe extern "win64" fn acquire_unsafe(mutex: Mutex, caller: usize) {
    irql::require("ExAcquireFastMutexUnsafe", caller);
    require_no_apcs("ExAcquireFastMutexUnsafe", caller);
    // SAFETY: the driver passes a fast mutex.
    unsafe { take(mutex, caller) };
}

/// `ExReleaseFastMutexUnsafe`, `KeReleaseGuardedMutexUnsafe`.
pub unsafe extern "win64" fn release_unsafe(mutex: Mutex, caller: usize) {
    irql::require("ExReleaseFastMutexUnsafe", caller);
    require_no_apcs("ExReleaseFastMutexUnsafe", caller);
    // SAFETY: the driver passes a fast mutex that it holds.
    unsafe { give(mutex, caller) };
}

/// `KeInitializeGuardedMutex`.
pub unsafe extern "win64" fn initialize_guarded(mutex: Mutex, caller: usize) {
    irql::require("KeInitializeGuardedMutex", caller);
    resident::object("KeInitializeGuardedMutex", mutex.addr(), caller);
    // SAFETY: the driver passes the memory of a guarded mutex; all fields may be zero.
    unsafe { mutex.write_bytes(0, 1) };
    lock_order::initialized(mutex.addr(), size_of::<FAST_MUTEX>(), caller);
    // SAFETY: as above.
    unsafe { (*mutex).Count = 1 };
    // SAFETY: as above.
    unsafe { dispatcher::initialize_event(&raw mut (*mutex).Event, false, false) };
}

/// `KeAcquireGuardedMutex`: enters a guarded region.
pub unsafe extern "win64" fn acquire_guarded(mutex: Mutex, caller: usize) {
    irql::require("KeAcquireGuardedMutex", caller);
    thread::enter_guarded_region();
    // SAFETY: the driver passes a guarded mutex.
    unsafe { take(mutex, caller) };
}

/// `KeReleaseGuardedMutex`: leaves the guarded region.
pub unsafe extern "win64" fn release_guarded(mutex: Mutex, caller: usize) {
    irql::require("KeReleaseGuardedMutex", caller);
    // SAFETY: the driver passes a guarded mutex that it holds.
    unsafe { give(mutex, caller) };
    thread::leave_guarded_region_for(caller);
}

/// `KeTryToAcquireGuardedMutex`.
pub unsafe extern "win64" fn try_to_acquire_guarded(mutex: Mutex, caller: usize) -> u8 {
    irql::require("KeTryToAcquireGuardedMutex", caller);
    thread::enter_guarded_region();
    // SAFETY: the driver passes a guarded mutex.
    let taken = unsafe { try_take(mutex, caller) };
    if !taken {
        thread::leave_guarded_region();
    }
    u8::from(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::{DISPATCH_LEVEL, PASSIVE_LEVEL};
    use crate::verifier::capture;

    fn mutex() -> Box<FAST_MUTEX> {
        let mut mutex = Box::<FAST_MUTEX>::default();
        // SAFETY: the memory of a mutex; what ExInitializeFastMutex does inline.
        unsafe { initialize_guarded(&raw mut *mutex, 0) };
        mutex
    }

    #[test]
    fn it_raises_to_apc_level_and_excludes() {
        let at = Box::into_raw(mutex()).expose_provenance();
        let get = move || std::ptr::with_exposed_provenance_mut::<FAST_MUTEX>(at);
        static INSIDE: AtomicI32 = AtomicI32::new(0);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    for _ in 0..500 {
                        // SAFETY: a leaked mutex.
                        unsafe { acquire(get(), 0) };
                        assert_eq!(irql::current(), APC_LEVEL);
                        assert_eq!(INSIDE.fetch_add(1, Ordering::AcqRel), 0);
                        INSIDE.fetch_sub(1, Ordering::AcqRel);
                        // SAFETY: as above.
                        unsafe { release(get(), 0) };
                        assert_eq!(irql::current(), PASSIVE_LEVEL);
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().expect("no panic"));
        // SAFETY: as above.
        assert_eq!(unsafe { (*get()).Count }, 1);
    }

    #[test]
    fn try_fails_while_another_thread_holds_it() {
        let at = Box::into_raw(mutex()).expose_provenance();
        let get = move || std::ptr::with_exposed_provenance_mut::<FAST_MUTEX>(at);
        // SAFETY: a leaked mutex, here and below.
        unsafe { acquire(get(), 0) };
        std::thread::spawn(move || {
            // SAFETY: as above.
            assert_eq!(unsafe { try_to_acquire(get(), 0) }, 0);
            assert_eq!(irql::current(), PASSIVE_LEVEL);
        })
        .join()
        .expect("no panic");
        // SAFETY: as above.
        unsafe { release(get(), 0) };
    }

    #[test]
    fn misuse_is_reported() {
        let mut mutex = mutex();
        let at = &raw mut *mutex;
        let ((), found) = capture(|| {
            // SAFETY: a local mutex, here and below.
            unsafe { acquire(at, 0) };
            // SAFETY: as above.
            unsafe { acquire(at, 0) };
            // SAFETY: as above.
            unsafe { release(at, 0) };
            irql::restore(PASSIVE_LEVEL);
            // SAFETY: as above.
            unsafe { acquire_unsafe(at, 0) };
            thread::enter_critical_region();
            // SAFETY: as above.
            unsafe { release_unsafe(at, 0) };
            thread::leave_critical_region();
            let _dispatch = irql::raised_to(DISPATCH_LEVEL);
            // SAFETY: as above.
            assert_eq!(unsafe { try_to_acquire(at, 0) }, 1);
            // SAFETY: as above.
            unsafe { release(at, 0) };
        });
        let names: Vec<_> = found.iter().map(|found| found.rule.name).collect();
        assert_eq!(
            names,
            [
                "ExFastMutexPairing",
                "FastMutexUnsafe",
                "IrqlExApcLte1",
                "IrqlExReleaseFastMutex"
            ]
        );
    }

    #[test]
    fn a_guarded_mutex_holds_off_apcs() {
        let mut mutex = mutex();
        let at = &raw mut *mutex;
        // SAFETY: a local mutex.
        unsafe { acquire_guarded(at, 0) };
        assert!(thread::all_apcs_disabled());
        assert_eq!(irql::current(), PASSIVE_LEVEL);
        // SAFETY: as above.
        unsafe { release_guarded(at, 0) };
        assert!(!thread::all_apcs_disabled());
    }
}
