//! Finding devices and drivers.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "results are written through the caller's pointers"
)]

use super::database::database;
use super::{device, file, namespace, storage};
use crate::nt::{
    DEVICE_OBJECT, DO_DEVICE_INITIALIZING, DRIVER_OBJECT, FILE_OBJECT, FO_DIRECT_DEVICE_OPEN,
    NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_NO_SUCH_DEVICE,
    STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS, STATUS_VOLUME_DISMOUNTED, VPB_MOUNTED,
};
use crate::processor::lifetime;
use crate::processor::object::{self, Kind};

/// `IoGetDeviceObjectPointer`: opens the device, closes the handle again, and
/// gives out the file object with a reference, and the top of its stack.
///
/// A name without a path behind the device opens the device itself, and nothing
/// is mounted on it then.
///
/// # Errors
/// Those of [`namespace::lookup`], of mounting and of the create request;
/// `STATUS_OBJECT_TYPE_MISMATCH` for a name that is no device;
/// `STATUS_NO_SUCH_DEVICE` while the device is initializing.
pub fn device_pointer(
    name: &str,
    access: u32,
) -> Result<(*mut FILE_OBJECT, *mut DEVICE_OBJECT), NTSTATUS> {
    let (found, rest) = namespace::lookup(name)?;
    // SAFETY: the lookup's reference keeps the object until the file object does.
    unsafe {
        let result = if object::kind_of(found) == Some(Kind::Device) {
            open(found.cast(), &rest, access)
        } else {
            Err(STATUS_OBJECT_TYPE_MISMATCH)
        };
        lifetime::dereference(found);
        result
    }
}

unsafe fn open(
    found: *mut DEVICE_OBJECT,
    rest: &str,
    access: u32,
) -> Result<(*mut FILE_OBJECT, *mut DEVICE_OBJECT), NTSTATUS> {
    // SAFETY: contract of the caller: the device is alive.
    unsafe {
        if (*found).Flags & DO_DEVICE_INITIALIZING != 0 {
            return Err(STATUS_NO_SUCH_DEVICE);
        }
        let path: Vec<u16> = rest.encode_utf16().collect();
        let direct = rest.is_empty();
        let file = file::create(found, &path, if direct { FO_DIRECT_DEVICE_OPEN } else { 0 });
        let opened = if direct {
            Ok(())
        } else {
            file::join_volume(file)
        };
        let opened = opened.and_then(|()| file::send_create(file, access));
        if let Err(status) = opened {
            lifetime::dereference(file.cast());
            return Err(status);
        }
        file::last_handle_closed(file);
        Ok((file, file::related_device(file)))
    }
}

/// `IoEnumerateDeviceObjectList`: the driver's devices, each one referenced.
/// `bytes` is the size of `list`; without a list only the count is stored.
///
/// # Errors (as NTSTATUS)
/// `STATUS_BUFFER_TOO_SMALL` if there are more devices than the list holds
/// (those that fit are stored and referenced, as NT does).
///
/// # Safety
/// `driver` is alive; `list` is null or has `bytes` bytes; `actual` is writable.
pub unsafe fn enumerate_devices(
    driver: *mut DRIVER_OBJECT,
    list: *mut *mut DEVICE_OBJECT,
    bytes: u32,
    actual: *mut u32,
) -> NTSTATUS {
    let _database = database();
    // SAFETY: contract; the driver's list is locked.
    unsafe {
        let capacity = if list.is_null() {
            0
        } else {
            bytes as usize / size_of::<usize>()
        };
        let mut count = 0_usize;
        let mut next = (*driver).DeviceObject;
        while !next.is_null() {
            if count < capacity {
                lifetime::reference(next.cast());
                *list.add(count) = next;
            }
            count += 1;
            next = (*next).NextDevice;
        }
        *actual = count as u32;
        if count > capacity {
            STATUS_BUFFER_TOO_SMALL
        } else {
            STATUS_SUCCESS
        }
    }
}

/// `IoGetDiskDeviceObject`: the storage device below a volume device, referenced.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` for a device that is no file system's volume
/// device, `STATUS_VOLUME_DISMOUNTED` if the volume was dismounted.
///
/// # Safety
/// `volume` is alive.
pub unsafe fn disk_device(volume: *mut DEVICE_OBJECT) -> Result<*mut DEVICE_OBJECT, NTSTATUS> {
    // SAFETY: contract.
    unsafe {
        // A device with a VPB of its own is a storage device.
        if !(*volume).Vpb.is_null() && (*(*volume).Vpb).RealDevice == volume {
            return Err(STATUS_INVALID_PARAMETER);
        }
        let vpb = (*(*volume).DeviceObjectExtension).Vpb;
        if vpb.is_null() {
            return Err(STATUS_INVALID_PARAMETER);
        }
        if u32::from((*vpb).Flags) & VPB_MOUNTED == 0 {
            return Err(STATUS_VOLUME_DISMOUNTED);
        }
        let disk = (*vpb).RealDevice;
        lifetime::reference(disk.cast());
        Ok(disk)
    }
}

/// `IoVolumeDeviceToDosName`: `X:` for a storage device that has a letter.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` for a device without one.
///
/// # Safety
/// `device` is alive.
pub unsafe fn dos_name(device: *mut DEVICE_OBJECT) -> Result<String, NTSTATUS> {
    // SAFETY: contract.
    unsafe {
        if let Some(description) = storage::description_of(device::attachment_base(device)) {
            return Ok(format!("{}:", description.letter));
        }
        let name = object::name_of(device.cast()).ok_or(STATUS_INVALID_PARAMETER)?;
        namespace::dos_name_of(&name, |dos| dos.len() == 2 && dos.ends_with(':'))
            .ok_or(STATUS_INVALID_PARAMETER)
    }
}
