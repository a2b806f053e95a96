//! A file system that does nothing: the bottom of the stack that is measured.
//!
//! It mounts the volumes that [`claim`] names and completes every request and
//! every read by fast I/O at once, so that what is measured is the way through
//! the stack.

#![expect(unsafe_code, reason = "a native driver: its routines get raw requests")]

use crate::io_manager::{complete, device, driver, registration, storage};
use crate::nt::routines::DriverRoutines;
use crate::nt::{
    DEVICE_OBJECT, DO_DIRECT_IO, DRIVER_OBJECT, FAST_IO_DISPATCH, FILE_DEVICE_DISK_FILE_SYSTEM,
    FILE_OBJECT, IO_STATUS_BLOCK, IRP, IRP_MJ_CREATE, IRP_MJ_FILE_SYSTEM_CONTROL,
    IRP_MJ_MAXIMUM_FUNCTION, IRP_MN_MOUNT_VOLUME, IrpExt, NTSTATUS, STATUS_SUCCESS,
    STATUS_UNRECOGNIZED_VOLUME,
};
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{LazyLock, Mutex};

/// Letters of the volumes it mounts.
static CLAIMED: Mutex<Vec<char>> = Mutex::new(Vec::new());
static FAST_IO: LazyLock<FAST_IO_DISPATCH> = LazyLock::new(|| FAST_IO_DISPATCH {
    SizeOfFastIoDispatch: size_of::<FAST_IO_DISPATCH>() as u32,
    FastIoRead: Some(read),
    ..FAST_IO_DISPATCH::default()
});
static DRIVER: AtomicPtr<DRIVER_OBJECT> = AtomicPtr::new(std::ptr::null_mut());

/// The volume with this letter will be mounted by the file system that does nothing.
/// Its driver is created and registered with the first claim.
pub fn claim(letter: char) {
    let mut claimed = CLAIMED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    claimed.push(letter.to_ascii_uppercase());
    if claimed.len() > 1 {
        return;
    }
    drop(claimed);
    let object = driver::create_native("\\FileSystem\\BenchFs", |driver| {
        for major in 0..=IRP_MJ_MAXIMUM_FUNCTION {
            driver.set_dispatch(major as u8, dispatch);
        }
        driver.set_fast_io(&raw const *FAST_IO);
    });
    DRIVER.store(object, Ordering::Release);
    // SAFETY: the driver object was just created.
    let control = unsafe {
        device::create(
            object,
            0,
            Some("\\BenchFs"),
            FILE_DEVICE_DISK_FILE_SYSTEM,
            0,
            false,
        )
    };
    if let Ok(control) = control {
        // SAFETY: a new device.
        unsafe { device::finish_initializing(control) };
        // SAFETY: as above.
        unsafe { registration::register_file_system(control) };
    }
}

/// FastIoRead: nothing was read.
unsafe extern "win64" fn read(
    _file: *mut FILE_OBJECT,
    _offset: *mut i64,
    _length: u32,
    _wait: u8,
    _key: u32,
    _buffer: *mut c_void,
    result: *mut IO_STATUS_BLOCK,
    _device: *mut DEVICE_OBJECT,
) -> u8 {
    // SAFETY: the caller's status block.
    unsafe { result.write(IO_STATUS_BLOCK::default()) };
    1
}

unsafe extern "win64" fn dispatch(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine gets a live request.
    let location = unsafe { irp.current_location() };
    // SAFETY: the current location belongs to this driver.
    let location = unsafe { &*location };
    let major = u32::from(location.MajorFunction);
    let (status, information) = if major == IRP_MJ_FILE_SYSTEM_CONTROL
        && u32::from(location.MinorFunction) == IRP_MN_MOUNT_VOLUME
    {
        // SAFETY: the member of the major function.
        let mount = unsafe { location.Parameters.MountVolume };
        // SAFETY: the I/O manager gave the volume's VPB and storage device.
        (unsafe { mount_volume(mount.Vpb, mount.DeviceObject) }, 0)
    } else if major == IRP_MJ_CREATE {
        (STATUS_SUCCESS, 1)
    } else {
        (STATUS_SUCCESS, 0)
    };
    // SAFETY: this driver owns the request.
    unsafe { complete::finish(irp, status, information) }
}

unsafe fn mount_volume(vpb: *mut crate::nt::VPB, target: *mut DEVICE_OBJECT) -> NTSTATUS {
    // The device offered may be a filter's over the storage device: the VPB knows the real one.
    // SAFETY: contract of the caller.
    let real = unsafe { (*vpb).RealDevice };
    // SAFETY: a storage device of the box, or another device, which has no description.
    let description = unsafe { storage::description_of(real) };
    let claimed = CLAIMED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if !description
        .is_some_and(|description| claimed.contains(&description.letter.to_ascii_uppercase()))
    {
        return STATUS_UNRECOGNIZED_VOLUME;
    }
    drop(claimed);
    let driver = DRIVER.load(Ordering::Acquire);
    // SAFETY: the driver was stored before its control device was registered.
    let volume =
        match unsafe { device::create(driver, 0, None, FILE_DEVICE_DISK_FILE_SYSTEM, 0, false) } {
            Ok(volume) => volume,
            Err(status) => return status,
        };
    // SAFETY: the device offered is alive during the mount.
    let below = unsafe { (*target).StackSize };
    // SAFETY: a new device.
    let fields = unsafe { &mut *volume };
    fields.StackSize = below + 1;
    fields.Flags |= DO_DIRECT_IO;
    // SAFETY: as above.
    unsafe { device::finish_initializing(volume) };
    // SAFETY: contract of the caller.
    unsafe { (*vpb).DeviceObject = volume };
    STATUS_SUCCESS
}
