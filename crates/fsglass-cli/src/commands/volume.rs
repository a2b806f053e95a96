//! `attach` and `detach`.

use super::Context;
use crate::driver::Driver;
use crate::error::{Error, Exit, Result};
use crate::system::System;

/// Filters a volume.
pub fn attach(context: &mut Context<'_>, volume: &str) -> Result<Exit> {
    let name = device_name(context.system, volume)?;
    Driver::open(context.system, context.service)?.attach(&name)?;
    writeln!(context.out, "{name} is filtered")?;
    Ok(Exit::Done)
}

/// Filters a volume no longer.
pub fn detach(context: &mut Context<'_>, volume: &str) -> Result<Exit> {
    let name = device_name(context.system, volume)?;
    Driver::open(context.system, context.service)?.detach(&name)?;
    writeln!(
        context.out,
        "{name} is filtered no longer, until `fsglass attach` or the next start of the driver"
    )?;
    Ok(Exit::Done)
}

/// The NT name of what the user calls `volume`.
fn device_name(system: &dyn System, volume: &str) -> Result<String> {
    if volume.starts_with('\\') {
        return Ok(volume.to_owned());
    }
    let letter = volume.strip_suffix('\\').unwrap_or(volume);
    let letters = system.drive_letters();
    let found = letters
        .into_iter()
        .find(|found| found.letter.eq_ignore_ascii_case(letter));
    match found {
        Some(found) => Ok(found.device),
        None => Err(Error::new(format!("there is no volume {volume:?}"))
            .remedy(r"give a drive letter such as D:, or a device of `fsglass list`")),
    }
}
