//! `dlltool`: an import library from a module-definition file.
//!
//! rustc calls it for the functions that crates import without a library (`raw-dylib`). The one
//! that the toolchain brings starts `as.exe`, which it does not bring. LLD, which it brings, makes
//! such a library as well.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::{Command, ExitCode};

/// Makes the library.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    // Not by `Arguments`, for which -d and -D are the same.
    let value = |option: &str| {
        let place = arguments.iter().position(|argument| argument == option);
        let value = place.and_then(|place| arguments.get(place + 1));
        value.with_context(|| format!("{option} and its value are missing"))
    };
    let (definition, module, library) = (value("-d")?, value("-D")?, value("-l")?);
    let machine = value("-m")?;
    ensure!(
        machine == "i386:x86-64",
        "-m {machine} no library is made for that machine here"
    );
    let text = fs::read_to_string(definition).with_context(|| definition.clone())?;
    // LLD takes the module's name from the file alone.
    let named = format!("{library}.def");
    fs::write(&named, format!("LIBRARY \"{module}\"\n{text}")).with_context(|| named.clone())?;
    let mut linker = Command::new("rust-lld.exe");
    linker.args(["-flavor", "link", "/lib", "/nologo", "/machine:x64"]);
    linker.args([format!("/def:{named}"), format!("/out:{library}")]);
    let status = linker.status().context("cannot start rust-lld.exe")?;
    fs::remove_file(&named).with_context(|| named.clone())?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
