//! What is asked of the file systems, each thing once: by function, class and control.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are read by pointer"
)]

use ntbox_kernel::io_manager::irp;
use ntbox_kernel::nt::{
    IO_STACK_LOCATION, IRP, IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_FILE_SYSTEM_CONTROL,
    IRP_MJ_QUERY_INFORMATION, IRP_MJ_QUERY_VOLUME_INFORMATION, IRP_MJ_SET_INFORMATION,
    IRP_MJ_SET_VOLUME_INFORMATION, IRP_MN_QUERY_DIRECTORY, IrpExt,
};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Something that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The major function.
    pub major: u8,
    /// The minor function.
    pub minor: u8,
    /// The information class, or the control; 0 of other requests.
    pub code: u32,
    /// A driver has made the request.
    pub own: bool,
}

static NOTED: Mutex<BTreeSet<Asked>> = Mutex::new(BTreeSet::new());
static IS_ON: AtomicBool = AtomicBool::new(false);

/// From now on it is noted.
pub fn begin() {
    IS_ON.store(true, Ordering::Relaxed);
}

/// What has been asked for since.
pub fn end() -> BTreeSet<Asked> {
    IS_ON.store(false, Ordering::Relaxed);
    std::mem::take(&mut *NOTED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A request has arrived.
///
/// # Safety
/// The dispatch routine owns `irp`.
pub(super) unsafe fn arrives(irp: *mut IRP) {
    if !IS_ON.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: contract.
    let location = unsafe { &*irp.current_location() };
    let asked = Asked {
        major: location.MajorFunction,
        minor: location.MinorFunction,
        code: code_of(location),
        own: irp::allocated_by(irp) != 0,
    };
    let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    noted.insert(asked);
}

fn code_of(location: &IO_STACK_LOCATION) -> u32 {
    let parameters = &location.Parameters;
    let minor = u32::from(location.MinorFunction);
    // SAFETY: the parameters of the major function, which are integers.
    unsafe {
        match u32::from(location.MajorFunction) {
            IRP_MJ_QUERY_INFORMATION => parameters.QueryFile.FileInformationClass as u32,
            IRP_MJ_SET_INFORMATION => parameters.SetFile.FileInformationClass as u32,
            IRP_MJ_QUERY_VOLUME_INFORMATION => parameters.QueryVolume.FsInformationClass as u32,
            IRP_MJ_SET_VOLUME_INFORMATION => parameters.SetVolume.FsInformationClass as u32,
            IRP_MJ_DIRECTORY_CONTROL if minor == IRP_MN_QUERY_DIRECTORY => {
                parameters.QueryDirectory.FileInformationClass as u32
            }
            IRP_MJ_FILE_SYSTEM_CONTROL if [0, 4].contains(&minor) => {
                parameters.FileSystemControl.ControlCode
            }
            _ => 0,
        }
    }
}
