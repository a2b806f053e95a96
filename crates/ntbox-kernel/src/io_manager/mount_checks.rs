//! What the checks look at in mounts: who says that there is a volume now has mounted one.

#![expect(
    unsafe_code,
    reason = "the completer owns the request, which is read in place"
)]

use super::checks;
use super::database::describe;
use crate::nt::{
    IO_STACK_LOCATION, IRP, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_MOUNT_VOLUME, NTSTATUS, Status, VPB,
};
use crate::verifier::rules;

/// True if a file system has put its volume device into the VPB of the storage device that `offered` is of: not
/// `offered` itself, where the file system has exchanged it.
///
/// # Safety
/// `offered` is of a storage device that is being mounted.
unsafe fn is_filled(offered: *const VPB) -> bool {
    // SAFETY: contract.
    let storage = unsafe { (*offered).RealDevice };
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
    let offered = unsafe { location.Parameters.MountVolume.Vpb };
    // SAFETY: a location of this function has the VPB of the mount, which its originator waits for.
    if unsafe { is_filled(offered) } {
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
