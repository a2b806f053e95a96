//! Status blocks and events on the kernel stack of the thread that a request belongs to.
//!
//! The I/O manager writes to them when the request completes. A routine that has them on its stack must not return
//! before that: a wait that ended because its time was over, or none at all, leaves them to whoever has that stack
//! next. It is seen when a dispatch routine returns, and else when the request completes; what lies on a stack
//! that is gone is not written to.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are read in place"
)]

use super::checks;
use crate::nt::{APC_LEVEL, IRP};
use crate::pe_image::{self, crossing};
use crate::pool::active;
use crate::processor::{irql, thread};
use crate::verifier::{self, Rule, rules};
use std::cell::RefCell;

/// A request of a driver of this thread that has not completed.
struct Sent {
    irp: *mut IRP,
    places: Places,
    /// Whose place is gone.
    gone: Gone,
    /// Who sent it.
    site: usize,
}

/// Where the I/O manager writes to.
#[derive(Clone, Copy)]
struct Places {
    status_block: usize,
    event: usize,
}

/// What must not be written to any more.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) status_block: bool,
    pub(super) event: bool,
}

thread_local! {
    static SENT: RefCell<Vec<Sent>> = const { RefCell::new(Vec::new()) };
}

impl Places {
    /// # Safety
    /// `irp` is alive.
    unsafe fn of(irp: *mut IRP) -> Self {
        // SAFETY: contract.
        let status_block = unsafe { (*irp).Anonymous.UserIosb };
        // SAFETY: contract.
        let event = unsafe { (*irp).UserEvent };
        Self {
            status_block: status_block.addr(),
            event: event.addr(),
        }
    }

    /// What of them lies on the part of this thread's kernel stack that nobody has any more. `here` is in a frame
    /// of the box, below all that drivers have.
    fn gone(self, here: usize) -> Gone {
        let unused = crossing::stack_unused(here);
        Gone {
            status_block: unused.contains(&self.status_block),
            event: unused.contains(&self.event),
        }
    }
}

/// `site` sends a request of its own that the I/O manager ends.
///
/// # Safety
/// `irp` is alive, and the caller's.
pub(super) unsafe fn sent(irp: *mut IRP, site: usize) {
    // SAFETY: contract.
    let places = unsafe { Places::of(irp) };
    SENT.with_borrow_mut(|sent| {
        // It may be passed on again, by those below.
        if !sent.iter().any(|sent| sent.irp == irp) {
            let gone = Gone::default();
            sent.push(Sent {
                irp,
                places,
                gone,
                site,
            });
        }
    });
}

/// The dispatch routine at `routine` has returned to the box, which is at `here` on its stack.
pub(super) fn returned(routine: usize, here: usize) {
    active::stack_is_left(here, routine);
    if SENT.with_borrow(Vec::is_empty) {
        return;
    }
    if irql::current() < APC_LEVEL {
        // One that has completed on another thread meanwhile; NT interrupts the thread for it.
        thread::deliver_apcs();
    }
    let found = SENT.with_borrow_mut(|sent| {
        let newly = sent.iter_mut().filter(|sent| sent.gone == Gone::default());
        let mut found = Vec::new();
        for sent in newly {
            sent.gone = sent.places.gone(here);
            if sent.gone != Gone::default() {
                found.push((sent.irp, sent.gone, sent.site));
            }
        }
        found
    });
    for (irp, gone, site) in found {
        // Where a driver below has returned, that is when it is seen; who has sent it is in the routine that is left.
        let is_driver = pe_image::may_be_code(routine);
        let returned = is_driver.then_some(("dispatch routine", routine));
        let sites = returned.into_iter().chain([("sent by", site)]);
        report(irp, gone, sites.collect());
    }
}

/// The request that `made_by` has allocated completes, on the thread that it belongs to: what the I/O manager must
/// not write to.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn completes(irp: *mut IRP, made_by: impl FnOnce() -> usize) -> Gone {
    if !verifier::checks() {
        return Gone::default();
    }
    let sent = forget(irp);
    if let Some(sent) = &sent
        && sent.gone != Gone::default()
    {
        return sent.gone;
    }
    let here = 0_u8;
    // SAFETY: contract.
    let gone = unsafe { Places::of(irp) }.gone((&raw const here).addr());
    if gone != Gone::default() {
        let sent_by = sent.map_or(0, |sent| sent.site);
        report(
            irp,
            gone,
            vec![("allocated by", made_by()), ("sent by", sent_by)],
        );
    }
    gone
}

/// The request is freed, in whatever way.
pub(super) fn freed(irp: *mut IRP) {
    forget(irp);
}

fn forget(irp: *mut IRP) -> Option<Sent> {
    SENT.with_borrow_mut(|sent| {
        let index = sent.iter().position(|sent| sent.irp == irp)?;
        Some(sent.swap_remove(index))
    })
}

fn report(irp: *mut IRP, gone: Gone, sites: Vec<(&'static str, usize)>) {
    let (rule, what): (&Rule, _) = match (gone.status_block, gone.event) {
        (true, true) => (&rules::STACK_STATUS_BLOCK, "status block and event lie"),
        (true, false) => (&rules::STACK_STATUS_BLOCK, "status block lies"),
        (false, _) => (&rules::STACK_EVENT, "event lies"),
    };
    let of = |(_, site): &(_, usize)| pe_image::image_at(*site);
    let driver = sites
        .iter()
        .find_map(of)
        .map_or("a driver", |image| image.name());
    checks::report(
        rule,
        format!(
            "{driver} has returned from a routine while a request was pending whose {what} on its stack"
        ),
        irp,
        sites,
    );
}
