//! The dispatch routines: shed the raw pointers, tell the devices apart, call the filter.

#![expect(unsafe_code, reason = "called by the I/O manager")]

use crate::client;
use crate::device::{ControlExtension, Kind, extension_of, kind_of};
use crate::driver::filter::Filter;
use crate::irp::{self, ControlIrp, Disposition, Irp};
use crate::irql::{self, AtMostApc};
use crate::slot::DRIVER;
use crate::status::Status;
use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP};

/// Dispatch routine of every major function but one (D1), called at or below APC_LEVEL (D3, D6).
///
/// # Safety
/// A DRIVER_DISPATCH: called by the I/O manager, or by a driver above, with a device of this
/// driver and a request for it.
pub(crate) unsafe extern "C" fn dispatch<F: Filter>(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { tell_apart(device, irp, F::filter_request) }
}

/// Dispatch routine of IRP_MJ_FILE_SYSTEM_CONTROL (D1): a routine of its own, so that no other request pays
/// for the question whether it brings new devices.
///
/// # Safety
/// As [`dispatch`], with requests of that major function.
pub(crate) unsafe extern "C" fn dispatch_file_system_control<F: Filter>(
    device: PDEVICE_OBJECT,
    irp: PIRP,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { tell_apart(device, irp, F::file_system_control) }
}

/// What the filter does with a request.
trait Handler<F: Filter>: for<'d> FnOnce(Irp<'d, F>, &mut AtMostApc) -> Disposition<'d> {}

impl<F: Filter, H: for<'d> FnOnce(Irp<'d, F>, &mut AtMostApc) -> Disposition<'d>> Handler<F> for H {}

/// Requests for the control device are told apart first (D2), those of a driver that stays count nothing (P4).
///
/// # Safety
/// As [`dispatch`].
#[inline(always)]
unsafe fn tell_apart<F: Filter>(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    handler: impl Handler<F>,
) -> NTSTATUS {
    // SAFETY: a device of this driver is initialized before requests can reach it.
    let kind = unsafe { kind_of(device) };
    if kind == Kind::Filter {
        // SAFETY: contract of the function; a filter device, by its kind.
        let irp = unsafe { Irp::<F>::from_raw(device, irp) };
        // SAFETY: file-system requests arrive at or below APC_LEVEL (D3, D6).
        return handler(irp, unsafe { AtMostApc::assumed() }).into_status();
    }
    if kind == Kind::CountedFilter {
        // SAFETY: contract of the function; a filter device, by its kind.
        return unsafe { inside(device, irp, handler) };
    }
    // SAFETY: contract of the function.
    unsafe { control::<F>(device, irp) }
}

/// A request for the control device (D2, D3). This routine is inside until it returns (A12): the handle may be closed
/// while a request is here, and completing that lets go of the file object that keeps the driver.
///
/// # Safety
/// As [`dispatch`], with a device that is no filter device.
#[cold]
#[inline(never)]
unsafe fn control<F: Filter>(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: contract of the function.
    let is_control = unsafe { kind_of(device) } == Kind::Control;
    if irql::current() >= irql::DISPATCH {
        // Of another driver: a program's are sent at lower levels, for which they are answered (D3).
        // SAFETY: contract of the function; not touched afterwards.
        return unsafe { irp::complete(irp, Status::INVALID_DEVICE_REQUEST, 0) }.0;
    }
    // In this order: nobody can enter before there is a control device.
    let Some(_inside) = is_control.then(|| DRIVER.enter()).flatten() else {
        // Not opened by a program: the driver goes, or has not come yet.
        let _passing = DRIVER.pass();
        // SAFETY: contract of the function; not touched afterwards.
        return unsafe { irp::complete(irp, Status::DELETE_PENDING, 0) }.0;
    };
    // SAFETY: contract of the function.
    let extension = unsafe { extension_of::<ControlExtension<F>>(device) };
    // SAFETY: initialized when the device was created; the device lives while it is open.
    let extension = unsafe { &*extension };
    // SAFETY: contract of the function.
    let irp = unsafe { ControlIrp::from_raw(&extension.driver, irp) };
    // SAFETY: seen above.
    client::request(irp, unsafe { AtMostApc::assumed() }).into_status()
}

/// A request for a filter device of a driver that may be unloaded: this routine is inside until it
/// returns (A12).
///
/// # Safety
/// As [`dispatch`], with a filter device.
#[inline(never)]
unsafe fn inside<F: Filter>(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    handler: impl Handler<F>,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    let irp = unsafe { Irp::<F>::from_raw(device, irp) };
    // SAFETY: as in `dispatch`.
    let level = unsafe { AtMostApc::assumed() };
    let Some(_inside) = DRIVER.enter() else {
        // The lower driver may wait as long as it likes before it returns.
        let _passing = DRIVER.pass();
        return irp.forward(level).into_status();
    };
    handler(irp, level).into_status()
}
