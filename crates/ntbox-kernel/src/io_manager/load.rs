//! Loading a driver: from its image to the end of DriverEntry.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the driver's code is called natively"
)]

use super::driver::{LoadError, Loaded, SettingValue, create_object, next_reinitialization};
use super::{call, checks, description, device, settings, slots, unload};
use crate::nt::routines::{DriverEntry, DriverRoutines};
use crate::nt::{
    DRIVER_OBJECT, DRVO_INITIALIZED, MAJOR_FUNCTION_COUNT, NTSTATUS, PASSIVE_LEVEL, Status,
    UNICODE_STRING,
};
use crate::pe_image;
use crate::pool;
use crate::processor::driver_code::entering;
use crate::processor::irql;
use crate::processor::thread::Regions;
use crate::verifier::{self, rules};
use std::path::Path;

/// `NtLoadDriver`: maps the image, gives the service its registry key, and calls
/// DriverEntry at PASSIVE_LEVEL. Settings are values of its `Parameters` key, or of itself where a `\\` is in
/// front of the name. The driver object is `\FileSystem\<service>`,
/// as for every file-system (filter) driver. `resolve` has the addresses of the
/// routines that the image imports, by their DLL and name.
///
/// # Errors
/// The image could not be loaded, or DriverEntry failed.
pub fn load(
    path: &Path,
    service: &str,
    settings: &[(String, SettingValue)],
    resolve: &dyn Fn(&str, &str) -> Option<usize>,
) -> Result<Loaded, LoadError> {
    verifier::tell_requests(description::of_live, description::of_freed);
    verifier::tell_slots(slots::slot_of);
    let image = pe_image::load(path, resolve).map_err(LoadError::Image)?;
    check_code_integrity(image);
    image.protect(verifier::options::pages_out());
    let name = format!(r"\FileSystem\{service}");
    let Some(driver) = create_object(&name, Some(image)) else {
        image.unload();
        return Err(LoadError::AlreadyLoaded(name));
    };
    let key = settings::service_path(service);
    settings::set(&key, "Type", SettingValue::Dword(2));
    settings::set(&key, "Start", SettingValue::Dword(3));
    settings::set(&key, "ErrorControl", SettingValue::Dword(1));
    settings::set(
        &key,
        "ImagePath",
        SettingValue::Text(path.display().to_string()),
    );
    settings::create_key(&format!(r"{key}\Parameters"));
    for (name, value) in settings {
        let (key, name) = settings::place(&key, name);
        settings::set(&key, name, value.clone());
    }
    let loaded = Loaded {
        driver,
        image,
        service: service.to_owned(),
    };
    // SAFETY: the image is mapped and bound, the driver object is complete.
    let status = unsafe { enter(&loaded, &key) };
    if !Status(status).is_success() {
        unload::undo_failed_entry(loaded);
        return Err(LoadError::EntryFailed(status));
    }
    image.discard_init();
    // SAFETY: DriverEntry has succeeded; the driver object is alive.
    unsafe { entered(driver) };
    Ok(loaded)
}

/// Reports what a Windows would refuse to load that protects the integrity of code.
fn check_code_integrity(image: &pe_image::Image) {
    let report = |rule, what: String| {
        let message = format!("{} {what}", image.path().display());
        checks::report(rule, message, std::ptr::null_mut(), vec![]);
    };
    for name in image.writable_code() {
        let what = format!("has the section {name}, which can be written and executed");
        report(&rules::WRITABLE_CODE, what);
    }
    if let Some(name) = image.executable_imports() {
        let what = format!("has its import address table in {name}, which can be executed");
        report(&rules::EXECUTABLE_IMPORTS, what);
    }
}

/// Calls DriverEntry, with a path to `key` that is gone when it returns, as is the string of it.
///
/// # Safety
/// The image of `loaded` is mapped and bound.
unsafe fn enter(loaded: &Loaded, key: &str) -> NTSTATUS {
    let units: Vec<u16> = key.encode_utf16().collect();
    let bytes = size_of_val(units.as_slice());
    let head = size_of::<UNICODE_STRING>();
    let block = pool::allocate_for_box_as(head + bytes, "the registry path of DriverEntry");
    let path: *mut UNICODE_STRING = block.cast();
    let buffer: *mut u16 = block.wrapping_byte_add(head).cast();
    // SAFETY: the block has room behind the string for the units.
    unsafe { std::ptr::copy_nonoverlapping(units.as_ptr(), buffer, units.len()) };
    // SAFETY: the block begins with the string.
    unsafe {
        path.write(UNICODE_STRING {
            Length: bytes as u16,
            MaximumLength: bytes as u16,
            Buffer: buffer,
        });
    }
    // SAFETY: contract; the entry point of a driver image is its DriverEntry.
    let entry = unsafe { std::mem::transmute::<usize, DriverEntry>(loaded.image.entry()) };
    // SAFETY: contract.
    let status = unsafe { entering(entry)(loaded.driver, path) };
    // SAFETY: allocated above, and the system's.
    unsafe { pool::free_for_box_at(block, 0) };
    let level = irql::current();
    if level != PASSIVE_LEVEL {
        checks::report(
            &rules::IRQL_CHANGED_BY_DISPATCH,
            format!("DriverEntry of {} returned at IRQL {level}", loaded.service),
            std::ptr::null_mut(),
            vec![("DriverEntry", loaded.image.entry())],
        );
        irql::restore(PASSIVE_LEVEL);
    }
    let regions = Regions::default();
    checks::same_regions(
        regions,
        "DriverEntry",
        loaded.image.entry(),
        std::ptr::null_mut(),
    );
    status
}

/// What the I/O manager does after a successful DriverEntry (`IopReadyDeviceObjects`,
/// then the reinitialization routines).
///
/// # Safety
/// `driver` is alive.
unsafe fn entered(driver: *mut DRIVER_OBJECT) {
    // SAFETY: contract.
    unsafe {
        for slot in 0..MAJOR_FUNCTION_COUNT {
            if (*driver).dispatch(slot as u8).is_none() {
                (*driver).set_dispatch(slot as u8, call::invalid_device_request);
            }
        }
        (*driver).Flags |= DRVO_INITIALIZED;
        for device in device::devices_of(driver) {
            device::finish_initializing(device);
        }
    }
    while let Some((routine, context, count)) = next_reinitialization(driver) {
        // SAFETY: the driver registered the routine for itself.
        unsafe { entering(routine)(driver, context, count) };
    }
}
