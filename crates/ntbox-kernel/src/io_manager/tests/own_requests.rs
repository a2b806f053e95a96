//! What owners do with their requests, and where they send them: each wrong way is caught under its
//! rule, and the right way beside it is not.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are used as drivers use them"
)]

use super::drivers::{Behaviour, Stack, originate};
use crate::io_manager::own_request_checks::Made;
use crate::io_manager::{call, complete, file_checks, irp, request, stack};
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE,
    IRP_MJ_FLUSH_BUFFERS, IRP_SYNCHRONOUS_API, IrpExt, KEVENT, NTSTATUS, STATUS_ACCESS_DENIED,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS,
};
use crate::pe_image::crossing;
use crate::processor::{dispatcher, thread};
use crate::verifier::{capture, rules};
use std::ffi::c_void;
use std::ptr::{null, null_mut};

/// What the checks take for a driver's call.
const SITE: usize = 0x1000;

/// The codes of the rules that `f` breaks.
fn codes<R>(f: impl FnOnce() -> R) -> Vec<&'static str> {
    let (_, found) = capture(f);
    found.iter().map(|found| found.rule.code).collect()
}

unsafe extern "win64" fn stop(_: *mut DEVICE_OBJECT, _: *mut IRP, _: *mut c_void) -> NTSTATUS {
    STATUS_MORE_PROCESSING_REQUIRED
}

/// A flush that is built for `device`, with an event or without.
unsafe fn built(device: *mut DEVICE_OBJECT, event: *mut KEVENT) -> *mut IRP {
    let major = IRP_MJ_FLUSH_BUFFERS as u8;
    // SAFETY: the device is alive; a flush has no buffer.
    unsafe {
        if event.is_null() {
            request::build_asynchronous_fsd(major, device, null_mut(), 0, null(), null_mut())
        } else {
            request::build_synchronous_fsd(major, device, null_mut(), 0, null(), event, null_mut())
        }
    }
}

#[test]
fn freed_reused_and_initialized() {
    let stack = Stack::new(&[Behaviour::Complete]);
    let mut event = KEVENT::default();
    // SAFETY: the requests are owned here and sent nowhere.
    unsafe {
        let threaded = built(stack.top(), &raw mut event);
        assert_eq!(codes(|| irp::reuse(threaded, 0, SITE)), ["0xC9/311"]);
        assert_eq!(codes(|| irp::free(threaded, SITE)), ["0xC9/02, 0xC9/20C"]);

        let plain = built(stack.top(), null_mut());
        assert_eq!(codes(|| irp::reuse(plain, 0, SITE)), ["0xC9/311"]);
        assert!(codes(|| irp::free(plain, SITE)).is_empty());

        let own = irp::allocate_at(1, SITE);
        assert!(codes(|| irp::reuse(own, 0, SITE)).is_empty());
        let size = (*own).Size;
        assert_eq!(codes(|| irp::initialize(own, size, 1, SITE)), ["0xC9/238"]);
        irp::set_made(own, Made::WithQuota);
        assert_eq!(codes(|| irp::initialize(own, size, 1, SITE)), ["0xC9/20D"]);
        assert!(codes(|| irp::free(own, SITE)).is_empty());
    }
}

#[test]
fn used_while_a_driver_has_it() {
    let stack = Stack::new(&[Behaviour::Hold]);
    // SAFETY: the request is owned here; its routine stops it.
    unsafe {
        let own = irp::allocate_at(1, SITE);
        stack::set_completion_routine(own, Some(stop), null_mut(), stack::ALWAYS);
        assert_eq!(call::call_driver(stack.top(), own, SITE), STATUS_PENDING);
        // Looked at, not done: the device still has it.
        assert_eq!(
            codes(|| super::super::own_request_checks::freed(own, SITE)),
            ["0xC9/20B, 0xC9/20A"]
        );
        assert_eq!(
            codes(|| super::super::own_request_checks::reused(own, SITE)),
            ["0xC9/310"]
        );
        assert_eq!(
            codes(|| super::super::own_request_checks::initialized(own, SITE)),
            ["0xC9/310"]
        );
        complete::finish(stack.held(0), STATUS_SUCCESS, 0);
        assert!(codes(|| irp::reuse(own, 0, SITE)).is_empty());
        assert!(codes(|| irp::free(own, SITE)).is_empty());
    }
}

#[test]
fn with_a_thread_and_completed_to_its_end() {
    let stack = Stack::new(&[Behaviour::Complete]);
    // SAFETY: the requests are owned here; the I/O manager frees those that nobody stops.
    unsafe {
        let own = || {
            let own = irp::allocate_at(1, SITE);
            own.set_thread(thread::current().object());
            own
        };
        let at_end = rules::OWN_REQUEST_OF_THREAD.name;
        let at_call = rules::BUILT_WITHOUT_ROUTINE.name;
        for (wrong, expected) in [
            (own(), vec![at_end]),
            (built(stack.top(), null_mut()), vec![at_call, at_end]),
        ] {
            let (_, found) = capture(|| call::call_driver(stack.top(), wrong, SITE));
            let names: Vec<_> = found.iter().map(|found| found.rule.name).collect();
            assert_eq!(names, expected);
        }
        // Stopped by its routine, or in the list of its thread.
        let stopped = own();
        stack::set_completion_routine(stopped, Some(stop), null_mut(), stack::ALWAYS);
        assert!(codes(|| call::call_driver(stack.top(), stopped, SITE)).is_empty());
        irp::free(stopped, SITE);
        let mut event = KEVENT::default();
        dispatcher::initialize_event(&raw mut event, true, false);
        let threaded = built(stack.top(), &raw mut event);
        assert!(codes(|| call::call_driver(stack.top(), threaded, SITE)).is_empty());
    }
}

#[test]
fn calls_that_are_none() {
    let stack = Stack::new(&[Behaviour::Complete, Behaviour::Skip, Behaviour::Skip]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    // SAFETY: nothing is called for what is no device or no request.
    unsafe {
        let send = |device, irp| codes(|| call::call_driver(device, irp, SITE));
        assert_eq!(send(null_mut(), request.irp), ["0xC9/204"]);
        assert_eq!(send(stack.driver.cast(), request.irp), ["0xC9/04"]);
        assert_eq!(send(stack.top(), stack.top().cast()), ["0xC9/03"]);
    }
    assert!(codes(|| request.send(stack.top(), 0)).is_empty());
}

#[test]
fn an_event_that_is_signalled_already() {
    for (state, lowest, expected) in [
        (true, Behaviour::Hold, &["0xC9/307"][..]),
        (false, Behaviour::Hold, &[]),
        (true, Behaviour::Complete, &[]),
    ] {
        let stack = Stack::new(&[lowest]);
        let mut event = KEVENT::default();
        // SAFETY: the event outlives the request, which the I/O manager frees.
        unsafe {
            dispatcher::initialize_event(&raw mut event, true, state);
            let own = built(stack.top(), &raw mut event);
            let found = codes(|| call::call_driver(stack.top(), own, SITE));
            assert_eq!(found, expected, "{lowest:?}");
            if lowest == Behaviour::Hold {
                complete::finish(stack.held(0), STATUS_SUCCESS, 0);
            }
        }
    }
}

/// A request at its only driver, whose dispatch routine holds it.
fn held(stack: &Stack, major: u32, prepare: impl FnOnce(*mut IRP)) -> *mut IRP {
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    // SAFETY: the request is owned here until it is sent.
    unsafe { (*request.irp.next_location()).MajorFunction = major as u8 };
    prepare(request.irp);
    assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
    // Its event and status block are never looked at.
    std::mem::forget(request);
    stack.held(0)
}

#[test]
fn completions_that_must_not_be() {
    // SAFETY: each request is completed once, by the one who holds it.
    unsafe {
        let stack = Stack::new(&[Behaviour::Hold]);
        let fails = |status: NTSTATUS| {
            let irp = held(&stack, IRP_MJ_CLEANUP, |_| ());
            (*irp).IoStatus.Anonymous.Status = status;
            codes(|| complete::complete_request(irp, 0, SITE))
        };
        assert_eq!(fails(STATUS_ACCESS_DENIED), ["0xC9/247"]);
        assert!(fails(STATUS_SUCCESS).is_empty());
    }
    // SAFETY: the request is owned here and never sent.
    unsafe {
        let stack = Stack::new(&[Behaviour::Complete]);
        let own = built(stack.top(), null_mut());
        let found = codes(|| complete::complete_request(own, 0, SITE));
        assert_eq!(found, ["0xC9/239"]);
    }
}

#[test]
fn closes_that_the_driver_below_never_hears_of() {
    let stack = Stack::new(&[Behaviour::Complete, Behaviour::Answer]);
    let file = 0x7000 as *mut FILE_OBJECT;
    let send = |major: u32| {
        let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
        // SAFETY: the request is owned here until it is sent.
        let location = unsafe { &mut *request.irp.next_location() };
        location.MajorFunction = major as u8;
        location.FileObject = file;
        let (_, found) = capture(|| request.send(stack.top(), 0));
        let names = found.iter().map(|found| found.rule.name);
        names.collect::<Vec<_>>()
    };
    let expected = [rules::CLOSE_NOT_PASSED_ON.name];
    assert_eq!(send(IRP_MJ_CLEANUP), expected);
    assert_eq!(send(IRP_MJ_CLOSE), expected);
    // A file that the driver has opened itself is its own to close.
    assert!(send(IRP_MJ_CREATE).is_empty());
    assert!(send(IRP_MJ_CLEANUP).is_empty());
    assert!(send(IRP_MJ_CLOSE).is_empty());
    file_checks::forget(file);
    assert_eq!(send(IRP_MJ_CLEANUP), expected);
}

/// The kernel stack of a thread, as far as the check looks at it.
#[test]
#[cfg_attr(
    windows,
    ignore = "drivers have no stack of their own there, whose bounds could be told"
)]
fn memory_of_a_stack_that_is_gone() {
    const USED: usize = 256;
    for (event_at, block_at, expected) in [
        (Some(USED - 64), None, &["0xC9/0D"][..]),
        (None, Some(USED - 64), &["0xC9/0C"]),
        (Some(USED - 64), Some(USED - 128), &["0xC9/0C"]),
        // What somebody has there still, above where the stack goes on.
        (Some(USED), Some(USED + 64), &[]),
    ] {
        let stack = Stack::new(&[Behaviour::Hold]);
        let mut memory = [0_u64; 64];
        let base = memory.as_mut_ptr();
        let at = |offset: Option<usize>| {
            offset.map_or(null_mut(), |offset| base.wrapping_byte_add(offset))
        };
        let event: *mut KEVENT = at(event_at).cast();
        // SAFETY: the memory outlives the request, which the device holds.
        unsafe {
            if !event.is_null() {
                dispatcher::initialize_event(event, true, false);
            }
            let major = IRP_MJ_FLUSH_BUFFERS as u8;
            let block = at(block_at).cast();
            let top = stack.top();
            let own =
                request::build_synchronous_fsd(major, top, null_mut(), 0, null(), event, block);
            assert!(codes(|| call::call_driver(top, own, SITE)).is_empty());
            let untouched = memory;
            let before =
                crossing::exchange_stack((base.addr(), base.addr() + USED, base.addr() + 512));
            let found = codes(|| complete::finish(stack.held(0), STATUS_SUCCESS, 1));
            crossing::exchange_stack(before);
            assert_eq!(
                found, expected,
                "event at {event_at:?}, status block at {block_at:?}"
            );
            assert_eq!(
                memory == untouched,
                !expected.is_empty(),
                "what is gone is not written to"
            );
        }
    }
}
