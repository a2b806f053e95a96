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

/// The text that a name begins with, and the rest of it from its first surrogate on that has no partner. What names
/// an object is text; the name of a file that follows need not be.
pub fn text_and_rest(name: &[u16]) -> (String, &[u16]) {
    let mut text = String::new();
    let mut units = 0;
    for character in char::decode_utf16(name.iter().copied()) {
        let Ok(character) = character else { break };
        text.push(character);
        units += character.len_utf16();
    }
    (text, name.get(units..).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::text_and_rest;

    #[test]
    fn text_ends_before_half_a_character() {
        let name = [0x5C, 0xD83D, 0xDE00, 0xD83D, 0x61];
        assert_eq!(
            text_and_rest(&name[..3]),
            ("\\\u{1F600}".to_owned(), &[][..])
        );
        assert_eq!(text_and_rest(&name), ("\\\u{1F600}".to_owned(), &name[3..]));
        assert_eq!(text_and_rest(&[0xDC00]), (String::new(), &[0xDC00][..]));
    }
}
