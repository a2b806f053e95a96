//! What the checks look at when a request is passed on: the stack location that
//! it is passed with, and whether it is the caller's to pass.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the request belongs to the caller, who is in IoCallDriver, and is read in place"
)]

use super::attachment::lower;
use super::own_request_checks::Made;
use super::tracker::{Asked, Holder, Tracker};
use super::{checks, database, unload_safe};
use crate::host::memory::try_read_as;
use crate::nt::irp::control;
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, FO_CLEANUP_COMPLETE, FO_FILE_OPEN_CANCELLED, IO_STACK_LOCATION,
    IRP, IRP_MJ_CREATE, IrpExt, NTSTATUS, STATUS_PENDING,
};
use crate::pe_image;
use crate::processor::{dispatcher, process};
use crate::verifier::{Rule, options, rules};
use std::mem::offset_of;
use std::ptr::null_mut;

const INVOKE: u8 =
    control::INVOKE_ON_SUCCESS | control::INVOKE_ON_ERROR | control::INVOKE_ON_CANCEL;

/// `IO_TYPE_DEVICE`.
const IO_TYPE_DEVICE: i16 = 3;

/// Reports a call of `site` that is none of a device with a request; false then.
///
/// # Safety
/// `irp` and `device` are what the caller of `IoCallDriver` passes: readable, or null.
pub(super) unsafe fn is_call(device: *mut DEVICE_OBJECT, irp: *mut IRP, site: usize) -> bool {
    let wrong = |rule: &'static Rule, message: String| {
        // Not taken for a request in the report.
        checks::report(rule, message, null_mut(), vec![("passed on by", site)]);
        false
    };
    if device.is_null() {
        return wrong(
            &rules::NO_DEVICE,
            "IoCallDriver was called without a device object".to_owned(),
        );
    }
    // SAFETY: contract.
    let (of_device, of_request) = unsafe { ((*device).Type, (*irp).Type) };
    if of_device != IO_TYPE_DEVICE {
        let message = format!("{device:p}, of type {of_device}, was passed as a device object");
        return wrong(&rules::WRONG_DEVICE_TYPE, message);
    }
    if of_request != super::irp::IO_TYPE_IRP {
        let message = format!("{irp:p}, of type {of_request}, was passed as a request");
        return wrong(&rules::WRONG_REQUEST_TYPE, message);
    }
    true
}

/// Reports a cancel routine of a request that `site` passes on.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn check_cancel_routine(irp: *mut IRP, site: usize) {
    // SAFETY: contract.
    if site != 0 && unsafe { (*irp).CancelRoutine.is_some() } {
        let message = "the request was passed on while its cancel routine is set".to_owned();
        report(&rules::CANCEL_ROUTINE_AT_CALL, message, irp, site);
    }
}

/// Reports a create that `site` sends for a file object that is closed, or whose open was cancelled.
///
/// # Safety
/// `irp` is alive, and its next location is filled in.
pub(super) unsafe fn check_create(irp: *mut IRP, site: usize) {
    // SAFETY: contract.
    let next = unsafe { irp.next_location() };
    // SAFETY: contract.
    let (major, file) = unsafe { ((*next).MajorFunction, (*next).FileObject) };
    if site == 0 || u32::from(major) != IRP_MJ_CREATE || file.is_null() {
        return;
    }
    // IoCallDriver itself never looks at the file object: whoever lays out a request may put
    // anything there.
    let flags = file.addr().wrapping_add(offset_of!(FILE_OBJECT, Flags));
    // SAFETY: any bytes are flags.
    let flags = unsafe { try_read_as::<u32>(flags) }.unwrap_or(0);
    if flags & (FO_CLEANUP_COMPLETE | FO_FILE_OPEN_CANCELLED) != 0 {
        let message =
            "a create was sent for a file object that is closed, or whose open was cancelled"
                .to_owned();
        report(&rules::CREATE_FOR_CLOSED, message, irp, site);
    }
}

/// True if `site` sends a request of its own that is in the list of its thread.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn is_own_of_thread(irp: *mut IRP, site: usize) -> bool {
    // SAFETY: contract.
    site != 0 && unsafe { super::irp::made(irp) } == Some(Made::Threaded)
}

/// True if `site` sends a request of its own with an event that is signalled.
///
/// # Safety
/// `irp` is alive, and its event, if it has one, is the caller's.
pub(super) unsafe fn is_event_signalled(irp: *mut IRP, site: usize) -> bool {
    // SAFETY: contract.
    if !unsafe { is_own_of_thread(irp, site) } {
        return false;
    }
    // SAFETY: contract.
    let event = unsafe { (*irp).UserEvent };
    // SAFETY: contract.
    !event.is_null() && unsafe { dispatcher::read_state(event.cast()) } != 0
}

/// Reports what is wrong with the `status` that the dispatch routine at `routine` returned;
/// `signalled` sent the request with a signalled event.
pub(super) fn check_status(status: NTSTATUS, routine: usize, signalled: Option<usize>) {
    if status == -1 {
        checks::report(
            &rules::ILLEGAL_STATUS,
            "a dispatch routine returned the status -1".to_owned(),
            null_mut(),
            vec![("dispatch routine", routine)],
        );
    }
    if let Some(site) = signalled.filter(|_| status == STATUS_PENDING) {
        checks::report(
            &rules::SIGNALLED_EVENT,
            "STATUS_PENDING was returned for a request whose event was signalled already"
                .to_owned(),
            null_mut(),
            vec![("sent by", site)],
        );
    }
}

/// True if `target` lies below the device that the driver at `device` is attached to.
///
/// # Safety
/// `device` is alive, and holds the devices below it.
unsafe fn is_skipped(device: *mut DEVICE_OBJECT, target: *mut DEVICE_OBJECT) -> bool {
    // The link itself, without the lock: nearly always it is the right one.
    // SAFETY: contract.
    let mut below = unsafe { (*(*device).DeviceObjectExtension).AttachedTo };
    if below == target {
        return false;
    }
    while !below.is_null() {
        // SAFETY: contract.
        below = unsafe { lower(below) };
        if below == target {
            return true;
        }
    }
    false
}

/// Reports what is wrong with the request that `site` passes to `device` with location `number`.
///
/// # Safety
/// `irp` and `device` are alive, and the request has location `number`.
pub(super) unsafe fn check(
    tracker: &Tracker,
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    number: i8,
    site: usize,
) {
    let (holders, refused, asked) = {
        let mut inner = tracker.lock();
        let refused = inner.take_refused();
        let asked = inner.asked(number);
        let count = inner.holders().len();
        // The caller and the one above, which is as far as the rules look.
        let last = |back: usize| {
            let index = count.checked_sub(back)?;
            inner.holders().get(index).copied()
        };
        ((last(1), last(2)), refused, asked)
    };
    let Some(caller) = holders.0 else { return };
    // Told to the driver that passes the request on, not to one further up.
    let refused = refused.filter(|(location, _)| location + 1 == caller.number);
    // SAFETY: contract, for all that is read below.
    unsafe {
        if irp.current_location() != irp.location((*irp).CurrentLocation) {
            let message =
                "CurrentLocation and CurrentStackLocation of the request are not the same location"
                    .into();
            return report(&rules::STACK_LOCATION_WRONG, message, irp, site);
        }
        if site != 0 && is_skipped(caller.dispatch.device, device) {
            let message = format!(
                "the request was passed to {}, past the device that {} is attached to",
                database::describe(device),
                database::describe(caller.dispatch.device)
            );
            return report(&rules::DEVICE_SKIPPED, message, irp, site);
        }
        if caller.number != number + 1 {
            // It was skipped: the location is the caller's own.
            let now = unload_safe::asked(&*irp.location(number));
            if caller.number == number && now != asked {
                return overwritten(irp, site, asked, now);
            }
            if let Some((_, told)) = refused {
                not_completed(irp, site, told);
            }
            return;
        }
        let own = irp.location(number + 1).read();
        let next = irp.location(number).read();
        if let Some(wrong) = not_copied(&own, &next) {
            let to = database::describe(device);
            let message = format!("the request was passed to {to} with {wrong}");
            return report(&rules::STACK_LOCATION_WRONG, message, irp, site);
        }
        if next.Control & (control::PENDING_RETURNED | control::ERROR_RETURNED) != 0 {
            let message = format!(
                "the request was passed on with SL_ flags 0x{:02X} in the next stack location",
                next.Control
            );
            return report(&rules::CONTROL_NOT_ZEROED, message, irp, site);
        }
        if next.Control & INVOKE != 0 {
            let (routine, _) = unload_safe::routine_of(&next);
            if pe_image::is_pageable_code(routine) {
                return checks::report(
                    &rules::PAGEABLE_ROUTINE,
                    "the request was passed on with a completion routine in pageable code".into(),
                    irp,
                    vec![("passed on by", site), ("completion routine", routine)],
                );
            }
        }
        if next.Control & INVOKE != 0 && copied_routine(&own, &next, &caller, holders.1) {
            let (routine, _) = unload_safe::routine_of(&next);
            return checks::report(
                &rules::ROUTINE_COPIED,
                "the request was passed on with the completion routine of the driver above".into(),
                irp,
                vec![("passed on by", site), ("completion routine", routine)],
            );
        }
        if let Some((_, told)) = refused {
            if next.Control & INVOKE != 0 {
                return not_completed(irp, site, told);
            }
            return checks::report(
                &rules::COMPLETION_ROUTINE_REFUSED,
                "the request was passed on as if IoSetCompletionRoutineEx had not failed".into(),
                irp,
                vec![("passed on by", site), ("set by", told)],
            );
        }
        if site == 0 {
            return;
        }
        if is_plain_routine_of_no_pnp_driver(&caller, &next)
            && options::reports(&rules::PLAIN_COMPLETION_ROUTINE)
        {
            let (routine, _) = unload_safe::routine_of(&next);
            return checks::report(
                &rules::PLAIN_COMPLETION_ROUTINE,
                "the request was passed on with a routine of IoSetCompletionRoutine".into(),
                irp,
                vec![("passed on by", site), ("completion routine", routine)],
            );
        }
        if next.Control & INVOKE == 0
            && own.Control & control::PENDING_RETURNED == 0
            && is_same_request(&own, &next)
        {
            let message =
                "the stack location was copied unchanged and no completion routine set".into();
            report(&rules::COPIED_WITHOUT_ROUTINE, message, irp, site);
        }
    }
}

/// Reports a driver that has skipped its location, which asked for `was` when it was given to it and asks for `now`.
fn overwritten(irp: *mut IRP, site: usize, was: Asked, now: Asked) {
    let message = if was.own.0 == 0 {
        "the location was skipped, and a completion routine set in it, which is the driver's above"
    } else {
        "the location was skipped, and the completion routine of the driver above overwritten in it"
    };
    checks::report(
        &rules::ROUTINE_OVERWRITTEN,
        message.to_owned(),
        irp,
        vec![
            ("passed on by", site),
            ("completion routine", now.own.0),
            ("in the place of", was.own.0),
        ],
    );
}

/// Reports a driver that has seen that no routine could be set, and passes the request on in another way.
fn not_completed(irp: *mut IRP, site: usize, told: usize) {
    checks::report(
        &rules::REFUSED_AND_PASSED_ON,
        "IoSetCompletionRoutineEx failed, and the request was passed on instead of completed"
            .into(),
        irp,
        vec![("passed on by", site), ("set by", told)],
    );
}

fn report(rule: &'static Rule, message: String, irp: *mut IRP, site: usize) {
    checks::report(rule, message, irp, vec![("passed on by", site)]);
}

/// True if the routine of the next location does not keep its driver, which has no AddDevice.
///
/// # Safety
/// The caller's device is alive, and the next location is of its request.
unsafe fn is_plain_routine_of_no_pnp_driver(caller: &Holder, next: &IO_STACK_LOCATION) -> bool {
    if next.Control & INVOKE == 0 || unload_safe::keeps_its_driver(next) {
        return false;
    }
    // SAFETY: contract: a device has a driver.
    let extension = unsafe { (*(*caller.dispatch.device).DriverObject).DriverExtension };
    // SAFETY: the extension of a driver object is null or alive as long as that.
    extension.is_null() || unsafe { (*extension).AddDevice.is_none() }
}

/// True if `site` belongs to a driver that has the request in its stack, but not last.
pub(super) fn owned_below(tracker: &Tracker, site: usize) -> bool {
    let Some(image) = pe_image::image_at(site) else {
        return false;
    };
    let inner = tracker.lock();
    let is_here = |holder: &Holder| image.contains(holder.dispatch.routine);
    match inner.holders().split_last() {
        Some((last, above)) => !is_here(last) && above.iter().any(is_here),
        None => false,
    }
}

/// What shows that the next location is not one that was made from the caller's own.
fn not_copied(own: &IO_STACK_LOCATION, next: &IO_STACK_LOCATION) -> Option<String> {
    if own.MajorFunction != next.MajorFunction {
        return Some(format!(
            "major function 0x{:02X} instead of its own 0x{:02X}",
            next.MajorFunction, own.MajorFunction
        ));
    }
    (next.FileObject.is_null() && !own.FileObject.is_null()).then(|| "no file object".to_owned())
}

/// True if the routine and context are those that the driver above has set in the caller's location.
fn copied_routine(
    own: &IO_STACK_LOCATION,
    next: &IO_STACK_LOCATION,
    caller: &Holder,
    above: Option<Holder>,
) -> bool {
    let address = |location: &IO_STACK_LOCATION| {
        location
            .CompletionRoutine
            .map_or(0, |routine| routine as usize)
    };
    let routine = address(next);
    if own.Control & INVOKE == 0
        || routine == 0
        || routine != address(own)
        || next.Context != own.Context
    {
        return false;
    }
    // Two devices of one driver next to each other set the same routine rightly.
    let same_driver = match pe_image::image_at(routine) {
        Some(image) => image.contains(caller.dispatch.routine),
        None => above.is_some_and(|above| above.dispatch.routine == caller.dispatch.routine),
    };
    !same_driver
}

/// True if both locations ask for the same, so that the caller's own would have done.
fn is_same_request(own: &IO_STACK_LOCATION, next: &IO_STACK_LOCATION) -> bool {
    // What IoCopyCurrentIrpStackLocationToNext copies, but the control flags and the device.
    let bytes = |location: &IO_STACK_LOCATION| {
        let start = std::ptr::from_ref(location).cast::<u8>();
        let from = offset_of!(IO_STACK_LOCATION, Parameters);
        let to = offset_of!(IO_STACK_LOCATION, DeviceObject);
        // SAFETY: the range lies in the location, which was zeroed before it was filled in.
        unsafe { std::slice::from_raw_parts(start.add(from), to - from) }.to_vec()
    };
    (own.MinorFunction, own.Flags, own.FileObject)
        == (next.MinorFunction, next.Flags, next.FileObject)
        && bytes(own) == bytes(next)
}

/// Reports a driver whose call of `site` sends a request while it has its thread attached to another process.
pub(super) fn check_process(irp: *mut IRP, site: usize) {
    let attached_by = process::attached_by();
    if attached_by == 0 {
        return;
    }
    let images = pe_image::image_at(site).zip(pe_image::image_at(attached_by));
    if images.is_some_and(|(sends, attached)| sends.base() == attached.base()) {
        checks::report(
            &rules::SENT_WHILE_ATTACHED,
            "a request was passed on by a thread that is attached to another process".to_owned(),
            irp,
            vec![("passed on by", site), ("attached by", attached_by)],
        );
    }
}
