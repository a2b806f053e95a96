//! What must be true of `fsglass.sys` before it is ever run.
//!
//! [`audit`] applies every [`Check`] to the bytes of an image. The checks are
//! independent of each other and of what built the image, so that each can be
//! shown a copy that is wrong in one place (`tests/image.rs`).
//!
//! Sources: "PE Format"; "Hardware-enforced stack protection and code
//! integrity" of the driver documentation for what HVCI refuses; "Making
//! Drivers Pageable" for section names.

mod checks;
mod doctored;
mod image;
mod resources;

pub use doctored::Doctored;
pub use image::{Check, Expected, Image};
pub use wdk_kit::introduced::ImportList;

use object::read::pe::PeFile64;
use std::collections::BTreeMap;

/// Something that is not true.
#[derive(Debug)]
pub struct Finding {
    /// The rule of the check.
    pub rule: &'static str,
    /// What was found instead.
    pub found: String,
}

/// Every check.
#[must_use]
pub fn checks() -> &'static [Check] {
    checks::ALL
}

/// Everything that is wrong with an image.
#[must_use]
pub fn audit(bytes: &[u8], expected: &Expected<'_>) -> Vec<Finding> {
    const READABLE: &str = "it is a PE32+ image";
    // The reader itself refuses PE32 and other magic numbers.
    let file = match PeFile64::parse(bytes) {
        Ok(file) => file,
        Err(error) => {
            return vec![Finding {
                rule: READABLE,
                found: error.to_string(),
            }];
        }
    };
    let image = Image {
        bytes,
        file,
        expected,
    };
    let run = |check: &Check| {
        (check.run)(&image).err().map(|found| Finding {
            rule: check.rule,
            found,
        })
    };
    checks::ALL.iter().filter_map(run).collect()
}

/// The texts of the event log in an image, by their codes.
///
/// # Errors
/// What is wrong with its message table.
pub fn message_table(
    bytes: &[u8],
    expected: &Expected<'_>,
) -> Result<BTreeMap<u32, String>, String> {
    let file = PeFile64::parse(bytes).map_err(|error| error.to_string())?;
    resources::messages(&Image {
        bytes,
        file,
        expected,
    })
}
