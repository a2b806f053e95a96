//! The one dispatch routine: sheds the raw pointers, tells the devices apart, calls the filter.

#![expect(unsafe_code, reason = "called by the I/O manager")]

use crate::device::{ControlExtension, DeviceUse, FilterDevice, Kind, extension_of, kind_of};
use crate::driver::Filter;
use crate::irp::Irp;
use crate::irql::AtMostApc;
use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP};

/// Dispatch routine of every major function (D1).
///
/// # Safety
/// A DRIVER_DISPATCH: called by the I/O manager, or by a driver above, with a device of this
/// driver and a request for it.
pub(crate) unsafe extern "C" fn dispatch<F: Filter>(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: file-system requests arrive at or below APC_LEVEL (D3, D6).
    let mut level = unsafe { AtMostApc::assume() };
    // SAFETY: contract of the function.
    let irp = unsafe { Irp::from_raw(irp) };
    // SAFETY: a device of this driver is initialized before requests can reach it.
    match unsafe { kind_of(device) } {
        Kind::Control => {
            // SAFETY: a control device, by its kind.
            let extension = unsafe { extension_of::<ControlExtension<F>>(device) };
            // SAFETY: initialized when the device was created; the device lives while it is open.
            let extension = unsafe { &*extension };
            F::control_request(&extension.driver, irp, &mut level).into_status()
        }
        Kind::Filter => {
            // SAFETY: a filter device, alive while a request is in it.
            let device = unsafe { FilterDevice::<F>::from_raw(device) };
            let entered = device.enter();
            if let (DeviceUse::Refused, Some(lower)) = (&entered, device.lower()) {
                return irp.forward(lower).into_status();
            }
            F::filter_request(device, irp, &mut level).into_status()
        }
    }
}
