//! Strings into new strings: case, ANSI code page.
//!
//! The ANSI code page of the box is Windows-1252, the one of Western European
//! Windows. Buffers that a routine allocates are paged pool of the driver with
//! the tag "Strg", as NT's.
//!
//! Source: `RtlUpcaseUnicodeString`, `RtlAnsiStringToUnicodeString`,
//! `RtlUnicodeStringToAnsiString` in the DDI reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use super::strings::bytes;
use crate::nt::case;
use crate::nt::unicode::units;
use crate::nt::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_PARAMETER_2, STATUS_NO_MEMORY, STATUS_SUCCESS,
    UNICODE_STRING,
};
use crate::pool::{self, Kind};
use crate::processor::irql;
use std::ffi::c_void;
use windows_sys::Win32::System::Kernel::STRING;

const TAG: u32 = u32::from_le_bytes(*b"Strg");

/// `NlsMbCodePageTag`: false, the code page has one byte for each character.
pub static MULTI_BYTE_CODE_PAGE: u8 = 0;
/// `NlsMbOemCodePageTag`: the same of the OEM code page.
pub static MULTI_BYTE_OEM_CODE_PAGE: u8 = 0;

/// Windows-1252 from 0x80 to 0x9F; bytes without a character map to controls.
const C1: [u16; 32] = [
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
    0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178,
];

/// The code unit of an ANSI byte.
pub fn unit_of_ansi(byte: u8) -> u16 {
    match byte {
        0x80..=0x9F => C1[usize::from(byte) - 0x80],
        _ => u16::from(byte),
    }
}

/// The ANSI byte of a code unit; a question mark if there is none.
pub fn ansi_of_unit(unit: u16) -> u8 {
    match unit {
        0..=0x7F | 0xA0..=0xFF => unit as u8,
        _ => C1
            .iter()
            .position(|known| *known == unit)
            .map_or(b'?', |index| 0x80 + index as u8),
    }
}

/// Allocates a string buffer for the driver at `caller`; null if there is no memory.
pub fn allocate(bytes: usize, caller: usize) -> *mut c_void {
    pool::allocate(Kind::Paged, bytes.max(1), TAG, caller)
}

/// # Safety
/// `target` and `source` point to valid strings.
unsafe fn convert_case(
    target: *mut UNICODE_STRING,
    source: *const UNICODE_STRING,
    allocated: bool,
    convert: fn(u16) -> u16,
    caller: usize,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    let source = unsafe { units(source) };
    // SAFETY: contract of the function.
    let target = unsafe { &mut *target };
    let bytes = (source.len() * 2) as u16;
    if allocated {
        let buffer = allocate(usize::from(bytes), caller);
        if buffer.is_null() {
            return STATUS_NO_MEMORY;
        }
        (target.Buffer, target.MaximumLength) = (buffer.cast(), bytes);
    } else if bytes > target.MaximumLength {
        return STATUS_BUFFER_OVERFLOW;
    }
    for (index, unit) in source.iter().enumerate() {
        // SAFETY: the buffer holds that many units; it may be the source's.
        unsafe { target.Buffer.add(index).write(convert(*unit)) };
    }
    target.Length = bytes;
    STATUS_SUCCESS
}

/// `RtlUpcaseUnicodeString`.
pub unsafe extern "win64" fn upcase(
    target: *mut UNICODE_STRING,
    source: *const UNICODE_STRING,
    allocated: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlUpcaseUnicodeString", caller);
    // SAFETY: the driver passes strings.
    unsafe { convert_case(target, source, allocated != 0, case::upcase, caller) }
}

/// `RtlDowncaseUnicodeString`.
pub unsafe extern "win64" fn downcase(
    target: *mut UNICODE_STRING,
    source: *const UNICODE_STRING,
    allocated: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlDowncaseUnicodeString", caller);
    // SAFETY: the driver passes strings.
    unsafe { convert_case(target, source, allocated != 0, case::downcase, caller) }
}

/// `RtlAnsiStringToUnicodeString`: terminated; a buffer that is too small is left alone.
pub unsafe extern "win64" fn ansi_to_unicode(
    target: *mut UNICODE_STRING,
    source: *const STRING,
    allocated: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlAnsiStringToUnicodeString", caller);
    // SAFETY: the driver passes strings.
    let source = unsafe { bytes(source) };
    // SAFETY: as above.
    let target = unsafe { &mut *target };
    let Ok(total) = u16::try_from((source.len() + 1) * 2) else {
        return STATUS_INVALID_PARAMETER_2;
    };
    if allocated != 0 {
        let buffer = allocate(usize::from(total), caller);
        if buffer.is_null() {
            return STATUS_NO_MEMORY;
        }
        (target.Buffer, target.MaximumLength) = (buffer.cast(), total);
    } else if total > target.MaximumLength {
        return STATUS_BUFFER_OVERFLOW;
    }
    for (index, byte) in source.iter().chain(&[0]).enumerate() {
        // SAFETY: the buffer holds `total` bytes.
        unsafe { target.Buffer.add(index).write(unit_of_ansi(*byte)) };
    }
    target.Length = total - 2;
    STATUS_SUCCESS
}

/// `RtlUnicodeStringToAnsiString`: terminated; cut with `STATUS_BUFFER_OVERFLOW`
/// if the buffer is too small.
pub unsafe extern "win64" fn unicode_to_ansi(
    target: *mut STRING,
    source: *const UNICODE_STRING,
    allocated: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlUnicodeStringToAnsiString", caller);
    // SAFETY: the driver passes strings.
    let source = unsafe { units(source) };
    // SAFETY: as above.
    let target = unsafe { &mut *target };
    // At most 32,767 units, so this fits.
    let total = (source.len() + 1) as u16;
    if allocated != 0 {
        let buffer = allocate(usize::from(total), caller);
        if buffer.is_null() {
            return STATUS_NO_MEMORY;
        }
        (target.Buffer, target.MaximumLength) = (buffer.cast(), total);
    }
    let Some(room) = target.MaximumLength.checked_sub(1) else {
        return STATUS_BUFFER_OVERFLOW;
    };
    let kept = usize::from(room.min(total - 1));
    let buffer = target.Buffer.cast::<u8>();
    for (index, unit) in source.iter().take(kept).enumerate() {
        // SAFETY: the buffer holds `MaximumLength` bytes.
        unsafe { buffer.add(index).write(ansi_of_unit(*unit)) };
    }
    // SAFETY: as above.
    unsafe { buffer.add(kept).write(0) };
    target.Length = kept as u16;
    if kept < source.len() {
        STATUS_BUFFER_OVERFLOW
    } else {
        STATUS_SUCCESS
    }
}

/// `RtlxAnsiStringToUnicodeSize`: bytes with the terminator.
pub unsafe extern "win64" fn ansi_to_unicode_size(source: *const STRING) -> u32 {
    irql::require("RtlxAnsiStringToUnicodeSize", 0);
    // SAFETY: the driver passes a string.
    (unsafe { bytes(source) }.len() as u32 + 1) * 2
}

/// `RtlxUnicodeStringToAnsiSize`: bytes with the terminator.
pub unsafe extern "win64" fn unicode_to_ansi_size(source: *const UNICODE_STRING) -> u32 {
    irql::require("RtlxUnicodeStringToAnsiSize", 0);
    // SAFETY: the driver passes a string.
    unsafe { units(source) }.len() as u32 + 1
}

/// `RtlFreeUnicodeString`, `RtlFreeAnsiString`: the two structures have one layout.
pub unsafe extern "win64" fn free_unicode(string: *mut UNICODE_STRING, caller: usize) {
    irql::require("RtlFreeUnicodeString", caller);
    // SAFETY: the driver passes a string of one of these routines.
    let string = unsafe { &mut *string };
    if !string.Buffer.is_null() {
        // SAFETY: the pool checks the address.
        unsafe { pool::free(string.Buffer.cast(), None, caller) };
        *string = UNICODE_STRING::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::unicode::{OwnedUnicodeString, to_string};

    #[test]
    fn upper_case_in_place_or_in_a_new_buffer() {
        let source = OwnedUnicodeString::new("grüße");
        let mut string = source.as_unicode();
        let mut new = UNICODE_STRING::default();
        assert_eq!(
            // SAFETY: valid strings, here and below.
            unsafe { upcase(&raw mut new, &raw const string, 1, 0) },
            STATUS_SUCCESS
        );
        assert_eq!(
            (
                // SAFETY: as above.
                unsafe { to_string(&raw const new) }.as_str(),
                new.MaximumLength
            ),
            ("GRÜßE", 10)
        );
        // SAFETY: as above.
        unsafe { free_unicode(&raw mut new, 0) };
        assert!(new.Buffer.is_null());
        let same = &raw mut string;
        // SAFETY: as above.
        assert_eq!(unsafe { upcase(same, same, 0, 0) }, STATUS_SUCCESS);
        // SAFETY: as above.
        assert_eq!(unsafe { to_string(same) }, "GRÜßE");
        let mut small = UNICODE_STRING {
            MaximumLength: 4,
            ..UNICODE_STRING::default()
        };
        assert_eq!(
            // SAFETY: as above.
            unsafe { downcase(&raw mut small, same, 0, 0) },
            STATUS_BUFFER_OVERFLOW
        );
    }

    #[test]
    fn ansi_is_windows_1252() {
        let ansi = *b"\x80uro \xE9\0";
        let source = STRING {
            Length: 6,
            MaximumLength: 7,
            Buffer: ansi.as_ptr().cast_mut().cast(),
        };
        let mut wide = UNICODE_STRING::default();
        assert_eq!(
            // SAFETY: valid strings, here and below.
            unsafe { ansi_to_unicode(&raw mut wide, &raw const source, 1, 0) },
            STATUS_SUCCESS
        );
        // SAFETY: as above.
        assert_eq!(unsafe { to_string(&raw const wide) }, "€uro é");
        assert_eq!((wide.Length, wide.MaximumLength), (12, 14));
        let mut back = STRING::default();
        assert_eq!(
            // SAFETY: as above.
            unsafe { unicode_to_ansi(&raw mut back, &raw const wide, 1, 0) },
            STATUS_SUCCESS
        );
        // SAFETY: as above.
        assert_eq!(unsafe { bytes(&raw const back) }, &ansi[..6]);
        // SAFETY: as above.
        unsafe { free_unicode((&raw mut back).cast(), 0) };
        // SAFETY: as above.
        unsafe { free_unicode(&raw mut wide, 0) };
        assert_eq!(ansi_of_unit(0x4E00), b'?');
    }

    #[test]
    fn a_small_ansi_buffer_is_cut_and_a_small_unicode_buffer_is_refused() {
        let owner = OwnedUnicodeString::new("abcdef");
        let source = owner.as_unicode();
        let mut buffer = [0xFF_u8; 4];
        let mut target = STRING {
            Length: 0,
            MaximumLength: 4,
            Buffer: buffer.as_mut_ptr().cast(),
        };
        assert_eq!(
            // SAFETY: valid strings, here and below.
            unsafe { unicode_to_ansi(&raw mut target, &raw const source, 0, 0) },
            STATUS_BUFFER_OVERFLOW
        );
        assert_eq!((target.Length, &buffer), (3, b"abc\0"));
        let mut wide = [0_u16; 3];
        let mut unicode = UNICODE_STRING {
            Length: 0,
            MaximumLength: 6,
            Buffer: wide.as_mut_ptr(),
        };
        assert_eq!(
            // SAFETY: as above.
            unsafe { ansi_to_unicode(&raw mut unicode, &raw const target, 0, 0) },
            STATUS_BUFFER_OVERFLOW
        );
        assert_eq!(wide, [0; 3]);
        // SAFETY: as above.
        assert_eq!(unsafe { ansi_to_unicode_size(&raw const target) }, 8);
    }
}
