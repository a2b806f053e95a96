//! Programs for Windows: cargo, with mingw-w64's linker.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::compiler::{Choice, Compiler, Kind};
use crate::driver_build::Profile;
use crate::files;
use crate::layout::{Layout, PROGRAM_TARGET};
use crate::process;
use crate::requirements::{Missing, Requirements, install_line};
use crate::workspace::Program;

/// Builds programs, puts their files where they are looked for, and returns the directory.
///
/// # Errors
/// When the compiler or the linker is missing, with the command that installs it, and when cargo
/// fails; it has said why.
pub fn build(
    layout: &Layout,
    choice: Choice,
    programs: &[&Program],
    profile: Profile,
) -> Result<PathBuf> {
    let compiler = match Requirements::program_compiler(choice) {
        Ok(compiler) => compiler,
        Err(missing) => return refuse(&missing),
    };
    let (target, built, destination) = if compiler == Compiler::WithWdk {
        let built = layout.own_target().join(profile.directory());
        (layout.own_target(), built.clone(), built)
    } else {
        if let Some(missing) = Requirements::missing_program_linker() {
            return refuse(&missing);
        }
        let target = layout.program_target(compiler.name());
        let built = target.join(PROGRAM_TARGET).join(profile.directory());
        (target, built, layout.programs(profile.directory()))
    };
    let mut command = compiler.cargo();
    command
        .current_dir(layout.root())
        .args(["build", "--quiet"])
        .args(compiler.target_arguments(Kind::Program))
        .arg("--target-dir")
        .arg(&target)
        .args(profile.arguments())
        // The profile keeps debug information for drivers, whose symbols are a file of their own.
        .arg("--config=profile.release.strip=\"debuginfo\"");
    for program in programs {
        command.args(["--package", &program.package]);
    }
    let files: Vec<_> = programs.iter().flat_map(|program| &program.files).collect();
    for file in &files {
        files::remove(&built.join(file))?;
    }
    process::run(&mut command).context("the programs were not built")?;
    for file in files {
        files::copy_if_changed(&built.join(file), &destination.join(file))?;
    }
    Ok(destination)
}

fn refuse<T>(missing: &Missing) -> Result<T> {
    let packages: Vec<_> = missing.packages.iter().map(String::as_str).collect();
    bail!(
        "there is no {}; as root, this brings it:\n  {}",
        missing.what,
        install_line(&packages)
    )
}
