//! UTF-16 strings.
//!
//! The kernel's routines fold case by ASCII only, in the C locale.
//!
//! Source: the C run-time library reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use crate::exports::rtl::terminated;

type Unit = u16;
type Text = *mut Unit;

/// The units before the terminator, at most `limit`.
///
/// # Safety
/// `text` is terminated or has `limit` units.
unsafe fn at_most<'a>(text: *const Unit, limit: usize) -> &'a [Unit] {
    let mut length = 0;
    // SAFETY: contract of the function.
    while length < limit && unsafe { text.add(length).read() } != 0 {
        length += 1;
    }
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(text, length) }
}

fn lower(unit: Unit) -> Unit {
    u8::try_from(unit).map_or(unit, |byte| u16::from(byte.to_ascii_lowercase()))
}

fn upper(unit: Unit) -> Unit {
    u8::try_from(unit).map_or(unit, |byte| u16::from(byte.to_ascii_uppercase()))
}

fn order(a: &[Unit], b: &[Unit]) -> i32 {
    a.cmp(b) as i32
}

fn order_folded(a: &[Unit], b: &[Unit]) -> i32 {
    let fold = |units: &[Unit]| units.iter().map(|unit| lower(*unit)).collect::<Vec<_>>();
    order(&fold(a), &fold(b))
}

/// Writes `units` and a terminator.
///
/// # Safety
/// There is room at `target`; the units may overlap it.
unsafe fn put(target: Text, units: &[Unit]) {
    let length = units.len();
    // SAFETY: contract of the function.
    unsafe { target.copy_from(units.as_ptr(), length) };
    // SAFETY: as above.
    unsafe { target.add(length).write(0) };
}

/// `wcslen`.
pub unsafe extern "win64" fn length(text: *const Unit) -> usize {
    // SAFETY: the driver passes a terminated string.
    unsafe { terminated(text) }.len()
}

/// `wcscmp`.
pub unsafe extern "win64" fn compare(a: *const Unit, b: *const Unit) -> i32 {
    // SAFETY: the driver passes terminated strings.
    unsafe { order(terminated(a), terminated(b)) }
}

/// `wcsncmp`.
pub unsafe extern "win64" fn compare_at_most(a: *const Unit, b: *const Unit, limit: usize) -> i32 {
    // SAFETY: the driver passes strings.
    unsafe { order(at_most(a, limit), at_most(b, limit)) }
}

/// `_wcsicmp`.
pub unsafe extern "win64" fn compare_folded(a: *const Unit, b: *const Unit) -> i32 {
    // SAFETY: the driver passes terminated strings.
    unsafe { order_folded(terminated(a), terminated(b)) }
}

/// `_wcsnicmp`.
pub unsafe extern "win64" fn compare_folded_at_most(
    a: *const Unit,
    b: *const Unit,
    limit: usize,
) -> i32 {
    // SAFETY: the driver passes strings.
    unsafe { order_folded(at_most(a, limit), at_most(b, limit)) }
}

/// `wcscpy`.
pub unsafe extern "win64" fn copy(target: Text, source: *const Unit) -> Text {
    // SAFETY: the driver passes a terminated string and room for it.
    unsafe { put(target, terminated(source)) };
    target
}

/// `wcsncpy`: fills up with zeros, and does not terminate a string that is too long.
pub unsafe extern "win64" fn copy_at_most(target: Text, source: *const Unit, limit: usize) -> Text {
    // SAFETY: the driver passes a string.
    let units = unsafe { at_most(source, limit) };
    let length = units.len();
    // SAFETY: the driver passes room for `limit` units.
    unsafe { target.copy_from(units.as_ptr(), length) };
    // SAFETY: as above.
    unsafe { target.add(length).write_bytes(0, limit - length) };
    target
}

/// `wcscat`.
pub unsafe extern "win64" fn append(target: Text, source: *const Unit) -> Text {
    // SAFETY: the driver passes terminated strings and room.
    unsafe { append_at_most(target, source, usize::MAX) }
}

/// `wcsncat`: always terminates.
pub unsafe extern "win64" fn append_at_most(
    target: Text,
    source: *const Unit,
    limit: usize,
) -> Text {
    // SAFETY: the driver passes a terminated string.
    let end = unsafe { terminated(target.cast_const()) }.len();
    // SAFETY: the driver passes a string and room for it.
    unsafe { put(target.add(end), at_most(source, limit)) };
    target
}

fn place(text: Text, index: Option<usize>) -> Text {
    index.map_or(std::ptr::null_mut(), |index| text.wrapping_add(index))
}

/// `wcschr`: the terminator can be looked for, too.
pub unsafe extern "win64" fn find(text: Text, wanted: Unit) -> Text {
    // SAFETY: the driver passes a terminated string.
    let units = unsafe { terminated(text.cast_const()) };
    place(
        text,
        if wanted == 0 {
            Some(units.len())
        } else {
            units.iter().position(|unit| *unit == wanted)
        },
    )
}

/// `wcsrchr`.
pub unsafe extern "win64" fn find_last(text: Text, wanted: Unit) -> Text {
    // SAFETY: the driver passes a terminated string.
    let units = unsafe { terminated(text.cast_const()) };
    place(
        text,
        if wanted == 0 {
            Some(units.len())
        } else {
            units.iter().rposition(|unit| *unit == wanted)
        },
    )
}

/// `wcsstr`: an empty string is found at the start.
pub unsafe extern "win64" fn find_string(text: Text, wanted: *const Unit) -> Text {
    // SAFETY: the driver passes terminated strings.
    let (units, wanted) = unsafe { (terminated(text.cast_const()), terminated(wanted)) };
    let index = if wanted.is_empty() {
        Some(0)
    } else {
        units.windows(wanted.len()).position(|part| part == wanted)
    };
    place(text, index)
}

/// Changes the units before the terminator.
///
/// # Safety
/// `text` is terminated.
unsafe fn change(text: Text, change: fn(Unit) -> Unit) -> Text {
    // SAFETY: contract of the function.
    let length = unsafe { terminated(text.cast_const()) }.len();
    for index in 0..length {
        // SAFETY: before the terminator.
        let unit = unsafe { &mut *text.add(index) };
        *unit = change(*unit);
    }
    text
}

/// `_wcsupr`.
pub unsafe extern "win64" fn to_upper_string(text: Text) -> Text {
    // SAFETY: the driver passes a terminated string.
    unsafe { change(text, upper) }
}

/// `_wcslwr`.
pub unsafe extern "win64" fn to_lower_string(text: Text) -> Text {
    // SAFETY: the driver passes a terminated string.
    unsafe { change(text, lower) }
}

/// `towupper`.
pub unsafe extern "win64" fn to_upper(unit: Unit) -> Unit {
    upper(unit)
}

/// `towlower`.
pub unsafe extern "win64" fn to_lower(unit: Unit) -> Unit {
    lower(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Vec<Unit> {
        value.encode_utf16().chain([0]).collect()
    }

    #[test]
    fn comparing() {
        let check = |a: &str, b: &str, limit: usize| {
            let (a, b) = (text(a), text(b));
            // SAFETY: terminated strings.
            unsafe {
                (
                    compare(a.as_ptr(), b.as_ptr()),
                    compare_at_most(a.as_ptr(), b.as_ptr(), limit),
                    compare_folded(a.as_ptr(), b.as_ptr()),
                    compare_folded_at_most(a.as_ptr(), b.as_ptr(), limit),
                )
            }
        };
        assert_eq!(check("abc", "abc", 3), (0, 0, 0, 0));
        assert_eq!(check("abc", "ABD", 2), (1, 1, -1, 0));
        assert_eq!(check("ab", "abc", 2), (-1, 0, -1, 0));
        // Folded to lower case, an underscore comes before letters.
        assert_eq!(check("_", "A", 1).2, -1);
    }

    #[test]
    fn copying_and_appending() {
        let mut room = [7 as Unit; 8];
        let at = room.as_mut_ptr();
        // SAFETY: the strings fit the room, here and below.
        assert_eq!(unsafe { copy_at_most(at, text("ab").as_ptr(), 4) }, at);
        assert_eq!((&room[..3], &room[3..5]), (&text("ab")[..], &[0, 7][..]));
        // SAFETY: as above.
        unsafe { append(at, text("cd").as_ptr()) };
        // SAFETY: as above.
        unsafe { append_at_most(at, text("efgh").as_ptr(), 1) };
        assert_eq!(room[..6], text("abcde")[..]);
        // SAFETY: as above.
        unsafe { copy_at_most(at, text("xyz").as_ptr(), 2) };
        assert_eq!(room[..3], text("xyc")[..3]);
        // SAFETY: as above.
        unsafe { copy(at, text("q").as_ptr()) };
        // SAFETY: as above.
        assert_eq!(unsafe { length(at) }, 1);
    }

    #[test]
    fn finding() {
        let mut units = text("abcab");
        let at = units.as_mut_ptr();
        // SAFETY: terminated strings, here and below.
        assert_eq!(unsafe { find(at, b'b'.into()) }, at.wrapping_add(1));
        // SAFETY: as above.
        assert_eq!(unsafe { find_last(at, b'b'.into()) }, at.wrapping_add(4));
        // SAFETY: as above.
        assert_eq!(unsafe { find(at, 0) }, at.wrapping_add(5));
        // SAFETY: as above.
        assert!(unsafe { find(at, b'z'.into()) }.is_null());
        assert_eq!(
            // SAFETY: as above.
            unsafe { find_string(at, text("ca").as_ptr()) },
            at.wrapping_add(2)
        );
        // SAFETY: as above.
        assert_eq!(unsafe { find_string(at, text("").as_ptr()) }, at);
        // SAFETY: as above.
        assert!(unsafe { find_string(at, text("x").as_ptr()) }.is_null());
    }

    #[test]
    fn changing_case() {
        let mut units = text("aBé");
        // SAFETY: terminated strings, here and below.
        unsafe { to_upper_string(units.as_mut_ptr()) };
        assert_eq!(units, text("ABé"));
        // SAFETY: as above.
        unsafe { to_lower_string(units.as_mut_ptr()) };
        assert_eq!(units, text("abé"));
    }
}
