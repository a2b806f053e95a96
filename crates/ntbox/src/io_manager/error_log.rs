//! The error log: what drivers write with `IoWriteErrorLogEntry`.
//!
//! `IoAllocateErrorLogEntry` hands out the packet behind a header of the I/O
//! manager; writing or freeing it takes it back.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "packets are filled in by drivers through a pointer"
)]

use super::device;
use super::object::{self, Kind};
use crate::nt::{IO_ERROR_LOG_PACKET, NTSTATUS};
use crate::pool;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

/// A packet that a driver wrote.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The device or driver it is about.
    pub driver: String,
    /// `ErrorCode`
    pub error: NTSTATUS,
    /// `FinalStatus`
    pub final_status: NTSTATUS,
    /// `UniqueErrorValue`
    pub unique_value: u32,
    /// Insertion strings.
    pub strings: Vec<String>,
    /// `DumpData`
    pub dump: Vec<u8>,
}

#[repr(C, align(16))]
struct Header {
    object: *mut c_void,
    bytes: usize,
}

const HEADER: usize = size_of::<Header>();
/// `ERROR_LOG_MAXIMUM_SIZE` less the I/O manager's part.
const MAXIMUM: usize = 152;
const TAG: u32 = u32::from_le_bytes(*b"IoEr");

static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// What was written so far.
pub fn entries() -> Vec<Entry> {
    ENTRIES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// `IoAllocateErrorLogEntry`; null for an impossible size or when the pool fails.
///
/// # Safety
/// `object` is a live device or driver object.
pub unsafe fn allocate(object: *mut c_void, bytes: u8, site: usize) -> *mut c_void {
    let bytes = usize::from(bytes);
    if object.is_null()
        || bytes < std::mem::offset_of!(IO_ERROR_LOG_PACKET, DumpData)
        || bytes > MAXIMUM
    {
        return std::ptr::null_mut();
    }
    let block = pool::allocate(pool::Kind::NonPaged, HEADER + bytes, TAG, site);
    if block.is_null() {
        return block;
    }
    // SAFETY: contract; the block is large enough and new.
    unsafe {
        object::reference(object);
        std::ptr::write_bytes(block.cast::<u8>(), 0, HEADER + bytes);
        block.cast::<Header>().write(Header { object, bytes });
    }
    block.wrapping_byte_add(HEADER)
}

/// `IoFreeErrorLogEntry`.
///
/// # Safety
/// `packet` came from [`allocate`] and is the caller's.
pub unsafe fn free(packet: *mut c_void, site: usize) {
    // SAFETY: contract.
    unsafe {
        let header = packet.byte_sub(HEADER).cast::<Header>();
        object::dereference((*header).object);
        pool::free(header.cast(), Some(TAG), site);
    }
}

/// `IoWriteErrorLogEntry`: keeps the packet's contents and frees it.
///
/// # Safety
/// As [`free`].
pub unsafe fn write(packet: *mut c_void, site: usize) {
    // SAFETY: contract; offsets are clamped to the block.
    unsafe {
        let header = packet.byte_sub(HEADER).cast::<Header>();
        let log = packet.cast::<IO_ERROR_LOG_PACKET>();
        let object = (*header).object;
        let driver = match object::kind_of(object) {
            Some(Kind::Device) => device::describe(object.cast()),
            _ => object::name_of(object).unwrap_or_default(),
        };
        let block = std::slice::from_raw_parts(packet.cast::<u8>(), (*header).bytes);
        let dump_at = std::mem::offset_of!(IO_ERROR_LOG_PACKET, DumpData);
        let dump = block[dump_at..]
            .iter()
            .copied()
            .take(usize::from((*log).DumpDataSize))
            .collect();
        let strings = strings(
            block,
            usize::from((*log).StringOffset),
            usize::from((*log).NumberOfStrings),
        );
        let entry = Entry {
            driver,
            error: (*log).ErrorCode,
            final_status: (*log).FinalStatus,
            unique_value: (*log).UniqueErrorValue,
            strings,
            dump,
        };
        ENTRIES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry);
        free(packet, site);
    }
}

fn strings(block: &[u8], offset: usize, count: usize) -> Vec<String> {
    let units: Vec<u16> = block
        .get(offset..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    units
        .split(|unit| *unit == 0)
        .take(count)
        .map(String::from_utf16_lossy)
        .collect()
}
