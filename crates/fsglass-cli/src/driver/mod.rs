//! The requests to the driver, as values.

pub mod statistics;
pub mod trace;

use crate::error::{Code, Error, Exit, Result};
use crate::system::{Device, System};
use fsglass_protocol::{
    self as protocol, Header, MAXIMUM_NAMED, SettingsReply, VersionReply, VolumesHeader, code,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

const SUCCESS: u32 = 0;
const BUFFER_OVERFLOW: u32 = 0x8000_0005;

/// A driver that speaks this program's version of the protocol.
pub struct Driver {
    device: Box<dyn Device>,
    /// What it said of itself.
    pub version: VersionReply,
}

impl Driver {
    /// Opens the control device of the driver and asks for its version.
    ///
    /// # Errors
    /// If it does not run, may not be opened, or speaks another version.
    pub fn open(system: &dyn System, service: &str) -> Result<Self> {
        let device = system.open(service)?;
        let mut driver = Self {
            device,
            version: VersionReply::new_zeroed(),
        };
        driver.version = driver.fixed("asking for its version", code::VERSION, &[])?;
        let (oldest, newest) = (driver.version.oldest.get(), driver.version.newest.get());
        if !(oldest..=newest).contains(&protocol::VERSION) {
            let what = format!(
                "the driver speaks versions {oldest} to {newest} of the protocol, and this program {}",
                protocol::VERSION
            );
            return Err(Error::new(what).remedy("take both from one package"));
        }
        Ok(driver)
    }

    fn control(
        &self,
        doing: &str,
        code: u32,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(u32, usize)> {
        match self.device.control(code, input, output) {
            (status @ (SUCCESS | BUFFER_OVERFLOW), written) => Ok((status, written)),
            (status, _) => Err(Error::with_code(
                format!("{doing} failed"),
                Code::Nt(status),
            )),
        }
    }

    fn fixed<T: FromBytes + IntoBytes>(&self, doing: &str, code: u32, input: &[u8]) -> Result<T> {
        let mut reply = T::new_zeroed();
        let (_, written) = self.control(doing, code, input, reply.as_mut_bytes())?;
        if written != size_of::<T>() {
            return Err(malformed());
        }
        Ok(reply)
    }

    /// The settings and state of its run.
    ///
    /// # Errors
    /// The status of the request.
    pub fn settings(&self) -> Result<SettingsReply> {
        let header = Header::new();
        self.fixed("asking for its settings", code::SETTINGS, header.as_bytes())
    }

    /// The file systems and volumes.
    ///
    /// # Errors
    /// The status of the request; an answer that makes no sense.
    pub fn volumes(&self) -> Result<Vec<Volume>> {
        let header = Header::new();
        let mut answer = vec![0; 1 << 16];
        loop {
            let doing = "asking for the volumes";
            let (status, written) =
                self.control(doing, code::VOLUMES, header.as_bytes(), &mut answer)?;
            let answer_written = answer.get(..written).ok_or_else(malformed)?;
            let list = protocol::Volumes::parse(answer_written).map_err(|_| malformed())?;
            if status == SUCCESS {
                let volumes = list
                    .iter()
                    .map(|volume| volume.map(|found| Volume::of(&found)));
                return volumes
                    .collect::<std::result::Result<_, _>>()
                    .map_err(|_| malformed());
            }
            // Twice what it needs now: the list may have grown when it is asked for again.
            let needed = list.bytes_needed().max(size_of::<VolumesHeader>());
            answer.resize(needed * 2, 0);
        }
    }

    /// Filters a volume.
    ///
    /// # Errors
    /// The status of the request.
    pub fn attach(&self, name: &str) -> Result<()> {
        self.named(&format!("attaching to {name}"), code::ATTACH, name)
    }

    /// Filters a volume no longer.
    ///
    /// # Errors
    /// The status of the request.
    pub fn detach(&self, name: &str) -> Result<()> {
        self.named(&format!("detaching from {name}"), code::DETACH, name)
    }

    fn named(&self, doing: &str, code: u32, name: &str) -> Result<()> {
        let mut input = [0; MAXIMUM_NAMED];
        let Some(length) = protocol::encode_named(name.encode_utf16(), &mut input) else {
            return Err(Error::new(format!("{name:?} is no name of a volume")).exiting(Exit::Usage));
        };
        self.control(doing, code, &input[..length], &mut [])
            .map(|_| ())
    }
}

pub(crate) fn malformed() -> Error {
    let error = Error::new("the answer of the driver makes no sense");
    error.remedy("take driver and program from one package")
}

/// What is no UTF-16 is replaced: it is for people to read.
pub(crate) fn text(units: protocol::Units<'_>) -> String {
    let chars = char::decode_utf16(units.iter());
    chars
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// A file system or volume, as the driver describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Whether it is a volume; else it is a file system.
    pub is_volume: bool,
    /// The name of its device.
    pub name: String,
    /// What decides whether the settings have it filtered.
    pub class: u8,
    /// The FILE_DEVICE_* type.
    pub device_type: u32,
    /// Whether it is filtered, or why not.
    pub reason: protocol::Reason,
    /// The status of a refusal.
    pub status: u32,
    /// Since when: 100 ns since 1601.
    pub since: Option<u64>,
    /// The drivers of its stack, the top first.
    pub stack: Vec<String>,
    /// Which of them is ours.
    pub own: Option<usize>,
}

impl Volume {
    fn of(found: &protocol::Volume<'_>) -> Self {
        Self {
            is_volume: found.kind() == protocol::Kind::Volume,
            name: text(found.name()),
            class: found.class(),
            device_type: found.device_type(),
            reason: found.reason(),
            status: found.status(),
            since: found.since(),
            stack: found.stack().map(text).collect(),
            own: found.own(),
        }
    }
}
