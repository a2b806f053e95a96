//! Requests that are cancelled while a driver has them.
//!
//! A program's other threads may cancel a request at any moment, also one that is on its way down: before a driver has
//! it, between two of its calls, while it waits, while it holds the request in a queue of its own. When that happens
//! is said beforehand with the call ([`identity`]), so that a run is the same again with the same seed; another thread
//! does it, while that of the request stands still. That one is the request's originator: the request is not freed
//! until it goes on, as its second stage is an APC of that thread.
//!
//! A driver that keeps such a request has to look whether it is cancelled when it has set its cancel routine: nobody
//! calls that any more.

#![expect(
    unsafe_code,
    reason = "the request is cancelled by another thread than its own"
)]

pub use super::identity::Moment;
use super::tracker::{Reference, Tracker};
use super::{cancel, identity, irp as requests};
use crate::nt::{DISPATCH_LEVEL, IRP};
use crate::processor::{irql, thread};
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What is to be cancelled.
#[derive(Clone, Copy)]
struct Due {
    irp: *mut IRP,
    moment: Moment,
    tracker: *const Tracker,
}

thread_local! {
    static DUE: Cell<Option<Due>> = const { Cell::new(None) };
}

/// How long a thread stands still for another that cancels its request: for ever, if a driver did not keep that
/// one in its cancel routine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls `send`, which sends the request of this thread's call: it is cancelled at the moment that was wanted.
///
/// # Safety
/// `irp` is alive, and its second stage needs this thread.
pub unsafe fn during<R>(irp: *mut IRP, send: impl FnOnce() -> R) -> R {
    let wanted = identity::current().wanted.cancel_at;
    // SAFETY: contract.
    let tracker = unsafe { requests::tracker(irp) };
    let (Some(moment), Some(tracker)) = (wanted, tracker) else {
        return send();
    };
    // SAFETY: the tracker of a live request.
    let (reference, ()) = unsafe { Reference::another(tracker, |_| ()) };
    let due = Due {
        irp,
        moment,
        tracker: &raw const *reference,
    };
    let before = DUE.replace(Some(due));
    let result = send();
    at(Moment::Held, irp);
    DUE.set(before);
    result
}

/// The way of a request has come to `moment` with `irp`, or with whichever it has if that is null.
pub fn at(moment: Moment, irp: *const IRP) {
    let Some(due) = DUE.get() else { return };
    if due.moment != moment || !irp.is_null() && irp != due.irp.cast_const() {
        return;
    }
    // A cancel routine may want the lock that is held now.
    if irql::current() >= DISPATCH_LEVEL {
        return;
    }
    DUE.set(None);
    // SAFETY: `during` keeps it.
    if unsafe { &*due.tracker }.lock().is_finished() {
        return;
    }
    let (tell, told) = channel();
    let order = (due.irp.expose_provenance(), tell);
    if canceller().send(order).is_ok() {
        // An error means that it takes too long, or that the thread has ended: the run goes on.
        let _ = told.recv_timeout(PATIENCE);
    }
}

type Order = (usize, Sender<()>);

/// The thread that cancels.
fn canceller() -> &'static Sender<Order> {
    static CANCELLER: OnceLock<Sender<Order>> = OnceLock::new();
    CANCELLER.get_or_init(|| {
        let (give, take): (_, Receiver<Order>) = channel();
        let _ = thread::spawn("canceller", move || {
            for (irp, done) in take {
                let irp = std::ptr::with_exposed_provenance_mut(irp);
                // SAFETY: not finished a moment ago, and not freed while its thread waits for this one.
                unsafe { cancel::cancel(irp, 0) };
                // Whoever does not wait any more has gone on.
                let _ = done.send(());
            }
        });
        give
    })
}
