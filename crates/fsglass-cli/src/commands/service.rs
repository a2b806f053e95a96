//! `start` and `stop`.

use super::Context;
use crate::error::{Exit, Result};

/// Starts the driver.
pub fn start(context: &mut Context<'_>) -> Result<Exit> {
    let service = context.system.service(context.service)?;
    if service.is_some_and(|service| service.running) {
        writeln!(context.out, "{} runs already", context.service)?;
        return Ok(Exit::Done);
    }
    context.system.start(context.service)?;
    writeln!(context.out, "{} runs", context.service)?;
    Ok(Exit::Done)
}

/// Stops the driver.
pub fn stop(context: &mut Context<'_>) -> Result<Exit> {
    context.system.stop(context.service)?;
    writeln!(context.out, "{} has stopped", context.service)?;
    Ok(Exit::Done)
}
