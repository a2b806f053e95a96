//! Where `rust-script.exe` keeps what it builds, and how cargo builds there.
//!
//! It calls cargo in a folder of its own, where cargo finds a configuration: without
//! optimisation, since a script runs once; and with [`LIBRARY`] in place of two routines of Wine's
//! `kernel32`, because wdk-build's load script links its makefile into `target`.
//!
//! The linker takes a routine from the first library that has it, and what is given with
//! `-Clink-arg` comes after the standard library's `-lkernel32`. A folder given with `-L` comes
//! before the toolchain's: it holds a `libkernel32.a` that is the toolchain's with the two routines
//! in front.

use crate::machine::{directory, windows_path};
use crate::toolchain::Toolchain;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use wdk_kit::compiler::Choice;
use wdk_kit::processor::Processor;
use wdk_kit::requirements::Requirements;
use wdk_kit::{files, process};

/// The DLL of `tests/windows/links`.
pub const LIBRARY: &str = "links.dll";

/// Debian's, which comes with the linker of programs for Windows.
const DLLTOOL: &str = "/usr/bin/x86_64-w64-mingw32-dlltool";

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
/// When a file cannot be written, or a library not be made.
pub fn folder(toolchain: &Toolchain) -> Result<PathBuf> {
    let folder = directory().join("scripts");
    let libraries = folder.join("libraries");
    fs::create_dir_all(&libraries)?;
    let definition = folder.join("links.def");
    let library = libraries.join("libkernel32.a");
    if files::write_if_changed(&definition, DEFINITION)? || !library.exists() {
        let links = folder.join("links.a");
        let mut command = Command::new(DLLTOOL);
        // The linker puts the members of all libraries of one name into the order of their names:
        // those of a DLL must have no other's between them.
        command.args(["--temp-prefix", "links"]);
        command.arg("-d").arg(&definition).arg("-l").arg(&links);
        process::run(&mut command)?;
        // It would add to what is there.
        if library.exists() {
            fs::remove_file(&library).with_context(|| library.display().to_string())?;
        }
        // The archiver of binutils adds no library to a library.
        let llvm = Requirements::probe(Choice::Auto, Processor::X64)?.llvm;
        let mut command = Command::new(llvm.program("llvm-ar"));
        command.arg("qcsL").arg(&library).arg(&links);
        process::run(command.arg(toolchain.library("libkernel32.a")))?;
    }
    let flag = format!("-Lnative={}", windows_path(&libraries));
    let configuration = format!(
        "[target.x86_64-pc-windows-gnu]\nrustflags = [{flag:?}]\n\n\
         [profile.release]\nopt-level = 0\n"
    );
    let binaries = folder.join("binaries");
    let changed = files::write_if_changed(&folder.join(".cargo/config.toml"), configuration)?;
    // rust-script asks cargo again only if the script has changed.
    if changed && binaries.exists() {
        fs::remove_dir_all(&binaries).with_context(|| binaries.display().to_string())?;
    }
    Ok(folder)
}
