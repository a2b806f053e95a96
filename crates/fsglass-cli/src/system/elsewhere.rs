//! Where there is no Windows: what does not need it still works.

use super::{Device, DriveLetter, Ran, Service, System};
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
        // Nobody is refused for want of rights: what follows says that it needs Windows.
        true
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

    fn delete_service(&self, _name: &str) -> Result<()> {
        needs_windows()
    }

    fn drive_letters(&self) -> Vec<DriveLetter> {
        Vec::new()
    }

    fn is_direct_access(&self, _letter: &str) -> bool {
        false
    }

    fn run(&self, _program: &str, _arguments: &[&str]) -> Result<Ran> {
        needs_windows()
    }

    fn registry_number(&self, _key: &str, _value: &str) -> Option<u32> {
        None
    }

    fn registry_text(&self, _key: &str, _value: &str) -> Option<String> {
        None
    }

    fn registry_keys(&self, _key: &str) -> Vec<String> {
        Vec::new()
    }

    fn code_integrity(&self) -> Option<u32> {
        None
    }

    fn wine(&self) -> Option<String> {
        None
    }

    fn add_certificate(&self, _store: &str, _certificate: &[u8]) -> Result<()> {
        needs_windows()
    }

    fn remove_certificate(&self, _store: &str, _certificate: &[u8]) -> Result<bool> {
        needs_windows()
    }
}
