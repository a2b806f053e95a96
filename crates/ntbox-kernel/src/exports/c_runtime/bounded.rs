//! The routines that are told how much room there is, and classes of characters.
//!
//! What does not fit leaves an empty string and an error, unless it is to be cut off.
//!
//! Source: the C run-time library reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use super::strings::Unit;
use crate::exports::rtl::terminated;

pub const EINVAL: i32 = 22;
pub const ERANGE: i32 = 34;
const STRUNCATE: i32 = 80;
/// `_TRUNCATE`: as much as fits.
const TRUNCATE: usize = usize::MAX;

/// Puts `text` behind the first `kept` units of `target` if it fits with its terminator, or with `truncates` what
/// of it fits.
///
/// # Safety
/// There is room for `room` units at `target`.
unsafe fn put<T: Unit>(
    target: *mut T,
    room: usize,
    kept: usize,
    text: &[T],
    truncates: bool,
) -> i32 {
    if target.is_null() || room == 0 {
        return EINVAL;
    }
    let left = room.saturating_sub(kept + 1);
    if kept >= room || text.len() > left && !truncates {
        // SAFETY: contract of the function: there is room for one.
        unsafe { target.write(T::default()) };
        return ERANGE;
    }
    let taken = text.len().min(left);
    let end = target.wrapping_add(kept);
    // SAFETY: contract of the function.
    unsafe { end.copy_from_nonoverlapping(text.as_ptr(), taken) };
    // SAFETY: as above.
    unsafe { end.add(taken).write(T::default()) };
    if taken < text.len() { STRUNCATE } else { 0 }
}

/// Units of `target` in front of its terminator; all the room if there is none.
///
/// # Safety
/// There is room for `room` units at `target`.
unsafe fn length<T: Unit>(target: *const T, room: usize) -> usize {
    // SAFETY: contract of the function.
    let is_end = |index: &usize| unsafe { target.add(*index).read() } == T::default();
    (0..room).find(is_end).unwrap_or(room)
}

/// The first `most` units of a string.
///
/// # Safety
/// `source` is a terminated string, or has `most` units.
unsafe fn first<'a, T: Unit>(source: *const T, most: usize) -> &'a [T] {
    // SAFETY: contract of the function: no unit behind the terminator is looked at.
    let taken = unsafe { length(source, most) };
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(source, taken) }
}

/// `strnlen`, `wcsnlen`.
pub unsafe extern "win64" fn length_at_most<T: Unit>(text: *const T, most: usize) -> usize {
    // SAFETY: the driver passes a string that is terminated, or has `most` units.
    unsafe { length(text, most) }
}

/// `memcpy_s`, `memmove_s`. What does not fit leaves zeroes.
pub unsafe extern "win64" fn copy_bytes(
    target: *mut u8,
    room: usize,
    source: *const u8,
    count: usize,
) -> i32 {
    if count == 0 {
        return 0;
    }
    if target.is_null() {
        return EINVAL;
    }
    if source.is_null() || count > room {
        // SAFETY: the driver passes the room.
        unsafe { target.write_bytes(0, room) };
        return if source.is_null() { EINVAL } else { ERANGE };
    }
    // SAFETY: the driver passes `count` bytes, and there is room for them.
    unsafe { target.copy_from(source, count) };
    0
}

/// `strcpy_s`, `wcscpy_s`.
pub unsafe extern "win64" fn copy<T: Unit>(target: *mut T, room: usize, source: *const T) -> i32 {
    // SAFETY: the driver passes the room and a terminated string.
    unsafe { put(target, room, 0, terminated(source), false) }
}

/// `strcat_s`, `wcscat_s`.
pub unsafe extern "win64" fn append<T: Unit>(target: *mut T, room: usize, source: *const T) -> i32 {
    // SAFETY: the driver passes the room and terminated strings.
    unsafe {
        put(
            target,
            room,
            length(target, room),
            terminated(source),
            false,
        )
    }
}

/// `strncpy_s`, `wcsncpy_s`.
pub unsafe extern "win64" fn copy_at_most<T: Unit>(
    target: *mut T,
    room: usize,
    source: *const T,
    most: usize,
) -> i32 {
    // SAFETY: the driver passes the room and a string.
    unsafe { put(target, room, 0, first(source, most), most == TRUNCATE) }
}

/// `strncat_s`, `wcsncat_s`.
pub unsafe extern "win64" fn append_at_most<T: Unit>(
    target: *mut T,
    room: usize,
    source: *const T,
    most: usize,
) -> i32 {
    // SAFETY: the driver passes the room and strings.
    unsafe {
        put(
            target,
            room,
            length(target, room),
            first(source, most),
            most == TRUNCATE,
        )
    }
}

/// A routine that says whether a character is of a class, in the C locale.
macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident, $is:ident;)*) => { $(
        $(#[$doc])*
        pub unsafe extern "win64" fn $name(character: i32) -> i32 {
            i32::from(u8::try_from(character).is_ok_and(|byte| byte.$is()))
        }
    )* };
}

classes! {
    /// `isdigit`, `iswdigit`.
    is_digit, is_ascii_digit;
    /// `isxdigit`, `iswxdigit`.
    is_hexadecimal, is_ascii_hexdigit;
    /// `isspace`, `iswspace`.
    is_space, is_ascii_whitespace;
    /// `isupper`.
    is_upper, is_ascii_uppercase;
    /// `islower`.
    is_lower, is_ascii_lowercase;
    /// `isalpha`, `iswalpha`.
    is_letter, is_ascii_alphabetic;
    /// `isalnum`.
    is_alphanumeric, is_ascii_alphanumeric;
}

/// `isprint`: what is seen, and the blank.
pub unsafe extern "win64" fn is_printed(character: i32) -> i32 {
    i32::from((0x20..=0x7E).contains(&character))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status and buffer of four bytes that begin as `ab`.
    fn with(f: impl FnOnce(*mut u8) -> i32) -> (i32, [u8; 4]) {
        let mut buffer = *b"ab\0~";
        let status = f(buffer.as_mut_ptr());
        (status, buffer)
    }

    #[test]
    fn bytes_are_copied_where_there_is_room() {
        let mut target = [7; 4];
        let mut copied = |room, source: *const u8, count| {
            // SAFETY: the array has so much room, and the source so many bytes.
            let result = unsafe { copy_bytes(target.as_mut_ptr(), room, source, count) };
            (result, std::mem::replace(&mut target, [7; 4]))
        };
        let source = [1_u8, 2, 3, 4].as_ptr();
        assert_eq!(copied(4, source, 3), (0, [1, 2, 3, 7]));
        assert_eq!(copied(3, source, 4), (ERANGE, [0, 0, 0, 7]));
        assert_eq!(copied(2, std::ptr::null(), 1), (EINVAL, [0, 0, 7, 7]));
        assert_eq!(copied(0, std::ptr::null(), 0), (0, [7; 4]));
        // SAFETY: nothing is touched.
        let nowhere = unsafe { copy_bytes(std::ptr::null_mut(), 4, source, 1) };
        assert_eq!(nowhere, EINVAL);
        let text = [b'a', b'b', 0];
        for (most, length) in [(0, 0), (1, 1), (2, 2), (3, 2)] {
            // SAFETY: so many units, or a terminator in front of them.
            assert_eq!(unsafe { length_at_most(text.as_ptr(), most) }, length);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_copied() {
        let text = c"xyz".as_ptr().cast::<u8>();
        // SAFETY: room for as many as are said, here and below.
        unsafe {
            assert_eq!(with(|to| copy(to, 4, text)), (0, *b"xyz\0"));
            assert_eq!(with(|to| copy(to, 3, text)), (ERANGE, *b"\0b\0~"));
            assert_eq!(with(|to| copy(to, 0, text)), (EINVAL, *b"ab\0~"));
            assert_eq!(with(|to| append_at_most(to, 4, text, 1)), (0, *b"abx\0"));
            assert_eq!(with(|to| append(to, 4, text)).0, ERANGE);
            assert_eq!(with(|to| copy_at_most(to, 4, text, 2)), (0, *b"xy\0~"));
            assert_eq!(
                with(|to| copy_at_most(to, 3, text, TRUNCATE)),
                (STRUNCATE, *b"xy\0~")
            );
        }
    }

    #[test]
    fn characters_are_of_classes() {
        // SAFETY: no pointers.
        let classes = unsafe {
            [
                is_digit(0x35),
                is_digit(0x61),
                is_letter(0x61),
                is_space(0x1_0020),
                is_printed(0x20),
                is_printed(0x7F),
            ]
        };
        assert_eq!(classes, [1, 0, 1, 0, 1, 0]);
    }
}
