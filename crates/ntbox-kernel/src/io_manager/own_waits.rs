//! Who waits for a request that a driver has sent itself.
//!
//! The completion routine of such a request is given, by its context, the event that its sender waits for. When it
//! has stopped completion and signalled nothing, the sender waits for ever. An event is taken for the one of a
//! context where that lies on the stack of the sender, and the event in it or close behind: it can be nobody else's.
//! What is initialized there anew has nothing to do with what was sent before.
//!
//! The event that a request of the thread's list was built with is the I/O manager's to signal, until the request
//! is gone.

use crate::nt::IRP;
use crate::pe_image::crossing;
use crate::processor::thread;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a context that an event is looked for in.
const CONTEXT: usize = 256;

/// A request whose completion routine has a context on the stack of its sender.
struct Sent {
    /// Which sending it is: the request may be sent once more while the routine has not returned that has woken its
    /// sender.
    number: u64,
    irp: usize,
    context: usize,
    thread: u32,
    /// How many routines ran in that thread.
    depth: usize,
    /// The completion routine that has stopped it without signalling.
    stopped: usize,
    /// The event that the sender waits for without an end, and who waits; or 0.
    waits: (usize, usize),
}

impl Sent {
    fn has(&self, event: usize) -> bool {
        (self.context..self.context + CONTEXT).contains(&event)
    }
}

/// What is known.
#[derive(Default)]
struct Known {
    sent: Vec<Sent>,
    /// Requests in the lists of their threads, with their events.
    events: Vec<(usize, usize)>,
}

static KNOWN: Mutex<Known> = Mutex::new(Known {
    sent: Vec::new(),
    events: Vec::new(),
});
/// How much that is, for those who would look each time.
static COUNT: AtomicUsize = AtomicUsize::new(0);

struct Guard(MutexGuard<'static, Known>);

impl Drop for Guard {
    fn drop(&mut self) {
        let count = self.0.sent.len() + self.0.events.len();
        COUNT.store(count, Ordering::Release);
    }
}

fn lock() -> Guard {
    Guard(KNOWN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// `None` if nothing is known.
fn known() -> Option<Guard> {
    (COUNT.load(Ordering::Acquire) != 0).then(lock)
}

/// This thread sends a request of a driver's own, from inside so many routines, whose completion routine gets `context`.
pub(super) fn sent(irp: *mut IRP, context: usize, depth: usize) {
    let here = 0_u8;
    if !crossing::stack_in_use((&raw const here).addr()).contains(&context) {
        return;
    }
    note(irp, context, depth);
}

fn note(irp: *mut IRP, context: usize, depth: usize) {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let thread = thread::current().id();
    let mut known = lock();
    let same = |sent: &Sent| sent.irp == irp.addr() || sent.has(context) && sent.thread == thread;
    known.0.sent.retain(|sent| !same(sent));
    known.0.sent.push(Sent {
        number: NUMBER.fetch_add(1, Ordering::Relaxed),
        irp: irp.addr(),
        context,
        thread,
        depth,
        stopped: 0,
        waits: (0, 0),
    });
}

/// A request in the list of its thread is sent with this event.
pub(super) fn sent_with_event(irp: *mut IRP, event: usize) {
    let mut known = lock();
    known.0.events.retain(|(sent, _)| *sent != irp.addr());
    if event != 0 {
        known.0.events.push((irp.addr(), event));
    }
}

/// The request is gone, and has signalled its event or is about to.
pub(super) fn gone(irp: *mut IRP) {
    if let Some(mut known) = known() {
        known.0.events.retain(|(sent, _)| *sent != irp.addr());
    }
}

/// True if the event is one that the I/O manager is to signal.
pub fn is_of_request(event: usize) -> bool {
    known().is_some_and(|known| known.0.events.iter().any(|(_, of)| *of == event))
}

/// A driver has initialized an event there, or is about to signal it.
pub fn settled(event: usize) {
    if let Some(mut known) = known() {
        known.0.sent.retain(|sent| !sent.has(event));
    }
}

/// A dispatch routine has returned, out of so many routines of this thread: what lay on its stack is gone.
pub(super) fn returned(depth: usize) {
    if let Some(mut known) = known() {
        let thread = thread::current().id();
        let is_left = |sent: &Sent| sent.thread == thread && sent.depth >= depth;
        known.0.sent.retain(|sent| !is_left(sent));
    }
}

/// Which sending of the request its completion routine is entered for; 0 if nobody waits for it.
pub(super) fn number(irp: *const IRP) -> u64 {
    let of_request = |sent: &&Sent| sent.irp == irp.addr();
    known()
        .and_then(|known| known.0.sent.iter().find(of_request).map(|sent| sent.number))
        .unwrap_or_default()
}

/// The completion routine at `routine`, which was entered for the sending of that [`number`], has stopped the request,
/// or has not: the event that its sender waits for, and who waits, if it has signalled none.
pub(super) fn completed(number: u64, routine: usize, stopped: bool) -> Option<(usize, usize)> {
    let mut known = known()?;
    let sent = &mut known.0.sent;
    let index = sent.iter().position(|sent| sent.number == number)?;
    if !stopped {
        sent.swap_remove(index);
        return None;
    }
    let sent = &mut sent[index];
    sent.stopped = routine;
    (sent.waits.0 != 0).then_some(sent.waits)
}

/// The driver at `caller` is about to wait for `event` without an end: the completion routine that has not signalled
/// it, or 0 if that is to come; `None` if the event is of no request.
pub(super) fn wait_begins(event: usize, caller: usize) -> Option<usize> {
    let mut known = known()?;
    let thread = thread::current().id();
    let of_event = |sent: &&mut Sent| sent.thread == thread && sent.has(event);
    let sent = known.0.sent.iter_mut().find(of_event)?;
    sent.waits = (event, caller);
    Some(sent.stopped)
}

/// The wait for `event` has ended.
pub fn wait_ended(event: usize) {
    if let Some(mut known) = known() {
        known.0.sent.retain(|sent| sent.waits.0 != event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::without_provenance_mut;

    /// The routine that has woken the sender returns when the request is on its way again.
    #[test]
    fn a_routine_is_judged_by_the_sending_that_it_was_entered_for() {
        let (irp, context, event) = (without_provenance_mut(0x7000), 0x8000, 0x8010);
        assert_eq!(number(irp), 0);
        note(irp, context, 1);
        let first = number(irp);
        settled(event);
        assert_eq!(number(irp), 0);
        note(irp, context, 1);
        let second = number(irp);
        assert!(first != 0 && second != 0 && first != second);
        assert_eq!(wait_begins(event, 0x9), Some(0));
        assert_eq!(completed(first, 0x1, true), None);
        assert_eq!(completed(0, 0x1, true), None);
        assert_eq!(completed(second, 0x1, true), Some((event, 0x9)));
        wait_ended(event);
        assert_eq!(completed(second, 0x1, true), None);
    }
}
