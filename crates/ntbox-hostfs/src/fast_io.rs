//! Fast I/O: the requests that a file system answers without an IRP.
//!
//! A call that cannot be answered fully is declined, and an IRP follows: that
//! is how locks in the way, errors of the host and unusual opens are reported.
//! The adversary declines some on a whim. The obsolete acquire and release
//! entries are absent, as are compressed transfers; the MDL entries decline.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "arguments are given by pointer"
)]

use super::context::{self, Mounted};
use super::data::{END_OF_FILE, Transfer};
use super::oplocks::Operation;
use super::volume::OpenId;
use super::waiting::Effects;
use super::{adversary, fast_locks, opening, pending, tally};
use ntbox_kernel::io_manager::witness;
use ntbox_kernel::nt::fast_io::FAST_IO_DISPATCH;
use ntbox_kernel::nt::{
    DEVICE_OBJECT, FILE_OBJECT, FO_FILE_FAST_IO_READ, FO_FILE_MODIFIED,
    FO_NO_INTERMEDIATE_BUFFERING, FileBasicInformation, FileNetworkOpenInformation,
    FileStandardInformation, IO_STATUS_BLOCK, IRP, IrpExt, MDL, NTSTATUS, STATUS_END_OF_FILE,
    STATUS_SUCCESS,
};
use ntbox_kernel::processor::thread;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) type File = *mut FILE_OBJECT;
pub(super) type Device = *mut DEVICE_OBJECT;
pub(super) type Iosb = *mut IO_STATUS_BLOCK;

/// The table of both drivers.
pub static TABLE: FAST_IO_DISPATCH = FAST_IO_DISPATCH {
    SizeOfFastIoDispatch: size_of::<FAST_IO_DISPATCH>() as u32,
    FastIoCheckIfPossible: Some(check_if_possible),
    FastIoRead: Some(read),
    FastIoWrite: Some(write),
    FastIoQueryBasicInfo: Some(query_basic),
    FastIoQueryStandardInfo: Some(query_standard),
    FastIoLock: Some(fast_locks::lock),
    FastIoUnlockSingle: Some(fast_locks::unlock_single),
    FastIoUnlockAll: Some(fast_locks::unlock_all),
    FastIoUnlockAllByKey: Some(fast_locks::unlock_all_by_key),
    FastIoDeviceControl: Some(device_control),
    AcquireFileForNtCreateSection: None,
    ReleaseFileForNtCreateSection: None,
    FastIoDetachDevice: None,
    FastIoQueryNetworkOpenInfo: Some(query_network_open),
    AcquireForModWrite: None,
    MdlRead: Some(mdl_read),
    MdlReadComplete: Some(mdl_read_complete),
    PrepareMdlWrite: Some(prepare_mdl_write),
    MdlWriteComplete: Some(mdl_write_complete),
    FastIoReadCompressed: None,
    FastIoWriteCompressed: None,
    MdlReadCompleteCompressed: None,
    MdlWriteCompleteCompressed: None,
    FastIoQueryOpen: Some(query_open),
    ReleaseForModWrite: None,
    AcquireForCcFlush: None,
    ReleaseForCcFlush: None,
};

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
    pub const MDL_COMPLETE: usize = 14;
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
    let result = found.filter(|_| !declined).and_then(|(mounted, open)| {
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
unsafe fn arrives(
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
unsafe fn decline(entry: usize, device: Device, file: File, parameters: [u64; 2]) -> u8 {
    // SAFETY: contract.
    let witness = unsafe { arrives(entry, device, file, parameters) };
    tally::count_fast_io(entry, false);
    witness::fast_io_returns(witness, None);
    0
}

impl Call {
    fn transfer(&self, offset: i64, key: u32) -> Transfer {
        Transfer {
            offset,
            process: current_process(),
            key,
            paging: false,
            aligned: false,
        }
    }
    /// Noncached opens and volumes take no data this way.
    fn is_cached(&self) -> bool {
        // SAFETY: the caller's file object is alive.
        let file = unsafe { &*self.file };
        file.Flags & FO_NO_INTERMEDIATE_BUFFERING == 0 && !file.PrivateCacheMap.is_null()
    }
    /// An operation that breaks an oplock, and may have to wait for that, takes an IRP.
    pub(super) fn oplock_allows(&self, operation: Operation) -> bool {
        self.mounted.volume.oplock_allows(self.open, operation)
    }
    fn moved(&self, position: i64, flag: u32) {
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
    fn query<const BYTES: usize>(
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

fn current_process() -> usize {
    thread::current().process() as usize
}

unsafe extern "win64" fn check_if_possible(
    file: File,
    offset: *mut i64,
    length: u32,
    _wait: u8,
    key: u32,
    reading: u8,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(
            entry::CHECK,
            (file, device),
            [*offset as u64, length.into()],
            iosb,
            |call| {
                let offset = *offset;
                let owner = super::locks::Owner {
                    file: call.open.0,
                    process: current_process(),
                    key,
                };
                let range = super::locks::Range::new(offset as u64, length.into()).ok()?;
                let state = call.mounted.volume.state();
                let locks = &state.file_of(call.open).ok()?.locks;
                let free = if reading != 0 {
                    locks.allows_read(owner, range)
                } else {
                    locks.allows_write(owner, range)
                };
                free.then_some((STATUS_SUCCESS, 0))
            },
        )
    }
}

unsafe extern "win64" fn read(
    file: File,
    offset: *mut i64,
    length: u32,
    _wait: u8,
    key: u32,
    buffer: *mut c_void,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented: `length` writable bytes at `buffer`.
    unsafe {
        answer(
            entry::READ,
            (file, device),
            [*offset as u64, length.into()],
            iosb,
            |call| {
                if !call.is_cached() || !call.oplock_allows(Operation::Read) {
                    return None;
                }
                let offset = *offset;
                let bytes = match length {
                    0 => &mut [],
                    length => std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length as usize),
                };
                let transfer = call.transfer(offset, key);
                let (status, count) = call.mounted.volume.read(call.open, &transfer, bytes);
                match status {
                    STATUS_SUCCESS => {
                        call.moved(offset + count as i64, FO_FILE_FAST_IO_READ);
                        Some((status, count))
                    }
                    STATUS_END_OF_FILE => Some((status, 0)),
                    _ => None,
                }
            },
        )
    }
}

unsafe extern "win64" fn write(
    file: File,
    offset: *mut i64,
    length: u32,
    _wait: u8,
    key: u32,
    buffer: *mut c_void,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented: `length` readable bytes at `buffer`.
    unsafe {
        answer(
            entry::WRITE,
            (file, device),
            [*offset as u64, length.into()],
            iosb,
            |call| {
                if !call.is_cached() || !call.oplock_allows(Operation::Write) {
                    return None;
                }
                let wanted = *offset;
                let offset = if wanted as u32 == u32::MAX && wanted >> 32 == -1 {
                    END_OF_FILE
                } else {
                    wanted
                };
                let bytes = match length {
                    0 => &[],
                    length => std::slice::from_raw_parts(buffer.cast::<u8>(), length as usize),
                };
                let transfer = call.transfer(offset, key);
                let ((status, count), offset) =
                    call.mounted.volume.write(call.open, &transfer, bytes);
                if status != STATUS_SUCCESS {
                    return None;
                }
                call.moved(offset + count as i64, FO_FILE_MODIFIED);
                call.update();
                Some((status, count))
            },
        )
    }
}

unsafe extern "win64" fn query_basic(
    file: File,
    _wait: u8,
    buffer: *mut c_void,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(entry::BASIC, (file, device), [0; 2], iosb, |call| {
            call.query::<40>(FileBasicInformation, buffer)
        })
    }
}

unsafe extern "win64" fn query_standard(
    file: File,
    _wait: u8,
    buffer: *mut c_void,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(entry::STANDARD, (file, device), [0; 2], iosb, |call| {
            call.query::<24>(FileStandardInformation, buffer)
        })
    }
}

unsafe extern "win64" fn query_network_open(
    file: File,
    _wait: u8,
    buffer: *mut c_void,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(entry::NETWORK_OPEN, (file, device), [0; 2], iosb, |call| {
            call.query::<56>(FileNetworkOpenInformation, buffer)
        })
    }
}

unsafe extern "win64" fn device_control(
    file: File,
    _: u8,
    _: *mut c_void,
    _: u32,
    _: *mut c_void,
    length: u32,
    code: u32,
    _: Iosb,
    device: Device,
) -> u8 {
    let parameters = [code.into(), length.into()];
    // SAFETY: the entry's arguments as documented.
    unsafe { decline(entry::DEVICE_CONTROL, device, file, parameters) }
}

unsafe extern "win64" fn query_open(irp: *mut IRP, information: *mut c_void, device: Device) -> u8 {
    let entry = entry::QUERY_OPEN;
    // SAFETY: the entry's arguments as documented.
    let file = unsafe { (*irp.current_location()).FileObject };
    // SAFETY: as above.
    let witness = unsafe { arrives(entry, device, file, [0; 2]) };
    // SAFETY: as above.
    let answered = !adversary::declines_fast_io(entry)
        && unsafe { opening::query_open(device, irp, information) };
    tally::count_fast_io(entry, answered);
    witness::fast_io_returns(witness, answered.then_some((STATUS_SUCCESS, 0)));
    answered.into()
}

unsafe extern "win64" fn mdl_read(
    file: File,
    offset: *mut i64,
    length: u32,
    _: u32,
    _: *mut *mut MDL,
    _: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    let parameters = [unsafe { *offset } as u64, length.into()];
    // SAFETY: as above.
    unsafe { decline(entry::MDL_READ, device, file, parameters) }
}

unsafe extern "win64" fn prepare_mdl_write(
    file: File,
    offset: *mut i64,
    length: u32,
    _: u32,
    _: *mut *mut MDL,
    _: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    let parameters = [unsafe { *offset } as u64, length.into()];
    // SAFETY: as above.
    unsafe { decline(entry::PREPARE_MDL_WRITE, device, file, parameters) }
}

unsafe extern "win64" fn mdl_read_complete(_: File, _: *mut MDL, _: Device) -> u8 {
    tally::count_fast_io(entry::MDL_COMPLETE, false);
    0
}

unsafe extern "win64" fn mdl_write_complete(_: File, _: *mut i64, _: *mut MDL, _: Device) -> u8 {
    tally::count_fast_io(entry::MDL_COMPLETE, false);
    0
}
