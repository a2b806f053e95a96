//! Counted strings: initialize, copy, compare, append, hash.
//!
//! Comparing without case touches the pageable case tables, so NT allows it at
//! `PASSIVE_LEVEL` only.
//!
//! Source: the `Rtl…String` routines in the DDI reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use crate::nt::case::{downcase, upcase};
use crate::nt::unicode::units;
use crate::nt::{
    NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_NAME_TOO_LONG,
    STATUS_SUCCESS, UNICODE_STRING,
};
use crate::processor::irql;
use windows_sys::Win32::System::Kernel::STRING;

type Unicode = *const UNICODE_STRING;

/// Bytes of the longest string that `RtlInitUnicodeString` counts.
const LONGEST_UNICODE: usize = 0xFFFC;
/// Bytes of the longest string that `RtlInitAnsiString` counts.
const LONGEST_ANSI: usize = 0xFFFE;

/// Elements before the terminator.
///
/// # Safety
/// `text` points to a terminated string.
pub unsafe fn terminated<'a, T: Copy + Default + PartialEq>(text: *const T) -> &'a [T] {
    let mut length = 0;
    // SAFETY: contract of the function: elements up to the terminator are readable.
    while unsafe { text.add(length).read() } != T::default() {
        length += 1;
    }
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(text, length) }
}

/// The bytes of a counted ANSI string.
///
/// # Safety
/// `string` points to a valid `STRING`.
pub unsafe fn bytes<'a>(string: *const STRING) -> &'a [u8] {
    // SAFETY: contract of the function.
    let string = unsafe { &*string };
    if string.Buffer.is_null() {
        return &[];
    }
    // SAFETY: a valid string's buffer holds `Length` bytes.
    unsafe { std::slice::from_raw_parts(string.Buffer.cast(), usize::from(string.Length)) }
}

/// `RtlInitUnicodeString`: longer strings are cut.
pub unsafe extern "win64" fn init_unicode(target: *mut UNICODE_STRING, text: *const u16) {
    irql::require("RtlInitUnicodeString", 0);
    let length = if text.is_null() {
        None
    } else {
        // SAFETY: the driver passes a terminated string or null.
        Some(unsafe { terminated(text) }.len() * 2)
    };
    let cut = length.map(|length| length.min(LONGEST_UNICODE) as u16);
    let value = UNICODE_STRING {
        Length: cut.unwrap_or(0),
        MaximumLength: cut.map_or(0, |length| length + 2),
        Buffer: text.cast_mut(),
    };
    // SAFETY: the driver passes the memory of a string.
    unsafe { target.write(value) };
}

/// `RtlInitUnicodeStringEx`: longer strings fail.
pub unsafe extern "win64" fn init_unicode_ex(
    target: *mut UNICODE_STRING,
    text: *const u16,
) -> NTSTATUS {
    irql::require("RtlInitUnicodeStringEx", 0);
    // SAFETY: the driver passes a terminated string or null.
    if !text.is_null() && unsafe { terminated(text) }.len() * 2 > LONGEST_UNICODE {
        return STATUS_NAME_TOO_LONG;
    }
    // SAFETY: as above.
    unsafe { init_unicode(target, text) };
    STATUS_SUCCESS
}

/// `RtlInitAnsiString`, `RtlInitString`.
pub unsafe extern "win64" fn init_ansi(target: *mut STRING, text: *const u8) {
    irql::require("RtlInitAnsiString", 0);
    let length = if text.is_null() {
        None
    } else {
        // SAFETY: the driver passes a terminated string or null.
        Some(unsafe { terminated(text) }.len())
    };
    let cut = length.map(|length| length.min(LONGEST_ANSI) as u16);
    let value = STRING {
        Length: cut.unwrap_or(0),
        MaximumLength: cut.map_or(0, |length| length + 1),
        Buffer: text.cast_mut().cast(),
    };
    // SAFETY: the driver passes the memory of a string.
    unsafe { target.write(value) };
}

/// `RtlCopyUnicodeString`: as much as fits, terminated if there is room.
pub unsafe extern "win64" fn copy_unicode(target: *mut UNICODE_STRING, source: Unicode) {
    // SAFETY: the driver passes a string or null.
    let source = unsafe { units(source) };
    // SAFETY: the driver passes a string.
    let target = unsafe { &mut *target };
    let room = usize::from(target.MaximumLength) / 2;
    let count = source.len().min(room);
    // SAFETY: the buffer holds `MaximumLength` bytes; the strings may be the same.
    unsafe { target.Buffer.copy_from(source.as_ptr(), count) };
    target.Length = (count * 2) as u16;
    if count < room {
        // SAFETY: as above.
        unsafe { target.Buffer.add(count).write(0) };
    }
}

/// `RtlCopyString`: as much as fits.
pub unsafe extern "win64" fn copy_ansi(target: *mut STRING, source: *const STRING) {
    let source = if source.is_null() {
        &[][..]
    } else {
        // SAFETY: the driver passes a string or null.
        unsafe { bytes(source) }
    };
    // SAFETY: the driver passes a string.
    let target = unsafe { &mut *target };
    let count = source.len().min(usize::from(target.MaximumLength));
    // SAFETY: the buffer holds `MaximumLength` bytes.
    unsafe { target.Buffer.cast::<u8>().copy_from(source.as_ptr(), count) };
    target.Length = count as u16;
}

/// Difference of the first two elements that differ, or of the lengths in bytes.
fn compare<T: Copy + Into<i32>>(a: &[T], b: &[T], fold: impl Fn(T) -> T) -> i32 {
    let first = a
        .iter()
        .zip(b)
        .map(|(a, b)| fold(*a).into() - fold(*b).into())
        .find(|difference| *difference != 0);
    first.unwrap_or((a.len() as i32 - b.len() as i32) * size_of::<T>() as i32)
}

fn compare_units(a: &[u16], b: &[u16], ignore_case: bool) -> i32 {
    if ignore_case {
        compare(a, b, upcase)
    } else {
        compare(a, b, |unit| unit)
    }
}

/// Whether two strings are equal, with or without case.
pub fn equal(a: &[u16], b: &[u16], ignore_case: bool) -> bool {
    a.len() == b.len() && compare_units(a, b, ignore_case) == 0
}

fn require_passive(ddi: &'static str, caller: usize) {
    irql::require(ddi, caller);
}

/// `RtlCompareUnicodeString`.
pub unsafe extern "win64" fn compare_unicode(
    a: Unicode,
    b: Unicode,
    ignore_case: u8,
    caller: usize,
) -> i32 {
    require_passive("RtlCompareUnicodeString", caller);
    // SAFETY: the driver passes strings.
    let (a, b) = unsafe { (units(a), units(b)) };
    compare_units(a, b, ignore_case != 0)
}

/// `RtlEqualUnicodeString`.
pub unsafe extern "win64" fn equal_unicode(
    a: Unicode,
    b: Unicode,
    ignore_case: u8,
    caller: usize,
) -> u8 {
    require_passive("RtlEqualUnicodeString", caller);
    // SAFETY: the driver passes strings.
    let (a, b) = unsafe { (units(a), units(b)) };
    u8::from(equal(a, b, ignore_case != 0))
}

/// `RtlPrefixUnicodeString`: whether `a` is a prefix of `b`.
pub unsafe extern "win64" fn prefix_unicode(
    a: Unicode,
    b: Unicode,
    ignore_case: u8,
    caller: usize,
) -> u8 {
    require_passive("RtlPrefixUnicodeString", caller);
    // SAFETY: the driver passes strings.
    let (a, b) = unsafe { (units(a), units(b)) };
    u8::from(
        b.get(..a.len())
            .is_some_and(|start| equal(a, start, ignore_case != 0)),
    )
}

/// `HASH_STRING_ALGORITHM_X65599`, which is also the default (0).
const X65599: u32 = 1;

/// `RtlHashUnicodeString`.
pub unsafe extern "win64" fn hash_unicode(
    string: Unicode,
    ignore_case: u8,
    algorithm: u32,
    hash: *mut u32,
    caller: usize,
) -> NTSTATUS {
    require_passive("RtlHashUnicodeString", caller);
    if string.is_null() || hash.is_null() || algorithm > X65599 {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: the driver passes a string.
    let units = unsafe { units(string) };
    let fold = |unit: &u16| {
        u32::from(if ignore_case != 0 {
            upcase(*unit)
        } else {
            *unit
        })
    };
    let value = units.iter().map(fold).fold(0_u32, |hash, unit| {
        hash.wrapping_mul(65_599).wrapping_add(unit)
    });
    // SAFETY: the driver passes a `ULONG`.
    unsafe { hash.write_unaligned(value) };
    STATUS_SUCCESS
}

/// `RtlCompareString`.
pub unsafe extern "win64" fn compare_ansi(
    a: *const STRING,
    b: *const STRING,
    ignore_case: u8,
    caller: usize,
) -> i32 {
    require_passive("RtlCompareString", caller);
    // SAFETY: the driver passes strings.
    let (a, b) = unsafe { (bytes(a), bytes(b)) };
    if ignore_case != 0 {
        compare(a, b, |byte: u8| byte.to_ascii_uppercase())
    } else {
        compare(a, b, |byte| byte)
    }
}

/// `RtlEqualString`.
pub unsafe extern "win64" fn equal_ansi(
    a: *const STRING,
    b: *const STRING,
    ignore_case: u8,
    caller: usize,
) -> u8 {
    irql::require("RtlEqualString", caller);
    // SAFETY: the driver passes strings.
    u8::from(unsafe { compare_ansi(a, b, ignore_case, caller) } == 0)
}

/// Appends, or leaves the target as it is.
///
/// # Safety
/// `target` points to a valid string.
pub unsafe fn append(target: *mut UNICODE_STRING, tail: &[u16]) -> NTSTATUS {
    // SAFETY: contract of the function.
    let target = unsafe { &mut *target };
    let (used, room) = (
        usize::from(target.Length) / 2,
        usize::from(target.MaximumLength) / 2,
    );
    let count = used + tail.len();
    if count > room {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if !tail.is_empty() {
        // SAFETY: the buffer holds `room` units; the tail may lie in it.
        unsafe { target.Buffer.add(used).copy_from(tail.as_ptr(), tail.len()) };
        target.Length = (count * 2) as u16;
        if count < room {
            // SAFETY: as above.
            unsafe { target.Buffer.add(count).write(0) };
        }
    }
    STATUS_SUCCESS
}

/// `RtlAppendUnicodeToString`.
pub unsafe extern "win64" fn append_terminated(
    target: *mut UNICODE_STRING,
    text: *const u16,
) -> NTSTATUS {
    let tail = if text.is_null() {
        &[][..]
    } else {
        // SAFETY: the driver passes a terminated string or null.
        unsafe { terminated(text) }
    };
    // SAFETY: the driver passes a string.
    unsafe { append(target, tail) }
}

/// `RtlAppendUnicodeStringToString`.
pub unsafe extern "win64" fn append_unicode(
    target: *mut UNICODE_STRING,
    source: Unicode,
) -> NTSTATUS {
    // SAFETY: the driver passes strings.
    unsafe { append(target, units(source)) }
}

/// `RtlUpcaseUnicodeChar`.
pub unsafe extern "win64" fn upcase_char(unit: u16) -> u16 {
    irql::require("RtlUpcaseUnicodeChar", 0);
    upcase(unit)
}

/// `RtlDowncaseUnicodeChar`.
pub unsafe extern "win64" fn downcase_char(unit: u16) -> u16 {
    irql::require("RtlDowncaseUnicodeChar", 0);
    downcase(unit)
}

/// `RtlUpperChar`.
pub unsafe extern "win64" fn upper_ansi_char(byte: u8) -> u8 {
    irql::require("RtlUpperChar", 0);
    byte.to_ascii_uppercase()
}

#[cfg(test)]
#[path = "strings_tests.rs"]
mod tests;
