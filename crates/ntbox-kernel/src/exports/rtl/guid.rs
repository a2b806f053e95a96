//! GUIDs as strings.
//!
//! Source: `RtlStringFromGUID`, `RtlGUIDFromString` in the DDI reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use super::translate::allocate;
use crate::nt::unicode::units;
use crate::nt::{
    NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY, STATUS_SUCCESS, UNICODE_STRING,
};
use crate::processor::irql;
use windows_sys::core::GUID;

/// Units of `{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}`.
const LENGTH: usize = 38;

fn format(guid: &GUID) -> String {
    let d = guid.data4;
    format!(
        "{{{:08X}-{:04X}-{:04X}-{:02X}{:02X}-{:02X}{:02X}{:02X}{:02X}{:02X}{:02X}}}",
        guid.data1, guid.data2, guid.data3, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]
    )
}

fn parse(text: &str) -> Option<GUID> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let parts: Vec<&str> = inner.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let digits = parts.concat();
    if lengths != [8, 4, 4, 4, 12] || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(GUID::from_u128)
}

/// `RtlStringFromGUID`: allocates the buffer, which `RtlFreeUnicodeString` frees.
pub unsafe extern "win64" fn string_from_guid(
    guid: *const GUID,
    target: *mut UNICODE_STRING,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlStringFromGUID", caller);
    let buffer: *mut u16 = allocate((LENGTH + 1) * 2, caller).cast();
    if buffer.is_null() {
        return STATUS_NO_MEMORY;
    }
    // SAFETY: the driver passes a GUID.
    let text = format(unsafe { &*guid });
    for (index, unit) in text.encode_utf16().chain([0]).enumerate() {
        // SAFETY: the block holds the text and the terminator.
        unsafe { buffer.add(index).write(unit) };
    }
    let bytes = (LENGTH * 2) as u16;
    // SAFETY: the driver passes the memory of a string.
    unsafe {
        target.write(UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes + 2,
            Buffer: buffer,
        })
    };
    STATUS_SUCCESS
}

/// `RtlGUIDFromString`.
pub unsafe extern "win64" fn guid_from_string(
    string: *const UNICODE_STRING,
    guid: *mut GUID,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlGUIDFromString", caller);
    // SAFETY: the driver passes a string.
    let text = String::from_utf16_lossy(unsafe { units(string) });
    let Some(parsed) = parse(&text) else {
        return STATUS_INVALID_PARAMETER;
    };
    // SAFETY: the driver passes the memory of a GUID.
    unsafe { guid.write(parsed) };
    STATUS_SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{01234567-89AB-CDEF-0123-456789ABCDEF}";

    #[test]
    fn text_and_guid_convert_both_ways() {
        let guid = parse(TEXT).expect("well-formed");
        assert_eq!(
            (guid.data1, guid.data2, guid.data3),
            (0x0123_4567, 0x89AB, 0xCDEF)
        );
        assert_eq!(guid.data4, [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF]);
        assert_eq!(format(&guid), TEXT);
        let mut string = UNICODE_STRING::default();
        assert_eq!(
            // SAFETY: valid arguments, here and below.
            unsafe { string_from_guid(&raw const guid, &raw mut string, 0) },
            STATUS_SUCCESS
        );
        assert_eq!((string.Length, string.MaximumLength), (76, 78));
        let mut back = GUID::default();
        assert_eq!(
            // SAFETY: as above.
            unsafe { guid_from_string(&raw const string, &raw mut back, 0) },
            STATUS_SUCCESS
        );
        assert_eq!(format(&back), TEXT);
        // SAFETY: as above.
        unsafe { super::super::translate::free_unicode(&raw mut string, 0) };
    }

    #[test]
    fn ill_formed_text_is_refused() {
        for text in [
            "",
            "{}",
            "01234567-89AB-CDEF-0123-456789ABCDEF",
            "{0123456-789AB-CDEF-0123-456789ABCDEF}",
            "{+1234567-89AB-CDEF-0123-456789ABCDEF}",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
