//! File systems and drivers as a whole.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::driver::{self, Reinitialize};
use crate::io_manager::registration;
use crate::nt::routines::FsNotification;
use crate::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_OBJECT_NAME_COLLISION, STATUS_SUCCESS,
};
use crate::pool::failure;
use crate::processor::given;
use crate::processor::irql;
use std::ffi::c_void;

/// `IoRegisterFsRegistrationChange`.
pub unsafe extern "win64" fn register_fs_registration_change(
    driver: *mut DRIVER_OBJECT,
    routine: FsNotification,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoRegisterFsRegistrationChange", caller);
    given::remember(routine as usize, "IoRegisterFsRegistrationChange", caller);
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver's routine.
    unsafe { registration::register_change(driver, routine) }
}

/// `IoRegisterFsRegistrationChangeMountAware`: `synchronize` keeps mounts out
/// while the routine runs, so that none is missed or seen twice.
pub unsafe extern "win64" fn register_fs_registration_change_mount_aware(
    driver: *mut DRIVER_OBJECT,
    routine: FsNotification,
    synchronize: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoRegisterFsRegistrationChangeMountAware", caller);
    given::remember(
        routine as usize,
        "IoRegisterFsRegistrationChangeMountAware",
        caller,
    );
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver's routine.
    unsafe { registration::register_change_mount_aware(driver, routine, synchronize != 0) }
}

/// `IoUnregisterFsRegistrationChange`.
pub unsafe extern "win64" fn unregister_fs_registration_change(
    driver: *mut DRIVER_OBJECT,
    routine: FsNotification,
    caller: usize,
) {
    irql::require("IoUnregisterFsRegistrationChange", caller);
    // SAFETY: the driver's routine.
    unsafe { registration::unregister_change(driver, routine) }
}

/// `IoRegisterFileSystem`.
pub unsafe extern "win64" fn register_file_system(control: *mut DEVICE_OBJECT, caller: usize) {
    irql::require("IoRegisterFileSystem", caller);
    // SAFETY: the driver's control device.
    unsafe { registration::register_file_system(control) }
}

/// `IoUnregisterFileSystem`.
pub unsafe extern "win64" fn unregister_file_system(control: *mut DEVICE_OBJECT, caller: usize) {
    irql::require("IoUnregisterFileSystem", caller);
    // SAFETY: the driver's control device.
    unsafe { registration::unregister_file_system(control) }
}

/// `IoRegisterDriverReinitialization`, and the boot variant, which differs only
/// in when the system boots.
pub unsafe extern "win64" fn register_driver_reinitialization(
    driver: *mut DRIVER_OBJECT,
    routine: Reinitialize,
    context: *mut c_void,
    caller: usize,
) {
    irql::require("IoRegisterDriverReinitialization", caller);
    given::remember(routine as usize, "IoRegisterDriverReinitialization", caller);
    driver::register_reinitialization(driver, routine, context);
}

/// `IoAllocateDriverObjectExtension`.
pub unsafe extern "win64" fn allocate_driver_object_extension(
    driver: *mut DRIVER_OBJECT,
    identification: *const c_void,
    bytes: u32,
    extension: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoAllocateDriverObjectExtension", caller);
    let (block, status) = if failure::should_fail(caller) {
        (None, STATUS_INSUFFICIENT_RESOURCES)
    } else {
        (
            driver::allocate_extension(driver, identification, bytes),
            STATUS_OBJECT_NAME_COLLISION,
        )
    };
    // SAFETY: the driver's pointer.
    unsafe { extension.write(block.unwrap_or(std::ptr::null_mut())) };
    if block.is_some() {
        STATUS_SUCCESS
    } else {
        status
    }
}

/// `IoGetDriverObjectExtension`.
pub unsafe extern "win64" fn get_driver_object_extension(
    driver: *mut DRIVER_OBJECT,
    identification: *const c_void,
) -> *mut c_void {
    irql::require("IoGetDriverObjectExtension", 0);
    driver::extension(driver, identification)
}
