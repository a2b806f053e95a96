//! This driver's filter devices in the stacks of others: found, and taken out.

#![expect(
    unsafe_code,
    reason = "a device of this driver is told by its extension"
)]

use super::filter::Filter;
use super::state::Driver;
use crate::device::{self, DeviceObject, DeviceReference, FilterDevice, Kind};
use crate::irql::Passive;
use crate::status::Status;

impl<F: Filter> Driver<F> {
    /// Whether it is a filter device of this driver, and is attached: not its control device, which programs
    /// find by name, nor one that was deleted and to which somebody has kept a reference.
    fn is_filter_device(&self, device: &DeviceObject) -> bool {
        if device.driver() != self.object() {
            return false;
        }
        // SAFETY: a device of this driver.
        if let Kind::Control | Kind::Unfinished = unsafe { device::kind_of_any(device.raw()) } {
            return false;
        }
        // SAFETY: a filter device, by its kind; what is asked stays readable as long as the reference.
        unsafe { FilterDevice::<F>::from_raw(device.raw()) }.is_attached()
    }

    /// This driver's filter device in the stack of `device`, if there is one.
    fn find_in_stack(&self, device: &DeviceObject, level: &mut Passive) -> Option<DeviceReference> {
        let mut next = Some(device.top_of_stack(level));
        while let Some(current) = next {
            if self.is_filter_device(&current) {
                return Some(current);
            }
            next = current.lower(level);
        }
        None
    }

    /// Whether a filter device of this driver is anywhere in the stack of `device`.
    #[must_use]
    pub fn filters(&self, device: &DeviceObject, level: &mut Passive) -> bool {
        self.find_in_stack(device, level).is_some()
    }

    /// Calls `body` with this driver's filter device in the stack of `device`, if there is one. It
    /// stays where it is until `body` has returned, which attaches and detaches nothing (A5).
    pub fn with_filter_device<R>(
        &self,
        device: &DeviceObject,
        level: &mut Passive,
        body: impl FnOnce(&FilterDevice<F>) -> R,
    ) -> Option<R> {
        self.attach_lock().with(level, |(), level| {
            let ours = self.find_in_stack(device, level)?;
            // SAFETY: a device of this driver that is in another driver's stack is a filter
            // device; under the attach lock nobody takes it down.
            Some(body(unsafe { FilterDevice::from_raw(ours.raw()) }))
        })
    }

    /// Calls `visit` with each filter device of this driver.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub(crate) fn each_filter_device(
        &self,
        level: &mut Passive,
        mut visit: impl FnMut(&FilterDevice<F>, &mut Passive),
    ) -> Result<usize, Status> {
        // SAFETY: the driver object is alive while the driver is.
        let devices = unsafe { device::DeviceList::of(self.object(), level) }?;
        let mut visited = 0;
        for object in devices.iter() {
            // SAFETY: a device of this driver.
            if let Kind::Control | Kind::Unfinished = unsafe { device::kind_of_any(object.raw()) } {
                continue;
            }
            // SAFETY: a filter device, by its kind; the list holds a reference.
            visit(unsafe { FilterDevice::from_raw(object.raw()) }, level);
            visited += 1;
        }
        Ok(visited)
    }

    /// Takes this driver's filter device out of the stack of `device`, and leaves it to
    /// DriverUnload to delete: requests may still be inside (A7).
    ///
    /// Rests on IoDetachDevice: "The IoDetachDevice routine releases an attachment between the caller's device
    /// object and a lower driver's device object."
    pub fn detach_from(&self, device: &DeviceObject, level: &mut Passive) {
        self.attach_lock().with(level, |(), level| {
            if let Some(ours) = self.find_in_stack(device, level) {
                // SAFETY: found under the attach lock.
                unsafe { self.take_out(&ours, level) }
            }
        });
    }

    /// As [`Driver::detach_from`], but only from the top: IoDetachDevice cuts the stack above the
    /// device that it is given, so that a filter above ours would lose its requests.
    ///
    /// Errors: STATUS_NOT_FOUND if it is not in the stack, STATUS_DEVICE_BUSY if another filter
    /// lies above it.
    pub fn detach_from_top(
        &self,
        device: &DeviceObject,
        level: &mut Passive,
    ) -> Result<(), Status> {
        self.attach_lock().with(level, |(), level| {
            let ours = self.find_in_stack(device, level).ok_or(Status::NOT_FOUND)?;
            if !ours.top_of_stack(level).is(&ours) {
                return Err(Status::DEVICE_BUSY);
            }
            // SAFETY: found under the attach lock.
            unsafe { self.take_out(&ours, level) };
            Ok(())
        })
    }

    /// # Safety
    /// `ours` is in another driver's stack, and the attach lock is held.
    unsafe fn take_out(&self, ours: &DeviceObject, level: &mut Passive) {
        // SAFETY: a device of this driver that is in another driver's stack is a filter device.
        let ours = unsafe { FilterDevice::<F>::from_raw(ours.raw()) };
        // SAFETY: attached, under the attach lock.
        unsafe { detach(ours, level) }
    }
}

/// Takes a filter device out of its stack, and tells the filter. IRQL: PASSIVE_LEVEL.
///
/// # Safety
/// `device` is an attached filter device of this driver, its lower device is alive, and the attach lock is held.
pub(crate) unsafe fn detach<F: Filter>(device: &FilterDevice<F>, level: &mut Passive) {
    // SAFETY: contract of the function.
    unsafe { device::detach(device, level) };
    F::detached(device, level);
}
