//! `printf` formats as the kernel knows them.
//!
//! Flags `-+ #0`, width and precision (also `*`), the sizes `h l ll w I I32 I64 z`,
//! and the types `d i u o x X p c C s S Z %`. `%Z` is a counted string: ANSI, or
//! Unicode with `w` or `l`. `%s` and `%c` have the width of the function unless a
//! size says otherwise, `%S` and `%C` the other one. Floating point is not
//! supported, as in kernel mode.
//!
//! Source: "Format specification syntax" of the C run-time library reference, and
//! `DbgPrint` in the DDI reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "arguments and strings are the driver's"
)]

use crate::exports::rtl::{terminated, unit_of_ansi};
use crate::nt::UNICODE_STRING;

/// A terminated format.
#[derive(Clone, Copy)]
pub enum Text {
    /// In the ANSI code page.
    Narrow(*const u8),
    /// In UTF-16.
    Wide(*const u16),
}

/// Variable arguments: 8 bytes each.
pub struct Arguments(*const u64);

impl Arguments {
    /// From a `va_list`.
    pub fn new(first: *const u64) -> Self {
        Self(first)
    }
    /// # Safety
    /// There is one more argument.
    unsafe fn next(&mut self) -> u64 {
        // SAFETY: contract of the function.
        let value = unsafe { self.0.read_unaligned() };
        self.0 = self.0.wrapping_add(1);
        value
    }
}

/// Text that is being formatted.
struct Formatted<'f> {
    /// Its code units.
    units: Vec<u16>,
    /// Called before the first format that converts Unicode.
    before_unicode: Option<&'f mut dyn FnMut()>,
}

impl Formatted<'_> {
    fn converts_unicode(&mut self) {
        if let Some(before) = self.before_unicode.take() {
            before();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Default,
    /// `h`.
    Narrow,
    /// `l` or `w`.
    Wide,
    /// `ll`, `I64`, `I`, `z`, and pointers.
    Large,
}

struct Specification {
    left: bool,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    size: Size,
}

/// Formats into code units. `before_unicode` is called once, before the first argument of a format is looked at that
/// converts Unicode.
///
/// # Safety
/// The format is terminated and the arguments fit it.
pub unsafe fn format(
    text: Text,
    mut arguments: Arguments,
    wide_function: bool,
    before_unicode: &mut dyn FnMut(),
) -> Vec<u16> {
    let units: Vec<u16> = match text {
        // SAFETY: contract of the function.
        Text::Narrow(text) => unsafe { terminated(text) }
            .iter()
            .map(|byte| unit_of_ansi(*byte))
            .collect(),
        // SAFETY: contract of the function.
        Text::Wide(text) => unsafe { terminated(text) }.to_vec(),
    };
    let mut result = Formatted {
        units: Vec::new(),
        before_unicode: Some(before_unicode),
    };
    let mut rest = units.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != u16::from(b'%') {
            result.units.push(*first);
            continue;
        }
        // SAFETY: contract of the function.
        let specification = unsafe { parse(&mut rest, &mut arguments) };
        let Some((kind, tail)) = rest.split_first() else {
            break;
        };
        rest = tail;
        // SAFETY: contract of the function.
        unsafe {
            convert(
                &mut result,
                &specification,
                *kind,
                &mut arguments,
                wide_function,
            )
        };
    }
    result.units
}

fn take(rest: &mut &[u16], wanted: &str) -> bool {
    let matches = wanted
        .bytes()
        .enumerate()
        .all(|(index, byte)| rest.get(index) == Some(&u16::from(byte)));
    if matches {
        *rest = &rest[wanted.len()..];
    }
    matches
}

/// A number, or `*` for the next argument.
///
/// # Safety
/// There is an argument for a `*`.
unsafe fn number(rest: &mut &[u16], arguments: &mut Arguments) -> Option<i32> {
    if take(rest, "*") {
        // SAFETY: contract of the function.
        return Some(unsafe { arguments.next() } as i32);
    }
    let mut value = None;
    while let Some(digit) = rest
        .first()
        .and_then(|unit| char::from_u32(u32::from(*unit))?.to_digit(10))
    {
        value = Some(
            value
                .unwrap_or(0_i32)
                .saturating_mul(10)
                .saturating_add(digit as i32),
        );
        *rest = &rest[1..];
    }
    value
}

/// Reads what stands between `%` and the type.
///
/// # Safety
/// As for [`format`].
unsafe fn parse(rest: &mut &[u16], arguments: &mut Arguments) -> Specification {
    /// Longer fields are cut, so that a wrong argument does not fill the memory.
    const MOST: usize = 4096;
    let mut specification = Specification {
        left: false,
        sign: None,
        alternate: false,
        zero: false,
        width: 0,
        precision: None,
        size: Size::Default,
    };
    loop {
        if take(rest, "-") {
            specification.left = true;
        } else if take(rest, "+") {
            specification.sign = Some('+');
        } else if take(rest, " ") {
            specification.sign = specification.sign.or(Some(' '));
        } else if take(rest, "#") {
            specification.alternate = true;
        } else if take(rest, "0") {
            specification.zero = true;
        } else {
            break;
        }
    }
    // SAFETY: contract of the function.
    let width = unsafe { number(rest, arguments) }.unwrap_or(0);
    specification.left |= width < 0;
    specification.width = (width.unsigned_abs() as usize).min(MOST);
    if take(rest, ".") {
        // SAFETY: contract of the function.
        let precision = unsafe { number(rest, arguments) }.unwrap_or(0);
        // A negative precision counts as none.
        specification.precision = usize::try_from(precision).ok();
    }
    let sizes = [
        ("I64", Size::Large),
        ("I32", Size::Default),
        ("I", Size::Large),
        ("ll", Size::Large),
        ("l", Size::Wide),
        ("w", Size::Wide),
        ("hh", Size::Narrow),
        ("h", Size::Narrow),
        ("z", Size::Large),
        ("t", Size::Large),
        ("j", Size::Large),
    ];
    if let Some((_, size)) = sizes.iter().find(|(name, _)| take(rest, name)) {
        specification.size = *size;
    }
    specification
}

/// # Safety
/// As for [`format`].
unsafe fn convert(
    result: &mut Formatted<'_>,
    specification: &Specification,
    kind: u16,
    arguments: &mut Arguments,
    wide_function: bool,
) {
    let kind = char::from_u32(u32::from(kind)).unwrap_or('\u{FFFD}');
    match kind {
        '%' => result.units.push(u16::from(b'%')),
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' | 'p' => {
            // SAFETY: contract of the function.
            let value = unsafe { arguments.next() };
            integer(&mut result.units, specification, kind, value);
        }
        'c' | 'C' | 's' | 'S' => {
            // SAFETY: contract of the function.
            let value = unsafe { arguments.next() };
            let wide = match (specification.size, kind.is_ascii_lowercase()) {
                (Size::Narrow, _) => false,
                (Size::Wide, _) => true,
                (_, same_as_function) => wide_function == same_as_function,
            };
            if wide {
                result.converts_unicode();
            }
            let units = if kind.eq_ignore_ascii_case(&'c') {
                vec![if wide {
                    value as u16
                } else {
                    unit_of_ansi(value as u8)
                }]
            } else {
                // SAFETY: contract of the function.
                unsafe { string(value, wide, specification.precision) }
            };
            pad(&mut result.units, specification, &units);
        }
        'Z' => {
            let wide = specification.size == Size::Wide;
            if wide {
                result.converts_unicode();
            }
            // SAFETY: contract of the function.
            let value = unsafe { arguments.next() };
            // SAFETY: contract of the function.
            let mut units = unsafe { counted(value, wide) };
            units.truncate(specification.precision.unwrap_or(usize::MAX));
            pad(&mut result.units, specification, &units);
        }
        // An unknown type is printed as it stands, and consumes nothing.
        other => result
            .units
            .extend(other.encode_utf16(&mut [0; 2]).iter().copied()),
    }
}

fn integer(units: &mut Vec<u16>, specification: &Specification, kind: char, value: u64) {
    let signed = matches!(kind, 'd' | 'i');
    let value = match (specification.size, signed) {
        _ if kind == 'p' => value,
        (Size::Large, _) => value,
        (Size::Narrow, true) => i64::from(value as i16).cast_unsigned(),
        (Size::Narrow, false) => u64::from(value as u16),
        // `long` has 32 bits.
        (_, true) => i64::from(value as i32).cast_unsigned(),
        (_, false) => u64::from(value as u32),
    };
    let negative = signed && value.cast_signed() < 0;
    let magnitude = if negative {
        value.cast_signed().unsigned_abs()
    } else {
        value
    };
    let mut digits = match kind {
        'o' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'p' => format!("{magnitude:016X}"),
        _ => magnitude.to_string(),
    };
    match specification.precision {
        Some(0) if magnitude == 0 => digits.clear(),
        Some(precision) => {
            let missing = precision.min(4096).saturating_sub(digits.len());
            digits.insert_str(0, &"0".repeat(missing));
        }
        None => {}
    }
    let prefix = match (negative, signed, kind) {
        (true, ..) => "-",
        (_, true, _) if specification.sign == Some('+') => "+",
        (_, true, _) if specification.sign == Some(' ') => " ",
        (.., 'x') if specification.alternate && magnitude != 0 => "0x",
        (.., 'X') if specification.alternate && magnitude != 0 => "0X",
        _ => "",
    };
    if specification.zero && !specification.left && specification.precision.is_none() {
        let missing = specification
            .width
            .saturating_sub(prefix.len() + digits.len());
        digits.insert_str(0, &"0".repeat(missing));
    }
    let text: Vec<u16> = format!("{prefix}{digits}").encode_utf16().collect();
    pad(units, specification, &text);
}

fn pad(units: &mut Vec<u16>, specification: &Specification, text: &[u16]) {
    let missing = specification.width.saturating_sub(text.len());
    let spaces = std::iter::repeat_n(u16::from(b' '), missing);
    if specification.left {
        units.extend(text);
        units.extend(spaces);
    } else {
        units.extend(spaces);
        units.extend(text);
    }
}

/// A terminated string, or as much of it as the precision allows to read.
///
/// # Safety
/// `address` is null or that of such a string.
unsafe fn string(address: u64, wide: bool, precision: Option<usize>) -> Vec<u16> {
    if address == 0 {
        return "(null)".encode_utf16().collect();
    }
    let mut units = Vec::new();
    while units.len() < precision.unwrap_or(usize::MAX) {
        let unit = if wide {
            let at: *const u16 = std::ptr::with_exposed_provenance(address as usize);
            // SAFETY: contract of the function.
            unsafe { at.add(units.len()).read_unaligned() }
        } else {
            let at: *const u8 = std::ptr::with_exposed_provenance(address as usize);
            // SAFETY: contract of the function.
            unit_of_ansi(unsafe { at.add(units.len()).read() })
        };
        if unit == 0 {
            break;
        }
        units.push(unit);
    }
    units
}

/// A counted string.
///
/// # Safety
/// `address` is null or that of a `UNICODE_STRING` or `ANSI_STRING`.
unsafe fn counted(address: u64, wide: bool) -> Vec<u16> {
    let at: *const UNICODE_STRING = std::ptr::with_exposed_provenance(address as usize);
    // SAFETY: contract of the function; the two structures have one layout.
    let Some(string) = (unsafe { at.as_ref() }).filter(|string| !string.Buffer.is_null()) else {
        return "(null)".encode_utf16().collect();
    };
    let length = usize::from(string.Length);
    if wide {
        // SAFETY: the buffer holds `Length` bytes.
        return unsafe { std::slice::from_raw_parts(string.Buffer, length / 2) }.to_vec();
    }
    // SAFETY: as above.
    let bytes = unsafe { std::slice::from_raw_parts(string.Buffer.cast::<u8>(), length) };
    bytes.iter().map(|byte| unit_of_ansi(*byte)).collect()
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
