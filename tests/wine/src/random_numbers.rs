//! `bcryptprimitives.dll`, which Rust's standard library asks for random numbers and Wine 8.0 lacks.
//!
//! One routine of it is needed, `ProcessPrng`. Wine has the same under another name, so a DLL
//! without code does: its export is a forwarder.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use wdk_kit::requirements::PROGRAM_LINKER;

const LIBRARY: &str = "bcryptprimitives";

/// RtlGenRandom is exported as SystemFunction036.
const DEFINITION: &str =
    "LIBRARY bcryptprimitives\nEXPORTS\nProcessPrng = advapi32.SystemFunction036\n";

/// Makes the DLL in `system32`, unless Wine has brought one.
///
/// # Errors
/// When the linker is missing or fails.
pub fn supply(system32: &Path) -> Result<()> {
    let library = system32.join(format!("{LIBRARY}.dll"));
    if library.exists() {
        return Ok(());
    }
    let definition = system32.join(format!("{LIBRARY}.def"));
    fs::write(&definition, DEFINITION).with_context(|| definition.display().to_string())?;
    let mut linker = Command::new(PROGRAM_LINKER);
    linker.args(["-shared", "-nostdlib", "-Wl,--entry=0", "-o"]);
    let status = linker.arg(&library).arg(&definition).status();
    let status =
        status.with_context(|| format!("no {PROGRAM_LINKER}; `./dev wine` installs it"))?;
    ensure!(status.success(), "{PROGRAM_LINKER} failed: {status}");
    fs::remove_file(&definition).with_context(|| definition.display().to_string())
}
