//! Numbers as strings.
//!
//! Source: `RtlIntegerToUnicodeString`, `RtlInt64ToUnicodeString`,
//! `RtlUnicodeStringToInteger` in the DDI reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use crate::nt::unicode::units;
use crate::nt::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, UNICODE_STRING,
};
use crate::processor::irql;

/// Digits of `value`, upper case; `None` for a base other than 2, 8, 10 and 16.
/// Base 0 is 10.
fn digits(mut value: u64, base: u32) -> Option<Vec<u16>> {
    let base = match base {
        0 => 10,
        2 | 8 | 10 | 16 => u64::from(base),
        _ => return None,
    };
    let mut reversed = Vec::new();
    loop {
        let digit = char::from_digit((value % base) as u32, 16)?.to_ascii_uppercase();
        reversed.push(digit as u16);
        value /= base;
        if value == 0 {
            reversed.reverse();
            return Some(reversed);
        }
    }
}

/// # Safety
/// `target` points to a valid string.
unsafe fn write(value: u64, base: u32, target: *mut UNICODE_STRING) -> NTSTATUS {
    let Some(digits) = digits(value, base) else {
        return STATUS_INVALID_PARAMETER;
    };
    // SAFETY: contract of the function.
    let target = unsafe { &mut *target };
    let room = usize::from(target.MaximumLength) / 2;
    if digits.len() > room {
        return STATUS_BUFFER_OVERFLOW;
    }
    // SAFETY: the buffer holds `room` units.
    unsafe { target.Buffer.copy_from(digits.as_ptr(), digits.len()) };
    if digits.len() < room {
        // SAFETY: as above.
        unsafe { target.Buffer.add(digits.len()).write(0) };
    }
    target.Length = (digits.len() * 2) as u16;
    STATUS_SUCCESS
}

/// `RtlIntegerToUnicodeString`.
pub unsafe extern "win64" fn integer_to_unicode(
    value: u32,
    base: u32,
    target: *mut UNICODE_STRING,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlIntegerToUnicodeString", caller);
    // SAFETY: the driver passes a string.
    unsafe { write(u64::from(value), base, target) }
}

/// `RtlInt64ToUnicodeString`.
pub unsafe extern "win64" fn int64_to_unicode(
    value: u64,
    base: u32,
    target: *mut UNICODE_STRING,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlInt64ToUnicodeString", caller);
    // SAFETY: the driver passes a string.
    unsafe { write(value, base, target) }
}

/// Leading white space (anything up to a space), a sign, `0x`, `0o` or `0b` where
/// the base is 0, then digits as far as they go. Wraps around at 32 bits.
fn parse(units: &[u16], base: u32) -> Option<u32> {
    let mut rest = units
        .iter()
        .map(|unit| char::from_u32(u32::from(*unit)).unwrap_or('\u{FFFD}'))
        .peekable();
    while rest.next_if(|c| *c <= ' ').is_some() {}
    let negative = rest.next_if(|c| matches!(c, '+' | '-')) == Some('-');
    let base = match base {
        0 => {
            let mut ahead = rest.clone();
            let prefix = (ahead.next(), ahead.next());
            let base = match prefix {
                (Some('0'), Some('x')) => 16,
                (Some('0'), Some('o')) => 8,
                (Some('0'), Some('b')) => 2,
                _ => 10,
            };
            if base != 10 {
                rest = ahead;
            }
            base
        }
        2 | 8 | 10 | 16 => base,
        _ => return None,
    };
    let value = std::iter::from_fn(|| rest.next()?.to_digit(base)).fold(0_u32, |value, digit| {
        value.wrapping_mul(base).wrapping_add(digit)
    });
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// `RtlUnicodeStringToInteger`.
pub unsafe extern "win64" fn unicode_to_integer(
    string: *const UNICODE_STRING,
    base: u32,
    value: *mut u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlUnicodeStringToInteger", caller);
    // SAFETY: the driver passes a string.
    let Some(parsed) = parse(unsafe { units(string) }, base) else {
        return STATUS_INVALID_PARAMETER;
    };
    // SAFETY: the driver passes a `ULONG`.
    unsafe { value.write_unaligned(parsed) };
    STATUS_SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::unicode::to_string;

    #[test]
    fn numbers_are_written_in_four_bases() {
        let mut buffer = [0xFFFF_u16; 32];
        let mut string = UNICODE_STRING {
            Length: 0,
            MaximumLength: 64,
            Buffer: buffer.as_mut_ptr(),
        };
        for (value, base, text) in [
            (0, 10, "0"),
            (255, 16, "FF"),
            (5, 2, "101"),
            (8, 8, "10"),
            (u32::MAX, 0, "4294967295"),
        ] {
            assert_eq!(
                // SAFETY: a valid string, here and below.
                unsafe { integer_to_unicode(value, base, &raw mut string, 0) },
                STATUS_SUCCESS
            );
            // SAFETY: as above.
            assert_eq!(unsafe { to_string(&raw const string) }, text);
        }
        assert_eq!(
            // SAFETY: as above.
            unsafe { integer_to_unicode(1, 7, &raw mut string, 0) },
            STATUS_INVALID_PARAMETER
        );
        string.MaximumLength = 4;
        assert_eq!(
            // SAFETY: as above.
            unsafe { integer_to_unicode(100, 10, &raw mut string, 0) },
            STATUS_BUFFER_OVERFLOW
        );
        assert_eq!(
            // SAFETY: as above.
            unsafe { int64_to_unicode(1 << 40, 16, &raw mut string, 0) },
            STATUS_BUFFER_OVERFLOW
        );
    }

    #[test]
    fn numbers_are_read_as_documented() {
        let parse = |text: &str, base| parse(&text.encode_utf16().collect::<Vec<_>>(), base);
        assert_eq!(parse("  42abc", 10), Some(42));
        assert_eq!(parse("0x1F", 0), Some(31));
        assert_eq!(parse("0b101", 0), Some(5));
        assert_eq!(parse("0o17", 0), Some(15));
        assert_eq!(parse("017", 0), Some(17));
        assert_eq!(parse("-1", 10), Some(u32::MAX));
        assert_eq!(parse("ff", 16), Some(255));
        assert_eq!(parse("", 10), Some(0));
        assert_eq!(parse("1", 3), None);
    }
}
