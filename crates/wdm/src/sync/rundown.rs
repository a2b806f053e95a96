//! Rundown protection: counts who is inside, and lets the last way out be waited for.
//!
//! Wraps `ExInitializeRundownProtection` and its family. Requests pay for it only where the
//! driver may be unloaded (P4, C15).

#![expect(unsafe_code, reason = "the count is a structure of the system")]

use crate::irql::Passive;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use wdk_sys::{EX_RUNDOWN_REF, ntddk};

/// A count of holders.
pub(crate) struct Rundown(UnsafeCell<MaybeUninit<EX_RUNDOWN_REF>>);

// SAFETY: the structure is made to be used from any thread.
unsafe impl Send for Rundown {}
// SAFETY: as above.
unsafe impl Sync for Rundown {}

impl Rundown {
    pub(crate) const fn uninitialized() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    const fn raw(&self) -> *mut EX_RUNDOWN_REF {
        self.0.get().cast()
    }

    /// # Safety
    /// In its final place, and not used yet.
    pub(crate) unsafe fn initialize(&self) {
        // SAFETY: contract of the function.
        unsafe { ntddk::ExInitializeRundownProtection(self.raw()) }
    }

    /// Enters, unless the rundown has begun. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// # Safety
    /// Initialized.
    pub(crate) unsafe fn acquire(&self) -> bool {
        // SAFETY: contract of the function.
        unsafe { ntddk::ExAcquireRundownProtection(self.raw()) != 0 }
    }

    /// Leaves. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// # Safety
    /// Pairs with a successful [`Rundown::acquire`].
    pub(crate) unsafe fn release(&self) {
        // SAFETY: contract of the function.
        unsafe { ntddk::ExReleaseRundownProtection(self.raw()) }
    }

    /// Begins the rundown: no one enters any more; returns when all have left.
    ///
    /// # Safety
    /// Initialized; the caller holds no protection itself.
    pub(crate) unsafe fn wait(&self, _level: &mut Passive) {
        // SAFETY: contract of the function; the token proves PASSIVE_LEVEL.
        unsafe { ntddk::ExWaitForRundownProtectionRelease(self.raw()) }
    }
}
