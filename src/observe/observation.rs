//! What is known of one request or call while it is below.
//!
//! Statistics need to know of a request when it began, and which it is: both fit into the context of the
//! completion routine. A trace needs more, which lies in nonpaged pool; without memory for it the request is
//! counted only.

use super::names::Named;
use super::statistics::Statistics;
use super::told::Told;
use super::volumes::{Filtered, Volume, place_of};
use super::what::What;
use fsglass_protocol::Operation;
use observe::counters::Outcome;
use observe::stamp::Stamp;
use wdm::irp::Came;
use wdm::irql;
use wdm::pool::NonPagedArc;
use wdm::status::Status;
use wdm::{process, time};

/// What is asked of which volume.
#[derive(Clone, Copy)]
pub struct Subject {
    /// The number of the volume.
    pub volume: u32,
    /// What is asked for.
    pub operation: Operation,
}

impl Subject {
    /// The place of the volume.
    pub const fn place(self) -> usize {
        place_of(self.volume)
    }
}

/// A request or call that is counted, and not traced: when it was passed on, and which it is.
pub struct Counted(Stamp);

/// Operations have so many bits in a stamp.
const OPERATION_BITS: u32 = Operation::COUNT.next_power_of_two().trailing_zeros();

impl Counted {
    /// It is passed on now.
    pub fn new(subject: Subject) -> Self {
        let place = subject.place() as u32;
        let number = place << OPERATION_BITS | u32::from(subject.operation.number());
        Self(Stamp::new(time::ticks(), number))
    }

    /// The place of its volume, and what was asked for.
    pub fn subject(&self) -> Option<(usize, Operation)> {
        let number = self.0.number();
        let operation = number % (1 << OPERATION_BITS);
        let operation = Operation::from_number(operation as u8)?;
        Some(((number >> OPERATION_BITS) as usize, operation))
    }

    /// It came back: it is counted. IRQL: ≤ DISPATCH_LEVEL.
    #[inline(always)]
    pub fn came_back(self, statistics: &Statistics, came: &Came) {
        let ticks = self.0.elapsed(time::ticks());
        if let Some((place, operation)) = self.subject() {
            let outcome = outcome(came, operation, ticks, irql::current());
            statistics.complete(place, operation, &outcome);
        }
    }
}

/// How an operation came back that has taken so many ticks, at that level.
pub fn outcome(came: &Came, operation: Operation, ticks: u64, irql: u8) -> Outcome {
    /// The severity of an error, in the two highest bits of a status.
    const ERROR: u32 = 3;
    let status = came.status.bits();
    let moved = operation.transfers() && status >> 30 != ERROR;
    Outcome {
        status,
        information: came.information,
        bytes: if moved { came.information } else { 0 },
        ticks,
        pended: came.pended,
        at_dispatch: irql >= irql::DISPATCH,
        declined: came.declined,
    }
}

/// Whether a create with this status has opened its file: where it meets a reparse point, another create
/// follows and no close.
pub fn is_opened(status: Status) -> bool {
    status.is_success() && status != Status::REPARSE
}

/// What a trace knows of a request, a call of fast I/O or an FsFilter operation, before it comes back and then.
pub struct Observation {
    /// When it was passed on, in ticks.
    pub started: u64,
    /// How long it was below, in ticks.
    pub ticks: u64,
    /// What is asked of which volume.
    pub subject: Subject,
    /// Whether the statistics know of it.
    pub counted: bool,
    /// What is told of it.
    pub told: Told,
    /// The name of its file, if that is wanted and known.
    pub named: Named,
    /// Its volume, for events.
    pub volume: Option<NonPagedArc<Volume>>,
}

impl Observation {
    /// Of what is passed on now.
    pub fn new(subject: Subject, what: What, volume: Option<&Filtered>) -> Self {
        Self {
            started: time::ticks(),
            ticks: 0,
            subject,
            counted: what.counts(),
            told: Told::new(process::current_process_id(), process::current_thread_id()),
            named: Named::default(),
            volume: volume
                .filter(|_| what.events())
                .map(|volume| volume.shared()),
        }
    }

    /// It has come back, at this moment.
    pub fn ends(&mut self) {
        self.ticks = time::since(self.started);
    }
}
