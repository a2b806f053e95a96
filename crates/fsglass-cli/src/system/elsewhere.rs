//! Where there is no Windows: what does not need it still works, and what needs the driver alone works
//! with one that runs in ntbox.

use super::{Device, DriveLetter, Filter, Ran, Service, System};
use crate::error::{Code, Error, Exit, Result};
use ntbox_client::{Connection, Machine};
use std::cell::RefCell;
use std::net::SocketAddr;

/// STATUS_DEVICE_NOT_CONNECTED.
const NOT_CONNECTED: u32 = 0xC000_009D;

/// A system without Windows.
pub struct Elsewhere {
    /// Where ntbox runs the driver.
    pub connect: Option<SocketAddr>,
}

fn needs_windows<T>() -> Result<T> {
    let error = Error::new("this needs Windows, where the driver runs");
    Err(error.remedy(
        "`fsglass exercise` works everywhere; ntbox runs the driver without Windows, and \
         --connect reaches it there",
    ))
}

impl Elsewhere {
    fn connection(&self) -> Result<Connection> {
        let Some(address) = self.connect else {
            return needs_windows();
        };
        Connection::connect(address).map_err(|error| {
            Error::new(format!("cannot reach ntbox at {address}: {error}"))
                .remedy("start it: `ntbox run --driver fsglass.sys --client ADDRESS`")
                .exiting(Exit::NotRunning)
        })
    }

    fn machine(&self) -> Result<Machine> {
        Ok(self.connection()?.machine()?)
    }
}

/// A control device that is open in ntbox.
struct Opened(RefCell<Connection>);

impl Device for Opened {
    fn control_until(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        give_up: &dyn Fn() -> bool,
    ) -> (u32, usize) {
        let mut connection = self.0.borrow_mut();
        let answered = connection.control(code, input, output, give_up);
        // The machine has gone.
        answered.unwrap_or((NOT_CONNECTED, 0))
    }
}

impl System for Elsewhere {
    fn text(&self, _code: Code) -> Option<String> {
        None
    }

    fn is_administrator(&self) -> bool {
        // Nobody is refused for want of rights: what follows says that it needs Windows.
        true
    }

    fn open(&self, service: &str) -> Result<Box<dyn Device>> {
        let mut connection = self.connection()?;
        let link = format!(r"\??\{service}");
        match connection.open(&link)? {
            0 => Ok(Box::new(Opened(connection.into()))),
            status => Err(Error::with_code(
                format!("cannot open {link}"),
                Code::Nt(status),
            )),
        }
    }

    fn service(&self, name: &str) -> Result<Option<Service>> {
        let drivers = self.machine()?.drivers.into_iter();
        let mut found = drivers.filter(|driver| driver.service.eq_ignore_ascii_case(name));
        Ok(found.next().map(|driver| Service {
            running: true,
            state: "running in ntbox".to_owned(),
            start: "by ntbox".to_owned(),
            image: driver.file,
        }))
    }

    fn start(&self, _name: &str) -> Result<()> {
        needs_windows()
    }

    fn stop(&self, _name: &str, _waiting: &mut dyn FnMut()) -> Result<()> {
        needs_windows()
    }

    fn delete_service(&self, _name: &str) -> Result<()> {
        needs_windows()
    }

    fn drive_letters(&self) -> Vec<DriveLetter> {
        // One that cannot be reached any more has none.
        let machine = self.machine().unwrap_or_default();
        let letters = machine.letters.into_iter().map(|letter| DriveLetter {
            letter: letter.letter,
            device: letter.device,
        });
        letters.collect()
    }

    fn is_direct_access(&self, _letter: &str) -> bool {
        false
    }

    fn run(&self, _program: &str, _arguments: &[&str]) -> Result<Ran> {
        needs_windows()
    }

    fn run_unheard(&self, _program: &str, _arguments: &[&str]) -> Result<i32> {
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

    fn filters(&self) -> Vec<Filter> {
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
