//! Requests: passed on, observed, and seen to come back.

use super::names::{self, Named};
use super::naming;
use super::observation::{Counted, Observation, Subject, is_opened, outcome};
use super::volumes::{Volume, place_of};
use super::{Observer, What};
use crate::glass::Glass;
use fsglass_protocol::{Operation, trace};
use wdm::completion::Completion;
use wdm::driver::Driver;
use wdm::irp::{Came, CompletedIrp, Disposition, Irp};
use wdm::irql::{self, AtMostApc, AtMostDispatch, Passive};
use wdm::pool::NonPagedBox;

/// The observer of a driver.
const fn of(driver: &Driver<Glass>) -> &Observer {
    &driver.filter().observer
}

/// Passes `irp` on, and observes it. IRQL: ≤ APC_LEVEL (D3).
#[cold]
pub fn pass_through<'d>(irp: Irp<'d, Glass>, what: What, level: &mut AtMostApc) -> Disposition<'d> {
    let Some(subject) = Subject::of(&irp) else {
        return irp.forward_with(Unseen, level);
    };
    if what.traces()
        && let Ok(room) = NonPagedBox::try_uninit()
    {
        let observation = Observation::of(&irp, subject, what, level);
        return traced(irp, NonPagedBox::write(room, observation), what, level);
    }
    if what.counts() {
        return forward(irp, Counted::new(subject), subject, true, level);
    }
    forward(irp, Uncounted(subject.volume), subject, false, level)
}

/// Passes a request on; if it is `counted`, statistics know of it from then on.
fn forward<'d>(
    irp: Irp<'d, Glass>,
    completion: impl Completion<Glass>,
    subject: Subject,
    counted: bool,
    level: &mut AtMostApc,
) -> Disposition<'d> {
    let observer = of(irp.driver());
    irp.forward_counted(completion, level, |_| {
        if counted {
            observer
                .statistics
                .start(subject.place(), subject.operation);
        }
    })
}

/// Passes a request on that is traced.
fn traced<'d>(
    irp: Irp<'d, Glass>,
    mut observation: NonPagedBox<Observation>,
    what: What,
    level: &mut AtMostApc,
) -> Disposition<'d> {
    if what.names()
        && let Some(volume) = volume(&irp)
    {
        observation.named = naming::of_request(&irp, volume, level);
        if observation.subject.operation == Operation::CREATE
            && naming::asks(&irp, volume, level)
            && let Some(level) = level.passive()
        {
            return created(irp, observation, level);
        }
    }
    let (subject, counted) = (observation.subject, observation.counted);
    forward(irp, Traced(observation), subject, counted, level)
}

/// Waits for an IRP_MJ_CREATE, and asks for the name of what it has opened, before its sender hears of it.
///
/// Out of line, so that what it keeps meanwhile is not in the frame that every observed request has.
#[inline(never)]
fn created<'d>(
    irp: Irp<'d, Glass>,
    mut observation: NonPagedBox<Observation>,
    level: &mut Passive,
) -> Disposition<'d> {
    let observer = of(irp.driver());
    let (subject, counted) = (observation.subject, observation.counted);
    if counted {
        observer
            .statistics
            .start(subject.place(), subject.operation);
    }
    let returned = irp.forward_and_wait(level);
    observation.ends();
    let came = returned.came();
    if is_opened(came.status) {
        let renames = observer.statistics.renames(subject.place());
        let answer = returned.ask_opened_name(level);
        if let Some(name) = names::told(answer, observation.named.name.as_deref()) {
            observation.named = Named::told(name, renames);
        }
    }
    let at_most_dispatch = level.at_most_apc().at_most_dispatch();
    came_back(observation, observer, &came, at_most_dispatch);
    returned.resume(level)
}

/// The volume that a request is for, if it is observed.
fn volume<'i>(irp: &'i Irp<'_, Glass>) -> Option<&'i Volume> {
    irp.device().attachment().volume.as_deref()
}

impl Subject {
    fn of(irp: &Irp<'_, Glass>) -> Option<Self> {
        Some(Self {
            volume: volume(irp)?.number,
            operation: Operation::of_request(irp.major(), irp.is_paging_io())?,
        })
    }
}

/// The completion of a request that could not be observed.
struct Unseen;

impl Completion<Glass> for Unseen {
    fn completed(self, _irp: &CompletedIrp<'_, Glass>, _level: &mut AtMostDispatch) {}
}

/// A request on the volume of that number that is neither counted nor traced, for want of memory. A rename
/// makes names old all the same.
struct Uncounted(u32);

impl Completion<Glass> for Uncounted {
    fn completed(self, irp: &CompletedIrp<'_, Glass>, _level: &mut AtMostDispatch) {
        if let Some(driver) = irp.driver() {
            renamed(of(driver), irp, place_of(self.0));
        }
    }
}

/// Makes the names of a volume old, if the request has renamed something there.
fn renamed(observer: &Observer, irp: &CompletedIrp<'_, Glass>, place: usize) {
    if irp.set_class().is_some_and(names::renames) && irp.came().status.is_success() {
        observer.statistics.renamed(place);
    }
}

impl Completion<Glass> for Counted {
    fn completed(self, irp: &CompletedIrp<'_, Glass>, _level: &mut AtMostDispatch) {
        let (Some(driver), Some((place, operation))) = (irp.driver(), self.subject()) else {
            return;
        };
        let observer = of(driver);
        self.came_back(&observer.statistics, &irp.came());
        if operation == Operation::SET_INFORMATION {
            renamed(observer, irp, place);
        }
    }
}

impl Observation {
    fn of(irp: &Irp<'_, Glass>, subject: Subject, what: What, level: &AtMostApc) -> Self {
        let volume = irp.device().attachment().volume.as_ref();
        let mut observation = Self::new(subject, what, volume);
        let told = &mut observation.told;
        told.minor = irp.minor();
        told.irp_flags = irp.flags().into();
        told.file = irp.file().map_or(0, |file| file.number()).into();
        told.numbers = irp.numbers(level).map(Into::into);
        observation
    }

    /// Begins to observe a request that the caller waits for or finishes itself; `None` if nobody wants to
    /// know of it, or without memory. [`end`] ends it.
    pub fn begin(irp: &Irp<'_, Glass>, level: &AtMostApc) -> Option<NonPagedBox<Self>> {
        let what = of(irp.driver()).what();
        if what.is_nothing() {
            return None;
        }
        let subject = Subject::of(irp)?;
        let room = NonPagedBox::try_uninit().ok()?;
        Some(NonPagedBox::write(
            room,
            Self::of(irp, subject, what, level),
        ))
    }
}

/// What was begun by [`Observation::begin`] came back. Only now do statistics know of it: until it is passed on, it
/// may still fail here. IRQL: ≤ DISPATCH_LEVEL.
pub fn end(
    mut observation: NonPagedBox<Observation>,
    driver: &Driver<Glass>,
    came: &Came,
    level: &mut AtMostDispatch,
) {
    let observer = of(driver);
    observation.ends();
    if observation.counted {
        let subject = observation.subject;
        observer
            .statistics
            .start(subject.place(), subject.operation);
    }
    came_back(observation, observer, came, level);
}

/// It came back, and has ended: it is counted and recorded. IRQL: ≤ DISPATCH_LEVEL.
///
/// Out of line, and the last thing that is done for it: who jumps here has no frame any more.
#[inline(never)]
pub fn came_back(
    mut observation: NonPagedBox<Observation>,
    observer: &Observer,
    came: &Came,
    level: &mut AtMostDispatch,
) {
    let Observation {
        subject,
        told,
        named,
        ..
    } = &mut *observation;
    let (subject, operation) = (*subject, subject.operation);
    let irql = irql::current();
    told.status = came.status.bits().into();
    told.information = came.information.into();
    told.irql = irql;
    let mut flags = named.flags();
    if came.pended {
        flags |= trace::flags::PENDED;
    }
    if came.declined {
        flags |= trace::flags::DECLINED;
    }
    told.flags = flags.into();
    if operation == Operation::CREATE && is_opened(came.status) {
        observer
            .names
            .set(subject.volume, told.file.get(), named, level);
    }
    let renames = names::is_rename(operation, told.numbers) && came.status.is_success();
    if renames {
        observer.statistics.renamed(subject.place());
    }
    if observation.counted {
        let outcome = outcome(came, operation, observation.ticks, irql);
        observer
            .statistics
            .complete(subject.place(), operation, &outcome);
    }
    observer.record(&mut observation, level);
}

/// The completion of a request that is traced.
struct Traced(NonPagedBox<Observation>);

impl Completion<Glass> for Traced {
    fn completed(mut self, irp: &CompletedIrp<'_, Glass>, level: &mut AtMostDispatch) {
        if let Some(driver) = irp.driver() {
            self.0.ends();
            came_back(self.0, of(driver), &irp.came(), level);
        }
    }
}
