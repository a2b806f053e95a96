//! Dispatch routines: one for each major function, the same for every device.
//!
//! A request that names an open file goes to one of the [`routines`]; one without
//! goes to [`mounting`], and one of the PnP manager to [`removal`].

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are read by pointer"
)]

use super::context::{self, Mounted};
use super::pending::{self, Work};
use super::volume::{Object, OpenId};
use super::{asked, mounting, opening, removal, routines};
use ntbox_kernel::nt::routines::DriverRoutines;
use ntbox_kernel::nt::*;

/// Enters the routine for every major function.
pub fn enter(driver: &mut DRIVER_OBJECT) {
    for major in 0..MAJOR_FUNCTION_COUNT {
        driver.set_dispatch(major as u8, dispatch);
    }
}

unsafe extern "win64" fn dispatch(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the I/O manager calls with a request for this device.
    unsafe { asked::arrives(irp) };
    // SAFETY: as above.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let (major, file) = unsafe { (u32::from((*location).MajorFunction), (*location).FileObject) };
    if major == IRP_MJ_CREATE {
        // SAFETY: as above.
        return unsafe { pending::run(device, irp, opening::create) };
    }
    if major == IRP_MJ_PNP {
        // SAFETY: as above; with or without a file, it is about the device.
        return unsafe { removal::dispatch(device, irp) };
    }
    // SAFETY: a request's file object is alive and of this device.
    let Some((mounted, open)) = (unsafe { context::of_file(file) }) else {
        // SAFETY: as above.
        return unsafe { mounting::dispatch(device, irp, major) };
    };
    // The storage stack's business, but only of the volume: a file is no device.
    let storage = matches!(
        major,
        IRP_MJ_DEVICE_CONTROL | IRP_MJ_INTERNAL_DEVICE_CONTROL
    );
    if storage && passes_down(mounted, open) {
        // SAFETY: as above; a request that is passed on is not put off first.
        return unsafe { pending::pass_down(mounted.storage(), irp) };
    }
    // SAFETY: as above.
    unsafe { pending::run(device, irp, work_of(major)) }
}

/// The routine for requests of a major function on an open file.
fn work_of(major: u32) -> Work {
    match major {
        IRP_MJ_CLEANUP => routines::cleanup,
        IRP_MJ_CLOSE => routines::close,
        IRP_MJ_READ => routines::read,
        IRP_MJ_WRITE => routines::write,
        IRP_MJ_QUERY_INFORMATION => routines::query_information,
        IRP_MJ_SET_INFORMATION => routines::set_information,
        IRP_MJ_QUERY_VOLUME_INFORMATION => routines::query_volume,
        IRP_MJ_SET_VOLUME_INFORMATION => routines::set_volume,
        IRP_MJ_DIRECTORY_CONTROL => routines::directory_control,
        IRP_MJ_LOCK_CONTROL => routines::lock_control,
        IRP_MJ_FILE_SYSTEM_CONTROL => routines::file_system_control,
        IRP_MJ_FLUSH_BUFFERS => routines::flush,
        IRP_MJ_QUERY_SECURITY => routines::query_security,
        IRP_MJ_SET_SECURITY => routines::set_security,
        IRP_MJ_QUERY_EA => routines::query_ea,
        IRP_MJ_SET_EA => routines::set_ea,
        IRP_MJ_SHUTDOWN => routines::succeed,
        _ => routines::refuse,
    }
}

fn passes_down(mounted: &Mounted, open: OpenId) -> bool {
    let volume = mounted
        .volume
        .state()
        .file_of(open)
        .is_ok_and(|file| matches!(file.object, Object::Volume));
    volume && !mounted.storage().is_null()
}
