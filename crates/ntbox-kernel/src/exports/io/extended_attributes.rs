//! Lists of extended attributes.
//!
//! Source: `IoCheckEaBufferValidity`, `FILE_FULL_EA_INFORMATION` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{FILE_FULL_EA_INFORMATION, NTSTATUS, STATUS_EA_LIST_INCONSISTENT, STATUS_SUCCESS};
use crate::processor::irql;
use std::mem::offset_of;

/// `IoCheckEaBufferValidity`: where the first entry is that is none is told.
pub unsafe extern "win64" fn check_buffer(
    buffer: *const u8,
    length: u32,
    error_offset: *mut u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoCheckEaBufferValidity", caller);
    let bytes: &[u8] = if length == 0 {
        &[]
    } else {
        // SAFETY: the driver's buffer has that many bytes.
        unsafe { std::slice::from_raw_parts(buffer, length as usize) }
    };
    match first_wrong(bytes) {
        None => STATUS_SUCCESS,
        Some(offset) => {
            // SAFETY: the driver's pointer.
            unsafe { error_offset.write(offset as u32) };
            STATUS_EA_LIST_INCONSISTENT
        }
    }
}

/// The offset of the first entry that does not keep the rules.
fn first_wrong(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at..).and_then(next_entry) {
            None => return Some(at),
            Some(0) => return None,
            Some(next) => at += next,
        }
    }
}

/// How far behind this entry the next one is, 0 for the last; `None` if it is no entry.
fn next_entry(entry: &[u8]) -> Option<usize> {
    const NAME: usize = offset_of!(FILE_FULL_EA_INFORMATION, EaName);
    let header = entry.get(..NAME)?;
    let next = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
    let name = usize::from(header[offset_of!(FILE_FULL_EA_INFORMATION, EaNameLength)]);
    let value_at = offset_of!(FILE_FULL_EA_INFORMATION, EaValueLength);
    let value = usize::from(u16::from_le_bytes([header[value_at], header[value_at + 1]]));
    let end = NAME + name + 1 + value;
    let is_entry = end <= entry.len() && entry[NAME + name] == 0;
    // Another one begins behind this, at a ULONG's boundary.
    let leads_on = next == 0 || next >= end && next.is_multiple_of(4);
    (is_entry && leads_on).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry with a value of three bytes, the next one as far behind it as said.
    fn entry(next: u32, name: &[u8], bytes: usize) -> Vec<u8> {
        let mut entry = next.to_le_bytes().to_vec();
        entry.extend([0, name.len() as u8, 3, 0]);
        entry.extend(name);
        entry.extend([0, b'v', b'a', b'l']);
        entry.resize(bytes, 0);
        entry
    }

    fn check(bytes: &[u8]) -> (NTSTATUS, u32) {
        let mut offset = 7;
        // SAFETY: a slice and a local variable.
        let status =
            unsafe { check_buffer(bytes.as_ptr(), bytes.len() as u32, &raw mut offset, 0) };
        (status, offset)
    }

    #[test]
    fn a_list_is_right_from_its_first_entry_to_its_last() {
        let last = entry(0, b"LAST", 16);
        let list = [entry(20, b"FIRST", 20), last.clone()].concat();
        assert_eq!(check(&list), (STATUS_SUCCESS, 7));
        assert_eq!(check(&last), (STATUS_SUCCESS, 7));
        for (what, wrong, at) in [
            ("nothing", vec![], 0),
            ("cut off", list[..list.len() - 1].to_vec(), 20),
            (
                "no boundary",
                [entry(18, b"FIRST", 18), last.clone()].concat(),
                0,
            ),
            (
                "into itself",
                [entry(16, b"FIRST", 20), last.clone()].concat(),
                0,
            ),
            ("behind the end", entry(20, b"FIRST", 20), 20),
        ] {
            assert_eq!(check(&wrong), (STATUS_EA_LIST_INCONSISTENT, at), "{what}");
        }
        let mut unended = last;
        unended[12] = b'x';
        assert_eq!(check(&unended), (STATUS_EA_LIST_INCONSISTENT, 0));
    }
}
