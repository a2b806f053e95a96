//! Device stacks: attaching, detaching, and the ways up and down.
//!
//! A stack is linked upwards by `AttachedDevice` and downwards by
//! `DeviceObjectExtension->AttachedTo`. The links change under the lock of
//! [`super::device`] (the I/O database of NT) and are followed upwards without
//! it, as `IoGetRelatedDeviceObject` does on every request.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "device objects are shared with drivers by pointer"
)]

use super::database::{DELETE_PENDING, UNLOAD_PENDING, database, describe};
use super::{checks, legacy_filters, surprise_checks};
use crate::nt::{
    DEVICE_OBJECT, DO_DEVICE_INITIALIZING, NTSTATUS, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS,
};
use crate::processor::lifetime;
use crate::verifier::rules;
use std::sync::atomic::{AtomicPtr, Ordering};

/// `IoAttachDeviceToDeviceStackSafe`: puts `source` on top of the stack that
/// `target` is in, and stores the device that it went on before anything can
/// reach it there.
///
/// # Errors (as NTSTATUS)
/// `STATUS_NO_SUCH_DEVICE` if the top device is initializing, being deleted or unloaded, or if
/// filters are kept off it ([`legacy_filters`]).
///
/// # Safety
/// Both devices are alive, `source` is in no stack, `attached_to` is writable.
pub unsafe fn attach_to_stack_safe(
    source: *mut DEVICE_OBJECT,
    target: *mut DEVICE_OBJECT,
    attached_to: *mut *mut DEVICE_OBJECT,
) -> NTSTATUS {
    let _database = database();
    // SAFETY: contract; the links are locked.
    unsafe {
        let top = top_of_stack(target);
        let blocked =
            (*(*top).DeviceObjectExtension).ExtensionFlags & (UNLOAD_PENDING | DELETE_PENDING);
        if (*top).Flags & DO_DEVICE_INITIALIZING != 0
            || blocked != 0
            || legacy_filters::are_kept_off(top)
        {
            *attached_to = std::ptr::null_mut();
            return STATUS_NO_SUCH_DEVICE;
        }
        (*source).StackSize = (*top).StackSize + 1;
        (*source).AlignmentRequirement = (*top).AlignmentRequirement;
        (*source).SectorSize = (*top).SectorSize;
        (*(*source).DeviceObjectExtension).AttachedTo = top;
        *attached_to = top;
        attached_slot(top).store(source, Ordering::Release);
    }
    STATUS_SUCCESS
}

/// `IoDetachDevice`: takes the device that is attached to `target` off it.
/// `site` is the caller's return address, 0 for the box itself.
///
/// # Safety
/// `target` is alive.
pub unsafe fn detach(target: *mut DEVICE_OBJECT, site: usize) {
    // SAFETY: contract.
    unsafe {
        if attached(target).is_null() {
            checks::report(
                &rules::DETACHED_TWICE,
                format!("nothing is attached to {}", describe(target)),
                std::ptr::null_mut(),
                vec![("detached by", site)],
            );
            return;
        }
        let above = attached(target);
        surprise_checks::goes(&rules::DETACHED_IN_SURPRISE, "detached", above, site);
        unlink(target);
    }
}

pub(super) unsafe fn unlink(target: *mut DEVICE_OBJECT) {
    let _database = database();
    // SAFETY: contract of the caller: `target` is alive; the links are locked.
    unsafe {
        let above = attached_slot(target).swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !above.is_null() {
            (*(*above).DeviceObjectExtension).AttachedTo = std::ptr::null_mut();
        }
    }
}

unsafe fn attached_slot<'a>(device: *mut DEVICE_OBJECT) -> &'a AtomicPtr<DEVICE_OBJECT> {
    // SAFETY: contract of the caller: the device is alive; the box writes the link atomically only.
    unsafe { AtomicPtr::from_ptr(&raw mut (*device).AttachedDevice) }
}

/// `AttachedDevice`: the device directly above, or null.
///
/// # Safety
/// `device` is alive.
pub unsafe fn attached(device: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
    // SAFETY: contract.
    unsafe { attached_slot(device) }.load(Ordering::Acquire)
}

/// `IoGetAttachedDevice`: the top of the stack.
///
/// # Safety
/// `device` is alive and its stack does not come apart meanwhile.
pub unsafe fn top_of_stack(device: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
    let mut top = device;
    loop {
        // SAFETY: contract.
        let above = unsafe { attached(top) };
        if above.is_null() {
            return top;
        }
        top = above;
    }
}

/// `IoGetAttachedDeviceReference`.
///
/// # Safety
/// `device` is alive.
pub unsafe fn reference_top_of_stack(device: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
    let _database = database();
    // SAFETY: contract; no device of the stack is deleted while the links are locked.
    unsafe {
        let top = top_of_stack(device);
        lifetime::reference(top.cast());
        top
    }
}

/// The device directly below, or null.
///
/// # Safety
/// `device` is alive.
pub unsafe fn lower(device: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
    let _database = database();
    // SAFETY: contract.
    unsafe { (*(*device).DeviceObjectExtension).AttachedTo }
}

/// `IoGetLowerDeviceObject`: the device directly below, referenced; null if there
/// is none or it is being deleted.
///
/// # Safety
/// `device` is alive.
pub unsafe fn reference_lower(device: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
    let _database = database();
    // SAFETY: contract; links are locked.
    unsafe {
        let gone = UNLOAD_PENDING | DELETE_PENDING;
        if (*(*device).DeviceObjectExtension).ExtensionFlags & gone != 0 {
            return std::ptr::null_mut();
        }
        let below = (*(*device).DeviceObjectExtension).AttachedTo;
        if !below.is_null() {
            lifetime::reference(below.cast());
        }
        below
    }
}

/// The bottom of the stack (`IoGetDeviceAttachmentBaseRef` without its reference).
///
/// # Safety
/// `device` is alive.
pub unsafe fn attachment_base(device: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
    let _database = database();
    // SAFETY: contract; links are locked.
    unsafe { base(device) }
}

/// `IoGetDeviceAttachmentBaseRef`.
///
/// # Safety
/// `device` is alive.
pub unsafe fn reference_attachment_base(device: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
    let _database = database();
    // SAFETY: contract; links are locked.
    unsafe {
        let base = base(device);
        lifetime::reference(base.cast());
        base
    }
}

unsafe fn base(device: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
    let mut base = device;
    loop {
        // SAFETY: contract of the callers, which hold the lock of the links.
        let below = unsafe { (*(*base).DeviceObjectExtension).AttachedTo };
        if below.is_null() {
            return base;
        }
        base = below;
    }
}
