//! The folder of the Windows Driver Kit, where its set-up puts it.
//!
//! Headers and libraries are those that wdk-kit makes for Linux. Programs are the stand-ins of
//! `tests/windows/programs`, in the directories in which wdk-build's makefile looks for the kit's.

use crate::machine::{directory, link};
use anyhow::{Context, Result};
use fsglass_tests::drivers::repository;
use fsglass_wine::files::program;
use fsglass_wine::wine::Wine;
use std::path::PathBuf;
use wdk_kit::compiler::Choice;
use wdk_kit::files;
use wdk_kit::layout::{Layout, SDK_VERSION};
use wdk_kit::processor::Processor;
use wdk_kit::requirements::Requirements;

/// The folder, as Windows names it.
pub const ROOT: &str = r"C:\Program Files (x86)\Windows Kits\10\";

/// The key and value by which wdk-build finds it.
pub const REGISTRY: [&str; 2] = [
    r"HKLM\SOFTWARE\Microsoft\Windows Kits\Installed Roots",
    "KitsRoot10",
];

/// Programs of the kit, by the directory of each.
const PROGRAMS: [(&str, &[&str]); 3] = [
    (
        "bin/VERSION/x64",
        &["certmgr", "makecert", "rc", "signtool", "stampinf"],
    ),
    ("bin/VERSION/x86", &["inf2cat"]),
    ("tools/VERSION/x64", &["infverif"]),
];

/// Programs that lie on the search path of the machine: in place of one of the toolchain's, and
/// those of Linux that the kit's stand-ins and a test start.
const ON_THE_PATH: [&str; 4] = ["dlltool", "git", "openssl", "osslsigncode"];

/// Puts the kit onto Wine's disk, and its folder into the registry.
///
/// # Errors
/// When something of it has not been made.
pub fn install(wine: &Wine) -> Result<()> {
    let layout = Layout::new(repository());
    let root = wine.file("drive_c/Program Files (x86)/Windows Kits/10");
    for part in ["Include", "Lib"] {
        link(&layout.wdk().join(part), &root.join(part))?;
    }
    let stand_in = program("stand-in.exe")?;
    for (place, names) in PROGRAMS {
        let place = root.join(place.replace("VERSION", SDK_VERSION));
        for name in names {
            files::copy_if_changed(&stand_in, &place.join(format!("{name}.exe")))?;
        }
    }
    let [key, value] = REGISTRY;
    let words = ["reg", "add", key, "/v", value, "/d", ROOT, "/f"];
    wine.run(&words).map(drop)
}

/// Puts what is on the search path into a folder, and returns it.
///
/// # Errors
/// When it has not been built.
pub fn programs() -> Result<PathBuf> {
    let folder = directory().join("programs");
    let stand_in = program("stand-in.exe")?;
    for name in ON_THE_PATH {
        files::copy_if_changed(&stand_in, &folder.join(format!("{name}.exe")))?;
    }
    let library = crate::scripts::LIBRARY;
    files::copy_if_changed(&program(library)?, &folder.join(library))?;
    Ok(folder)
}

/// What a build needs to be told because the headers are not Microsoft's, and because the
/// resource compiler is Linux's.
///
/// # Errors
/// When LLVM is missing.
pub fn environment() -> Result<[(&'static str, String); 2]> {
    let requirements = Requirements::probe(Choice::Auto, Processor::X64)?;
    let llvm = requirements.llvm;
    let resources = llvm.resource_directory().display().to_string();
    let arguments = wdk_kit::mirror::clang_arguments(Processor::X64, &format!("Z:{resources}"));
    let compiler = llvm.program("llvm-rc");
    let compiler = compiler.to_str().context("the path of llvm-rc")?;
    Ok([
        ("BINDGEN_EXTRA_CLANG_ARGS", arguments),
        ("STAND_IN_RC", compiler.to_owned()),
    ])
}
