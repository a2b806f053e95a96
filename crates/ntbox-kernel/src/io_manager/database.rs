//! The I/O database: the lock of all lists and stacks of devices, and what a device is called.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "device objects are shared with drivers by pointer"
)]

use crate::nt::DEVICE_OBJECT;
use crate::processor::{object, points};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `DOE_UNLOAD_PENDING`.
pub(super) const UNLOAD_PENDING: u32 = 1;
/// `DOE_DELETE_PENDING`.
pub(super) const DELETE_PENDING: u32 = 2;

static DATABASE: Mutex<()> = Mutex::new(());

/// The lock of every device list and every stack link. No driver code runs under it.
pub(super) fn database() -> MutexGuard<'static, ()> {
    points::point();
    DATABASE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Driver and name of a device, for reports.
///
/// # Safety
/// `device` is alive.
pub unsafe fn describe(device: *const DEVICE_OBJECT) -> String {
    if device.is_null() {
        return "no device".into();
    }
    // SAFETY: contract.
    unsafe {
        let driver = (*device).DriverObject;
        let driver = if driver.is_null() {
            None
        } else {
            object::name_of(driver.cast())
        }
        .unwrap_or_else(|| "a driver".into());
        match object::name_of(device.cast()) {
            Some(name) => format!("{name} ({driver})"),
            None => format!("a device of {driver}"),
        }
    }
}
