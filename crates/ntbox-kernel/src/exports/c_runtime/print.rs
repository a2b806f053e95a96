//! Printing into buffers.
//!
//! `_snprintf` and `_snwprintf` return -1 and do not terminate when the text does
//! not fit, and do not terminate either when it just fits, as documented.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use crate::exports::debug::format::{Arguments, Text, format};
use crate::exports::rtl::ansi_of_unit;
use crate::exports::table::define_thunk;

/// Writes what fits and returns the count, or -1.
///
/// # Safety
/// There is room for `room` elements at `target`.
unsafe fn put<T: Copy + Default>(target: *mut T, room: usize, text: &[T]) -> i32 {
    let kept = text.len().min(room);
    // SAFETY: contract of the function.
    unsafe { target.copy_from(text.as_ptr(), kept) };
    if kept < room {
        // SAFETY: as above.
        unsafe { target.add(kept).write(T::default()) };
    }
    if text.len() > room { -1 } else { kept as i32 }
}

/// `_vsnprintf`.
pub unsafe extern "win64" fn vsnprintf(
    target: *mut u8,
    room: usize,
    text: *const u8,
    arguments: *const u64,
) -> i32 {
    // SAFETY: the driver passes a format and arguments that fit it.
    let units = unsafe {
        format(
            Text::Narrow(text),
            Arguments::new(arguments),
            false,
            &mut || (),
        )
    };
    let bytes: Vec<u8> = units.iter().map(|unit| ansi_of_unit(*unit)).collect();
    // SAFETY: the driver passes the room.
    unsafe { put(target, room, &bytes) }
}

/// `_vsnwprintf`.
pub unsafe extern "win64" fn vsnwprintf(
    target: *mut u16,
    room: usize,
    text: *const u16,
    arguments: *const u64,
) -> i32 {
    // SAFETY: as in `vsnprintf`.
    let units = unsafe {
        format(
            Text::Wide(text),
            Arguments::new(arguments),
            true,
            &mut || (),
        )
    };
    // SAFETY: as in `vsnprintf`.
    unsafe { put(target, room, &units) }
}

/// `vsprintf`.
pub unsafe extern "win64" fn vsprintf(
    target: *mut u8,
    text: *const u8,
    arguments: *const u64,
) -> i32 {
    // SAFETY: the driver passes room for the text, and the rest as in `vsnprintf`.
    unsafe { vsnprintf(target, i32::MAX as usize, text, arguments) }
}

/// `vswprintf`, in the form without a size that the kernel exports.
pub unsafe extern "win64" fn vswprintf(
    target: *mut u16,
    text: *const u16,
    arguments: *const u64,
) -> i32 {
    // SAFETY: as in `vsprintf`.
    unsafe { vsnwprintf(target, i32::MAX as usize, text, arguments) }
}

/// `vsprintf_s`.
pub unsafe extern "win64" fn vsprintf_s(
    target: *mut u8,
    room: usize,
    text: *const u8,
    arguments: *const u64,
) -> i32 {
    // SAFETY: the driver passes the room, and arguments that fit the format.
    let count = unsafe { vsnprintf(target, room, text, arguments) };
    // SAFETY: as above.
    unsafe { or_empty(target, room, count) }
}

/// `vswprintf_s`.
pub unsafe extern "win64" fn vswprintf_s(
    target: *mut u16,
    room: usize,
    text: *const u16,
    arguments: *const u64,
) -> i32 {
    // SAFETY: the driver passes the room, and arguments that fit the format.
    let count = unsafe { vsnwprintf(target, room, text, arguments) };
    // SAFETY: as above.
    unsafe { or_empty(target, room, count) }
}

/// `_vsnprintf_s`.
pub unsafe extern "win64" fn vsnprintf_s(
    target: *mut u8,
    room: usize,
    count: usize,
    text: *const u8,
    arguments: *const u64,
) -> i32 {
    // SAFETY: the driver passes the room, and arguments that fit the format.
    unsafe {
        at_most(target, room, count, |kept| {
            vsnprintf(target, kept, text, arguments)
        })
    }
}

/// `_vsnwprintf_s`.
pub unsafe extern "win64" fn vsnwprintf_s(
    target: *mut u16,
    room: usize,
    count: usize,
    text: *const u16,
    arguments: *const u64,
) -> i32 {
    // SAFETY: the driver passes the room, and arguments that fit the format.
    unsafe {
        at_most(target, room, count, |kept| {
            vsnwprintf(target, kept, text, arguments)
        })
    }
}

/// Has `print` write at most `count` units, or as many as there is room for if that is [`TRUNCATE`], and terminates
/// them; -1 if there are more. Without room for what is asked for, an empty string.
///
/// # Safety
/// There is room for `room` units at `target`.
unsafe fn at_most<T: Default>(
    target: *mut T,
    room: usize,
    count: usize,
    print: impl FnOnce(usize) -> i32,
) -> i32 {
    let Some(most) = room.checked_sub(1) else {
        return -1;
    };
    let kept = count.min(most);
    let printed = print(kept);
    if printed >= 0 && printed as usize <= kept {
        // SAFETY: contract of the function; below the room.
        unsafe { target.add(printed as usize).write(T::default()) };
        return printed;
    }
    // What was cut at the count is what was asked for; at the room it is if that was asked for.
    let end = if count <= most || count == TRUNCATE {
        kept
    } else {
        0
    };
    // SAFETY: as above.
    unsafe { target.add(end).write(T::default()) };
    -1
}

/// `_TRUNCATE`.
const TRUNCATE: usize = usize::MAX;

/// What does not fit with its terminator leaves an empty string.
///
/// # Safety
/// There is room for `room` units at `target`.
unsafe fn or_empty<T: Default>(target: *mut T, room: usize, count: i32) -> i32 {
    if count >= 0 && (count as usize) < room {
        return count;
    }
    if room != 0 {
        // SAFETY: contract of the function.
        unsafe { target.write(T::default()) };
    }
    -1
}

define_thunk!(vsprintf_thunk, touches, vsprintf);
define_thunk!(vswprintf_thunk, touches, vswprintf);
define_thunk!(vsnprintf_thunk, touches, vsnprintf);
define_thunk!(vsnwprintf_thunk, touches, vsnwprintf);
/// The arguments of a routine with four in front of the variable ones, one after the other.
///
/// # Safety
/// `arguments` is where they lie.
unsafe fn taken_apart<T>(arguments: *const u64) -> (*mut T, usize, usize, *const T, *const u64) {
    // SAFETY: contract.
    let [target, room, count, text] = unsafe { arguments.cast::<[u64; 4]>().read() };
    let pointer = |value: u64| std::ptr::with_exposed_provenance_mut::<T>(value as usize);
    (
        pointer(target),
        room as usize,
        count as usize,
        pointer(text).cast_const(),
        arguments.wrapping_add(4),
    )
}

unsafe extern "win64" fn snprintf_s_from_thunk(arguments: *const u64) -> i32 {
    // SAFETY: the driver's arguments, which the thunk has stored.
    unsafe {
        let (target, room, count, text, variable) = taken_apart(arguments);
        vsnprintf_s(target, room, count, text, variable)
    }
}

unsafe extern "win64" fn snwprintf_s_from_thunk(arguments: *const u64) -> i32 {
    // SAFETY: as above.
    unsafe {
        let (target, room, count, text, variable) = taken_apart(arguments);
        vsnwprintf_s(target, room, count, text, variable)
    }
}

define_thunk!(snprintf_s_thunk, touches, snprintf_s_from_thunk);
define_thunk!(snwprintf_s_thunk, touches, snwprintf_s_from_thunk);
define_thunk!(vsprintf_s_thunk, touches, vsprintf_s);
define_thunk!(vswprintf_s_thunk, touches, vswprintf_s);

/// Declares a variadic routine over one that takes a `va_list` behind `$fixed`
/// arguments (2 or 3), or with 4 over one that takes the address of them all.
macro_rules! variadic {
    ($(#[$doc:meta])* $name:ident, 2, $function:path) => {
        $(#[$doc])*
        #[unsafe(naked)]
        pub unsafe extern "win64" fn $name() {
            core::arch::naked_asm!(
                "mov [rsp + 24], r8",
                "mov [rsp + 32], r9",
                "lea r8, [rsp + 24]",
                "jmp {function}",
                function = sym $function,
            )
        }
    };
    ($(#[$doc:meta])* $name:ident, 3, $function:path) => {
        $(#[$doc])*
        #[unsafe(naked)]
        pub unsafe extern "win64" fn $name() {
            core::arch::naked_asm!(
                "mov [rsp + 32], r9",
                "lea r9, [rsp + 32]",
                "jmp {function}",
                function = sym $function,
            )
        }
    };
    ($(#[$doc:meta])* $name:ident, 4, $function:path) => {
        $(#[$doc])*
        #[unsafe(naked)]
        pub unsafe extern "win64" fn $name() {
            core::arch::naked_asm!(
                "mov [rsp + 8], rcx",
                "mov [rsp + 16], rdx",
                "mov [rsp + 24], r8",
                "mov [rsp + 32], r9",
                "lea rcx, [rsp + 8]",
                "jmp {function}",
                function = sym $function,
            )
        }
    };
}

variadic!(
    /// `sprintf`.
    sprintf, 2, vsprintf_thunk
);
variadic!(
    /// `swprintf`, in the form without a size that the kernel exports.
    swprintf, 2, vswprintf_thunk
);
variadic!(
    /// `sprintf_s`.
    sprintf_s, 3, vsprintf_s_thunk
);
variadic!(
    /// `swprintf_s`.
    swprintf_s, 3, vswprintf_s_thunk
);
variadic!(
    /// `_snprintf`.
    snprintf, 3, vsnprintf_thunk
);
variadic!(
    /// `_snwprintf`.
    snwprintf, 3, vsnwprintf_thunk
);
variadic!(
    /// `_snprintf_s`.
    snprintf_s, 4, snprintf_s_thunk
);
variadic!(
    /// `_snwprintf_s`.
    snwprintf_s, 4, snwprintf_s_thunk
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_respected_as_documented() {
        let mut buffer = [b'~'; 8];
        let mut print = |room, value: u64| {
            buffer = [b'~'; 8];
            // SAFETY: room for eight bytes; one argument.
            let result = unsafe {
                vsnprintf(
                    buffer.as_mut_ptr(),
                    room,
                    c"%u".as_ptr().cast(),
                    &raw const value,
                )
            };
            (result, buffer)
        };
        assert_eq!(print(8, 123), (3, *b"123\0~~~~"));
        assert_eq!(print(3, 123), (3, *b"123~~~~~"));
        assert_eq!(print(2, 123), (-1, *b"12~~~~~~"));
    }

    /// At most a count of units, or as many as there is room for.
    #[test]
    fn what_is_cut_is_terminated_as_documented() {
        let print = |room, count, value: u64| {
            let (mut buffer, mut wide) = ([b'~'; 6], [u16::from(b'~'); 6]);
            let arguments = &raw const value;
            let format: Vec<u16> = "%u\0".encode_utf16().collect();
            // SAFETY: room for six bytes; one argument.
            let result = unsafe {
                let (target, format) = (buffer.as_mut_ptr(), c"%u".as_ptr().cast());
                vsnprintf_s(target, room, count, format, arguments)
            };
            // SAFETY: as above, of units.
            let of_wide = unsafe {
                let (target, format) = (wide.as_mut_ptr(), format.as_ptr());
                vsnwprintf_s(target, room, count, format, arguments)
            };
            assert_eq!((of_wide, wide), (result, buffer.map(u16::from)));
            (result, buffer)
        };
        assert_eq!(print(6, 5, 123), (3, *b"123\0~~"));
        assert_eq!(print(4, 3, 123), (3, *b"123\0~~"));
        assert_eq!(print(6, 2, 123), (-1, *b"12\0~~~"));
        assert_eq!(print(3, TRUNCATE, 123), (-1, *b"12\0~~~"));
        assert_eq!(print(4, TRUNCATE, 123), (3, *b"123\0~~"));
        assert_eq!(print(3, 5, 123).0, -1);
        assert_eq!(print(3, 5, 123).1[0], 0);
        assert_eq!(print(1, 0, 123), (-1, *b"\0~~~~~"));
        assert_eq!(print(0, 0, 123), (-1, *b"~~~~~~"));
    }

    #[test]
    fn a_list_of_arguments_is_printed_without_a_bound() {
        let arguments = [7_u64, 8];
        let mut bytes = [b'~'; 8];
        let (narrow, list) = (c"%d-%d", arguments.as_ptr());
        // SAFETY: room for the text; two arguments.
        let count = unsafe { vsprintf(bytes.as_mut_ptr(), narrow.as_ptr().cast(), list) };
        assert_eq!((count, bytes), (3, *b"7-8\0~~~~"));
        let mut units = [u16::from(b'~'); 5];
        let wide: Vec<u16> = "%d-%d\0".encode_utf16().collect();
        // SAFETY: as above.
        let count = unsafe { vswprintf(units.as_mut_ptr(), wide.as_ptr(), list) };
        assert_eq!(count, 3);
        assert_eq!(String::from_utf16_lossy(&units), "7-8\0~");
        let names = ["vsprintf", "vswprintf"];
        assert!(
            names
                .iter()
                .all(|name| crate::exports::resolve("ntoskrnl.exe", name).is_some())
        );
    }

    #[test]
    fn what_does_not_fit_is_not_printed() {
        let value = 123_u64;
        let print = |room| {
            let format = c"%u".as_ptr().cast();
            let mut buffer = *b"ab\0~";
            // SAFETY: room for four; one argument.
            let count = unsafe { vsprintf_s(buffer.as_mut_ptr(), room, format, &raw const value) };
            (count, buffer)
        };
        assert_eq!(print(4), (3, *b"123\0"));
        assert_eq!(print(3), (-1, *b"\x0023~"));
    }

    #[test]
    fn variable_arguments_arrive() {
        crate::processor::thread::current();
        type Print = unsafe extern "win64" fn(
            *mut u16,
            usize,
            *const u16,
            usize,
            usize,
            usize,
            usize,
        ) -> i32;
        // SAFETY: called as a C compiler calls a variadic function.
        let print = unsafe { std::mem::transmute::<*const (), Print>(snwprintf as *const ()) };
        let format: Vec<u16> = "%d-%s-%x-%d\0".encode_utf16().collect();
        let name: Vec<u16> = "né\0".encode_utf16().collect();
        let mut buffer = [0_u16; 32];
        // SAFETY: the arguments fit the format.
        let count = unsafe {
            print(
                buffer.as_mut_ptr(),
                32,
                format.as_ptr(),
                1,
                name.as_ptr().addr(),
                0xF,
                4,
            )
        };
        assert_eq!(
            String::from_utf16_lossy(&buffer[..count as usize]),
            "1-né-f-4"
        );
        type Short = unsafe extern "win64" fn(*mut u8, *const u8, usize, usize, usize) -> i32;
        // SAFETY: as above.
        let print = unsafe { std::mem::transmute::<*const (), Short>(sprintf as *const ()) };
        let mut bytes = [0_u8; 16];
        assert_eq!(
            // SAFETY: as above.
            unsafe { print(bytes.as_mut_ptr(), c"%d %d %d".as_ptr().cast(), 7, 8, 9) },
            5
        );
        assert_eq!(&bytes[..6], b"7 8 9\0");
    }

    #[test]
    fn arguments_behind_four_arrive() {
        crate::processor::thread::current();
        type Print<T> =
            unsafe extern "win64" fn(*mut T, usize, usize, *const T, usize, usize) -> i32;
        // SAFETY: called as a C compiler calls a variadic function, here and below.
        let narrow =
            unsafe { std::mem::transmute::<*const (), Print<u8>>(snprintf_s as *const ()) };
        let mut bytes = [b'~'; 8];
        let format = c"%d-%d".as_ptr().cast();
        // SAFETY: the arguments fit the format.
        let count = unsafe { narrow(bytes.as_mut_ptr(), 8, TRUNCATE, format, 12, 34) };
        assert_eq!((count, bytes), (5, *b"12-34\0~~"));
        // SAFETY: as above.
        let wide =
            unsafe { std::mem::transmute::<*const (), Print<u16>>(snwprintf_s as *const ()) };
        let format: Vec<u16> = "%d-%d\0".encode_utf16().collect();
        let mut units = [u16::from(b'~'); 8];
        // SAFETY: as above.
        let count = unsafe { wide(units.as_mut_ptr(), 8, 4, format.as_ptr(), 12, 34) };
        assert_eq!((count, units), (-1, b"12-3\0~~~".map(u16::from)));
    }
}
