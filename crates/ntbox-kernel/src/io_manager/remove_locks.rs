//! Who holds which remove lock, by tag, and for which request.
//!
//! The lock itself is a count, which does not tell one acquisition from another. Driver Verifier keeps them apart by
//! their tags, and the compliance rules look at where a dispatch routine takes and gives back the lock for its
//! request: one that is tagged with the request, or not at all. What is tagged with something else, a timer or a
//! work item, may be held for as long as that takes.
//!
//! Where a driver may use a remove lock for anything, that of a device lies in the extension of the device, and is what
//! "passed on without the lock" is about: a lock elsewhere, which is held around something else, is not.
//!
//! Nobody can release the lock of a request any more when the dispatch routine has returned a final status, or has
//! passed the request on and hears no more of it: it set no completion routine, or that one has continued.
//!
//! Source: "Using Remove Locks", DDI of `IoInitializeRemoveLock`, `IoAcquireRemoveLock` and their like, the `RemoveLock…`
//! rules.

#![expect(unsafe_code, reason = "the device of a request is looked at")]

use super::tracker::{Entry, Heard, Tracker};
use super::{checks, running};
use crate::nt::{DEVICE_OBJECT, IRP, IrpExt, NTSTATUS, STATUS_PENDING};
use crate::pe_image::image_at;
use crate::processor::{self, thread};
use crate::verifier::{self, rules};
use std::collections::HashMap;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// An acquisition.
#[derive(Clone, Copy)]
struct Hold {
    lock: usize,
    tag: usize,
    /// Who has acquired it.
    site: usize,
    /// In which dispatch routine, while that runs: the thread, and how deep in its routines.
    dispatch: Option<(u32, usize)>,
    /// The address of the request of that routine, or 0.
    irp: usize,
    /// Who has released it before the dispatch routine returned, or 0.
    released: usize,
}

impl Hold {
    /// True if it stands for the request of its dispatch routine, or may do so.
    fn is_of(&self, irp: *mut IRP) -> bool {
        !irp.is_null() && self.irp == irp.addr() && (self.tag == 0 || self.tag == irp.addr())
    }

    /// True if something of the driver is queued or runs that might release it.
    fn may_be_released(&self) -> bool {
        image_at(self.site).is_some_and(|image| {
            let code = image.base()..image.base() + image.size();
            !processor::outstanding(&code).is_empty()
        })
    }
}

static HOLDS: Mutex<Vec<Hold>> = Mutex::new(Vec::new());
/// How many there are, for those who would look at each request.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The locks that were initialized, by whom.
static LOCKS: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);

/// The holds, whose number is kept.
struct Holds(MutexGuard<'static, Vec<Hold>>);

impl Drop for Holds {
    fn drop(&mut self) {
        COUNT.store(self.0.len(), Ordering::Release);
    }
}

fn holds() -> Holds {
    Holds(HOLDS.lock().unwrap_or_else(PoisonError::into_inner))
}

fn none() -> bool {
    COUNT.load(Ordering::Acquire) == 0
}

/// `site` initializes the lock at this address. `again`: its memory is as it was left by an earlier time.
pub fn initialized(lock: usize, again: bool, site: usize) {
    if !verifier::checks() {
        return;
    }
    let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    let before = locks.insert(lock, site);
    drop(locks);
    holds().0.retain(|hold| hold.lock != lock);
    if let Some(before) = before.filter(|_| again) {
        checks::report(
            &rules::REMOVE_LOCK_AGAIN,
            "a remove lock was initialized a second time, which others may be using".to_owned(),
            null_mut(),
            vec![("initialized again by", site), ("initialized by", before)],
        );
    }
}

/// `site` has acquired the lock.
pub fn acquired(lock: usize, tag: usize, site: usize) {
    if !verifier::checks() {
        return;
    }
    let irp = running::request_of_dispatch();
    let hold = Hold {
        lock,
        tag,
        site,
        dispatch: irp.map(|_| (thread::current().id(), running::depth())),
        irp: irp.map_or(0, <*mut IRP>::addr),
        released: 0,
    };
    holds().0.push(hold);
}

/// `site` releases the lock with this tag.
pub fn released(lock: usize, tag: usize, site: usize) {
    if none() {
        return;
    }
    let mut holds = holds();
    let of_lock = |hold: &Hold| hold.lock == lock && hold.released == 0;
    let tagged = |hold: &Hold| of_lock(hold) && hold.tag == tag;
    let irp = running::request().addr();
    let here = Some((thread::current().id(), running::depth()));
    // Others may hold the lock with the same tag, or with none: the one of this routine, or of its request.
    let is_likely = |hold: &Hold| (hold.dispatch == here, irp != 0 && hold.irp == irp);
    let all = holds.0.iter().enumerate();
    let found = all
        .filter(|(_, hold)| tagged(hold))
        .max_by_key(|(_, hold)| is_likely(hold))
        .map(|(index, _)| index);
    if found.is_some_and(|index| tag == 0 && is_likely(&holds.0[index]) == (false, false)) {
        // Whose it was is not known, and so of none of them any more.
        let alike = holds.0.iter_mut().filter(|hold| tagged(hold));
        alike.for_each(|hold| hold.irp = 0);
    }
    // The count goes down whatever the tag: some acquisition is over.
    let Some(index) = found.or_else(|| holds.0.iter().rposition(of_lock)) else {
        return;
    };
    let hold = holds.0[index];
    if hold.dispatch.is_some() {
        holds.0[index].released = site;
    } else {
        holds.0.swap_remove(index);
    }
    drop(holds);
    if found.is_none() {
        checks::report(
            &rules::REMOVE_LOCK_TAG,
            format!(
                "a remove lock was released with the tag {tag:#x}, which it was not acquired with; one that it was acquired with is {:#x}",
                hold.tag
            ),
            null_mut(),
            vec![("released by", site), ("acquired by", hold.site)],
        );
    }
}

/// True if the lock lies in the extension of the device, as IoInitializeRemoveLock asks.
///
/// # Safety
/// `device` is alive, or null.
unsafe fn is_in_extension(lock: usize, device: *const DEVICE_OBJECT) -> bool {
    // SAFETY: contract.
    let Some(device) = (unsafe { device.as_ref() }) else {
        return false;
    };
    let start = device.DeviceExtension.addr();
    let end = std::ptr::from_ref(device).addr() + usize::from(device.Size);
    start != 0 && (start..end).contains(&lock)
}

/// `site` is about to pass the request on.
///
/// # Safety
/// `irp` is the caller's of `IoCallDriver`.
pub(super) unsafe fn passed_on(irp: *mut IRP, site: usize) {
    if none() {
        return;
    }
    let Some(number) = running::dispatched_at(irp) else {
        return;
    };
    // SAFETY: the request came to the dispatch routine with this location.
    let location = unsafe { irp.location(number) };
    // SAFETY: as above; its device is there until the routine returns.
    let device = unsafe { (*location).DeviceObject };
    let here = Some((thread::current().id(), running::depth()));
    let mut last = None;
    for hold in holds().0.iter() {
        // SAFETY: as above.
        let is_of_device = unsafe { is_in_extension(hold.lock, device) };
        if hold.dispatch != here || !hold.is_of(irp) || !is_of_device {
            continue;
        }
        if hold.released == 0 {
            return;
        }
        last = Some(*hold);
    }
    let Some(hold) = last else { return };
    checks::report(
        &rules::REMOVE_LOCK_FORWARD,
        "the request is passed on after the remove lock was released that was acquired for it"
            .to_owned(),
        irp,
        vec![
            ("passed on by", site),
            ("released by", hold.released),
            ("acquired by", hold.site),
        ],
    );
}

/// The innermost dispatch routine, which was entered for `irp`, has returned `status`.
pub(super) fn dispatch_left(tracker: &Tracker, entry: &Entry, irp: *mut IRP, status: NTSTATUS) {
    if none() {
        return;
    }
    let left = (thread::current().id(), running::depth() + 1);
    let heard = match status {
        STATUS_PENDING => tracker.lock().heard(entry),
        _ => Heard::Never,
    };
    let mut kept = Vec::new();
    holds().0.retain_mut(|hold| {
        if hold.dispatch != Some(left) {
            return true;
        }
        hold.dispatch = None;
        let is_over = hold.released == 0 && hold.is_of(irp) && heard != Heard::Later;
        if is_over {
            kept.push(*hold);
        }
        hold.released == 0 && !is_over
    });
    for hold in kept {
        // Of a tag that is the request, and that nobody hears of, nobody else can know when it is over.
        let sure = hold.tag != 0 && heard == Heard::Never;
        if sure || !hold.may_be_released() {
            report_kept(irp, &hold, entry.dispatch.routine);
        }
    }
}

/// The completion routine at `routine` has returned, and completion of the request goes on.
pub(super) fn continued(irp: *mut IRP, routine: usize) {
    if none() {
        return;
    }
    let is_same = |hold: &Hold| {
        let (by, of) = (image_at(hold.site), image_at(routine));
        by.zip(of).is_some_and(|(by, of)| by.base() == of.base())
    };
    let mut kept = Vec::new();
    holds().0.retain(|hold| {
        let is_over = hold.dispatch.is_none() && hold.is_of(irp) && is_same(hold);
        if is_over {
            kept.push(*hold);
        }
        !is_over
    });
    for hold in kept {
        if !hold.may_be_released() {
            report_kept(irp, &hold, routine);
        }
    }
}

fn report_kept(irp: *mut IRP, hold: &Hold, routine: usize) {
    checks::report(
        &rules::REMOVE_LOCK_KEPT,
        "a remove lock that was acquired for the request is held, and nobody is left who would release it".to_owned(),
        irp,
        vec![("acquired by", hold.site), ("last routine", routine)],
    );
}
