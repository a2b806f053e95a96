//! What the checks look at in mounts: who says that there is a volume now has mounted one.

#![expect(
    unsafe_code,
    reason = "the completer owns the request, which is read in place"
)]

use super::attachment::attachment_base;
use super::checks;
use super::database::describe;
use crate::nt::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_MOUNT_VOLUME,
    NTSTATUS, Status,
};
use crate::verifier::rules;

/// True if a file system has put its volume device into the VPB of the storage device that the request offers, of whose
/// stack `top` is the top: not into the one that was offered, where the file system has exchanged it.
///
/// # Safety
/// The stack of `top` is being mounted.
unsafe fn is_filled(top: *mut DEVICE_OBJECT) -> bool {
    // SAFETY: contract.
    let storage = unsafe { attachment_base(top) };
    // SAFETY: a storage device lives as long as the process.
    let now = unsafe { (*storage).Vpb };
    // SAFETY: a storage device has a VPB.
    !unsafe { (*now).DeviceObject }.is_null()
}

/// A request comes back from `location` with the success `status`, and came to it from below without; `by` had it last.
///
/// # Safety
/// The completer owns `irp`, which comes back from `location`.
pub(super) unsafe fn came_back(
    irp: *mut IRP,
    location: *const IO_STACK_LOCATION,
    status: NTSTATUS,
    by: (&'static str, usize),
) {
    // SAFETY: contract.
    let location = unsafe { &*location };
    let function = (location.MajorFunction.into(), location.MinorFunction.into());
    if function != (IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_MOUNT_VOLUME) {
        return;
    }
    // SAFETY: the member is that of the function.
    let top = unsafe { location.Parameters.MountVolume.DeviceObject };
    // SAFETY: a location of this function has the storage stack of the mount, which its originator waits for.
    if unsafe { is_filled(top) } {
        return;
    }
    let message = format!(
        "IRP_MN_MOUNT_VOLUME was completed with {} by {}, and no file system has mounted the volume: Vpb->DeviceObject is null",
        Status(status),
        // SAFETY: a device that has a request is alive.
        unsafe { describe(location.DeviceObject) }
    );
    checks::report(&rules::MOUNTED_NOTHING, message, irp, vec![by]);
}
