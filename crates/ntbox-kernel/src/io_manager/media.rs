//! Media of removable devices: what lies in a drive, and what its device says when that has changed.
//!
//! A medium is a directory of the host, known to its drive by a number. Whoever exchanges it marks the device, if a volume
//! is mounted on it (`DO_VERIFY_VOLUME`): the file system has to look which volume it is before it goes on, and the device
//! refuses what concerns the medium until then. Nothing is read from a device here: what it refuses are the controls that
//! ask whether the medium has changed.
//!
//! Source: "Supporting Removable Media" and its pages, DDI of IOCTL_STORAGE_CHECK_VERIFY and of
//! `IoSetHardErrorOrVerifyDevice`.

#![expect(unsafe_code, reason = "devices are shared with drivers by pointer")]

use super::{mount, storage, verification};
use crate::nt::{
    DEVICE_OBJECT, DO_VERIFY_VOLUME, FILE_REMOVABLE_MEDIA, IRP, IrpExt, NTSTATUS,
    SL_OVERRIDE_VERIFY_VOLUME, STATUS_INVALID_DEVICE_REQUEST, STATUS_NO_MEDIA_IN_DEVICE,
    STATUS_SUCCESS, STATUS_VERIFY_REQUIRED,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// What lies in a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Medium<'a> {
    /// By which the drive tells it from others; the one that it was described with is 0.
    pub number: u32,
    /// What is on it.
    pub directory: &'a Path,
}

/// What is put into a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put<'a> {
    /// Nothing: it stays empty.
    Nothing,
    /// The medium that it was described with.
    First,
    /// The medium with what is in this directory.
    Other(&'a Path),
}

/// A drive in which a medium was exchanged.
struct Drive {
    /// Those that were in it so far.
    known: Vec<Medium<'static>>,
    inside: Option<Medium<'static>>,
}

static DRIVES: LazyLock<Mutex<HashMap<usize, Drive>>> = LazyLock::new(Mutex::default);

fn drives() -> MutexGuard<'static, HashMap<usize, Drive>> {
    DRIVES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What lies in a drive, if anything does. None for what is no storage device of the box.
///
/// # Safety
/// None beyond passing a pointer: it is only compared.
pub unsafe fn inside(drive: *mut DEVICE_OBJECT) -> Option<Medium<'static>> {
    if let Some(drive) = drives().get(&drive.addr()) {
        return drive.inside;
    }
    // SAFETY: as contract.
    let description = unsafe { storage::description_of(drive) }?;
    Some(Medium {
        number: 0,
        directory: &description.host_directory,
    })
}

/// Takes out what lies in the drive, and puts something in. A mount that has begun, or a
/// verification, is waited for.
///
/// # Errors (as NTSTATUS)
/// `STATUS_INVALID_DEVICE_REQUEST` for a device with fixed media.
///
/// # Safety
/// `drive` is a storage device of `io_manager::storage`. PASSIVE_LEVEL.
pub unsafe fn exchange(drive: *mut DEVICE_OBJECT, put: Put<'_>) -> NTSTATUS {
    // SAFETY: contract.
    let removable = unsafe { (*drive).Characteristics } & FILE_REMOVABLE_MEDIA != 0;
    // SAFETY: contract.
    let Some(first) = (unsafe { storage::description_of(drive) }).filter(|_| removable) else {
        return STATUS_INVALID_DEVICE_REQUEST;
    };
    let put_in = || {
        let mut drives = drives();
        let drive = drives.entry(drive.addr()).or_insert_with(|| Drive {
            known: vec![Medium {
                number: 0,
                directory: &first.host_directory,
            }],
            inside: None,
        });
        drive.inside = match put {
            Put::Nothing => None,
            Put::First => Some(drive.medium(&first.host_directory)),
            Put::Other(directory) => Some(drive.medium(directory)),
        };
    };
    // SAFETY: contract.
    unsafe { mount::without_mounts(drive, put_in) };
    STATUS_SUCCESS
}

impl Drive {
    fn medium(&mut self, directory: &Path) -> Medium<'static> {
        let number = self.known.len() as u32;
        let known = self.known.iter().find(|known| known.directory == directory);
        if let Some(known) = known {
            return *known;
        }
        let new = Medium {
            number,
            // A drive stays as long as the process.
            directory: Box::leak(directory.to_owned().into_boxed_path()),
        };
        self.known.push(new);
        new
    }
}

/// Sets or takes away the mark that the volume in the drive is to be verified.
///
/// # Safety
/// `drive` is alive.
pub unsafe fn mark(drive: *mut DEVICE_OBJECT, marked: bool) {
    // SAFETY: contract.
    let flags = unsafe { &raw mut (*drive).Flags };
    // SAFETY: contract; others may change other flags at the same time.
    let flags = unsafe { AtomicU32::from_ptr(flags) };
    match marked {
        true => flags.fetch_or(DO_VERIFY_VOLUME, Ordering::AcqRel),
        false => flags.fetch_and(!DO_VERIFY_VOLUME, Ordering::AcqRel),
    };
}

/// Whether the volume in the drive is to be verified.
///
/// # Safety
/// `drive` is alive.
pub unsafe fn is_marked(drive: *mut DEVICE_OBJECT) -> bool {
    // SAFETY: contract.
    let flags = unsafe { &raw mut (*drive).Flags };
    // SAFETY: contract.
    let flags = unsafe { AtomicU32::from_ptr(flags) };
    flags.load(Ordering::Acquire) & DO_VERIFY_VOLUME != 0
}

/// What a drive answers who asks whether its medium has changed; an error is one that the user can do something about.
///
/// # Safety
/// The dispatch routine of the device `drive` owns `irp`.
pub(super) unsafe fn check(drive: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: contract.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let flags = u32::from(unsafe { (*location).Flags });
    // SAFETY: contract.
    let status = if unsafe { inside(drive) }.is_none() {
        STATUS_NO_MEDIA_IN_DEVICE
    // SAFETY: contract.
    } else if flags & SL_OVERRIDE_VERIFY_VOLUME == 0 && unsafe { is_marked(drive) } {
        STATUS_VERIFY_REQUIRED
    } else {
        return STATUS_SUCCESS;
    };
    // SAFETY: contract.
    let thread = unsafe { irp.thread() };
    if !thread.is_null() {
        verification::set_device(thread, drive);
    }
    status
}
