//! Strings of bytes, and of UTF-16 units: each routine once, for both.
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

/// What a string consists of.
pub trait Unit: Copy + Default + Ord {
    /// The unit in the low bits of an argument.
    fn of(argument: i32) -> Self;
    /// ASCII letters in lower case, everything else as it is.
    fn lower(self) -> Self;
    /// ASCII letters in upper case, everything else as it is.
    fn upper(self) -> Self;
}

impl Unit for u8 {
    fn of(argument: i32) -> Self {
        argument as Self
    }
    fn lower(self) -> Self {
        self.to_ascii_lowercase()
    }
    fn upper(self) -> Self {
        self.to_ascii_uppercase()
    }
}

impl Unit for u16 {
    fn of(argument: i32) -> Self {
        argument as Self
    }
    fn lower(self) -> Self {
        u8::try_from(self).map_or(self, |byte| byte.to_ascii_lowercase().into())
    }
    fn upper(self) -> Self {
        u8::try_from(self).map_or(self, |byte| byte.to_ascii_uppercase().into())
    }
}

/// The units before the terminator, at most `limit`.
///
/// # Safety
/// `text` is terminated or has `limit` units.
unsafe fn at_most<'a, U: Unit>(text: *const U, limit: usize) -> &'a [U] {
    let mut length = 0;
    // SAFETY: contract of the function.
    while length < limit && unsafe { text.add(length).read() } != U::default() {
        length += 1;
    }
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(text, length) }
}

fn order<U: Unit>(a: &[U], b: &[U]) -> i32 {
    a.cmp(b) as i32
}

fn order_folded<U: Unit>(a: &[U], b: &[U]) -> i32 {
    let fold = |units: &[U]| units.iter().map(|unit| unit.lower()).collect::<Vec<_>>();
    order(&fold(a), &fold(b))
}

/// Writes `units` and a terminator.
///
/// # Safety
/// There is room at `target`; the units may overlap it.
unsafe fn put<U: Unit>(target: *mut U, units: &[U]) {
    let length = units.len();
    // SAFETY: contract of the function.
    unsafe { target.copy_from(units.as_ptr(), length) };
    // SAFETY: as above.
    unsafe { target.add(length).write(U::default()) };
}

/// `strlen`, `wcslen`.
pub unsafe extern "win64" fn length<U: Unit>(text: *const U) -> usize {
    // SAFETY: the driver passes a terminated string.
    unsafe { terminated(text) }.len()
}

/// `strcmp`, `wcscmp`.
pub unsafe extern "win64" fn compare<U: Unit>(a: *const U, b: *const U) -> i32 {
    // SAFETY: the driver passes terminated strings.
    unsafe { order(terminated(a), terminated(b)) }
}

/// `strncmp`, `wcsncmp`.
pub unsafe extern "win64" fn compare_at_most<U: Unit>(
    a: *const U,
    b: *const U,
    limit: usize,
) -> i32 {
    // SAFETY: the driver passes strings.
    unsafe { order(at_most(a, limit), at_most(b, limit)) }
}

/// `_stricmp`, `_wcsicmp`.
pub unsafe extern "win64" fn compare_folded<U: Unit>(a: *const U, b: *const U) -> i32 {
    // SAFETY: the driver passes terminated strings.
    unsafe { order_folded(terminated(a), terminated(b)) }
}

/// `_strnicmp`, `_wcsnicmp`.
pub unsafe extern "win64" fn compare_folded_at_most<U: Unit>(
    a: *const U,
    b: *const U,
    limit: usize,
) -> i32 {
    // SAFETY: the driver passes strings.
    unsafe { order_folded(at_most(a, limit), at_most(b, limit)) }
}

/// `strcpy`, `wcscpy`.
pub unsafe extern "win64" fn copy<U: Unit>(target: *mut U, source: *const U) -> *mut U {
    // SAFETY: the driver passes a terminated string and room for it.
    unsafe { put(target, terminated(source)) };
    target
}

/// `strncpy`, `wcsncpy`: fills up with zeros, and does not terminate a string that is too long.
pub unsafe extern "win64" fn copy_at_most<U: Unit>(
    target: *mut U,
    source: *const U,
    limit: usize,
) -> *mut U {
    // SAFETY: the driver passes a string.
    let units = unsafe { at_most(source, limit) };
    let length = units.len();
    // SAFETY: the driver passes room for `limit` units.
    unsafe { target.copy_from(units.as_ptr(), length) };
    // SAFETY: as above.
    unsafe { target.add(length).write_bytes(0, limit - length) };
    target
}

/// `strcat`, `wcscat`.
pub unsafe extern "win64" fn append<U: Unit>(target: *mut U, source: *const U) -> *mut U {
    // SAFETY: the driver passes terminated strings and room.
    unsafe { append_at_most(target, source, usize::MAX) }
}

/// `strncat`, `wcsncat`: always terminates.
pub unsafe extern "win64" fn append_at_most<U: Unit>(
    target: *mut U,
    source: *const U,
    limit: usize,
) -> *mut U {
    // SAFETY: the driver passes a terminated string.
    let end = unsafe { terminated(target.cast_const()) }.len();
    // SAFETY: the driver passes a string and room for it.
    unsafe { put(target.add(end), at_most(source, limit)) };
    target
}

fn place<U: Unit>(text: *mut U, index: Option<usize>) -> *mut U {
    index.map_or(std::ptr::null_mut(), |index| text.wrapping_add(index))
}

/// The place of a unit, which `look` finds unless it is the terminator.
///
/// # Safety
/// `text` is a terminated string.
unsafe fn place_of<U: Unit>(
    text: *mut U,
    wanted: i32,
    look: impl FnOnce(&[U], U) -> Option<usize>,
) -> *mut U {
    // SAFETY: contract of the function.
    let units = unsafe { terminated(text.cast_const()) };
    let wanted = U::of(wanted);
    let found = if wanted == U::default() {
        Some(units.len())
    } else {
        look(units, wanted)
    };
    place(text, found)
}

/// `strchr`, `wcschr`: the terminator can be looked for, too.
pub unsafe extern "win64" fn find<U: Unit>(text: *mut U, wanted: i32) -> *mut U {
    let first = |units: &[U], wanted| units.iter().position(|unit| *unit == wanted);
    // SAFETY: the driver passes a terminated string.
    unsafe { place_of(text, wanted, first) }
}

/// `strrchr`, `wcsrchr`.
pub unsafe extern "win64" fn find_last<U: Unit>(text: *mut U, wanted: i32) -> *mut U {
    let last = |units: &[U], wanted| units.iter().rposition(|unit| *unit == wanted);
    // SAFETY: the driver passes a terminated string.
    unsafe { place_of(text, wanted, last) }
}

/// `strstr`, `wcsstr`: an empty string is found at the start.
pub unsafe extern "win64" fn find_string<U: Unit>(text: *mut U, wanted: *const U) -> *mut U {
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
unsafe fn change<U: Unit>(text: *mut U, change: fn(U) -> U) -> *mut U {
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
pub unsafe extern "win64" fn to_upper_string<U: Unit>(text: *mut U) -> *mut U {
    // SAFETY: the driver passes a terminated string.
    unsafe { change(text, U::upper) }
}

/// `_wcslwr`.
pub unsafe extern "win64" fn to_lower_string<U: Unit>(text: *mut U) -> *mut U {
    // SAFETY: the driver passes a terminated string.
    unsafe { change(text, U::lower) }
}

/// `toupper`: what is no byte, as EOF is none, is left alone.
pub unsafe extern "win64" fn to_upper(character: i32) -> i32 {
    u8::try_from(character).map_or(character, |byte| byte.upper().into())
}

/// `tolower`, as [`to_upper`].
pub unsafe extern "win64" fn to_lower(character: i32) -> i32 {
    u8::try_from(character).map_or(character, |byte| byte.lower().into())
}

/// `towupper`.
pub unsafe extern "win64" fn to_upper_wide(unit: u16) -> u16 {
    unit.upper()
}

/// `towlower`.
pub unsafe extern "win64" fn to_lower_wide(unit: u16) -> u16 {
    unit.lower()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both kinds of strings.
    trait Sample: Unit + std::fmt::Debug {
        fn text(value: &str) -> Vec<Self>;
        fn unit(byte: u8) -> Self {
            Self::of(byte.into())
        }
    }

    impl Sample for u8 {
        fn text(value: &str) -> Vec<Self> {
            value.bytes().chain([0]).collect()
        }
    }

    impl Sample for u16 {
        fn text(value: &str) -> Vec<Self> {
            value.encode_utf16().chain([0]).collect()
        }
    }

    #[test]
    fn comparing() {
        comparing_of::<u8>();
        comparing_of::<u16>();
    }

    fn comparing_of<U: Sample>() {
        let check = |a: &str, b: &str, limit: usize| {
            let (a, b) = (U::text(a), U::text(b));
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
        copying_and_appending_of::<u8>();
        copying_and_appending_of::<u16>();
    }

    fn copying_and_appending_of<U: Sample>() {
        let mut room = [U::unit(7); 8];
        let at = room.as_mut_ptr();
        // SAFETY: the strings fit the room, here and below.
        assert_eq!(unsafe { copy_at_most(at, U::text("ab").as_ptr(), 4) }, at);
        assert_eq!(
            (&room[..3], &room[3..5]),
            (&U::text("ab")[..], &[U::default(), U::unit(7)][..])
        );
        // SAFETY: as above.
        unsafe { append(at, U::text("cd").as_ptr()) };
        // SAFETY: as above.
        unsafe { append_at_most(at, U::text("efgh").as_ptr(), 1) };
        assert_eq!(room[..6], U::text("abcde")[..]);
        // SAFETY: as above.
        unsafe { copy_at_most(at, U::text("xyz").as_ptr(), 2) };
        assert_eq!(room[..3], U::text("xyc")[..3]);
        // SAFETY: as above.
        unsafe { copy(at, U::text("q").as_ptr()) };
        // SAFETY: as above.
        assert_eq!(unsafe { length(at) }, 1);
    }

    #[test]
    fn finding() {
        finding_of::<u8>();
        finding_of::<u16>();
    }

    fn finding_of<U: Sample>() {
        let mut units = U::text("abcab");
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
            unsafe { find_string(at, U::text("ca").as_ptr()) },
            at.wrapping_add(2)
        );
        // SAFETY: as above.
        assert_eq!(unsafe { find_string(at, U::text("").as_ptr()) }, at);
        // SAFETY: as above.
        assert!(unsafe { find_string(at, U::text("x").as_ptr()) }.is_null());
    }

    #[test]
    fn changing_case() {
        let mut units = u16::text("aBé");
        // SAFETY: terminated strings, here and below.
        unsafe { to_upper_string(units.as_mut_ptr()) };
        assert_eq!(units, u16::text("ABé"));
        // SAFETY: as above.
        unsafe { to_lower_string(units.as_mut_ptr()) };
        assert_eq!(units, u16::text("abé"));
    }

    #[test]
    fn only_bytes_change_their_case() {
        // SAFETY: no pointer is passed, here and below.
        let narrow = unsafe { (to_upper(-1), to_lower(b'A'.into())) };
        assert_eq!(narrow, (-1, b'a'.into()));
        // SAFETY: as above.
        let wide = unsafe { (to_upper_wide(0xE9), to_lower_wide(0x41)) };
        assert_eq!(wide, (0xE9, 0x61));
    }
}
