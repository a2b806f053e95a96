//! A Wine that looks like a machine on which drivers are built, and commands in it.

use crate::toolchain::{self, Toolchain};
use crate::{kit, scripts};
use anyhow::{Context, Result, bail};
use fsglass_tests::copy;
use fsglass_tests::drivers::{cargo, repository};
use fsglass_wine::wine::{OVERRIDES, WITHOUT_DESKTOP, Wine};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wdk_kit::process;
use wdk_kit::requirements::WINE;

/// The workspace as Wine's programs see it.
pub const WORKSPACE: &str = r"W:\fsglass";

/// The version of Windows that Wine says it is.
const VERSION: &str = "win10";

/// Where the debugger is named that a program is shown in when it ends with an exception.
const DEBUGGER: &str = r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug";

/// What programs say when Wine 8.0 does not start another, which happens to one in hundreds, on a
/// loaded machine: ERROR_INTERNAL_ERROR. Cargo goes on where it was.
const NOT_STARTED: &str = "(os error 1359)";
const TRIES: usize = 3;

/// Everything that is made here.
#[must_use]
pub fn directory() -> PathBuf {
    repository().join("target/windows")
}

/// A machine for drivers. It stops when this is dropped.
pub struct Machine {
    wine: Wine,
    path: String,
    environment: [(&'static str, String); 2],
}

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` if it was ended by a signal.
    pub code: Option<i32>,
    /// What it printed, on both channels.
    pub output: String,
    /// How long it took, for people to read.
    pub duration: Duration,
}

impl Machine {
    /// Brings what is missing, and makes the machine anew; what was built stays.
    ///
    /// # Errors
    /// When something is missing that cannot be brought, or Wine fails.
    pub fn start() -> Result<Self> {
        let toolchain = Toolchain::install()?;
        let tools = toolchain::crates()?;
        let llvm = toolchain::libclang()?;
        // What only Windows needs is among it.
        let mut fetch = Command::new(cargo());
        fetch
            .args(["fetch", "--quiet", "--locked"])
            .current_dir(repository());
        process::run(&mut fetch)?;
        let programs = kit::programs()?;
        let scripts = scripts::folder(&toolchain)?;
        let copied = copy::workspace(repository(), &directory().join("fsglass"));
        copied.context("copying the workspace")?;

        let wine = Wine::create(&directory().join("wine"))?;
        wine.run(&["winecfg", "-v", VERSION])?;
        // Wine's own starts a desktop, which outlives it and keeps open what the program wrote to.
        wine.run(&["reg", "add", DEBUGGER, "/v", "Debugger", "/d", "", "/f"])?;
        // Paths in it are found to be W:'s, and not Z:'s, whose folders have parents.
        link(&directory(), &wine.file("dosdevices/w:"))?;
        let local = wine.run(&["cmd", "/c", "echo %LOCALAPPDATA%"])?;
        let local = local.trim().replace('\\', "/");
        let local = local.strip_prefix("C:/").context("a folder on C:")?;
        link(
            &scripts,
            &wine.file(&format!("drive_c/{local}/rust-script")),
        )?;
        // As LLVM's set-up leaves it: bindgen looks for a folder `lib`, and then beside it.
        let installed = wine.file("drive_c/Program Files/LLVM");
        link(&llvm, &installed.join("bin"))?;
        fs::create_dir_all(installed.join("lib"))?;
        kit::install(&wine)?;
        // What was used until here has started a desktop, which stays for a while.
        wine.restart()?;

        // What stands in for a program comes before the program.
        let [first, second] = toolchain.programs();
        let path = [programs, tools, first, second, llvm].map(|path| windows_path(&path));
        Ok(Self {
            wine,
            path: path.join(";"),
            environment: kit::environment()?,
        })
    }

    /// A program of Windows in the workspace, by its name on the path or by its path.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.wine.command(WINE);
        let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = std::env::home_dir().unwrap_or_default();
        let cargo_home = cargo_home.unwrap_or_else(|| home.join(".cargo"));
        // What the cargo that started us has left would mean Linux's programs and folders.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO") || text.starts_with("RUST") || text == "LD_LIBRARY_PATH" {
                command.env_remove(&name);
            }
        }
        command
            .arg(program)
            .current_dir(self.workspace())
            .env(OVERRIDES, WITHOUT_DESKTOP)
            .env("WINEPATH", &self.path)
            .env("CARGO_HOME", windows_path(&cargo_home))
            // Linux's cargo has fetched what the lock file names.
            .env("CARGO_NET_OFFLINE", "true")
            // Where wdk-build's makefile finds that rust-script is installed.
            .env("CARGO_INSTALL_ROOT", r"W:\tools")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("STAND_IN_LOG", windows_path(&self.calls()))
            .env("STAND_IN_STORES", r"C:\stores")
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", "rust-lld")
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_LINKER", "rust-lld.exe");
        command
    }

    /// Runs a command to its end, however long it takes. What it prints is added to
    /// `target/windows/NAME.txt`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn run(&self, name: &str, command: &mut Command) -> Result<Ran> {
        let printed = self.wine.file("printed");
        let file = File::create(&printed).with_context(|| printed.display().to_string())?;
        // A file: a pipe would stay open as long as the services do that the command starts.
        command.stdin(Stdio::null());
        command.stdout(file.try_clone()?).stderr(file);
        let begin = Instant::now();
        let status = command.status()?;
        let duration = begin.elapsed();
        let output = fs::read(&printed).with_context(|| printed.display().to_string())?;
        let output = String::from_utf8_lossy(&output).into_owned();

        let transcript = directory().join(format!("{name}.txt"));
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&transcript)?;
        writeln!(
            file,
            "> {}\n{output}\n[ended with {:?} after {duration:.1?}]\n",
            words.join(" "),
            status.code()
        )?;
        Ok(Ran {
            code: status.code(),
            output,
            duration,
        })
    }

    /// Runs `cargo make`, as users type it, with more variables in its environment.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn make(&self, name: &str, words: &[&str], variables: &[(&str, &str)]) -> Result<Ran> {
        let mut tries = 1;
        loop {
            let mut command = self.command("cargo.exe");
            command.arg("make").args(words);
            let ran = self.run(name, command.envs(variables.iter().copied()))?;
            if tries == TRIES || ran.code == Some(0) || !ran.output.contains(NOT_STARTED) {
                return Ok(ran);
            }
            println!("windows: {name}: Wine has not started a program; once more");
            tries += 1;
        }
    }

    /// The workspace that the commands run in: a copy.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        directory().join("fsglass")
    }

    /// The file in which the stand-ins note how they are called.
    #[must_use]
    pub fn calls(&self) -> PathBuf {
        directory().join("calls.txt")
    }

    /// Wine itself.
    #[must_use]
    pub fn wine(&self) -> &Wine {
        &self.wine
    }
}

impl Ran {
    /// What it printed, if it succeeded.
    ///
    /// # Errors
    /// If it did not, with the last that it printed.
    pub fn success(self) -> Result<String> {
        if self.code == Some(0) {
            return Ok(self.output);
        }
        bail!("it ended with {:?}:\n{}", self.code, self.end())
    }

    /// Fails unless it failed, and said this.
    ///
    /// # Errors
    /// If it succeeded, or says something else, with the last that it printed.
    pub fn failure(self, said: &str) -> Result<()> {
        if matches!(self.code, Some(0) | None) {
            bail!("it ended with {:?}:\n{}", self.code, self.end());
        }
        if !self.output.contains(said) {
            bail!("it does not say {said:?}:\n{}", self.end());
        }
        Ok(())
    }

    /// The last that it printed.
    fn end(&self) -> String {
        let lines: Vec<_> = self.output.lines().collect();
        let last = lines.get(lines.len().saturating_sub(30)..);
        last.unwrap_or_default().join("\n")
    }
}

/// Makes a symbolic link, and the folder that it lies in.
///
/// # Errors
/// When it cannot be made.
pub fn link(target: &Path, link: &Path) -> Result<()> {
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent)?;
    }
    symlink(target, link).with_context(|| link.display().to_string())
}

/// A path of Linux as a program in Wine names it.
#[must_use]
pub fn windows_path(path: &Path) -> String {
    let below = path.strip_prefix(directory());
    let (drive, path) = below.map_or(("Z:", path), |below| (r"W:\", below));
    format!("{drive}{}", path.display()).replace('/', r"\")
}
