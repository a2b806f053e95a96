//! Readable access to the parts of an `IRP` that are nested in unnamed unions.

#![expect(
    unsafe_code,
    reason = "the stack locations lie behind the IRP and are reached by pointer"
)]

use super::metadata::{FILE_OBJECT, IRP, IRP_3_0};
use super::routines::CancelRoutine;
use super::stack_location::IO_STACK_LOCATION;
use std::ffi::c_void;

/// Control flags of a stack location, as bytes (`SL_*`).
pub mod control {
    /// `SL_PENDING_RETURNED`.
    pub const PENDING_RETURNED: u8 = 0x01;
    /// `SL_ERROR_RETURNED`.
    pub const ERROR_RETURNED: u8 = 0x02;
    /// `SL_INVOKE_ON_CANCEL`.
    pub const INVOKE_ON_CANCEL: u8 = 0x20;
    /// `SL_INVOKE_ON_SUCCESS`.
    pub const INVOKE_ON_SUCCESS: u8 = 0x40;
    /// `SL_INVOKE_ON_ERROR`.
    pub const INVOKE_ON_ERROR: u8 = 0x80;
}

/// Bytes of an IRP with `stack_count` locations (`IoSizeOfIrp`).
pub fn size_of_irp(stack_count: i8) -> usize {
    size_of::<IRP>() + usize::from(stack_count.unsigned_abs()) * size_of::<IO_STACK_LOCATION>()
}

/// Access by name. All methods take the IRP by raw pointer: other threads and
/// drivers hold the same pointer, so no reference to the whole structure is made.
///
/// # Safety
/// Every method requires a pointer to a live IRP with its stack locations behind it.
#[expect(
    clippy::missing_safety_doc,
    reason = "one contract for all methods, stated on the trait"
)]
pub trait IrpExt: Copy {
    /// `IoGetCurrentIrpStackLocation`.
    unsafe fn current_location(self) -> *mut IO_STACK_LOCATION;
    /// Sets the current stack location pointer.
    unsafe fn set_current_location(self, location: *mut IO_STACK_LOCATION);
    /// `IoGetNextIrpStackLocation`.
    unsafe fn next_location(self) -> *mut IO_STACK_LOCATION;
    /// Stack location `number`, counted as `CurrentLocation` is: 1 is the lowest driver's.
    unsafe fn location(self, number: i8) -> *mut IO_STACK_LOCATION;
    /// `Tail.Overlay.Thread`.
    unsafe fn thread(self) -> *mut c_void;
    /// Sets `Tail.Overlay.Thread`.
    unsafe fn set_thread(self, thread: *mut c_void);
    /// `Tail.Overlay.OriginalFileObject`.
    unsafe fn original_file_object(self) -> *mut FILE_OBJECT;
    /// Sets `Tail.Overlay.OriginalFileObject`.
    unsafe fn set_original_file_object(self, file: *mut FILE_OBJECT);
    /// `Overlay.AsynchronousParameters`: the address of the APC routine, and the context.
    unsafe fn user_apc(self) -> (usize, *mut c_void);
    /// Sets [`user_apc`](Self::user_apc).
    unsafe fn set_user_apc(self, routine: usize, context: *mut c_void);
    /// `IoSetCancelRoutine`: exchanges the routine atomically and returns the old one.
    unsafe fn set_cancel_routine(self, routine: Option<CancelRoutine>) -> Option<CancelRoutine>;
}

/// Where the members of `Tail.Overlay` lie.
///
/// # Safety
/// `irp` points to an IRP.
unsafe fn overlay(irp: *mut IRP) -> *mut IRP_3_0 {
    // SAFETY: contract of the function; only the place is computed.
    unsafe { &raw mut (*irp).Tail.Overlay }
}

/// Where the members of `Overlay.AsynchronousParameters` lie, of which the first is a routine or a process.
///
/// # Safety
/// `irp` points to an IRP.
unsafe fn asynchronous(irp: *mut IRP) -> *mut [*mut c_void; 2] {
    // SAFETY: contract of the function; only the place is computed.
    unsafe { &raw mut (*irp).Overlay.AsynchronousParameters }.cast()
}

/// Where the IRP keeps the pointer to its current stack location.
///
/// # Safety
/// `irp` points to an IRP.
unsafe fn location_place(irp: *mut IRP) -> *mut *mut IO_STACK_LOCATION {
    // SAFETY: contract of the function.
    let overlay = unsafe { overlay(irp) };
    // SAFETY: contract of the function; only the place is computed.
    let place = unsafe { &raw mut (*overlay).Anonymous2.Anonymous.CurrentStackLocation };
    place.cast()
}

impl IrpExt for *mut IRP {
    unsafe fn current_location(self) -> *mut IO_STACK_LOCATION {
        // SAFETY: contract of the trait.
        let place = unsafe { location_place(self) };
        // SAFETY: as above; the union member is a plain pointer.
        unsafe { place.read() }
    }
    unsafe fn set_current_location(self, location: *mut IO_STACK_LOCATION) {
        // SAFETY: contract of the trait.
        let place = unsafe { location_place(self) };
        // SAFETY: as above.
        unsafe { place.write(location) }
    }
    unsafe fn next_location(self) -> *mut IO_STACK_LOCATION {
        // SAFETY: contract of the trait.
        let current = unsafe { self.current_location() };
        current.wrapping_sub(1)
    }
    unsafe fn location(self, number: i8) -> *mut IO_STACK_LOCATION {
        let first: *mut IO_STACK_LOCATION = self.wrapping_add(1).cast();
        first.wrapping_offset(isize::from(number) - 1)
    }
    unsafe fn thread(self) -> *mut c_void {
        // SAFETY: contract of the trait.
        let overlay = unsafe { overlay(self) };
        // SAFETY: as above.
        unsafe { (*overlay).Thread as *mut c_void }
    }
    unsafe fn set_thread(self, thread: *mut c_void) {
        // SAFETY: contract of the trait.
        let overlay = unsafe { overlay(self) };
        // SAFETY: as above.
        unsafe { (*overlay).Thread = thread as _ }
    }
    unsafe fn original_file_object(self) -> *mut FILE_OBJECT {
        // SAFETY: contract of the trait.
        let overlay = unsafe { overlay(self) };
        // SAFETY: as above.
        unsafe { (*overlay).OriginalFileObject }
    }
    unsafe fn set_original_file_object(self, file: *mut FILE_OBJECT) {
        // SAFETY: contract of the trait.
        let overlay = unsafe { overlay(self) };
        // SAFETY: as above.
        unsafe { (*overlay).OriginalFileObject = file }
    }
    unsafe fn user_apc(self) -> (usize, *mut c_void) {
        // SAFETY: contract of the trait.
        let place = unsafe { asynchronous(self) };
        // SAFETY: as above; addresses, whatever was stored.
        let [routine, context] = unsafe { place.read() };
        (routine.addr(), context)
    }
    unsafe fn set_user_apc(self, routine: usize, context: *mut c_void) {
        let routine = std::ptr::with_exposed_provenance_mut(routine);
        // SAFETY: contract of the trait.
        let place = unsafe { asynchronous(self) };
        // SAFETY: as above.
        unsafe { place.write([routine, context]) }
    }
    unsafe fn set_cancel_routine(self, routine: Option<CancelRoutine>) -> Option<CancelRoutine> {
        let value = routine.map_or(0, |routine| routine as usize);
        // SAFETY: contract of the trait; the field is pointer-size and aligned.
        let slot = unsafe { &raw mut (*self).CancelRoutine }.cast::<usize>();
        // SAFETY: every writer of the field uses atomics, as the DDI does (InterlockedExchangePointer).
        let slot = unsafe { std::sync::atomic::AtomicUsize::from_ptr(slot) };
        let old = slot.swap(value, std::sync::atomic::Ordering::AcqRel);
        // SAFETY: zero is None, anything else was stored from such a routine.
        unsafe { std::mem::transmute::<usize, Option<CancelRoutine>>(old) }
    }
}
