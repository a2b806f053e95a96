//! The one dispatch routine: sheds the raw pointers, tells the devices apart, calls the filter.

#![expect(unsafe_code, reason = "called by the I/O manager")]

use crate::client;
use crate::device::{ControlExtension, DeviceUse, Kind, extension_of, kind_of};
use crate::driver::Filter;
use crate::irp::{ControlIrp, Disposition, Irp};
use crate::irql::AtMostApc;
use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP};

/// Dispatch routine of every major function (D1). Requests for the control device are told apart
/// first (D2).
///
/// # Safety
/// A DRIVER_DISPATCH: called by the I/O manager, or by a driver above, with a device of this
/// driver and a request for it.
pub(crate) unsafe extern "C" fn dispatch<F: Filter>(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: file-system requests arrive at or below APC_LEVEL (D3, D6).
    let mut level = unsafe { AtMostApc::assume() };
    // SAFETY: a device of this driver is initialized before requests can reach it.
    match unsafe { kind_of(device) } {
        // SAFETY: a control device, by its kind.
        Kind::Control => unsafe { control::<F>(device, irp, &mut level) },
        Kind::Filter => {
            // SAFETY: contract of the function; a filter device, by its kind.
            let irp = unsafe { Irp::<F>::from_raw(device, irp) };
            if irp.device().is_counted() {
                counted(irp, &mut level)
            } else {
                F::filter_request(irp, &mut level)
            }
        }
    }
    .into_status()
}

/// A request for the control device (D2).
///
/// # Safety
/// `device` is this driver's control device, whose dispatch routine was just called with `irp`.
#[cold]
unsafe fn control<'d, F: Filter>(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    level: &mut AtMostApc,
) -> Disposition<'d> {
    // SAFETY: contract of the function.
    let extension = unsafe { extension_of::<ControlExtension<F>>(device) };
    // SAFETY: initialized when the device was created; the device lives while it is open.
    let extension = unsafe { &*extension };
    // SAFETY: contract of the function.
    let irp = unsafe { ControlIrp::from_raw(&extension.driver, irp) };
    client::request(irp, level)
}

/// A request for a filter device of a driver that may be unloaded: this routine is inside until it
/// returns (A12).
#[inline(never)]
fn counted<'d, F: Filter>(irp: Irp<'d, F>, level: &mut AtMostApc) -> Disposition<'d> {
    let inside = irp.inside();
    if let DeviceUse::Refused = inside {
        return irp.forward();
    }
    F::filter_request(irp, level)
}
