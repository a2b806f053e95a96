//! What is asked of Windows, behind one trait.

mod elsewhere;
#[cfg(any(windows, test))]
mod filter_manager;
mod interrupt;
#[cfg(test)]
pub mod pretended;
#[cfg(windows)]
mod windows;

use crate::error::{Code, Error, Result};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

/// The system that the driver runs on: this one, or the machine of ntbox that listens at `connect`.
#[must_use]
pub fn of_driver(connect: Option<SocketAddr>) -> Box<dyn System> {
    #[cfg(windows)]
    if connect.is_none() {
        return Box::new(windows::Windows);
    }
    Box::new(elsewhere::Elsewhere { connect })
}

fn cannot_start(program: &str, error: &std::io::Error) -> Error {
    match error.raw_os_error() {
        Some(code) => Error::with_code(
            format!("cannot start {program}"),
            Code::Win32(code.cast_unsigned()),
        ),
        // The standard library did not find it.
        None => Error::new(format!("cannot start {program}: {error}")),
    }
}

/// How often a service that is stopping is looked at.
pub const LOOK: Duration = Duration::from_millis(100);

/// Windows, as far as the commands need it.
pub trait System {
    /// The text of a code in the language of the user.
    fn text(&self, code: Code) -> Option<String>;

    /// Whether this process has administrator rights.
    fn is_administrator(&self) -> bool;

    /// Opens the control device of a service.
    ///
    /// # Errors
    /// That of CreateFile.
    fn open(&self, service: &str) -> Result<Box<dyn Device>>;

    /// What the service control manager knows of a service; `None` if there is no such service.
    ///
    /// # Errors
    /// Those of the service control manager.
    fn service(&self, name: &str) -> Result<Option<Service>>;

    /// Starts a service and waits until it runs.
    ///
    /// # Errors
    /// Those of the service control manager.
    fn start(&self, name: &str) -> Result<()>;

    /// Stops a service and waits until it has stopped; `waiting` is called about every [`LOOK`] meanwhile.
    ///
    /// # Errors
    /// Those of the service control manager.
    fn stop(&self, name: &str, waiting: &mut dyn FnMut()) -> Result<()>;

    /// Deletes a service.
    ///
    /// # Errors
    /// Those of the service control manager.
    fn delete_service(&self, name: &str) -> Result<()>;

    /// The drive letters there are.
    fn drive_letters(&self) -> Vec<DriveLetter>;

    /// Whether programs map files of that drive directly (DAX).
    fn is_direct_access(&self, letter: &str) -> bool;

    /// Runs one of the system's own programs to its end, and gives what it printed.
    ///
    /// # Errors
    /// If it cannot be started.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<Ran> {
        let started = std::process::Command::new(program).args(arguments).output();
        let output = started.map_err(|error| cannot_start(program, &error))?;
        let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
        printed.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Ran {
            code: output.status.code().unwrap_or(-1),
            printed,
        })
    }

    /// Runs one of the system's own programs to its end, and gives its exit code. What it prints is
    /// thrown away: programs that it starts and that go on, as Wine's desktop does, would keep a
    /// pipe open.
    ///
    /// # Errors
    /// If it cannot be started.
    fn run_unheard(&self, program: &str, arguments: &[&str]) -> Result<i32> {
        let mut command = std::process::Command::new(program);
        let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
        let ended = silent.args(arguments).status();
        let status = ended.map_err(|error| cannot_start(program, &error))?;
        Ok(status.code().unwrap_or(-1))
    }

    /// A number below HKEY_LOCAL_MACHINE.
    fn registry_number(&self, key: &str, value: &str) -> Option<u32>;

    /// A text below HKEY_LOCAL_MACHINE.
    fn registry_text(&self, key: &str, value: &str) -> Option<String>;

    /// The names of the keys in a key below HKEY_LOCAL_MACHINE.
    fn registry_keys(&self, key: &str) -> Vec<String>;

    /// The file-system filters that the filter manager knows: those that have registered with it, and those
    /// that it has met in device stacks. None where it cannot be asked.
    fn filters(&self) -> Vec<Filter>;

    /// CodeIntegrityOptions of the running system.
    fn code_integrity(&self) -> Option<u32>;

    /// The version of Wine, if this is Wine.
    fn wine(&self) -> Option<String>;

    /// From here on Ctrl-C does not end the process: [`System::interrupted`] tells of it.
    ///
    /// # Errors
    /// If it cannot be caught.
    fn catch_interrupt(&self) -> Result<()> {
        interrupt::catch()
    }

    /// Whether Ctrl-C was pressed.
    fn interrupted(&self) -> bool {
        interrupt::caught()
    }

    /// This process, as the driver tells processes apart; none where they are others'.
    fn own_process(&self) -> Option<u32> {
        None
    }

    /// Columns and rows of the terminal that standard output is; `None` if it is none.
    fn terminal(&self) -> Option<(u16, u16)> {
        let terminal = std::io::stdout().is_terminal();
        terminal.then(crossterm::terminal::size)?.ok()
    }

    /// Tells the user something beside the answer, on standard error.
    fn tell(&self, what: &str) {
        eprintln!("fsglass: {what}");
    }

    /// Puts a certificate (DER) into a store of the machine, such as `Root`.
    ///
    /// # Errors
    /// Those of the certificate store.
    fn add_certificate(&self, store: &str, certificate: &[u8]) -> Result<()>;

    /// Takes a certificate out of a store of the machine: whether it was there.
    ///
    /// # Errors
    /// Those of the certificate store.
    fn remove_certificate(&self, store: &str, certificate: &[u8]) -> Result<bool>;
}

/// A program that ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub printed: String,
}

/// An open control device.
pub trait Device {
    /// Sends a control, and gives the status and the bytes of output.
    fn control(&self, code: u32, input: &[u8], output: &mut [u8]) -> (u32, usize) {
        self.control_until(code, input, output, &|| false)
    }

    /// The same for one that may wait: while it does, `give_up` is asked many times a second, and
    /// when that says so, the control is cancelled.
    fn control_until(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        give_up: &dyn Fn() -> bool,
    ) -> (u32, usize);
}

/// A service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Whether it runs.
    pub running: bool,
    /// Its state in words.
    pub state: String,
    /// When it is started, in words.
    pub start: String,
    /// Its image.
    pub image: String,
}

/// A file-system filter that the filter manager knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// The name of its driver.
    pub name: String,
    /// Whether it is a legacy filter, which attaches to device stacks by itself.
    pub is_legacy: bool,
}

/// A drive letter and what it stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DriveLetter {
    /// Such as `C:`.
    pub letter: String,
    /// Such as `\Device\HarddiskVolume3`.
    pub device: String,
}
