//! Memory of programs that a routine of the box touches for a driver: a fault there is not the box's,
//! but raised in the driver.

#![expect(unsafe_code, reason = "what faults is abandoned")]

use super::USER_END;
use super::raise::{Touch, raise_memory};
use crate::processor::escape;
use std::cell::Cell;
use std::ffi::c_void;

thread_local! {
    /// Accesses may be abandoned.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    /// The access that was.
    static FAILED: Cell<Option<Touch>> = const { Cell::new(None) };
}

/// Makes accesses to memory at `addresses`, on behalf of a driver. Where one is a program's and is not
/// there, `access` is abandoned and the fault raised in the driver. It is plain copying: it owns
/// nothing, and locks nothing.
pub fn touch<F: FnMut()>(addresses: &[usize], mut access: F) {
    if addresses.iter().all(|address| *address >= USER_END) {
        access();
        return;
    }
    unsafe extern "win64" fn run<F: FnMut()>(access: *mut c_void) {
        // SAFETY: the function below passes it, and waits.
        let access = unsafe { &mut *access.cast::<F>() };
        access();
    }
    GUARDED.set(true);
    // SAFETY: the closure is alive, and may be abandoned (contract of the callers).
    unsafe { escape::call(run::<F>, (&raw mut access).cast()) };
    GUARDED.set(false);
    if let Some(touch) = FAILED.take() {
        raise_memory(touch);
    }
}

/// For the handler of faults: where a thread goes on that has failed at `touch`, if it can be abandoned.
pub fn abandon(touch: Touch) -> Option<usize> {
    if !GUARDED.get() || touch.address >= USER_END {
        return None;
    }
    GUARDED.set(false);
    FAILED.set(Some(touch));
    Some(leave as *const () as usize)
}

extern "win64" fn leave() -> ! {
    // SAFETY: a guarded access was under way, which owns nothing.
    unsafe { escape::leave() }
}
