//! The string routines against the documented semantics.

use super::*;
use crate::nt::unicode::OwnedUnicodeString;

fn owned(text: &str) -> OwnedUnicodeString {
    OwnedUnicodeString::new(text)
}

/// A string with room for `room` units, filled with `text`.
fn with_room(text: &str, buffer: &mut [u16]) -> UNICODE_STRING {
    let units: Vec<u16> = text.encode_utf16().collect();
    buffer[..units.len()].copy_from_slice(&units);
    UNICODE_STRING {
        Length: (units.len() * 2) as u16,
        MaximumLength: (buffer.len() * 2) as u16,
        Buffer: buffer.as_mut_ptr(),
    }
}

fn text(string: &UNICODE_STRING) -> String {
    // SAFETY: the tests' strings are valid.
    unsafe { crate::nt::unicode::to_string(string) }
}

#[test]
fn init_counts_the_terminator_in_the_maximum() {
    let source: Vec<u16> = "ab\0".encode_utf16().collect();
    let mut string = UNICODE_STRING::default();
    // SAFETY: terminated, here and below.
    unsafe { init_unicode(&raw mut string, source.as_ptr()) };
    assert_eq!((string.Length, string.MaximumLength), (4, 6));
    // SAFETY: null is allowed.
    unsafe { init_unicode(&raw mut string, std::ptr::null()) };
    assert_eq!(
        (string.Length, string.MaximumLength, string.Buffer.is_null()),
        (0, 0, true)
    );
    let mut long = vec![u16::from(b'x'); 40_000];
    long.push(0);
    // SAFETY: as above.
    unsafe { init_unicode(&raw mut string, long.as_ptr()) };
    assert_eq!((string.Length, string.MaximumLength), (0xFFFC, 0xFFFE));
    assert_eq!(
        // SAFETY: as above.
        unsafe { init_unicode_ex(&raw mut string, long.as_ptr()) },
        STATUS_NAME_TOO_LONG
    );
    let mut ansi = STRING::default();
    // SAFETY: as above.
    unsafe { init_ansi(&raw mut ansi, c"xyz".as_ptr().cast()) };
    assert_eq!((ansi.Length, ansi.MaximumLength), (3, 4));
}

#[test]
fn copying_cuts_and_terminates_if_there_is_room() {
    let mut buffer = [0xFFFF_u16; 4];
    let mut target = with_room("", &mut buffer);
    // SAFETY: valid strings, here and below.
    unsafe { copy_unicode(&raw mut target, &owned("abc").as_unicode()) };
    assert_eq!(text(&target), "abc");
    // SAFETY: as above.
    unsafe { copy_unicode(&raw mut target, &owned("abcdef").as_unicode()) };
    assert_eq!((text(&target).as_str(), target.Length), ("abcd", 8));
    // SAFETY: null empties the string.
    unsafe { copy_unicode(&raw mut target, std::ptr::null()) };
    assert_eq!(target.Length, 0);
    assert_eq!(buffer[0], 0);
}

#[test]
fn comparing_gives_the_first_difference() {
    let compare = |a: &str, b: &str, ignore_case| {
        // SAFETY: valid strings.
        unsafe {
            compare_unicode(
                &owned(a).as_unicode(),
                &owned(b).as_unicode(),
                u8::from(ignore_case),
                0,
            )
        }
    };
    assert_eq!(compare("abc", "abd", false), -1);
    assert_eq!(compare("abc", "ABC", false), 32);
    assert_eq!(compare("straße", "STRAßE", true), 0);
    assert_eq!(compare("abcd", "ab", true), 4);
    let test = |routine: unsafe extern "win64" fn(Unicode, Unicode, u8, usize) -> u8,
                a,
                b,
                ignore_case| {
        // SAFETY: valid strings.
        unsafe {
            routine(
                &owned(a).as_unicode(),
                &owned(b).as_unicode(),
                u8::from(ignore_case),
                0,
            )
        }
    };
    assert_eq!(
        test(
            equal_unicode,
            r"\FileSystem\Fs_Rec",
            r"\filesystem\FS_REC",
            true
        ),
        1
    );
    assert_eq!(test(equal_unicode, "a", "A", false), 0);
    assert_eq!(test(equal_unicode, "a", "ab", true), 0);
    assert_eq!(
        test(
            prefix_unicode,
            r"\Device\HARD",
            r"\device\HarddiskVolume1",
            true
        ),
        1
    );
    assert_eq!(test(prefix_unicode, "abc", "ab", true), 0);
    assert_eq!(test(prefix_unicode, "", "ab", false), 1);
}

#[test]
fn comparing_above_passive_level_is_reported() {
    let a = owned("a");
    let (_, found) = crate::verifier::capture(|| {
        let _apc = irql::raised_to(crate::nt::DISPATCH_LEVEL);
        // SAFETY: valid strings.
        unsafe { equal_unicode(&a.as_unicode(), &a.as_unicode(), 1, 0) }
    });
    assert!(found[0].message.contains("RtlEqualUnicodeString"));
}

#[test]
fn appending_fails_as_a_whole() {
    let mut buffer = [0_u16; 6];
    let mut target = with_room("ab", &mut buffer);
    assert_eq!(
        // SAFETY: valid strings, here and below.
        unsafe { append_unicode(&raw mut target, &owned("cd").as_unicode()) },
        STATUS_SUCCESS
    );
    let tail: Vec<u16> = "efg\0".encode_utf16().collect();
    assert_eq!(
        // SAFETY: as above.
        unsafe { append_terminated(&raw mut target, tail.as_ptr()) },
        STATUS_BUFFER_TOO_SMALL
    );
    assert_eq!(text(&target), "abcd");
    assert_eq!(
        // SAFETY: as above.
        unsafe { append_terminated(&raw mut target, tail[1..].as_ptr()) },
        STATUS_SUCCESS
    );
    assert_eq!((text(&target).as_str(), target.Length), ("abcdfg", 12));
}

#[test]
fn hashes_are_those_of_x65599() {
    let hash = |text: &str, ignore_case, algorithm| {
        let mut value = 0;
        // SAFETY: a valid string.
        let status = unsafe {
            hash_unicode(
                &owned(text).as_unicode(),
                u8::from(ignore_case),
                algorithm,
                &raw mut value,
                0,
            )
        };
        (status == STATUS_SUCCESS).then_some(value)
    };
    assert_eq!(hash("A", false, 0), Some(65));
    assert_eq!(hash("AB", false, 1), Some(65 * 65_599 + 66));
    assert_eq!(hash("ab", true, 0), hash("AB", false, 0));
    assert_eq!(hash("a", true, 2), None);
}
