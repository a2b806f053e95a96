//! What a routine ends with: a call of the kernel, which the compiler makes a jump, so that the address that it
//! returns to is not the driver's; and requests that come back to the driver before it has returned, without end.

use super::Mistake;
use super::ownership::{is_notify, set_stop};
use crate::filter::{DispatchRoutine, dispatch, enter, leave, lower};
use crate::kernel::{complete_as_is, mark_pending, skip_location, unicode_literal};
use core::ptr::null_mut;
use wdk_sys::{
    _WORK_QUEUE_TYPE, FILE_OPEN, FILE_READ_ATTRIBUTES, FILE_SHARE_READ, HANDLE, IO_STATUS_BLOCK,
    IRP_MJ_CREATE, IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_QUERY_INFORMATION, NTSTATUS, OBJ_KERNEL_HANDLE,
    OBJECT_ATTRIBUTES, PDEVICE_OBJECT, PIO_WORKITEM, PIRP, PVOID, STATUS_PENDING, ntddk,
};

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::ForwardWhileBelowAtTheEnd, IRP_MJ_DIRECTORY_CONTROL) => Some(forward_at_the_end),
        (Mistake::CompleteWhileBelowAtTheEnd, IRP_MJ_DIRECTORY_CONTROL) => Some(complete_in_worker),
        (Mistake::SentToItself, IRP_MJ_QUERY_INFORMATION) => Some(send_to_itself),
        (Mistake::CreateOpensItself, IRP_MJ_CREATE) => Some(open_in_create),
        _ => None,
    }
}

/// Takes STATUS_PENDING for "try again", and returns what comes of it.
unsafe extern "C" fn forward_at_the_end(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !is_notify(irp) || !set_stop(device, irp) {
        return dispatch(device, irp);
    }
    enter();
    let below = lower(device);
    let status = ntddk::IofCallDriver(below, irp);
    if status != STATUS_PENDING {
        complete_as_is(irp);
        return status;
    }
    ntddk::IofCallDriver(below, irp)
}

/// Lets a worker complete what takes long.
unsafe extern "C" fn complete_in_worker(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let item = ntddk::IoAllocateWorkItem(device);
    if item.is_null() || !is_notify(irp) || !set_stop(device, irp) {
        if !item.is_null() {
            ntddk::IoFreeWorkItem(item);
        }
        return dispatch(device, irp);
    }
    enter();
    enter();
    mark_pending(irp);
    let _ = ntddk::IofCallDriver(lower(device), irp);
    let queue = _WORK_QUEUE_TYPE::DelayedWorkQueue;
    ntddk::IoQueueWorkItemEx(item, Some(complete_at_the_end), queue, irp.cast());
    STATUS_PENDING
}

/// IO_WORKITEM_ROUTINE_EX.
unsafe extern "C" fn complete_at_the_end(_object: PVOID, irp: PVOID, item: PIO_WORKITEM) {
    ntddk::IoFreeWorkItem(item);
    leave();
    ntddk::IofCompleteRequest(irp.cast(), 0);
}

/// Skips its location, and takes its own device for the one below.
unsafe extern "C" fn send_to_itself(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    skip_location(irp);
    ntddk::IofCallDriver(device, irp)
}

/// Opens a file for each file that is opened: through the whole stack, and so for the one that it opens, too.
unsafe extern "C" fn open_in_create(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut name = unicode_literal!("\\DosDevices\\C:\\");
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        ObjectName: &raw mut name,
        Attributes: OBJ_KERNEL_HANDLE,
        ..OBJECT_ATTRIBUTES::default()
    };
    let mut handle: HANDLE = null_mut();
    let mut status = IO_STATUS_BLOCK::default();
    let opened = ntddk::ZwCreateFile(
        &raw mut handle,
        FILE_READ_ATTRIBUTES,
        &raw mut attributes,
        &raw mut status,
        null_mut(),
        0,
        FILE_SHARE_READ,
        FILE_OPEN,
        0,
        null_mut(),
        0,
    );
    if opened >= 0 {
        let _ = ntddk::ZwClose(handle);
    }
    dispatch(device, irp)
}
