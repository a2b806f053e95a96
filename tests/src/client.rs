//! A program that has the control device open, below the level of `fsglass.exe`: it can send what
//! that never would.

use fsglass_protocol::trace::{MAXIMUM_START, Record, encode_start};
use fsglass_protocol::{
    BucketRecord, Header, Kind, MAXIMUM_NAMED, Malformed, Observe, Operation, OperationRecord,
    Reason, SettingsReply, Statistics, StatisticsHeader, Trace, TraceRecord, TraceStart, Units,
    VersionReply, Volumes, code, encode_named,
};
use ntbox::nt::{NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_SUCCESS};
use ntbox::user::{CreateParameters, File, Outcome, Pending, access, create_file};
use std::collections::BTreeMap;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

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
        // Asynchronous: several requests of one handle can be under way.
        let opened = create_file(&CreateParameters::new(LINK).access(access).options(0));
        opened.file.map(Self).ok_or(opened.outcome.status)
    }

    /// Sends any control.
    #[must_use]
    pub fn send(&self, code: u32, input: &[u8], output: u32) -> Outcome {
        self.0.device_control(code, input, output)
    }

    /// Begins any control.
    #[must_use]
    pub fn start(&self, code: u32, input: &[u8], output: u32) -> Pending<'_> {
        self.0.start_device_control(code, input, output)
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

    /// Says whether this handle wants statistics.
    #[must_use]
    pub fn observe(&self, statistics: bool) -> NTSTATUS {
        let statistics = u32::from(statistics).into();
        let (header, observe) = (Header::new(), Observe { statistics });
        let input = [header.as_bytes(), observe.as_bytes()].concat();
        self.send(code::OBSERVE, &input, 0).status
    }

    /// What was counted, by volume and operation: volumes without a request are there without one.
    ///
    /// # Panics
    /// If the driver does not answer with that.
    #[must_use]
    pub fn statistics(&self) -> Vec<Counted> {
        let outcome = self.send(code::STATISTICS, Header::new().as_bytes(), 1 << 20);
        assert_eq!(outcome.status, STATUS_SUCCESS, "{outcome:?}");
        counted(&outcome)
    }

    /// The fixed part of what was counted.
    ///
    /// # Panics
    /// If the driver does not answer with that.
    #[must_use]
    pub fn statistics_header(&self) -> StatisticsHeader {
        let outcome = self.send(code::STATISTICS, Header::new().as_bytes(), 1 << 20);
        let header = StatisticsHeader::read_from_prefix(&outcome.data);
        let (header, _) = header.unwrap_or_else(|_| panic!("no header: {outcome:?}"));
        header
    }

    /// Starts a trace of what `fixed` says.
    #[must_use]
    pub fn start_trace(&self, fixed: TraceStart, volume: &str, pattern: &str) -> NTSTATUS {
        let input = trace_start(fixed, volume, pattern);
        self.send(code::TRACE_START, &input, 0).status
    }

    /// Stops the trace.
    #[must_use]
    pub fn stop_trace(&self) -> NTSTATUS {
        self.send(code::TRACE_STOP, Header::new().as_bytes(), 0)
            .status
    }

    /// All that the trace has, until nothing is left.
    ///
    /// # Panics
    /// If the driver does not keep to the layout.
    #[must_use]
    pub fn drain_trace(&self) -> Traced {
        let mut traced = Traced::default();
        loop {
            let mut reading = self.read_trace(1 << 16);
            if reading.is_outstanding() {
                reading.cancel();
                return traced;
            }
            traced.add(&reading.wait());
        }
    }

    /// Begins to read the trace, into a buffer of that many bytes.
    #[must_use]
    pub fn read_trace(&self, bytes: u32) -> Pending<'_> {
        let input = Header::new();
        self.0
            .start_device_control(code::TRACE_READ, input.as_bytes(), bytes)
    }
}

/// A volume, as the statistics have it.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Its number.
    pub volume: u32,
    /// The name of its device.
    pub name: String,
    /// What it is.
    pub kind: u8,
    /// Whether it is filtered now.
    pub attached: bool,
    /// What was counted.
    pub operations: BTreeMap<Operation, (OperationRecord, Vec<BucketRecord>)>,
}

/// The volumes of an answer, whole or not.
///
/// # Panics
/// If the driver does not keep to the layout.
#[must_use]
pub fn counted(outcome: &Outcome) -> Vec<Counted> {
    let answer = outcome.data.get(..outcome.information).unwrap_or(&[]);
    let Ok(statistics) = Statistics::parse(answer) else {
        panic!("no statistics: {outcome:?}")
    };
    let volumes = statistics.iter().map(|volume| {
        let Ok(volume) = volume else {
            panic!("a malformed record: {outcome:?}")
        };
        let operations = volume.operations();
        Counted {
            volume: volume.fixed.volume.get(),
            name: text(volume.name()),
            kind: volume.fixed.kind,
            attached: volume.fixed.attached == 1,
            operations: operations
                .map(|(operation, record, buckets)| (operation, (*record, buckets.to_vec())))
                .collect(),
        }
    });
    volumes.collect()
}

/// The input of a request to start a trace.
///
/// # Panics
/// If a pattern is too long.
#[must_use]
pub fn trace_start(fixed: TraceStart, volume: &str, pattern: &str) -> Vec<u8> {
    let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
    let mut buffer = [0; MAXIMUM_START];
    let length = encode_start(fixed, &units(volume), &units(pattern), &mut buffer);
    let Some(length) = length else {
        panic!("{volume:?}, {pattern:?}")
    };
    buffer[..length].to_vec()
}

/// A trace of everything.
#[must_use]
pub fn everything() -> TraceStart {
    TraceStart {
        operations: u64::MAX.into(),
        ..TraceStart::new_zeroed()
    }
}

/// What a reading of a trace brought.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    /// Records lost since the start.
    pub lost: u64,
    /// Requests, each with the name of its file.
    pub requests: Vec<(TraceRecord, String)>,
    /// Volumes by their numbers.
    pub volumes: BTreeMap<u32, String>,
}

impl Traced {
    /// Adds what an answer has.
    ///
    /// # Panics
    /// If the driver does not keep to the layout.
    pub fn add(&mut self, outcome: &Outcome) {
        assert_eq!(outcome.status, STATUS_SUCCESS, "{outcome:?}");
        let answer = outcome.data.get(..outcome.information).unwrap_or(&[]);
        if answer.is_empty() {
            return;
        }
        let Ok(trace) = Trace::parse(answer) else {
            panic!("no trace: {outcome:?}")
        };
        self.lost = trace.header.lost.get();
        for record in trace.iter() {
            match record {
                Ok(Record::Completed(fixed, name)) => self.requests.push((*fixed, text(name))),
                Ok(Record::Volume(fixed, name)) => {
                    self.volumes.insert(fixed.volume.get(), text(name));
                }
                Err(Malformed) => panic!("a malformed record: {outcome:?}"),
            }
        }
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
