//! Asynchronous procedure calls, and the regions that hold them off.
//!
//! APCs are special kernel APCs only: they run at `APC_LEVEL` in their thread as
//! soon as it runs below `APC_LEVEL` outside a guarded region, that is, when it
//! queues one to itself, lowers its IRQL, enters or sits in a wait, or leaves a
//! guarded region. A thread that runs on without any of these is not interrupted.
//! Critical regions hold off normal kernel APCs, of which the box has none; they
//! are counted for the checks.
//!
//! Source: "Types of APCs", "Critical Regions and Guarded Regions" in the kernel
//! architecture guide.

use super::{irql, process};
use crate::nt::{APC_LEVEL, IRP};
use crate::verifier::{self, Violation, rules, violation};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

pub(super) type Apc = Box<dyn FnOnce() + Send>;

/// APCs queued to a thread, in order. A thread has one, and says which ([`Apcs::adopt`]).
#[derive(Default)]
pub(super) struct Apcs {
    queue: Mutex<VecDeque<Apc>>,
    pending: AtomicBool,
}

impl Apcs {
    /// Makes these the APCs of the thread that runs.
    pub(super) fn adopt(&'static self) {
        OWN.set(Some(self));
    }
    pub(super) fn push(&self, apc: Apc) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(apc);
        self.pending.store(true, Ordering::Release);
    }
    fn pop(&self) -> Option<Apc> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let apc = queue.pop_front();
        self.pending.store(!queue.is_empty(), Ordering::Release);
        apc
    }
    /// True if there is one.
    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }
}

thread_local! {
    /// The APCs of this thread; none until it is registered.
    static OWN: Cell<Option<&'static Apcs>> = const { Cell::new(None) };
    static CRITICAL_REGIONS: Cell<u32> = const { Cell::new(0) };
    static GUARDED_REGIONS: Cell<u32> = const { Cell::new(0) };
}

/// True if this thread takes special kernel APCs now.
pub(super) fn takes_apcs() -> bool {
    irql::current() < APC_LEVEL && GUARDED_REGIONS.get() == 0
}

/// Runs the pending APCs of this thread, if it may take them.
#[inline]
pub fn deliver_apcs() {
    let Some(apcs) = OWN.get() else {
        return;
    };
    if apcs.is_pending() && takes_apcs() {
        deliver(apcs);
    }
}

#[cold]
fn deliver(apcs: &Apcs) {
    let old = irql::current();
    while let Some(apc) = apcs.pop() {
        irql::set(APC_LEVEL);
        apc();
        irql::set(old);
    }
}

/// `KeEnterCriticalRegion`: normal kernel APCs are held off. Special ones are not.
#[inline]
pub fn enter_critical_region() {
    CRITICAL_REGIONS.set(CRITICAL_REGIONS.get() + 1);
}

/// `KeLeaveCriticalRegion` of code at `caller`.
#[inline]
pub fn leave_critical_region_for(caller: usize) {
    match CRITICAL_REGIONS.get().checked_sub(1) {
        Some(left) => CRITICAL_REGIONS.set(left),
        None => violation(
            &rules::LEAVE_CRITICAL_REGION,
            "KeLeaveCriticalRegion was called outside a critical region".to_owned(),
            &[("called at", caller)],
        ),
    }
}

/// `KeLeaveCriticalRegion`.
pub fn leave_critical_region() {
    leave_critical_region_for(0);
}

/// `KeEnterGuardedRegion`: all APCs are held off.
pub fn enter_guarded_region() {
    GUARDED_REGIONS.set(GUARDED_REGIONS.get() + 1);
}

/// `KeLeaveGuardedRegion` of code at `caller`; delivers what was held off.
pub fn leave_guarded_region_for(caller: usize) {
    match GUARDED_REGIONS.get().checked_sub(1) {
        Some(left) => {
            GUARDED_REGIONS.set(left);
            deliver_apcs();
        }
        None => violation(
            &rules::LEAVE_GUARDED_REGION,
            "KeLeaveGuardedRegion was called outside a guarded region".to_owned(),
            &[("called at", caller)],
        ),
    }
}

/// `KeLeaveGuardedRegion`.
pub fn leave_guarded_region() {
    leave_guarded_region_for(0);
}

/// What decides which APCs a thread takes: how many regions of each kind it is in, and the process it is attached to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    critical: u32,
    guarded: u32,
    /// The address of that process, 0 for its own.
    attached: usize,
}

impl Regions {
    /// Those that this thread is in.
    #[inline]
    pub fn current() -> Self {
        Self {
            critical: CRITICAL_REGIONS.get(),
            guarded: GUARDED_REGIONS.get(),
            attached: process::attached().addr(),
        }
    }

    /// Those that this thread is in when the routine `which` of a driver, at `routine`, has returned, which was called
    /// in these. Reports one that has returned attached, and detaches the thread.
    pub fn after(self, which: &'static str, routine: usize, irp: *mut IRP) -> Self {
        let now = Self::current();
        if now.attached == self.attached {
            return now;
        }
        verifier::report(Violation {
            rule: &rules::ATTACHED_LEFT,
            message: format!(
                "the {which} returned with its thread attached to another process than it was called in"
            ),
            irp: (!irp.is_null()).then_some(irp),
            sites: vec![("attached by", process::attached_by()), (which, routine)],
        });
        process::detach_until(self.process());
        Self::current()
    }

    /// Puts this thread into as many, after the report of a routine that changed them.
    pub fn restore(self) {
        CRITICAL_REGIONS.set(self.critical);
        GUARDED_REGIONS.set(self.guarded);
        process::detach_until(self.process());
    }

    fn process(self) -> *mut c_void {
        std::ptr::with_exposed_provenance_mut(self.attached)
    }
}

impl fmt::Display for Regions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} critical and {} guarded region(s)",
            self.critical, self.guarded
        )
    }
}

/// `KeAreApcsDisabled`: true in a critical or guarded region.
pub fn apcs_disabled() -> bool {
    CRITICAL_REGIONS.get() > 0 || GUARDED_REGIONS.get() > 0
}

/// `KeAreAllApcsDisabled`: true in a guarded region or at `APC_LEVEL` or above.
pub fn all_apcs_disabled() -> bool {
    !takes_apcs()
}

#[cfg(test)]
#[path = "apc_tests.rs"]
mod tests;
