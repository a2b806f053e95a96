//! Where `rust-script.exe` keeps what it builds, and how cargo builds there.
//!
//! It calls cargo in a folder of its own, where cargo finds a configuration: without
//! optimisation, since a script runs once; and with [`LIBRARY`] in place of two routines of Wine's
//! `kernel32`, because wdk-build's load script links its makefile into `target`.

use crate::machine::{directory, windows_path};
use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use wdk_kit::{files, process};

/// The DLL of `tests/windows/links`.
pub const LIBRARY: &str = "links.dll";

/// Debian's, which comes with the linker of programs for Windows.
const IMPORT_LIBRARIES: &str = "/usr/bin/x86_64-w64-mingw32-dlltool";

/// What is imported from the DLL, and as what.
const DEFINITION: &str = "\
LIBRARY links.dll
EXPORTS
CreateSymbolicLinkW == create_link
DeleteFileW == delete_file
";

/// Makes the folder, and returns it.
///
/// # Errors
/// When a file cannot be written, or the import library not be made.
pub fn folder() -> Result<PathBuf> {
    let folder = directory().join("scripts");
    fs::create_dir_all(&folder)?;
    let definition = folder.join("links.def");
    let library = folder.join("links.lib");
    if files::write_if_changed(&definition, DEFINITION)? || !library.exists() {
        let mut command = Command::new(IMPORT_LIBRARIES);
        command.arg("-d").arg(&definition).arg("-l").arg(&library);
        process::run(&mut command)?;
    }
    let flag = format!("-Clink-arg={}", windows_path(&library));
    let configuration = format!(
        "[target.x86_64-pc-windows-gnu]\nrustflags = [{flag:?}]\n\n\
         [profile.release]\nopt-level = 0\n"
    );
    files::write_if_changed(&folder.join(".cargo/config.toml"), configuration)?;
    Ok(folder)
}
