//! Formats against the documented results.

use super::*;
use crate::nt::unicode::OwnedUnicodeString;

fn print(text: &str, arguments: &[u64]) -> String {
    let text = format!("{text}\0");
    // SAFETY: terminated, and the tests' arguments fit.
    let result = unsafe {
        format(
            Text::Narrow(text.as_ptr()),
            Arguments::new(arguments.as_ptr()),
            false,
            &mut || (),
        )
    };
    String::from_utf16_lossy(&result)
}

#[test]
fn integers() {
    assert_eq!(
        print("%d %u %x %X %o", &[u64::MAX, 7, 255, 255, 8]),
        "-1 7 ff FF 10"
    );
    assert_eq!(
        print("%08x|%-6d|%6d|%+d|% d", &[0xAB, 5, 5, 5, 5]),
        "000000ab|5     |     5|+5| 5"
    );
    assert_eq!(
        print("%I64x %lld %lu", &[1 << 40, u64::MAX, u64::MAX]),
        "10000000000 -1 4294967295"
    );
    assert_eq!(print("%hd %hu", &[0xFFFF, 0x1_0005]), "-1 5");
    assert_eq!(print("%p", &[0xAB]), "00000000000000AB");
    assert_eq!(
        print("%#x %.4d %*d %-*d|", &[16, 7, 4, 1, 3, 2]),
        "0x10 0007    1 2  |"
    );
    assert_eq!(print("100%% %y", &[]), "100% y");
}

#[test]
fn strings() {
    let narrow = c"caf\xE9".as_ptr().addr() as u64;
    let wide: Vec<u16> = "wîde\0".encode_utf16().collect();
    let wide = wide.as_ptr().addr() as u64;
    assert_eq!(
        print("%s|%ws|%S|%ls|%hs", &[narrow, wide, wide, wide, narrow]),
        "café|wîde|wîde|wîde|café"
    );
    assert_eq!(
        print("%.2s|%6.2s|%-6.2s|", &[narrow, narrow, narrow]),
        "ca|    ca|ca    |"
    );
    assert_eq!(print("%s %wZ", &[0, 0]), "(null) (null)");
    assert_eq!(print("%c%C", &[0x41, 0x42]), "AB");
    let owner = OwnedUnicodeString::new(r"\??\C:\a");
    let string = owner.as_unicode();
    let at = (&raw const string).addr() as u64;
    assert_eq!(print("[%wZ] [%.3wZ]", &[at, at]), r"[\??\C:\a] [\??]");
    let ansi = *b"xyz";
    let string = UNICODE_STRING {
        Length: 2,
        MaximumLength: 3,
        Buffer: ansi.as_ptr().cast_mut().cast(),
    };
    assert_eq!(print("%Z", &[(&raw const string).addr() as u64]), "xy");
}

#[test]
fn a_wide_function_turns_the_strings_around() {
    let text: Vec<u16> = "%s %S\0".encode_utf16().collect();
    let wide: Vec<u16> = "w\0".encode_utf16().collect();
    let arguments = [wide.as_ptr().addr() as u64, c"n".as_ptr().addr() as u64];
    // SAFETY: terminated, and the arguments fit.
    let result = unsafe {
        format(
            Text::Wide(text.as_ptr()),
            Arguments::new(arguments.as_ptr()),
            true,
            &mut || (),
        )
    };
    assert_eq!(String::from_utf16_lossy(&result), "w n");
}

#[test]
fn unicode_formats_are_noticed() {
    let check = |text: &str, argument: u64| {
        let text = format!("{text}\0");
        let mut converts = false;
        // SAFETY: terminated, and the argument fits.
        unsafe {
            format(
                Text::Narrow(text.as_ptr()),
                Arguments::new(&raw const argument),
                false,
                &mut || converts = true,
            )
        };
        converts
    };
    for (text, expected) in [
        ("%s", false),
        ("%S", true),
        ("%wZ", true),
        ("%Z", false),
        ("%ws", true),
        ("%x", false),
    ] {
        assert_eq!(check(text, 0), expected, "{text}");
    }
}

/// A string that may not be read where it is converted is not read before that is told.
#[test]
fn what_is_converted_is_read_after_it_is_noticed() {
    let mut wide: Vec<u16> = "early\0".encode_utf16().collect();
    let at = wide.as_mut_ptr();
    let arguments = [7, at.expose_provenance() as u64];
    let mut change = || {
        // SAFETY: the string's first character; nobody reads it meanwhile.
        unsafe { at.write(u16::from(b'E')) }
    };
    // SAFETY: terminated, and the arguments fit.
    let result = unsafe {
        format(
            Text::Narrow(c"%d %ws".as_ptr().cast()),
            Arguments::new(arguments.as_ptr()),
            false,
            &mut change,
        )
    };
    assert_eq!(String::from_utf16_lossy(&result), "7 Early");
}
