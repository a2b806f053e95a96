//! Text for a kernel debugger.
//!
//! Wraps `DbgPrint`. Formatting happens here, without a path on which it could panic: the print
//! macros of other crates have such paths, which would then be reachable from a mount (P3).

#![expect(unsafe_code, reason = "the DDI is variadic and takes raw strings")]

use core::fmt::{Arguments, Write};
use wdk_sys::ntddk;

/// What `DbgPrint` transmits at once, with the terminator.
const ROOM: usize = 512;

/// Prints `text`, and cuts off what is beyond 511 bytes. IRQL: any.
///
/// Rests on DbgPrint: "The DbgPrint routine sends a message to the kernel debugger when the conditions that you
/// specify apply (see the Remarks section below)."
pub fn print(text: Arguments<'_>) {
    let mut line = Line {
        bytes: [0; ROOM],
        length: 0,
    };
    let _cut_off_where_it_does_not_fit = line.write_fmt(text);
    // SAFETY: a format with one string, and a string that ends with a zero: the last byte is never
    // written.
    let _always_success = unsafe { ntddk::DbgPrint(c"%s".as_ptr(), line.bytes.as_ptr()) };
}

/// The text so far; zeros behind it.
struct Line {
    bytes: [u8; ROOM],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            match self.bytes.get_mut(self.length) {
                Some(place) if self.length + 1 < ROOM => *place = byte,
                _ => return Err(core::fmt::Error),
            }
            self.length += 1;
        }
        Ok(())
    }
}
