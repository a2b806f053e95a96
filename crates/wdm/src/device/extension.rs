//! What lies in the extension of this driver's own devices.
//!
//! The I/O manager allocates the extension with the device, zeroed, in nonpaged
//! memory (C4). Both kinds begin with [`Kind`].

#![expect(
    unsafe_code,
    reason = "the extension is raw memory behind the device object"
)]

use super::control::ControlDeviceName;
use crate::driver::{Driver, Filter};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicPtr};
use wdk_sys::DEVICE_OBJECT;

/// Which of the driver's devices this is (D2).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// The named control device.
    Control = u32::from_le_bytes(*b"Ctrl"),
    /// A filter device of a driver that stays.
    Filter = u32::from_le_bytes(*b"Filt"),
    /// A filter device of a driver that may be unloaded: who is inside is counted. Said here, because a
    /// thread may still be about to call the dispatch routine when the device has been deleted, with a
    /// reference to it, and the driver's state is gone then.
    CountedFilter = u32::from_le_bytes(*b"Cntd"),
}

/// Extension of the control device: the driver's own state lives here.
#[repr(C)]
pub(crate) struct ControlExtension<F: Filter> {
    pub(crate) kind: Kind,
    pub(crate) name: ControlDeviceName,
    pub(crate) driver: Driver<F>,
}

/// Extension of a filter device.
#[repr(C)]
pub(crate) struct FilterExtension<F: Filter> {
    pub(crate) kind: Kind,
    /// The control device's state; it outlives every filter device that can be entered.
    pub(crate) driver: *const Driver<F>,
    /// The device below, written by IoAttachDeviceToDeviceStackSafe before a request can
    /// arrive (A3); null before that.
    pub(crate) lower: AtomicPtr<DEVICE_OBJECT>,
    /// Whether the device is in a stack; changed under the attach lock. IoGetLowerDeviceObject
    /// cannot be asked: it finds nothing once the driver is being unloaded.
    pub(crate) attached: AtomicBool,
    /// The filter's own data.
    pub(crate) attachment: MaybeUninit<F::Attachment>,
}

/// The extension of a device. IRQL: any.
///
/// # Safety
/// `device` is a live device object whose extension is a `T`, or has room for one.
pub(crate) unsafe fn extension_of<T>(device: *mut DEVICE_OBJECT) -> *mut T {
    // SAFETY: contract of the function.
    unsafe { (*device).DeviceExtension }.cast()
}

/// The kind of one of our devices. IRQL: any.
///
/// # Safety
/// `device` is a device of this driver whose extension has been initialized.
pub(crate) unsafe fn kind_of(device: *mut DEVICE_OBJECT) -> Kind {
    // SAFETY: contract of the function.
    let extension = unsafe { extension_of::<Kind>(device) };
    // SAFETY: both extensions begin with a `Kind`.
    unsafe { extension.read() }
}
