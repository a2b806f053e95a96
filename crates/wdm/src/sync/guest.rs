//! A value that comes and goes while others look in.
//!
//! Rundown protection, one count for each processor, so that looking in writes no cache line that is
//! shared. Who takes the value out waits for each processor's lookers in turn: those that come later
//! find nothing. A looker cannot be suspended meanwhile, which would make him wait for ever.

#![expect(unsafe_code, reason = "the value is a pointer while nobody owns it")]

use super::Rundown;
use crate::irql::{self, Passive};
use crate::pool::NonPagedBox;
use crate::processors::PerProcessor;
use crate::status::Status;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use wdk_sys::ntddk;

/// A place for a value that is there at times.
///
/// # Invariants
/// `value` is null or from [`NonPagedBox::into_raw`]. The rundowns are initialized, and have not begun
/// but while the value is taken out.
pub struct Guest<T> {
    value: AtomicPtr<T>,
    inside: PerProcessor<Rundown>,
    /// Somebody takes the value out.
    leaving: AtomicBool,
    owned: PhantomData<NonPagedBox<T>>,
}

impl<T: Send + Sync> Guest<T> {
    /// Without a value. IRQL: ≤ APC_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn try_new() -> Result<Self, Status> {
        let inside = PerProcessor::try_new(|| Ok(Rundown::uninitialized()))?;
        for rundown in inside.iter() {
            // SAFETY: in pool, where it stays, and not used yet.
            unsafe { rundown.initialize() }
        }
        Ok(Self {
            value: AtomicPtr::new(core::ptr::null_mut()),
            inside,
            leaving: AtomicBool::new(false),
            owned: PhantomData,
        })
    }

    /// The value, if there is one; it stays as long as it is looked at. IRQL: ≤ DISPATCH_LEVEL.
    pub fn look(&self) -> Option<Look<'_, T>> {
        let region = CriticalRegion::enter();
        let rundown = self.inside.current()?;
        // SAFETY: invariant of the type.
        if !unsafe { rundown.acquire() } {
            return None;
        }
        let protection = Protection(rundown);
        // SAFETY: invariant of the type. Who takes the value out makes this null first, and then waits for
        // the protection that was acquired above.
        let value = unsafe { self.value.load(Ordering::SeqCst).as_ref() }?;
        Some(Look {
            value,
            _protection: protection,
            _region: region,
        })
    }

    /// Puts a value in.
    ///
    /// Errors: the value, if there is one already.
    pub fn enter(&self, value: NonPagedBox<T>) -> Result<(), NonPagedBox<T>> {
        let raw = value.into_raw();
        let entered = self.value.compare_exchange(
            core::ptr::null_mut(),
            raw.as_ptr(),
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        // SAFETY: given up above; nobody else has seen it if it did not enter.
        entered
            .map(|_null| ())
            .map_err(|_| unsafe { NonPagedBox::from_raw(raw) })
    }

    /// Takes the value out, and waits until nobody looks at it any more: not for whoever looks at it
    /// himself. Nothing while another thread takes it out.
    pub fn leave(&self, level: &mut Passive) -> Option<NonPagedBox<T>> {
        if self.leaving.swap(true, Ordering::Acquire) {
            return None;
        }
        let value = self.value.swap(core::ptr::null_mut(), Ordering::SeqCst);
        if !value.is_null() {
            for rundown in self.inside.iter() {
                // SAFETY: invariant of the type; the caller holds no protection, and nobody else waits here.
                unsafe { rundown.wait(level) };
                // SAFETY: run down in the line above.
                unsafe { rundown.reinitialize() }
            }
        }
        self.leaving.store(false, Ordering::Release);
        let value = NonNull::new(value)?;
        // SAFETY: invariant of the type; nobody has a reference to it any more.
        Some(unsafe { NonPagedBox::from_raw(value) })
    }
}

/// A value that is being looked at.
pub struct Look<'g, T> {
    value: &'g T,
    // In this order: the protection is released before the thread can be suspended again.
    _protection: Protection<'g>,
    _region: CriticalRegion,
}

impl<T> Deref for Look<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

/// Rundown protection that was acquired; released when dropped.
struct Protection<'g>(&'g Rundown);

impl Drop for Protection<'_> {
    fn drop(&mut self) {
        // SAFETY: acquired before this was made.
        unsafe { self.0.release() }
    }
}

/// Normal kernel APCs, with which a thread is suspended, wait until this is dropped. At DISPATCH_LEVEL they
/// do so anyway.
struct CriticalRegion {
    entered: bool,
    /// It is of this thread.
    _thread: PhantomData<*mut ()>,
}

impl CriticalRegion {
    fn enter() -> Self {
        let entered = irql::current() < irql::DISPATCH;
        if entered {
            // SAFETY: the level is ≤ APC_LEVEL; left when this is dropped.
            unsafe { ntddk::KeEnterCriticalRegion() }
        }
        Self {
            entered,
            _thread: PhantomData,
        }
    }
}

impl Drop for CriticalRegion {
    fn drop(&mut self) {
        if self.entered {
            // SAFETY: entered by this thread, which has not returned to its caller's level since.
            unsafe { ntddk::KeLeaveCriticalRegion() }
        }
    }
}

impl<T> Drop for Guest<T> {
    fn drop(&mut self) {
        if let Some(value) = NonNull::new(*self.value.get_mut()) {
            // SAFETY: invariant of the type; taken back once.
            drop(unsafe { NonPagedBox::from_raw(value) });
        }
    }
}
