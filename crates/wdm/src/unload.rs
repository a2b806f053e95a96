//! DriverUnload: no new attachments, out of every stack, wait for what is inside, delete (A12).
//!
//! A request may stay below for as long as a program likes: an oplock, a directory notification, a lock that
//! is waited for. Its completion routine would return into freed code, so nothing is freed before it has come
//! back (C15). Such requests are told of when they are there after a moment: to the debugger, and not in the event
//! log, because an entry refers to the driver object until the log has written it. Where nothing does that,
//! the driver would stay, and could not be loaded again (STATUS_IMAGE_ALREADY_LOADED).
//!
//! What cannot be counted is waited for by the clock:
//!
//! - Who has left still has to do the last instructions of his routine. At DISPATCH_LEVEL, where nothing
//!   displaces a thread but an interrupt, he has done them when each processor has run its DPCs.
//! - A thread that has read a stack before the driver left it is about to call a device of the driver. Nothing
//!   refers to that device, and nobody knows of the thread. When it has come it is counted, and waited for however
//!   long the lower driver keeps it.
//!
//! No clock bounds either: a thread of higher priority keeps one of lower priority from its processor for as long as
//! it runs. Every legacy filter that is unloaded leaves these two to chance; [`LAST_MILLISECONDS`] says how little.
//!
//! Source: "Writing an Unload Routine", "Run-Down Protection", `KeFlushQueuedDpcs`.

#![expect(unsafe_code, reason = "called by the I/O manager")]

use crate::device::{self, ControlDevice};
use crate::driver::filter::Filter;
use crate::driver::stacks;
use crate::driver::state::Driver;
use crate::etw;
use crate::file_systems;
use crate::irql::Passive;
use crate::slot::DRIVER;
use crate::sync;
use wdk_sys::{DEVICE_OBJECT, DRIVER_OBJECT, ntddk};

/// Between two looks, and between two attempts without memory.
const PAUSE_MILLISECONDS: u32 = 50;
/// How many looks before what is still below is told of: one second.
const PATIENCE: u32 = 20;
/// After the last one has left. Threads of the same priority displace a thread for a quantum each: the longest, of
/// servers, is 180 ms. Those of a higher one displace it for as long as they run: Windows lends a thread that has
/// been ready for about four seconds a higher priority, and those of real time still go before it. No wait covers
/// that; this one covers a machine that is not starved.
const LAST_MILLISECONDS: u32 = 500;

/// DriverUnload.
///
/// # Safety
/// The I/O manager calls this once, at PASSIVE_LEVEL, after a successful DriverEntry.
pub(crate) unsafe extern "C" fn unload<F: Filter>(object: *mut DRIVER_OBJECT) {
    // SAFETY: contract of the function.
    let mut level = unsafe { Passive::assume() };
    // SAFETY: registered by a successful DriverEntry.
    unsafe { file_systems::unregister::<F>(object) };
    // SAFETY: the filter of the driver whose routine this is.
    let Some(driver) = (unsafe { DRIVER.get::<F>() }) else {
        return;
    };
    driver.begin_unloading();
    detach_everything(driver, &mut level);
    tell_what_lasts(driver, &mut level);
    // SAFETY: this routine has not entered the driver.
    unsafe { DRIVER.wait(&mut level) };
    // Nobody is left who writes events; its callback may ask, and be woken, until this returns.
    etw::unregister();
    // Whom they have woken has left.
    while DRIVER.is_waking() {
        sync::delay(PAUSE_MILLISECONDS, &mut level);
    }
    // What the first of these waits brings is waited for by the next one.
    loop {
        let before = DRIVER.passages();
        wait_for_last_instructions(&mut level);
        if before.is_some() && before == DRIVER.passages() {
            break;
        }
    }
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
                    unsafe { stacks::detach(device, level) }
                }
            })
        })
    };
    while detached(level).is_err() {
        sync::delay(PAUSE_MILLISECONDS, level);
    }
}

fn tell_what_lasts<F: Filter>(driver: &Driver<F>, level: &mut Passive) {
    for _look in 0..PATIENCE {
        if driver.lasting().next().is_none() {
            return;
        }
        sync::delay(PAUSE_MILLISECONDS, level);
    }
    F::unload_waits(driver, level);
}

/// See the module.
fn wait_for_last_instructions(level: &mut Passive) {
    // SAFETY: PASSIVE_LEVEL, by the token.
    unsafe { ntddk::KeFlushQueuedDpcs() };
    sync::delay(LAST_MILLISECONDS, level);
}

fn delete_filter_devices<F: Filter>(driver: &Driver<F>, level: &mut Passive) {
    loop {
        let deleted = driver.each_filter_device(level, |device, _level| {
            // SAFETY: detached before; nobody is inside, and nobody enters any more.
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
