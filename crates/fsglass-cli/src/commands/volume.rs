//! `attach` and `detach`.

use super::context::Context;
use crate::driver::Driver;
use crate::error::{Error, Exit, Result};
use crate::system::{DriveLetter, System};

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
    named_device(volume, &system.drive_letters())
}

/// The same, with the drive letters that there are.
fn named_device(volume: &str, letters: &[DriveLetter]) -> Result<String> {
    if volume.starts_with('\\') {
        return Ok(volume.to_owned());
    }
    let letter = volume.strip_suffix('\\').unwrap_or(volume);
    let found = letters
        .iter()
        .find(|found| found.letter.eq_ignore_ascii_case(letter));
    match found {
        Some(found) => Ok(found.device.clone()),
        None => Err(Error::new(format!("there is no volume {volume:?}"))
            .remedy(r"give a drive letter such as D:, or a device of `fsglass list`")),
    }
}

/// The letters of a device.
pub fn letters_of<'l>(device: &str, letters: &'l [DriveLetter]) -> Vec<&'l str> {
    let letters = letters
        .iter()
        .filter(|letter| letter.device.eq_ignore_ascii_case(device));
    letters.map(|letter| letter.letter.as_str()).collect()
}

/// The volumes that the user wants to see: one, or all.
pub struct Selection(Option<String>);

impl Selection {
    /// What the user calls `volume`, if it names one.
    pub fn new(volume: Option<&str>, letters: &[DriveLetter]) -> Result<Self> {
        let device = volume.map(|volume| named_device(volume, letters));
        Ok(Self(device.transpose()?))
    }

    /// The device of the one.
    pub fn device(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Whether the device of that name is among them.
    pub fn has(&self, device: &str) -> bool {
        let wanted = self.device();
        wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(device))
    }
}
