//! Filter devices: created like their target, attached above it, detached, deleted.
//!
//! Wraps `IoCreateDevice`, `IoAttachDeviceToDeviceStackSafe`, `IoDetachDevice`
//! and `IoDeleteDevice`.

#![expect(unsafe_code, reason = "the extension is initialized and read in place")]

use super::extension::{Kind, KindCell, extension_of, kind_of};
use super::object::DeviceObject;
use crate::driver::keeps::{Exactly, Keeps};
use crate::driver::state::Driver;
use crate::irql::Passive;
use crate::status::Status;
use crate::sync;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use wdk_sys::{
    DEVICE_OBJECT, DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO, DO_SUPPORTS_TRANSACTIONS,
    FILE_DEVICE_SECURE_OPEN, ntddk,
};

/// Extension of a filter device.
#[repr(C)]
struct FilterExtension<F: Keeps> {
    kind: KindCell,
    /// The control device's state; it outlives every filter device that can be entered.
    driver: *const Driver<F>,
    /// The device below, written by IoAttachDeviceToDeviceStackSafe before a request can
    /// arrive (A3); null before that.
    lower: AtomicPtr<DEVICE_OBJECT>,
    /// Whether the device is in a stack; changed under the attach lock. IoGetLowerDeviceObject
    /// cannot be asked: it finds nothing once the driver is being unloaded.
    attached: AtomicBool,
    /// The filter's own data.
    attachment: MaybeUninit<F::Attachment>,
}

/// One of this driver's filter devices.
#[repr(transparent)]
pub struct FilterDevice<F: Keeps> {
    object: DeviceObject,
    filter: Exactly<F>,
}

impl<F: Keeps> FilterDevice<F> {
    /// # Safety
    /// `raw` is a filter device of this driver that outlives `'a`.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut DEVICE_OBJECT) -> &'a Self {
        // SAFETY: contract of the function; the type is transparent over the structure.
        unsafe { &*raw.cast() }
    }

    /// No reference to the whole: another thread, with nothing but a reference to the device, may ask whether it
    /// is attached while its attachment is dropped.
    fn extension(&self) -> *mut FilterExtension<F> {
        // SAFETY: a filter device has this extension.
        unsafe { extension_of(self.object.raw()) }
    }

    fn attached(&self) -> &AtomicBool {
        let extension = self.extension();
        // SAFETY: initialized before the device was attached, and of the same lifetime.
        unsafe { &(*extension).attached }
    }

    /// The driver that this device belongs to. IRQL: any.
    #[must_use]
    pub fn driver(&self) -> &Driver<F> {
        // SAFETY: the control device, whose extension holds the driver's state, is deleted
        // when no filter device can be entered any more.
        unsafe { &*self.driver_ptr() }
    }

    /// [`FilterDevice::driver`], for who knows how long it stays. IRQL: any.
    pub(crate) fn driver_ptr(&self) -> *const Driver<F> {
        let extension = self.extension();
        // SAFETY: initialized before the device was attached, and not changed any more.
        unsafe { (*extension).driver }
    }

    /// What the filter stored when it attached. IRQL: any.
    #[must_use]
    pub fn attachment(&self) -> &F::Attachment {
        let extension = self.extension();
        // SAFETY: initialized before the device was attached, dropped when it is deleted.
        let attachment = unsafe { &(*extension).attachment };
        // SAFETY: as above.
        unsafe { attachment.assume_init_ref() }
    }

    /// The device below. IRQL: any.
    ///
    /// # Safety
    /// This one is attached above it, or has a request or a call of fast I/O in it: the device below is not
    /// deleted meanwhile.
    pub(crate) unsafe fn lower(&self) -> &DeviceObject {
        let extension = self.extension();
        // SAFETY: initialized before the device was attached, and of the same lifetime.
        let lower = unsafe { &(*extension).lower }.load(Ordering::Relaxed);
        // SAFETY: written before the first request can arrive (A3), and alive by contract.
        unsafe { DeviceObject::from_raw(lower) }
    }

    /// The device object itself.
    #[must_use]
    pub fn object(&self) -> &DeviceObject {
        &self.object
    }

    /// Whether the device is in a stack. Stable under the driver's attach lock. IRQL: any.
    pub(crate) fn is_attached(&self) -> bool {
        self.attached().load(Ordering::Relaxed)
    }

    /// Whether the driver may be unloaded: then each use of the device is counted. IRQL: any.
    pub(crate) fn is_counted(&self) -> bool {
        // SAFETY: invariant of the type.
        unsafe { kind_of(self.object.raw()) == Kind::CountedFilter }
    }
}

impl<F: Keeps> Deref for FilterDevice<F> {
    type Target = DeviceObject;
    fn deref(&self) -> &DeviceObject {
        &self.object
    }
}

/// A filter device that is not attached yet; dropped, it is deleted again (A11).
struct Detached<F: Keeps>(*mut DEVICE_OBJECT, PhantomData<F>);

impl<F: Keeps> Drop for Detached<F> {
    fn drop(&mut self) {
        // SAFETY: created by `create`, never attached, and nobody else knows it.
        unsafe { delete::<F>(self.0) }
    }
}

/// Creates an unnamed filter device like `target` (A1, A2).
fn create<F: Keeps>(
    driver: &Driver<F>,
    target: &DeviceObject,
    attachment: F::Attachment,
    _level: &mut Passive,
) -> Result<Detached<F>, Status> {
    const {
        assert!(
            align_of::<FilterExtension<F>>() <= 16,
            "an extension is aligned to 16 bytes"
        )
    };
    let mut device = core::ptr::null_mut();
    // SAFETY: the driver object is ours; no name; a place for the result.
    Status(unsafe {
        ntddk::IoCreateDevice(
            driver.object(),
            size_of::<FilterExtension<F>>() as u32,
            core::ptr::null_mut(),
            target.device_type(),
            target.characteristics() & FILE_DEVICE_SECURE_OPEN,
            0,
            &raw mut device,
        )
    })
    .into_result()?;
    // SAFETY: the new device has an extension of that size.
    let extension: *mut FilterExtension<F> = unsafe { extension_of(device) };
    let value = FilterExtension {
        kind: KindCell::unfinished(),
        driver: core::ptr::from_ref(driver),
        lower: AtomicPtr::new(core::ptr::null_mut()),
        attached: AtomicBool::new(false),
        attachment: MaybeUninit::new(attachment),
    };
    // SAFETY: the extension is large enough and aligned, as asserted above.
    unsafe { extension.write(value) };
    let kind = if driver.can_unload() {
        Kind::CountedFilter
    } else {
        Kind::Filter
    };
    // SAFETY: as above; from now on it is shared.
    unsafe { &(*extension).kind }.finish(kind);
    Ok(Detached(device, PhantomData))
}

/// Creates a filter device and attaches it on top of the stack of `target`: whether it did.
///
/// `claim` decides, under the driver's attach lock, whether the target is to be filtered at all,
/// and gives what is kept with the device; it sees every earlier attachment (A5).
///
/// Errors: the status of IoCreateDevice or IoAttachDeviceToDeviceStackSafe, which refuses a stack
/// whose top is still initializing with STATUS_NO_SUCH_DEVICE; STATUS_INVALID_DEVICE_REQUEST for a device that is no
/// file system's. Requests for others may come at DISPATCH_LEVEL (D3), and Plug and Play may take them away without
/// FastIoDetachDevice.
///
/// Rests on IoAttachDeviceToDeviceStackSafe: "The IoAttachDeviceToDeviceStackSafe routine attaches the caller's
/// device object to the topmost device object in a driver stack."
pub fn attach_at_once<F: Keeps>(
    driver: &Driver<F>,
    target: &DeviceObject,
    level: &mut Passive,
    claim: impl FnOnce(&mut Passive) -> Option<F::Attachment>,
) -> Result<bool, Status> {
    if !target.is_of_a_file_system() {
        return Err(Status::INVALID_DEVICE_REQUEST);
    }
    driver.attach_lock().with(level, |(), level| {
        // Under the lock under which DriverUnload leaves every stack (A12).
        if driver.is_unloading() {
            return Ok(false);
        }
        let Some(attachment) = claim(level) else {
            return Ok(false);
        };
        create(driver, target, attachment, level)?.attach_to(target, level)?;
        Ok(true)
    })
}

/// As [`attach_at_once`], and where the top of the stack is still initializing, the target or
/// another filter that attaches at the same time, it is tried again for up to four seconds (A3), each time under the
/// lock (A5).
pub fn attach<F: Keeps>(
    driver: &Driver<F>,
    target: &DeviceObject,
    level: &mut Passive,
    mut claim: impl FnMut(&mut Passive) -> Option<F::Attachment>,
) -> Result<bool, Status> {
    const ATTEMPTS: u32 = 80;
    const PAUSE_MILLISECONDS: u32 = 50;
    for attempt in 1.. {
        match attach_at_once(driver, target, level, &mut claim) {
            Err(Status::NO_SUCH_DEVICE)
                if attempt < ATTEMPTS
                    && target.top_of_stack(level).flags() & DO_DEVICE_INITIALIZING != 0 =>
            {
                sync::delay(PAUSE_MILLISECONDS, level);
            }
            other => return other,
        }
    }
    Err(Status::NO_SUCH_DEVICE)
}

impl<F: Keeps> Detached<F> {
    fn attach_to(self, target: &DeviceObject, level: &mut Passive) -> Result<(), Status> {
        const COPIED: u32 = DO_BUFFERED_IO | DO_DIRECT_IO | DO_SUPPORTS_TRANSACTIONS;
        // The I/O manager builds requests for the topmost device as its flags say, so they are
        // those of the device right below before the first request can arrive (A2).
        let below = target.top_of_stack(level).flags() & COPIED;
        // SAFETY: our own device, which nobody else uses before it is attached.
        let flags = unsafe { &raw mut (*self.0).Flags };
        // SAFETY: as above.
        unsafe { *flags |= below };
        // SAFETY: as above.
        let extension: *mut FilterExtension<F> = unsafe { extension_of(self.0) };
        // SAFETY: the extension was initialized by `create`.
        let lower = unsafe { (*extension).lower.as_ptr() };
        // SAFETY: both devices are live; the DDI stores the lower device before it links ours
        // into the stack, so no request can arrive before it is there (A3).
        Status(unsafe { ntddk::IoAttachDeviceToDeviceStackSafe(self.0, target.raw(), lower) })
            .into_result()?;
        // From here on the device belongs to the stack; `delete` alone ends it.
        let device = ManuallyDrop::new(self).0;
        // SAFETY: just attached; it is not deleted while the attach lock is held.
        let device = unsafe { FilterDevice::<F>::from_raw(device) };
        device.attached().store(true, Ordering::Relaxed);
        // SAFETY: requests may read the flags now; this thread alone writes them.
        unsafe { *flags &= !DO_DEVICE_INITIALIZING };
        Ok(())
    }
}

/// Takes a filter device out of its stack. IRQL: PASSIVE_LEVEL.
///
/// # Safety
/// `device` is an attached filter device of this driver, and its lower device is alive.
pub(crate) unsafe fn detach<F: Keeps>(device: &FilterDevice<F>, _level: &mut Passive) {
    device.attached().store(false, Ordering::Relaxed);
    // SAFETY: contract of the function.
    let lower = unsafe { device.lower() };
    // SAFETY: contract of the function.
    unsafe { ntddk::IoDetachDevice(lower.raw()) };
}

/// Drops the filter's data and deletes the device. IRQL: PASSIVE_LEVEL.
///
/// # Safety
/// `device` is a filter device of this driver, is not attached any more, and nobody will enter
/// it. Who is inside, with a reference, does nothing but leave.
pub(crate) unsafe fn delete<F: Keeps>(device: *mut DEVICE_OBJECT) {
    // SAFETY: contract of the function.
    let extension: *mut FilterExtension<F> = unsafe { extension_of(device) };
    // SAFETY: the extension was initialized when the device was created.
    let attachment = unsafe { &raw mut (*extension).attachment };
    // SAFETY: initialized, and not used afterwards.
    unsafe { attachment.cast::<F::Attachment>().drop_in_place() };
    // SAFETY: contract of the function.
    unsafe { ntddk::IoDeleteDevice(device) }
}
