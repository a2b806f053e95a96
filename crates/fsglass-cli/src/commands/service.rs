//! `start` and `stop`.

use super::context::Context;
use crate::driver::Driver;
use crate::error::{Exit, Result};
use std::collections::BTreeMap;

/// A driver that is told to stop is given so many looks before something is said of it, and so many more each
/// time after that.
const FIRST: u32 = 20;
const AGAIN: u32 = 300;

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
    stop_driver(context)?;
    writeln!(context.out, "{} has stopped", context.service)?;
    Ok(Exit::Done)
}

/// Stops the driver; the user is told what it waits for.
///
/// Windows calls DriverUnload once nobody has a device of the driver open and nothing is attached above
/// one; what holds it is found out before, as nobody can open the control device afterwards. DriverUnload
/// then waits for requests, and tells a kernel debugger for which.
///
/// # Errors
/// Those of the service control manager.
pub fn stop_driver(context: &Context<'_>) -> Result<()> {
    let holders = holders(context);
    for holder in &holders {
        context.system.tell(holder);
    }
    let mut looked = 0;
    context.system.stop(context.service, &mut || {
        looked += 1;
        if looked % AGAIN != FIRST {
            return;
        }
        let what = if holders.is_empty() {
            "a request that is below the driver has not come back, as an oplock or a directory notification may \
             for long; a kernel debugger is told which"
                .to_owned()
        } else {
            holders.join("; ")
        };
        context.system.tell(&format!(
            "it has not stopped yet: {what} (Ctrl-C ends the waiting, not the stop)"
        ));
    })
}

/// What keeps Windows from calling DriverUnload.
fn holders(context: &Context<'_>) -> Vec<String> {
    let mut holders = Vec::new();
    let Ok(driver) = Driver::open(context.system, context.service) else {
        return holders;
    };
    let settings = driver.settings().ok();
    // Where there is no DriverUnload, the stop says so at once.
    let Some(settings) = settings.filter(|settings| settings.allow_unload.get() != 0) else {
        return holders;
    };
    let others = settings.clients.get().saturating_sub(1);
    if others != 0 {
        holders.push(format!(
            "{others} more handles to the driver are open, such as that of `fsglass trace` in another prompt: it \
             stops when they are closed"
        ));
    }
    let mut above = BTreeMap::<String, Vec<String>>::new();
    for volume in driver.volumes().unwrap_or_default() {
        for other in volume.stack.iter().take(volume.own.unwrap_or(0)) {
            let devices = above.entry(other.clone()).or_default();
            devices.push(volume.name.clone());
        }
    }
    for (other, devices) in above {
        holders.push(format!(
            "{other} lies above the driver on {}: it stops when that has gone",
            devices.join(", ")
        ));
    }
    holders
}
