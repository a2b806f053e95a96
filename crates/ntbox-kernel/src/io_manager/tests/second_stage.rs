//! What the originator gets, by the request's flags.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are built and looked at by pointer"
)]

use super::drivers::{Behaviour, Stack, originate};
use crate::io_manager::{call, complete, irp, mdl, request, stack};
use crate::nt::{
    APC_LEVEL, DISPATCH_LEVEL, DO_BUFFERED_IO, DO_DIRECT_IO, IO_STATUS_BLOCK, IRP_ASSOCIATED_IRP,
    IRP_BUFFERED_IO, IRP_CLOSE_OPERATION, IRP_DEALLOCATE_BUFFER, IRP_DEFER_IO_COMPLETION,
    IRP_INPUT_OPERATION, IRP_MJ_READ, IRP_MJ_WRITE, IRP_PAGING_IO, IRP_SYNCHRONOUS_API,
    IRP_SYNCHRONOUS_PAGING_IO, IrpExt, KEVENT, STATUS_BUFFER_OVERFLOW, STATUS_END_OF_FILE,
    STATUS_PENDING, STATUS_SUCCESS,
};
use crate::pool;
use crate::processor::{dispatcher, irql, thread};
use crate::verifier::capture;
use std::ptr::null_mut;

#[test]
fn a_deferred_request_stays_with_its_originator() {
    let stack = Stack::new(&[Behaviour::Complete, Behaviour::Propagate]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API | IRP_DEFER_IO_COMPLETION);
    // SAFETY: deferred and not pending: the request is the test's until it finishes it.
    unsafe {
        assert_eq!(
            call::call_driver(stack.top(), request.irp, 0),
            STATUS_SUCCESS
        );
        assert_eq!(
            request.seen(STATUS_SUCCESS).block,
            None,
            "nothing was written yet"
        );
        assert!(!request.seen(STATUS_SUCCESS).signaled);
        complete::finish_synchronously(request.irp);
        assert_eq!(irql::current(), 0);
    }
    let seen = request.seen(STATUS_SUCCESS);
    assert_eq!(
        (seen.block, seen.signaled),
        (Some((STATUS_SUCCESS, 0)), true)
    );
}

#[test]
fn a_pended_request_finishes_in_an_apc_of_its_thread() {
    let stack = Stack::new(&[Behaviour::Hold]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API | IRP_DEFER_IO_COMPLETION);
    assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
    let level = irql::raise(APC_LEVEL);
    let held = stack.held(0) as usize;
    let other = thread::spawn_system("completer", move || {
        // SAFETY: the device gave the request to this thread.
        unsafe { complete::complete_request(held as *mut crate::nt::IRP, 0, 0) };
    });
    other.join().expect("no panic");
    assert!(
        !request.seen(STATUS_PENDING).signaled,
        "the APC waits for this thread to go below APC_LEVEL"
    );
    irql::lower(level);
    thread::deliver_apcs();
    assert_eq!(
        request.seen(STATUS_PENDING).block,
        Some((STATUS_SUCCESS, 0))
    );
    assert!(request.seen(STATUS_PENDING).signaled);
}

#[test]
fn a_request_finishes_when_its_thread_has_left_the_guarded_region() {
    let stack = Stack::new(&[Behaviour::Complete]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    thread::enter_guarded_region();
    assert_eq!(request.send(stack.top(), 0), STATUS_SUCCESS);
    assert!(!request.seen(STATUS_SUCCESS).signaled);
    thread::leave_guarded_region();
    assert!(request.seen(STATUS_SUCCESS).signaled);
}

#[test]
fn paging_and_close_requests_finish_where_they_are_completed() {
    let stack = Stack::new(&[Behaviour::Hold]);
    for flags in [
        IRP_PAGING_IO | IRP_SYNCHRONOUS_PAGING_IO,
        IRP_CLOSE_OPERATION | IRP_SYNCHRONOUS_API,
        IRP_PAGING_IO,
    ] {
        let mut request = originate(stack.top(), flags);
        assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
        stack.extension(0).information = 5;
        let _level = irql::raised_to(DISPATCH_LEVEL);
        // SAFETY: held by the device.
        unsafe { complete::finish(stack.held(0), STATUS_END_OF_FILE, 5) };
        let seen = request.seen(STATUS_PENDING);
        assert_eq!(
            (seen.block, seen.signaled),
            (Some((STATUS_END_OF_FILE, 5)), true),
            "{flags:x}"
        );
        if flags & IRP_CLOSE_OPERATION != 0 {
            // SAFETY: the originator of a close frees its request.
            unsafe { irp::free(request.irp, 0) };
        }
    }
}

#[test]
fn buffered_input_is_copied_back_unless_it_failed() {
    for (status, copied) in [
        (STATUS_SUCCESS, true),
        (STATUS_BUFFER_OVERFLOW, true),
        (STATUS_END_OF_FILE, false),
    ] {
        let stack = Stack::new(&[Behaviour::MarkAndComplete]);
        stack.extension(0).status = status;
        stack.extension(0).information = 4;
        let mut request = originate(
            stack.top(),
            IRP_SYNCHRONOUS_API | IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER | IRP_INPUT_OPERATION,
        );
        let mut target = [0_u8; 8];
        // SAFETY: the request is the test's until it is sent; the buffers have eight bytes.
        unsafe {
            let buffer = pool::allocate_for_box(8);
            std::ptr::write_bytes(buffer.cast::<u8>(), 0xAB, 8);
            (*request.irp).AssociatedIrp.SystemBuffer = buffer;
            (*request.irp).UserBuffer = target.as_mut_ptr().cast();
        }
        request.send(stack.top(), 0);
        assert_eq!(request.seen(STATUS_PENDING).block, Some((status, 4)));
        let expected = if copied {
            [0xAB, 0xAB, 0xAB, 0xAB, 0, 0, 0, 0]
        } else {
            [0; 8]
        };
        assert_eq!(
            target, expected,
            "only Information bytes, and only without an error"
        );
    }
}

#[test]
fn the_last_associated_request_completes_its_master() {
    let below = Stack::new(&[Behaviour::Complete]);
    let above = Stack::new(&[Behaviour::Hold]);
    let mut request = originate(above.top(), IRP_SYNCHRONOUS_API);
    assert_eq!(request.send(above.top(), 0), STATUS_PENDING);
    let master = above.held(0);
    // SAFETY: the device that holds the master owns it.
    unsafe {
        (*master).AssociatedIrp.IrpCount = 2;
        for left in [1, 0] {
            assert!(!request.seen(STATUS_PENDING).signaled);
            let part = irp::allocate((*below.top()).StackSize);
            (*part).Flags |= IRP_ASSOCIATED_IRP;
            (*part).AssociatedIrp.MasterIrp = master;
            (*part.next_location()).MajorFunction = IRP_MJ_READ as u8;
            call::call_driver(below.top(), part, 0);
            if left != 0 {
                assert_eq!((*master).AssociatedIrp.IrpCount, left);
            }
        }
    }
    assert!(request.seen(STATUS_PENDING).signaled);
}

/// SystemBuffer and IrpCount lie where MasterIrp is.
#[test]
fn a_master_that_was_written_over_is_reported_and_completed() {
    let below = Stack::new(&[Behaviour::Complete]);
    for is_wrong in [false, true] {
        let above = Stack::new(&[Behaviour::Hold]);
        let mut request = originate(above.top(), IRP_SYNCHRONOUS_API);
        assert_eq!(request.send(above.top(), 0), STATUS_PENDING);
        let master = above.held(0);
        let ((), reported) = capture(|| {
            // SAFETY: the device that holds the master owns it, and the part.
            unsafe {
                (*master).AssociatedIrp.IrpCount = 1;
                let part = irp::allocate((*below.top()).StackSize);
                irp::associate(part, master);
                (*part.next_location()).MajorFunction = IRP_MJ_READ as u8;
                if is_wrong {
                    (*part).AssociatedIrp.IrpCount = 0x30;
                }
                call::call_driver(below.top(), part, 0);
            }
        });
        let rules: Vec<_> = reported.iter().map(|reported| reported.rule.name).collect();
        let expected: &[&str] = if is_wrong {
            &["MasterIrpOverwritten"]
        } else {
            &[]
        };
        assert_eq!(rules, expected);
        assert!(request.seen(STATUS_PENDING).signaled);
    }
}

/// A part that comes back is counted for its master, which is there as long as one is below.
#[test]
fn a_master_that_is_not_left_to_its_parts_is_reported() {
    let below = Stack::new(&[Behaviour::Hold]);
    let above = Stack::new(&[Behaviour::Hold]);
    for (count, is_completed, expected) in [
        (1, false, &[][..]),
        (0, false, &["MasterIrpCount"]),
        (1, true, &["MasterIrpCompleted"]),
    ] {
        let mut request = originate(above.top(), IRP_SYNCHRONOUS_API);
        assert_eq!(request.send(above.top(), 0), STATUS_PENDING);
        let master = above.held(0);
        let complete = |irp| {
            // SAFETY: held, so it is this test's.
            unsafe { complete::finish(irp, STATUS_SUCCESS, 0) };
        };
        let ((), reported) = capture(|| {
            let part = irp::allocate(1);
            // SAFETY: the device that holds the master owns it, here and below.
            unsafe { (*master).AssociatedIrp.IrpCount = count };
            // SAFETY: a new request, which has a location.
            unsafe { irp::associate(part, master) };
            // SAFETY: as above.
            unsafe { (*part.next_location()).MajorFunction = IRP_MJ_READ as u8 };
            // SAFETY: a complete request for the device.
            unsafe { call::call_driver(below.top(), part, 0) };
            if is_completed {
                complete(master);
            }
            complete(below.held(0));
        });
        let rules: Vec<_> = reported.iter().map(|reported| reported.rule.name).collect();
        assert_eq!(rules, expected);
        if count == 0 {
            complete(master);
        }
        assert!(request.seen(STATUS_PENDING).signaled);
    }
}

#[test]
fn built_requests_take_buffers_as_the_device_wants_them() {
    let stack = Stack::new(&[Behaviour::Complete]);
    let mut data = *b"12345678";
    let offset = 4096_i64;
    for (flags, major) in [
        (DO_BUFFERED_IO, IRP_MJ_WRITE),
        (DO_BUFFERED_IO, IRP_MJ_READ),
        (DO_DIRECT_IO, IRP_MJ_READ),
        (0, IRP_MJ_READ),
    ] {
        // SAFETY: device and buffers live through the loop; the request is freed by its second stage.
        unsafe {
            (*stack.top()).Flags &= !(DO_BUFFERED_IO | DO_DIRECT_IO);
            (*stack.top()).Flags |= flags;
            let mut event: KEVENT = std::mem::zeroed();
            let mut iosb: IO_STATUS_BLOCK = std::mem::zeroed();
            dispatcher::initialize_event(&raw mut event, true, false);
            let request = request::build_synchronous_fsd(
                major as u8,
                stack.top(),
                data.as_mut_ptr().cast(),
                8,
                &raw const offset,
                &raw mut event,
                &raw mut iosb,
            );
            let location = request.next_location();
            assert_eq!(
                (
                    (*location).Parameters.Read.Length,
                    (*location).Parameters.Read.ByteOffset
                ),
                (8, 4096)
            );
            let system = (*request).AssociatedIrp.SystemBuffer;
            match flags {
                DO_BUFFERED_IO => {
                    assert!(!system.is_null());
                    let text = std::slice::from_raw_parts(system.cast::<u8>(), 8);
                    assert_eq!(text == b"12345678", major == IRP_MJ_WRITE);
                }
                DO_DIRECT_IO => {
                    let list = (*request).MdlAddress;
                    assert_eq!(mdl::virtual_address(list), data.as_mut_ptr().cast());
                    assert_ne!((*list).MdlFlags & mdl::PAGES_LOCKED, 0);
                }
                _ => assert_eq!((*request).UserBuffer, data.as_mut_ptr().cast()),
            }
            assert_eq!(call::call_driver(stack.top(), request, 0), STATUS_SUCCESS);
            assert_ne!(dispatcher::read_state_event(&raw mut event), 0);
        }
    }
}

#[test]
fn control_requests_take_buffers_as_their_code_wants_them() {
    let below = Stack::new(&[Behaviour::Complete]);
    let input = *b"input";
    let mut output = [0_u8; 16];
    for method in 0..4 {
        // SAFETY: as in the test above.
        unsafe {
            let mut event: KEVENT = std::mem::zeroed();
            let mut iosb: IO_STATUS_BLOCK = std::mem::zeroed();
            dispatcher::initialize_event(&raw mut event, true, false);
            let request = request::build_device_control(
                0x22_2000 | method,
                below.top(),
                input.as_ptr().cast(),
                5,
                output.as_mut_ptr().cast(),
                16,
                false,
                &raw mut event,
                &raw mut iosb,
            );
            let location = request.next_location();
            let control = (*location).Parameters.DeviceIoControl;
            assert_eq!(
                (control.InputBufferLength, control.OutputBufferLength),
                (5, 16)
            );
            let system = (*request).AssociatedIrp.SystemBuffer;
            if method == 3 {
                assert_eq!(control.Type3InputBuffer, input.as_ptr().cast_mut().cast());
                assert_eq!((*request).UserBuffer, output.as_mut_ptr().cast());
                assert!(system.is_null());
            } else {
                assert_eq!(std::slice::from_raw_parts(system.cast::<u8>(), 5), b"input");
                assert_eq!((*request).MdlAddress.is_null(), method == 0);
            }
            assert_eq!(call::call_driver(below.top(), request, 0), STATUS_SUCCESS);
            assert_ne!(dispatcher::read_state_event(&raw mut event), 0);
        }
    }
    // SAFETY: the device is alive.
    let nothing = unsafe {
        request::build_device_control(
            0,
            below.top(),
            null_mut(),
            0,
            null_mut(),
            0,
            true,
            null_mut(),
            null_mut(),
        )
    };
    // SAFETY: never sent.
    unsafe {
        assert_eq!(
            (*nothing.next_location()).MajorFunction,
            crate::nt::IRP_MJ_INTERNAL_DEVICE_CONTROL as u8
        );
        assert!((*nothing).AssociatedIrp.SystemBuffer.is_null());
        stack::advance(nothing);
        irp::free(nothing, 0);
    }
}
