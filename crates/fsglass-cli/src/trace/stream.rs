//! Answers of the driver in, events in the order in which they completed out.
//!
//! Within one processor's ring records have the order in which they were made, and an answer has those of
//! all rings, one ring after the other. What was made before an answer that left nothing behind is
//! therefore in that answer or the next. A record is made after its request has completed, and its thread
//! may be kept from running between the two: events are held back for a while more than until the answer
//! after.

use super::event::{Event, Volume};
use crate::driver::{malformed, text};
use crate::error::Result;
use crate::system::DriveLetter;
use fsglass_protocol::trace::{MAXIMUM_PATH, Record};
use fsglass_protocol::{Operation, Trace, TraceHeader, TraceRecord};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

/// The most bytes of one record.
const LONGEST_RECORD: usize = size_of::<TraceRecord>() + 2 * MAXIMUM_PATH + 8;

/// How long events are held back while a trace is running.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// More than these are not held back: a reader who never catches up would need all memory.
const MOST_HELD: usize = 100_000;

/// An answer, and whether there may have been more than it had room for.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'b> {
    /// What the driver wrote.
    pub bytes: &'b [u8],
    /// The room that it had.
    pub room: usize,
}

impl Answer<'_> {
    /// Whether another record might not have found room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() + LONGEST_RECORD > self.room
    }
}

/// A trace on its way.
#[derive(Default)]
pub struct Stream {
    patience: Duration,
    letters: Vec<DriveLetter>,
    volumes: HashMap<u32, Rc<Volume>>,
    /// By tick of completion and order of arrival.
    held: BTreeMap<(u64, u64), Event>,
    arrived: u64,
    /// The moment of the last answer that left nothing behind.
    complete_until: u64,
    first: Option<TraceHeader>,
    last: Option<TraceHeader>,
}

impl Stream {
    /// One that is running, and whose volumes have these drive letters.
    #[must_use]
    pub fn running(letters: Vec<DriveLetter>) -> Self {
        Self {
            patience: PATIENCE,
            letters,
            ..Self::default()
        }
    }

    /// One from a file, where nobody waits: as many events as there is memory for are held back.
    #[must_use]
    pub fn saved() -> Self {
        Self {
            patience: Duration::MAX,
            ..Self::default()
        }
    }

    /// Letters that were not known at the beginning.
    pub fn add_letter(&mut self, letter: DriveLetter) {
        self.letters.push(letter);
    }

    /// Takes an answer, and gives what is in order now. With `cut`, the end of the answer is lost: what
    /// comes before it is taken.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn take(&mut self, answer: Answer<'_>, cut: bool) -> Result<Vec<Event>> {
        let trace = match Trace::parse(answer.bytes) {
            Ok(trace) => trace,
            Err(_) if cut => return Ok(Vec::new()),
            Err(_) => return Err(malformed()),
        };
        let first = *self.first.get_or_insert(*trace.header);
        self.last = Some(*trace.header);
        for record in trace.iter() {
            match record {
                Ok(Record::Completed(record, name)) => {
                    let event = self.event(record, text(name), &first)?;
                    let key = (event.completed(), self.arrived);
                    self.arrived += 1;
                    self.held.insert(key, event);
                }
                Ok(Record::Volume(record, name)) => {
                    let volume = self.volume(text(name));
                    self.volumes.insert(record.volume.get(), volume);
                }
                Err(_) if cut => break,
                Err(_) => return Err(malformed()),
            }
        }
        if !answer.is_full() {
            let now = trace.header.now.get();
            let complete = std::mem::replace(&mut self.complete_until, now);
            let waited_for = now.saturating_sub(ticks(self.patience, &first));
            let later = self.held.split_off(&(complete.min(waited_for), u64::MAX));
            let events = std::mem::replace(&mut self.held, later).into_values();
            return Ok(events.chain(self.beyond()).collect());
        }
        Ok(self.beyond().collect())
    }

    /// The earliest that there is no more memory for.
    fn beyond(&mut self) -> impl Iterator<Item = Event> {
        let beyond = self.held.len().saturating_sub(MOST_HELD);
        let early = std::iter::from_fn(|| self.held.pop_first());
        early.take(beyond).map(|(_, event)| event)
    }

    /// Gives what is held back.
    pub fn flush(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.held).into_values().collect()
    }

    /// Whether something is held back.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Records that were lost since the trace was started.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.last.map_or(0, |header| header.lost.get())
    }

    /// Records that have come.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    fn volume(&self, name: String) -> Rc<Volume> {
        let letters = self
            .letters
            .iter()
            .filter(|letter| letter.device.eq_ignore_ascii_case(&name))
            .map(|letter| letter.letter.clone())
            .collect();
        Rc::new(Volume { name, letters })
    }

    fn event(&mut self, record: &TraceRecord, name: String, first: &TraceHeader) -> Result<Event> {
        let number = record.volume.get();
        let volume = self.volumes.entry(number).or_default();
        // All times are told by one clock, that of the first answer.
        let per_second = i128::from(first.frequency.get().max(1));
        let since = i128::from(record.started.get()) - i128::from(first.now.get());
        let time = i128::from(first.time.get()) + since * 10_000_000 / per_second;
        let nanoseconds = i128::from(record.duration.get()) * 1_000_000_000 / per_second;
        Ok(Event {
            record: *record,
            operation: Operation::from_number(record.operation).ok_or_else(malformed)?,
            volume: Rc::clone(volume),
            name,
            time: u64::try_from(time).unwrap_or(0),
            nanoseconds: u64::try_from(nanoseconds).unwrap_or(u64::MAX),
        })
    }
}

/// How many ticks that is, by the clock of the trace.
fn ticks(duration: Duration, header: &TraceHeader) -> u64 {
    let per_second = u128::from(header.frequency.get());
    let ticks = duration.as_nanos().saturating_mul(per_second) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}
