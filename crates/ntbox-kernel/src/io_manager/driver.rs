//! Driver objects: loading an image, native drivers, what DriverEntry may leave.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "driver objects are shared with drivers by pointer; their code is called natively"
)]

pub use super::settings::SettingValue;
use super::{call, namespace, registration, unload};
use crate::nt::routines::DriverRoutines;
use crate::nt::unicode::OwnedUnicodeString;
use crate::nt::{
    DRIVER_EXTENSION, DRIVER_OBJECT, DRVO_INITIALIZED, DRVO_LEGACY_DRIVER, MAJOR_FUNCTION_COUNT,
    NTSTATUS, Status,
};
use crate::pe_image::{self, Image};
use crate::processor::lifetime;
use crate::processor::object::{self, Kind, Procedures};
use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

const IO_TYPE_DRIVER: i16 = 4;

/// Why a driver was not loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The image could not be mapped or bound.
    Image(pe_image::LoadError),
    /// DriverEntry failed; what it had set up is undone and checked.
    EntryFailed(NTSTATUS),
    /// A driver object of this name exists.
    AlreadyLoaded(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::EntryFailed(status) => write!(f, "DriverEntry returned {}", Status(*status)),
            Self::AlreadyLoaded(name) => write!(f, "the driver {name} is loaded already"),
        }
    }
}

impl std::error::Error for LoadError {}

/// Why a driver was not unloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnloadRefused {
    /// The driver has no DriverUnload routine.
    NoUnloadRoutine,
    /// A device of the driver is open, or another device is attached to it.
    InUse(String),
}

impl fmt::Display for UnloadRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUnloadRoutine => f.write_str("the driver has no DriverUnload routine"),
            Self::InUse(device) => write!(f, "{device} is open or has a device attached to it"),
        }
    }
}

impl std::error::Error for UnloadRefused {}

/// A driver whose image is loaded.
pub struct Loaded {
    pub(super) driver: *mut DRIVER_OBJECT,
    pub(super) image: &'static Image,
    pub(super) service: String,
}

// SAFETY: the driver object is shared kernel state; any thread may hold the pointer.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("service", &self.service)
            .field("driver", &self.driver)
            .finish()
    }
}

impl Loaded {
    /// The driver object.
    pub fn driver(&self) -> *mut DRIVER_OBJECT {
        self.driver
    }
    /// The image.
    pub fn image(&self) -> &'static Image {
        self.image
    }
    /// The name of its service.
    pub fn service(&self) -> &str {
        &self.service
    }
    /// `NtUnloadDriver`: calls DriverUnload, checks what it left, and takes the
    /// image away. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// The driver stays loaded and comes back with the reason.
    pub fn unload(self) -> Result<(), (Self, UnloadRefused)> {
        unload::unload(self)
    }
}

/// What the box keeps about a driver besides its object.
#[derive(Default)]
struct Record {
    image: Option<&'static Image>,
    /// Buffers that the driver object's strings point into.
    #[expect(dead_code, reason = "kept for the pointers into them")]
    strings: Vec<OwnedUnicodeString>,
    /// `IoAllocateDriverObjectExtension`: identification and block.
    extensions: Vec<(usize, usize)>,
    /// `IoRegisterDriverReinitialization`.
    reinitialize: Vec<(Reinitialize, usize)>,
    count: u32,
}

/// `DRIVER_REINITIALIZE`.
pub type Reinitialize = unsafe extern "win64" fn(*mut DRIVER_OBJECT, *mut c_void, u32);

#[derive(Default)]
struct Records {
    order: Vec<usize>,
    by_driver: HashMap<usize, Record>,
}

static RECORDS: LazyLock<Mutex<Records>> = LazyLock::new(Mutex::default);

fn records() -> MutexGuard<'static, Records> {
    RECORDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All drivers, in order of creation.
pub fn drivers() -> Vec<*mut DRIVER_OBJECT> {
    records()
        .order
        .iter()
        .map(|driver| *driver as *mut DRIVER_OBJECT)
        .collect()
}

/// The image of a driver that was loaded from one.
pub fn image_of(driver: *mut DRIVER_OBJECT) -> Option<&'static Image> {
    records()
        .by_driver
        .get(&(driver as usize))
        .and_then(|record| record.image)
}

/// A driver object named `name` with every slot at `IopInvalidDeviceRequest`.
/// `None` if the name is taken.
pub(super) fn create_object(
    name: &str,
    image: Option<&'static Image>,
) -> Option<*mut DRIVER_OBJECT> {
    let bytes = size_of::<DRIVER_OBJECT>() + size_of::<DRIVER_EXTENSION>();
    let object = object::create_with(Kind::Driver, bytes, Some(&PROCEDURES));
    let driver: *mut DRIVER_OBJECT = object.cast();
    let strings = vec![
        OwnedUnicodeString::new(name),
        OwnedUnicodeString::new(r"\REGISTRY\MACHINE\HARDWARE\DESCRIPTION\SYSTEM"),
        OwnedUnicodeString::new(name.rsplit('\\').next().unwrap_or(name)),
    ];
    // SAFETY: the object is zeroed, large enough and new.
    unsafe {
        let extension: *mut DRIVER_EXTENSION = driver.add(1).cast();
        (*driver).Type = IO_TYPE_DRIVER;
        (*driver).Size = size_of::<DRIVER_OBJECT>() as i16;
        (*driver).Flags = DRVO_LEGACY_DRIVER;
        (*driver).DriverExtension = extension;
        (*driver).DriverName = strings[0].as_unicode();
        (*extension).DriverObject = driver;
        (*extension).ServiceKeyName = strings[2].as_unicode();
        for major in 0..MAJOR_FUNCTION_COUNT {
            (*driver).set_dispatch(major as u8, call::invalid_device_request);
        }
        if let Some(image) = image {
            (*driver).DriverStart = image.base() as *mut c_void;
            (*driver).DriverSize = image.size() as u32;
            (*driver).DriverInit =
                std::mem::transmute::<usize, crate::nt::DRIVER_INITIALIZE>(image.entry());
        }
        let hardware = Box::leak(Box::new(strings[1].as_unicode()));
        (*driver).HardwareDatabase = hardware;
        if namespace::insert(name, object).is_err() {
            lifetime::dereference(object);
            return None;
        }
    }
    let mut records = records();
    records.order.push(driver as usize);
    records.by_driver.insert(
        driver as usize,
        Record {
            image,
            strings,
            ..Record::default()
        },
    );
    Some(driver)
}

/// A driver inside the box. `configure` fills in its dispatch routines; the
/// driver lives as long as the process, or until [`delete_native`].
///
/// # Panics
/// If the name is taken or its directory does not exist: the box names its own drivers.
pub fn create_native(name: &str, configure: impl FnOnce(&mut DRIVER_OBJECT)) -> *mut DRIVER_OBJECT {
    let Some(driver) = create_object(name, None) else {
        panic!("the name {name} is taken")
    };
    // SAFETY: the driver object is alive and nothing sends it requests yet.
    unsafe {
        configure(&mut *driver);
        (*driver).Flags |= DRVO_INITIALIZED;
    }
    driver
}

/// Takes a native driver away.
///
/// # Safety
/// All its devices are deleted and nothing refers to it any more.
pub unsafe fn delete_native(driver: *mut DRIVER_OBJECT) {
    // SAFETY: contract.
    unsafe { drop_object(driver) };
}

/// Gives the creation reference and the name up.
///
/// # Safety
/// `driver` is alive and its owner's.
pub(super) unsafe fn drop_object(driver: *mut DRIVER_OBJECT) {
    // SAFETY: contract.
    unsafe {
        if let Some(name) = object::name_of(driver.cast()) {
            let _gone_already = namespace::remove(&name);
        }
        lifetime::dereference(driver.cast());
    }
}

/// What the object manager calls for a driver object.
static PROCEDURES: Procedures = Procedures {
    closed: None,
    left: None,
    delete: |driver| {
        // SAFETY: the body of a driver object whose last reference is gone.
        unsafe { delete_body(driver.cast()) }
    },
};

/// Deletion procedure of a driver object: the last reference is gone.
///
/// # Safety
/// Called by the object manager only.
unsafe fn delete_body(driver: *mut DRIVER_OBJECT) {
    let record = {
        let mut records = records();
        records.order.retain(|known| *known != driver as usize);
        records.by_driver.remove(&(driver as usize))
    };
    for (_, block) in record.map(|record| record.extensions).unwrap_or_default() {
        // SAFETY: extensions come from `allocate_extension` and go with their driver.
        unsafe { crate::pool::free_for_box(block as *mut c_void) };
    }
}

/// `IoRegisterDriverReinitialization`: called after DriverEntry has returned;
/// a routine may register itself again.
pub fn register_reinitialization(
    driver: *mut DRIVER_OBJECT,
    routine: Reinitialize,
    context: *mut c_void,
) {
    if let Some(record) = records().by_driver.get_mut(&(driver as usize)) {
        record.reinitialize.push((routine, context as usize));
    }
}

/// The reinitialization routine to call next, its context and its count.
pub(super) fn next_reinitialization(
    driver: *mut DRIVER_OBJECT,
) -> Option<(Reinitialize, *mut c_void, u32)> {
    let mut records = records();
    let record = records.by_driver.get_mut(&(driver as usize))?;
    if record.reinitialize.is_empty() {
        return None;
    }
    record.count += 1;
    let (routine, context) = record.reinitialize.remove(0);
    Some((routine, context as *mut c_void, record.count))
}

/// `IoAllocateDriverObjectExtension`: `None` if the driver has one with this identification.
pub fn allocate_extension(
    driver: *mut DRIVER_OBJECT,
    identification: *const c_void,
    bytes: u32,
) -> Option<*mut c_void> {
    let mut records = records();
    let record = records.by_driver.get_mut(&(driver as usize))?;
    if record
        .extensions
        .iter()
        .any(|(known, _)| *known == identification as usize)
    {
        return None;
    }
    let block = crate::pool::allocate_for_box(bytes.max(1) as usize);
    record
        .extensions
        .push((identification as usize, block as usize));
    Some(block)
}

/// `IoGetDriverObjectExtension`, null if there is none.
pub fn extension(driver: *mut DRIVER_OBJECT, identification: *const c_void) -> *mut c_void {
    let records = records();
    let Some(record) = records.by_driver.get(&(driver as usize)) else {
        return std::ptr::null_mut();
    };
    let found = record
        .extensions
        .iter()
        .find(|(known, _)| *known == identification as usize);
    found.map_or(std::ptr::null_mut(), |(_, block)| *block as *mut c_void)
}

/// Everything outside of the driver's own memory that refers to it is forgotten.
pub(super) fn forget(driver: *mut DRIVER_OBJECT) {
    registration::forget(driver);
    super::filter_callbacks::forget(driver);
}
