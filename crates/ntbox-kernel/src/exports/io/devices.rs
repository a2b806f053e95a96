//! Device objects and their stacks.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::{device, device_checks, lookup, mount, references, shutdown};
use crate::nt::{
    DEVICE_OBJECT, DO_SHUTDOWN_REGISTERED, DRIVER_OBJECT, FILE_OBJECT, Kirql, NTSTATUS,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, UNICODE_STRING, unicode,
};
use crate::pool::failure;
use crate::processor::irql;
use crate::processor::lifetime;
use windows_sys::Win32::Storage::FileSystem::FILE_READ_ATTRIBUTES;

/// `IoCreateDevice`.
pub unsafe extern "win64" fn create_device(
    driver: *mut DRIVER_OBJECT,
    extension_bytes: u32,
    name: *const UNICODE_STRING,
    device_type: u32,
    characteristics: u32,
    exclusive: u8,
    created: *mut *mut DEVICE_OBJECT,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoCreateDevice", caller);
    // SAFETY: the driver's pointer.
    unsafe { created.write(std::ptr::null_mut()) };
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: null or the driver's string.
    let name = (!name.is_null()).then(|| unsafe { unicode::to_string(name) });
    // SAFETY: the driver passes its own driver object.
    let result = unsafe {
        device::create(
            driver,
            extension_bytes,
            name.as_deref(),
            device_type,
            characteristics,
            exclusive != 0,
        )
    };
    match result {
        Ok(device) => {
            // SAFETY: the driver's pointer.
            unsafe { created.write(device) };
            device_checks::created(device, caller);
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// `IoDeleteDevice`.
pub unsafe extern "win64" fn delete_device(device: *mut DEVICE_OBJECT, caller: usize) {
    irql::require("IoDeleteDevice", caller);
    // SAFETY: the driver's device.
    unsafe { device::delete(device, caller) }
}

/// Attaches for `caller`, which is remembered.
///
/// # Safety
/// As [`device::attach_to_stack_safe`].
unsafe fn attach(
    source: *mut DEVICE_OBJECT,
    target: *mut DEVICE_OBJECT,
    attached: *mut *mut DEVICE_OBJECT,
    caller: usize,
) -> NTSTATUS {
    // SAFETY: contract.
    let status = unsafe { device::attach_to_stack_safe(source, target, attached) };
    if status == STATUS_SUCCESS {
        device_checks::attached(source, caller);
    }
    status
}

/// `IoAttachDevice`: attaches to the stack of the named device.
pub unsafe extern "win64" fn attach_device(
    source: *mut DEVICE_OBJECT,
    name: *const UNICODE_STRING,
    attached: *mut *mut DEVICE_OBJECT,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoAttachDevice", caller);
    if let Some(status) = failure::refuses(failure::Kind::Attach) {
        return status;
    }
    // SAFETY: the driver's string.
    let name = unsafe { unicode::to_string(name) };
    match lookup::device_pointer(&name, FILE_READ_ATTRIBUTES) {
        Ok((file, target)) => {
            // SAFETY: the file object keeps the target until it is given back.
            let status = unsafe { attach(source, target, attached, caller) };
            // SAFETY: the reference that the lookup gave out.
            unsafe { lifetime::dereference(file.cast()) };
            status
        }
        Err(status) => status,
    }
}

/// `IoAttachDeviceByPointer` (obsolete; returns a status only).
pub unsafe extern "win64" fn attach_device_by_pointer(
    source: *mut DEVICE_OBJECT,
    target: *mut DEVICE_OBJECT,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoAttachDeviceByPointer", caller);
    if let Some(status) = failure::refuses(failure::Kind::Attach) {
        return status;
    }
    let mut attached = std::ptr::null_mut();
    // SAFETY: the driver passes live devices.
    unsafe { attach(source, target, &raw mut attached, caller) }
}

/// `IoAttachDeviceToDeviceStack`: the device attached to, or null.
pub unsafe extern "win64" fn attach_device_to_device_stack(
    source: *mut DEVICE_OBJECT,
    target: *mut DEVICE_OBJECT,
    caller: usize,
) -> *mut DEVICE_OBJECT {
    irql::require("IoAttachDeviceToDeviceStack", caller);
    if failure::refuses(failure::Kind::Attach).is_some() {
        return std::ptr::null_mut();
    }
    let mut attached = std::ptr::null_mut();
    // SAFETY: the driver passes live devices; the result stays null on failure.
    unsafe { attach(source, target, &raw mut attached, caller) };
    attached
}

/// `IoAttachDeviceToDeviceStackSafe`.
pub unsafe extern "win64" fn attach_device_to_device_stack_safe(
    source: *mut DEVICE_OBJECT,
    target: *mut DEVICE_OBJECT,
    attached: *mut *mut DEVICE_OBJECT,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoAttachDeviceToDeviceStackSafe", caller);
    if let Some(status) = failure::refuses(failure::Kind::Attach) {
        return status;
    }
    // SAFETY: the driver passes live devices and its own pointer.
    unsafe { attach(source, target, attached, caller) }
}

/// `IoDetachDevice`.
pub unsafe extern "win64" fn detach_device(target: *mut DEVICE_OBJECT, caller: usize) {
    irql::require("IoDetachDevice", caller);
    // SAFETY: the driver passes the device it is attached to.
    unsafe { device::detach(target, caller) }
}

/// `IoGetAttachedDevice`.
pub unsafe extern "win64" fn get_attached_device(device: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
    irql::require("IoGetAttachedDevice", 0);
    // SAFETY: the driver passes a live device.
    unsafe { device::top_of_stack(device) }
}

/// `IoGetAttachedDeviceReference`.
pub unsafe extern "win64" fn get_attached_device_reference(
    device: *mut DEVICE_OBJECT,
    caller: usize,
) -> *mut DEVICE_OBJECT {
    irql::require("IoGetAttachedDeviceReference", caller);
    // SAFETY: the driver passes a live device.
    let top = unsafe { device::reference_top_of_stack(device) };
    // SAFETY: it was just referenced, or is null.
    unsafe { references::taken(top.cast(), caller) };
    top
}

/// `IoGetLowerDeviceObject`.
pub unsafe extern "win64" fn get_lower_device_object(
    device: *mut DEVICE_OBJECT,
    caller: usize,
) -> *mut DEVICE_OBJECT {
    irql::require("IoGetLowerDeviceObject", caller);
    // SAFETY: the driver passes a live device.
    let lower = unsafe { device::reference_lower(device) };
    // SAFETY: it was just referenced, or is null.
    unsafe { references::taken(lower.cast(), caller) };
    lower
}

/// `IoGetDeviceAttachmentBaseRef`.
pub unsafe extern "win64" fn get_device_attachment_base_ref(
    device: *mut DEVICE_OBJECT,
    caller: usize,
) -> *mut DEVICE_OBJECT {
    irql::require("IoGetDeviceAttachmentBaseRef", caller);
    // SAFETY: the driver passes a live device.
    let base = unsafe { device::reference_attachment_base(device) };
    // SAFETY: it was just referenced, or is null.
    unsafe { references::taken(base.cast(), caller) };
    base
}

/// `IoEnumerateDeviceObjectList`.
pub unsafe extern "win64" fn enumerate_device_object_list(
    driver: *mut DRIVER_OBJECT,
    list: *mut *mut DEVICE_OBJECT,
    bytes: u32,
    actual: *mut u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoEnumerateDeviceObjectList", caller);
    // SAFETY: the driver passes a live driver object and its own memory.
    let status = unsafe { lookup::enumerate_devices(driver, list, bytes, actual) };
    // SAFETY: as above; it was written.
    let count = unsafe { actual.read() }.min(bytes / size_of::<usize>() as u32);
    let count = if list.is_null() { 0 } else { count };
    for index in 0..count as usize {
        // SAFETY: as many as there are and there is room for were written.
        let device = unsafe { list.wrapping_add(index).read() };
        // SAFETY: it was just referenced.
        unsafe { references::taken(device.cast(), caller) };
    }
    status
}

/// `IoGetDiskDeviceObject`.
pub unsafe extern "win64" fn get_disk_device_object(
    volume: *mut DEVICE_OBJECT,
    disk: *mut *mut DEVICE_OBJECT,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoGetDiskDeviceObject", caller);
    // SAFETY: the driver passes a live device.
    match unsafe { lookup::disk_device(volume) } {
        Ok(device) => {
            // SAFETY: the driver's pointer.
            unsafe { disk.write(device) };
            // SAFETY: it was just referenced, or is null.
            unsafe { references::taken(device.cast(), caller) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// `IoGetDeviceObjectPointer`.
pub unsafe extern "win64" fn get_device_object_pointer(
    name: *const UNICODE_STRING,
    access: u32,
    file: *mut *mut FILE_OBJECT,
    device: *mut *mut DEVICE_OBJECT,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoGetDeviceObjectPointer", caller);
    if let Some(status) = failure::refuses(failure::Kind::Open) {
        return status;
    }
    // SAFETY: the driver's string.
    let name = unsafe { unicode::to_string(name) };
    match lookup::device_pointer(&name, access) {
        Ok((opened, top)) => {
            // SAFETY: the driver's pointer.
            unsafe { file.write(opened) };
            // SAFETY: the driver's pointer.
            unsafe { device.write(top) };
            // SAFETY: it was just referenced, by the lookup.
            unsafe { references::taken(opened.cast(), caller) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// `IoRegisterShutdownNotification`: IRP_MJ_SHUTDOWN is sent to the device by
/// `registration::shut_down`.
pub unsafe extern "win64" fn register_shutdown_notification(
    device: *mut DEVICE_OBJECT,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoRegisterShutdownNotification", caller);
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver passes its own device.
    unsafe { (*device).Flags |= DO_SHUTDOWN_REGISTERED };
    // SAFETY: as above.
    unsafe { shutdown::register(device) };
    STATUS_SUCCESS
}

/// `IoUnregisterShutdownNotification`.
pub unsafe extern "win64" fn unregister_shutdown_notification(
    device: *mut DEVICE_OBJECT,
    caller: usize,
) {
    irql::require("IoUnregisterShutdownNotification", caller);
    // SAFETY: the driver passes its own device.
    unsafe { (*device).Flags &= !DO_SHUTDOWN_REGISTERED };
    // SAFETY: as above.
    unsafe { shutdown::unregister(device) };
}

/// `IoAcquireVpbSpinLock`.
pub unsafe extern "win64" fn acquire_vpb_spin_lock(level: *mut Kirql, caller: usize) {
    irql::require("IoAcquireVpbSpinLock", caller);
    let old = mount::acquire_vpb_spin_lock();
    // SAFETY: the driver's pointer.
    unsafe { level.write(old) };
}

/// `IoReleaseVpbSpinLock`.
pub unsafe extern "win64" fn release_vpb_spin_lock(level: Kirql, caller: usize) {
    irql::require("IoReleaseVpbSpinLock", caller);
    mount::release_vpb_spin_lock(level);
}
