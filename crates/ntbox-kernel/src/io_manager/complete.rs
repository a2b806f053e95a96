//! The way up: `IofCompleteRequest`, first stage.
//!
//! From the location of whoever completes, upwards: PendingReturned is taken
//! from the location's `SL_PENDING_RETURNED`; the completion routine that the
//! location holds (it was put there by the driver above) is called if one of
//! its invoke flags fits; without a routine the I/O manager itself carries the
//! mark to the location above. Each location is zeroed before its routine runs.
//! A routine that returns STATUS_MORE_PROCESSING_REQUIRED stops everything, and
//! whoever calls `IoCompleteRequest` again continues from the location that the
//! request stands at. Past the top, [`super::second_stage`] takes over.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a request is walked by pointer; its completer owns it"
)]

use super::complete_checks::{check_information, check_level, check_request, twice};
use super::history::{Event, EventKind};
use super::running::Kind;
use super::tracker::Reference;
use super::{
    call_checks, checks, completion_states, exchanged, fence, file_checks, irp, mount_checks,
    pnp_checks, remove_locks, running, second_stage, unload_safe, witness, written,
};
use crate::nt::irp::control;
use crate::nt::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, IrpExt, NTSTATUS, STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_PENDING, STATUS_SUCCESS, Status,
};
use crate::pe_image::image_at;
use crate::pool::active;
use crate::processor::driver_code::entering_for;
use crate::processor::thread::Regions;
use crate::processor::{irql, top_level};
use crate::verifier::{self, rules};

pub use super::second_stage::finish_synchronously;

/// `IofCompleteRequest`. `site` is the caller's return address, 0 for the box itself.
///
/// # Safety
/// `irp` is alive and the caller's to complete.
#[inline]
pub unsafe fn complete_request(irp: *mut IRP, boost: i8, site: usize) {
    if verifier::checks() {
        // SAFETY: contract.
        unsafe { checked(irp, boost, site) };
    } else {
        // SAFETY: contract.
        unsafe { run(irp, boost, &mut Unchecked) };
    }
}

/// # Safety
/// As [`complete_request`].
#[inline(never)]
unsafe fn checked(irp: *mut IRP, boost: i8, site: usize) {
    if let Some(completed) = checks::freed_by(irp) {
        twice(
            format!("the request {irp:p} is completed a second time"),
            irp,
            site,
            completed,
        );
        return;
    }
    // SAFETY: contract; the reference keeps the tracker when the request goes.
    unsafe {
        if let Some(tracker) = irp::tracker(irp)
            && call_checks::owned_below(&*tracker, site)
        {
            let rule = if running::is_in_dispatch_of(irp) {
                &rules::COMPLETED_WITHOUT_WAITING
            } else {
                &rules::COMPLETED_WHILE_BELOW
            };
            checks::report(
                rule,
                "the request was completed while a lower driver still has it".into(),
                irp,
                vec![("completed by", site)],
            );
            return;
        }
        if !check_request(irp, site) {
            return;
        }
        let mut checked = match irp::tracker(irp) {
            None => Checked {
                tracker: None,
                sequence: 0,
                site,
                last: ("completed by", site),
                given: 0,
            },
            Some(tracker) => {
                let event = Event::new(
                    EventKind::Completed,
                    std::ptr::null_mut(),
                    (*irp).CurrentLocation,
                    (*irp).IoStatus.Anonymous.Status,
                    site,
                );
                // A request that its originator completes has no location.
                let marked = (*irp).CurrentLocation <= (*irp).StackCount
                    && (*irp.current_location()).Control & control::PENDING_RETURNED != 0;
                (*tracker).history.record(event.with_pending(marked));
                let (tracker, (before, begun)) = Reference::another(tracker, |inner| {
                    let number = (*irp).CurrentLocation;
                    (inner.completed_at, inner.begin_completion(site, number))
                });
                let Some(sequence) = begun else {
                    twice(
                        "the request is completed a second time".into(),
                        irp,
                        site,
                        before,
                    );
                    return;
                };
                Checked {
                    tracker: Some(tracker),
                    sequence,
                    site,
                    last: ("completed by", site),
                    given: 0,
                }
            }
        };
        let fence = fence::before_completion(irp, site);
        run(irp, boost, &mut checked);
        drop(checked);
        fence::put_up(fence);
    }
}

/// Sets status and information and completes the request, for native drivers.
/// Returns `status`, which a dispatch routine that completes at once returns too.
///
/// # Safety
/// As [`complete_request`].
#[inline]
pub unsafe fn finish(irp: *mut IRP, status: NTSTATUS, information: usize) -> NTSTATUS {
    // SAFETY: contract.
    unsafe {
        (*irp).IoStatus.Anonymous.Status = status;
        (*irp).IoStatus.Information = information;
        complete_request(irp, 0, 0);
    }
    status
}

/// What completion tells the checks. The walk itself is the same with and without.
trait Observer {
    /// Calls the routine. After `Stop` the request is not touched again.
    unsafe fn routine(
        &mut self,
        irp: *mut IRP,
        device: *mut DEVICE_OBJECT,
        location: &IO_STACK_LOCATION,
    ) -> Outcome;
    unsafe fn pass(&mut self, irp: *mut IRP, number: i8, control: u8, calls: bool);
    unsafe fn top(&mut self, irp: *mut IRP);
}

enum Outcome {
    Continue,
    Stop,
}

struct Unchecked;

impl Observer for Unchecked {
    unsafe fn routine(
        &mut self,
        irp: *mut IRP,
        device: *mut DEVICE_OBJECT,
        location: &IO_STACK_LOCATION,
    ) -> Outcome {
        let Some(routine) = location.CompletionRoutine else {
            return Outcome::Continue;
        };
        // SAFETY: the driver that set the routine made it callable at up to DISPATCH_LEVEL.
        match unsafe { entering_for(routine, irp)(device, irp, location.Context) } {
            STATUS_MORE_PROCESSING_REQUIRED => Outcome::Stop,
            _ => Outcome::Continue,
        }
    }
    unsafe fn pass(&mut self, _: *mut IRP, _: i8, _: u8, _: bool) {}
    unsafe fn top(&mut self, _: *mut IRP) {}
}

struct Checked {
    tracker: Option<Reference>,
    sequence: u32,
    site: usize,
    /// Who had the request last.
    last: (&'static str, usize),
    /// IoStatus.Information as the box's own code has left it, which is nobody's mistake.
    given: usize,
}

impl Observer for Checked {
    unsafe fn pass(&mut self, irp: *mut IRP, number: i8, control: u8, calls: bool) {
        // SAFETY: the completer owns the request.
        unsafe { witness::request_comes_back(irp, number, control) };
        // SAFETY: as above.
        let information = unsafe { (*irp).IoStatus.Information };
        if information != self.given {
            if image_at(self.last.1).is_some() {
                // SAFETY: as above; the request stands above the location that it comes back from.
                unsafe {
                    check_information(irp, irp.current_location().wrapping_sub(1), self.last)
                };
            } else {
                self.given = information;
            }
        }
        let Some(tracker) = &self.tracker else { return };
        // SAFETY: as above.
        let status = unsafe { (*irp).IoStatus.Anonymous.Status };
        let mut inner = tracker.lock();
        if let Some(lower) = inner.status_below(number)
            && lower != status
            && image_at(self.last.1).is_some()
        {
            // SAFETY: as above; completion goes past this location.
            let location = unsafe { &*irp.location(number) };
            pnp_checks::came_back(irp, location, lower, status, self.last);
        }
        if Status(status).is_error()
            && let Some(lower) = inner.status_below(number)
            && image_at(self.last.1).is_some()
        {
            // SAFETY: as above; completion goes past this location.
            let major = unsafe { (*irp.location(number)).MajorFunction };
            file_checks::came_back(irp, major, lower, status, self.last);
        }
        if Status(status).is_success()
            && (inner.status_below(number)).is_none_or(|lower| Status(lower).is_error())
            && image_at(self.last.1).is_some()
        {
            // SAFETY: as above.
            unsafe { mount_checks::came_back(irp, irp.location(number), status, self.last) };
        }
        if let Some(found) = inner.pass(number, control, status) {
            // SAFETY: devices of a request in flight are alive.
            unsafe { checks::disagreement(found, STATUS_PENDING, &inner) };
        }
        if calls {
            inner.hand_over();
        }
    }

    unsafe fn routine(
        &mut self,
        irp: *mut IRP,
        device: *mut DEVICE_OBJECT,
        location: &IO_STACK_LOCATION,
    ) -> Outcome {
        let Some(routine) = location.CompletionRoutine else {
            // SAFETY: the completer owns the request.
            let number = unsafe { (*irp).CurrentLocation } - 1;
            let sent_by = self
                .tracker
                .as_ref()
                .map_or(0, |tracker| tracker.lock().sent_by(number));
            checks::report(
                &rules::NO_ROUTINE,
                "a stack location asks for a completion routine and has none".into(),
                irp,
                vec![("passed on by", sent_by), ("completed by", self.site)],
            );
            self.resume(0, false, 0);
            return Outcome::Continue;
        };
        // SAFETY: not called yet.
        let address = unsafe { unload_safe::routine_to_report(routine, location.Context) };
        let level = irql::current();
        let regions = Regions::current();
        let top = top_level::current();
        // SAFETY: the completer owns the request until the routine has it.
        let (number, pending) = unsafe { ((*irp).CurrentLocation, (*irp).PendingReturned) };
        let entered = Event::new(EventKind::RoutineEntered, device, number, 0, address);
        self.record(entered.with_pending(pending));
        let own = if device.is_null() {
            IO_STACK_LOCATION::default()
        } else {
            // SAFETY: above the top there is no location; below it the request has this one.
            unsafe { *irp.current_location() }
        };
        let marked = own.Control & control::PENDING_RETURNED != 0;
        if let Some(tracker) = &self.tracker {
            let of = (Kind::of(&own), marked);
            running::completion_entered(&raw const **tracker, irp, number, address, of);
        }
        // SAFETY: the completer owns the request until the routine has it.
        let state = unsafe { completion_states::entered(irp) };
        // SAFETY: as in `Unchecked`.
        let status = unsafe { entering_for(routine, irp)(device, irp, location.Context) };
        completion_states::returned(state, status);
        active::stack_is_left((&raw const top).addr(), address);
        self.last = ("completion routine", address);
        if let Some(tracker) = &self.tracker {
            let stopped = status == STATUS_MORE_PROCESSING_REQUIRED;
            running::completion_left(tracker, irp, number, address, stopped);
        }
        self.record(Event::new(
            EventKind::RoutineReturned,
            device,
            number,
            status,
            address,
        ));
        check_level(irp, level, address);
        checks::same_regions(regions, "completion routine", address, irp);
        checks::same_top_level(top, "completion routine", address, irp);
        if status == STATUS_MORE_PROCESSING_REQUIRED {
            return Outcome::Stop;
        }
        remove_locks::continued(irp, address);
        if status != STATUS_SUCCESS {
            checks::report(
                &rules::COMPLETION_STATUS,
                format!("a completion routine returned {}", Status(status)),
                irp,
                vec![("completion routine", address)],
            );
        }
        if self.resume(number, pending, address) {
            Outcome::Continue
        } else {
            Outcome::Stop
        }
    }

    unsafe fn top(&mut self, irp: *mut IRP) {
        written::look(irp, self.last);
        written::forget(irp);
        // SAFETY: the completer owns the request.
        unsafe { exchanged::came_back(irp, self.last) };
        // SAFETY: the completer owns the request.
        let status = unsafe { (*irp).IoStatus.Anonymous.Status };
        // SAFETY: as above.
        let number = unsafe { (*irp).CurrentLocation };
        self.record(Event::new(
            EventKind::Finished,
            std::ptr::null_mut(),
            number,
            status,
            self.site,
        ));
        if let Some(tracker) = &self.tracker {
            tracker.lock().finish();
        }
    }
}

impl Checked {
    fn record(&self, event: Event) {
        if let Some(tracker) = &self.tracker {
            tracker.history.record(event);
        }
    }
    fn resume(&self, above: i8, pending: bool, routine: usize) -> bool {
        let Some(tracker) = &self.tracker else {
            return true;
        };
        let resumed = tracker
            .lock()
            .resume(self.sequence, above, pending, routine);
        if !resumed {
            self.lost(routine);
        }
        resumed
    }
    /// The routine continued completion although the request was completed by it, or behind its back.
    fn lost(&self, routine: usize) {
        let Some(tracker) = &self.tracker else { return };
        let (before, irp) = {
            let inner = tracker.lock();
            (inner.completed_at, inner.address)
        };
        checks::report(
            &rules::COMPLETED_TWICE,
            "a completion routine continued completion of a request that was completed meanwhile"
                .into(),
            irp,
            vec![
                ("completion routine", routine),
                ("completed by", before),
                ("completed first by", self.site),
            ],
        );
    }
}

/// `ZeroIrpStackLocation`: what a completed driver knew must not leak to the one above.
///
/// # Safety
/// `location` lies in a request of the caller.
unsafe fn zero(location: *mut IO_STACK_LOCATION) {
    // SAFETY: contract.
    unsafe {
        (*location).MinorFunction = 0;
        (*location).Flags = 0;
        (*location).Control &= control::ERROR_RETURNED;
        (*location).Parameters = Default::default();
        (*location).FileObject = std::ptr::null_mut();
    }
}

/// # Safety
/// As [`complete_request`].
unsafe fn run(irp: *mut IRP, boost: i8, observer: &mut impl Observer) {
    // SAFETY: the completer owns the request; after a routine has stopped it, it is not touched.
    unsafe {
        let mut location = irp.current_location();
        (*irp).CurrentLocation += 1;
        irp.set_current_location(location.wrapping_add(1));
        let mut error = STATUS_SUCCESS;
        while (*irp).CurrentLocation <= (*irp).StackCount + 1 {
            let number = (*irp).CurrentLocation - 1;
            let copy = *location;
            let status = (*irp).IoStatus.Anonymous.Status;
            (*irp).PendingReturned = copy.Control & control::PENDING_RETURNED != 0;
            let invoke = if Status(status).is_success() {
                copy.Control & control::INVOKE_ON_SUCCESS
            } else {
                if status != error {
                    error = status;
                    (*location).Control |= control::ERROR_RETURNED;
                }
                copy.Control & control::INVOKE_ON_ERROR
            } != 0
                || ((*irp).Cancel && copy.Control & control::INVOKE_ON_CANCEL != 0);
            observer.pass(irp, number, copy.Control, invoke);
            zero(location);
            if invoke {
                // The routine belongs to the driver above; the originator has no device.
                let device = if (*irp).CurrentLocation > (*irp).StackCount {
                    std::ptr::null_mut()
                } else {
                    (*irp.current_location()).DeviceObject
                };
                if let Outcome::Stop = observer.routine(irp, device, &copy) {
                    return;
                }
            } else if (*irp).PendingReturned && (*irp).CurrentLocation <= (*irp).StackCount {
                super::stack::mark_pending(irp);
            }
            location = location.wrapping_add(1);
            (*irp).CurrentLocation += 1;
            irp.set_current_location(irp.current_location().wrapping_add(1));
        }
        observer.top(irp);
        second_stage::begin(irp, boost);
    }
}
