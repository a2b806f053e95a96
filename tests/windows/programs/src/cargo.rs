//! `cargo`, for a run of the tasks without a compiler: what it would build is there already, built
//! on Linux, and put where it would put it. The rest is cargo's own to do.
//!
//! | variable | |
//! |---|---|
//! | `STAND_IN_CARGO` | the cargo that does the rest |
//! | `STAND_IN_BUILT` | the target directory with what was built on Linux |
//! | `STAND_IN_OMIT` | a part of the names of files that are not made |

use crate::arguments::{Arguments, present};
use anyhow::{Context, Result, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use wdk_kit::files;

/// Does what cargo would do.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let subcommand = arguments.first().map_or("", String::as_str);
    let rest = arguments.get(1..).unwrap_or_default();
    match subcommand {
        "build" => build(rest),
        "run" => start(rest),
        // `install` of rust-script, which is there.
        "clippy" | "fmt" | "install" | "test" => Ok(ExitCode::SUCCESS),
        _ => pass_on(&mut Command::new(variable("STAND_IN_CARGO")?), arguments),
    }
}

fn build(arguments: &[String]) -> Result<ExitCode> {
    let switches = [
        "--quiet",
        "--release",
        "--config=profile.release.strip=\"debuginfo\"",
    ];
    let options = ["--package", "--target", "--target-dir"];
    let parsed = Arguments::parse(arguments, &switches, &options)?;
    ensure!(
        parsed.files.is_empty(),
        "{} is no option that is known here",
        parsed.files[0].display()
    );
    let profile = match parsed.has("--release") {
        true => "release",
        false => "debug",
    };
    let destination = PathBuf::from(parsed.value("--target-dir")?);
    let built = PathBuf::from(variable("STAND_IN_BUILT")?);
    let Ok(target) = parsed.value("--target") else {
        // For the machine that it runs on.
        let client = built.join("x86_64-pc-windows-gnu/release/fsglass.exe");
        make(&client, &destination.join(profile).join("fsglass.exe"))?;
        return Ok(ExitCode::SUCCESS);
    };
    for package in parsed.values("--package") {
        let name = package.replace('-', "_");
        let below = Path::new(target).join(profile).join(name);
        for (from, to) in [("sys", "dll"), ("pdb", "pdb")] {
            make(
                &built.join(&below).with_extension(from),
                &destination.join(&below).with_extension(to),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a program of the workspace: the kit, with us for cargo; ntbox only as far as to see that
/// the drivers that it is given are there.
fn start(arguments: &[String]) -> Result<ExitCode> {
    let place = arguments.iter().position(|argument| argument == "--");
    let (ours, program) = arguments.split_at(place.context("no arguments for the program")?);
    let package = Arguments::parse(ours, &["--quiet", "--release"], &["--package"])?;
    match package.value("--package")? {
        "wdk-kit" => {
            let itself = env::current_exe()?;
            let mut kit = Command::new(itself.with_file_name("wdk-kit"));
            kit.env("CARGO", itself).env("WDK_KIT_COMPILER", "wdk");
            pass_on(&mut kit, &program[1..])
        }
        "ntbox" => {
            let drivers = Arguments::parse(program, &[], &["--driver"])?;
            for driver in drivers.values("--driver") {
                present(Path::new(driver))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        other => anyhow::bail!("there is no program in {other}"),
    }
}

/// Copies a file, unless it is one that is not made.
pub fn make(source: &Path, destination: &Path) -> Result<()> {
    let omitted = env::var("STAND_IN_OMIT").unwrap_or_default();
    let name = destination.to_string_lossy();
    if omitted.is_empty() || !name.contains(&omitted) {
        files::copy_if_changed(source, destination)?;
    }
    Ok(())
}

fn pass_on(program: &mut Command, arguments: &[String]) -> Result<ExitCode> {
    let status = program.args(arguments).status();
    let status = status.with_context(|| format!("{program:?}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set"))
}
