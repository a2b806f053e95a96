//! Device objects, as far as scenarios look at them.

use ntbox::io_manager::driver::{self, Loaded};
use ntbox::io_manager::filter_callbacks::{self, Operation};
use ntbox::io_manager::{attachment, device, file, namespace, registration};
use ntbox::nt::{DEVICE_OBJECT, DRIVER_OBJECT, STATUS_SUCCESS, Status};
use ntbox::processor::{handle, lifetime, object};
use ntbox::user::File;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// A device object. It is not referenced: scenarios look at devices that stay while they look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Device(*mut DEVICE_OBJECT);

// SAFETY: a device object may be used from any thread.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    /// # Safety
    /// `device` stays alive while the scenario looks at it.
    pub(crate) const unsafe fn from_raw(device: *mut DEVICE_OBJECT) -> Self {
        Self(device)
    }

    pub(crate) const fn raw(self) -> *mut DEVICE_OBJECT {
        self.0
    }

    /// The device of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let (object, _rest) = namespace::lookup(name).ok()?;
        // SAFETY: the lookup referenced it.
        let kind = unsafe { object::kind_of(object) };
        // SAFETY: gives that reference back; the namespace has another one.
        unsafe { lifetime::dereference(object) };
        (kind == Some(object::Kind::Device)).then_some(Self(object.cast()))
    }

    /// A reference to the device of that name, as a driver has it that has found the device: no file is open.
    #[must_use]
    pub fn kept(name: &str) -> Option<Kept> {
        let (object, _rest) = namespace::lookup(name).ok()?;
        let kept = Kept(Self(object.cast()));
        // SAFETY: the lookup referenced it.
        let kind = unsafe { object::kind_of(object) };
        (kind == Some(object::Kind::Device)).then_some(kept)
    }

    /// Whether its driver has not filled in its extension yet: there is one, and it begins with zeros.
    #[must_use]
    pub fn is_unfinished(self) -> bool {
        // SAFETY: alive, see the type.
        let extension: *const AtomicU32 = unsafe { (*self.0).DeviceExtension }.cast_const().cast();
        // SAFETY: null, or memory of the device that begins with a word that may be written meanwhile.
        let word = unsafe { extension.as_ref() };
        word.is_some_and(|word| word.load(Ordering::Acquire) == 0)
    }

    /// DO_* flags.
    #[must_use]
    pub fn flags(self) -> u32 {
        // SAFETY: alive, see the type.
        unsafe { (*self.0).Flags }
    }

    /// Sets DO_* flags, as the driver that owns the device may.
    pub fn set_flags(self, flags: u32) {
        // SAFETY: as above; nobody else writes them while the scenario looks at the device.
        unsafe { (*self.0).Flags |= flags };
    }

    /// Clears DO_* flags, as [`Device::set_flags`] sets them.
    pub fn clear_flags(self, flags: u32) {
        // SAFETY: as above.
        unsafe { (*self.0).Flags &= !flags };
    }

    /// FILE_* characteristics.
    #[must_use]
    pub fn characteristics(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).Characteristics }
    }

    /// FILE_DEVICE_* type.
    #[must_use]
    pub fn device_type(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).DeviceType }
    }

    /// Stack locations that a request to it needs.
    #[must_use]
    pub fn stack_size(self) -> i8 {
        // SAFETY: as above.
        unsafe { (*self.0).StackSize }
    }

    /// Whether it is one of the driver's.
    #[must_use]
    pub fn belongs_to(self, driver: &Loaded) -> bool {
        self.driver() == driver.driver()
    }

    pub(crate) fn driver(self) -> *mut DRIVER_OBJECT {
        // SAFETY: as above.
        unsafe { (*self.0).DriverObject }
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(self) -> Option<String> {
        // SAFETY: alive, see the type.
        unsafe { object::name_of(self.0.cast()) }
    }

    /// The device below it in its stack.
    #[must_use]
    pub fn lower(self) -> Option<Self> {
        // SAFETY: alive, see the type.
        let lower = unsafe { device::lower(self.0) };
        (!lower.is_null()).then_some(Self(lower))
    }

    /// The top of its stack.
    #[must_use]
    pub fn top(self) -> Self {
        // SAFETY: alive, see the type.
        Self(unsafe { device::top_of_stack(self.0) })
    }

    /// All devices of the driver with that name; none if there is no such driver.
    #[must_use]
    pub fn all_of_named(driver: &str) -> Vec<Self> {
        let Ok((object, _rest)) = namespace::lookup(driver) else {
            return Vec::new();
        };
        // SAFETY: the lookup referenced it.
        let devices = match unsafe { object::kind_of(object) } {
            // SAFETY: as above.
            Some(object::Kind::Driver) => unsafe { device::devices_of(object.cast()) },
            _ => Vec::new(),
        };
        // SAFETY: gives that reference back; the namespace has another one.
        unsafe { lifetime::dereference(object) };
        devices.into_iter().map(Self).collect()
    }

    /// All devices of a driver.
    #[must_use]
    pub fn all_of(driver: &Loaded) -> Vec<Self> {
        // SAFETY: a loaded driver's object is alive.
        let devices = unsafe { device::devices_of(driver.driver()) };
        devices.into_iter().map(Self).collect()
    }

    /// Attaches a device of another filter above it, which is still initializing. There is one in a process.
    ///
    /// # Panics
    /// If nothing can be attached.
    #[must_use]
    pub fn attach_another(self) -> Self {
        let driver = driver::create_native(r"\FileSystem\Another", |_| ());
        let device_type = self.device_type();
        // SAFETY: the driver lives as long as the process.
        let created = unsafe { device::create(driver, 0, None, device_type, 0, false) };
        let Ok(another) = created else {
            panic!("a device without a name can be created")
        };
        let mut below = std::ptr::null_mut();
        // SAFETY: a new device, which lives as long as the process; alive, see the type.
        let status = unsafe { attachment::attach_to_stack_safe(another, self.0, &raw mut below) };
        assert_eq!(status, STATUS_SUCCESS, "{self:?}");
        Self(another)
    }

    /// Registers the file system whose control device this is; it must not be already.
    pub fn register_file_system(self) {
        // SAFETY: alive, see the type.
        unsafe { registration::register_file_system(self.0) }
    }

    /// Unregisters it: filters are told to let go (A4).
    pub fn unregister_file_system(self) {
        // SAFETY: alive, see the type.
        unsafe { registration::unregister_file_system(self.0) }
    }
}

/// A reference to a device, which is given back when this is dropped.
#[derive(Debug)]
pub struct Kept(Device);

impl Kept {
    /// The device.
    #[must_use]
    pub const fn device(&self) -> Device {
        self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: gives back the reference of the lookup.
        unsafe { lifetime::dereference(self.0.raw().cast()) };
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: alive, see the type.
        f.write_str(&unsafe { device::describe(self.0) })
    }
}

/// The file system's device of an open file.
#[must_use]
pub fn device_of(file: &File) -> Device {
    let object = handle::object_of_handle(file.handle())
        .unwrap_or_else(|_| panic!("an open file has an object"));
    // SAFETY: the open handle keeps the file object.
    Device(unsafe { file::base_file_system_device(object.cast()) })
}

/// The stack above `base` and `base` itself, the top first.
#[must_use]
pub fn stack_above(base: Device) -> Vec<Device> {
    let mut stack = vec![base.top()];
    while let Some(lower) = stack.last().and_then(|device| device.lower()) {
        stack.push(lower);
    }
    stack
}

/// Asks the stack of a file about an FsFilter operation, as the memory manager and the cache
/// manager do.
#[must_use]
pub fn ask_about(file: &File, operation: Operation) -> Status {
    let object = handle::object_of_handle(file.handle())
        .unwrap_or_else(|_| panic!("an open file has an object"));
    // SAFETY: the open handle keeps the file object.
    Status(unsafe { filter_callbacks::invoke(object.cast(), operation) })
}
