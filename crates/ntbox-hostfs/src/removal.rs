//! `IRP_MJ_PNP` for a device of this file system: what becomes of a volume when its storage device is to go, or is gone.
//!
//! A query locks the volume, and is refused where anything is open on it. On removable media the volume is dismounted at
//! once then, as FASTFAT and CDFS do: its device, and every filter's above it, is deleted before the request completes. On
//! a disk that waits for the removal, as with NTFS. A removal that nobody has asked for finds open files, which keep the
//! volume's device until they are closed. Everything else is the storage device's affair.
//!
//! Source: IRP_MJ_PNP of file systems and their filters (`ifs/irp-mj-pnp`), and `pnp.c` of the FASTFAT and CDFS samples.

#![expect(
    unsafe_code,
    reason = "requests, devices and VPBs are reached by pointer"
)]

use super::context::Mounted;
use super::pending::{self, Worked};
use super::waiting::Effects;
use super::{volume_devices, workers};
use ntbox_kernel::io_manager::{complete, device as devices, forward, mount};
use ntbox_kernel::nt::{
    DEVICE_OBJECT, FILE_REMOVABLE_MEDIA, IRP, IRP_MN_CANCEL_REMOVE_DEVICE,
    IRP_MN_QUERY_REMOVE_DEVICE, IRP_MN_REMOVE_DEVICE, IRP_MN_SURPRISE_REMOVAL, IrpExt, NTSTATUS,
    STATUS_ACCESS_DENIED, STATUS_INVALID_PARAMETER, Status, VPB,
};
use ntbox_kernel::user::cache;

/// # Safety
/// The dispatch routine owns `irp`, which is for `device`.
pub unsafe fn dispatch(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: contract: a device of this file system.
    let mounted = unsafe { volume_devices::mounted_on(device) };
    let Some(mounted) = mounted.filter(|mounted| !mounted.storage().is_null()) else {
        // SAFETY: contract.
        return unsafe { complete::finish(irp, STATUS_INVALID_PARAMETER, 0) };
    };
    // SAFETY: contract.
    match unsafe { minor_of(irp) } {
        IRP_MN_QUERY_REMOVE_DEVICE | IRP_MN_REMOVE_DEVICE | IRP_MN_SURPRISE_REMOVAL => {
            // SAFETY: contract.
            return unsafe { pending::run(device, irp, leave) };
        }
        IRP_MN_CANCEL_REMOVE_DEVICE => mounted.volume.may_stay(),
        _ => {}
    }
    // SAFETY: contract.
    unsafe { pending::pass_down(mounted.storage(), irp) }
}

/// # Safety
/// `irp` is the caller's.
unsafe fn minor_of(irp: *mut IRP) -> u32 {
    // SAFETY: contract.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    u32::from(unsafe { (*location).MinorFunction })
}

/// The storage device is asked or told first: when the volume has gone, nothing leads to it.
unsafe fn leave(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> Worked {
    // SAFETY: found by the dispatch routine, and counted by who has sent the request.
    let Some(mounted) = (unsafe { volume_devices::mounted_on(device) }) else {
        return Worked::Done(STATUS_INVALID_PARAMETER, 0);
    };
    // SAFETY: contract of the routine: the request is ours.
    let query = unsafe { minor_of(irp) } == IRP_MN_QUERY_REMOVE_DEVICE;
    if query && mounted.volume.has_handles() {
        return Worked::Done(STATUS_ACCESS_DENIED, 0);
    }
    close_cached(mounted);
    if query && !mounted.volume.may_go() {
        return Worked::Done(STATUS_ACCESS_DENIED, 0);
    }
    // SAFETY: a storage device lives as long as the process.
    let below = unsafe { devices::top_of_stack(mounted.storage()) };
    // SAFETY: as above; the request has a location for each device below.
    if !unsafe { forward::forward_and_wait(below, irp, 0) } {
        return Worked::Done(STATUS_INVALID_PARAMETER, 0);
    }
    // SAFETY: it has come back.
    let answer = unsafe { (*irp).IoStatus };
    // SAFETY: an integer whatever the union holds.
    let status = unsafe { answer.Anonymous.Status };
    let goes_at_query = mounted.volume.description.characteristics & FILE_REMOVABLE_MEDIA != 0;
    if !query || Status(status).is_success() && goes_at_query {
        // SAFETY: a volume device, alive until its volume has been taken away.
        unsafe { take_away(mounted, device, volume_devices::take_away) };
    }
    Worked::Done(status, 0)
}

/// Writes what is cached, and closes the files that nobody has a handle of but the cache manager. What the lazy writer has
/// written of a device that is gone is a matter of chance on Windows: here it has written all.
pub(super) fn close_cached(mounted: &Mounted) {
    workers::while_waiting(|| {
        // What cannot be written is lost.
        let _ = mounted.volume.write_back();
        cache::wait_for_lazy_writer();
    });
}

/// The VPB of a volume device.
///
/// # Safety
/// `device` is alive, and its volume was mounted.
pub(super) unsafe fn vpb_of(device: *mut DEVICE_OBJECT) -> *mut VPB {
    // SAFETY: contract.
    let extension = unsafe { (*device).DeviceObjectExtension };
    // SAFETY: contract: a live device has its extension.
    unsafe { (*extension).Vpb }
}

/// The volume is dismounted, and taken from its device by `from_storage`; its device goes with the last who counts on it: who has sent the request does.
///
/// # Safety
/// `device` is the volume's, and counted by who has sent the request.
pub(super) unsafe fn take_away(
    mounted: &'static Mounted,
    device: *mut DEVICE_OBJECT,
    from_storage: fn(&'static Mounted) -> NTSTATUS,
) {
    // SAFETY: contract.
    let vpb = unsafe { vpb_of(device) };
    let mut effects = Effects::new(&pending::claim);
    let first = mounted.volume.dismount(&mut effects);
    pending::finish_waiting(effects.into_finished(), true);
    if first {
        mounted.volume.forget_cached();
        from_storage(mounted);
    }
    // SAFETY: as contract: the VPB is counted until the request has completed. PASSIVE_LEVEL, as in every work.
    unsafe { mount::close_last(vpb) };
}
