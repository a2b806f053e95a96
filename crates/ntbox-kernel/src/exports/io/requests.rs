//! Requests: calling, completing, building and cancelling.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::own_request_checks::{self, Made};
use crate::io_manager::stack::invoke_flags;
use crate::io_manager::{call, cancel, checks, complete, irp, mdl, request, unload_safe};
use crate::nt::routines::CompletionRoutine;
use crate::nt::{
    DEVICE_OBJECT, FO_SYNCHRONOUS_IO, IO_STATUS_BLOCK, IRP, IRP_ASSOCIATED_IRP, IRP_PAGING_IO,
    IRP_SYNCHRONOUS_API, IRP_SYNCHRONOUS_PAGING_IO, IrpExt, KEVENT, Kirql, MDL, NTSTATUS,
    STATUS_FT_READ_FROM_COPY, STATUS_SUCCESS, STATUS_UNSUCCESSFUL, STATUS_VERIFY_REQUIRED,
};
use crate::pool::failure;
use crate::processor::given;
use crate::processor::{irql, process, thread, top_level};
use crate::verifier::{self, rules, violation};
use std::ffi::c_void;
use std::ptr::null_mut;

/// `IofCallDriver`.
pub unsafe extern "win64" fn call_driver(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    caller: usize,
) -> NTSTATUS {
    // SAFETY: the driver's request and a live device.
    unsafe { call::call_driver(device, irp, caller) }
}

/// `IofCompleteRequest`.
pub unsafe extern "win64" fn complete_request(irp: *mut IRP, boost: i8, caller: usize) {
    // SAFETY: the driver's request.
    unsafe { complete::complete_request(irp, boost, caller) }
}

/// `IoAllocateIrp`. Quota is not charged.
pub unsafe extern "win64" fn allocate_irp(stack_size: i8, charge: u8, caller: usize) -> *mut IRP {
    irql::require("IoAllocateIrp", caller);
    if failure::should_fail(caller) {
        return null_mut();
    }
    let irp = irp::allocate_at(stack_size, caller);
    if charge != 0 && !irp.is_null() {
        // SAFETY: a new request.
        unsafe { irp::set_made(irp, Made::WithQuota) };
    }
    irp
}

/// `IoAllocateIrpEx`.
pub unsafe extern "win64" fn allocate_irp_ex(
    _device: *mut DEVICE_OBJECT,
    stack_size: i8,
    charge: u8,
    caller: usize,
) -> *mut IRP {
    irql::require("IoAllocateIrpEx", caller);
    // SAFETY: as for IoAllocateIrp.
    unsafe { allocate_irp(stack_size, charge, caller) }
}

/// `IoFreeIrp`.
pub unsafe extern "win64" fn free_irp(irp: *mut IRP, caller: usize) {
    irql::require("IoFreeIrp", caller);
    // SAFETY: the driver's request.
    unsafe { irp::free(irp, caller) }
}

/// `IoInitializeIrp`.
pub unsafe extern "win64" fn initialize_irp(
    irp: *mut IRP,
    bytes: u16,
    stack_size: i8,
    caller: usize,
) {
    irql::require("IoInitializeIrp", caller);
    // SAFETY: the driver's memory.
    unsafe { irp::initialize(irp, bytes, stack_size, caller) }
}

/// `IoReuseIrp`.
pub unsafe extern "win64" fn reuse_irp(irp: *mut IRP, status: NTSTATUS, caller: usize) {
    irql::require("IoReuseIrp", caller);
    // SAFETY: the driver's request.
    unsafe { irp::reuse(irp, status, caller) }
}

/// `IoCancelIrp`.
pub unsafe extern "win64" fn cancel_irp(irp: *mut IRP, caller: usize) -> u8 {
    irql::require("IoCancelIrp", caller);
    // SAFETY: the driver keeps the request alive.
    u8::from(unsafe { cancel::cancel(irp, caller) })
}

/// `IoAcquireCancelSpinLock`.
pub unsafe extern "win64" fn acquire_cancel_spin_lock(level: *mut Kirql, caller: usize) {
    irql::require("IoAcquireCancelSpinLock", caller);
    let old = cancel::acquire_cancel_spin_lock(caller);
    // SAFETY: the driver's pointer.
    unsafe { level.write(old) };
}

/// `IoReleaseCancelSpinLock`.
pub unsafe extern "win64" fn release_cancel_spin_lock(level: Kirql, caller: usize) {
    irql::require("IoReleaseCancelSpinLock", caller);
    cancel::release_cancel_spin_lock(level);
}

/// `IoSetCompletionRoutineEx`.
pub unsafe extern "win64" fn set_completion_routine_ex(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    routine: CompletionRoutine,
    context: *mut c_void,
    on_success: u8,
    on_error: u8,
    on_cancel: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoSetCompletionRoutineEx", caller);
    given::remember(routine as usize, "IoSetCompletionRoutineEx", caller);
    let invoke = invoke_flags(on_success != 0, on_error != 0, on_cancel != 0);
    // SAFETY: the driver's device and request.
    unsafe { unload_safe::set(device, irp, routine, context, invoke, caller) }
}

/// `IoBuildSynchronousFsdRequest`.
pub unsafe extern "win64" fn build_synchronous_fsd_request(
    major: u32,
    device: *mut DEVICE_OBJECT,
    buffer: *mut c_void,
    length: u32,
    offset: *const i64,
    event: *mut KEVENT,
    iosb: *mut IO_STATUS_BLOCK,
    caller: usize,
) -> *mut IRP {
    irql::require("IoBuildSynchronousFsdRequest", caller);
    if failure::should_fail(caller) {
        return null_mut();
    }
    // SAFETY: the driver's device.
    if !unsafe { own_request_checks::probe_transfer(major, device, buffer, length, caller) } {
        return null_mut();
    }
    // SAFETY: the driver's device and memory.
    let irp = unsafe {
        request::build_synchronous_fsd(major as u8, device, buffer, length, offset, event, iosb)
    };
    irp::set_allocator(irp, caller);
    irp
}

/// `IoBuildAsynchronousFsdRequest`.
pub unsafe extern "win64" fn build_asynchronous_fsd_request(
    major: u32,
    device: *mut DEVICE_OBJECT,
    buffer: *mut c_void,
    length: u32,
    offset: *const i64,
    iosb: *mut IO_STATUS_BLOCK,
    caller: usize,
) -> *mut IRP {
    irql::require("IoBuildAsynchronousFsdRequest", caller);
    if failure::should_fail(caller) {
        return null_mut();
    }
    // SAFETY: the driver's device.
    if !unsafe { own_request_checks::probe_transfer(major, device, buffer, length, caller) } {
        return null_mut();
    }
    // SAFETY: the driver's device and memory.
    let irp = unsafe {
        request::build_asynchronous_fsd(major as u8, device, buffer, length, offset, iosb)
    };
    irp::set_allocator(irp, caller);
    // SAFETY: a new request, or null.
    let list = unsafe { irp.as_ref() }.map_or(null_mut(), |irp| irp.MdlAddress);
    if !list.is_null() {
        // SAFETY: made with the request; who frees that frees both.
        unsafe { mdl::give_to_driver(list, caller) };
    }
    irp
}

/// `IoBuildDeviceIoControlRequest`.
pub unsafe extern "win64" fn build_device_io_control_request(
    code: u32,
    device: *mut DEVICE_OBJECT,
    input: *const c_void,
    input_length: u32,
    output: *mut c_void,
    output_length: u32,
    internal: u8,
    event: *mut KEVENT,
    iosb: *mut IO_STATUS_BLOCK,
    caller: usize,
) -> *mut IRP {
    irql::require("IoBuildDeviceIoControlRequest", caller);
    if failure::should_fail(caller) {
        return null_mut();
    }
    let (from, into) = ((input, input_length), (output.cast_const(), output_length));
    if !own_request_checks::probe_control(code, from, into, caller) {
        return null_mut();
    }
    // SAFETY: the driver's device and memory.
    let irp = unsafe {
        request::build_device_control(
            code,
            device,
            input,
            input_length,
            output,
            output_length,
            internal != 0,
            event,
            iosb,
        )
    };
    irp::set_allocator(irp, caller);
    irp
}

/// `IoMakeAssociatedIrp`. The driver sets `AssociatedIrp.IrpCount` of the master.
pub unsafe extern "win64" fn make_associated_irp(
    master: *mut IRP,
    stack_size: i8,
    caller: usize,
) -> *mut IRP {
    irql::require("IoMakeAssociatedIrp", caller);
    // SAFETY: the driver's request.
    if unsafe { (*master).Flags } & IRP_ASSOCIATED_IRP != 0 && verifier::checks() {
        checks::report(
            &rules::ASSOCIATED_OF_ASSOCIATED,
            "a request is associated with one that is an associated request itself".to_owned(),
            master,
            vec![("called by", caller)],
        );
    }
    if failure::should_fail(caller) {
        return null_mut();
    }
    let irp = irp::allocate_at(stack_size, caller);
    if !irp.is_null() {
        // SAFETY: a new request.
        unsafe { irp::associate(irp, master) };
        // SAFETY: a new request.
        unsafe { irp::set_made(irp, Made::Built) };
        // SAFETY: the driver's request.
        let owner = unsafe { master.thread() };
        // SAFETY: a new request.
        unsafe { irp.set_thread(owner) };
    }
    irp
}

/// `IoSetMasterIrpStatus`: merges the status of a part into that of its master.
pub unsafe extern "win64" fn set_master_irp_status(
    master: *mut IRP,
    status: NTSTATUS,
    caller: usize,
) {
    irql::require("IoSetMasterIrpStatus", caller);
    // SAFETY: the driver's request, whose parts it gathers.
    let block = unsafe { &mut (*master).IoStatus };
    // SAFETY: both members of the union are plain integers or pointers.
    let before = unsafe { block.Anonymous.Status };
    if master_takes(before, status) {
        block.Anonymous.Status = status;
    }
}

/// Whether a master with the status `before` takes that of a part: the first error, and a more severe one. Of errors
/// that are equally severe the page says nothing; ReactOS has the greater code.
fn master_takes(before: NTSTATUS, status: NTSTATUS) -> bool {
    match (before, status) {
        (_, STATUS_FT_READ_FROM_COPY) => false,
        (_, STATUS_VERIFY_REQUIRED) | (STATUS_FT_READ_FROM_COPY, _) => true,
        (STATUS_SUCCESS, _) => status < 0,
        _ => before < 0 && status < 0 && status > before,
    }
}

/// `IoGetTopLevelIrp`.
pub unsafe extern "win64" fn get_top_level_irp(caller: usize) -> *mut IRP {
    irql::require("IoGetTopLevelIrp", caller);
    top_level::asked(caller)
}

/// `IoSetTopLevelIrp`.
///
/// # Safety
/// None: what is set is handed out, and not looked behind.
pub unsafe extern "win64" fn set_top_level_irp(irp: *mut IRP, caller: usize) {
    irql::require("IoSetTopLevelIrp", caller);
    top_level::set(irp, caller);
}

/// `IoIsOperationSynchronous`: the originator waits for the request.
pub unsafe extern "win64" fn is_operation_synchronous(irp: *mut IRP) -> u8 {
    // SAFETY: the driver's request.
    let flags = unsafe { (*irp).Flags };
    // SAFETY: the driver's request, whose current location is its own.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let file = unsafe { (*location).FileObject };
    // SAFETY: null, or the file of a request in flight.
    let file_is = !file.is_null() && unsafe { (*file).Flags } & FO_SYNCHRONOUS_IO != 0;
    let api = flags & (IRP_SYNCHRONOUS_API | IRP_SYNCHRONOUS_PAGING_IO) != 0;
    // Asynchronous paging I/O is never synchronous, whatever its file is.
    let paging = flags & IRP_PAGING_IO != 0 && flags & IRP_SYNCHRONOUS_PAGING_IO == 0;
    u8::from((file_is || api) && !paging)
}

/// `IoGetRequestorProcess`.
pub unsafe extern "win64" fn get_requestor_process(irp: *mut IRP) -> *mut c_void {
    irql::require("IoGetRequestorProcess", 0);
    // SAFETY: the driver's request.
    let owner = unsafe { irp.thread() };
    thread::from_object(owner).map_or(null_mut(), |thread| thread.process())
}

/// `IoGetRequestorProcessId`.
pub unsafe extern "win64" fn get_requestor_process_id(irp: *mut IRP) -> u32 {
    irql::require("IoGetRequestorProcessId", 0);
    // SAFETY: as above.
    let object = unsafe { get_requestor_process(irp) };
    process::from_object(object).map_or(0, |process| process.id())
}

/// `IoGetRequestorSessionId`: a request without a thread is of no session.
pub unsafe extern "win64" fn get_requestor_session_id(
    irp: *mut IRP,
    session: *mut u32,
) -> NTSTATUS {
    irql::require("IoGetRequestorSessionId", 0);
    // SAFETY: the driver's request.
    let object = unsafe { get_requestor_process(irp) };
    let found = process::from_object(object).map(|process| process.session());
    // SAFETY: the driver's pointer.
    unsafe { session.write(found.unwrap_or(u32::MAX)) };
    found.map_or(STATUS_UNSUCCESSFUL, |_| STATUS_SUCCESS)
}

/// `IoIs32bitProcess`: no program is.
pub unsafe extern "win64" fn is_32_bit_process(_irp: *mut IRP) -> u8 {
    irql::require("IoIs32bitProcess", 0);
    0
}

/// `IoThreadToProcess`.
pub unsafe extern "win64" fn thread_to_process(object: *mut c_void) -> *mut c_void {
    irql::require("IoThreadToProcess", 0);
    thread::from_object(object).map_or(null_mut(), |thread| thread.process())
}

/// `IoIsSystemThread`.
pub unsafe extern "win64" fn is_system_thread(object: *mut c_void) -> u8 {
    irql::require("IoIsSystemThread", 0);
    u8::from(thread::from_object(object).is_some_and(|thread| thread.is_system()))
}

/// `IoAllocateMdl`. Quota is not charged.
pub unsafe extern "win64" fn allocate_mdl(
    address: *mut c_void,
    length: u32,
    secondary: u8,
    _charge: u8,
    irp: *mut IRP,
    caller: usize,
) -> *mut MDL {
    irql::require("IoAllocateMdl", caller);
    // SAFETY: null or the driver's request.
    unsafe { mdl::allocate_for_driver(address, length, secondary != 0, irp, caller) }
}

/// `IoFreeMdl`.
pub unsafe extern "win64" fn free_mdl(mdl: *mut MDL, caller: usize) {
    irql::require("IoFreeMdl", caller);
    // SAFETY: the driver's list.
    let flags = unsafe { (*mdl).MdlFlags };
    if flags & (mdl::MAPPED_TO_SYSTEM_VA | mdl::PARTIAL) == mdl::MAPPED_TO_SYSTEM_VA {
        violation(
            &rules::MDL_FREED_MAPPED,
            format!("the MDL {mdl:p} was freed while its pages are mapped"),
            &[("freed at", caller)],
        );
    } else if flags & (mdl::PAGES_LOCKED | mdl::PARTIAL) == mdl::PAGES_LOCKED {
        violation(
            &rules::LOCKED_MDL_FREED,
            format!("the MDL {mdl:p} was freed while its pages are locked"),
            &[("freed at", caller)],
        );
    }
    if flags & (mdl::PAGES_LOCKED | mdl::PARTIAL) == mdl::PAGES_LOCKED {
        // SAFETY: the driver's list.
        unsafe { mdl::unlock_pages(mdl) };
    }
    // SAFETY: the driver's list.
    unsafe { mdl::free(mdl, caller) }
}

/// `IoBuildPartialMdl`.
pub unsafe extern "win64" fn build_partial_mdl(
    source: *mut MDL,
    target: *mut MDL,
    address: *mut c_void,
    length: u32,
    caller: usize,
) {
    irql::require("IoBuildPartialMdl", caller);
    // SAFETY: the driver's list.
    let begin = unsafe { mdl::virtual_address(source) };
    // SAFETY: the driver's list.
    let whole = (begin.addr(), unsafe { (*source).ByteCount });
    // SAFETY: the driver's list.
    let Some(bytes) = (unsafe { mdl::bytes_of_part(source, address.addr(), length) }) else {
        return violation(
            &rules::PARTIAL_MDL_RANGE,
            format!(
                "IoBuildPartialMdl was called for {length} bytes at {address:p} of {} at 0x{:x}",
                whole.1, whole.0
            ),
            &[("called at", caller)],
        );
    };
    // SAFETY: the driver's list.
    let room = unsafe { (*target).Size } as usize;
    let needed = mdl::size_of_mdl(address, bytes as usize);
    if room < needed {
        return violation(
            &rules::PARTIAL_MDL_SIZE,
            format!("IoBuildPartialMdl was called for a target of {room} bytes, of {needed}"),
            &[("called at", caller)],
        );
    }
    // SAFETY: the driver's lists.
    unsafe { mdl::build_partial(source, target, address, length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::{
        STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW, STATUS_DEVICE_BUSY, STATUS_REPARSE,
    };

    /// What a master has when parts with these have been merged.
    fn merged(mut status: NTSTATUS, parts: &[NTSTATUS]) -> NTSTATUS {
        let mut master = IRP::default();
        for part in parts {
            master.IoStatus.Anonymous.Status = status;
            // SAFETY: a request of the test.
            unsafe { set_master_irp_status(&raw mut master, *part, 0) };
            // SAFETY: a status.
            status = unsafe { master.IoStatus.Anonymous.Status };
        }
        status
    }

    #[test]
    fn a_master_has_the_most_severe_status_of_its_parts() {
        let denied = STATUS_ACCESS_DENIED;
        assert_eq!(merged(0, &[0, 0]), 0);
        assert_eq!(merged(0, &[0, denied, 0]), denied);
        assert_eq!(merged(0, &[STATUS_REPARSE]), 0, "no error");
        assert_eq!(merged(0, &[STATUS_BUFFER_OVERFLOW, denied]), denied);
        assert_eq!(merged(0, &[denied, STATUS_BUFFER_OVERFLOW]), denied);
        assert_eq!(
            merged(0, &[denied, STATUS_DEVICE_BUSY]),
            denied.max(STATUS_DEVICE_BUSY)
        );
        let verify = STATUS_VERIFY_REQUIRED;
        assert_eq!(merged(0, &[denied, verify]), verify, "always");
        let copy = STATUS_FT_READ_FROM_COPY;
        assert_eq!(merged(0, &[copy]), 0, "never");
        assert_eq!(merged(denied, &[copy]), denied, "never");
        assert_eq!(merged(copy, &[copy]), copy);
        assert_eq!(merged(copy, &[0]), 0);
        assert_eq!(merged(copy, &[denied]), denied);
    }
}
