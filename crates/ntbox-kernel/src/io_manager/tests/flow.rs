//! Requests through stacks: what each side sees.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are built and looked at by pointer"
)]

use super::drivers::{
    Behaviour, FILTERS, LOWEST, Seen, Stack, issue, issue_synchronously, originate,
};
use crate::io_manager::early_cancel::{self, Moment};
use crate::io_manager::{call, cancel, complete, identity, irp, stack};
use crate::nt::{
    DEVICE_OBJECT, DISPATCH_LEVEL, IRP, IRP_DEFER_IO_COMPLETION, IRP_SYNCHRONOUS_API, IrpExt,
    NTSTATUS, STATUS_CANCELLED, STATUS_END_OF_FILE, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS,
};
use crate::processor::irql;
use crate::verifier::capture;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

#[test]
fn every_pair_gives_the_lowest_drivers_outcome() {
    for lowest in LOWEST {
        for filter in FILTERS {
            for status in [STATUS_SUCCESS, STATUS_END_OF_FILE] {
                for deferred in [0, IRP_DEFER_IO_COMPLETION] {
                    let stack = Stack::new(&[lowest, filter]);
                    stack.extension(0).status = status;
                    stack.extension(0).information = 11;
                    let (seen, violations) =
                        capture(|| issue(stack.top(), IRP_SYNCHRONOUS_API | deferred));
                    assert!(
                        violations.is_empty(),
                        "{lowest:?} below {filter:?}: {violations:?}"
                    );
                    assert_eq!(
                        seen.status(),
                        status,
                        "{lowest:?} below {filter:?}: {seen:?}"
                    );
                    if let Some(block) = seen.block {
                        assert_eq!(block, (status, 11), "{lowest:?} below {filter:?}");
                    }
                    assert_eq!(stack.extension(0).seen.load(Ordering::Acquire), 1);
                }
            }
        }
    }
}

#[test]
fn an_error_without_pending_is_the_return_value_alone() {
    let stack = Stack::new(&[Behaviour::Complete, Behaviour::Propagate]);
    stack.extension(0).status = STATUS_END_OF_FILE;
    let seen = issue_synchronously(stack.top());
    assert_eq!(
        seen,
        Seen {
            returned: STATUS_END_OF_FILE,
            block: None,
            signaled: false
        }
    );
    let pended = Stack::new(&[Behaviour::Pend, Behaviour::Propagate]);
    pended.extension(0).status = STATUS_END_OF_FILE;
    let seen = issue_synchronously(pended.top());
    assert_eq!(
        seen,
        Seen {
            returned: STATUS_PENDING,
            block: Some((STATUS_END_OF_FILE, 0)),
            signaled: true
        }
    );
}

#[test]
fn a_slot_that_nobody_set_fails_the_request() {
    let stack = Stack::new(&[Behaviour::Complete]);
    // SAFETY: no request is in flight; a null slot is what a driver may leave.
    unsafe { (*stack.driver).MajorFunction[3] = None };
    assert_eq!(
        issue_synchronously(stack.top()).returned,
        STATUS_INVALID_DEVICE_REQUEST
    );
}

/// Where a completion routine found the request.
static PLACES: Mutex<Vec<(i8, bool, usize, u8)>> = Mutex::new(Vec::new());

unsafe extern "win64" fn note(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: a completion routine owns its request; the location below it was completed.
    unsafe {
        let number = (*irp).CurrentLocation;
        let below = irp.location(number - 1);
        let left = (*below).Control | (*below).Flags | (*below).MinorFunction;
        assert!((*below).FileObject.is_null());
        assert_eq!(
            (*below).Parameters.Read.ByteOffset,
            0,
            "a completed location is zeroed"
        );
        let device = if device.is_null() { 0 } else { 1 };
        PLACES
            .lock()
            .expect("no panic")
            .push((number, (*irp).PendingReturned, device, left));
        if (*irp).PendingReturned && number <= (*irp).StackCount {
            stack::mark_pending(irp);
        }
    }
    if context.is_null() {
        STATUS_SUCCESS
    } else {
        STATUS_MORE_PROCESSING_REQUIRED
    }
}

#[test]
fn routines_see_their_own_location_and_the_originator_has_no_device() {
    let lowest = Stack::new(&[Behaviour::MarkAndComplete, Behaviour::Copy]);
    // SAFETY: a request with one location more than the stack needs, for its originator.
    unsafe {
        let request = irp::allocate(3);
        let first = request.next_location();
        (*first).MajorFunction = 3;
        (*first).MinorFunction = 5;
        stack::set_completion_routine(request, Some(note), std::ptr::null_mut(), stack::ALWAYS);
        stack::advance(request);
        stack::copy_to_next(request);
        (*request.next_location()).Parameters.Read.ByteOffset = 99;
        stack::set_completion_routine(request, Some(note), request.cast(), stack::ALWAYS);
        PLACES.lock().expect("no panic").clear();
        assert_eq!(call::call_driver(lowest.top(), request, 0), STATUS_PENDING);
        // The routine at location 2's owner stopped completion; it goes on from there.
        assert_eq!((*request).CurrentLocation, 3);
        stack::mark_pending(request);
        assert_eq!(*PLACES.lock().expect("no panic"), [(3, true, 0, 0)]);
        // The owner of the request has location 3: it completes upwards to the originator's routine.
        stack::set_completion_routine(request, None, std::ptr::null_mut(), 0);
        irp::free(request, 0);
    }
}

#[test]
fn invoke_flags_follow_status_and_cancel() {
    use crate::nt::irp::control;
    static CALLED: Mutex<u32> = Mutex::new(0);
    unsafe extern "win64" fn called(
        _: *mut DEVICE_OBJECT,
        irp: *mut IRP,
        _: *mut c_void,
    ) -> NTSTATUS {
        *CALLED.lock().expect("no panic") += 1;
        // SAFETY: a completion routine owns its request, which this one allocated.
        unsafe { irp::free(irp, 0) };
        STATUS_MORE_PROCESSING_REQUIRED
    }
    let lowest = Stack::new(&[Behaviour::Complete]);
    for (status, cancelled, flags, expected) in [
        (STATUS_SUCCESS, false, control::INVOKE_ON_SUCCESS, true),
        (
            STATUS_SUCCESS,
            false,
            control::INVOKE_ON_ERROR | control::INVOKE_ON_CANCEL,
            false,
        ),
        (STATUS_END_OF_FILE, false, control::INVOKE_ON_ERROR, true),
        (
            STATUS_END_OF_FILE,
            false,
            control::INVOKE_ON_SUCCESS | control::INVOKE_ON_CANCEL,
            false,
        ),
        (STATUS_SUCCESS, true, control::INVOKE_ON_CANCEL, true),
        (STATUS_CANCELLED, true, control::INVOKE_ON_CANCEL, true),
        (STATUS_CANCELLED, true, control::INVOKE_ON_SUCCESS, false),
        // Success in NT's sense includes warnings' informational siblings, not warnings.
        (
            crate::nt::STATUS_BUFFER_OVERFLOW,
            false,
            control::INVOKE_ON_ERROR,
            true,
        ),
    ] {
        lowest.extension(0).status = status;
        *CALLED.lock().expect("no panic") = 0;
        let mut request = originate(lowest.top(), IRP_SYNCHRONOUS_API);
        // SAFETY: the request is the test's until it is sent.
        unsafe {
            stack::set_completion_routine(request.irp, Some(called), std::ptr::null_mut(), flags);
            (*request.irp.next_location()).MajorFunction = 3;
            (*request.irp).Cancel = cancelled;
        }
        request.send(lowest.top(), 0);
        assert_eq!(
            *CALLED.lock().expect("no panic") == 1,
            expected,
            "{status:x} {cancelled} {flags:x}"
        );
    }
}

#[test]
fn without_a_routine_the_io_manager_carries_the_mark() {
    let stack = Stack::new(&[
        Behaviour::Hold,
        Behaviour::Copy,
        Behaviour::Copy,
        Behaviour::Propagate,
    ]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
    assert!(!request.seen(STATUS_PENDING).signaled);
    // SAFETY: the device holds the request.
    unsafe { complete::complete_request(stack.held(0), 0, 0) };
    assert_eq!(
        request.seen(STATUS_PENDING),
        Seen {
            returned: STATUS_PENDING,
            block: Some((STATUS_SUCCESS, 0)),
            signaled: true
        }
    );
    assert_eq!(stack.extension(3).routines.load(Ordering::Acquire), 1);
}

#[test]
fn a_held_request_can_be_cancelled_once() {
    for filters in [
        [Behaviour::Propagate, Behaviour::Skip],
        [Behaviour::StopAndResumeLater, Behaviour::Copy],
    ] {
        let stack = Stack::new(&[Behaviour::HoldUntilCancelled, filters[0], filters[1]]);
        let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
        let (status, violations) = capture(|| {
            assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
            // SAFETY: held by the lowest device until it is cancelled; its second stage is an APC of this thread.
            unsafe {
                let level = crate::processor::irql::raise(crate::nt::APC_LEVEL);
                assert!(cancel::cancel(request.irp, 0));
                crate::processor::irql::lower(level);
            }
            request.wait();
            request.seen(STATUS_PENDING)
        });
        assert!(violations.is_empty(), "{violations:?}");
        assert_eq!(status.block, Some((STATUS_CANCELLED, 0)));
    }
}

#[test]
fn cancelling_before_the_routine_is_set_is_seen_by_the_driver() {
    let stack = Stack::new(&[Behaviour::HoldUntilCancelled, Behaviour::Propagate]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    // SAFETY: not sent yet.
    let cancelled = unsafe { cancel::cancel(request.irp, 0) };
    assert!(!cancelled, "there is no cancel routine yet");
    let returned = request.send(stack.top(), 0);
    assert_eq!(
        request.seen(returned),
        Seen {
            returned: STATUS_PENDING,
            block: Some((STATUS_CANCELLED, 0)),
            signaled: true
        }
    );
}

/// At each moment of its way that was wanted, and at no other; not another request, and not under a spin lock.
#[test]
fn a_request_is_cancelled_at_the_moment_that_was_wanted() {
    identity::begin_thread(1);
    for (wanted, moment) in Moment::ALL.into_iter().enumerate() {
        let stack = Stack::new(&[Behaviour::HoldUntilCancelled, Behaviour::Propagate]);
        let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
        let other = originate(stack.top(), IRP_SYNCHRONOUS_API);
        // SAFETY: not sent yet, here and below.
        let is_cancelled = |irp: *mut IRP| unsafe { (*irp).Cancel };
        let (irp, others) = (request.irp, other.irp);
        identity::cancel_next(moment);
        let _call = identity::begin();
        let pass = || {
            early_cancel::at(moment, others);
            let level = irql::raise(DISPATCH_LEVEL);
            early_cancel::at(moment, irp);
            irql::lower(level);
            assert!(!is_cancelled(irp) && !is_cancelled(others));
            Moment::ALL.map(|moment| {
                early_cancel::at(moment, irp);
                is_cancelled(irp)
            })
        };
        // SAFETY: alive, and of this thread.
        let cancelled = unsafe { early_cancel::during(irp, pass) };
        let expected: [bool; Moment::ALL.len()] = std::array::from_fn(|passed| passed >= wanted);
        assert_eq!(cancelled, expected, "{moment:?}");
        assert!(!is_cancelled(others));
        let returned = request.send(stack.top(), 0);
        let block = request.seen(returned).block;
        assert_eq!(block, Some((STATUS_CANCELLED, 0)));
    }
}

#[test]
fn a_request_that_came_back_pending_is_cancelled_there() {
    identity::begin_thread(1);
    let stack = Stack::new(&[Behaviour::HoldUntilCancelled, Behaviour::Propagate]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    identity::cancel_next(Moment::Held);
    let _call = identity::begin();
    let irp = request.irp;
    // SAFETY: alive, and of this thread.
    let returned = unsafe { early_cancel::during(irp, || request.send(stack.top(), 0)) };
    assert_eq!(returned, STATUS_PENDING);
    request.wait();
    let block = request.seen(returned).block;
    assert_eq!(block, Some((STATUS_CANCELLED, 0)));
}

#[test]
fn a_reused_request_goes_again() {
    let stack = Stack::new(&[Behaviour::Complete, Behaviour::Propagate]);
    unsafe extern "win64" fn stop(_: *mut DEVICE_OBJECT, _: *mut IRP, _: *mut c_void) -> NTSTATUS {
        STATUS_MORE_PROCESSING_REQUIRED
    }
    let (_, violations) = capture(|| {
        // SAFETY: the test owns the request, and its routine stops each completion.
        unsafe {
            let request = irp::allocate((*stack.top()).StackSize);
            for _ in 0..40 {
                stack::set_completion_routine(
                    request,
                    Some(stop),
                    std::ptr::null_mut(),
                    stack::ALWAYS,
                );
                assert_eq!(call::call_driver(stack.top(), request, 0), STATUS_SUCCESS);
                irp::reuse(request, STATUS_PENDING, 0);
            }
            irp::free(request, 0);
        }
    });
    assert!(violations.is_empty(), "{violations:?}");
    assert_eq!(stack.extension(0).seen.load(Ordering::Acquire), 40);
}
