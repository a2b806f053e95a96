//! Observation: statistics and traces of what passes. Off, it costs a request one load and one branch.
//!
//! | module | keeps |
//! |---|---|
//! | [`volumes`] | the volumes that there were, and what was counted of each |
//! | [`observation`] | one request, or call of fast I/O, while it is below |
//! | [`etw`] | the same as events for ETW |
//! | [`names`] | what open files are called |
//! | [`reader`] | one trace: its filter, its rings, and who waits for it |
//!
//! Nothing here waits, and no request fails or is delayed because it could not be observed (P2): what
//! finds no memory passes unobserved, what finds no room in a ring is counted as lost.

mod etw;
mod names;
mod observation;
mod reader;
mod volumes;

pub use etw::PROVIDER;
pub use observation::{Came, Observation, fast_io_begins, fast_io_ends, pass_through};
pub use reader::Reader;
pub use volumes::{Filtered, Volume};

use crate::glass::Glass;
use core::sync::atomic::{AtomicU32, Ordering};
use fsglass_protocol::trace::{Filter, wanted};
use names::Names;
use observation::Completed;
use volumes::Volumes;
use wdm::driver::Driver;
use wdm::etw::Wanted;
use wdm::irp::{DeviceControl, Disposition, Parking};
use wdm::irql::{AtMostDispatch, Passive};
use wdm::pool::{NonPagedArc, NonPagedBox};
use wdm::status::Status;
use wdm::sync::{Guest, Mutex};

/// How many traces can run at the same time.
const TRACES: usize = 8;

/// What is observed, as one word that each request reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct What(u32);

impl What {
    const STATISTICS: u32 = 1 << 31;
    const NAMES: u32 = 1 << 30;
    const EVENTS: u32 = 1 << 29;
    /// Whether the events have names.
    const NAMED_EVENTS: u32 = 1 << 28;

    /// Almost always.
    pub const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    const fn counts(self) -> bool {
        self.0 & Self::STATISTICS != 0
    }

    /// Whether any trace runs, or ETW wants events.
    const fn traces(self) -> bool {
        self.0 & (((1 << TRACES) - 1) | Self::EVENTS) != 0
    }

    /// Whether any of them wants names.
    const fn names(self) -> bool {
        self.0 & Self::NAMES != 0
    }

    const fn trace(self, number: usize) -> bool {
        self.0 & (1 << number) != 0
    }
}

/// What the driver observes, and for whom.
pub struct Observer {
    /// A [`What`]; written under `wishes`.
    what: AtomicU32,
    wishes: Mutex<Wishes>,
    volumes: Volumes,
    names: Names,
    traces: [Guest<Reader>; TRACES],
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
    /// Where its client waits.
    parking: NonPagedArc<Parking>,
}

impl Observer {
    /// Observes nothing, or statistics if the setting says so.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new(statistics: bool) -> Result<Self, Status> {
        let wishes = Wishes {
            statistics: statistics.into(),
            names: 0,
            traces: 0,
            events: 0,
        };
        let guest = Guest::try_new;
        Ok(Self {
            what: AtomicU32::new(wishes.what()),
            wishes: Mutex::try_new(wishes)?,
            volumes: Volumes::new()?,
            names: Names::new()?,
            traces: [
                guest()?,
                guest()?,
                guest()?,
                guest()?,
                guest()?,
                guest()?,
                guest()?,
                guest()?,
            ],
        })
    }

    /// What is observed at this moment. IRQL: any.
    pub fn what(&self) -> What {
        What(self.what.load(Ordering::Relaxed))
    }

    /// The volumes.
    pub const fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    /// Writes what was counted into `output`.
    pub fn statistics(&self, output: &mut [u8]) -> (Status, usize) {
        self.volumes.write(output, self.what().counts())
    }

    /// The names of open files.
    const fn names(&self) -> &Names {
        &self.names
    }

    fn wish<R>(&self, level: &mut Passive, change: impl FnOnce(&mut Wishes) -> R) -> R {
        self.wishes.with(level, |wishes, _| {
            let result = change(wishes);
            self.what.store(wishes.what(), Ordering::Relaxed);
            result
        })
    }

    /// One more wants statistics.
    pub fn want_statistics(&self, level: &mut Passive) {
        self.wish(level, |wishes| {
            wishes.statistics = wishes.statistics.saturating_add(1);
        });
    }

    /// One of them does so no longer.
    pub fn want_no_statistics(&self, level: &mut Passive) {
        self.wish(level, |wishes| {
            wishes.statistics = wishes.statistics.saturating_sub(1);
        });
    }

    /// ETW wants something else.
    pub fn etw_changed(&self, wanted: Wanted, level: &mut Passive) {
        let (requests, names) = etw::wants(wanted);
        self.wishes.with(level, |wishes, level| {
            let had_names = wishes.names();
            wishes.events = 0;
            if requests {
                wishes.events |= What::EVENTS;
            }
            if names {
                wishes.events |= What::NAMED_EVENTS;
            }
            if had_names != wishes.names() {
                self.names.clear(level.at_most_apc().at_most_dispatch());
            }
            self.what.store(wishes.what(), Ordering::Relaxed);
        });
    }

    /// Starts a trace.
    ///
    /// Errors: STATUS_TOO_MANY_SESSIONS, STATUS_INSUFFICIENT_RESOURCES.
    pub fn start(&self, filter: &Filter<'_>, level: &mut Passive) -> Result<Trace, Status> {
        let parking = NonPagedArc::try_new(Parking::new())?;
        let reader = NonPagedBox::try_new(Reader::new(filter, parking.clone())?)?;
        let names = filter.fixed.wanted.get() & wanted::NAMES != 0;
        self.wishes.with(level, |wishes, level| {
            if !wishes.names() {
                // What is left from before belongs to file objects that may be gone.
                self.names.clear(level.at_most_apc().at_most_dispatch());
            }
            let number = (!wishes.traces).trailing_zeros() as usize;
            let guest = self.traces.get(number).ok_or(Status::TOO_MANY_SESSIONS)?;
            // It is empty: a trace gives its number back when its reader has left.
            guest.enter(reader).map_err(|_| Status::TOO_MANY_SESSIONS)?;
            wishes.traces |= 1 << number;
            wishes.names = wishes.names & !(1 << number) | u32::from(names) << number;
            self.what.store(wishes.what(), Ordering::Relaxed);
            Ok(Trace { number, parking })
        })
    }

    /// Stops a trace: what it has not been read of is dropped, who waits for it is told.
    pub fn stop(&self, trace: &Trace, level: &mut Passive) {
        self.wishes.with(level, |wishes, level| {
            let traces = wishes.traces & !(1 << trace.number);
            self.what
                .store(Wishes { traces, ..*wishes }.what(), Ordering::Relaxed);
            let guest = self.traces.get(trace.number);
            drop(guest.and_then(|guest| guest.leave(level)));
            wishes.traces = traces;
            if !wishes.names() {
                self.names.clear(level.at_most_apc().at_most_dispatch());
            }
        });
        if let Some(waiting) = trace.parking.take(level.at_most_apc().at_most_dispatch()) {
            waiting.complete(Status::CANCELLED);
        }
    }

    /// Answers `control` with what there is to read, or leaves it waiting for that: one at a time, another
    /// one gets STATUS_INVALID_DEVICE_STATE.
    pub fn read<'d>(
        &self,
        trace: &Trace,
        control: DeviceControl<'d, Glass>,
        level: &mut Passive,
    ) -> Disposition<'d> {
        let Some(reader) = self.traces.get(trace.number).and_then(Guest::look) else {
            return control.complete(Status::INVALID_DEVICE_STATE);
        };
        if !reader.is_empty(level) {
            return control.answer(|output| reader.read(&self.volumes, output, level));
        }
        match control.park(&trace.parking, level.at_most_apc().at_most_dispatch()) {
            Ok(disposition) => {
                if !reader.sleeps(level)
                    && let Some(waiting) =
                        trace.parking.take(level.at_most_apc().at_most_dispatch())
                {
                    waiting.complete(Status::SUCCESS);
                }
                disposition
            }
            Err(control) => control.complete(Status::INVALID_DEVICE_STATE),
        }
    }

    /// Something has come back: whoever traces it gets a record.
    fn record(&self, completed: &Completed<'_>, level: &mut AtMostDispatch) {
        let what = self.what();
        if what.0 & What::EVENTS != 0 {
            etw::write(completed, what.0 & What::NAMED_EVENTS != 0);
        }
        for (number, trace) in self.traces.iter().enumerate() {
            if what.trace(number)
                && let Some(reader) = trace.look()
            {
                reader.record(completed, level);
            }
        }
    }
}

/// The observer of a driver.
const fn of(driver: &Driver<Glass>) -> &Observer {
    &driver.filter().observer
}
