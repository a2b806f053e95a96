//! Running this command again in a process of its own: a violation ends a
//! process, and options of the verifier are chosen once in one.

use super::Failure;
use std::ffi::OsString;
use std::process::{Command, Output, Stdio};

/// Runs `ntbox` with `arguments` to its end, with its output kept.
pub fn run(arguments: &[OsString]) -> Result<Output, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::Failed(format!("ntbox does not know its own file: {error}")))?;
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::Failed(format!("ntbox cannot be started again: {error}")))
}
