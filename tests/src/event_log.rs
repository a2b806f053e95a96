//! What the driver has written to the event log.

use ntbox::io_manager::error_log;
pub use ntbox::io_manager::error_log::Entry;

macro_rules! messages {
    ($($code:literal $name:ident: $text:literal;)*) => {
        /// The codes of the driver's messages.
        pub mod code {
            $(
                #[doc = $text]
                pub const $name: u32 = $code;
            )*
        }

        /// Code and text of every message.
        pub const MESSAGES: &[(u32, &str)] = &[$(($code, $text)),*];
    };
}

include!("../../src/messages.rs");

/// All entries.
#[must_use]
pub fn entries() -> Vec<Entry> {
    error_log::entries()
}

/// The insertion strings of the entries with that code, `%2` first.
#[must_use]
pub fn strings_of(code: u32) -> Vec<Vec<String>> {
    entries()
        .into_iter()
        .filter(|entry| entry.error.cast_unsigned() == code)
        .map(|entry| entry.strings)
        .collect()
}
