//! `IoSetCompletionRoutineEx`: a completion routine that keeps its driver.
//!
//! The routine that goes into the stack location is the box's own. Its context
//! holds a reference to the device object, whose driver cannot go while it
//! exists; the reference is given back when the driver's routine has returned.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the context travels through the stack location by pointer"
)]

use super::database::describe;
use super::outstanding::Outstanding;
use super::tracker::Asked;
use super::{checks, irp, stack};
use crate::host::memory::try_read_usize;
use crate::nt::routines::CompletionRoutine;
use crate::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, IO_STACK_LOCATION, IRP, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_SUCCESS,
};
use crate::pe_image;
use crate::pool;
use crate::processor::driver_code::entering_for;
use crate::processor::lifetime;
use crate::verifier::rules;
use std::ffi::c_void;
use std::mem::offset_of;

struct Guarded {
    device: *mut DEVICE_OBJECT,
    routine: CompletionRoutine,
    context: *mut c_void,
}

const TAG: u32 = u32::from_le_bytes(*b"IoUs");
static OUTSTANDING: Outstanding = Outstanding::new();

/// Guarded completion routines of the driver that have not returned.
pub(super) fn outstanding(driver: *mut DRIVER_OBJECT) -> usize {
    OUTSTANDING.of(driver)
}

/// `IoSetCompletionRoutineEx`.
///
/// # Errors (as NTSTATUS)
/// `STATUS_INSUFFICIENT_RESOURCES`.
///
/// # Safety
/// `device` and `irp` are alive, the request is the caller's and has a location left.
pub unsafe fn set(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    routine: CompletionRoutine,
    context: *mut c_void,
    invoke: u8,
    site: usize,
) -> NTSTATUS {
    // Counted as the driver's allocation, so that failing it can be injected.
    let block: *mut Guarded =
        pool::allocate(pool::Kind::NonPaged, size_of::<Guarded>(), TAG, site).cast();
    // SAFETY: contract: the request is alive.
    let number = unsafe { (*irp).CurrentLocation } - 1;
    // SAFETY: contract.
    if let Some(tracker) = unsafe { irp::tracker(irp) } {
        let refused = block.is_null().then_some(site);
        // SAFETY: a live request keeps its tracker.
        unsafe { &*tracker }.lock().set_refused(number, refused);
    }
    if block.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if let Some(image) = pe_image::image_at(site) {
        // SAFETY: contract: the device is alive, and so is its driver.
        let start = unsafe { (*(*device).DriverObject).DriverStart };
        if start as usize != image.base() {
            checks::report(
                &rules::COMPLETION_ROUTINE_DEVICE,
                // SAFETY: contract.
                format!("IoSetCompletionRoutineEx was called with {}", unsafe {
                    describe(device)
                }),
                irp,
                vec![("called by", site)],
            );
        }
    }
    // SAFETY: contract; the block is large enough and new.
    unsafe {
        lifetime::reference(device.cast());
        OUTSTANDING.count((*device).DriverObject, 1);
        block.write(Guarded {
            device,
            routine,
            context,
        });
        stack::set_completion_routine(irp, Some(guarded), block.cast(), invoke);
    }
    STATUS_SUCCESS
}

/// The completion routine that a location asks for and its context, as the driver has set them.
///
/// # Safety
/// It is a location of a live request whose routine has not been called yet.
pub(super) unsafe fn routine_of(location: &IO_STACK_LOCATION) -> (usize, usize) {
    let Some(routine) = location
        .CompletionRoutine
        .filter(|_| location.Control & stack::ALWAYS != 0)
    else {
        return (0, 0);
    };
    if routine as usize != guarded as *const () as usize {
        return (routine as usize, location.Context as usize);
    }
    // SAFETY: `set` put the block there together with this routine.
    let block = unsafe { &*location.Context.cast::<Guarded>() };
    (block.routine as usize, block.context as usize)
}

/// What a location asks for on the way up.
///
/// # Safety
/// As [`routine_of`].
pub(super) unsafe fn asked(location: &IO_STACK_LOCATION) -> Asked {
    let invoke = location.Control & stack::ALWAYS;
    match location.CompletionRoutine.filter(|_| invoke != 0) {
        None => Asked {
            invoke,
            ..Asked::default()
        },
        Some(routine) => Asked {
            invoke,
            called: (routine as usize, location.Context as usize),
            // SAFETY: contract.
            own: unsafe { routine_of(location) },
        },
    }
}

/// True if the routine that a location asks for was set with `IoSetCompletionRoutineEx`.
pub(super) fn keeps_its_driver(location: &IO_STACK_LOCATION) -> bool {
    location
        .CompletionRoutine
        .is_some_and(|routine| routine as usize == guarded as *const () as usize)
}

/// As [`routine_of`], for a location of which nothing is sure.
pub fn routine_to_tell(location: &IO_STACK_LOCATION) -> (usize, usize) {
    let Some(routine) = location.CompletionRoutine else {
        return (0, 0);
    };
    let plain = (routine as usize, location.Context as usize);
    if routine as usize != guarded as *const () as usize {
        return plain;
    }
    let address = location.Context as usize;
    let word = |offset| try_read_usize(address + offset);
    let own = word(offset_of!(Guarded, routine)).zip(word(offset_of!(Guarded, context)));
    own.unwrap_or(plain)
}

/// The address to report for the completion routine of a location: the driver's
/// own where this module's stands in front of it.
///
/// # Safety
/// `context` is the one that the location holds with `routine`, which has not been called yet.
pub(super) unsafe fn routine_to_report(routine: CompletionRoutine, context: *mut c_void) -> usize {
    if routine as usize != guarded as *const () as usize {
        return routine as usize;
    }
    // SAFETY: `set` put the block there together with this routine.
    unsafe { (*context.cast::<Guarded>()).routine as usize }
}

unsafe extern "win64" fn guarded(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    let block: *mut Guarded = context.cast();
    // SAFETY: `set` made the block for this location, which completes once.
    unsafe {
        let Guarded {
            device: own,
            routine,
            context,
        } = block.read();
        pool::free(block.cast(), Some(TAG), 0);
        let status = entering_for(routine, irp)(device, irp, context);
        OUTSTANDING.count((*own).DriverObject, -1);
        lifetime::dereference(own.cast());
        status
    }
}
