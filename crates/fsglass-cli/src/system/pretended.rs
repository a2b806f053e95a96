//! A Windows for tests: what it is told it has, and what it was asked to do.

use super::{Device, DriveLetter, Filter, Ran, Service, System};
use crate::error::{Code, Error, Result};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A status and the output, or a code and the input.
pub type Bytes = (u32, Vec<u8>);

/// What the device and its system share.
type Shared<T> = Rc<RefCell<T>>;

/// A system of values.
#[derive(Default)]
pub struct Pretended {
    /// Whether the user is an administrator.
    pub administrator: bool,
    /// The service.
    pub service: RefCell<Option<Service>>,
    /// Whether the driver cannot be unloaded.
    pub unstoppable: bool,
    /// How often it is looked at before it has stopped.
    pub stopping: u32,
    /// What programs print.
    pub printed: String,
    /// What the filter manager knows.
    pub filters: Vec<Filter>,
    /// Numbers of the registry, by key and value.
    pub numbers: BTreeMap<(String, String), u32>,
    /// Texts of the registry, by key and value.
    pub texts: BTreeMap<(String, String), String>,
    /// Drive letters, and whether they are of a direct access volume.
    pub letters: Vec<(DriveLetter, bool)>,
    /// CodeIntegrityOptions.
    pub code_integrity: Option<u32>,
    /// The version of Wine.
    pub wine: Option<String>,
    /// The exit code of programs.
    pub code: i32,
    /// The answer of the control device to each code.
    pub answers: BTreeMap<u32, Bytes>,
    /// Answers that come once, before that to the code: taken from the end.
    pub once: Shared<BTreeMap<u32, Vec<Bytes>>>,
    /// Ctrl-C comes when the system was asked this often whether it did.
    pub patience: Cell<u32>,
    /// The terminal.
    pub terminal: Option<(u16, u16)>,
    /// This process.
    pub own_process: Option<u32>,
    /// What was asked to be done.
    pub done: RefCell<Vec<String>>,
    /// The controls that were sent.
    pub sent: Shared<Vec<Bytes>>,
}

impl Pretended {
    /// Adds a number to the registry.
    pub fn number(mut self, key: &str, value: &str, number: u32) -> Self {
        self.numbers
            .insert((key.to_owned(), value.to_owned()), number);
        self
    }

    /// Adds a text to the registry.
    pub fn text(mut self, key: &str, value: &str, text: &str) -> Self {
        self.texts
            .insert((key.to_owned(), value.to_owned()), text.to_owned());
        self
    }

    fn note(&self, what: String) {
        self.done.borrow_mut().push(what);
    }
}

struct Answers {
    always: BTreeMap<u32, Bytes>,
    once: Shared<BTreeMap<u32, Vec<Bytes>>>,
    sent: Shared<Vec<Bytes>>,
}

impl Device for Answers {
    fn control_until(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        give_up: &dyn Fn() -> bool,
    ) -> (u32, usize) {
        const INVALID_DEVICE_REQUEST: u32 = 0xC000_0010;
        const PENDING: u32 = 0x103;
        const CANCELLED: u32 = 0xC000_0120;
        self.sent.borrow_mut().push((code, input.to_vec()));
        let once = self.once.borrow_mut().get_mut(&code).and_then(Vec::pop);
        let Some((status, answer)) = once.as_ref().or_else(|| self.always.get(&code)) else {
            return (INVALID_DEVICE_REQUEST, 0);
        };
        if *status == PENDING {
            while !give_up() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            return (CANCELLED, 0);
        }
        let length = answer.len().min(output.len());
        output[..length].copy_from_slice(&answer[..length]);
        (*status, length)
    }
}

impl System for Pretended {
    fn own_process(&self) -> Option<u32> {
        self.own_process
    }

    fn text(&self, code: Code) -> Option<String> {
        (code == Code::Win32(5)).then(|| "Access is denied.".to_owned())
    }

    fn is_administrator(&self) -> bool {
        self.administrator
    }

    fn open(&self, _service: &str) -> Result<Box<dyn Device>> {
        Ok(Box::new(Answers {
            always: self.answers.clone(),
            once: Rc::clone(&self.once),
            sent: Rc::clone(&self.sent),
        }))
    }

    fn service(&self, _name: &str) -> Result<Option<Service>> {
        Ok(self.service.borrow().clone())
    }

    fn start(&self, name: &str) -> Result<()> {
        self.note(format!("start {name}"));
        Ok(())
    }

    fn stop(&self, name: &str, waiting: &mut dyn FnMut()) -> Result<()> {
        self.note(format!("stop {name}"));
        if self.unstoppable {
            return Err(Error::with_code("it did not stop", Code::Win32(1052)));
        }
        (0..self.stopping).for_each(|_| waiting());
        match &mut *self.service.borrow_mut() {
            Some(service) => service.running = false,
            None => return Err(Error::with_code("cannot open it", Code::Win32(1060))),
        }
        Ok(())
    }

    fn delete_service(&self, name: &str) -> Result<()> {
        self.note(format!("delete {name}"));
        *self.service.borrow_mut() = None;
        Ok(())
    }

    fn drive_letters(&self) -> Vec<DriveLetter> {
        self.letters
            .iter()
            .map(|(letter, _)| letter.clone())
            .collect()
    }

    fn is_direct_access(&self, letter: &str) -> bool {
        self.letters
            .iter()
            .any(|(known, direct)| known.letter == letter && *direct)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Ran> {
        self.note(format!("{program} {}", arguments.join(" ")));
        Ok(Ran {
            code: self.code,
            printed: self.printed.clone(),
        })
    }

    fn run_unheard(&self, program: &str, arguments: &[&str]) -> Result<i32> {
        Ok(self.run(program, arguments)?.code)
    }

    fn registry_number(&self, key: &str, value: &str) -> Option<u32> {
        self.numbers
            .get(&(key.to_owned(), value.to_owned()))
            .copied()
    }

    fn registry_text(&self, key: &str, value: &str) -> Option<String> {
        self.texts.get(&(key.to_owned(), value.to_owned())).cloned()
    }

    fn registry_keys(&self, key: &str) -> Vec<String> {
        let all = self.numbers.keys().chain(self.texts.keys());
        let below = all.filter_map(|(known, _)| known.strip_prefix(key)?.strip_prefix('\\'));
        let mut names: Vec<String> = below
            .filter_map(|rest| rest.split('\\').next().map(str::to_owned))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn filters(&self) -> Vec<Filter> {
        self.filters.clone()
    }

    fn code_integrity(&self) -> Option<u32> {
        self.code_integrity
    }

    fn wine(&self) -> Option<String> {
        self.wine.clone()
    }

    fn catch_interrupt(&self) -> Result<()> {
        Ok(())
    }

    fn interrupted(&self) -> bool {
        let left = self.patience.get();
        self.patience.set(left.saturating_sub(1));
        left == 0
    }

    fn terminal(&self) -> Option<(u16, u16)> {
        self.terminal
    }

    fn tell(&self, what: &str) {
        self.note(format!("tell {what}"));
    }

    fn add_certificate(&self, store: &str, certificate: &[u8]) -> Result<()> {
        self.note(format!("add {} bytes to {store}", certificate.len()));
        Ok(())
    }

    fn remove_certificate(&self, store: &str, certificate: &[u8]) -> Result<bool> {
        self.note(format!("remove {} bytes from {store}", certificate.len()));
        Ok(true)
    }
}
