//! A program that has the control device open, below the level of `fsglass.exe`: it can send what
//! that never would.

use fsglass_protocol::{
    Header, Kind, MAXIMUM_NAMED, Reason, SettingsReply, Units, VersionReply, Volumes, code,
    encode_named,
};
use ntbox::nt::{NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_SUCCESS};
use ntbox::user::{CreateParameters, File, Outcome, access, create_file};
use zerocopy::{FromBytes, IntoBytes};

/// The link that programs open.
pub const LINK: &str = r"\??\fsglass";

/// An open handle of the control device.
pub struct Client(File);

/// A file system or volume, as the driver lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// What it is.
    pub kind: Kind,
    /// The name of its device.
    pub name: String,
    /// One of `fsglass_protocol::class`.
    pub class: u8,
    /// FILE_DEVICE_*.
    pub device_type: u32,
    /// Whether it is filtered, or why not.
    pub reason: Reason,
    /// The status of a refusal.
    pub status: u32,
    /// Since when.
    pub since: Option<u64>,
    /// The drivers above the filter's device.
    pub above: Vec<String>,
    /// The drivers below it; all of them where it is not.
    pub below: Vec<String>,
}

fn text(units: Units<'_>) -> String {
    String::from_utf16_lossy(&units.iter().collect::<Vec<_>>())
}

impl Client {
    /// Opens the device with read and write access.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn open() -> Self {
        Self::open_for(access::READ | access::WRITE)
    }

    /// Opens the device with that access.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn open_for(access: u32) -> Self {
        Self::try_open(access).unwrap_or_else(|status| panic!("{LINK}: {status:#X}"))
    }

    /// Opens the device with that access.
    ///
    /// # Errors
    /// The status.
    pub fn try_open(access: u32) -> Result<Self, NTSTATUS> {
        let opened = create_file(&CreateParameters::new(LINK).access(access));
        opened.file.map(Self).ok_or(opened.outcome.status)
    }

    /// Sends any control.
    #[must_use]
    pub fn send(&self, code: u32, input: &[u8], output: u32) -> Outcome {
        self.0.device_control(code, input, output)
    }

    fn fixed<T: FromBytes>(&self, code: u32, input: &[u8]) -> T {
        let outcome = self.send(code, input, 256);
        let reply = T::read_from_bytes(outcome.data.get(..outcome.information).unwrap_or(&[]));
        match reply {
            Ok(reply) if outcome.status == STATUS_SUCCESS => reply,
            _ => panic!("{code:#X}: {outcome:?}"),
        }
    }

    /// The version.
    ///
    /// # Panics
    /// If the driver does not answer with one.
    #[must_use]
    pub fn version(&self) -> VersionReply {
        self.fixed(code::VERSION, &[])
    }

    /// The settings.
    ///
    /// # Panics
    /// If the driver does not answer with them.
    #[must_use]
    pub fn settings(&self) -> SettingsReply {
        self.fixed(code::SETTINGS, Header::new().as_bytes())
    }

    /// The list, all of it.
    ///
    /// # Panics
    /// If the driver does not answer with one.
    #[must_use]
    pub fn volumes(&self) -> Vec<Listed> {
        let outcome = self.send(code::VOLUMES, Header::new().as_bytes(), 1 << 16);
        assert_eq!(outcome.status, STATUS_SUCCESS, "{outcome:?}");
        listed(&outcome)
    }

    /// What is listed by that name.
    ///
    /// # Panics
    /// If there is nothing of that name.
    #[must_use]
    pub fn listed(&self, name: &str) -> Listed {
        let volumes = self.volumes();
        let found = volumes.iter().find(|volume| volume.name == name).cloned();
        found.unwrap_or_else(|| panic!("{name} is not among {volumes:#?}"))
    }

    /// Attaches.
    #[must_use]
    pub fn attach(&self, name: &str) -> NTSTATUS {
        self.send(code::ATTACH, &named(name), 0).status
    }

    /// Detaches.
    #[must_use]
    pub fn detach(&self, name: &str) -> NTSTATUS {
        self.send(code::DETACH, &named(name), 0).status
    }
}

/// The input of a request with a name.
///
/// # Panics
/// If it is no name.
#[must_use]
pub fn named(name: &str) -> Vec<u8> {
    let mut buffer = [0; MAXIMUM_NAMED];
    let length = encode_named(name.encode_utf16(), &mut buffer);
    let Some(length) = length else {
        panic!("{name:?} is no name")
    };
    buffer[..length].to_vec()
}

/// The records of an answer, whole or not.
///
/// # Panics
/// If the driver does not keep to the layout.
#[must_use]
pub fn listed(outcome: &Outcome) -> Vec<Listed> {
    let answer = outcome.data.get(..outcome.information).unwrap_or(&[]);
    let Ok(volumes) = Volumes::parse(answer) else {
        panic!("no list: {outcome:?}")
    };
    assert_eq!(
        volumes.is_complete(),
        outcome.status != STATUS_BUFFER_OVERFLOW
    );
    let records = volumes.iter().map(|record| {
        let Ok(record) = record else {
            panic!("a malformed record: {outcome:?}")
        };
        let stack: Vec<String> = record.stack().map(text).collect();
        let (above, below) = match record.own() {
            Some(own) => (stack[..own].to_vec(), stack[own + 1..].to_vec()),
            None => (Vec::new(), stack),
        };
        Listed {
            kind: record.kind(),
            name: text(record.name()),
            class: record.class(),
            device_type: record.device_type(),
            reason: record.reason(),
            status: record.status(),
            since: record.since(),
            above,
            below,
        }
    });
    records.collect()
}
