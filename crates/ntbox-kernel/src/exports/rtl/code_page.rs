//! Strings between Unicode and the code pages: the routines that count bytes, and those of OEM strings.
//!
//! The ANSI code page is that of [`super::translate`], the OEM one 850, that of Western European Windows. Buffers that
//! a routine allocates are the driver's, as there.
//!
//! Source: `RtlUnicodeToMultiByteN`, `RtlUnicodeToOemN`, `RtlUnicodeStringToOemString` and their like in the DDI
//! reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::strings::bytes;
use super::translate::{allocate, ansi_of_unit, unit_of_ansi};
use crate::nt::case;
use crate::nt::unicode::units;
use crate::nt::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_PARAMETER_2, STATUS_NO_MEMORY, STATUS_SUCCESS,
    STATUS_UNMAPPABLE_CHARACTER, UNICODE_STRING,
};
use crate::processor::irql;
use std::ptr::null_mut;
use windows_sys::Win32::System::Kernel::STRING;

/// Code page 850 from 0x80 on.
const OEM: [u16; 128] = [
    0x00C7, 0x00FC, 0x00E9, 0x00E2, 0x00E4, 0x00E0, 0x00E5, 0x00E7, 0x00EA, 0x00EB, 0x00E8, 0x00EF,
    0x00EE, 0x00EC, 0x00C4, 0x00C5, 0x00C9, 0x00E6, 0x00C6, 0x00F4, 0x00F6, 0x00F2, 0x00FB, 0x00F9,
    0x00FF, 0x00D6, 0x00DC, 0x00F8, 0x00A3, 0x00D8, 0x00D7, 0x0192, 0x00E1, 0x00ED, 0x00F3, 0x00FA,
    0x00F1, 0x00D1, 0x00AA, 0x00BA, 0x00BF, 0x00AE, 0x00AC, 0x00BD, 0x00BC, 0x00A1, 0x00AB, 0x00BB,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x00C1, 0x00C2, 0x00C0, 0x00A9, 0x2563, 0x2551, 0x2557,
    0x255D, 0x00A2, 0x00A5, 0x2510, 0x2514, 0x2534, 0x252C, 0x251C, 0x2500, 0x253C, 0x00E3, 0x00C3,
    0x255A, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256C, 0x00A4, 0x00F0, 0x00D0, 0x00CA, 0x00CB,
    0x00C8, 0x0131, 0x00CD, 0x00CE, 0x00CF, 0x2518, 0x250C, 0x2588, 0x2584, 0x00A6, 0x00CC, 0x2580,
    0x00D3, 0x00DF, 0x00D4, 0x00D2, 0x00F5, 0x00D5, 0x00B5, 0x00FE, 0x00DE, 0x00DA, 0x00DB, 0x00D9,
    0x00FD, 0x00DD, 0x00AF, 0x00B4, 0x00AD, 0x00B1, 0x2017, 0x00BE, 0x00B6, 0x00A7, 0x00F7, 0x00B8,
    0x00B0, 0x00A8, 0x00B7, 0x00B9, 0x00B3, 0x00B2, 0x25A0, 0x00A0,
];

fn unit_of_oem(byte: u8) -> u16 {
    let above = byte.checked_sub(0x80);
    above.map_or(byte.into(), |above| OEM[usize::from(above)])
}

fn oem_of_unit(unit: u16) -> u8 {
    match u8::try_from(unit).ok().filter(u8::is_ascii) {
        Some(byte) => byte,
        None => OEM
            .iter()
            .position(|known| *known == unit)
            .map_or(b'?', |index| 0x80 + index as u8),
    }
}

/// Upper case by way of the code page, so that what has no byte becomes what stands for it first.
fn upper(unit: u16, byte_of: fn(u16) -> u8, unit_of: fn(u8) -> u16) -> u8 {
    byte_of(case::upcase(unit_of(byte_of(unit))))
}

fn upper_ansi(unit: u16) -> u8 {
    upper(unit, ansi_of_unit, unit_of_ansi)
}

fn upper_oem(unit: u16) -> u8 {
    upper(unit, oem_of_unit, unit_of_oem)
}

/// Converts what there is room for, in units of `Into`, and tells how many bytes those have. False if it is cut.
///
/// # Safety
/// `target` has `room` bytes, `source` `length`; `written` is null or the driver's. The source may be the target.
unsafe fn convert<From: Copy, Into: Copy>(
    target: *mut Into,
    room: u32,
    written: *mut u32,
    source: *const From,
    length: u32,
    of: fn(From) -> Into,
) -> bool {
    let count = length as usize / size_of::<From>();
    let kept = count.min(room as usize / size_of::<Into>());
    // SAFETY: contract.
    let source = unsafe { std::slice::from_raw_parts(source, kept) };
    let converted: Vec<Into> = source.iter().map(|from| of(*from)).collect();
    // SAFETY: contract.
    unsafe { target.copy_from_nonoverlapping(converted.as_ptr(), kept) };
    // SAFETY: contract.
    if let Some(written) = unsafe { written.as_mut() } {
        *written = (kept * size_of::<Into>()) as u32;
    }
    kept == count
}

/// Routines that convert counted bytes, each with what it answers where the text is cut.
macro_rules! converting {
    ($($function:ident, $name:literal, $from:ty => $into:ty, $of:path, $cut:path;)*) => { $(
        #[doc = concat!("`", $name, "`.")]
        pub unsafe extern "win64" fn $function(
            target: *mut $into,
            room: u32,
            written: *mut u32,
            source: *const $from,
            length: u32,
            caller: usize,
        ) -> NTSTATUS {
            irql::require($name, caller);
            // SAFETY: the driver passes room and text of so many bytes.
            match unsafe { convert(target, room, written, source, length, $of) } {
                true => STATUS_SUCCESS,
                false => $cut,
            }
        }
    )* };
}

converting! {
    to_ansi, "RtlUnicodeToMultiByteN", u16 => u8, ansi_of_unit, STATUS_SUCCESS;
    to_upper_ansi, "RtlUpcaseUnicodeToMultiByteN", u16 => u8, upper_ansi, STATUS_SUCCESS;
    from_ansi, "RtlMultiByteToUnicodeN", u8 => u16, unit_of_ansi, STATUS_SUCCESS;
    to_oem, "RtlUnicodeToOemN", u16 => u8, oem_of_unit, STATUS_BUFFER_OVERFLOW;
    to_upper_oem, "RtlUpcaseUnicodeToOemN", u16 => u8, upper_oem, STATUS_BUFFER_OVERFLOW;
    from_oem, "RtlOemToUnicodeN", u8 => u16, unit_of_oem, STATUS_BUFFER_OVERFLOW;
}

/// `RtlUnicodeToMultiByteSize`: a byte for each unit.
pub unsafe extern "win64" fn ansi_size(
    size: *mut u32,
    _source: *const u16,
    length: u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlUnicodeToMultiByteSize", caller);
    // SAFETY: the driver's pointer.
    unsafe { size.write(length / 2) };
    STATUS_SUCCESS
}

/// `RtlMultiByteToUnicodeSize`: a unit for each byte.
pub unsafe extern "win64" fn unicode_size(
    size: *mut u32,
    _source: *const u8,
    length: u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlMultiByteToUnicodeSize", caller);
    // SAFETY: the driver's pointer.
    unsafe { size.write(length * 2) };
    STATUS_SUCCESS
}

/// Writes `text` to a string that is the driver's or allocated for it, with a terminator unless it is `counted`.
/// Where it fails nothing is written.
///
/// # Safety
/// `length`, `maximum` and `buffer` are fields of one string.
unsafe fn give<Unit: Copy + Default>(
    (length, maximum, buffer): (&mut u16, &mut u16, &mut *mut Unit),
    mut text: Vec<Unit>,
    counted: bool,
    allocated: bool,
    caller: usize,
) -> NTSTATUS {
    let bytes = size_of_val(text.as_slice());
    if !counted {
        text.push(Unit::default());
    }
    let Ok(total) = u16::try_from(size_of_val(text.as_slice())) else {
        return STATUS_INVALID_PARAMETER_2;
    };
    if allocated && total == 0 {
        (*length, *maximum, *buffer) = (0, 0, null_mut());
        return STATUS_SUCCESS;
    }
    if allocated {
        let room = allocate(total.into(), caller);
        if room.is_null() {
            return STATUS_NO_MEMORY;
        }
        (*maximum, *buffer) = (total, room.cast());
    } else if total > *maximum {
        return STATUS_BUFFER_OVERFLOW;
    }
    // SAFETY: the buffer has `maximum` bytes, which are enough.
    unsafe { (*buffer).copy_from_nonoverlapping(text.as_ptr(), text.len()) };
    *length = bytes as u16;
    STATUS_SUCCESS
}

/// Routines that make strings of the OEM code page.
macro_rules! to_strings {
    ($($function:ident, $name:literal, $of:path, $counted:literal;)*) => { $(
        #[doc = concat!("`", $name, "`.")]
        pub unsafe extern "win64" fn $function(
            target: *mut STRING,
            source: *const UNICODE_STRING,
            allocated: u8,
            caller: usize,
        ) -> NTSTATUS {
            irql::require($name, caller);
            // SAFETY: the driver passes strings.
            let source = unsafe { units(source) };
            let text: Vec<u8> = source.iter().map(|unit| $of(*unit)).collect();
            let unmapped = |(unit, byte): (&u16, &u8)| *byte == b'?' && *unit != u16::from(b'?');
            if $counted && source.iter().zip(&text).any(unmapped) {
                return STATUS_UNMAPPABLE_CHARACTER;
            }
            // SAFETY: as above.
            let target = unsafe { &mut *target };
            let mut buffer: *mut u8 = target.Buffer.cast();
            let fields = (&mut target.Length, &mut target.MaximumLength, &mut buffer);
            // SAFETY: as above.
            let status = unsafe { give(fields, text, $counted, allocated != 0, caller) };
            target.Buffer = buffer.cast();
            status
        }
    )* };
}

to_strings! {
    string_to_oem, "RtlUnicodeStringToOemString", oem_of_unit, false;
    string_to_upper_oem, "RtlUpcaseUnicodeStringToOemString", upper_oem, false;
    string_to_counted_oem, "RtlUnicodeStringToCountedOemString", oem_of_unit, true;
    string_to_upper_counted_oem, "RtlUpcaseUnicodeStringToCountedOemString", upper_oem, true;
}

/// Routines that make strings of OEM strings.
macro_rules! from_strings {
    ($($function:ident, $name:literal, $counted:literal;)*) => { $(
        #[doc = concat!("`", $name, "`.")]
        pub unsafe extern "win64" fn $function(
            target: *mut UNICODE_STRING,
            source: *const STRING,
            allocated: u8,
            caller: usize,
        ) -> NTSTATUS {
            irql::require($name, caller);
            // SAFETY: the driver passes strings.
            let text = unsafe { bytes(source) }.iter().map(|byte| unit_of_oem(*byte)).collect();
            // SAFETY: as above.
            let target = unsafe { &mut *target };
            let fields = (&mut target.Length, &mut target.MaximumLength, &mut target.Buffer);
            // SAFETY: as above.
            unsafe { give(fields, text, $counted, allocated != 0, caller) }
        }
    )* };
}

from_strings! {
    oem_to_string, "RtlOemStringToUnicodeString", false;
    oem_to_counted_string, "RtlOemStringToCountedUnicodeString", true;
}

/// `RtlxUnicodeStringToOemSize`: bytes with the terminator.
pub unsafe extern "win64" fn string_to_oem_size(source: *const UNICODE_STRING) -> u32 {
    irql::require("RtlxUnicodeStringToOemSize", 0);
    // SAFETY: the driver passes a string.
    unsafe { units(source) }.len() as u32 + 1
}

/// `RtlxOemStringToUnicodeSize`: bytes with the terminator.
pub unsafe extern "win64" fn oem_to_string_size(source: *const STRING) -> u32 {
    irql::require("RtlxOemStringToUnicodeSize", 0);
    // SAFETY: the driver passes a string.
    (unsafe { bytes(source) }.len() as u32 + 1) * 2
}

#[cfg(test)]
mod tests {
    use super::super::translate::free_unicode;
    use super::*;
    use crate::nt::unicode::{OwnedUnicodeString, to_string};

    type Convert = unsafe extern "win64" fn(*mut u8, u32, *mut u32, *const u16, u32, usize) -> i32;

    /// Status, bytes that are said to be written, and the buffer.
    fn converted(by: Convert, text: &str, room: u32) -> (NTSTATUS, u32, [u8; 4]) {
        let text: Vec<u16> = text.encode_utf16().collect();
        let (mut buffer, mut written) = ([b'~'; 4], 9);
        let bytes = size_of_val(text.as_slice()) as u32;
        // SAFETY: room and text of so many bytes.
        let status = unsafe {
            by(
                buffer.as_mut_ptr(),
                room,
                &raw mut written,
                text.as_ptr(),
                bytes,
                0,
            )
        };
        (status, written, buffer)
    }

    #[test]
    fn counted_bytes_are_those_of_the_code_page() {
        assert_eq!(
            converted(to_ansi, "é€x", 4),
            (STATUS_SUCCESS, 3, *b"\xE9\x80x~")
        );
        assert_eq!(
            converted(to_oem, "é€x", 4),
            (STATUS_SUCCESS, 3, *b"\x82?x~")
        );
        assert_eq!(
            converted(to_upper_ansi, "éx", 4),
            (STATUS_SUCCESS, 2, *b"\xC9X~~")
        );
        assert_eq!(
            converted(to_upper_oem, "éx", 4),
            (STATUS_SUCCESS, 2, *b"\x90X~~")
        );
        // Cut, which one code page says and the other does not.
        assert_eq!(converted(to_ansi, "abc", 2), (STATUS_SUCCESS, 2, *b"ab~~"));
        assert_eq!(
            converted(to_oem, "abc", 2),
            (STATUS_BUFFER_OVERFLOW, 2, *b"ab~~")
        );
        let mut units = [7_u16; 3];
        let text = b"\x82\x80\x80".as_ptr();
        // SAFETY: room and text of so many bytes; nobody asks how many were written.
        let status = unsafe { from_oem(units.as_mut_ptr(), 5, null_mut(), text, 3, 0) };
        assert_eq!((status, units), (STATUS_BUFFER_OVERFLOW, [0xE9, 0xC7, 7]));
        // SAFETY: as above.
        let status = unsafe { from_ansi(units.as_mut_ptr(), 6, null_mut(), text, 2, 0) };
        assert_eq!((status, units), (STATUS_SUCCESS, [0x201A, 0x20AC, 7]));
        let mut size = 0;
        // SAFETY: the text is not looked at.
        unsafe { ansi_size(&raw mut size, null_mut(), 6, 0) };
        assert_eq!(size, 3);
        // SAFETY: as above.
        unsafe { unicode_size(&raw mut size, null_mut(), 6, 0) };
        assert_eq!(size, 12);
    }

    #[test]
    fn every_byte_of_the_oem_code_page_comes_back() {
        assert!((0..=255).all(|byte| oem_of_unit(unit_of_oem(byte)) == byte));
    }

    #[test]
    fn oem_strings_are_terminated_unless_they_are_counted() {
        let owner = OwnedUnicodeString::new("né");
        let source = owner.as_unicode();
        let mut made = STRING::default();
        // SAFETY: strings, here and below.
        let status = unsafe { string_to_upper_oem(&raw mut made, &raw const source, 1, 0) };
        assert_eq!(
            (status, made.Length, made.MaximumLength),
            (STATUS_SUCCESS, 2, 3)
        );
        // SAFETY: three bytes were allocated.
        let text = unsafe { std::slice::from_raw_parts(made.Buffer.cast::<u8>(), 3) };
        assert_eq!(text, b"N\x90\0");
        let mut back = UNICODE_STRING::default();
        // SAFETY: as above.
        let status = unsafe { oem_to_string(&raw mut back, &raw const made, 1, 0) };
        assert_eq!(
            (status, back.Length, back.MaximumLength),
            (STATUS_SUCCESS, 4, 6)
        );
        // SAFETY: as above.
        assert_eq!(unsafe { to_string(&raw const back) }, "NÉ");
        // SAFETY: as above.
        assert_eq!(unsafe { oem_to_string_size(&raw const made) }, 6);
        // SAFETY: as above.
        assert_eq!(unsafe { string_to_oem_size(&raw const source) }, 3);
        // SAFETY: as above.
        unsafe { free_unicode(&raw mut back, 0) };
        // SAFETY: as above; the layout is one.
        unsafe { free_unicode((&raw mut made).cast(), 0) };

        let mut buffer = [b'~'; 2];
        let mut small = STRING {
            Length: 9,
            MaximumLength: 2,
            Buffer: buffer.as_mut_ptr().cast(),
        };
        // SAFETY: as above.
        let status = unsafe { string_to_oem(&raw mut small, &raw const source, 0, 0) };
        assert_eq!((status, small.Length), (STATUS_BUFFER_OVERFLOW, 9));
        // SAFETY: as above.
        let status = unsafe { string_to_counted_oem(&raw mut small, &raw const source, 0, 0) };
        assert_eq!(
            (status, small.Length, buffer),
            (STATUS_SUCCESS, 2, *b"n\x82")
        );
        let owner = OwnedUnicodeString::new("€");
        let source = owner.as_unicode();
        // SAFETY: as above.
        let status = unsafe { string_to_counted_oem(&raw mut small, &raw const source, 0, 0) };
        assert_eq!((status, small.Length), (STATUS_UNMAPPABLE_CHARACTER, 2));
        let nothing = UNICODE_STRING::default();
        let counted = string_to_upper_counted_oem;
        // SAFETY: as above.
        let status = unsafe { counted(&raw mut small, &raw const nothing, 1, 0) };
        assert_eq!((status, small.Buffer.is_null()), (STATUS_SUCCESS, true));
    }
}
