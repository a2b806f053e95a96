//! Installs what is missing.
//!
//! A machine that has everything is left alone, and so is a developer who is
//! not root: the command to run is printed instead.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::compiler::{Choice, Compiler, Kind};
use crate::machine::{Machine, ThisMachine};
use crate::process;
use crate::processor::Processor;
use crate::requirements::{Requirements, install_line};

/// How long rustup may take over the target's library. Where its server cannot
/// be reached it would try again for minutes; Debian's packages take its place.
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);

/// Installs what building drivers for a processor needs; with `lint`, the linter as well.
///
/// # Errors
/// When something is missing and cannot be installed, with the command to run.
pub fn run(choice: Choice, processor: Processor, lint: bool) -> Result<()> {
    let look = || Requirements::look(choice, processor);
    let mut findings = look();
    let driver = Kind::Driver(processor);
    if findings.lacks_compiler && choice != Choice::Debian && add_rustup_target(driver) {
        findings = look();
    }
    if choice == Choice::Rustup && findings.lacks_compiler {
        bail!("{findings}\nThe compiler from these packages needs --compiler debian or auto.");
    }
    install(&findings.packages())?;
    let requirements = Requirements::probe(choice, processor)?;
    if lint {
        install_linters(&requirements.compiler)
    } else {
        Ok(())
    }
}

/// Installs what building programs for Windows needs.
///
/// # Errors
/// As [`run`].
pub fn run_for_programs(choice: Choice) -> Result<()> {
    let mut packages = Vec::new();
    packages.extend(Requirements::missing_program_linker().map(|missing| missing.packages));
    let mut compiler = Requirements::program_compiler(choice);
    if compiler.is_err() && choice != Choice::Debian && add_rustup_target(Kind::Program) {
        compiler = Requirements::program_compiler(choice);
    }
    match compiler {
        Ok(_) => {}
        Err(missing) if choice == Choice::Rustup => bail!("{}", missing.what),
        Err(missing) => packages.push(missing.packages),
    }
    install_all(&packages)
}

/// Installs Wine.
///
/// # Errors
/// As [`run`].
pub fn run_for_wine() -> Result<()> {
    let missing = Requirements::missing_wine();
    install_all(missing.map(|missing| missing.packages).as_slice())
}

/// Installs what downloads packages of Python.
///
/// # Errors
/// As [`run`].
pub fn run_for_pip() -> Result<()> {
    let missing = Requirements::missing_pip();
    install_all(missing.map(|missing| missing.packages).as_slice())
}

/// Installs a browser.
///
/// # Errors
/// As [`run`].
pub fn run_for_pages() -> Result<()> {
    let missing = Requirements::missing_browser();
    install_all(missing.map(|missing| missing.packages).as_slice())
}

/// Installs what compiles drivers in C.
///
/// # Errors
/// As [`run`].
pub fn run_for_c() -> Result<()> {
    let missing = Requirements::missing_c_compilers().into_iter();
    install_all(&missing.map(|missing| missing.packages).collect::<Vec<_>>())
}

/// Installs what signs packages.
///
/// # Errors
/// As [`run`].
pub fn run_for_signing() -> Result<()> {
    let missing = Requirements::missing_signing_tools().into_iter();
    install_all(&missing.map(|missing| missing.packages).collect::<Vec<_>>())
}

fn install_all(packages: &[Vec<String>]) -> Result<()> {
    let packages: Vec<_> = packages.iter().flatten().map(String::as_str).collect();
    install(&packages)
}

/// Installs the linter of the compiler set, and the formatter of the cargo that
/// runs us.
fn install_linters(compiler: &Compiler) -> Result<()> {
    let mut packages = Vec::new();
    if let Some(missing) = Requirements::missing_linter(compiler) {
        if missing.packages.is_empty() {
            bail!(
                "no {}; `rustup component add clippy` brings it",
                missing.what
            );
        }
        packages.extend(missing.packages);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    if process::capture(Command::new(cargo).args(["fmt", "--version"])).is_err() {
        if !ThisMachine.toolchains().is_empty() {
            bail!("no `cargo fmt`; `rustup component add rustfmt` brings it");
        }
        packages.push("rustfmt-web".to_owned());
    }
    install(&packages.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Has rustup fetch the target's library; says whether it is there now.
fn add_rustup_target(kind: Kind) -> bool {
    if ThisMachine.toolchains().is_empty() {
        return false;
    }
    let target = kind.target();
    eprintln!("wdk-kit: adding the target {target} to the active toolchain");
    let mut command = Command::new("rustup");
    command.args(["target", "add", target]);
    match process::run_at_most(&mut command, RUSTUP_LIMIT) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("wdk-kit: {error}; Debian's compiler is used instead");
            false
        }
    }
}

fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = || format!("run this as root:\n  {}", install_line(packages));
    if !is_root() {
        bail!("{} must be installed; {}", packages.join(", "), by_hand());
    }
    eprintln!("wdk-kit: installing {}", packages.join(", "));
    let mut update = Command::new("apt-get");
    update.args(["--quiet=2", "update"]);
    process::capture(&mut update).with_context(by_hand)?;
    let mut install = Command::new("apt-get");
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["--quiet=2", "--yes", "--no-install-recommends", "install"])
        .args(packages);
    process::capture(&mut install).with_context(by_hand)?;
    Ok(())
}

fn is_root() -> bool {
    let user = process::capture(Command::new("id").arg("-u"));
    user.is_ok_and(|user| user.trim() == "0")
}
