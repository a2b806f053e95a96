//! DriverUnload: no new attachments, out of every stack, wait for what is inside, delete (A12).
//!
//! A request may stay below for as long as a program likes: an oplock, a
//! directory notification, a lock that is waited for. Its completion routine
//! would return into freed code, so nothing is freed before it has come back.
//! What is still there after a moment is reported, once.
//!
//! Source: "Writing an Unload Routine", `IoSetCompletionRoutineEx`.

#![expect(unsafe_code, reason = "called by the I/O manager")]

use crate::device::{self, ControlDevice};
use crate::driver::{Driver, Filter};
use crate::file_systems;
use crate::irql::Passive;
use crate::sync;
use wdk_sys::{DEVICE_OBJECT, DRIVER_OBJECT};

/// Between two looks, and for a thread that read a stack before the detach and is about to call
/// a dispatch routine.
const PAUSE_MILLISECONDS: u32 = 50;
/// How many looks before what is still below is reported: one second.
const PATIENCE: u32 = 20;

/// DriverUnload.
///
/// # Safety
/// The I/O manager calls this once, at PASSIVE_LEVEL, after a successful DriverEntry.
pub(crate) unsafe extern "C" fn unload<F: Filter>(object: *mut DRIVER_OBJECT) {
    // SAFETY: contract of the function.
    let mut level = unsafe { Passive::assume() };
    // SAFETY: registered by a successful DriverEntry.
    unsafe { file_systems::unregister::<F>(object) };
    let Some(driver) = F::slot().get() else {
        return;
    };
    driver.begin_unloading();
    detach_everything(driver, &mut level);
    sync::delay(PAUSE_MILLISECONDS, &mut level);
    report_what_stays(driver, &mut level);
    delete_filter_devices(driver, &mut level);
    // SAFETY: the filter devices are gone; the one device left is the control device.
    let control: *mut DEVICE_OBJECT = unsafe { (*object).DeviceObject };
    // SAFETY: as above; published by DriverEntry, taken back once.
    drop(unsafe { ControlDevice::<F>::retake(control) });
}

/// Without memory for the list of devices there is no way on and none back: tries until there is.
fn detach_everything<F: Filter>(driver: &Driver<F>, level: &mut Passive) {
    let detached = |level: &mut Passive| {
        driver.attach_lock().with(level, |(), level| {
            driver.each_filter_device(level, |device, level| {
                if device.is_attached() {
                    // SAFETY: attached, under the attach lock.
                    unsafe { device::detach(device, level) }
                }
            })
        })
    };
    while detached(level).is_err() {
        sync::delay(PAUSE_MILLISECONDS, level);
    }
}

fn report_what_stays<F: Filter>(driver: &Driver<F>, level: &mut Passive) {
    for look in 0..=PATIENCE {
        let mut busy = false;
        let looked = driver.each_filter_device(level, |device, level| {
            if device.in_flight().is_empty() {
                return;
            }
            busy = true;
            if look == PATIENCE {
                F::unload_waits(device, level);
            }
        });
        if looked.is_ok() && !busy {
            return;
        }
        sync::delay(PAUSE_MILLISECONDS, level);
    }
}

fn delete_filter_devices<F: Filter>(driver: &Driver<F>, level: &mut Passive) {
    loop {
        let deleted = driver.each_filter_device(level, |device, level| {
            // SAFETY: this routine is inside no device.
            unsafe { device.wait_until_unused(level) };
            // SAFETY: detached before, and unused now.
            unsafe { device::delete::<F>(device.object().raw()) };
        });
        if deleted == Ok(0) {
            return;
        }
        if deleted.is_err() {
            sync::delay(PAUSE_MILLISECONDS, level);
        }
    }
}
