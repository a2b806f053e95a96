//! FsFilter callbacks: what memory manager and cache manager ask a file's stack
//! around sections and flushes.
//!
//! Every driver of the stack that registered callbacks is asked from the top
//! down (pre callback), then the file system's own answer is taken, then the
//! post callbacks of those that were asked run from the bottom up. A pre
//! callback of an acquire operation may fail it, except for
//! `AcquireForSectionSynchronization` with `SyncTypeOther`, which cannot fail.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "callback data is handed to drivers by pointer"
)]

use super::device::fast_io_of;
use super::{device, file, witness};
use crate::nt::fs_filter::{FS_FILTER_CALLBACKS, Pair, SIZE_WITHOUT_QUERY_OPEN};
use crate::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, FILE_OBJECT, FS_FILTER_CALLBACK_DATA, NTSTATUS,
    STATUS_FSFILTER_OP_COMPLETED_SUCCESSFULLY, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, Status,
};
use crate::processor::driver_code::entering;
use crate::processor::points;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The operation that the callbacks are about, with its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// A section is created on the file.
    AcquireForSection {
        /// `FS_FILTER_SECTION_SYNC_TYPE`.
        section_type: i32,
        /// Page protection of the section.
        page_protection: u32,
    },
    /// The section was created.
    ReleaseForSection,
    /// The cache manager flushes the file.
    AcquireForCcFlush,
    /// It has flushed it.
    ReleaseForCcFlush,
    /// The modified page writer writes the file.
    AcquireForModifiedPageWriter {
        /// Where the write ends.
        ending_offset: i64,
    },
    /// It has written it.
    ReleaseForModifiedPageWriter,
    /// Information is queried by name, without an open of the file.
    QueryOpen {
        /// `FILE_INFORMATION_CLASS`.
        class: i32,
        /// Bytes of the answer.
        length: u32,
    },
}

impl Operation {
    /// `FS_FILTER_*` operation code (the low byte of the `IRP_MJ_*` pseudo code).
    fn code(self) -> u8 {
        match self {
            Self::AcquireForSection { .. } => 0xFF,
            Self::ReleaseForSection => 0xFE,
            Self::AcquireForModifiedPageWriter { .. } => 0xFD,
            Self::ReleaseForModifiedPageWriter => 0xFC,
            Self::AcquireForCcFlush => 0xFB,
            Self::ReleaseForCcFlush => 0xFA,
            Self::QueryOpen { .. } => 0xF9,
        }
    }

    /// What a witness is told.
    fn parameters(self) -> [u64; 4] {
        match self {
            Self::AcquireForSection {
                section_type,
                page_protection,
            } => [section_type as u64, page_protection.into(), 0, 0],
            Self::AcquireForModifiedPageWriter { ending_offset } => {
                [ending_offset.cast_unsigned(), 0, 0, 0]
            }
            Self::QueryOpen { class, length } => [class as u64, length.into(), 0, 0],
            _ => [0; 4],
        }
    }

    fn pair(self, callbacks: &FS_FILTER_CALLBACKS) -> Pair {
        match self {
            Self::AcquireForSection { .. } => callbacks.AcquireForSectionSynchronization,
            Self::ReleaseForSection => callbacks.ReleaseForSectionSynchronization,
            Self::AcquireForCcFlush => callbacks.AcquireForCcFlush,
            Self::ReleaseForCcFlush => callbacks.ReleaseForCcFlush,
            Self::AcquireForModifiedPageWriter { .. } => callbacks.AcquireForModifiedPageWriter,
            Self::ReleaseForModifiedPageWriter => callbacks.ReleaseForModifiedPageWriter,
            Self::QueryOpen { .. } => callbacks.QueryOpen,
        }
    }
    /// Acquire operations may be failed; release operations are always carried out.
    fn can_fail(self) -> bool {
        match self {
            Self::AcquireForSection { section_type, .. } => section_type != 0,
            Self::AcquireForCcFlush
            | Self::AcquireForModifiedPageWriter { .. }
            | Self::QueryOpen { .. } => true,
            _ => false,
        }
    }
}

static REGISTERED: LazyLock<Mutex<HashMap<usize, FS_FILTER_CALLBACKS>>> =
    LazyLock::new(Mutex::default);

fn registered() -> MutexGuard<'static, HashMap<usize, FS_FILTER_CALLBACKS>> {
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The callbacks that a driver has registered.
pub fn registered_by(driver: *mut DRIVER_OBJECT) -> Option<FS_FILTER_CALLBACKS> {
    registered().get(&(driver as usize)).copied()
}

/// `FsRtlRegisterFileSystemFilterCallbacks`. A shorter structure of an earlier
/// version is completed with null entries.
///
/// # Errors (as NTSTATUS)
/// `STATUS_INVALID_PARAMETER` for a null argument or an impossible size.
///
/// # Safety
/// `callbacks` is null or has the size it says.
pub unsafe fn register(
    driver: *mut DRIVER_OBJECT,
    callbacks: *const FS_FILTER_CALLBACKS,
) -> NTSTATUS {
    if driver.is_null() || callbacks.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: contract.
    unsafe {
        let size = (*callbacks).SizeOfFsFilterCallbacks;
        if size < SIZE_WITHOUT_QUERY_OPEN {
            return STATUS_INVALID_PARAMETER;
        }
        let mut copy = FS_FILTER_CALLBACKS::default();
        std::ptr::copy_nonoverlapping(
            callbacks.cast::<u8>(),
            (&raw mut copy).cast::<u8>(),
            (size as usize).min(size_of::<FS_FILTER_CALLBACKS>()),
        );
        registered().insert(driver as usize, copy);
    }
    STATUS_SUCCESS
}

/// Forgets a driver that is being unloaded.
pub(super) fn forget(driver: *mut DRIVER_OBJECT) {
    registered().remove(&(driver as usize));
}

struct Asked {
    device: *mut DEVICE_OBJECT,
    pair: Pair,
    context: *mut c_void,
}

/// Asks the stack of `file` about `operation`: the outcome of an acquire, success of a release.
///
/// # Safety
/// `file` is alive. Below `DISPATCH_LEVEL`.
pub unsafe fn invoke(file: *mut FILE_OBJECT, operation: Operation) -> NTSTATUS {
    // SAFETY: contract; the stack does not come apart while the file is open.
    unsafe {
        let base = file::base_file_system_device(file);
        let mut data: FS_FILTER_CALLBACK_DATA = std::mem::zeroed();
        data.SizeOfFsFilterCallbackData = size_of::<FS_FILTER_CALLBACK_DATA>() as u32;
        data.Operation = operation.code();
        data.FileObject = file;
        let mut ending = 0_i64;
        let mut resource: *mut crate::nt::ERESOURCE = std::ptr::null_mut();
        let mut room: u32;
        match operation {
            Operation::AcquireForSection {
                section_type,
                page_protection,
            } => {
                data.Parameters.AcquireForSectionSynchronization.SyncType = section_type;
                data.Parameters
                    .AcquireForSectionSynchronization
                    .PageProtection = page_protection;
            }
            Operation::AcquireForModifiedPageWriter { ending_offset } => {
                ending = ending_offset;
                data.Parameters.AcquireForModifiedPageWriter.EndingOffset = &raw mut ending;
                data.Parameters
                    .AcquireForModifiedPageWriter
                    .ResourceToRelease = &raw mut resource;
            }
            Operation::QueryOpen { class, length } => {
                room = length;
                data.Parameters.QueryOpen.Length = &raw mut room;
                data.Parameters.QueryOpen.FileInformationClass = class;
            }
            _ => {}
        }
        let mut asked: Vec<Asked> = Vec::new();
        let mut status = STATUS_SUCCESS;
        let mut at = device::top_of_stack(base);
        let mut arrived = None;
        loop {
            if at == base {
                let code = operation.code();
                let parameters = operation.parameters();
                arrived = witness::filter_operation_arrives(code, base, file, parameters);
            }
            // Before the driver is called, which may leave the stack meanwhile.
            let below = device::lower(at);
            let callbacks = registered().get(&((*at).DriverObject as usize)).copied();
            if let Some(callbacks) = callbacks {
                let mut one = Asked {
                    device: at,
                    pair: operation.pair(&callbacks),
                    context: std::ptr::null_mut(),
                };
                data.DeviceObject = at;
                if let Some(pre) = one.pair.Pre {
                    points::point();
                    let answer = entering(pre)(&raw mut data, &raw mut one.context);
                    let done = answer == STATUS_FSFILTER_OP_COMPLETED_SUCCESSFULLY;
                    if operation.can_fail() && (!Status(answer).is_success() || done) {
                        status = if done { STATUS_SUCCESS } else { answer };
                        // The driver that decided is not told the outcome of its own decision.
                        break;
                    }
                }
                asked.push(one);
            }
            if at == base {
                if !registered().contains_key(&((*base).DriverObject as usize)) {
                    status = own_routine(file, base, operation, &raw mut ending);
                }
                break;
            }
            at = below;
            if at.is_null() {
                break;
            }
        }
        for one in asked.into_iter().rev() {
            if one.device != base {
                // It has returned from the file system, whose own callback is the last.
                witness::fast_io_returns(arrived.take(), Some((status, 0)));
            }
            if let Some(post) = one.pair.Post {
                data.DeviceObject = one.device;
                entering(post)(&raw mut data, status, one.context);
            }
        }
        status
    }
}

/// A file system without callbacks: its fast I/O table has the routines of old.
unsafe fn own_routine(
    file: *mut FILE_OBJECT,
    device: *mut DEVICE_OBJECT,
    operation: Operation,
    ending: *mut i64,
) -> NTSTATUS {
    // SAFETY: contract of the caller.
    unsafe {
        match operation {
            Operation::AcquireForSection { .. } => {
                if let Some(routine) =
                    fast_io_of(device, |table| table.AcquireFileForNtCreateSection)
                {
                    entering(routine)(file);
                }
            }
            Operation::ReleaseForSection => {
                if let Some(routine) =
                    fast_io_of(device, |table| table.ReleaseFileForNtCreateSection)
                {
                    entering(routine)(file);
                }
            }
            Operation::AcquireForCcFlush => {
                if let Some(routine) = fast_io_of(device, |table| table.AcquireForCcFlush) {
                    return entering(routine)(file, device);
                }
            }
            Operation::ReleaseForCcFlush => {
                if let Some(routine) = fast_io_of(device, |table| table.ReleaseForCcFlush) {
                    return entering(routine)(file, device);
                }
            }
            Operation::AcquireForModifiedPageWriter { .. } => {
                let mut resource = std::ptr::null_mut();
                if let Some(routine) = fast_io_of(device, |table| table.AcquireForModWrite) {
                    return entering(routine)(file, ending, &raw mut resource, device);
                }
            }
            _ => {}
        }
    }
    STATUS_SUCCESS
}
