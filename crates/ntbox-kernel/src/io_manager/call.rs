//! The way down: `IofCallDriver`.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the request belongs to the callee once its dispatch routine is entered"
)]

use super::early_cancel::Moment;
use super::history::{Event, EventKind};
use super::running::{self, Kind};
use super::tracker::{Dispatch, Reference};
use super::{
    call_checks, cancel_checks, checks, device, early_cancel, exchanged, fence, file_name, irp,
    own_request_checks, own_waits, pnp_checks, program_memory, remove_locks, stack_memory,
    unload_safe, witness, written,
};
use crate::nt::routines::{DispatchRoutine, DriverRoutines};
use crate::nt::{
    DEVICE_OBJECT, DISPATCH_LEVEL, IRP, IrpExt, NTSTATUS, STATUS_INVALID_DEVICE_REQUEST,
};
use crate::pe_image;
use crate::processor::driver_code::entering_for;
use crate::processor::thread::Regions;
use crate::processor::{given, irql, points, stack_use, top_level};
use crate::verifier::{self, rules};

/// `IofCallDriver`: gives the request to the dispatch routine of `device`'s
/// driver. `site` is the caller's return address, 0 for the box itself.
///
/// # Safety
/// `device` and `irp` are alive, the request is the caller's, and its next
/// stack location is filled in.
#[inline]
pub unsafe fn call_driver(device: *mut DEVICE_OBJECT, irp: *mut IRP, site: usize) -> NTSTATUS {
    if verifier::checks() {
        // SAFETY: contract.
        return unsafe { checked(device, irp, site) };
    }
    // SAFETY: contract.
    unsafe {
        let number = (*irp).CurrentLocation - 1;
        if number <= 0 {
            no_location(device, irp, site);
            return STATUS_INVALID_DEVICE_REQUEST;
        }
        let routine = enter_location(device, irp, number);
        entering_for(routine, irp)(device, irp)
    }
}

/// # Safety
/// As [`call_driver`], and location `number` exists.
unsafe fn enter_location(device: *mut DEVICE_OBJECT, irp: *mut IRP, number: i8) -> DispatchRoutine {
    // SAFETY: contract.
    unsafe {
        (*irp).CurrentLocation = number;
        let location = irp.next_location();
        irp.set_current_location(location);
        (*location).DeviceObject = device;
        (*(*device).DriverObject)
            .dispatch((*location).MajorFunction)
            .unwrap_or(invalid_device_request)
    }
}

/// `IopInvalidDeviceRequest`, which is in every slot that a driver leaves alone.
///
/// # Safety
/// As any dispatch routine.
pub unsafe extern "win64" fn invalid_device_request(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request.
    unsafe { super::complete::finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0) }
}

/// # Safety
/// `irp` and `device` are alive.
unsafe fn no_location(device: *mut DEVICE_OBJECT, irp: *mut IRP, site: usize) {
    // SAFETY: contract.
    let message = unsafe {
        format!(
            "the request was passed to {}, which needs {} stack location(s), with {} of its {} left",
            super::device::describe(device),
            (*device).StackSize,
            ((*irp).CurrentLocation - 1).max(0),
            (*irp).StackCount
        )
    };
    // SAFETY: contract.
    let rule = if unsafe { (*irp).CurrentLocation } <= 1 {
        &rules::NO_MORE_STACK_LOCATIONS
    } else {
        &rules::STACK_LOCATIONS_RUN_OUT
    };
    checks::report(rule, message, irp, vec![("passed on by", site)]);
}

/// # Safety
/// As [`call_driver`].
#[inline(never)]
unsafe fn checked(device: *mut DEVICE_OBJECT, irp: *mut IRP, site: usize) -> NTSTATUS {
    points::point();
    let by_driver = pe_image::may_be_code(site);
    if by_driver {
        early_cancel::at(Moment::PassedOn, irp);
        irql::promise::broken_by("IoCallDriver", site);
        stack_use::passes_on();
    }
    let level = irql::current();
    let regions = Regions::current();
    let top = top_level::current();
    if let Some(completed) = checks::freed_by(irp) {
        checks::report(
            &rules::USE_AFTER_FREE,
            format!("the request {irp:p} was passed on after it was completed and freed"),
            irp,
            vec![("passed on by", site), ("completed by", completed)],
        );
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    // SAFETY: contract, here and below until the dispatch routine is entered.
    unsafe {
        if !call_checks::is_call(device, irp, site) {
            return STATUS_INVALID_DEVICE_REQUEST;
        }
        if level > DISPATCH_LEVEL && !checks::is_file_system(device) {
            checks::report(
                &rules::FORWARDED_ABOVE_DISPATCH,
                format!(
                    "a request was passed to {} at IRQL {level}",
                    super::device::describe(device)
                ),
                irp,
                vec![("passed on by", site)],
            );
        }
        if level >= DISPATCH_LEVEL && checks::is_file_system(device) {
            checks::report(
                &rules::FORWARDED_AT_BAD_IRQL,
                format!(
                    "a request was passed to {} at IRQL {level}",
                    super::device::describe(device)
                ),
                irp,
                vec![("passed on by", site)],
            );
        }
        let tracker = irp::tracker(irp);
        // Its originator has not looked at it yet: it is there still. Above the first location lies also one that was
        // skipped before it was sent.
        let completed = tracker.map_or(0, |tracker| (*tracker).lock().completed_at);
        if (*irp).CurrentLocation > (*irp).StackCount + 1 && completed != 0 {
            checks::report(
                &rules::USE_AFTER_FREE,
                format!("the request {irp:p} was passed on after it was completed"),
                irp,
                vec![("passed on by", site), ("completed by", completed)],
            );
            return STATUS_INVALID_DEVICE_REQUEST;
        }
        if let Some(tracker) = tracker
            && call_checks::owned_below(&*tracker, site)
        {
            checks::report(
                &rules::FORWARDED_WHILE_BELOW,
                "the request was passed on while a lower driver still has it".into(),
                irp,
                vec![("passed on by", site)],
            );
            return STATUS_INVALID_DEVICE_REQUEST;
        }
        // One that a lower driver has may have a routine of that driver's.
        call_checks::check_cancel_routine(irp, site);
        program_memory::check_request(irp, site);
        let number = (*irp).CurrentLocation - 1;
        // Fewer locations than the stack below needs: the driver that lacks one would write
        // in front of the first before it could be caught.
        if number < (*device).StackSize.max(1) {
            no_location(device, irp, site);
            return STATUS_INVALID_DEVICE_REQUEST;
        }
        device::check_attached(device);
        call_checks::check_create(irp, site);
        call_checks::check_process(irp, site);
        if site == 0 && number == (*irp).StackCount {
            written::issued(irp, device);
            exchanged::issued(irp);
        } else {
            written::look(irp, ("passed on by", site));
            exchanged::passed_on(irp, site);
        }
        remove_locks::passed_on(irp, site);
        if let Some(tracker) = tracker {
            if site != 0 {
                let caller = (*tracker).lock().holders().last().copied();
                pnp_checks::passed_on(irp, &*irp.next_location(), caller, site);
            }
            call_checks::check(&*tracker, device, irp, number, site);
        }
        let routine = enter_location(device, irp, number);
        let dispatch = Dispatch {
            device,
            routine: routine as usize,
        };
        let location = irp.location(number);
        file_name::left_by(irp, number, site);
        if let Some(completion) = (*location).CompletionRoutine {
            given::remember(completion as usize, "IoSetCompletionRoutine", site);
        }
        let control = (*location).Control;
        let kind = Kind::of(&*location);
        let stack = running::stack_of(routine as usize, &raw const control as usize);
        witness::request_arrives(device, irp, number);
        let signalled = call_checks::is_event_signalled(irp, site);
        let fence = fence::before_call(irp, site);
        if call_checks::is_own_of_thread(irp, site) {
            stack_memory::sent(irp, site);
        }
        if site != 0 && number == (*irp).StackCount {
            own_request_checks::sent(irp, unload_safe::asked(&*location), site);
        }
        let entered = tracker.map(|tracker| {
            let asked = unload_safe::asked(&*location);
            let event =
                Event::new(EventKind::Called, device, number, 0, site).with_routine(asked.own);
            (*tracker).history.record(event);
            running::dispatch_entered(tracker, irp, number, routine as usize, kind);
            Reference::another(tracker, |inner| {
                inner.set_asked(number, asked);
                inner.enter(number, control, dispatch, (site, stack))
            })
        });

        let to_driver = pe_image::may_be_code(routine as usize);
        if to_driver {
            early_cancel::at(Moment::Arrives, irp);
        }

        let status = entering_for(routine, irp)(device, irp);

        stack_memory::returned(routine as usize, (&raw const control).addr());
        call_checks::check_status(status, routine as usize, signalled.then_some(site));
        if let Some((tracker, entry)) = entered {
            let queued = running::dispatch_left();
            own_waits::returned(running::depth() + 1);
            fence::take_down(&raw const *tracker);
            remove_locks::dispatch_left(&tracker, &entry, irp, status);
            cancel_checks::dispatch_left(&tracker, &entry, irp, status);
            tracker.history.record(Event::new(
                EventKind::Returned,
                device,
                number,
                status,
                routine as usize,
            ));
            tracker.release(|inner| {
                let pended = kind == Kind::Oplock && inner.is_pended_above(&entry, status);
                if pended && !device::lower(device).is_null() {
                    checks::oplock_pended(&entry.dispatch, inner);
                } else if let Some(found) = inner.leave(&entry, status, queued) {
                    checks::disagreement(found, status, inner);
                }
            });
        }
        irql::promise::broken_by("the end of the dispatch routine", routine as usize);
        let now = irql::current();
        if now != level {
            checks::report(
                &rules::IRQL_CHANGED_BY_DISPATCH,
                format!(
                    "{} was entered at IRQL {level} and returned at IRQL {now}",
                    super::device::describe(device)
                ),
                irp,
                vec![
                    ("dispatch routine", routine as usize),
                    ("passed on by", site),
                ],
            );
            irql::restore(level);
        }
        checks::same_regions(regions, "dispatch routine", routine as usize, irp);
        checks::same_top_level(top, "dispatch routine", routine as usize, irp);
        if by_driver {
            early_cancel::at(Moment::Returned, irp);
        }
        fence::put_up(fence);
        status
    }
}
