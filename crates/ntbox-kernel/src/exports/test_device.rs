//! Devices of a native driver, for tests of routines that send requests.

#![expect(unsafe_code, reason = "devices are made as drivers make them")]

use crate::io_manager::{device, driver};
use crate::nt::routines::{DispatchRoutine, DriverRoutines};
use crate::nt::{DEVICE_OBJECT, DRIVER_OBJECT, FILE_DEVICE_DISK_FILE_SYSTEM, MAJOR_FUNCTION_COUNT};

/// A driver with one dispatch routine for everything. Its name is free.
pub fn driver(name: &str, dispatch: DispatchRoutine) -> *mut DRIVER_OBJECT {
    driver::create_native(name, |driver| {
        for major in 0..MAJOR_FUNCTION_COUNT {
            driver.set_dispatch(major as u8, dispatch);
        }
    })
}

/// A device of a driver of [`driver`], with a name that is free, or without one.
pub fn device(driver: *mut DRIVER_OBJECT, name: Option<&str>) -> *mut DEVICE_OBJECT {
    let kind = FILE_DEVICE_DISK_FILE_SYSTEM;
    // SAFETY: the driver is alive.
    let created = unsafe { device::create(driver, 0, name, kind, 0, false) };
    let device = created.expect("a free name");
    // SAFETY: as above.
    unsafe { device::finish_initializing(device) };
    device
}
