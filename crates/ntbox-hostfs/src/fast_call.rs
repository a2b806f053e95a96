//! A call of fast I/O: what its entries have in common.
//!
//! Each is told to the witness, may be declined by the adversary, and is counted.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "arguments are given by pointer"
)]

use super::cached::CachedFile;
use super::context::{self, Mounted};
use super::data::Transfer;
use super::oplocks::Operation;
use super::volume::OpenId;
use super::waiting::Effects;
use super::{adversary, media, pending, tally};
use ntbox_kernel::io_manager::witness;
use ntbox_kernel::nt::{
    DEVICE_OBJECT, FILE_OBJECT, FO_NO_INTERMEDIATE_BUFFERING, FO_WRITE_THROUGH, IO_STATUS_BLOCK,
    NTSTATUS, STATUS_SUCCESS,
};
use ntbox_kernel::processor::thread;
use ntbox_kernel::processor::top_level::Component;
use ntbox_kernel::user::cache;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) type File = *mut FILE_OBJECT;
pub(super) type Device = *mut DEVICE_OBJECT;
pub(super) type Iosb = *mut IO_STATUS_BLOCK;

/// Places of the entries in `tally::ENTRIES`.
pub(super) mod entry {
    pub const CHECK: usize = 0;
    pub const READ: usize = 1;
    pub const WRITE: usize = 2;
    pub const BASIC: usize = 3;
    pub const STANDARD: usize = 4;
    pub const NETWORK_OPEN: usize = 5;
    pub const LOCK: usize = 6;
    pub const UNLOCK_SINGLE: usize = 7;
    pub const UNLOCK_ALL: usize = 8;
    pub const UNLOCK_ALL_BY_KEY: usize = 9;
    pub const DEVICE_CONTROL: usize = 10;
    pub const QUERY_OPEN: usize = 11;
    pub const MDL_READ: usize = 12;
    pub const PREPARE_MDL_WRITE: usize = 13;
    pub const MDL_READ_COMPLETE: usize = 14;
    pub const MDL_WRITE_COMPLETE: usize = 15;
}

/// A call: the open it is for, and the block for its result.
pub(super) struct Call {
    file: File,
    pub(super) mounted: &'static Mounted,
    pub(super) open: OpenId,
}

/// Runs `work` unless the adversary declines; `Some` is the status and information to return.
///
/// # Safety
/// `file` is a live file object, `device` a live device and `iosb` null or writable.
pub(super) unsafe fn answer(
    entry: usize,
    (file, device): (File, Device),
    parameters: [u64; 2],
    iosb: Iosb,
    work: impl FnOnce(&Call) -> Option<(NTSTATUS, usize)>,
) -> u8 {
    // SAFETY: contract.
    let witness = unsafe { arrives(entry, device, file, parameters) };
    // SAFETY: contract.
    let found = unsafe { context::of_file(file) };
    let declined = adversary::declines_fast_io(entry);
    let gives_back = matches!(entry, entry::MDL_READ_COMPLETE | entry::MDL_WRITE_COMPLETE);
    let admitted = |mounted| gives_back || media::admits_fast_io(mounted);
    let found = found.filter(|(mounted, _)| !declined && admitted(mounted));
    let result = found.and_then(|(mounted, open)| {
        work(&Call {
            file,
            mounted,
            open,
        })
    });
    tally::count_fast_io(entry, result.is_some());
    witness::fast_io_returns(witness, result);
    let Some((status, information)) = result else {
        return 0;
    };
    // SAFETY: contract.
    if let Some(iosb) = unsafe { iosb.as_mut() } {
        iosb.Anonymous.Status = status;
        iosb.Information = information;
    }
    1
}

/// Tells the witness of a call.
///
/// # Safety
/// `device` is a live device.
pub(super) unsafe fn arrives(
    entry: usize,
    device: Device,
    file: File,
    [first, second]: [u64; 2],
) -> Option<witness::Ticket> {
    let name = tally::ENTRIES.get(entry)?;
    // SAFETY: contract.
    unsafe { witness::fast_io_arrives(name, device, file, [first, second, 0, 0]) }
}

/// Declines a call whatever it asks for.
///
/// # Safety
/// As [`arrives`].
pub(super) unsafe fn decline(entry: usize, device: Device, file: File, parameters: [u64; 2]) -> u8 {
    // SAFETY: contract.
    let witness = unsafe { arrives(entry, device, file, parameters) };
    tally::count_fast_io(entry, false);
    witness::fast_io_returns(witness, None);
    0
}

impl Call {
    pub(super) fn transfer(&self, offset: i64, key: u32) -> Transfer {
        Transfer {
            offset,
            process: current_process(),
            key,
            // SAFETY: the caller's file object is alive.
            through: unsafe { (*self.file).Flags } & FO_WRITE_THROUGH != 0,
            ..Transfer::default()
        }
    }
    /// Noncached opens and volumes take no data this way.
    pub(super) fn is_cached(&self) -> bool {
        // SAFETY: the caller's file object is alive.
        let flags = unsafe { (*self.file).Flags };
        // SAFETY: as above.
        let private = unsafe { cache::private_map(self.file) };
        flags & FO_NO_INTERMEDIATE_BUFFERING == 0 && !private.load(Ordering::Relaxed).is_null()
    }
    /// The file, whose data is cached.
    pub(super) fn cached(&self) -> CachedFile<'_> {
        // SAFETY: the caller's file object is alive.
        unsafe {
            CachedFile::new(
                &self.mounted.volume,
                self.open,
                self.file,
                Component::FastIo,
            )
        }
    }
    /// An operation that breaks an oplock, and may have to wait for that, takes an IRP.
    pub(super) fn oplock_allows(&self, operation: Operation) -> bool {
        self.mounted.volume.oplock_allows(self.open, operation)
    }
    pub(super) fn moved(&self, position: i64, flag: u32) {
        // SAFETY: as above; the position of a file that is shared by threads is theirs to order.
        unsafe { (*self.file).CurrentByteOffset = position };
        // SAFETY: as above.
        let flags = unsafe { AtomicU32::from_ptr(&raw mut (*self.file).Flags) };
        flags.fetch_or(flag, Ordering::Relaxed);
    }
    pub(super) fn update(&self) {
        // SAFETY: as above.
        let context = unsafe { (*self.file).FsContext };
        self.mounted.update(context, self.open);
    }
    pub(super) fn with_effects(
        &self,
        operation: impl FnOnce(&mut Effects<'_>) -> NTSTATUS,
    ) -> NTSTATUS {
        let mut effects = Effects::new(&pending::claim);
        let status = operation(&mut effects);
        pending::finish_waiting(effects.into_finished(), false);
        self.update();
        status
    }
    pub(super) fn query<const BYTES: usize>(
        &self,
        class: i32,
        buffer: *mut c_void,
    ) -> Option<(NTSTATUS, usize)> {
        // SAFETY: the entry's buffer is the structure of its class.
        let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), BYTES) };
        let (status, information) = self
            .mounted
            .volume
            .query_information(self.open, class, 0, buffer);
        (status == STATUS_SUCCESS).then_some((status, information))
    }
}

pub(super) fn current_process() -> usize {
    thread::current().process() as usize
}
