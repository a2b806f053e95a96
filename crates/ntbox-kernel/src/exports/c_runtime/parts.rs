//! Parts of strings: spans and tokens, and strings between bytes and units.
//!
//! Source: the C run-time library reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use super::strings::Unit;
use crate::exports::rtl::{ansi_of_unit, terminated, unit_of_ansi};
use std::ptr::null_mut;

/// How many units in front are in `set`, or are not.
fn span<T: Unit>(units: &[T], set: &[T], are_in: bool) -> usize {
    let belongs = |unit: &&T| set.contains(unit) == are_in;
    units.iter().take_while(belongs).count()
}

/// `strspn`, `wcsspn`.
pub unsafe extern "win64" fn span_of<T: Unit>(text: *const T, set: *const T) -> usize {
    // SAFETY: the driver passes terminated strings.
    unsafe { span(terminated(text), terminated(set), true) }
}

/// `wcscspn`.
pub unsafe extern "win64" fn span_without<T: Unit>(text: *const T, set: *const T) -> usize {
    // SAFETY: the driver passes terminated strings.
    unsafe { span(terminated(text), terminated(set), false) }
}

/// `strtok_s`: the next token, terminated in its place; `text` is null for those behind the first.
pub unsafe extern "win64" fn token<T: Unit>(
    text: *mut T,
    delimiters: *const T,
    context: *mut *mut T,
) -> *mut T {
    if context.is_null() || delimiters.is_null() {
        return null_mut();
    }
    let start = match text.is_null() {
        false => text,
        // SAFETY: the driver's pointer.
        true => unsafe { *context },
    };
    if start.is_null() {
        return null_mut();
    }
    // SAFETY: the driver passes terminated strings.
    let (units, set) = unsafe { (terminated(start.cast_const()), terminated(delimiters)) };
    let begin = span(units, set, true);
    let length = span(&units[begin..], set, false);
    let end = begin + length;
    let is_last = end == units.len();
    // SAFETY: in the string: the terminator, or a delimiter, which is written over.
    unsafe { start.add(end).write(T::default()) };
    // SAFETY: the driver's pointer.
    unsafe { context.write(start.wrapping_add(end + usize::from(!is_last))) };
    if length == 0 {
        null_mut()
    } else {
        start.wrapping_add(begin)
    }
}

/// `_strrev`, `_wcsrev`.
pub unsafe extern "win64" fn reverse<T: Unit>(text: *mut T) -> *mut T {
    // SAFETY: the driver passes a terminated string.
    let reversed: Vec<T> = unsafe { terminated(text.cast_const()) }
        .iter()
        .rev()
        .copied()
        .collect();
    // SAFETY: as many as there are.
    unsafe { text.copy_from_nonoverlapping(reversed.as_ptr(), reversed.len()) };
    text
}

/// `_strset`.
pub unsafe extern "win64" fn fill<T: Unit>(text: *mut T, unit: i32) -> *mut T {
    // SAFETY: the driver passes a terminated string.
    unsafe { fill_at_most(text, unit, usize::MAX) }
}

/// `_strnset`, `_wcsnset`.
pub unsafe extern "win64" fn fill_at_most<T: Unit>(text: *mut T, unit: i32, most: usize) -> *mut T {
    let mut index = 0;
    // SAFETY: the driver passes a terminated string, up to whose end this goes.
    while index < most && unsafe { text.add(index).read() } != T::default() {
        // SAFETY: as above.
        unsafe { text.add(index).write(T::of(unit)) };
        index += 1;
    }
    text
}

/// Writes what a string becomes, at most `most` units of it and the terminator if there is room; how many without it.
///
/// # Safety
/// `source` is a terminated string, `target` null or has `most` units.
unsafe fn convert<From: Unit, Into: Unit>(
    target: *mut Into,
    source: *const From,
    most: usize,
    unit: fn(From) -> Into,
) -> usize {
    // SAFETY: contract.
    let converted: Vec<Into> = unsafe { terminated(source) }
        .iter()
        .map(|from| unit(*from))
        .collect();
    if target.is_null() {
        return converted.len();
    }
    let kept = converted.len().min(most);
    // SAFETY: contract.
    unsafe { target.copy_from_nonoverlapping(converted.as_ptr(), kept) };
    if kept < most {
        // SAFETY: contract.
        unsafe { target.add(kept).write(Into::default()) };
    }
    kept
}

/// `mbstowcs`, in the ANSI code page.
pub unsafe extern "win64" fn to_wide(target: *mut u16, source: *const u8, most: usize) -> usize {
    // SAFETY: the driver passes a terminated string and the room.
    unsafe { convert(target, source, most, unit_of_ansi) }
}

/// `wcstombs`, as [`to_wide`].
pub unsafe extern "win64" fn to_bytes(target: *mut u8, source: *const u16, most: usize) -> usize {
    // SAFETY: as above.
    unsafe { convert(target, source, most, ansi_of_unit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lie_between_delimiters() {
        let mut text = *b",a,;bc;\0";
        let mut context = null_mut();
        let mut next = |text: *mut u8| {
            let set = c";,".as_ptr().cast();
            // SAFETY: terminated strings.
            let found = unsafe { token(text, set, &raw mut context) };
            // SAFETY: as above.
            (!found.is_null()).then(|| unsafe { terminated(found.cast_const()) }.to_vec())
        };
        assert_eq!(next(text.as_mut_ptr()), Some(b"a".to_vec()));
        assert_eq!(next(null_mut()), Some(b"bc".to_vec()));
        assert_eq!([next(null_mut()), next(null_mut())], [None, None]);
        // SAFETY: nothing is touched.
        let nowhere = unsafe { token(null_mut(), c",".as_ptr().cast::<u8>(), null_mut()) };
        assert!(nowhere.is_null());
    }

    #[test]
    fn spans_end_with_the_first_that_differs() {
        let (text, set) = (c"aab".as_ptr().cast::<u8>(), c"a".as_ptr().cast());
        // SAFETY: terminated strings.
        let spans = unsafe {
            [
                span_of(text, set),
                span_without(text, set),
                span_of(set, set),
            ]
        };
        assert_eq!(spans, [2, 0, 1]);
    }

    #[test]
    fn strings_are_changed_in_their_place() {
        let mut text = *b"abc\0~";
        let at = text.as_mut_ptr();
        // SAFETY: a terminated string.
        unsafe { reverse(at) };
        assert_eq!(text, *b"cba\0~");
        // SAFETY: as above.
        unsafe { fill_at_most(at, b'x'.into(), 2) };
        assert_eq!(text, *b"xxa\0~");
        // SAFETY: as above.
        unsafe { fill(at, b'y'.into()) };
        assert_eq!(text, *b"yyy\0~");
    }

    #[test]
    fn bytes_and_units_of_the_ansi_code_page() {
        let mut units = [7_u16; 4];
        let euro = c"\x80b".as_ptr().cast();
        // SAFETY: terminated strings, and the room.
        let counts = unsafe {
            let room = units.as_mut_ptr();
            [
                to_wide(null_mut(), euro, 0),
                to_wide(room, euro, 1),
                to_wide(room.add(1), euro, 3),
            ]
        };
        assert_eq!((counts, units), ([2, 1, 2], [0x20AC, 0x20AC, 0x62, 0]));
        let mut bytes = [7_u8; 4];
        // SAFETY: as above.
        let count = unsafe { to_bytes(bytes.as_mut_ptr(), units.as_ptr(), 4) };
        assert_eq!((count, bytes), (3, *b"\x80\x80b\0"));
    }
}
