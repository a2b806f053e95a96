//! The cross build, and the linter's run over the same crates.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::compiler::{Choice, Compiler, Kind};
use crate::files;
use crate::headers;
use crate::import_libraries;
use crate::layout::Layout;
use crate::lock_file::LockFile;
use crate::mirror;
use crate::patched_crates::{WDK_BUILD, WdkBuild};
use crate::process;
use crate::processor::Processor;
use crate::requirements::Requirements;
use crate::workspace::Driver;

/// A cargo profile drivers are built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Optimised, with debug information.
    Release,
    /// With debug assertions and overflow checks.
    Debug,
}

impl Profile {
    /// The name of the profile's directory.
    #[must_use]
    pub fn directory(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
        }
    }

    /// What cargo is told.
    #[must_use]
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Release => &["--release"],
            Self::Debug => &[],
        }
    }
}

/// Finds the compiler set, and makes everything that it needs below `target/kit`; with an
/// installed Windows Driver Kit that is nothing.
///
/// # Errors
/// When something is missing, a file cannot be read or written, or wdk-build is not the one the
/// kit can adapt.
pub fn prepare(layout: &Layout, choice: Choice, processor: Processor) -> Result<Compiler> {
    if choice == Choice::Wdk {
        return Ok(Compiler::WithWdk);
    }
    let lock = LockFile::with(WDK_BUILD, layout.root())?;
    let wdk_build = WdkBuild::locked(&lock)?;
    let requirements = Requirements::probe(choice, processor)?;
    let linker = requirements.llvm.program("lld-link");
    headers::prepare(layout, &requirements.mingw)?;
    for processor in Processor::ALL {
        import_libraries::prepare(layout, processor, &requirements.mingw, &linker)?;
    }
    wdk_build.prepare(layout, || requirements.compiler.cargo())?;
    mirror::prepare(layout, &requirements)?;
    Ok(requirements.compiler)
}

/// Builds drivers, with more arguments for cargo, and puts `NAME.sys` and `NAME.pdb` where they are
/// looked for.
///
/// # Errors
/// When cargo fails; it has said why.
pub fn build(
    layout: &Layout,
    compiler: &Compiler,
    drivers: &[Driver],
    processor: Processor,
    profile: Profile,
    arguments: &[String],
) -> Result<()> {
    let names: Vec<_> = drivers.iter().map(|driver| &*driver.package).collect();
    // Cargo is quiet, and the first build takes minutes.
    eprintln!(
        "wdk-kit: building {} ({}, {}) with {}",
        names.join(", "),
        processor.machine(),
        profile.directory(),
        compiler.description()
    );
    let mut command = cargo(layout, compiler, "build", processor, drivers);
    command.args(profile.arguments()).args(arguments);
    // What cargo leaves is of this build then; where nothing is to be done, it links them anew.
    let linked = linked(layout, compiler, processor, profile);
    for driver in drivers {
        files::remove(&linked.join(format!("{}.dll", driver.image)))?;
        files::remove(&linked.join(format!("{}.pdb", driver.image)))?;
    }
    process::run(&mut command).context("the driver was not built")?;
    for driver in drivers {
        place(layout, compiler, driver, processor, profile)?;
    }
    Ok(())
}

/// Runs the linter over drivers and, as cargo does, the crates of the workspace
/// they depend on.
///
/// # Errors
/// When it finds something.
pub fn lint(
    layout: &Layout,
    compiler: &Compiler,
    drivers: &[Driver],
    arguments: &[String],
) -> Result<()> {
    if let Some(missing) = Requirements::missing_linter(compiler) {
        bail!("no {}; `wdk-kit setup --lint` brings it", missing.what);
    }
    let mut command = cargo(layout, compiler, "clippy", Processor::X64, drivers);
    command.args(arguments).args(["--", "--deny", "warnings"]);
    process::run(&mut command).context("the linter is not content")
}

/// Runs a cargo subcommand with arguments that are not the kit's.
///
/// # Errors
/// When cargo fails; it has said why.
pub fn cargo_by_hand(layout: &Layout, compiler: &Compiler, arguments: &[String]) -> Result<()> {
    let Some((subcommand, rest)) = arguments.split_first() else {
        bail!("cargo is given nothing to do");
    };
    let mut command = cargo(layout, compiler, subcommand, Processor::X64, &[]);
    command.args(rest);
    process::run(&mut command)
}

/// The command that runs a cargo subcommand for drivers, or whatever cargo takes by default.
#[must_use]
pub fn cargo(
    layout: &Layout,
    compiler: &Compiler,
    subcommand: &str,
    processor: Processor,
    drivers: &[Driver],
) -> Command {
    let (directory, target) = directories(layout, compiler);
    let mut command = compiler.cargo();
    command.current_dir(directory).arg(subcommand);
    if *compiler != Compiler::WithWdk {
        // The kit is known to be whole; on Windows, build scripts may have something to say.
        command.arg("--quiet");
    }
    command
        .args(compiler.target_arguments(Kind::Driver(processor)))
        .arg("--target-dir")
        .arg(target);
    for driver in drivers {
        command.args(["--package", &driver.package]);
    }
    command
}

/// Where cargo runs, and its target directory.
fn directories(layout: &Layout, compiler: &Compiler) -> (PathBuf, PathBuf) {
    match compiler {
        Compiler::WithWdk => (layout.root().to_path_buf(), layout.own_target()),
        _ => (layout.mirror(), layout.cargo_target(compiler.name())),
    }
}

/// Where cargo leaves what it has linked.
fn linked(layout: &Layout, compiler: &Compiler, processor: Processor, profile: Profile) -> PathBuf {
    let (_, target) = directories(layout, compiler);
    target.join(processor.target()).join(profile.directory())
}

/// Copies what cargo linked: a driver is called `.sys`, where cargo says `.dll`.
fn place(
    layout: &Layout,
    compiler: &Compiler,
    driver: &Driver,
    processor: Processor,
    profile: Profile,
) -> Result<()> {
    let source = linked(layout, compiler, processor, profile);
    let destination = layout.artefacts(processor, profile.directory());
    let image = &driver.image;
    let system_file = destination.join(format!("{image}.sys"));
    files::copy_if_changed(&source.join(format!("{image}.dll")), &system_file)?;
    files::copy_if_changed(
        &source.join(format!("{image}.pdb")),
        &destination.join(format!("{image}.pdb")),
    )?;
    let shown = system_file
        .strip_prefix(layout.root())
        .unwrap_or(&system_file);
    println!("{}", shown.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver_model::Model;
    use std::path::PathBuf;

    fn driver() -> Driver {
        Driver {
            package: "glass".to_owned(),
            version: "0.1.0".to_owned(),
            image: "glass".to_owned(),
            directory: PathBuf::new(),
            model: Model::Wdm,
            programs: Vec::new(),
        }
    }

    fn debian() -> Compiler {
        Compiler::FromSource {
            binaries: "/usr/bin".into(),
        }
    }

    #[test]
    fn the_image_of_the_chosen_profile_is_placed_as_a_system_file() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let [x64, arm64] = Processor::ALL.map(Processor::target);
        let linked = layout.cargo_target("debian");
        for (target, file, contents) in [
            (x64, "debug/glass.dll", "debug image"),
            (x64, "debug/glass.pdb", "debug symbols"),
            (x64, "release/glass.dll", "release image"),
            (x64, "release/glass.pdb", "release symbols"),
            (arm64, "release/glass.dll", "another image"),
            (arm64, "release/glass.pdb", "its symbols"),
        ] {
            files::write_if_changed(&linked.join(target).join(file), contents).unwrap();
        }
        let placed = |target: &str, file: &str| {
            files::read_text(&root.path().join("target").join(target).join(file))
        };
        let release = Profile::Release;
        place(&layout, &debian(), &driver(), Processor::X64, release).unwrap();
        assert_eq!(placed(x64, "release/glass.sys").unwrap(), "release image");
        assert_eq!(placed(x64, "release/glass.pdb").unwrap(), "release symbols");
        assert!(placed(x64, "debug/glass.sys").is_err());
        assert!(placed(arm64, "release/glass.sys").is_err());
        place(&layout, &debian(), &driver(), Processor::Arm64, release).unwrap();
        assert_eq!(placed(arm64, "release/glass.sys").unwrap(), "another image");
    }

    #[test]
    fn only_a_compiler_without_the_library_builds_it() {
        let layout = Layout::new("/w");
        let installed = Compiler::Installed {
            toolchain: None,
            sysroot: "/stable".into(),
        };
        let line = |compiler: &Compiler| {
            let drivers = [driver()];
            process::line(&cargo(&layout, compiler, "build", Processor::X64, &drivers))
        };
        assert!(line(&debian()).contains("-Zbuild-std=core,alloc"));
        assert!(!line(&installed).contains("-Z"));
        assert!(line(&installed).ends_with("--package glass"));
    }
}
