//! Where there is no Windows: what does not need it still works.

use super::{Device, DriveLetter, Service, System};
use crate::error::{Code, Error, Result};

/// A system without the driver.
pub struct Elsewhere;

fn needs_windows<T>() -> Result<T> {
    let error = Error::new("this needs Windows, where the driver runs");
    Err(error.remedy("`fsglass exercise` works everywhere; ntbox runs the driver without Windows"))
}

impl System for Elsewhere {
    fn text(&self, _code: Code) -> Option<String> {
        None
    }

    fn is_administrator(&self) -> bool {
        false
    }

    fn open(&self, _service: &str) -> Result<Box<dyn Device>> {
        needs_windows()
    }

    fn service(&self, _name: &str) -> Result<Option<Service>> {
        needs_windows()
    }

    fn start(&self, _name: &str) -> Result<()> {
        needs_windows()
    }

    fn stop(&self, _name: &str) -> Result<()> {
        needs_windows()
    }

    fn drive_letters(&self) -> Vec<DriveLetter> {
        Vec::new()
    }
}
