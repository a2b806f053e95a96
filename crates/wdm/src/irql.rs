//! The interrupt request level as a value that proves what may be called.
//!
//! A token is made only where the level is known: in the shims through which
//! the system enters the driver, by the contract of that routine (D3, C2). It
//! has no size. Functions that need a low level take the token, so calling one
//! from a completion routine, which holds [`AtMostDispatch`] only, does not
//! compile (C3). Tokens are passed as `&mut` because raising the level (a spin
//! lock) invalidates the low one while it lasts.
//!
//! Source: "Managing Hardware Priorities", and the IRQL line of each DDI.

#![expect(
    unsafe_code,
    reason = "tokens are reinterpreted as weaker ones, and the level is read"
)]

use core::marker::PhantomData;
use wdk_sys::{PASSIVE_LEVEL, ntddk};

/// Proof that the level is PASSIVE_LEVEL: waiting and paging are allowed.
#[repr(transparent)]
pub struct Passive(PhantomData<*mut ()>);

/// Proof that the level is at most APC_LEVEL, as in a dispatch routine of a file-system stack (D3).
#[repr(transparent)]
pub struct AtMostApc(PhantomData<*mut ()>);

/// Proof that the level is at most DISPATCH_LEVEL, as in a completion routine.
#[repr(transparent)]
pub struct AtMostDispatch(PhantomData<*mut ()>);

impl Passive {
    /// # Safety
    /// The current level is PASSIVE_LEVEL and stays so while the token is used.
    pub(crate) const unsafe fn assume() -> Self {
        Self(PhantomData)
    }

    /// PASSIVE_LEVEL is at most APC_LEVEL.
    pub fn at_most_apc(&mut self) -> &mut AtMostApc {
        // SAFETY: both types are transparent over the same zero-size field.
        unsafe { &mut *core::ptr::from_mut(self).cast() }
    }
}

impl AtMostApc {
    /// It has no place: a routine that has one on its stack needs a frame for it.
    ///
    /// # Safety
    /// The current level is at most APC_LEVEL and stays so for `'a`.
    pub(crate) const unsafe fn assumed<'a>() -> &'a mut Self {
        // SAFETY: any address that is not null and aligned is a place for a value of no size.
        unsafe { core::ptr::NonNull::dangling().as_mut() }
    }

    /// The stronger proof, if the level is PASSIVE_LEVEL at this moment. IRQL: any.
    pub fn passive(&mut self) -> Option<&mut Passive> {
        (u32::from(current()) == PASSIVE_LEVEL).then(|| {
            // SAFETY: as in `Passive::at_most_apc`; the level was just read, and it cannot
            // rise while the returned borrow of this thread's token lives.
            unsafe { &mut *core::ptr::from_mut(self).cast() }
        })
    }
}

impl AtMostApc {
    /// APC_LEVEL is at most DISPATCH_LEVEL.
    pub fn at_most_dispatch(&mut self) -> &mut AtMostDispatch {
        // SAFETY: both types are transparent over the same zero-size field.
        unsafe { &mut *core::ptr::from_mut(self).cast() }
    }
}

impl AtMostDispatch {
    /// As [`AtMostApc::assumed`].
    ///
    /// # Safety
    /// The current level is at most DISPATCH_LEVEL and stays so for `'a`.
    pub(crate) const unsafe fn assumed<'a>() -> &'a mut Self {
        // SAFETY: as in `AtMostApc::assumed`.
        unsafe { core::ptr::NonNull::dangling().as_mut() }
    }
}

/// The level at this moment. IRQL: any.
///
/// Rests on KeGetCurrentIrql: "The KeGetCurrentIrql routine returns the current IRQL."
#[must_use]
pub fn current() -> u8 {
    // SAFETY: KeGetCurrentIrql may be called at any level.
    unsafe { ntddk::KeGetCurrentIrql() }
}

/// DISPATCH_LEVEL.
pub const DISPATCH: u8 = wdk_sys::DISPATCH_LEVEL as u8;
