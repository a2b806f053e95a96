//! What is asked of Windows, behind one trait.

#[cfg(not(windows))]
mod elsewhere;
#[cfg(windows)]
mod windows;

use crate::error::{Code, Result};

/// The system that this process runs on.
#[must_use]
pub fn this() -> Box<dyn System> {
    #[cfg(windows)]
    let system = windows::Windows;
    #[cfg(not(windows))]
    let system = elsewhere::Elsewhere;
    Box::new(system)
}

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

    /// Stops a service and waits until it has stopped.
    ///
    /// # Errors
    /// Those of the service control manager.
    fn stop(&self, name: &str) -> Result<()>;

    /// The drive letters there are.
    fn drive_letters(&self) -> Vec<DriveLetter>;
}

/// An open control device.
pub trait Device {
    /// Sends a control, and gives the status and the output.
    fn control(&self, code: u32, input: &[u8], output: &mut [u8]) -> (u32, usize);
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

/// A drive letter and what it stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DriveLetter {
    /// Such as `C:`.
    pub letter: String,
    /// Such as `\Device\HarddiskVolume3`.
    pub device: String,
}
