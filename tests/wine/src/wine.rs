//! A Wine of its own, and commands in it.

use crate::random_numbers;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use wdk_kit::requirements::WINE;

/// Wine's server, beside it.
const SERVER: &str = "/usr/lib/wine/wineserver64";

/// A command takes seconds. One that hangs would never end; nothing is measured by this.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where drivers lie, below Wine's directory.
pub const DRIVERS: &str = "drive_c/windows/system32/drivers";

/// What Wine loads in the place of its own, and what it does not load at all.
pub const OVERRIDES: &str = "WINEDLLOVERRIDES";
/// What no command of ours needs.
const WITHOUT: &str = "mscoree,mshtml,winemenubuilder.exe=";
/// The same, and the desktop, which is started for the first window, as COM has one: it outlives the program, and keeps
/// open the pipe that the program wrote to. Cargo then waits for an end that does not come.
pub const WITHOUT_DESKTOP: &str = "mscoree,mshtml,winemenubuilder.exe,explorer.exe=";

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The command line.
    pub line: String,
    /// The exit code; `None` if it was ended by a signal.
    pub code: Option<i32>,
    /// What it printed, on both channels.
    pub output: String,
}

impl Ended {
    /// What it printed, if it succeeded.
    ///
    /// # Errors
    /// If it did not, with what it printed.
    pub fn success(self) -> Result<String> {
        if self.code == Some(0) {
            return Ok(self.output);
        }
        bail!("{} ended with {:?}:\n{}", self.line, self.code, self.output)
    }
}

/// A Wine with a disk and a registry of its own. Its server runs until this is dropped.
pub struct Wine {
    prefix: PathBuf,
}

impl Wine {
    /// Makes a new Wine in `prefix`, in place of what is there.
    ///
    /// # Errors
    /// When Wine is missing or fails.
    pub fn create(prefix: &Path) -> Result<Self> {
        ensure!(
            Path::new(WINE).is_file(),
            "no {WINE}; `./dev wine` installs it, as root"
        );
        let wine = Self {
            prefix: prefix.to_path_buf(),
        };
        // One that was ended in the middle may still run.
        wine.end();
        if prefix.exists() {
            fs::remove_dir_all(prefix).with_context(|| prefix.display().to_string())?;
        }
        fs::create_dir_all(prefix).with_context(|| prefix.display().to_string())?;
        wine.run(&["wineboot", "--init"])?;
        random_numbers::supply(&wine.file("drive_c/windows/system32"))?;
        // The services of a Wine that has just been made cannot start drivers.
        wine.restart()?;
        Ok(wine)
    }

    /// Starts the server. Without it, drivers stop when the last program does.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<()> {
        let status = self.command(SERVER).arg("--persistent").status()?;
        ensure!(status.success(), "{SERVER} failed: {status}");
        Ok(())
    }

    /// Ends every program, the drivers and the server, as a crash would, and starts anew.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&self) -> Result<()> {
        self.end();
        self.start()
    }

    fn end(&self) {
        for option in ["--kill", "--wait"] {
            // Fails when there is nothing to end.
            let _ = self
                .command(SERVER)
                .arg(option)
                .stderr(Stdio::null())
                .status();
        }
    }

    /// A file of this Wine, by its path below its directory.
    #[must_use]
    pub fn file(&self, path: &str) -> PathBuf {
        self.prefix.join(path)
    }

    /// Runs a program of Wine's or by its path, which must succeed, and returns what it printed.
    ///
    /// # Errors
    /// If it does not succeed.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        self.try_run(words)?.success()
    }

    /// Runs a program of Wine's or by its path.
    ///
    /// # Errors
    /// If it cannot be started, or hangs.
    pub fn try_run(&self, words: &[&str]) -> Result<Ended> {
        let mut command = self.command(WINE);
        command.args(words);
        let (status, output) = run(&mut command, &self.prefix.join("printed"))?;
        let line = words.join(" ");
        match status {
            None => bail!("`{line}` hangs; it printed:\n{output}"),
            Some(status) => Ok(Ended {
                line,
                code: status.code(),
                output,
            }),
        }
    }

    /// A command of the host in the environment of this Wine.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("WINEPREFIX", &self.prefix)
            // Wine's own folders for documents are links to those in the home directory.
            .env("HOME", &self.prefix)
            .env("WINEDEBUG", "-all")
            // Neither .NET nor a browser is asked for, and no menus.
            .env(OVERRIDES, WITHOUT)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null());
        command
    }
}

/// True while a program of Wine's shows a desktop.
///
/// # Errors
/// When the host does not tell its processes.
pub fn a_desktop_is_shown() -> Result<bool> {
    for process in fs::read_dir("/proc")? {
        // Whoever ended meanwhile has no command line.
        let line = fs::read(process?.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains("explorer.exe\0/desktop") {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Drop for Wine {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a command to its end, with a file for what it prints: a pipe would stay open as long as
/// the services do that the command starts. `None` if it hangs.
fn run(command: &mut Command, printed: &Path) -> Result<(Option<ExitStatus>, String)> {
    let file = fs::File::create(printed).with_context(|| printed.display().to_string())?;
    let mut child = command.stdout(file.try_clone()?).stderr(file).spawn()?;
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begin.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let output = fs::read(printed).with_context(|| printed.display().to_string())?;
    Ok((status, String::from_utf8_lossy(&output).into_owned()))
}
