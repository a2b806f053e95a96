//! UTF-8 and back.
//!
//! Source: `RtlUnicodeToUTF8N`, `RtlUTF8ToUnicodeN` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{
    NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER_4,
    STATUS_INVALID_PARAMETER_5, STATUS_SOME_NOT_MAPPED, STATUS_SUCCESS,
};
use crate::processor::irql;

/// Characters with what each becomes, and whether one was none.
type Converted<Unit> = (Vec<Vec<Unit>>, bool);

/// Writes as many whole characters as there is room for, and tells how many bytes they have; without a place to write
/// to, how many all have.
///
/// # Safety
/// `into` is null or has `room` bytes, `written` null or writable.
unsafe fn answer<Unit: Copy>(
    (characters, replaced): Converted<Unit>,
    into: *mut Unit,
    room: u32,
    written: *mut u32,
) -> NTSTATUS {
    let bytes_of = |units: &[Unit]| size_of_val(units);
    let mut fitting: Vec<Unit> = Vec::new();
    let mut all_fit = true;
    for character in &characters {
        let more = bytes_of(&fitting) + bytes_of(character);
        all_fit = into.is_null() || more <= room as usize;
        if !all_fit {
            break;
        }
        fitting.extend(character);
    }
    if !written.is_null() {
        // SAFETY: contract.
        unsafe { written.write(bytes_of(&fitting) as u32) };
    }
    if !into.is_null() {
        // SAFETY: contract; what fits is no more than there is room for.
        unsafe { std::ptr::copy_nonoverlapping(fitting.as_ptr(), into, fitting.len()) };
    }
    match (all_fit, replaced) {
        (false, _) => STATUS_BUFFER_TOO_SMALL,
        (true, true) => STATUS_SOME_NOT_MAPPED,
        (true, false) => STATUS_SUCCESS,
    }
}

/// `RtlUnicodeToUTF8N`.
pub unsafe extern "win64" fn from_unicode(
    into: *mut u8,
    room: u32,
    written: *mut u32,
    from: *const u16,
    bytes: u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlUnicodeToUTF8N", caller);
    if into.is_null() && written.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    if from.is_null() {
        return STATUS_INVALID_PARAMETER_4;
    }
    if !bytes.is_multiple_of(2) {
        return STATUS_INVALID_PARAMETER_5;
    }
    // SAFETY: the driver's string has that many bytes.
    let units = unsafe { std::slice::from_raw_parts(from, bytes as usize / 2) };
    let mut replaced = false;
    let characters = char::decode_utf16(units.iter().copied()).map(|character| {
        replaced |= character.is_err();
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        character.to_string().into_bytes()
    });
    let characters = characters.collect();
    // SAFETY: the driver's pointers.
    unsafe { answer((characters, replaced), into, room, written) }
}

/// `RtlUTF8ToUnicodeN`.
pub unsafe extern "win64" fn to_unicode(
    into: *mut u16,
    room: u32,
    written: *mut u32,
    from: *const u8,
    bytes: u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlUTF8ToUnicodeN", caller);
    if into.is_null() && written.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    if from.is_null() {
        return STATUS_INVALID_PARAMETER_4;
    }
    // SAFETY: the driver's string has that many bytes.
    let text = unsafe { std::slice::from_raw_parts(from, bytes as usize) };
    let replaced = std::str::from_utf8(text).is_err();
    let characters = String::from_utf8_lossy(text)
        .chars()
        .map(|character| character.encode_utf16(&mut [0; 2]).to_vec())
        .collect();
    // SAFETY: the driver's pointers.
    unsafe { answer((characters, replaced), into, room, written) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::{null, null_mut};

    /// Status, what is told, and the buffer.
    fn to_utf8(text: &[u16], room: u32) -> (NTSTATUS, u32, [u8; 8]) {
        let (mut buffer, mut written) = ([b'~'; 8], 77);
        let (into, told) = (buffer.as_mut_ptr(), &raw mut written);
        let bytes = size_of_val(text) as u32;
        // SAFETY: locals, here and below.
        let status = unsafe { from_unicode(into, room, told, text.as_ptr(), bytes, 0) };
        (status, written, buffer)
    }

    fn to_utf16(text: &[u8], room: u32) -> (NTSTATUS, u32, [u16; 4]) {
        let (mut buffer, mut written) = ([u16::from(b'~'); 4], 77);
        let (into, told) = (buffer.as_mut_ptr(), &raw mut written);
        let bytes = text.len() as u32;
        // SAFETY: as above.
        let status = unsafe { to_unicode(into, room, told, text.as_ptr(), bytes, 0) };
        (status, written, buffer)
    }

    const FACE: [u16; 2] = [0xD83D, 0xDE00];

    #[test]
    fn whole_characters_are_written_as_far_as_they_fit() {
        let text = [u16::from(b'a'), FACE[0], FACE[1], 0];
        let all = (STATUS_SUCCESS, 6, *b"a\xF0\x9F\x98\x80\0~~");
        assert_eq!(to_utf8(&text, 8), all);
        let cut = (STATUS_BUFFER_TOO_SMALL, 1, *b"a~~~~~~~");
        assert_eq!(to_utf8(&text, 4), cut);
        let back = [u16::from(b'a'), FACE[0], FACE[1], u16::from(b'~')];
        let utf8 = b"a\xF0\x9F\x98\x80";
        assert_eq!(to_utf16(utf8, 8), (STATUS_SUCCESS, 6, back));
        let cut = [u16::from(b'a'), 0x7E, 0x7E, 0x7E];
        assert_eq!(to_utf16(utf8, 5), (STATUS_BUFFER_TOO_SMALL, 2, cut));
    }

    #[test]
    fn what_is_no_character_is_replaced() {
        let replaced = (STATUS_SOME_NOT_MAPPED, 4, *b"\xEF\xBF\xBDb~~~~");
        assert_eq!(to_utf8(&[FACE[0], u16::from(b'b')], 8), replaced);
        let (status, bytes, units) = to_utf16(b"\xFFb", 8);
        assert_eq!(
            (status, bytes, units[..2].to_vec()),
            (STATUS_SOME_NOT_MAPPED, 4, vec![0xFFFD, 0x62])
        );
    }

    #[test]
    fn the_room_is_told_before_and_arguments_are_checked() {
        let text = [0x20AC_u16];
        let mut needed = 0;
        // SAFETY: as above.
        let asked = |into, written: *mut u32, from, bytes| unsafe {
            from_unicode(into, 0, written, from, bytes, 0)
        };
        let told = &raw mut needed;
        assert_eq!(asked(null_mut(), told, text.as_ptr(), 2), STATUS_SUCCESS);
        assert_eq!(needed, 3);
        let wrong = [
            asked(null_mut(), null_mut(), text.as_ptr(), 2),
            asked(null_mut(), told, null(), 2),
            asked(null_mut(), told, text.as_ptr(), 1),
        ];
        let statuses = [
            STATUS_INVALID_PARAMETER,
            STATUS_INVALID_PARAMETER_4,
            STATUS_INVALID_PARAMETER_5,
        ];
        assert_eq!(wrong, statuses);
        // SAFETY: as above.
        let none = unsafe { to_unicode(null_mut(), 0, told, null(), 2, 0) };
        assert_eq!(none, STATUS_INVALID_PARAMETER_4);
    }
}
