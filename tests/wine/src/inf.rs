//! The INF for Wine, as the package has it.

use anyhow::Result;
use wdk_kit::inf::stamp::{self, Date};
use wdk_kit::inf::wine;
use wdk_kit::source_date::SourceDate;

use crate::files;

/// Makes it of the same source as the package does.
///
/// # Errors
/// When the source cannot be read or does not fit.
pub fn for_wine() -> Result<String> {
    let repository = files::repository();
    let source = std::fs::read_to_string(repository.join("inf/fsglass.inx"))?;
    let date = Date::of(SourceDate::of(repository)?);
    let version = stamp::driver_version(env!("CARGO_PKG_VERSION"));
    stamp::stamp(&wine::variant(&source)?, date, &version)
}
