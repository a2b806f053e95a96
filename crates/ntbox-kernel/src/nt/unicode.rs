//! Counted UTF-16 strings.

#![expect(unsafe_code, reason = "raw kernel structures are read in place")]

use super::metadata::UNICODE_STRING;

/// Reads a `UNICODE_STRING` as text; ill-formed UTF-16 is replaced, null is empty.
///
/// # Safety
/// `string`, if not null, points to a valid `UNICODE_STRING`.
pub unsafe fn to_string(string: *const UNICODE_STRING) -> String {
    // SAFETY: contract of the function.
    String::from_utf16_lossy(unsafe { units(string) })
}

/// The code units of a `UNICODE_STRING`; null and empty strings give an empty slice.
///
/// # Safety
/// As for [`to_string`], and the buffer outlives the returned slice.
pub unsafe fn units<'a>(string: *const UNICODE_STRING) -> &'a [u16] {
    // SAFETY: contract of the function.
    let Some(string) = (unsafe { string.as_ref() }) else {
        return &[];
    };
    if string.Buffer.is_null() || string.Length == 0 {
        return &[];
    }
    // SAFETY: a valid string's buffer holds `Length` bytes.
    unsafe { std::slice::from_raw_parts(string.Buffer, usize::from(string.Length) / 2) }
}

/// A `UNICODE_STRING` that owns its buffer (terminated with a zero unit that is not counted).
pub struct OwnedUnicodeString {
    buffer: Vec<u16>,
}

impl OwnedUnicodeString {
    /// Encodes `text`; at most 32,766 units are kept.
    pub fn new(text: &str) -> Self {
        let mut buffer: Vec<u16> = text.encode_utf16().take(32_766).collect();
        buffer.push(0);
        Self { buffer }
    }
    /// The counted view. It must not outlive `self`.
    pub fn as_unicode(&self) -> UNICODE_STRING {
        let bytes = (self.buffer.len() * 2) as u16;
        UNICODE_STRING {
            Length: bytes - 2,
            MaximumLength: bytes,
            Buffer: self.buffer.as_ptr().cast_mut(),
        }
    }
}
