//! Observation: statistics and traces of what passes. Off, it costs a request one load and one branch.
//!
//! What is kept is in [`Observer`], a part of the driver's state, and knows nothing of that:
//!
//! | module | keeps |
//! |---|---|
//! | [`what`] | what is observed at a moment |
//! | [`volumes`] | the volumes that there are and were |
//! | [`statistics`] | what was counted of each |
//! | [`observation`] | what is known of one request or call while it is below |
//! | [`told`] | what is told of it |
//! | [`etw`] | the same as events for ETW |
//! | [`names`] | what open files are called |
//! | [`reader`] | one trace: its filter, its rings, and who waits for it |
//! | [`memory`] | how much of it is kept, and may be |
//!
//! Who passes something on finds the observer in the driver's state:
//!
//! | module | observes |
//! |---|---|
//! | [`requests`] | requests |
//! | [`calls`] | calls of fast I/O, and FsFilter operations |
//! | [`naming`] | the name of the file of a request |
//!
//! Nothing here waits, and no request fails because it could not be observed (P2): what finds no memory
//! passes unobserved, what finds no room in a ring is counted as lost.

pub mod calls;
mod etw;
mod memory;
mod names;
mod naming;
mod observation;
mod reader;
pub mod requests;
mod statistics;
mod told;
mod volumes;
mod what;

pub use etw::PROVIDER;
pub use observation::Observation;
pub use volumes::Filtered;
pub use what::What;

use crate::settings::Settings;
use core::sync::atomic::{AtomicU32, Ordering};
use fsglass_protocol::trace::{Filter, wanted};
use fsglass_protocol::{Kind, Memory, StatisticsWriter};
use memory::Purpose;
use names::Names;
use observe::counters::Sum;
use reader::{Reader, Reading};
use statistics::Statistics;
use volumes::{Table, Volume, Volumes};
use wdm::driver;
use wdm::etw::Wanted;
use wdm::irp::{DeviceControl, Disposition, Parking};
use wdm::irql::{AtMostDispatch, Passive};
use wdm::pool::{NonPagedArc, NonPagedBox};
use wdm::status::Status;
use wdm::sync::{Guests, Mutex, delay};
use wdm::time;
use wdm::unicode::UnicodeStr;
use what::TRACES;

/// What the driver observes, and for whom.
pub struct Observer {
    /// A [`What`]; written under `wishes`.
    what: AtomicU32,
    wishes: Mutex<Wishes>,
    volumes: Volumes,
    statistics: Statistics,
    names: Names,
    traces: Guests<Reader>,
}

/// Why a trace is not read.
enum Unread {
    /// It has been stopped.
    Stopped,
    /// Too many look at traces at this moment: threads that are suspended keep their doors.
    Crowded,
}

impl Unread {
    /// How a request that has brought nothing ends. Who asks a trace that runs is to ask again, after a moment: it has
    /// not been stopped, and nobody would wake him.
    fn status(self, level: &mut Passive) -> Status {
        match self {
            Self::Stopped => Status::INVALID_DEVICE_STATE,
            Self::Crowded => {
                delay(1, level);
                Status::SUCCESS
            }
        }
    }
}

/// Who wants what.
struct Wishes {
    /// Handles, and the setting.
    statistics: u32,
    /// Traces that want names.
    names: u32,
    /// Traces that run, a bit for each.
    traces: u32,
    /// What ETW wants: [`What::EVENTS`], [`What::NAMED_EVENTS`].
    events: u32,
}

impl Wishes {
    /// Whether anybody wants names.
    const fn names(&self) -> bool {
        self.names & self.traces != 0 || self.events & What::NAMED_EVENTS != 0
    }

    fn what(&self) -> u32 {
        let statistics = if self.statistics > 0 {
            What::STATISTICS
        } else {
            0
        };
        let names = if self.names() { What::NAMES } else { 0 };
        statistics | names | self.events | self.traces
    }
}

/// The trace of a client.
#[derive(Clone)]
pub struct Trace {
    /// Where its reader is.
    number: usize,
    /// Requests that read it look for its reader one at a time: the others wait here, and not in a door, which
    /// records and counts need.
    reading: NonPagedArc<Mutex<Reading>>,
    /// Where its client waits.
    parking: NonPagedArc<Parking>,
}

impl Observer {
    /// Observes nothing, or statistics if the settings say so.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new(settings: &Settings) -> Result<Self, Status> {
        memory::set_most(settings.observation_memory);
        let wishes = Wishes {
            statistics: settings.statistics.into(),
            names: 0,
            traces: 0,
            events: 0,
        };
        Ok(Self {
            what: AtomicU32::new(wishes.what()),
            volumes: Volumes::new(settings.statistics)?,
            statistics: Statistics::new()?,
            names: Names::new(settings.names, settings.ask_names)?,
            traces: Guests::try_new(TRACES)?,
            wishes: Mutex::try_new(wishes)?,
        })
    }

    /// What is observed at this moment. IRQL: any.
    pub fn what(&self) -> What {
        What(self.what.load(Ordering::Relaxed))
    }

    /// The volume of that name and kind, which is new if there is none.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; it is not observed then.
    pub fn volume(
        &self,
        name: UnicodeStr<'_>,
        kind: Kind,
        level: &mut Passive,
    ) -> Result<NonPagedArc<Volume>, Status> {
        let forgets =
            |volume: &Volume| !self.statistics.is_below(volume.place()) && self.have_told(volume);
        let appears = |volume: &Volume, counting: bool, level: &mut Passive| {
            self.statistics.prepare(volume.place())?;
            if counting {
                self.statistics.count(volume.place(), level);
            }
            // A trace that does not know it would leave it out without a word.
            self.each_reader(|reader| reader.appears(volume))
                .then_some(())
                .ok_or(Status::INSUFFICIENT_RESOURCES)
        };
        self.volumes
            .find_or_add(name, kind, level, forgets, appears)
    }

    /// Calls `body` with each trace that runs, or with none if too many look at them at this moment: which of both.
    fn each_reader(&self, body: impl FnMut(&Reader)) -> bool {
        let Some(look) = self.traces.look_uncounted() else {
            return false;
        };
        let readers = (0..TRACES).filter_map(|number| look.get(number));
        readers.for_each(body);
        true
    }

    /// Whether all traces that run have told the name of a volume.
    fn have_told(&self, volume: &Volume) -> bool {
        let mut all = true;
        self.each_reader(|reader| all &= reader.has_told(volume)) && all
    }

    /// Writes what was counted into `output`.
    pub fn statistics(&self, output: &mut [u8], level: &mut Passive) -> (Status, usize) {
        let Ok(mut sum) = NonPagedBox::<Sum>::try_zeroed() else {
            return (Status::INSUFFICIENT_RESOURCES, 0);
        };
        let Some(mut list) = StatisticsWriter::new(output) else {
            return (Status::BUFFER_TOO_SMALL, 0);
        };
        self.volumes.with(level, |table, _| {
            for volume in table.iter() {
                self.statistics.write(volume, &mut list, &mut sum);
            }
        });
        let (written, complete) = list.finish(|header| {
            header.frequency = time::ticks_per_second().into();
            header.now = time::ticks().into();
            header.kept = u32::from(self.what().counts()).into();
            header.forgotten = self.volumes.forgotten().into();
            header.missed = self.statistics.missed().into();
        });
        let status = if complete {
            Status::SUCCESS
        } else {
            Status::BUFFER_OVERFLOW
        };
        (status, written)
    }

    /// What is kept in memory.
    pub fn memory(&self, level: &mut Passive) -> Memory {
        let names = &self.names;
        let files = names.count(level.at_most_apc().at_most_dispatch());
        Memory {
            statistics: memory::kept(Purpose::Statistics).into(),
            traces: memory::kept(Purpose::Traces).into(),
            names: memory::kept(Purpose::Names).into(),
            most: memory::most().into(),
            files: u32::try_from(files).unwrap_or(u32::MAX).into(),
            most_files: u32::try_from(names.most()).unwrap_or(u32::MAX).into(),
            forgotten_names: names.forgotten().into(),
            asks_names: u32::from(names.asks()).into(),
        }
    }

    /// One more wants statistics, or one less.
    pub fn want_statistics(&self, more: bool, level: &mut Passive) {
        self.wishes.with(level, |wishes, level| {
            let before = wishes.statistics;
            wishes.statistics = if more {
                before.saturating_add(1)
            } else {
                before.saturating_sub(1)
            };
            match (before, wishes.statistics) {
                (0, 1) => {
                    self.statistics.begin();
                    self.count_all(true, level);
                    self.what.store(wishes.what(), Ordering::Relaxed);
                }
                (1, 0) => {
                    self.what.store(wishes.what(), Ordering::Relaxed);
                    self.count_all(false, level);
                    self.statistics.settle(level);
                }
                _ => {}
            }
        });
    }

    /// Whether volumes are counted from now on.
    fn count_all(&self, counting: bool, level: &mut Passive) {
        self.volumes.with(level, |table: &mut Table, level| {
            table.counting = counting;
            for volume in table.iter() {
                if counting {
                    self.statistics.count(volume.place(), level);
                } else {
                    self.statistics.count_no_more(volume.place(), level);
                }
            }
        });
    }

    /// Others want things than before: `change` says what. Names are found out from then on, or not any more,
    /// before anybody asks for them.
    fn wish<R>(
        &self,
        level: &mut Passive,
        change: impl FnOnce(&mut Wishes, &mut Passive) -> R,
    ) -> R {
        self.wishes.with(level, |wishes, level| {
            let had_names = wishes.names();
            let result = change(wishes, level);
            let has_names = wishes.names();
            if has_names && !had_names {
                self.names.begin(level);
            }
            self.what.store(wishes.what(), Ordering::Relaxed);
            if had_names && !has_names {
                self.names.end(level);
            }
            result
        })
    }

    /// ETW wants something else.
    pub fn etw_changed(&self, wanted: Wanted, level: &mut Passive) {
        let (requests, names) = etw::wants(wanted);
        self.wish(level, |wishes, _| {
            wishes.events = 0;
            if requests {
                wishes.events |= What::EVENTS;
            }
            if names {
                wishes.events |= What::NAMED_EVENTS;
            }
        });
    }

    /// Starts a trace.
    ///
    /// Errors: STATUS_TOO_MANY_SESSIONS, STATUS_INSUFFICIENT_RESOURCES.
    pub fn start(&self, filter: &Filter<'_>, level: &mut Passive) -> Result<Trace, Status> {
        let parking = NonPagedArc::try_new(Parking::new())?;
        let reading = NonPagedArc::try_new(Mutex::try_new(Reading::default())?)?;
        let reader = Reader::new(filter, parking.clone(), self.traces.missed())?;
        let names = filter.fixed.wanted.get() & wanted::NAMES != 0;
        self.wish(level, |wishes, level| {
            let number = (!wishes.traces).trailing_zeros() as usize;
            if number >= TRACES {
                return Err(Status::TOO_MANY_SESSIONS);
            }
            // Under the lock of the table, so that no volume comes between.
            self.volumes.with(level, |table, level| {
                table.iter().for_each(|volume| reader.appears(volume));
                self.traces.enter(number, reader, level)
            })?;
            wishes.traces |= 1 << number;
            wishes.names = wishes.names & !(1 << number) | u32::from(names) << number;
            Ok(Trace {
                number,
                reading,
                parking,
            })
        })
    }

    /// Stops a trace: what it has not been read of is dropped, who waits for it is told.
    pub fn stop(&self, trace: &Trace, level: &mut Passive) {
        self.wish(level, |wishes, level| {
            wishes.traces &= !(1 << trace.number);
            self.traces.leave(trace.number, level);
        });
        self.traces.settle(level);
        let level = level.at_most_apc().at_most_dispatch();
        // Nobody may wait.
        let _waited = trace.parking.complete(Status::CANCELLED, level);
    }

    /// Calls `body` with the reader of a trace, one request that reads it at a time.
    fn reading<R>(
        &self,
        trace: &Trace,
        level: &mut Passive,
        body: impl FnOnce(&Reader, &mut Reading, &mut Passive) -> R,
    ) -> Result<R, Unread> {
        trace.reading.with(level, |reading, level| {
            let look = self.traces.look_uncounted().ok_or(Unread::Crowded)?;
            let reader = look.get(trace.number).ok_or(Unread::Stopped)?;
            // Another trace may have its number by now.
            if !reader.waits_in(&trace.parking) {
                return Err(Unread::Stopped);
            }
            Ok(body(reader, reading, level))
        })
    }

    /// Answers `control` with what there is to read, or leaves it waiting for that: one at a time, another
    /// one gets STATUS_INVALID_DEVICE_STATE.
    pub fn read<'d, F: driver::Filter>(
        &self,
        trace: &Trace,
        control: DeviceControl<'d, F>,
        level: &mut Passive,
    ) -> Disposition<'d> {
        let is_empty = match self.reading(trace, level, |reader, _, _| reader.is_empty()) {
            Ok(is_empty) => is_empty,
            Err(unread) => return control.complete(unread.status(level), level.at_most_apc()),
        };
        if !is_empty {
            let missed = self.traces.missed();
            return control.answer_directly(level, |output, level| {
                self.reading(trace, level, |reader, reading, level| {
                    reader.read(reading, &self.volumes, missed, output, level)
                })
                .unwrap_or_else(|unread| (unread.status(level), 0))
            });
        }
        match control.park(&trace.parking, level.at_most_apc().at_most_dispatch()) {
            Ok(disposition) => {
                // Who stops the trace takes its reader out, and then the request. Here the request is there, and
                // then the reader is looked for: one of the two finds what the other has done.
                let ended = match self.reading(trace, level, |reader, _, _| reader.sleeps()) {
                    Ok(true) => None,
                    Ok(false) => Some(Status::SUCCESS),
                    Err(Unread::Stopped) => Some(Status::CANCELLED),
                    Err(Unread::Crowded) => Some(Unread::Crowded.status(level)),
                };
                if let Some(status) = ended {
                    let level = level.at_most_apc().at_most_dispatch();
                    // Somebody else may have been faster.
                    let _waited = trace.parking.complete(status, level);
                }
                disposition
            }
            Err(control) => control.complete(Status::INVALID_DEVICE_STATE, level.at_most_apc()),
        }
    }

    /// Something has come back: whoever traces it gets a record.
    fn record(&self, observation: &mut Observation, level: &mut AtMostDispatch) {
        let what = self.what();
        if what.events() {
            // Here, because the event needs more of the stack.
            let hundreds = time::in_100ns(observation.ticks);
            etw::write(observation, hundreds, what.0 & What::NAMED_EVENTS != 0);
        }
        let mut running = what.running().peekable();
        if running.peek().is_none() {
            return;
        }
        if let Some(look) = self.traces.look() {
            for reader in running.filter_map(|number| look.get(number)) {
                reader.record(observation, level);
            }
        }
    }
}
