//! One call of fast I/O, or one FsFilter operation, while it is below.

use super::observation::{Counted, Observation, Subject};
use super::requests::came_back;
use super::{Observer, What};
use crate::glass::Glass;
use fsglass_protocol::Operation;
use wdm::device::FilterDevice;
use wdm::driver::Driver;
use wdm::fast_io::FastIoCall;
use wdm::irp::Came;
use wdm::irql::AtMostDispatch;
use wdm::pool::NonPagedBox;

// Both number the calls of fast I/O, and behind them the FsFilter operations.
const _: () = assert!(FastIoCall::FIRST_FILTER_OPERATION == Operation::FIRST_FILTER_CALL);

/// What is kept of a call.
pub enum Call {
    /// It is counted, and not traced.
    Counted(Counted),
    /// It is traced.
    Traced(NonPagedBox<Observation>),
}

/// A call is passed on: what is known of it, if somebody wants to know.
pub fn begins(
    device: &FilterDevice<Glass>,
    call: impl FnOnce() -> FastIoCall,
    level: &mut AtMostDispatch,
) -> Option<Call> {
    let what = device.driver().filter().observer.what();
    if what.is_nothing() {
        return None;
    }
    observed(device, &call(), what, level)
}

#[cold]
fn observed(
    device: &FilterDevice<Glass>,
    call: &FastIoCall,
    what: What,
    level: &mut AtMostDispatch,
) -> Option<Call> {
    let observer = &device.driver().filter().observer;
    let volume = device.attachment().volume.as_ref()?;
    let subject = Subject {
        volume: volume.number,
        operation: Operation::from_call(call.entry)?,
    };
    let room = what.traces().then(NonPagedBox::try_uninit);
    if what.counts() {
        observer
            .statistics
            .start(subject.place(), subject.operation);
    }
    if let Some(Ok(room)) = room {
        let mut observation = Observation::new(subject, what, Some(volume));
        if what.names() {
            let (names, statistics) = (&observer.names, &observer.statistics);
            observation.named = names.find(statistics, subject.volume, call.file, level);
        }
        observation.told.file = call.file.into();
        observation.told.numbers = call.numbers.map(Into::into);
        return Some(Call::Traced(NonPagedBox::write(room, observation)));
    }
    what.counts().then(|| Call::Counted(Counted::new(subject)))
}

/// It has returned.
#[cold]
pub fn ends(driver: &Driver<Glass>, call: Call, came: &Came, level: &mut AtMostDispatch) {
    let observer = &driver.filter().observer;
    match call {
        Call::Traced(mut observation) => {
            observation.ends();
            came_back(observation, observer, came, level);
        }
        Call::Counted(counted) => count(counted, observer, came),
    }
}

/// Out of line: what is traced needs more of the stack, and no frame of this.
#[inline(never)]
fn count(counted: Counted, observer: &Observer, came: &Came) {
    counted.came_back(&observer.statistics, came);
}

/// Nobody will hear when it ends.
#[cold]
pub fn forgotten(driver: &Driver<Glass>, call: Call) {
    let statistics = &driver.filter().observer.statistics;
    match call {
        Call::Traced(observation) if observation.counted => {
            let subject = observation.subject;
            statistics.forget(subject.place(), subject.operation);
        }
        Call::Traced(_) => {}
        Call::Counted(counted) => {
            if let Some((place, operation)) = counted.subject() {
                statistics.forget(place, operation);
            }
        }
    }
}
