//! What the driver tells an administrator: in the event log, and at the debugger.
//!
//! | `DebugLevel` | printed at the debugger |
//! |---|---|
//! | 0 | nothing |
//! | 1 | what goes to the event log |
//! | 2 | also what is attached |

use core::fmt::{self, Arguments, Write};
use core::sync::atomic::{AtomicU32, Ordering};
use wdm::debugger;
use wdm::event_log::Source;
use wdm::status::Status;

/// A message of the event log. Its text begins to count at `%2`.
pub struct Message {
    code: u32,
    text: &'static str,
}

macro_rules! messages {
    ($($code:literal $name:ident: $text:literal;)*) => {
        $(
            #[doc = $text]
            pub const $name: Message = Message { code: $code, text: $text };
        )*
    };
}

include!("messages.rs");

/// `DebugLevel` with no value in the registry.
pub const DEFAULT_LEVEL: u32 = 1;

/// `DebugLevel`; written in DriverEntry only.
static LEVEL: AtomicU32 = AtomicU32::new(DEFAULT_LEVEL);

/// From now on the debugger is told as much as the settings say.
pub fn set_level(level: u32) {
    LEVEL.store(level, Ordering::Relaxed);
}

/// Records `message` with its insertion strings. An entry that finds no memory is lost; the
/// debugger is told all the same.
pub fn record(log: Source<'_>, message: &Message, status: Status, insertions: &[Arguments<'_>]) {
    let _without_memory_there_is_no_entry = log.write(message.code, status, insertions);
    let text = message.text;
    problem(format_args!("{}", Inserted { text, insertions }));
}

/// Tells the debugger of a problem that has no entry in the event log.
pub fn problem(what: Arguments<'_>) {
    if LEVEL.load(Ordering::Relaxed) >= 1 {
        debugger::print(format_args!("fsglass: {what}\n"));
    }
}

/// Tells the debugger what was done.
pub fn note(what: Arguments<'_>) {
    if LEVEL.load(Ordering::Relaxed) >= 2 {
        debugger::print(format_args!("fsglass: {what}\n"));
    }
}

/// A message with its insertion strings in their places.
struct Inserted<'a> {
    text: &'static str,
    insertions: &'a [Arguments<'a>],
}

impl fmt::Display for Inserted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.text.chars();
        while let Some(char) = rest.next() {
            if char != '%' {
                f.write_char(char)?;
                continue;
            }
            let number = rest.next().and_then(|digit| digit.to_digit(10));
            let place = number.and_then(|number| usize::try_from(number).ok()?.checked_sub(2));
            if let Some(insertion) = place.and_then(|place| self.insertions.get(place)) {
                f.write_fmt(*insertion)?;
            }
        }
        Ok(())
    }
}
