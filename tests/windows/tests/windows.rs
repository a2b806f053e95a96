//! The Windows build, by Windows programs in Wine.
//!
//! ```text
//! cargo test -p fsglass-windows --test windows [PART OF A SCENARIO'S NAME]
//! ```
//!
//! A scenario uses what those before it have built, in this run or in one before.

use anyhow::{Result, bail, ensure};
use fsglass_windows::machine::{Machine, directory};
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

/// Something that is tried. Its commands are noted under its name.
type Scenario = (&'static str, fn(&Machine, &str) -> Result<String>);

const SCENARIOS: [Scenario; 1] = [("toolchain", toolchain)];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.find(|argument| !argument.starts_with('-'));
    match run(&wanted.unwrap_or_default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("windows: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &str) -> Result<()> {
    let wanted: Vec<_> = SCENARIOS
        .iter()
        .filter(|(name, _)| name.contains(wanted))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let begin = Instant::now();
    let machine = Machine::start()?;
    println!("windows: the machine is made ({:.0?})", begin.elapsed());
    let mut failed = Vec::new();
    for (name, scenario) in &wanted {
        let transcript = directory().join(format!("{name}.txt"));
        fs::write(&transcript, "")?;
        let begin = Instant::now();
        match scenario(&machine, name) {
            Ok(result) => println!("windows: {name}: ok ({:.0?}): {result}", begin.elapsed()),
            Err(error) => {
                println!(
                    "windows: {name}: FAILED ({:.0?}): {error:#}",
                    begin.elapsed()
                );
                println!("windows: what was printed is in {}", transcript.display());
                failed.push(*name);
            }
        }
    }
    let duration = begin.elapsed();
    if !failed.is_empty() {
        bail!("failed: {} ({duration:.0?})", failed.join(", "));
    }
    println!("windows: all {} passed ({duration:.0?})", wanted.len());
    Ok(())
}

/// It runs on Windows 10 or later, as the toolchain that is meant.
fn toolchain(machine: &Machine, name: &str) -> Result<String> {
    let system = machine.run(name, machine.command("cmd").args(["/c", "ver"]))?;
    let system = system.success()?;
    ensure!(system.contains("10.0."), "this is no Windows 10: {system}");
    let compiler = machine.run(name, machine.command("rustc.exe").arg("-vV"))?;
    let compiler = compiler.success()?;
    ensure!(
        compiler.contains("host: x86_64-pc-windows-gnu"),
        "another compiler: {compiler}"
    );
    let cargo = machine.run(
        name,
        machine.command("cargo.exe").args(["make", "--version"]),
    )?;
    let lines = [system, compiler, cargo.success()?];
    let first = lines.iter().filter_map(|text| text.trim().lines().next());
    Ok(first.collect::<Vec<_>>().join(", "))
}
