//! Fast I/O: the requests that a file system answers without an IRP.
//!
//! A call that cannot be answered fully is declined, and an IRP follows: that
//! is how locks in the way, errors of the host and unusual opens are reported.
//! The adversary declines some on a whim. The obsolete acquire and release
//! entries are absent, as are compressed transfers.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "arguments are given by pointer"
)]

use super::data::END_OF_FILE;
use super::fast_call::{
    Call, Device, File, Iosb, answer, arrives, current_process, decline, entry,
};
use super::oplocks::Operation;
use super::{adversary, fast_locks, mdl_transfers, opening, tally};
use ntbox_kernel::io_manager::{cache_pages, witness};
use ntbox_kernel::nt::fast_io::FAST_IO_DISPATCH;
use ntbox_kernel::nt::{
    FO_FILE_FAST_IO_READ, FO_FILE_MODIFIED, FileBasicInformation, FileNetworkOpenInformation,
    FileStandardInformation, IRP, IrpExt, MDL, STATUS_END_OF_FILE, STATUS_SUCCESS,
};
use std::ffi::c_void;

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

unsafe extern "win64" fn check_if_possible(
    file: File,
    offset: *mut i64,
    length: u32,
    _wait: u8,
    key: u32,
    reading: u8,
    _: Iosb,
    device: Device,
) -> u8 {
    // As FASTFAT does, which leaves the status block to who transfers the data.
    let untouched = std::ptr::null_mut();
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(
            entry::CHECK,
            (file, device),
            [*offset as u64, length.into()],
            untouched,
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
    wait: u8,
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
                let cached = call.cached();
                if wait == 0 && !cached.is_here(offset, length, false) {
                    return None;
                }
                let (status, count) = cached.read(&transfer, bytes);
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
    wait: u8,
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
                let cached = call.cached();
                // Data that is to be on the disk takes an IRP (`FsRtlCopyWrite`).
                if transfer.through || wait == 0 && !cached.is_here(offset, length, true) {
                    return None;
                }
                let ((status, count), offset) = cached.write(&transfer, bytes);
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

/// Queries of one class, whose structure has so many bytes.
macro_rules! queries {
    ($($name:ident = $entry:expr, $class:expr, $bytes:literal;)*) => { $(
        unsafe extern "win64" fn $name(
            file: File,
            _wait: u8,
            buffer: *mut c_void,
            iosb: Iosb,
            device: Device,
        ) -> u8 {
            let query = |call: &Call| call.query::<$bytes>($class, buffer);
            // SAFETY: the entry's arguments as documented.
            unsafe { answer($entry, (file, device), [0; 2], iosb, query) }
        }
    )* };
}

queries! {
    query_basic = entry::BASIC, FileBasicInformation, 40;
    query_standard = entry::STANDARD, FileStandardInformation, 24;
    query_network_open = entry::NETWORK_OPEN, FileNetworkOpenInformation, 56;
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
    key: u32,
    list: *mut *mut MDL,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(
            entry::MDL_READ,
            (file, device),
            [*offset as u64, length.into()],
            iosb,
            |call| {
                if !call.is_cached() || !call.oplock_allows(Operation::Read) {
                    return None;
                }
                let transfer = call.transfer(*offset, key);
                match mdl_transfers::lend(&call.cached(), &transfer, length) {
                    Ok((pages, count)) => {
                        list.write(pages);
                        call.moved(*offset + count as i64, FO_FILE_FAST_IO_READ);
                        Some((STATUS_SUCCESS, count))
                    }
                    Err(STATUS_END_OF_FILE) => Some((STATUS_END_OF_FILE, 0)),
                    Err(_) => None,
                }
            },
        )
    }
}

unsafe extern "win64" fn mdl_read_complete(file: File, list: *mut MDL, device: Device) -> u8 {
    let none = std::ptr::null_mut();
    let take_back = |_: &Call| {
        cache_pages::take_back(list)?;
        Some((STATUS_SUCCESS, 0))
    };
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(
            entry::MDL_READ_COMPLETE,
            (file, device),
            [0; 2],
            none,
            take_back,
        )
    }
}

unsafe extern "win64" fn prepare_mdl_write(
    file: File,
    offset: *mut i64,
    length: u32,
    key: u32,
    list: *mut *mut MDL,
    iosb: Iosb,
    device: Device,
) -> u8 {
    // SAFETY: the entry's arguments as documented.
    unsafe {
        answer(
            entry::PREPARE_MDL_WRITE,
            (file, device),
            [*offset as u64, length.into()],
            iosb,
            |call| {
                if !call.is_cached() || !call.oplock_allows(Operation::Write) {
                    return None;
                }
                let transfer = call.transfer(*offset, key);
                let make_room = |length| call.cached().make_room(&transfer, length);
                let pages = mdl_transfers::prepare(length, make_room).ok()?;
                list.write(pages);
                call.moved(*offset + i64::from(length), FO_FILE_MODIFIED);
                call.update();
                Some((STATUS_SUCCESS, length as usize))
            },
        )
    }
}

unsafe extern "win64" fn mdl_write_complete(
    file: File,
    offset: *mut i64,
    list: *mut MDL,
    device: Device,
) -> u8 {
    let none = std::ptr::null_mut();
    // SAFETY: the entry's arguments as documented.
    let offset = unsafe { *offset };
    let take_back = |call: &Call| {
        // What cannot be written is said to a request, which comes with the list if this is declined.
        let through = call.transfer(offset, 0).through;
        mdl_transfers::write(offset, through, list, |transfer, bytes| {
            call.cached().write(transfer, bytes)
        })
        .filter(|status| *status == STATUS_SUCCESS)?;
        cache_pages::take_back(list)?;
        Some((STATUS_SUCCESS, 0))
    };
    // SAFETY: as above.
    unsafe {
        answer(
            entry::MDL_WRITE_COMPLETE,
            (file, device),
            [0; 2],
            none,
            take_back,
        )
    }
}
