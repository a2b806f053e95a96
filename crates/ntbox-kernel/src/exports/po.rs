//! `Po`: the power manager's routines.
//!
//! A request for power goes the way of any other since Windows Vista: it is passed on with
//! IoCallDriver, and the power manager is told nothing in between. What filters that are older call for
//! it is here. The box sends no such requests itself, as its volumes do not sleep.
//!
//! Source: `PoCallDriver`, `PoStartNextPowerIrp`, `PoRequestPowerIrp` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::io::requests::call_driver;
use crate::io_manager::power;
use crate::nt::{DEVICE_OBJECT, IRP, IRP_MN_WAIT_WAKE, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES};
use crate::pool::failure;
use crate::processor::irql;
use crate::verifier::{rules, violation};
use std::ffi::c_void;

super::table! {
    caller(2) "PoCallDriver" => call_driver,
    caller(1) "PoStartNextPowerIrp" => start_next_power_irp,
    caller(6) "PoRequestPowerIrp" => request_power_irp,
}

/// `PoStartNextPowerIrp`: does nothing since Windows Vista.
unsafe extern "win64" fn start_next_power_irp(_irp: *mut IRP, caller: usize) {
    irql::require("PoStartNextPowerIrp", caller);
}

/// `PoRequestPowerIrp`.
unsafe extern "win64" fn request_power_irp(
    device: *mut DEVICE_OBJECT,
    minor: u8,
    state: i32,
    completed: Option<power::Completed>,
    context: *mut c_void,
    irp: *mut *mut IRP,
    caller: usize,
) -> NTSTATUS {
    irql::require("PoRequestPowerIrp", caller);
    if !irp.is_null() && u32::from(minor) != IRP_MN_WAIT_WAKE {
        violation(
            &rules::POWER_REQUEST_ASKED,
            format!(
                "PoRequestPowerIrp was asked for the address of a request of minor function {minor}"
            ),
            &[("called at", caller)],
        );
    }
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver's device and routine.
    unsafe { power::request(device, minor, state, completed, context, irp, caller) }
}

#[cfg(test)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a row of calls on local structures"
)]
mod tests {
    use super::*;
    use crate::exports::test_device;
    use crate::io_manager::complete;
    use crate::nt::{
        DISPATCH_LEVEL, IO_STATUS_BLOCK, IRP_MJ_POWER, IRP_MN_SET_POWER, IrpExt,
        STATUS_INVALID_PARAMETER_2, STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS,
    };
    use std::sync::Mutex;

    /// What the device got, and what its completion was told.
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn see(what: String) {
        SEEN.lock().expect("no panic").push(what);
    }

    unsafe extern "win64" fn dispatch(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
        // SAFETY: a dispatch routine gets a live request with its location.
        let location = unsafe { &*irp.current_location() };
        // SAFETY: all parameters of a power request are integers.
        let power = unsafe { location.Parameters.Power };
        // SAFETY: as above.
        let before = unsafe { (*irp).IoStatus.Anonymous.Status };
        assert_eq!(u32::from(location.MajorFunction), IRP_MJ_POWER);
        assert_eq!(
            before, STATUS_NOT_SUPPORTED,
            "who does not know it leaves that"
        );
        see(format!(
            "{} of type {} to {}",
            location.MinorFunction, power.Type, power.State
        ));
        // SAFETY: as above.
        unsafe { start_next_power_irp(irp, 0) };
        // SAFETY: as above.
        unsafe { complete::finish(irp, STATUS_SUCCESS, 0) }
    }

    unsafe extern "win64" fn completed(
        _: *mut DEVICE_OBJECT,
        minor: u8,
        state: i32,
        context: *mut c_void,
        block: *mut IO_STATUS_BLOCK,
    ) {
        // SAFETY: the status of a completed request.
        let status = unsafe { (*block).Anonymous.Status };
        see(format!(
            "{minor} to {state} ended with {status}, context {context:p}"
        ));
    }

    #[test]
    fn a_request_for_power_comes_to_the_top_of_the_stack_and_back() {
        let driver = test_device::driver(r"\Driver\PoTest", dispatch);
        let target = test_device::device(driver, None);
        let live = crate::io_manager::irp::live();
        let ask = |minor| {
            let context = std::ptr::without_provenance_mut(0x10);
            let none = std::ptr::null_mut();
            // SAFETY: the device and the routine are those of this test.
            unsafe { request_power_irp(target, minor, 4, Some(completed), context, none, 0) }
        };
        assert_eq!(ask(IRP_MN_SET_POWER as u8), STATUS_PENDING);
        assert_eq!(
            *SEEN.lock().expect("no panic"),
            ["2 of type 1 to 4", "2 to 4 ended with 0, context 0x10"]
        );
        assert_eq!(ask(0x77), STATUS_INVALID_PARAMETER_2);
        assert_eq!(crate::io_manager::irp::live(), live, "the request is gone");
        // Who waits for a wake-up may cancel that, and wants its address.
        for (minor, accused) in [(IRP_MN_WAIT_WAKE, 0), (IRP_MN_SET_POWER, 1)] {
            let mut request = std::ptr::null_mut();
            let none = std::ptr::null_mut();
            let (_, found) = crate::verifier::capture(|| {
                // SAFETY: the device is that of this test, and nobody is told of the end.
                unsafe {
                    request_power_irp(target, minor as u8, 4, None, none, &raw mut request, 0)
                }
            });
            assert_eq!(found.len(), accused, "minor function {minor}");
        }
        let ((), found) = crate::verifier::capture(|| {
            let _level = irql::raised_to(DISPATCH_LEVEL + 1);
            // SAFETY: nothing is done with it.
            unsafe { start_next_power_irp(std::ptr::null_mut(), 0) };
        });
        assert_eq!(found.len(), 1);
    }
}
