//! What the checks look at in requests of plug and play: their status, which says whether any driver has handled them,
//! and who passes them on.
//!
//! A device of a file system, and a filter's above it, lies above a storage device: no driver there is at the bottom of
//! the stack, where such a request ends.
//!
//! Source: "Plug and Play Minor IRPs" and the page of each; bug checks 0xC9 and 0xC4.

#![expect(
    unsafe_code,
    reason = "the request belongs to who passes it on or completes it, and is read in place"
)]

use super::attachment::lower;
use super::checks;
use super::database::describe;
use super::tracker::Holder;
use crate::host::memory::try_read_as;
use crate::nt::{
    BusRelations, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP, IRP_MJ_PNP, IRP_MN_CANCEL_REMOVE_DEVICE,
    IRP_MN_CANCEL_STOP_DEVICE, IRP_MN_QUERY_CAPABILITIES, IRP_MN_QUERY_DEVICE_RELATIONS,
    IRP_MN_QUERY_INTERFACE, IRP_MN_REMOVE_DEVICE, IRP_MN_SURPRISE_REMOVAL, IrpExt, NTSTATUS,
    STATUS_NOT_SUPPORTED, Status, TargetDeviceRelation,
};
use crate::verifier::{Rule, minor_name, rules};

/// How `DEVICE_CAPABILITIES` begins.
#[repr(C)]
#[derive(Clone, Copy)]
struct Capabilities {
    size: u16,
    version: u16,
    flags: u32,
    address: u32,
    ui_number: u32,
}

/// Bytes of `DEVICE_CAPABILITIES`.
const BYTES_OF_CAPABILITIES: u32 = 64;

/// Codes that are published go as far as this one.
const LAST: u8 = 0x19;
/// Those of which their pages say that drivers must not send them.
const RESERVED: [u8; 16] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x0B, 0x0C, 0x0D, 0x11, 0x12, 0x14, 0x15, 0x17,
];

fn is_known(minor: u8) -> bool {
    minor <= LAST
}

/// True for what a driver must not fail.
fn must_succeed(minor: u8) -> bool {
    matches!(
        u32::from(minor),
        IRP_MN_REMOVE_DEVICE
            | IRP_MN_SURPRISE_REMOVAL
            | IRP_MN_CANCEL_REMOVE_DEVICE
            | IRP_MN_CANCEL_STOP_DEVICE
    )
}

fn name_of(minor: u8) -> String {
    let name = minor_name(IRP_MJ_PNP as u8, minor).map(str::to_owned);
    name.unwrap_or_else(|| format!("the request with minor function 0x{minor:02X}"))
}

fn relation(location: &IO_STACK_LOCATION) -> Option<i32> {
    // SAFETY: an integer whatever the union holds.
    let relation = unsafe { location.Parameters.QueryDeviceRelations.Type };
    (u32::from(location.MinorFunction) == IRP_MN_QUERY_DEVICE_RELATIONS).then_some(relation)
}

fn report(rule: &'static Rule, message: String, irp: *mut IRP, by: (&'static str, usize)) {
    checks::report(rule, message, irp, vec![by]);
}

fn status_of(block: &IO_STATUS_BLOCK) -> NTSTATUS {
    // SAFETY: an integer whatever the union holds.
    unsafe { block.Anonymous.Status }
}

/// `site` calls IoCallDriver with `location`, of a request that `caller` has, or that is the driver's own.
///
/// # Safety
/// `irp` is alive, and the caller's.
pub(super) unsafe fn passed_on(
    irp: *mut IRP,
    location: &IO_STACK_LOCATION,
    caller: Option<Holder>,
    site: usize,
) {
    if u32::from(location.MajorFunction) != IRP_MJ_PNP {
        return;
    }
    // SAFETY: contract.
    let now = unsafe { (*irp).IoStatus };
    match caller {
        Some(caller) => handed_down(irp, location.MinorFunction, caller.came_with, now, site),
        None => sent(irp, location, status_of(&now), site),
    }
}

fn sent(irp: *mut IRP, location: &IO_STACK_LOCATION, status: NTSTATUS, site: usize) {
    let (minor, by) = (location.MinorFunction, ("sent by", site));
    let name = name_of(minor);
    if RESERVED.contains(&minor) || relation(location) == Some(BusRelations) {
        let message = format!("{name}, which only the PnP manager sends, was sent by a driver");
        return report(&rules::PNP_RESERVED, message, irp, by);
    }
    if status != STATUS_NOT_SUPPORTED {
        let message = format!(
            "{name} was sent with {}: nobody can tell whether a driver has handled it",
            Status(status)
        );
        return report(&rules::PNP_STATUS_UNSET, message, irp, by);
    }
    if u32::from(minor) == IRP_MN_QUERY_CAPABILITIES
        && let Some(wrong) = unset_capability(location)
    {
        let message = format!("{name} was sent with {wrong}");
        report(&rules::PNP_CAPABILITIES_UNSET, message, irp, by);
    }
}

/// What is not as it must be in the structure that the drivers below are to fill in.
fn unset_capability(location: &IO_STACK_LOCATION) -> Option<String> {
    // SAFETY: a pointer, whatever it points to.
    let address = unsafe { location.Parameters.Others.Argument1 };
    // SAFETY: any bytes are one.
    let found = unsafe { try_read_as::<Capabilities>(address.addr()) };
    let Some(found) = found else {
        return Some(format!(
            "DEVICE_CAPABILITIES at {address:p}, where nothing is"
        ));
    };
    let expected = [
        ("Version", u32::from(found.version), 1),
        ("Size", u32::from(found.size), BYTES_OF_CAPABILITIES),
        ("Address", found.address, u32::MAX),
        ("UINumber", found.ui_number, u32::MAX),
    ];
    let wrong = expected.into_iter().find(|(_, is, must)| is != must);
    wrong.map(|(field, is, must)| format!("{field} 0x{is:X} in the place of 0x{must:X}"))
}

fn handed_down(irp: *mut IRP, minor: u8, came: IO_STATUS_BLOCK, now: IO_STATUS_BLOCK, site: usize) {
    let by = ("passed on by", site);
    let (before, status) = (status_of(&came), status_of(&now));
    let name = name_of(minor);
    if !is_known(minor) {
        return changed(irp, minor, before, status, by)
            .or_else(|| {
                (came.Information != now.Information).then(|| {
                    let message = format!(
                        "{name}, which no driver knows, was passed on with {:#x} in IoStatus.Information, and had come with {:#x}",
                        now.Information, came.Information
                    );
                    report(&rules::PNP_UNKNOWN_INFORMATION, message, irp, by);
                })
            })
            .unwrap_or_default();
    }
    if status == STATUS_NOT_SUPPORTED && before != STATUS_NOT_SUPPORTED {
        return converted(irp, minor, before, by);
    }
    if Status(status).is_error() && status != STATUS_NOT_SUPPORTED {
        let message = format!(
            "{name} was passed on with {}: who fails it completes it",
            Status(status)
        );
        report(&rules::PNP_FAILED_PASSED_ON, message, irp, by);
    }
}

/// Reports that the status of a request that no driver knows is another one than before.
fn changed(
    irp: *mut IRP,
    minor: u8,
    before: NTSTATUS,
    status: NTSTATUS,
    by: (&'static str, usize),
) -> Option<()> {
    (before != status).then(|| {
        let message = format!(
            "the status of {}, which no driver knows, was changed from {} to {}",
            name_of(minor),
            Status(before),
            Status(status)
        );
        report(&rules::PNP_UNKNOWN_STATUS, message, irp, by);
    })
}

fn converted(irp: *mut IRP, minor: u8, before: NTSTATUS, by: (&'static str, usize)) {
    let message = format!(
        "the status of {} was {} and is STATUS_NOT_SUPPORTED now, as if no driver had handled it",
        name_of(minor),
        Status(before)
    );
    report(&rules::PNP_STATUS_CONVERTED, message, irp, by);
}

/// The driver that has the request, at its current location, completes it by a call that returns to `site`, and has not
/// sent it below; it had come with `came`.
///
/// # Safety
/// `irp` is alive, and has this location.
pub(super) unsafe fn completed_here(irp: *mut IRP, came: NTSTATUS, status: NTSTATUS, site: usize) {
    // SAFETY: contract.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let location = unsafe { &*location };
    if u32::from(location.MajorFunction) != IRP_MJ_PNP {
        return;
    }
    // SAFETY: a device that has a request is alive.
    if unsafe { lower(location.DeviceObject) }.is_null() {
        return;
    }
    let (minor, by) = (location.MinorFunction, ("completed by", site));
    // SAFETY: as above.
    let device = unsafe { describe(location.DeviceObject) };
    // SAFETY: contract.
    let information = unsafe { (*irp).IoStatus.Information };
    let (rule, how) = match status {
        _ if !is_known(minor) => (
            &rules::PNP_UNKNOWN_COMPLETED,
            "and is one that no driver knows",
        ),
        STATUS_NOT_SUPPORTED if came != STATUS_NOT_SUPPORTED => {
            return converted(irp, minor, came, by);
        }
        STATUS_NOT_SUPPORTED => (&rules::PNP_UNTOUCHED, "and was not handled"),
        _ if Status(status).is_error() && must_succeed(minor) => {
            return failed(irp, minor, status, by);
        }
        // Who fails it completes it.
        _ if Status(status).is_error() => return,
        _ if relation(location) == Some(TargetDeviceRelation) && information == 0 => (
            &rules::PNP_RELATION_EMPTY,
            "with success and without a device",
        ),
        // Who has such an interface gives it out.
        _ if u32::from(minor) == IRP_MN_QUERY_INTERFACE => return,
        _ => (
            &rules::PNP_SUCCESS_KEPT,
            "and the drivers below succeed it too",
        ),
    };
    let message = format!(
        "{} was completed by {device} with {}, {how}, in the place of being passed on",
        name_of(minor),
        Status(status)
    );
    report(rule, message, irp, by);
}

/// A request comes back from `location` with `status`, and came to it from below with `lower`; `by` had it last.
pub(super) fn came_back(
    irp: *mut IRP,
    location: &IO_STACK_LOCATION,
    lower: NTSTATUS,
    status: NTSTATUS,
    by: (&'static str, usize),
) {
    if u32::from(location.MajorFunction) != IRP_MJ_PNP || lower == status {
        return;
    }
    let minor = location.MinorFunction;
    if !is_known(minor) {
        let _ = changed(irp, minor, lower, status, by);
    } else if status == STATUS_NOT_SUPPORTED {
        converted(irp, minor, lower, by);
    } else if Status(status).is_error() && must_succeed(minor) && !Status(lower).is_error() {
        failed(irp, minor, status, by);
    }
}

fn failed(irp: *mut IRP, minor: u8, status: NTSTATUS, by: (&'static str, usize)) {
    let rule = match u32::from(minor) {
        IRP_MN_REMOVE_DEVICE => &rules::PNP_REMOVE_FAILED,
        _ => &rules::PNP_REMOVE,
    };
    let message = format!(
        "{} was completed with {}, and must not be failed",
        name_of(minor),
        Status(status)
    );
    report(rule, message, irp, by);
}
