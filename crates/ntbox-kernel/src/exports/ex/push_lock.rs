//! Push locks: shared and exclusive locks in one quadword.
//!
//! The value is opaque to drivers. Here it is -1 while held exclusively, else the
//! number of shared holders. The caller is in a critical region, as documented.
//!
//! Source: `ExAcquirePushLockExclusiveEx`, `ExAcquirePushLockSharedEx` in the DDI
//! reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::host::memory;
use crate::nt::APC_LEVEL;
use crate::processor::lock_order::{self, Mode};
use crate::processor::{irql, parking, thread};
use crate::verifier::{rules, violation};
use std::sync::atomic::{AtomicIsize, Ordering};

const EXCLUSIVE: isize = -1;
/// What the lock is called in reports.
const KIND: &str = lock_order::PUSH_LOCK;

/// # Safety
/// `lock` points to a push lock.
unsafe fn word<'a>(lock: *mut isize) -> &'a AtomicIsize {
    // SAFETY: contract of the function.
    unsafe { AtomicIsize::from_ptr(lock) }
}

/// `FLT_PUSH_LOCK_VALID_FLAGS` of fltkernel.h, whose routines take the same flags: to boost or not to boost.
const VALID_FLAGS: u32 = 0x3;

/// True if somebody has the lock.
fn is_held(lock: usize) -> bool {
    let mut value = [0; size_of::<isize>()];
    memory::try_read(lock, &mut value) && isize::from_ne_bytes(value) != 0
}

fn check(ddi: &'static str, flags: u32, caller: usize) {
    irql::require(ddi, caller);
    lock_order::ask_of_kept(KIND, is_held);
    if flags & !VALID_FLAGS != 0 {
        violation(
            &rules::PUSH_LOCK_FLAGS,
            format!("{ddi} was called with the flags 0x{flags:x}"),
            &[("called at", caller)],
        );
    }
    if irql::current() < APC_LEVEL && !thread::apcs_disabled() && !thread::current().is_system() {
        violation(
            &rules::RESOURCE_APCS_ENABLED,
            format!("{ddi} was called with normal kernel APCs enabled"),
            &[("called at", caller)],
        );
    }
}

/// `ExInitializePushLock`.
pub unsafe extern "win64" fn initialize(lock: *mut isize, caller: usize) {
    // SAFETY: the driver passes the memory of a push lock.
    unsafe { word(lock) }.store(0, Ordering::Release);
    lock_order::initialized(lock.addr(), size_of::<isize>(), caller);
}

/// `ExAcquirePushLockExclusiveEx`.
pub unsafe extern "win64" fn acquire_exclusive(lock: *mut isize, flags: u32, caller: usize) {
    check("ExAcquirePushLockExclusiveEx", flags, caller);
    lock_order::acquiring(lock.addr(), KIND, Mode::Exclusive, caller);
    // SAFETY: the driver passes a push lock.
    let word = unsafe { word(lock) };
    if lock_order::holds(lock.addr()) {
        lock_order::self_deadlock(lock.addr(), KIND, caller);
    }
    parking::wait_until(lock.addr(), caller, || {
        word.compare_exchange(0, EXCLUSIVE, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    });
    lock_order::acquired(lock.addr(), KIND, Mode::Exclusive, caller);
}

/// `ExAcquirePushLockSharedEx`.
pub unsafe extern "win64" fn acquire_shared(lock: *mut isize, flags: u32, caller: usize) {
    check("ExAcquirePushLockSharedEx", flags, caller);
    lock_order::acquiring(lock.addr(), KIND, Mode::Shared, caller);
    // SAFETY: the driver passes a push lock.
    let word = unsafe { word(lock) };
    parking::wait_until(lock.addr(), caller, || {
        word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
            (held >= 0).then_some(held + 1)
        })
        .is_ok()
    });
    lock_order::acquired(lock.addr(), KIND, Mode::Shared, caller);
}

/// `ExReleasePushLockExclusiveEx`.
pub unsafe extern "win64" fn release_exclusive(lock: *mut isize, flags: u32, caller: usize) {
    check("ExReleasePushLockExclusiveEx", flags, caller);
    lock_order::released(lock.addr());
    // SAFETY: the driver passes a push lock that it holds.
    let word = unsafe { word(lock) };
    if word
        .compare_exchange(EXCLUSIVE, 0, Ordering::AcqRel, Ordering::Relaxed)
        .is_err()
    {
        not_held(lock, "exclusively", caller);
        return;
    }
    parking::wake(lock.addr());
}

/// `ExReleasePushLockSharedEx`.
pub unsafe extern "win64" fn release_shared(lock: *mut isize, flags: u32, caller: usize) {
    check("ExReleasePushLockSharedEx", flags, caller);
    lock_order::released(lock.addr());
    // SAFETY: the driver passes a push lock that it holds.
    let word = unsafe { word(lock) };
    if word
        .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
            (held > 0).then(|| held - 1)
        })
        .is_err()
    {
        not_held(lock, "shared", caller);
        return;
    }
    parking::wake(lock.addr());
}

#[cold]
fn not_held(lock: *mut isize, how: &str, caller: usize) {
    violation(
        &rules::RESOURCE_NOT_OWNED,
        format!("push lock {lock:p} was released, but it is not held {how}"),
        &[("released at", caller)],
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::capture;

    #[test]
    fn what_a_thread_keeps_is_told_when_it_ends() {
        const SITE: usize = 0x1000;
        for released_by in ["nobody", "itself", "another thread"] {
            let lock = AtomicIsize::new(0);
            let lock = lock.as_ptr().expose_provenance();
            let at = move || std::ptr::with_exposed_provenance_mut::<isize>(lock);
            let ((), found) = capture(|| {
                thread::enter_critical_region();
                // SAFETY: a push lock, here and below.
                unsafe { acquire_shared(at(), 0, SITE) };
                match released_by {
                    "itself" => {
                        // SAFETY: as above.
                        unsafe { release_shared(at(), 0, SITE) };
                    }
                    "another thread" => {
                        let other = std::thread::spawn(move || {
                            thread::enter_critical_region();
                            // SAFETY: as above.
                            unsafe { release_shared(at(), 0, SITE) };
                            thread::leave_critical_region();
                        });
                        other.join().expect("no panic");
                    }
                    _ => {}
                }
                thread::leave_critical_region();
                lock_order::thread_ends(0);
            });
            let names: Vec<_> = found.iter().map(|found| found.rule.name).collect();
            let expected: &[&str] = match released_by {
                "nobody" => &["LockLeakedOnThreadTermination"],
                _ => &[],
            };
            assert_eq!(names, expected, "released by {released_by}");
        }
    }
}
