//! One request, or call of fast I/O, while it is below.
//!
//! Statistics need to know of a request when it began, and of which volume it is: both fit into the
//! context of the completion routine. A trace needs more, which lies in nonpaged pool; without memory for
//! it the request is counted only.

use super::names::{self, Name, Rename};
use super::{Observer, Volume, What, of};
use crate::glass::Glass;
use fsglass_protocol::{Operation, trace};
use observe::counters::Outcome;
use observe::stamp::Stamp;
use wdm::completion::Completion;
use wdm::device::FilterDevice;
use wdm::driver::Driver;
use wdm::fast_io::{FastIoCall, FastIoResult};
use wdm::irp::{CompletedIrp, Disposition, Irp};
use wdm::irql::{self, AtMostApc, AtMostDispatch};
use wdm::pool::{NonPagedArc, NonPagedBox};
use wdm::status::Status;
use wdm::{process, time};

/// Passes `irp` on, and observes it. IRQL: ≤ APC_LEVEL (D3).
#[cold]
pub fn pass_through<'d>(irp: Irp<'d, Glass>, what: What, level: &mut AtMostApc) -> Disposition<'d> {
    let driver = irp.driver();
    let (Some(volume), Some(operation)) = (volume(&irp), Operation::from_number(irp.major()))
    else {
        return irp.forward_with(Unseen);
    };
    let number = volume.number;
    let counted = what.counts() && volume.counters(operation).is_ok();
    let start = |irp: &Irp<'_, Glass>| {
        if let Some(volume) = self::volume(irp) {
            start(volume, operation, counted);
        }
    };
    let renames = what.names() && names::is_rename(&irp, level);
    if what.traces() {
        let mut observation = Observation::of(&irp, number, operation, counted, level);
        if what.names() {
            observation.name = names::of_request(&irp, volume, level);
            if let Some(rename) = Rename::of(&irp, observation.name.as_ref(), level) {
                return wait_for(rename, irp, &observation);
            }
            observation.renames = renames;
        }
        if let Ok(traced) = NonPagedBox::try_new(observation) {
            return irp.forward_counted(traced, start);
        }
    }
    let disposition = if counted {
        irp.forward_counted(Counted::new(number), start)
    } else {
        irp.forward_with(Unseen)
    };
    if renames {
        // Nobody will hear when it is done; it may be by now.
        let names = of(driver).names();
        names.renamed_somehow(number, level.at_most_dispatch());
    }
    disposition
}

/// The volume that a request is for, if it is observed.
fn volume<'i>(irp: &'i Irp<'_, Glass>) -> Option<&'i Volume> {
    irp.device().attachment().volume.as_deref()
}

/// A rename, of which the file system is asked for the new name before anybody else hears of it.
fn wait_for<'d>(
    rename: Rename<'_>,
    irp: Irp<'d, Glass>,
    observation: &Observation,
) -> Disposition<'d> {
    let returned = irp.forward_and_wait(rename.level);
    let status = returned.status();
    let came = Came {
        status,
        information: returned.information() as u64,
        pended: returned.pending_returned(),
    };
    let level = rename.level.at_most_apc().at_most_dispatch();
    observation.end(returned.driver(), &came, level);
    if status.is_success() {
        rename.done(&returned, observation.volume);
    }
    returned.resume()
}

/// Counts that something is passed on.
fn start(volume: &Volume, operation: Operation, counted: bool) {
    if counted
        && let Ok(counters) = volume.counters(operation)
        && let Some(counters) = counters.current()
    {
        counters.start();
    }
}

/// The completion of a request that could not be observed.
struct Unseen;

impl Completion<Glass> for Unseen {
    fn completed(self, _irp: &CompletedIrp<'_, Glass>, _level: &mut AtMostDispatch) {}
}

/// A request that is counted, and not traced: when it was passed on, and the number of its volume.
struct Counted(Stamp);

impl Counted {
    fn new(volume: u32) -> Self {
        Self(Stamp::new(time::ticks(), volume))
    }
}

impl Completion<Glass> for Counted {
    fn completed(self, irp: &CompletedIrp<'_, Glass>, _level: &mut AtMostDispatch) {
        let ticks = self.0.elapsed(time::ticks());
        let (Some(driver), Some(operation)) = (irp.driver(), Operation::from_number(irp.major()))
        else {
            return;
        };
        if let Some(volume) = of(driver).volumes().get(self.0.number()) {
            volume.complete(operation, &outcome(operation, irp, ticks));
        }
    }
}

/// How a request completed.
fn outcome(operation: Operation, irp: &CompletedIrp<'_, Glass>, ticks: u64) -> Outcome {
    Outcome {
        status: irp.status().bits(),
        bytes: transferred(operation, irp.status(), irp.information() as u64),
        ticks,
        pended: irp.pending_returned(),
        at_dispatch: irql::current() >= irql::DISPATCH,
        declined: false,
    }
}

/// Whether a create with this status has opened its file: where it meets a reparse point, another create
/// follows and no close.
const fn is_opened(status: u32) -> bool {
    status >> 31 == 0 && status != Status::REPARSE.bits()
}

/// The severity of an error, in the two highest bits of a status.
const ERROR: u32 = 3;

/// The bytes among what operations tell.
fn transferred(operation: Operation, status: Status, information: u64) -> u64 {
    if operation.transfers() && status.bits() >> 30 != ERROR {
        information
    } else {
        0
    }
}

/// What a trace knows of a request, or of a call of fast I/O, before it comes back.
pub struct Observation {
    /// When it was passed on, in ticks.
    pub started: u64,
    /// The number of its volume.
    pub volume: u32,
    /// What was asked for.
    pub operation: Operation,
    /// The minor function.
    pub minor: u8,
    /// Whether the statistics know of it.
    counted: bool,
    /// `Irp->Flags`.
    pub irp_flags: u32,
    /// Who sent it.
    pub process: u32,
    /// Who sent it.
    pub thread: u32,
    /// Its file object.
    pub file: u64,
    /// What matters for that operation.
    pub numbers: [u64; 2],
    /// The name of its file, if that is wanted and known.
    name: Option<NonPagedArc<Name>>,
    /// Whether the file may be called otherwise afterwards.
    renames: bool,
}

/// How a request came back that this driver finishes itself.
pub struct Came {
    /// `IoStatus.Status`.
    pub status: Status,
    /// `IoStatus.Information`.
    pub information: u64,
    /// Whether a driver below returned STATUS_PENDING.
    pub pended: bool,
}

/// What came back.
pub struct Completed<'o> {
    /// What was known before.
    pub observation: &'o Observation,
    /// Its volume.
    pub volume: &'o Volume,
    /// How it came back.
    pub outcome: Outcome,
    /// `IoStatus.Information`.
    pub information: u64,
    /// The level at which it came back.
    pub irql: u8,
    /// [`trace::flags`].
    pub flags: u32,
    /// The name of its file.
    pub name: &'o [u16],
}

impl Observation {
    fn of(
        irp: &Irp<'_, Glass>,
        volume: u32,
        operation: Operation,
        counted: bool,
        level: &AtMostApc,
    ) -> Self {
        Self {
            started: time::ticks(),
            volume,
            operation,
            minor: irp.minor(),
            counted,
            irp_flags: irp.flags(),
            process: process::current_process_id(),
            thread: process::current_thread_id(),
            file: irp.file().map_or(0, |file| file.number()),
            numbers: irp.numbers(level),
            name: None,
            renames: false,
        }
    }

    /// Begins to observe a request that the caller waits for or finishes itself; `None` if nobody wants to
    /// know of it. [`Observation::end`] ends it.
    pub fn begin(irp: &Irp<'_, Glass>, level: &AtMostApc) -> Option<Self> {
        let what = of(irp.driver()).what();
        if what.is_nothing() {
            return None;
        }
        let volume = volume(irp)?;
        let operation = Operation::from_number(irp.major())?;
        let counted = what.counts() && volume.counters(operation).is_ok();
        Some(Self::of(irp, volume.number, operation, counted, level))
    }

    /// It came back. Only now do statistics know of it: until it is passed on, it may
    /// still fail here.
    pub fn end(&self, driver: &Driver<Glass>, came: &Came, level: &mut AtMostDispatch) {
        let outcome = Outcome {
            status: came.status.bits(),
            bytes: transferred(self.operation, came.status, came.information),
            ticks: time::since(self.started),
            pended: came.pended,
            at_dispatch: irql::current() >= irql::DISPATCH,
            declined: false,
        };
        if let Some(volume) = of(driver).volumes().get(self.volume) {
            start(volume, self.operation, self.counted);
        }
        self.came_back(of(driver), outcome, came.information, level);
    }

    fn came_back(
        &self,
        observer: &Observer,
        outcome: Outcome,
        information: u64,
        level: &mut AtMostDispatch,
    ) {
        let Some(volume) = observer.volumes().get(self.volume) else {
            return;
        };
        if self.counted {
            volume.complete(self.operation, &outcome);
        }
        let names = observer.names();
        let mut flags = trace::flags::NAME_UNKNOWN;
        if let Some(name) = &self.name {
            flags = name.flags;
            if self.operation == Operation::CREATE && is_opened(outcome.status) {
                names.set(self.volume, self.file, name, level);
            }
        }
        if self.renames && outcome.status >> 31 == 0 {
            names.renamed_somehow(self.volume, level);
        }
        if outcome.pended {
            flags |= trace::flags::PENDED;
        }
        if outcome.declined {
            flags |= trace::flags::DECLINED;
        }
        let completed = Completed {
            observation: self,
            volume,
            outcome,
            information,
            irql: irql::current(),
            flags,
            name: self.name.as_ref().map_or(&[], |name| name.units()),
        };
        observer.record(&completed, level);
    }
}

impl Completion<Glass> for Observation {
    fn completed(self, irp: &CompletedIrp<'_, Glass>, level: &mut AtMostDispatch) {
        let ticks = time::since(self.started);
        let Some(driver) = irp.driver() else {
            return;
        };
        let outcome = outcome(self.operation, irp, ticks);
        self.came_back(of(driver), outcome, irp.information() as u64, level);
    }
}

/// A call of fast I/O is passed on: what is known of it, if somebody wants to know.
pub fn fast_io_begins(
    device: &FilterDevice<Glass>,
    call: impl FnOnce() -> FastIoCall,
    level: &mut AtMostDispatch,
) -> Option<Observation> {
    let what = of(device.driver()).what();
    if what.is_nothing() {
        return None;
    }
    fast_io(device, &call(), what, level)
}

#[cold]
fn fast_io(
    device: &FilterDevice<Glass>,
    call: &FastIoCall,
    what: What,
    level: &mut AtMostDispatch,
) -> Option<Observation> {
    let volume = device.attachment().volume.as_deref()?;
    let operation = Operation::from_fast_io(call.entry)?;
    let counted = what.counts() && volume.counters(operation).is_ok();
    let name = if what.names() {
        of(device.driver())
            .names()
            .find(volume.number, call.file, level)
    } else {
        None
    };
    start(volume, operation, counted);
    Some(Observation {
        started: time::ticks(),
        volume: volume.number,
        operation,
        minor: 0,
        counted,
        irp_flags: 0,
        process: process::current_process_id(),
        thread: process::current_thread_id(),
        file: call.file,
        numbers: call.numbers,
        name,
        renames: false,
    })
}

/// A call of fast I/O has returned.
#[cold]
pub fn fast_io_ends(
    driver: &Driver<Glass>,
    observation: &Observation,
    result: &FastIoResult,
    level: &mut AtMostDispatch,
) {
    let ticks = time::since(observation.started);
    let outcome = Outcome {
        status: result.status.bits(),
        bytes: transferred(observation.operation, result.status, result.information),
        ticks,
        pended: false,
        at_dispatch: irql::current() >= irql::DISPATCH,
        declined: !result.taken,
    };
    observation.came_back(of(driver), outcome, result.information, level);
}
