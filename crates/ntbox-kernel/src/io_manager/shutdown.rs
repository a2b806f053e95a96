//! Devices whose drivers want to be told of the shutdown.

#![expect(unsafe_code, reason = "a device is registered by pointer")]

use crate::nt::DEVICE_OBJECT;
use std::sync::{Mutex, PoisonError};

static SHUTDOWN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// `IoRegisterShutdownNotification`.
///
/// # Safety
/// `device` is alive and stays so until it is unregistered.
pub unsafe fn register(device: *mut DEVICE_OBJECT) {
    SHUTDOWN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(device as usize);
}

/// `IoUnregisterShutdownNotification`; also what deleting the device does.
///
/// # Safety
/// None beyond passing a pointer: it is only compared.
pub unsafe fn unregister(device: *mut DEVICE_OBJECT) {
    SHUTDOWN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|known| *known != device as usize);
}

/// The devices that are registered, which are so no more.
pub(super) fn take() -> Vec<usize> {
    std::mem::take(&mut *SHUTDOWN.lock().unwrap_or_else(PoisonError::into_inner))
}
