//! The Windows build, by Windows programs in Wine.
//!
//! ```text
//! cargo test -p fsglass-windows --test windows [PART OF A SCENARIO'S NAME]
//! ```
//!
//! A scenario uses what those before it have built, in this run or in one before.

use anyhow::{Context, Result, bail, ensure};
use fsglass_tests::drivers::{Profile, bad_drivers, fsglass, repository};
use fsglass_windows::machine::{Machine, directory, windows_path};
use fsglass_windows::{image, package};
use fsglass_wine::files::program;
use fsglass_wine::wine::a_desktop_is_shown;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use wdk_kit::process;

/// The makefile of wdk-build, to which its load script makes a link, in the workspace.
const MAKEFILE: &str = "target/rust-driver-makefile.toml";

/// What the tasks leave, in the workspace.
const DRIVER: &str = "target/x86_64-pc-windows-msvc/release/fsglass.sys";
const PACKAGE: &str = "target/package";

/// The certificate that a stand-in has made, in Wine.
const CERTIFICATE: &str = "drive_c/stores/WDRTestCertStore/target/test-signing/certificate.pem";

/// Something that is tried. Its commands are noted under its name.
type Scenario = (&'static str, fn(&Machine, &str) -> Result<String>);

const SCENARIOS: [Scenario; 6] = [
    ("toolchain", toolchain),
    ("driver", driver),
    ("ntbox", ntbox),
    ("package", package_is_made),
    ("faults", faults),
    ("tests", tests),
];

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
    // It makes a window.
    let mut beep = machine.command("rundll32.exe");
    beep.arg("user32.dll,MessageBeep");
    machine.run(name, &mut beep)?.success()?;
    ensure!(
        !a_desktop_is_shown()?,
        "the desktop outlives the program, and keeps open what that wrote to"
    );
    let lines = [system, compiler, cargo.success()?];
    let first = lines.iter().filter_map(|text| text.trim().lines().next());
    Ok(first.collect::<Vec<_>>().join(", "))
}

/// `cargo make build --release` leaves the driver, which is the one that Linux builds and passes
/// what that one passes.
fn driver(machine: &Machine, name: &str) -> Result<String> {
    let [makefile, built] = [MAKEFILE, DRIVER].map(|file| machine.workspace().join(file));
    for file in [&makefile, &built] {
        remove(file)?;
    }
    machine
        .make(name, &["build", "--release"], &[])?
        .success()?;
    let published =
        fs::read_link(&makefile).with_context(|| format!("{} is no link", makefile.display()))?;
    ensure!(
        published.ends_with("wdk-build-0.6.0/rust-driver-makefile.toml") && published.is_file(),
        "{MAKEFILE} leads to {}",
        published.display()
    );
    let ours = fs::read(fsglass(Profile::Release))?;
    let theirs = fs::read(&built).with_context(|| format!("no {}", built.display()))?;
    image::compare(&ours, &theirs)?;
    image::audit(&theirs, &fs::read(built.with_extension("pdb"))?)?;
    let carried = carry(&built)?;
    let (bytes, on_linux) = (theirs.len(), ours.len());
    Ok(format!("{bytes} bytes, {on_linux} on Linux; {carried}"))
}

/// A tree of files goes through the driver, under Linux's ntbox. Returns what that says last.
fn carry(driver: &Path) -> Result<String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository());
    cargo.args([
        "run",
        "--quiet",
        "--profile",
        "host",
        "--package",
        "ntbox",
        "--",
    ]);
    cargo.args(["demo", "--fallback", ".", "--driver"]);
    clean(&process::capture(cargo.arg(driver))?)
}

/// The last line that ntbox has printed, if it is that of a clean run.
fn clean(printed: &str) -> Result<String> {
    let last = printed.trim_end().lines().next_back().unwrap_or_default();
    ensure!(
        last.ends_with(", 0 differences, 0 violations"),
        "ntbox says {last}"
    );
    Ok(last.to_owned())
}

/// Mistakes of `bad_drivers.sys` that are seen as a fault and as a single step: what is to be
/// verified, and the place that the report names.
const MISTAKES: [[&str; 3]; 2] = [
    ["page-fault", "standard", "faults::read_nothing ("],
    [
        "touch-irp-after-completion",
        "standard,fence",
        "ownership::look_after_completion (",
    ],
];

/// The tree goes through the driver that was built in Wine under `ntbox.exe` as well, which reports
/// a driver's mistakes with their places.
fn ntbox(machine: &Machine, name: &str) -> Result<String> {
    let ntbox = windows_path(&program("ntbox.exe")?);
    let mut demo = machine.command(&ntbox);
    demo.args(["demo", "--driver"]);
    demo.arg(windows_path(&machine.workspace().join(DRIVER)));
    demo.args(["--source", r"Z:\usr\share\doc", "--fallback", "."]);
    let carried = clean(&machine.run(name, &mut demo)?.success()?)?;
    for [mistake, verify, place] in MISTAKES {
        let mut run = machine.command(&ntbox);
        run.args(["run", "--ops", "3000", "--verify", verify, "--driver"]);
        run.arg(windows_path(&bad_drivers(Profile::Release)));
        run.args(["--setting", &format!("bad_drivers:Mistake={mistake}")]);
        let place = format!("bad_drivers!bad_drivers::mistakes::{place}");
        machine.run(name, &mut run)?.failure(&place)?;
    }
    let count = MISTAKES.len();
    Ok(format!("{carried}; {count} mistakes of a driver reported"))
}

/// `cargo make package --release` leaves the folder that Linux leaves.
fn package_is_made(machine: &Machine, name: &str) -> Result<String> {
    let made = machine.workspace().join(PACKAGE);
    if made.exists() {
        fs::remove_dir_all(&made)?;
    }
    remove(&machine.calls())?;
    machine
        .make(name, &["package", "--release"], &[])?
        .success()?;
    let linux = package::on_linux(&directory().join("package"))?;
    package::compare(&linux, &made, &machine.wine().file(CERTIFICATE))?;
    let calls = fs::read_to_string(machine.calls())?;
    let count = |program: &str| {
        let of = |line: &&str| line.starts_with(&format!("{program} "));
        calls.lines().filter(of).count()
    };
    for (program, times) in [
        ("stampinf", 1),
        ("inf2cat", 1),
        ("infverif", 1),
        ("signtool", 3),
    ] {
        let found = count(program);
        ensure!(
            found >= times,
            "{program} was called {found} times, not {times} or more"
        );
    }
    let files = wdk_kit::files::below(&made)?.len();
    Ok(format!("{files} files, those of Linux"))
}

/// A task that leaves nothing, an argument without its value, a file that is not there, a task of
/// wdk-build that is defined again by half: each ends the task, and says what is wrong.
fn faults(machine: &Machine, name: &str) -> Result<String> {
    let package =
        |idle: &str| machine.make(name, &["package", "--release"], &[("STAND_IN_IDLE", idle)]);
    let makefile = Changed::new(machine.workspace().join("Makefile.toml"))?;
    let source = Changed::new(machine.workspace().join("inf/fsglass.inx"))?;

    package("inf2cat")?.failure("fsglass.cat")?;
    makefile.replace("${CARGO_MAKE_CRATE_VERSION}", "${WDK_BUILD_STAMPINF_ARCH}")?;
    package("")?.failure("${WDK_BUILD_STAMPINF_ARCH}")?;
    let half = "[tasks.copy-pdb-to-package]\ndependencies = [\"build\"]\n\n[tasks.demo]\n";
    makefile.replace("[tasks.demo]\n", half)?;
    package("")?.failure("wdk-build")?;
    makefile.restore()?;
    fs::remove_file(&source.path)?;
    package("")?.failure("inf/fsglass.inx is not there")?;
    source.restore()?;
    Ok("each of 4 ends the task".to_owned())
}

/// How a test begins the line in which it says that it does not run here, and why.
const SKIPPED: &str = "skipped: ";

/// What the harness says between a test that is left out on Windows and the reason.
const IGNORED: &str = " ... ignored, ";

/// `cargo make test --release` passes: the crates' tests, the models and the scenarios. What does
/// not run is named.
fn tests(machine: &Machine, name: &str) -> Result<String> {
    let printed = machine.make(name, &["test", "--release"], &[])?.success()?;
    let running: Vec<_> = printed
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("Running "))
        .collect();
    for suite in suites()? {
        let ran = running.iter().any(|line| line.starts_with(&suite));
        ensure!(ran, "{suite} did not run");
    }
    let results = printed
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "));
    let counts = results.filter_map(|result| result.split(' ').next()?.parse::<usize>().ok());
    let passed: usize = counts.sum();
    // A test that says so itself ends well, and is counted.
    let left_out = printed.lines().filter_map(|line| {
        let says_so = line.split_once(SKIPPED).map(|(_, what)| what.to_owned());
        says_so.or_else(|| {
            let (test, reason) = line.strip_prefix("test ")?.split_once(IGNORED)?;
            Some(format!("{test}: {reason}"))
        })
    });
    let left_out: String = left_out
        .map(|what| format!("\n  {SKIPPED}{}", what.trim_end()))
        .collect();
    Ok(format!(
        "{passed} tests of {} suites{left_out}",
        running.len()
    ))
}

/// What cargo says of the scenarios' suites when they run: all that there are.
fn suites() -> Result<Vec<String>> {
    let folder = repository().join("tests/tests");
    let files = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut suites = Vec::new();
    for file in files {
        let name = file?.file_name().to_string_lossy().into_owned();
        suites.push(format!(r"tests\{name} "));
    }
    ensure!(!suites.is_empty(), "{} is empty", folder.display());
    Ok(suites)
}

/// A file that is changed for a while.
struct Changed {
    path: PathBuf,
    whole: String,
}

impl Changed {
    fn new(path: PathBuf) -> Result<Self> {
        let whole = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path, whole })
    }

    /// Writes it with one change, which has to be possible.
    fn replace(&self, from: &str, to: &str) -> Result<()> {
        ensure!(self.whole.contains(from), "{:?} has no {from}", self.path);
        Ok(fs::write(&self.path, self.whole.replacen(from, to, 1))?)
    }

    fn restore(&self) -> Result<()> {
        Ok(fs::write(&self.path, &self.whole)?)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        // What could not be written is copied anew by the next run.
        let _ = self.restore();
    }
}

/// Removes a file or a link of an earlier run.
fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("{}: {error}", file.display())
        }
        _ => Ok(()),
    }
}
