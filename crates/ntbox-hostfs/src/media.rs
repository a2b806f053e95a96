//! Media that may have changed: `DO_VERIFY_VOLUME`, IRP_MN_VERIFY_VOLUME, and volumes whose medium is not in the drive.
//!
//! Where a device is marked, the next request about a file on it (but cleanup, close, paging and pages that are given back)
//! has the I/O manager verify the volume first, in the thread that works on it. If it is the same one, all goes on. If it is
//! not, the volume leaves the device: where files of it are open it stays, absent, with STATUS_WRONG_VOLUME for all that is
//! asked about them, and is the same one again, with its device and the filters on it, when its medium is mounted again. A
//! create by a whole name ends with STATUS_REPARSE and `IO_REMOUNT` in either case, since it was sent to a drive, whatever
//! lies in it.
//!
//! Source: the FASTFAT and CDFS samples (`FatVerifyVcb`, `FatPerformVerify`, `FatVerifyVolume`, `CdVerifyFcbOperation`,
//! `CdVerifyVolume`, `CdIsRemount`), "Supporting Removable Media".

#![expect(
    unsafe_code,
    reason = "requests, devices and VPBs are reached by pointer"
)]

use super::context::Mounted;
use super::pending::{self, Worked};
use super::waiting::Effects;
use super::{removal, volume_devices, workers};
use ntbox_kernel::io_manager::{media, mount};
use ntbox_kernel::nt::{
    DEVICE_OBJECT, FILE_REMOVABLE_MEDIA, IO_REMOUNT, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE,
    IRP_MJ_READ, IRP_MJ_WRITE, IRP_MN_COMPLETE, IRP_PAGING_IO, IrpExt, NTSTATUS, PASSIVE_LEVEL,
    SL_ALLOW_RAW_MOUNT, STATUS_INVALID_DEVICE_REQUEST, STATUS_NO_MEDIA_IN_DEVICE, STATUS_REPARSE,
    STATUS_SUCCESS, STATUS_WRONG_VOLUME, VPB,
};
use ntbox_kernel::processor::irql;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A volume that has left its device, and is kept by open files.
struct Absent {
    mounted: &'static Mounted,
    device: usize,
    vpb: usize,
}

/// Volumes go in and out under this lock, taken before that of the volume.
static ABSENT: Mutex<Vec<Absent>> = Mutex::new(Vec::new());

fn absent() -> MutexGuard<'static, Vec<Absent>> {
    ABSENT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_on_removable_media(mounted: &Mounted) -> bool {
    let characteristics = mounted.volume.description.characteristics;
    characteristics & FILE_REMOVABLE_MEDIA != 0 && !mounted.storage().is_null()
}

fn is_marked(mounted: &Mounted) -> bool {
    // SAFETY: a storage device lives as long as the process.
    is_on_removable_media(mounted) && unsafe { media::is_marked(mounted.storage()) }
}

fn is_absent(mounted: &Mounted) -> bool {
    is_on_removable_media(mounted) && mounted.volume.state().absent
}

/// Has the I/O manager verify what is in the drive: whether it is this volume then.
///
/// # Errors
/// Why that is not known.
fn verify(mounted: &Mounted, allow_raw: bool) -> Result<bool, NTSTATUS> {
    // SAFETY: a storage device lives as long as the process; who works on a request may wait.
    let status = workers::while_waiting(|| unsafe { mount::verify(mounted.storage(), allow_raw) });
    match status {
        // It may be that of another volume.
        STATUS_SUCCESS | STATUS_WRONG_VOLUME => Ok(!is_absent(mounted)),
        status => Err(status),
    }
}

/// Whether a request about an open file may be worked on; an `Err` completes it.
///
/// # Safety
/// `irp` is the caller's, and about a file of `mounted`.
pub unsafe fn admit(mounted: &Mounted, irp: *mut IRP) -> Result<(), Worked> {
    // SAFETY: contract.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let location = unsafe { &*location };
    let minor = u32::from(location.MinorFunction);
    match u32::from(location.MajorFunction) {
        IRP_MJ_CLEANUP | IRP_MJ_CLOSE => return Ok(()),
        IRP_MJ_READ | IRP_MJ_WRITE if minor & IRP_MN_COMPLETE != 0 => return Ok(()),
        _ => {}
    }
    let wrong = || Err(Worked::Done(STATUS_WRONG_VOLUME, 0));
    if is_absent(mounted) {
        return wrong();
    }
    // SAFETY: contract.
    let paging = unsafe { (*irp).Flags } & IRP_PAGING_IO != 0;
    if paging || !is_marked(mounted) || irql::current() != PASSIVE_LEVEL {
        return Ok(());
    }
    match verify(mounted, false) {
        Ok(true) => Ok(()),
        Ok(false) => wrong(),
        Err(status) => Err(Worked::Done(status, 0)),
    }
}

/// Whether a call of fast I/O may be answered: else its request is verified.
pub fn admits_fast_io(mounted: &Mounted) -> bool {
    !is_absent(mounted) && !is_marked(mounted)
}

/// Whether a create may be worked on; an `Err` completes it. `whole`: its name is not relative to an open file; `direct`: it
/// names the volume itself.
pub fn admit_create(mounted: &Mounted, whole: bool, direct: bool) -> Result<(), Worked> {
    let here = match (is_absent(mounted), is_marked(mounted)) {
        (true, _) => Ok(false),
        (false, false) => return Ok(()),
        (false, true) => verify(mounted, whole && direct),
    };
    match here {
        Err(status) => Err(Worked::Done(status, 0)),
        Ok(_) if whole => Err(Worked::Done(STATUS_REPARSE, IO_REMOUNT as usize)),
        Ok(true) => Ok(()),
        Ok(false) => Err(Worked::Done(STATUS_WRONG_VOLUME, 0)),
    }
}

/// IRP_MN_VERIFY_VOLUME.
///
/// # Safety
/// The dispatch routine owns `irp`, which is for `device`.
pub unsafe fn verify_volume(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> Worked {
    // SAFETY: contract: a device of this file system.
    let mounted = unsafe { volume_devices::mounted_on(device) };
    let Some(mounted) = mounted.filter(|mounted| !mounted.storage().is_null()) else {
        return Worked::Done(STATUS_INVALID_DEVICE_REQUEST, 0);
    };
    if mounted.volume.state().gone().is_some() {
        return Worked::Done(STATUS_WRONG_VOLUME, 0);
    }
    if !is_marked(mounted) {
        // Somebody else was faster.
        return Worked::Done(STATUS_SUCCESS, 0);
    }
    // SAFETY: contract.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let allow_raw = u32::from(unsafe { (*location).Flags }) & SL_ALLOW_RAW_MOUNT != 0;
    // SAFETY: it is compared.
    let status = match unsafe { media::inside(mounted.storage()) } {
        None if !allow_raw => return Worked::Done(STATUS_NO_MEDIA_IN_DEVICE, 0),
        Some(medium) if medium.number == mounted.volume.description.medium => STATUS_SUCCESS,
        _ => STATUS_WRONG_VOLUME,
    };
    if status == STATUS_WRONG_VOLUME {
        removal::close_cached(mounted);
    }
    // SAFETY: a storage device lives as long as the process.
    unsafe { media::mark(mounted.storage(), false) };
    if status == STATUS_WRONG_VOLUME {
        // SAFETY: a volume device, which the request's originator counts on.
        unsafe { leave(mounted, device) };
    }
    Worked::Done(status, 0)
}

/// The volume leaves its device, as long as files of it are open; otherwise for good.
///
/// # Safety
/// `device` is the volume's, and counted by who verifies it.
unsafe fn leave(mounted: &'static Mounted, device: *mut DEVICE_OBJECT) {
    // SAFETY: contract.
    let vpb = unsafe { removal::vpb_of(device) };
    let stays = {
        let mut absent = absent();
        let mut state = mounted.volume.state();
        state.absent = !state.opens.is_empty() && !state.dismounted;
        if state.absent {
            absent.push(Absent {
                mounted,
                device: device.expose_provenance(),
                vpb: vpb.expose_provenance(),
            });
        }
        state.absent
    };
    if stays {
        mounted.volume.forget_cached();
        volume_devices::take_away_wrong(mounted);
    } else {
        // SAFETY: contract.
        unsafe { removal::take_away(mounted, device, volume_devices::take_away_wrong) };
    }
}

/// The volume of `storage` that has left it with what is in the drive, and is mounted now: true if there is one.
///
/// # Safety
/// The caller works on the IRP_MN_MOUNT_VOLUME of `storage`.
pub unsafe fn bring_back(storage: *mut DEVICE_OBJECT, medium: u32) -> bool {
    let mut absent = absent();
    let is_it = |found: &Absent| {
        let volume = &found.mounted.volume;
        found.mounted.storage() == storage && volume.description.medium == medium
    };
    let Some(at) = absent.iter().position(is_it) else {
        return false;
    };
    let found = absent.swap_remove(at);
    let vpb: *mut VPB = std::ptr::with_exposed_provenance_mut(found.vpb);
    let device = std::ptr::with_exposed_provenance_mut(found.device);
    // SAFETY: contract; a file of it is open, or else it would not have been found.
    let back = unsafe { mount::bring_back(storage, vpb, device) };
    let mut state = found.mounted.volume.state();
    state.absent = false;
    state.dismounted |= !back;
    drop(state);
    if back {
        volume_devices::enter(found.mounted);
    }
    back
}

/// A file was closed: true if its volume is gone for good. An absent one is with the last.
pub fn is_gone(mounted: &Mounted) -> bool {
    let mut absent = absent();
    let mut state = mounted.volume.state();
    if state.absent && state.opens.is_empty() {
        absent.retain(|other| !std::ptr::eq(other.mounted, mounted));
        state.absent = false;
        drop(state);
        // Nothing of it is open: nothing waits.
        mounted.volume.dismount(&mut Effects::new(&pending::claim));
        return true;
    }
    state.dismounted
}
