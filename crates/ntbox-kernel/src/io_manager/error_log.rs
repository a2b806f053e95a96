//! The error log: what drivers write with `IoWriteErrorLogEntry`.
//!
//! `IoAllocateErrorLogEntry` hands out the packet behind a header of the I/O
//! manager; writing or freeing it takes it back. Where an entry that cannot be is asked for or written, the
//! event log would lose it, or show what it was not given.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "packets are filled in by drivers through a pointer"
)]

use super::{checks, device};
use crate::nt::{IO_ERROR_LOG_PACKET, NTSTATUS};
use crate::pool;
use crate::processor::lifetime;
use crate::processor::object::{self, Kind};
use crate::verifier::rules;
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
/// Below the size of the structure, nothing is allocated.
const MINIMUM: usize = size_of::<IO_ERROR_LOG_PACKET>();
/// `ERROR_LOG_MAXIMUM_SIZE`, which on x64 is `ERROR_LOG_LIMIT_SIZE`.
const MAXIMUM: usize = 240;
/// Where the dump data begin.
const DUMP: usize = std::mem::offset_of!(IO_ERROR_LOG_PACKET, DumpData);
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
    if object.is_null() {
        return std::ptr::null_mut();
    }
    if !(MINIMUM..=MAXIMUM).contains(&bytes) {
        let what = format!("asks for an entry of {bytes} bytes; there are {MINIMUM} to {MAXIMUM}");
        complain(what, "called by", site);
        return std::ptr::null_mut();
    }
    let block = pool::allocate(pool::Kind::NonPaged, HEADER + bytes, TAG, site);
    if block.is_null() {
        return block;
    }
    // SAFETY: contract; the block is large enough and new.
    unsafe {
        lifetime::reference(object);
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
        lifetime::dereference((*header).object);
        pool::free(header.cast(), Some(TAG), site);
    }
}

/// `IoWriteErrorLogEntry`: keeps the packet's contents and frees it.
///
/// # Safety
/// As [`free`].
pub unsafe fn write(packet: *mut c_void, site: usize) {
    // SAFETY: contract; what the packet says is taken from the block only as far as that reaches.
    unsafe {
        let header = packet.byte_sub(HEADER).cast::<Header>();
        let log = packet.cast::<IO_ERROR_LOG_PACKET>();
        let object = (*header).object;
        let driver = match object::kind_of(object) {
            Some(Kind::Device) => device::describe(object.cast()),
            _ => object::name_of(object).unwrap_or_default(),
        };
        let block = std::slice::from_raw_parts(packet.cast::<u8>(), (*header).bytes);
        let layout = Layout {
            dump: usize::from((*log).DumpDataSize),
            offset: usize::from((*log).StringOffset),
            strings: usize::from((*log).NumberOfStrings),
        };
        if let Err(what) = layout.check(block) {
            complain(what, "written by", site);
        }
        let dump = block[DUMP..].iter().copied().take(layout.dump).collect();
        let strings = units_from(block, layout.offset)
            .split(|unit| *unit == 0)
            .take(layout.strings)
            .map(String::from_utf16_lossy)
            .collect();
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

fn complain(what: String, role: &'static str, site: usize) {
    let sites = vec![(role, site)];
    checks::report(&rules::ERROR_LOG_ENTRY, what, std::ptr::null_mut(), sites);
}

/// Where a packet says that its data and strings are.
struct Layout {
    dump: usize,
    offset: usize,
    strings: usize,
}

impl Layout {
    /// Whether all of it lies in the entry.
    fn check(&self, block: &[u8]) -> Result<(), String> {
        let bytes = block.len();
        let dump_end = DUMP + self.dump;
        if !self.dump.is_multiple_of(4) || dump_end > bytes {
            let dump = self.dump;
            return Err(format!(
                "an entry of {bytes} bytes has {dump} bytes of dump data, which is not a multiple of 4 that fits"
            ));
        }
        if self.strings == 0 {
            return Ok(());
        }
        let offset = self.offset;
        if offset < dump_end || !offset.is_multiple_of(2) || offset > bytes {
            return Err(format!(
                "the strings of an entry of {bytes} bytes are at {offset}; its data end at {dump_end}"
            ));
        }
        let units = units_from(block, offset);
        let ended = units.into_iter().filter(|unit| *unit == 0).count();
        if ended < self.strings {
            let counted = self.strings;
            return Err(format!(
                "an entry of {bytes} bytes has {ended} strings that end in it, and counts {counted}"
            ));
        }
        Ok(())
    }
}

/// The block in code units, from an offset on.
fn units_from(block: &[u8], offset: usize) -> Vec<u16> {
    block
        .get(offset..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_holds_what_it_counts() {
        let mut block = vec![0; 56];
        block[48..].copy_from_slice(b"a\0\0\0b\0\0\0");
        let check = |dump, offset, strings| {
            let layout = Layout {
                dump,
                offset,
                strings,
            };
            layout.check(&block)
        };
        for (dump, offset, strings) in [(0, 48, 2), (0, 0, 0), (8, 48, 1), (16, 0, 0), (0, 40, 6)] {
            assert_eq!(check(dump, offset, strings), Ok(()));
        }
        for (dump, offset, strings) in [
            (0, 48, 3),
            (0, 58, 1),
            (0, 49, 1),
            (0, 38, 1),
            (12, 48, 1),
            (6, 0, 0),
            (20, 0, 0),
        ] {
            assert!(
                check(dump, offset, strings).is_err(),
                "{dump} {offset} {strings}"
            );
        }
        let mut cut_off = block;
        cut_off[54] = b'c';
        let layout = Layout {
            dump: 0,
            offset: 48,
            strings: 2,
        };
        assert!(layout.check(&cut_off).is_err());
    }
}
