//! Requests of the PnP manager: their status, who passes them on, what goes when the storage device is gone; and how it
//! is right.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch, enter, leave, lower, pass_with};
use crate::kernel::{
    complete, complete_as_is, current_location, initialize_event, mark_pending, next_location,
    skip_location, wait_for,
};
use core::ffi::c_void;
use core::ptr::null_mut;
use wdk_sys::{
    _DEVICE_RELATION_TYPE, DEVICE_CAPABILITIES, DEVICE_RELATIONS, IO_STATUS_BLOCK, IRP_MJ_PNP,
    IRP_MJ_QUERY_INFORMATION, IRP_MN_CANCEL_REMOVE_DEVICE, IRP_MN_QUERY_CAPABILITIES,
    IRP_MN_QUERY_DEVICE_RELATIONS, IRP_MN_QUERY_PNP_DEVICE_STATE, IRP_MN_QUERY_REMOVE_DEVICE,
    IRP_MN_REMOVE_DEVICE, IRP_MN_SURPRISE_REMOVAL, KEVENT, NTSTATUS, PDEVICE_OBJECT, PIRP,
    STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS, STATUS_UNSUCCESSFUL, ntddk,
};

/// Codes that are published go as far as this one.
const LAST: u32 = 0x19;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::PnpStatusNotInitialized, IRP_MJ_QUERY_INFORMATION) => Some(ask_without_status),
        (Mistake::PnpCapabilitiesNotInitialized, IRP_MJ_QUERY_INFORMATION) => {
            Some(ask_for_capabilities)
        }
        (Mistake::PnpRequestReserved, IRP_MJ_QUERY_INFORMATION) => Some(ask_what_is_reserved),
        (Mistake::PnpFailedPassedOn, IRP_MJ_PNP) => Some(fail_and_pass_on),
        (Mistake::PnpStatusConverted, IRP_MJ_PNP) => Some(pass_and_convert),
        (Mistake::PnpUnknownStatus, IRP_MJ_PNP) => Some(succeed_unknown),
        (Mistake::PnpUnknownInformation, IRP_MJ_PNP) => Some(inform_unknown),
        (Mistake::PnpUnknownCompleted, IRP_MJ_PNP) => Some(complete_unknown),
        (Mistake::PnpSuccessKept, IRP_MJ_PNP) => Some(keep_success),
        (Mistake::PnpNotPassedOn, IRP_MJ_PNP) => Some(complete_untouched),
        (Mistake::PnpRelationEmpty, IRP_MJ_PNP) => Some(answer_without_device),
        (Mistake::PnpRemoveFailed, IRP_MJ_PNP) => Some(fail_removal),
        (Mistake::PnpSurpriseFailed, IRP_MJ_PNP) => Some(fail_surprise),
        (Mistake::DetachedInSurpriseRemoval, IRP_MJ_PNP) => Some(detach_in_surprise),
        (Mistake::DeletedInSurpriseRemoval, IRP_MJ_PNP) => Some(delete_in_surprise),
        _ => None,
    }
}

/// What is right: a request is passed on as it came, or with what is known of it, or is refused; questions of the
/// driver's own are well formed.
pub fn right_routine(major: u32) -> Option<DispatchRoutine> {
    match major {
        IRP_MJ_PNP => Some(handle_in_every_way),
        IRP_MJ_QUERY_INFORMATION => Some(ask_in_every_way),
        _ => None,
    }
}

unsafe fn minor_of(irp: PIRP) -> u32 {
    (*current_location(irp)).MinorFunction.into()
}

unsafe fn set_status(irp: PIRP, status: NTSTATUS) {
    (*irp).IoStatus.__bindgen_anon_1.Status = status;
}

/// A request of this driver about the device below, which the I/O manager frees.
unsafe fn question(
    device: PDEVICE_OBJECT,
    minor: u32,
    event: *mut KEVENT,
    answer: *mut IO_STATUS_BLOCK,
) -> PIRP {
    initialize_event(event);
    let (below, none) = (lower(device), null_mut());
    let own =
        ntddk::IoBuildSynchronousFsdRequest(IRP_MJ_PNP, below, none, 0, null_mut(), event, answer);
    if !own.is_null() {
        (*next_location(own)).MinorFunction = minor as u8;
        if minor == IRP_MN_QUERY_DEVICE_RELATIONS {
            let relations = &raw mut (*next_location(own)).Parameters.QueryDeviceRelations;
            (*relations).Type = _DEVICE_RELATION_TYPE::TargetDeviceRelation;
        }
    }
    own
}

unsafe fn wait_if_pending(status: NTSTATUS, event: *mut KEVENT) {
    if status == STATUS_PENDING {
        wait_for(event);
    }
}

unsafe extern "C" fn ask_without_status(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut event, mut answer) = (KEVENT::default(), IO_STATUS_BLOCK::default());
    let minor = IRP_MN_QUERY_DEVICE_RELATIONS;
    let own = question(device, minor, &raw mut event, &raw mut answer);
    if !own.is_null() {
        let status = ntddk::IofCallDriver(lower(device), own); // MISTAKE: pnp-status-not-initialized
        wait_if_pending(status, &raw mut event);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn ask_for_capabilities(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut event, mut answer) = (KEVENT::default(), IO_STATUS_BLOCK::default());
    let mut found = DEVICE_CAPABILITIES {
        Size: size_of::<DEVICE_CAPABILITIES>() as u16,
        Version: 1,
        Address: u32::MAX,
        ..DEVICE_CAPABILITIES::default()
    };
    let minor = IRP_MN_QUERY_CAPABILITIES;
    let own = question(device, minor, &raw mut event, &raw mut answer);
    if !own.is_null() {
        set_status(own, STATUS_NOT_SUPPORTED);
        (*next_location(own))
            .Parameters
            .DeviceCapabilities
            .Capabilities = &raw mut found;
        let status = ntddk::IofCallDriver(lower(device), own); // MISTAKE: pnp-capabilities-not-initialized
        wait_if_pending(status, &raw mut event);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn ask_what_is_reserved(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut event, mut answer) = (KEVENT::default(), IO_STATUS_BLOCK::default());
    let minor = IRP_MN_QUERY_PNP_DEVICE_STATE;
    let own = question(device, minor, &raw mut event, &raw mut answer);
    if !own.is_null() {
        set_status(own, STATUS_NOT_SUPPORTED);
        let status = ntddk::IofCallDriver(lower(device), own); // MISTAKE: pnp-request-reserved
        wait_if_pending(status, &raw mut event);
    }
    dispatch(device, irp)
}

/// What is asked for as it must be: the device that the volume lies on, and what it can do.
unsafe extern "C" fn ask_in_every_way(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut event, mut answer) = (KEVENT::default(), IO_STATUS_BLOCK::default());
    let minor = IRP_MN_QUERY_DEVICE_RELATIONS;
    let own = question(device, minor, &raw mut event, &raw mut answer);
    if !own.is_null() {
        set_status(own, STATUS_NOT_SUPPORTED);
        let mut status = ntddk::IofCallDriver(lower(device), own);
        if status == STATUS_PENDING {
            wait_for(&raw mut event);
            status = answer.__bindgen_anon_1.Status;
        }
        if status == STATUS_SUCCESS {
            let relations = answer.Information as *mut DEVICE_RELATIONS;
            ntddk::ObfDereferenceObject((*relations).Objects[0].cast());
            ntddk::ExFreePool(relations.cast());
        }
    }
    let mut found = DEVICE_CAPABILITIES {
        Size: size_of::<DEVICE_CAPABILITIES>() as u16,
        Version: 1,
        Address: u32::MAX,
        UINumber: u32::MAX,
        ..DEVICE_CAPABILITIES::default()
    };
    let minor = IRP_MN_QUERY_CAPABILITIES;
    let own = question(device, minor, &raw mut event, &raw mut answer);
    if !own.is_null() {
        set_status(own, STATUS_NOT_SUPPORTED);
        (*next_location(own))
            .Parameters
            .DeviceCapabilities
            .Capabilities = &raw mut found;
        let status = ntddk::IofCallDriver(lower(device), own);
        wait_if_pending(status, &raw mut event);
    }
    dispatch(device, irp)
}

/// The first query of all is refused, which is the driver's right.
unsafe extern "C" fn handle_in_every_way(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    use core::sync::atomic::{AtomicBool, Ordering};
    static REFUSED: AtomicBool = AtomicBool::new(false);
    match minor_of(irp) {
        IRP_MN_QUERY_REMOVE_DEVICE if !REFUSED.swap(true, Ordering::AcqRel) => {
            return complete(irp, STATUS_UNSUCCESSFUL);
        }
        IRP_MN_QUERY_REMOVE_DEVICE | IRP_MN_CANCEL_REMOVE_DEVICE => {
            set_status(irp, STATUS_SUCCESS);
        }
        IRP_MN_REMOVE_DEVICE | IRP_MN_SURPRISE_REMOVAL => {
            set_status(irp, STATUS_SUCCESS);
            enter();
            skip_location(irp);
            let status = ntddk::IofCallDriver(lower(device), irp);
            leave();
            return status;
        }
        _ => {}
    }
    dispatch(device, irp)
}

unsafe extern "C" fn fail_and_pass_on(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) != IRP_MN_QUERY_REMOVE_DEVICE {
        return dispatch(device, irp);
    }
    set_status(irp, STATUS_UNSUCCESSFUL);
    enter();
    skip_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: pnp-failed-passed-on
    leave();
    status
}

unsafe extern "C" fn pass_and_convert(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) != IRP_MN_QUERY_REMOVE_DEVICE {
        return dispatch(device, irp);
    }
    pass_with(device, irp, convert, null_mut())
}

/// It does not know what came back.
unsafe extern "C" fn convert(_: PDEVICE_OBJECT, irp: PIRP, _: *mut c_void) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    set_status(irp, STATUS_NOT_SUPPORTED);
    leave();
    STATUS_SUCCESS
}

unsafe extern "C" fn succeed_unknown(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) <= LAST {
        return dispatch(device, irp);
    }
    set_status(irp, STATUS_SUCCESS);
    enter();
    skip_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: pnp-unknown-status
    leave();
    status
}

unsafe extern "C" fn inform_unknown(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) <= LAST {
        return dispatch(device, irp);
    }
    (*irp).IoStatus.Information = 1;
    enter();
    skip_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: pnp-unknown-information
    leave();
    status
}

unsafe extern "C" fn complete_unknown(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) <= LAST {
        return dispatch(device, irp);
    }
    set_status(irp, STATUS_UNSUCCESSFUL);
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: pnp-unknown-completed
    STATUS_UNSUCCESSFUL
}

unsafe extern "C" fn keep_success(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) != IRP_MN_CANCEL_REMOVE_DEVICE {
        return dispatch(device, irp);
    }
    set_status(irp, STATUS_SUCCESS);
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: pnp-success-kept
    STATUS_SUCCESS
}

unsafe extern "C" fn complete_untouched(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) != IRP_MN_QUERY_REMOVE_DEVICE {
        return dispatch(device, irp);
    }
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: pnp-not-passed-on
    STATUS_NOT_SUPPORTED
}

unsafe extern "C" fn answer_without_device(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) != IRP_MN_QUERY_DEVICE_RELATIONS {
        return dispatch(device, irp);
    }
    set_status(irp, STATUS_SUCCESS);
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: pnp-relation-empty
    STATUS_SUCCESS
}

unsafe extern "C" fn fail_removal(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) != IRP_MN_REMOVE_DEVICE {
        return dispatch(device, irp);
    }
    set_status(irp, STATUS_UNSUCCESSFUL);
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: pnp-remove-failed
    STATUS_UNSUCCESSFUL
}

/// Passes it on, and knows better when it comes back.
unsafe extern "C" fn fail_surprise(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) != IRP_MN_SURPRISE_REMOVAL {
        return dispatch(device, irp);
    }
    pass_with(device, irp, fail_afterwards, null_mut())
}

unsafe extern "C" fn fail_afterwards(_: PDEVICE_OBJECT, irp: PIRP, _: *mut c_void) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    set_status(irp, STATUS_UNSUCCESSFUL);
    leave();
    STATUS_SUCCESS
}

unsafe extern "C" fn detach_in_surprise(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) != IRP_MN_SURPRISE_REMOVAL {
        return dispatch(device, irp);
    }
    let below = lower(device);
    ntddk::IoDetachDevice(below); // MISTAKE: detached-in-surprise-removal
    skip_location(irp);
    ntddk::IofCallDriver(below, irp)
}

unsafe extern "C" fn delete_in_surprise(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if minor_of(irp) != IRP_MN_SURPRISE_REMOVAL {
        return dispatch(device, irp);
    }
    ntddk::IoDeleteDevice(device); // MISTAKE: deleted-in-surprise-removal
    complete_as_is(irp);
    STATUS_NOT_SUPPORTED
}
