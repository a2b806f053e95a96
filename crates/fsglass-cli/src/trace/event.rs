//! A request that completed.

use fsglass_protocol::{Operation, TraceRecord, trace};
use std::rc::Rc;

/// Severities, the two highest bits of a status.
const INFORMATIONAL: u32 = 1;
const ERROR: u32 = 3;

/// A volume or file system that requests were sent to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Volume {
    /// The name of its device.
    pub name: String,
    /// Its drive letters.
    pub letters: Vec<String>,
}

impl Volume {
    /// What people call it.
    #[must_use]
    pub fn short(&self) -> &str {
        match self.letters.first() {
            Some(letter) => letter,
            None if self.name.is_empty() => "(no name)",
            None => &self.name,
        }
    }
}

/// A request that completed, or a call of fast I/O that returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// As the driver wrote it.
    pub record: TraceRecord,
    /// What was asked.
    pub operation: Operation,
    /// Of whom.
    pub volume: Rc<Volume>,
    /// The name of its file; empty where that was not wanted or is not known.
    pub name: String,
    /// When it was passed on: 100 ns since 1601.
    pub time: u64,
    /// How long it was below, in nanoseconds.
    pub nanoseconds: u64,
}

impl Event {
    /// The tick at which it completed.
    #[must_use]
    pub fn completed(&self) -> u64 {
        let record = &self.record;
        record.started.get().saturating_add(record.duration.get())
    }

    /// The NTSTATUS.
    #[must_use]
    pub fn status(&self) -> u32 {
        self.record.status.get()
    }

    /// Whether it completed with an error or a warning.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.status() >> 30 > INFORMATIONAL
    }

    /// Whether it has that bit of [`trace::flags`].
    #[must_use]
    pub fn has(&self, flag: u32) -> bool {
        self.record.flags.get() & flag != 0
    }

    /// Bytes that were transferred, as the statistics count them: also with a warning, which may bring the
    /// part that had room.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let moved = self.operation.transfers() && !self.has(trace::flags::DECLINED);
        if moved && self.status() >> 30 != ERROR {
            self.record.information.get()
        } else {
            0
        }
    }

    /// What its parameters are called, and their values.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let names = trace::parameters(self.operation).into_iter();
        names
            .zip(&self.record.parameters)
            .filter_map(|(name, value)| Some((name?, value.get())))
    }
}
