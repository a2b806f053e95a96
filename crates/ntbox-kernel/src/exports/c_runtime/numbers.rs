//! Numbers in strings, both ways.
//!
//! Source: the C run-time library reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use super::bounded::{EINVAL, ERANGE};
use super::strings::Unit;
use crate::exports::rtl::terminated;

/// A type that a string is made of.
pub trait Number: Copy {
    /// Its magnitude, and whether a sign is in front of it where the base is 10; elsewhere its bits are the number.
    fn parts(self, base: u64) -> (bool, u64);
}

macro_rules! numbers {
    ($($signed:ident $unsigned:ident),*) => { $(
        impl Number for $signed {
            fn parts(self, base: u64) -> (bool, u64) {
                if base == 10 {
                    (self < 0, self.unsigned_abs().into())
                } else {
                    self.cast_unsigned().parts(base)
                }
            }
        }
        impl Number for $unsigned {
            fn parts(self, _base: u64) -> (bool, u64) {
                (false, self.into())
            }
        }
    )* };
}

numbers!(i32 u32, i64 u64);

/// The digits of a number, in lower case; none for a base that is none.
fn written<T: Unit>(value: impl Number, base: i32) -> Option<Vec<T>> {
    let base = u64::try_from(base)
        .ok()
        .filter(|base| (2..=36).contains(base))?;
    let (negative, mut rest) = value.parts(base);
    let mut reversed = Vec::new();
    loop {
        let digit = char::from_digit((rest % base) as u32, base as u32)?;
        reversed.push(T::of(digit as i32));
        rest /= base;
        if rest == 0 {
            break;
        }
    }
    if negative {
        reversed.push(T::of('-' as i32));
    }
    reversed.reverse();
    Some(reversed)
}

/// `_itoa`, `_itow`: the driver has room for what comes.
pub unsafe extern "win64" fn write<T: Unit>(value: i32, target: *mut T, base: i32) -> *mut T {
    if let Some(text) = written::<T>(value, base) {
        // SAFETY: the driver passes room for the text and its terminator.
        unsafe {
            target.copy_from_nonoverlapping(text.as_ptr(), text.len());
            target.add(text.len()).write(T::default());
        }
    }
    target
}

/// `_itoa_s`, `_ltoa_s`, `_ultoa_s`, `_i64toa_s`, `_ui64toa_s`, and the same with `w`. What does not fit leaves an
/// empty string.
pub unsafe extern "win64" fn write_bounded<N: Number, T: Unit>(
    value: N,
    target: *mut T,
    room: usize,
    base: i32,
) -> i32 {
    if target.is_null() || room == 0 {
        return EINVAL;
    }
    let text = written::<T>(value, base);
    let result = match &text {
        None => EINVAL,
        Some(text) if text.len() >= room => ERANGE,
        Some(_) => 0,
    };
    let text = text.filter(|_| result == 0).unwrap_or_default();
    // SAFETY: the driver passes the room, in which the text and its terminator fit.
    unsafe {
        target.copy_from_nonoverlapping(text.as_ptr(), text.len());
        target.add(text.len()).write(T::default());
    }
    result
}

fn character<T: Unit + Into<u32>>(unit: &T) -> char {
    char::from_u32((*unit).into()).unwrap_or('\u{FFFD}')
}

/// Blanks and a sign in front of a number: whether that is a minus, and what follows.
fn signed<T: Unit + Into<u32>>(units: &[T]) -> (bool, &[T]) {
    let is_blank = |unit: &&T| matches!(character(*unit), ' ' | '\t'..='\r');
    let units = &units[units.iter().take_while(is_blank).count()..];
    match units.first().map(character) {
        Some('-') => (true, &units[1..]),
        Some('+') => (false, &units[1..]),
        _ => (false, units),
    }
}

/// `atoi`, `atol`, `_wtoi`, `_wtol`: blanks, a sign and digits, up to what is none.
pub unsafe extern "win64" fn to_integer<T: Unit + Into<u32>>(text: *const T) -> i32 {
    // SAFETY: the driver passes a terminated string.
    let (negative, units) = signed(unsafe { terminated(text) });
    let digits = units.iter().map_while(|unit| character(unit).to_digit(10));
    let value = digits.fold(0_i32, |value, digit| {
        value.wrapping_mul(10).wrapping_add(digit.cast_signed())
    });
    if negative {
        value.wrapping_neg()
    } else {
        value
    }
}

/// A number in `base`, with base 0 in that which its prefix says: its sign, its magnitude unless that is more than
/// `most`, and how many units of the string it takes.
fn read<T: Unit + Into<u32>>(units: &[T], base: u32, most: u64) -> (bool, Option<u64>, usize) {
    let (negative, rest) = signed(units);
    let is = |index: usize, wanted: char| {
        let unit = rest.get(index).map(character);
        unit.is_some_and(|unit: char| unit.eq_ignore_ascii_case(&wanted))
    };
    let is_digit = |index: usize| {
        rest.get(index)
            .is_some_and(|unit| character(unit).is_ascii_hexdigit())
    };
    let is_hexadecimal = matches!(base, 0 | 16) && is(0, '0') && is(1, 'x') && is_digit(2);
    let base = match base {
        0 if is_hexadecimal => 16,
        0 if is(0, '0') => 8,
        0 => 10,
        base => base,
    };
    let digits = &rest[if is_hexadecimal { 2 } else { 0 }..];
    let mut value = Some(0_u64);
    let mut count = 0;
    for digit in digits
        .iter()
        .map_while(|unit| character(unit).to_digit(base))
    {
        let next = |value: u64| value.checked_mul(base.into())?.checked_add(digit.into());
        value = value.and_then(next).filter(|value| *value <= most);
        count += 1;
    }
    let taken = units.len() - digits.len() + count;
    (negative, value, if count == 0 { 0 } else { taken })
}

/// Reads a number of at most `most`, which is the answer where there are more, and tells where it ends.
///
/// # Safety
/// `text` is a terminated string, and `end` null or the driver's.
unsafe fn read_at<T: Unit + Into<u32>>(
    text: *const T,
    end: *mut *const T,
    base: i32,
    most: u64,
) -> u64 {
    let base = u32::try_from(base)
        .ok()
        .filter(|base| *base == 0 || (2..=36).contains(base));
    let (negative, value, taken) = match base {
        Some(base) if !text.is_null() => {
            // SAFETY: contract.
            read(unsafe { terminated(text) }, base, most)
        }
        _ => (false, Some(0), 0),
    };
    // SAFETY: contract.
    if let Some(end) = unsafe { end.as_mut() } {
        *end = text.wrapping_add(taken);
    }
    match value {
        None => most,
        Some(value) if negative => value.wrapping_neg() & most,
        Some(value) => value,
    }
}

/// `wcstoul`: 0xFFFFFFFF for what is more than that.
pub unsafe extern "win64" fn to_unsigned_long(
    text: *const u16,
    end: *mut *const u16,
    base: i32,
) -> u32 {
    // SAFETY: the driver passes a terminated string, and a place or null.
    unsafe { read_at(text, end, base, u32::MAX.into()) as u32 }
}

/// `_strtoui64`.
pub unsafe extern "win64" fn to_unsigned_64(
    text: *const u8,
    end: *mut *const u8,
    base: i32,
) -> u64 {
    // SAFETY: as `wcstoul`.
    unsafe { read_at(text, end, base, u64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null_mut;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().chain([0]).collect()
    }

    #[test]
    fn numbers_are_read_to_their_end() {
        // SAFETY: terminated strings.
        let number = |text: &std::ffi::CStr| unsafe { to_integer(text.as_ptr().cast::<u8>()) };
        assert_eq!(
            [
                number(c" \t-42x7"),
                number(c"+7"),
                number(c"x"),
                number(c"")
            ],
            [-42, 7, 0, 0]
        );
    }

    #[test]
    fn a_number_ends_where_its_base_says() {
        let read = |text: &str, base| {
            let units = wide(text);
            let mut end = null_mut::<u16>().cast_const();
            // SAFETY: a terminated string.
            let value = unsafe { to_unsigned_long(units.as_ptr(), &raw mut end, base) };
            (value, (end.addr() - units.as_ptr().addr()) / 2)
        };
        assert_eq!(read(" 12z", 10), (12, 3));
        assert_eq!(read("0x1Fg", 0), (31, 4));
        assert_eq!(read("0x1F", 16), (31, 4));
        assert_eq!(read("0xg", 0), (0, 1));
        assert_eq!(read("0178", 0), (15, 3));
        assert_eq!(read("-1", 0), (u32::MAX, 2));
        assert_eq!(read("4294967296;", 10), (u32::MAX, 10));
        assert_eq!(read("  x", 10), (0, 0));
        assert_eq!(read("11", 1), (0, 0));
        // SAFETY: a terminated string, and nowhere to tell its end.
        let large = unsafe { to_unsigned_64(c"zz".as_ptr().cast(), null_mut(), 36) };
        assert_eq!(large, 35 * 36 + 35);
    }

    #[test]
    fn a_number_is_written_where_there_is_room() {
        let written = |value, room, base| {
            let mut buffer = *b"~~~~~";
            // SAFETY: no more room than there is.
            let result =
                unsafe { write_bounded::<i32, u8>(value, buffer.as_mut_ptr(), room, base) };
            (result, buffer)
        };
        assert_eq!(written(-42, 4, 10), (0, *b"-42\0~"));
        assert_eq!(written(-42, 3, 10), (ERANGE, *b"\0~~~~"));
        assert_eq!(written(0, 5, 2), (0, *b"0\0~~~"));
        assert_eq!(written(-1, 5, 16), (ERANGE, *b"\0~~~~"));
        assert_eq!(written(0xAB, 5, 16), (0, *b"ab\0~~"));
        assert_eq!(written(1, 5, 37), (EINVAL, *b"\0~~~~"));
        assert_eq!(written(1, 0, 10), (EINVAL, *b"~~~~~"));
        let mut units = [7_u16; 6];
        // SAFETY: there is room.
        let same = unsafe { write(-10, units.as_mut_ptr(), 10) };
        assert_eq!(same, units.as_mut_ptr());
        assert_eq!(units[..4], wide("-10"));
    }
}
