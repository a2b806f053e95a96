//! The shipped filter in Wine: installed, started, used, stopped, uninstalled.
//!
//! ```text
//! cargo test -p fsglass-wine --test wine [PART OF A SCENARIO'S NAME]
//! ```

use anyhow::{Context, Result, bail, ensure};
use fsglass_wine::client::Client;
use fsglass_wine::filter::{
    self, ABSENT, exercise, expect, key, life, start, start_during_mount, state, stop,
};
use fsglass_wine::wine::{DRIVERS, Wine};
use fsglass_wine::{files, inf};
use std::fs;
use std::process::ExitCode;

/// Something that is tried, with nothing of the filter installed before and after.
type Scenario = (&'static str, fn(&Wine) -> Result<()>);

const SCENARIOS: [Scenario; 6] = [
    (
        "installed_used_and_uninstalled",
        installed_used_and_uninstalled,
    ),
    (
        "started_while_a_volume_is_being_mounted",
        started_while_a_volume_is_being_mounted,
    ),
    (
        "stopped_with_requests_in_flight",
        stopped_with_requests_in_flight,
    ),
    ("used_through_the_client", used_through_the_client),
    (
        "without_allow_unload_it_stays",
        without_allow_unload_it_stays,
    ),
    ("wrong_drivers_are_found_out", wrong_drivers_are_found_out),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.find(|argument| !argument.starts_with('-'));
    let wanted = wanted.unwrap_or_default();
    match run(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &str) -> Result<()> {
    let wanted = |(name, _): &&Scenario| name.contains(wanted);
    if !SCENARIOS.iter().any(|scenario| wanted(&scenario)) {
        return Ok(());
    }
    let prefix = files::repository().join("target/wine");
    let wine = Wine::create(&prefix)?;
    filter::install(&wine, "fskit", &files::driver("fskit")?)?;
    start(&wine, "fskit")?;
    let mut failed = Vec::new();
    for (name, scenario) in SCENARIOS.iter().filter(wanted) {
        match scenario(&wine) {
            Ok(()) => println!("wine: {name}: ok"),
            Err(error) => {
                println!("wine: {name}: FAILED: {error:#}");
                failed.push(*name);
                // Whatever it left in the kernel is not to be met by the next.
                wine.restart()?;
                start(&wine, "fskit")?;
            }
        }
    }
    drop(wine);
    if failed.is_empty() {
        fs::remove_dir_all(&prefix).context("removing Wine's directory")
    } else {
        bail!(
            "failed: {}; {} is left",
            failed.join(", "),
            prefix.display()
        )
    }
}

/// Installs the package as setupapi does it for a right click on the INF.
fn install_package(wine: &Wine) -> Result<()> {
    let package = wine.file("drive_c/package");
    fs::create_dir_all(&package)?;
    fs::write(package.join("fsglass.inf"), inf::for_wine()?)?;
    fs::write(package.join("fsglass.sys"), filter::for_wine("fsglass")?)?;
    install_section(wine, "DefaultInstall")
}

fn install_section(wine: &Wine, section: &str) -> Result<()> {
    let inf = r"C:\package\fsglass.inf";
    wine.run(&[
        "rundll32",
        "setupapi,InstallHinfSection",
        section,
        "132",
        inf,
    ])
    .map(drop)
}

fn uninstall_package(wine: &Wine) -> Result<()> {
    install_section(wine, "DefaultUninstall")?;
    ensure!(state(wine, "fsglass")?.is_none(), "the service is left");
    let query = wine.try_run(&["reg", "query", &key("fsglass")])?;
    ensure!(
        query.code != Some(0),
        "of the service is left:\n{}",
        query.output
    );
    let file = wine.file(&format!("{DRIVERS}/fsglass.sys"));
    ensure!(!file.exists(), "{} is left", file.display());
    expect(wine, &ABSENT)
}

fn allow_unload(wine: &Wine) -> Result<()> {
    filter::set(wine, "fsglass", "AllowUnload", "REG_DWORD", "1")
}

fn installed_used_and_uninstalled(wine: &Wine) -> Result<()> {
    install_package(wine)?;
    let shipped = filter::for_wine("fsglass")?;
    let installed = fs::read(wine.file(&format!("{DRIVERS}/fsglass.sys")))?;
    ensure!(installed == shipped, "the installed file is another");
    let service = wine.run(&["reg", "query", &key("fsglass"), "/s"])?;
    for value in [
        r"ImagePath    REG_SZ    C:\windows\system32\drivers\fsglass.sys",
        "Type    REG_DWORD    0x2",
        "Start    REG_DWORD    0x3",
        "Group    REG_SZ    FSFilter Activity Monitor",
        "AllowUnload    REG_DWORD    0x0",
    ] {
        ensure!(service.contains(value), "no {value:?} in\n{service}");
    }
    allow_unload(wine)?;
    let entries = filter::report(wine)?.remove("log_entries");
    // Twice: what the first life leaves behind is met by the second.
    life(wine, "fsglass")?;
    life(wine, "fsglass")?;
    let after = filter::report(wine)?.remove("log_entries");
    ensure!(entries == after, "the filter has written to the event log");
    uninstall_package(wine)
}

fn started_while_a_volume_is_being_mounted(wine: &Wine) -> Result<()> {
    install_package(wine)?;
    allow_unload(wine)?;
    for _ in 0..3 {
        start_during_mount(wine, "fsglass")?;
    }
    uninstall_package(wine)
}

fn stopped_with_requests_in_flight(wine: &Wine) -> Result<()> {
    install_package(wine)?;
    allow_unload(wine)?;
    for _ in 0..3 {
        start(wine, "fsglass")?;
        exercise(wine, &["stop", "fsglass", "0"])?;
        expect(wine, &ABSENT)?;
    }
    start(wine, "fsglass")?;
    exercise(wine, &["volume", "0"])?;
    stop(wine, "fsglass")?;
    uninstall_package(wine)
}

/// A driver without DriverUnload cannot be stopped, and goes on.
fn without_allow_unload_it_stays(wine: &Wine) -> Result<()> {
    install_package(wine)?;
    start(wine, "fsglass")?;
    ensure!(stop(wine, "fsglass").is_err(), "it was stopped");
    exercise(wine, &["volume", "0"])?;
    wine.restart()?;
    start(wine, "fskit")?;
    uninstall_package(wine)
}

fn used_through_the_client(wine: &Wine) -> Result<()> {
    let client = Client::unpack(wine)?;
    client.cannot_stop_what_cannot_be_unloaded()?;
    client.install_use_and_uninstall()?;
    let transcript = files::repository().join("target/wine-client.txt");
    fs::write(&transcript, client.transcript()).with_context(|| transcript.display().to_string())
}

/// What is expected of the filter is not met by one that is wrong, and is by one that is right.
fn wrong_drivers_are_found_out(wine: &Wine) -> Result<()> {
    filter::install(wine, "bad_drivers", &filter::for_wine("bad_drivers")?)?;
    life(wine, "bad_drivers").context("the filter that makes no mistake")?;
    // It asks for file systems without regard to mounts.
    found_out(
        wine,
        "registering beside a mount",
        start_during_mount(wine, "bad_drivers"),
        "above_volume1=0",
    )?;
    for (mistake, expected) in [
        ("pending-not-propagated", "a request is lost"),
        ("forget-request", "requests that arrived"),
        ("leak-at-unload", "fskit.sys reports pool_blocks="),
        (
            "deleted-while-attached",
            "fskit.sys reports above_file_system=1",
        ),
    ] {
        filter::set(wine, "bad_drivers", "Mistake", "REG_SZ", mistake)?;
        found_out(wine, mistake, life(wine, "bad_drivers"), expected)?;
    }
    wine.run(&["sc", "delete", "bad_drivers"]).map(drop)
}

/// A mistake has to be found as it is expected; and nothing of it is left for what follows.
fn found_out(wine: &Wine, mistake: &str, found: Result<()>, expected: &str) -> Result<()> {
    let Err(error) = found else {
        bail!("nothing was found wrong with {mistake}");
    };
    let error = format!("{error:#}");
    ensure!(error.contains(expected), "{mistake} was found as: {error}");
    println!(
        "wine: {mistake}: {}",
        error.lines().last().unwrap_or_default()
    );
    wine.restart()?;
    start(wine, "fskit")
}
