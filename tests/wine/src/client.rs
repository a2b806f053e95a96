//! The shipped `fsglass.exe` in Wine, unpacked as the package is.

use crate::filter::{self, ABSENT, exercise, expect};
use crate::wine::{DRIVERS, Wine};
use crate::{files, inf};
use anyhow::{Result, ensure};
use std::cell::RefCell;
use std::fmt::Write;
use std::fs;

/// The exit codes of `fsglass.exe --help`.
mod exit {
    pub const DONE: i32 = 0;
    pub const FAILED: i32 = 1;
    pub const NOT_RUNNING: i32 = 4;
    pub const RESTART: i32 = 6;
}

/// The client, and what it said so far.
pub struct Client<'w> {
    wine: &'w Wine,
    transcript: RefCell<String>,
}

impl<'w> Client<'w> {
    /// Lays out what it needs of the package.
    ///
    /// # Errors
    /// When something has not been built.
    pub fn unpack(wine: &'w Wine) -> Result<Self> {
        let package = wine.file("drive_c/fsglass");
        let folder = package.join("wine");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("fsglass.inf"), inf::for_wine()?)?;
        fs::write(folder.join("fsglass.sys"), filter::for_wine("fsglass")?)?;
        fs::copy(files::program("fsglass.exe")?, package.join("fsglass.exe"))?;
        Ok(Self {
            wine,
            transcript: RefCell::default(),
        })
    }

    /// Commands and answers.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.transcript.borrow().clone()
    }

    /// Gives a command, which must end with this code and say all that.
    fn says(&self, command: &str, code: i32, parts: &[&str]) -> Result<()> {
        let words = [r"C:\fsglass\fsglass.exe"].into_iter();
        let words: Vec<_> = words.chain(command.split(' ')).collect();
        let ended = self.wine.try_run(&words)?;
        let _infallible = writeln!(
            self.transcript.borrow_mut(),
            "> fsglass {command}\n{}",
            ended.output
        );
        let missing = parts.iter().find(|part| !ended.output.contains(**part));
        ensure!(
            ended.code == Some(code) && missing.is_none(),
            "fsglass {command} was to end with {code} and say {parts:?}; it ended with {:?}:\n{}",
            ended.code,
            ended.output
        );
        Ok(())
    }

    /// The whole life of the driver.
    ///
    /// # Errors
    /// With the first answer that is not as it should be.
    pub fn install_use_and_uninstall(&self) -> Result<()> {
        let wine = self.wine;
        self.says("status", exit::NOT_RUNNING, &["not installed"])?;
        self.says("list", exit::NOT_RUNNING, &[r"cannot open \\.\fsglass"])?;
        self.says("doctor", exit::DONE, &["Wine", "not installed"])?;
        self.says("install", exit::DONE, &["is installed from"])?;
        self.says("status", exit::NOT_RUNNING, &["stopped"])?;
        for setting in ["AllowUnload", "Statistics"] {
            filter::set(wine, "fsglass", setting, "REG_DWORD", "1")?;
        }
        // Installing again leaves what was set: the driver can be stopped and has statistics.
        self.says("install", exit::DONE, &["is installed from"])?;
        self.says("start", exit::DONE, &["fsglass runs"])?;
        exercise(wine, &["mount", "1"])?;
        let status = ["running", "1: it can be stopped", "3 filtered, 0 not"];
        self.says("status", exit::DONE, &status)?;
        let names = ["FskitFileSystem", "FskitDisk0", "FskitDisk1"];
        let names = names.map(|name| format!(r"\Device\{name}"));
        let mut list: Vec<_> = names.iter().map(String::as_str).collect();
        list.push("[fsglass] > fskit");
        self.says("list", exit::DONE, &list)?;
        self.says("doctor", exit::DONE, &["driver            runs"])?;
        exercise(wine, &["volume", "1"])?;
        // Three mounts, and what the program has said that it sent.
        let stats = ["814 requests, ", r"\Device\FskitDisk1"];
        self.says("stats", exit::DONE, &stats)?;

        let disk = r"\Device\FskitDisk1";
        let attach = &*format!("attach {disk}");
        let detach = &*format!("detach {disk}");
        self.says(detach, exit::DONE, &[disk])?;
        expect(wine, &[("above_volume1", "0")])?;
        exercise(wine, &["volume", "1", "--unfiltered"])?;
        self.says("list", exit::DONE, &["detached by request"])?;
        self.says(detach, exit::FAILED, &["it is not filtered"])?;
        self.says(attach, exit::DONE, &[disk])?;
        expect(wine, &[("above_volume1", "1"), ("providers", "1")])?;
        exercise(wine, &["volume", "1"])?;
        self.says(attach, exit::FAILED, &["it is filtered already"])?;
        self.says(
            r"attach \Device\Nowhere",
            exit::FAILED,
            &["no mounted volume"],
        )?;

        let work = r"exercise C:\ --threads 4 --operations 500 --seed 1";
        let sound = ["differences   0\n", "failures      0\n"];
        self.says(work, exit::DONE, &sound)?;

        self.says("stop", exit::DONE, &["has stopped"])?;
        expect(wine, &ABSENT)?;
        self.says("stop", exit::NOT_RUNNING, &["nothing to stop"])?;
        self.says("start", exit::DONE, &["fsglass runs"])?;
        self.says("uninstall", exit::DONE, &["is removed"])?;
        self.says("status", exit::NOT_RUNNING, &["not installed"])?;
        exercise(wine, &["dismount", "1"])?;
        expect(wine, &ABSENT)?;
        self.is_gone()
    }

    /// Where the registry does not allow it, the client says that the driver goes on.
    ///
    /// # Errors
    /// With the first answer that is not as it should be.
    pub fn cannot_stop_what_cannot_be_unloaded(&self) -> Result<()> {
        self.says("install", exit::DONE, &["is installed from"])?;
        self.says("start", exit::DONE, &["fsglass runs"])?;
        self.says("stop", exit::FAILED, &["did not stop", "AllowUnload"])?;
        self.says("status", exit::DONE, &["running"])?;
        let left = ["until the next restart", r"\fsglass.sys is left"];
        self.says("uninstall", exit::RESTART, &left)?;
        exercise(self.wine, &["volume", "0"])?;
        self.wine.restart()?;
        filter::start(self.wine, "fskit")?;
        expect(self.wine, &ABSENT)?;
        // Wine forgets that a service was marked for deletion when it ends.
        self.says("uninstall", exit::DONE, &["is removed"])?;
        self.is_gone()
    }

    fn is_gone(&self) -> Result<()> {
        let state = filter::state(self.wine, "fsglass")?;
        ensure!(state.is_none(), "the service is left: {state:?}");
        let file = self.wine.file(&format!("{DRIVERS}/fsglass.sys"));
        ensure!(!file.exists(), "{} is left", file.display());
        Ok(())
    }
}
