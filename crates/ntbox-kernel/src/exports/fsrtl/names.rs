//! Names and patterns.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::expression;
use crate::nt::case::upcase;
use crate::nt::{UNICODE_STRING, unicode};
use crate::processor::irql;

/// `FsRtlIsNameInExpression`: with `ignore_case` the expression must be in upper
/// case already, as the DDI reference demands; the name is converted. A table of
/// the driver's own is taken for the system's.
pub unsafe extern "win64" fn is_name_in_expression(
    expression: *const UNICODE_STRING,
    name: *const UNICODE_STRING,
    ignore_case: u8,
    _table: *const u16,
    caller: usize,
) -> u8 {
    irql::require("FsRtlIsNameInExpression", caller);
    // SAFETY: the driver's string.
    let pattern = unsafe { unicode::units(expression) };
    // SAFETY: the driver's string.
    let text = unsafe { unicode::units(name) };
    if ignore_case == 0 {
        return u8::from(expression::matches(pattern, text, false));
    }
    let upper: Vec<u16> = text.iter().copied().map(upcase).collect();
    u8::from(expression::matches(pattern, &upper, false))
}

/// `FsRtlDoesNameContainWildCards`: `*`, `?`, and the three that stand for them in DOS names.
pub unsafe extern "win64" fn does_name_contain_wild_cards(name: *const UNICODE_STRING) -> u8 {
    irql::require("FsRtlDoesNameContainWildCards", 0);
    // SAFETY: the driver's string.
    let text = unsafe { unicode::units(name) };
    let is_wild = |unit: &u16| matches!(u8::try_from(*unit), Ok(b'*' | b'?' | b'<' | b'>' | b'"'));
    u8::from(text.iter().any(is_wild))
}

/// `FsRtlDissectName`: the first component, and the rest without its backslash.
pub unsafe extern "win64" fn dissect_name(
    path: UNICODE_STRING,
    first: *mut UNICODE_STRING,
    rest: *mut UNICODE_STRING,
) {
    irql::require("FsRtlDissectName", 0);
    // SAFETY: the driver's string.
    let text = unsafe { unicode::units(&raw const path) };
    let (head, tail) = split(text);
    // SAFETY: the driver's pointer.
    unsafe { first.write(view(head)) };
    // SAFETY: the driver's pointer.
    unsafe { rest.write(view(tail)) };
}

fn split(text: &[u16]) -> (&[u16], &[u16]) {
    let backslash = u16::from(b'\\');
    let text = text.strip_prefix(&[backslash]).unwrap_or(text);
    match text.iter().position(|unit| *unit == backslash) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

/// A string in the place of the units; empty ones have no buffer.
fn view(units: &[u16]) -> UNICODE_STRING {
    let bytes = size_of_val(units) as u16;
    let buffer = if units.is_empty() {
        std::ptr::null_mut()
    } else {
        units.as_ptr().cast_mut()
    };
    UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: buffer,
    }
}

/// `FsRtlAreNamesEqual`.
pub unsafe extern "win64" fn are_names_equal(
    one: *const UNICODE_STRING,
    other: *const UNICODE_STRING,
    ignore_case: u8,
    _table: *const u16,
) -> u8 {
    irql::require("FsRtlAreNamesEqual", 0);
    // SAFETY: the driver's string.
    let one = unsafe { unicode::units(one) };
    // SAFETY: the driver's string.
    let other = unsafe { unicode::units(other) };
    let equal = if ignore_case == 0 {
        one == other
    } else {
        one.len() == other.len() && one.iter().zip(other).all(|(a, b)| upcase(*a) == upcase(*b))
    };
    u8::from(equal)
}

#[cfg(test)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test is one story; what it calls is checked where it is defined"
)]
mod tests {
    use super::*;
    use crate::nt::unicode::OwnedUnicodeString;

    fn units(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn a_name_is_dissected_at_its_first_backslash() {
        for (path, head, tail) in [
            (r"\a\b\c", "a", r"b\c"),
            (r"a\b", "a", "b"),
            ("abc", "abc", ""),
            (r"\", "", ""),
            ("", "", ""),
        ] {
            let path = units(path);
            assert_eq!(
                split(&path),
                (units(head).as_slice(), units(tail).as_slice())
            );
        }
    }

    #[test]
    fn names_match_expressions_and_each_other() {
        let string = OwnedUnicodeString::new;
        let (pattern, name, other) = (string("*.TXT"), string("a.b.txt"), string("A.B.TXT"));
        // SAFETY: valid strings.
        unsafe {
            let null = std::ptr::null();
            let is = |p: &OwnedUnicodeString, n: &OwnedUnicodeString, i: u8| {
                is_name_in_expression(&p.as_unicode(), &n.as_unicode(), i, null, 0)
            };
            assert_eq!(is(&pattern, &name, 1), 1);
            assert_eq!(is(&pattern, &name, 0), 0);
            assert_eq!(
                are_names_equal(&name.as_unicode(), &other.as_unicode(), 1, null),
                1
            );
            assert_eq!(
                are_names_equal(&name.as_unicode(), &other.as_unicode(), 0, null),
                0
            );
            assert_eq!(does_name_contain_wild_cards(&pattern.as_unicode()), 1);
            assert_eq!(does_name_contain_wild_cards(&name.as_unicode()), 0);
        }
    }
}
