//! Rundown protection: the count in steps of two, and the lowest bit once nobody may enter.

use crate::kernel::sleep;
use core::sync::atomic::{AtomicU64, Ordering};
use wdk_sys::EX_RUNDOWN_REF;

const RUNNING_DOWN: u64 = 1;
const ONE: u64 = 2;

unsafe fn count<'a>(reference: *mut EX_RUNDOWN_REF) -> &'a AtomicU64 {
    AtomicU64::from_ptr(reference.cast())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ExInitializeRundownProtection(reference: *mut EX_RUNDOWN_REF) {
    count(reference).store(0, Ordering::Release);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ExReInitializeRundownProtection(reference: *mut EX_RUNDOWN_REF) {
    count(reference).store(0, Ordering::Release);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ExAcquireRundownProtection(reference: *mut EX_RUNDOWN_REF) -> u8 {
    let entered = count(reference).fetch_update(Ordering::AcqRel, Ordering::Acquire, |value| {
        (value & RUNNING_DOWN == 0).then_some(value + ONE)
    });
    u8::from(entered.is_ok())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ExReleaseRundownProtection(reference: *mut EX_RUNDOWN_REF) {
    count(reference).fetch_sub(ONE, Ordering::AcqRel);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ExWaitForRundownProtectionRelease(reference: *mut EX_RUNDOWN_REF) {
    let count = count(reference);
    count.fetch_or(RUNNING_DOWN, Ordering::AcqRel);
    while count.load(Ordering::Acquire) != RUNNING_DOWN {
        sleep();
    }
}
