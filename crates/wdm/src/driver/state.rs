//! The state of a loaded driver.

#![expect(unsafe_code, reason = "the driver object is the I/O manager's")]

use super::keeps::{Exactly, Keeps};
use crate::device::object::DeviceObject;
use crate::event_log;
use crate::irql::Passive;
use crate::mounts;
use crate::status::Status;
use crate::sync::Mutex;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};
use wdk_sys::{DEVICE_OBJECT, DRIVER_OBJECT};

/// The state of a loaded driver. It lives in the extension of its control device.
pub struct Driver<F: Keeps> {
    object: *mut DRIVER_OBJECT,
    /// The device in whose extension this lies.
    control_device: *mut DEVICE_OBJECT,
    can_unload: bool,
    unloading: AtomicBool,
    attach_lock: Mutex<()>,
    /// Held by who waits for mounts.
    mounts_lock: Mutex<()>,
    filter: F,
    exactly: Exactly<F>,
}

// SAFETY: the driver object may be used from any thread; the rest is Sync. It is made by the thread of
// DriverEntry and dropped by that of DriverUnload, and the filter is Send.
unsafe impl<F: Keeps> Sync for Driver<F> {}

impl<F: Keeps> Driver<F> {
    pub(crate) const fn new(
        object: *mut DRIVER_OBJECT,
        control_device: *mut DEVICE_OBJECT,
        filter: F,
        can_unload: bool,
        attach_lock: Mutex<()>,
        mounts_lock: Mutex<()>,
    ) -> Self {
        let unloading = AtomicBool::new(false);
        Self {
            object,
            control_device,
            can_unload,
            unloading,
            attach_lock,
            mounts_lock,
            filter,
            exactly: PhantomData,
        }
    }

    pub(crate) const fn object(&self) -> *mut DRIVER_OBJECT {
        self.object
    }

    pub(crate) const fn control_device(&self) -> *mut DEVICE_OBJECT {
        self.control_device
    }

    /// Whether DriverUnload exists; decides what each request costs (C15). IRQL: any.
    pub(crate) const fn can_unload(&self) -> bool {
        self.can_unload
    }

    /// Serializes attaching, detaching and looking for what is attached (A5).
    pub(crate) const fn attach_lock(&self) -> &Mutex<()> {
        &self.attach_lock
    }

    /// The filter's own state. IRQL: any.
    #[must_use]
    pub const fn filter(&self) -> &F {
        &self.filter
    }

    /// Whether DriverUnload has begun: nothing new is attached then (A12). IRQL: any.
    #[must_use]
    pub fn is_unloading(&self) -> bool {
        self.unloading.load(Ordering::Acquire)
    }

    pub(crate) fn begin_unloading(&self) {
        self.unloading.store(true, Ordering::Release);
    }

    /// Where the driver's entries of the event log come from. IRQL: any.
    #[must_use]
    pub const fn event_log(&self) -> event_log::Source<'_> {
        // SAFETY: the driver object outlives the driver's state.
        unsafe { event_log::Source::new(self.object) }
    }

    /// Returns when every mount that had begun has ended. What attached to the control device of a
    /// file system before this sees each later one (A5). One thread at a time waits: the I/O manager knows a
    /// registration by its routine, and refuses the same one with STATUS_DEVICE_ALREADY_ATTACHED. Not to be called
    /// where it tells of a file system, because it holds what this waits for.
    ///
    /// Errors: those of IoRegisterFsRegistrationChangeMountAware.
    ///
    /// Rests on IoRegisterFsRegistrationChangeMountAware: "This notification routine is called whenever a file
    /// system registers or unregisters itself as an active file system."
    pub fn wait_for_mounts(&self, level: &mut Passive) -> Result<(), Status> {
        self.mounts_lock.with(level, |(), level| {
            // SAFETY: this is the driver's object, and the lock admits one thread.
            unsafe { mounts::wait(self.object, level) }
        })
    }

    /// Whether `device` is one of this driver's. IRQL: any.
    #[must_use]
    pub fn owns(&self, device: &DeviceObject) -> bool {
        device.driver() == self.object
    }
}
