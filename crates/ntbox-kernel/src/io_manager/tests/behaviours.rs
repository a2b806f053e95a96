//! What the devices of the test driver do with requests.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "native drivers work on requests by pointer"
)]

use super::drivers::{Behaviour, Extension, extension};
use crate::io_manager::stack::ALWAYS;
use crate::io_manager::{call, cancel, complete, irp, stack};
use crate::nt::{
    DEVICE_OBJECT, DISPATCH_LEVEL, IRP, IrpExt, KEVENT, NTSTATUS, STATUS_CANCELLED,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS,
};
use crate::processor::{dispatcher, irql, spin_lock, thread, work};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

pub unsafe extern "win64" fn dispatch(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request; the device is the test driver's.
    unsafe {
        let own = extension(device);
        own.seen.fetch_add(1, Ordering::AcqRel);
        (*irp).IoStatus.Anonymous.Status = own.status;
        (*irp).IoStatus.Information = own.information;
        if own.lower.is_null() {
            lowest(own, irp)
        } else {
            filter(own, device, irp)
        }
    }
}

fn elsewhere(irp: *mut IRP) {
    let irp = irp as usize;
    let thread = thread::spawn_system("completer", move || {
        // SAFETY: the dispatch routine has given the request to this thread.
        unsafe { complete::complete_request(irp as *mut IRP, 0, 0) };
    });
    thread.join().expect("completion does not panic");
}

unsafe fn lowest(own: &mut Extension, irp: *mut IRP) -> NTSTATUS {
    let status = own.status;
    let later = irp as usize;
    // SAFETY: contract of the caller: the request is this device's.
    unsafe {
        match own.behaviour {
            Behaviour::CompleteAtDispatch => {
                let _level = irql::raised_to(DISPATCH_LEVEL);
                complete::complete_request(irp, 0, 0);
                status
            }
            Behaviour::MarkAndComplete => {
                stack::mark_pending(irp);
                complete::complete_request(irp, 0, 0);
                STATUS_PENDING
            }
            Behaviour::Pend => {
                stack::mark_pending(irp);
                work::queue(Box::new(move || {
                    complete::complete_request(later as *mut IRP, 0, 0)
                }));
                STATUS_PENDING
            }
            Behaviour::PendAtDispatch => {
                stack::mark_pending(irp);
                work::queue_dpc(Box::new(move || {
                    complete::complete_request(later as *mut IRP, 0, 0)
                }));
                STATUS_PENDING
            }
            Behaviour::OtherThreadMarked => {
                stack::mark_pending(irp);
                elsewhere(irp);
                STATUS_PENDING
            }
            Behaviour::OtherThreadUnmarked => {
                elsewhere(irp);
                status
            }
            Behaviour::Hold => {
                stack::mark_pending(irp);
                own.held.store(irp, Ordering::Release);
                STATUS_PENDING
            }
            Behaviour::HoldUntilCancelled => {
                stack::mark_pending(irp);
                irp.set_cancel_routine(Some(cancel_held));
                if (*irp).Cancel && irp.set_cancel_routine(None).is_some() {
                    complete::finish(irp, STATUS_CANCELLED, 0);
                }
                STATUS_PENDING
            }
            Behaviour::KeepCancelLock => {
                stack::mark_pending(irp);
                irp.set_cancel_routine(Some(cancel_without_release));
                STATUS_PENDING
            }
            Behaviour::CompleteTwice => {
                complete::complete_request(irp, 0, 1);
                complete::complete_request(irp, 0, 2);
                status
            }
            Behaviour::KeepUnmarked => {
                own.held.store(irp, Ordering::Release);
                STATUS_PENDING
            }
            Behaviour::MarkAndReturnSuccess => {
                stack::mark_pending(irp);
                complete::complete_request(irp, 0, 0);
                STATUS_SUCCESS
            }
            Behaviour::ReturnRaised => {
                complete::complete_request(irp, 0, 0);
                irql::raise(DISPATCH_LEVEL);
                status
            }
            Behaviour::ReturnInCriticalRegion => {
                thread::enter_critical_region();
                complete::complete_request(irp, 0, 0);
                status
            }
            Behaviour::CompleteAsPending => complete::finish(irp, STATUS_PENDING, 0),
            Behaviour::CompleteUnderSpinLock => {
                let mut lock = 0_usize;
                let old = irql::raise(DISPATCH_LEVEL);
                spin_lock::acquire(&raw mut lock);
                complete::complete_request(irp, 0, 0);
                spin_lock::release(&raw mut lock);
                irql::lower(old);
                status
            }
            Behaviour::CompleteWithCancelRoutine => {
                irp.set_cancel_routine(Some(cancel_held));
                complete::complete_request(irp, 0, 0);
                status
            }
            Behaviour::Forget => {
                own.held.store(irp, Ordering::Release);
                status
            }
            _ => {
                complete::complete_request(irp, 0, 0);
                status
            }
        }
    }
}

unsafe extern "win64" fn cancel_held(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: a cancel routine owns its request and holds the cancel spin lock.
    unsafe { cancel::release_and_complete(irp) };
}

unsafe extern "win64" fn cancel_without_release(device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: the device of the request's current location is the test driver's.
    unsafe { extension(device) }
        .held
        .store(irp, Ordering::Release);
}

unsafe fn filter(own: &mut Extension, device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    let lower = own.lower;
    let context: *mut c_void = device.cast();
    let pass = |routine: crate::nt::routines::CompletionRoutine, context: *mut c_void| {
        // SAFETY: contract of the caller: the request is this device's.
        unsafe {
            stack::copy_to_next(irp);
            stack::set_completion_routine(irp, Some(routine), context, ALWAYS);
            call::call_driver(lower, irp, 0)
        }
    };
    // SAFETY: contract of the caller: the request is this device's.
    unsafe {
        match own.behaviour {
            Behaviour::Skip => {
                stack::skip(irp);
                call::call_driver(lower, irp, 0)
            }
            Behaviour::Copy => {
                stack::copy_to_next(irp);
                call::call_driver(lower, irp, 0)
            }
            Behaviour::Wait => {
                let mut event: KEVENT = std::mem::zeroed();
                dispatcher::initialize_event(&raw mut event, true, false);
                if pass(signal, (&raw mut event).cast()) == STATUS_PENDING {
                    dispatcher::wait(&[(&raw mut event).cast()], false, None, false);
                }
                let status = (*irp).IoStatus.Anonymous.Status;
                complete::complete_request(irp, 0, 0);
                status
            }
            Behaviour::PendAndForward => {
                stack::mark_pending(irp);
                let (irp, lower, context) = (irp as usize, lower as usize, context as usize);
                work::queue(Box::new(move || {
                    let irp = irp as *mut IRP;
                    stack::copy_to_next(irp);
                    stack::set_completion_routine(
                        irp,
                        Some(marked_already),
                        context as *mut c_void,
                        ALWAYS,
                    );
                    call::call_driver(lower as *mut DEVICE_OBJECT, irp, 0);
                }));
                STATUS_PENDING
            }
            Behaviour::StopAndResumeLater => {
                stack::mark_pending(irp);
                pass(resume_later, context);
                STATUS_PENDING
            }
            Behaviour::CompleteInRoutine => {
                stack::mark_pending(irp);
                pass(complete_and_stop, context);
                STATUS_PENDING
            }
            Behaviour::OwnRequest => {
                stack::mark_pending(irp);
                let request = irp::allocate((*lower).StackSize);
                let location = request.next_location();
                (*location).MajorFunction = (*irp.current_location()).MajorFunction;
                (*location).Parameters = (*irp.current_location()).Parameters;
                stack::set_completion_routine(request, Some(own_completed), irp.cast(), ALWAYS);
                call::call_driver(lower, request, 0);
                STATUS_PENDING
            }
            Behaviour::Answer => {
                let status = own.status;
                complete::complete_request(irp, 0, 1);
                status
            }
            Behaviour::SkipAndSetRoutine => {
                stack::skip(irp);
                stack::set_completion_routine(irp, Some(unread), context, ALWAYS);
                call::call_driver(lower, irp, 0)
            }
            Behaviour::ContextOnStack => {
                let mut event = KEVENT::default();
                pass(unread, (&raw mut event).cast())
            }
            Behaviour::NotPropagating => pass(marked_already, context),
            Behaviour::LoseLowerStatus => {
                pass(propagate, context);
                STATUS_SUCCESS
            }
            Behaviour::RoutineRaises => pass(raise, context),
            Behaviour::RoutineLeavesGuardedRegion => {
                thread::enter_guarded_region();
                let status = pass(leave_guarded_region, context);
                assert!(
                    thread::apcs_disabled(),
                    "the routine's change is taken back"
                );
                thread::leave_guarded_region();
                status
            }
            Behaviour::RoutineReturnsNonsense => pass(nonsense, context),
            Behaviour::CompleteAndContinue => pass(complete_and_continue, context),
            Behaviour::ForwardAtDispatch => {
                let _level = irql::raised_to(DISPATCH_LEVEL);
                pass(propagate, context)
            }
            _ => pass(propagate, context),
        }
    }
}

fn count(context: *mut c_void) {
    // SAFETY: the context of these routines is their device.
    unsafe { extension(context.cast()) }
        .routines
        .fetch_add(1, Ordering::AcqRel);
}

pub unsafe extern "win64" fn propagate(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    count(context);
    // SAFETY: a completion routine owns its request.
    unsafe {
        if (*irp).PendingReturned {
            stack::mark_pending(irp);
        }
    }
    STATUS_SUCCESS
}

/// As [`propagate`], whatever the context is.
unsafe extern "win64" fn unread(_: *mut DEVICE_OBJECT, irp: *mut IRP, _: *mut c_void) -> NTSTATUS {
    // SAFETY: a completion routine owns its request.
    unsafe {
        if (*irp).PendingReturned {
            stack::mark_pending(irp);
        }
    }
    STATUS_SUCCESS
}

unsafe extern "win64" fn marked_already(
    _: *mut DEVICE_OBJECT,
    _: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    count(context);
    STATUS_SUCCESS
}

pub unsafe extern "win64" fn signal(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: the context is the waiting routine's event.
    unsafe {
        if (*irp).PendingReturned {
            dispatcher::set_event(context.cast());
        }
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "win64" fn resume_later(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    count(context);
    let irp = irp as usize;
    work::queue(Box::new(move || {
        // SAFETY: completion was stopped for this.
        unsafe { complete::complete_request(irp as *mut IRP, 0, 0) };
    }));
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "win64" fn complete_and_stop(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    count(context);
    // SAFETY: a completion routine owns its request, and stops the completion it is in.
    unsafe { complete::complete_request(irp, 0, 0) };
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "win64" fn complete_and_continue(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    count(context);
    // SAFETY: wrong on purpose: the checks stop what would follow.
    unsafe {
        propagate(null_mut(), irp, context);
        complete::complete_request(irp, 0, 0);
    }
    STATUS_SUCCESS
}

unsafe extern "win64" fn own_completed(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: the context is the request that this one stands for.
    unsafe {
        let original: *mut IRP = context.cast();
        (*original).IoStatus = (*irp).IoStatus;
        irp::free(irp, 0);
        complete::complete_request(original, 0, 0);
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "win64" fn raise(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    irql::raise(DISPATCH_LEVEL);
    // SAFETY: as `propagate`.
    unsafe { propagate(device, irp, context) }
}

unsafe extern "win64" fn leave_guarded_region(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    thread::leave_guarded_region();
    // SAFETY: as `propagate`.
    unsafe { propagate(device, irp, context) }
}

unsafe extern "win64" fn nonsense(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: as `propagate`.
    unsafe { propagate(device, irp, context) };
    STATUS_PENDING
}
