//! The control device: the named device that programs open, and the home of the driver's state.
//!
//! Wraps `IoCreateDevice` and `IoCreateSymbolicLink`.

#![expect(
    unsafe_code,
    reason = "the extension is initialized and dropped in place"
)]

use super::extension::{Kind, KindCell, extension_of};
use super::security;
use crate::driver::keeps::Keeps;
use crate::driver::state::Driver;
use crate::etw;
use crate::irql::Passive;
use crate::slot::DRIVER;
use crate::status::Status;
use crate::sync::Mutex;
use crate::unicode;
use crate::unicode::{UnicodeStr, UnicodeString};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use wdk_sys::{
    DEVICE_OBJECT, DO_DEVICE_INITIALIZING, DRIVER_OBJECT, FILE_DEVICE_SECURE_OPEN,
    FILE_DEVICE_UNKNOWN, ntddk,
};

/// The two names of a control device.
struct ControlDeviceName {
    /// The device, such as `\Device\fsglass`.
    device: UnicodeString,
    /// The link through which programs reach it, such as `\DosDevices\fsglass`.
    link: UnicodeString,
}

impl ControlDeviceName {
    /// Errors: those of [`UnicodeString::concat`].
    fn of_service(service: UnicodeStr<'_>) -> Result<Self, Status> {
        Ok(Self {
            device: UnicodeString::concat(&[unicode!(r"\Device\"), service])?,
            link: UnicodeString::concat(&[unicode!(r"\DosDevices\"), service])?,
        })
    }
}

/// Extension of the control device: the driver's own state lives here.
#[repr(C)]
pub(crate) struct ControlExtension<F: Keeps> {
    kind: KindCell,
    name: ControlDeviceName,
    pub(crate) driver: Driver<F>,
}

/// The control device of a driver; dropped, it is taken down again (A11).
pub(crate) struct ControlDevice<F: Keeps> {
    device: *mut DEVICE_OBJECT,
    filter: PhantomData<F>,
}

impl<F: Keeps> ControlDevice<F> {
    /// Creates the device, protects it (A1), and moves the driver's state into its extension.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES, those of IoCreateDevice, of setting its security, of
    /// IoCreateSymbolicLink.
    ///
    /// # Safety
    /// `driver_object` is this driver's, in its DriverEntry, and this is the first control device of it.
    pub(crate) unsafe fn create(
        driver_object: *mut DRIVER_OBJECT,
        service: UnicodeStr<'_>,
        filter: F,
        can_unload: bool,
        level: &mut Passive,
    ) -> Result<Self, Status> {
        const {
            assert!(
                align_of::<ControlExtension<F>>() <= 16,
                "an extension is aligned to 16 bytes"
            )
        };
        let name = ControlDeviceName::of_service(service)?;
        let (attach_lock, mounts_lock) = (Mutex::try_new(())?, Mutex::try_new(())?);
        let mut device = core::ptr::null_mut();
        let mut device_name = name.device.as_str().as_raw();
        // SAFETY: the driver object is ours; the name and the place for the result are valid.
        Status(unsafe {
            ntddk::IoCreateDevice(
                driver_object,
                size_of::<ControlExtension<F>>() as u32,
                &raw mut device_name,
                FILE_DEVICE_UNKNOWN,
                FILE_DEVICE_SECURE_OPEN,
                0,
                &raw mut device,
            )
        })
        .into_result()?;
        let unprotected = Unfinished(device);
        // SAFETY: just created.
        unsafe { security::restrict(device, level) }?;
        let mut link = name.link.as_str().as_raw();
        // SAFETY: both names are valid.
        Status(unsafe { ntddk::IoCreateSymbolicLink(&raw mut link, &raw mut device_name) })
            .into_result()?;
        // SAFETY: the new device has an extension of that size.
        let extension: *mut ControlExtension<F> = unsafe { extension_of(device) };
        let value = ControlExtension {
            kind: KindCell::unfinished(),
            name,
            driver: Driver::new(
                driver_object,
                device,
                filter,
                can_unload,
                attach_lock,
                mounts_lock,
            ),
        };
        // SAFETY: the extension is large enough and aligned, as asserted above.
        unsafe { extension.write(value) };
        // Before anybody takes it for the control device, for which a request enters the driver.
        // SAFETY: written above.
        let driver = unsafe { &(*extension).driver };
        // SAFETY: in DriverEntry, once, and no dispatch routine is set that could be called.
        unsafe { DRIVER.fill(driver) };
        // SAFETY: as above; from now on it is shared.
        unsafe { &(*extension).kind }.finish(Kind::Control);
        let _ = ManuallyDrop::new(unprotected);
        Ok(Self {
            device,
            filter: PhantomData,
        })
    }

    fn extension(&self) -> &ControlExtension<F> {
        // SAFETY: our own device, which lives until `drop`.
        let extension = unsafe { extension_of(self.device) };
        // SAFETY: `create` initialized the extension, and `drop` alone takes it down.
        unsafe { &*extension }
    }

    /// Opens the device for programs and hands it over to the system, where
    /// [`ControlDevice::retake`] finds it again.
    pub(crate) fn publish(self) {
        let device = ManuallyDrop::new(self).device;
        // SAFETY: our own device; the bit is ours to clear, the I/O manager would at return.
        let flags = unsafe { &raw mut (*device).Flags };
        // SAFETY: as above.
        unsafe { *flags &= !DO_DEVICE_INITIALIZING };
    }

    /// Takes the device back in DriverUnload.
    ///
    /// # Safety
    /// `device` is the control device that was published, and it is taken back once.
    pub(crate) const unsafe fn retake(device: *mut DEVICE_OBJECT) -> Self {
        Self {
            device,
            filter: PhantomData,
        }
    }
}

impl<F: Keeps> Drop for ControlDevice<F> {
    fn drop(&mut self) {
        // First of all, while the state is there for a callback that runs.
        etw::unregister();
        DRIVER.empty();
        let mut link = self.extension().name.link.as_str().as_raw();
        // SAFETY: the link was made by `create`; its name lies in the extension until below.
        let _always_success = unsafe { ntddk::IoDeleteSymbolicLink(&raw mut link) };
        // SAFETY: our own device, deleted below.
        let extension: *mut ControlExtension<F> = unsafe { extension_of(self.device) };
        // SAFETY: `create` initialized the extension; it is not used afterwards.
        unsafe { extension.drop_in_place() };
        // SAFETY: created by `create`, deleted once.
        unsafe { ntddk::IoDeleteDevice(self.device) }
    }
}

/// A device whose extension holds nothing yet; dropped, it is deleted.
struct Unfinished(*mut DEVICE_OBJECT);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // SAFETY: just created, and nobody else knows it.
        unsafe { ntddk::IoDeleteDevice(self.0) }
    }
}
