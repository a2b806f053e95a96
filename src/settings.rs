//! What the registry may change, read once in DriverEntry.
//!
//! | value under `Parameters` | type | default | meaning |
//! |---|---|---|---|
//! | `AllowUnload` | REG_DWORD, 0 or 1 | 0 | 1: the driver has a DriverUnload, for test machines; each request then pays for it |
//!
//! A value that is missing has its default. One that cannot be understood is
//! reported to the debugger and ignored.

use wdm::irql::Passive;
use wdm::registry::Key;
use wdm::status::Status;
use wdm::unicode;
use wdm::unicode::UnicodeStr;

/// The settings of this run.
#[derive(Default)]
pub struct Settings {
    /// Whether DriverUnload exists (A12).
    pub allow_unload: bool,
}

impl Settings {
    /// Reads the settings of the service at `registry_path`.
    pub fn read(registry_path: UnicodeStr<'_>, level: &mut Passive) -> Self {
        let parameters = Key::open(None, registry_path, level)
            .and_then(|service| Key::open(Some(&service), unicode!("Parameters"), level));
        match parameters {
            Ok(parameters) => Self {
                allow_unload: read_switch(&parameters, unicode!("AllowUnload"), level),
            },
            Err(_no_such_key) => Self::default(),
        }
    }
}

/// A REG_DWORD that is 0 or 1; anything else counts as 0 and is reported.
fn read_switch(parameters: &Key, name: UnicodeStr<'_>, level: &mut Passive) -> bool {
    match parameters.dword(name, level) {
        Ok(value @ (0 | 1)) => value == 1,
        Ok(value) => {
            wdk::println!("fsglass: setting {name} is {value}, expected 0 or 1; using 0");
            false
        }
        Err(Status::OBJECT_NAME_NOT_FOUND) => false,
        Err(status) => {
            wdk::println!(
                "fsglass: setting {name} cannot be read ({status}), expected REG_DWORD; using 0"
            );
            false
        }
    }
}
