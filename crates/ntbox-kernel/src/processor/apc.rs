//! Asynchronous procedure calls, and the regions that hold them off.
//!
//! Special kernel APCs run at `APC_LEVEL` in their thread as soon as it runs below
//! `APC_LEVEL` outside a guarded region, that is, when it queues one to itself,
//! lowers its IRQL, enters or sits in a wait, or leaves a guarded region. A thread
//! that runs on without any of these is not interrupted. Normal kernel APCs run then
//! at `PASSIVE_LEVEL`, one after the other, and are held off by critical regions too.
//! User APCs wait for a wait of user mode that is alertable: it ends with
//! `STATUS_USER_APC`, and they run when their thread is back in user mode.
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

/// What an APC is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Of the kernel itself, at `APC_LEVEL`.
    Special,
    /// Of kernel code, at `PASSIVE_LEVEL`.
    Normal,
    /// Of a program.
    User,
}

/// The APCs of one sort, in order.
#[derive(Default)]
struct Queue {
    queue: Mutex<VecDeque<Apc>>,
    pending: AtomicBool,
}

/// APCs queued to a thread. A thread has one, and says which ([`Apcs::adopt`]).
#[derive(Default)]
pub(super) struct Apcs([Queue; 3]);

impl Apcs {
    /// Makes these the APCs of the thread that runs.
    pub(super) fn adopt(&'static self) {
        OWN.set(Some(self));
    }
    fn of(&self, sort: Sort) -> &Queue {
        &self.0[sort as usize]
    }
    pub(super) fn push(&self, sort: Sort, apc: Apc) {
        self.of(sort).push(apc);
    }
    /// True if the thread, which is the one that runs, takes one now.
    #[inline]
    pub(super) fn are_due(&self) -> bool {
        self.of(Sort::Special).is_pending() && takes_apcs()
            || self.of(Sort::Normal).is_pending() && takes_normal_apcs()
    }
    /// True if an alertable wait of user mode ends, which asks for it: its thread, the one that runs, has user APCs.
    pub(super) fn end_wait(&self) -> bool {
        let ends = self.of(Sort::User).is_pending();
        if ends {
            USER_DUE.set(true);
        }
        ends
    }
}

impl Queue {
    fn push(&self, apc: Apc) {
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
    #[inline]
    fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }
}

thread_local! {
    /// The APCs of this thread; none until it is registered.
    static OWN: Cell<Option<&'static Apcs>> = const { Cell::new(None) };
    static CRITICAL_REGIONS: Cell<u32> = const { Cell::new(0) };
    static GUARDED_REGIONS: Cell<u32> = const { Cell::new(0) };
    static IN_NORMAL_APC: Cell<bool> = const { Cell::new(false) };
    /// A wait of user mode has ended for user APCs.
    static USER_DUE: Cell<bool> = const { Cell::new(false) };
}

/// True if this thread takes special kernel APCs now.
pub(super) fn takes_apcs() -> bool {
    irql::current() < APC_LEVEL && GUARDED_REGIONS.get() == 0
}

fn takes_normal_apcs() -> bool {
    takes_apcs() && CRITICAL_REGIONS.get() == 0 && !IN_NORMAL_APC.get()
}

/// Runs the pending kernel APCs of this thread, if it may take them.
#[inline]
pub fn deliver_apcs() {
    let Some(apcs) = OWN.get() else {
        return;
    };
    if apcs.are_due() {
        deliver(apcs);
    }
}

#[cold]
fn deliver(apcs: &Apcs) {
    let old = irql::current();
    loop {
        while let Some(apc) = apcs.of(Sort::Special).pop() {
            irql::set(APC_LEVEL);
            apc();
            irql::set(old);
        }
        if !takes_normal_apcs() {
            return;
        }
        let Some(apc) = apcs.of(Sort::Normal).pop() else {
            return;
        };
        IN_NORMAL_APC.set(true);
        apc();
        IN_NORMAL_APC.set(false);
    }
}

/// Runs the user APCs of this thread if a wait has ended for them. The thread is in user mode, outside any service.
pub(super) fn deliver_user_apcs() {
    let Some(apcs) = OWN.get() else {
        return;
    };
    if USER_DUE.replace(false) {
        while let Some(apc) = apcs.of(Sort::User).pop() {
            apc();
        }
    }
}

/// `KeEnterCriticalRegion`: normal kernel APCs are held off. Special ones are not.
#[inline]
pub fn enter_critical_region() {
    CRITICAL_REGIONS.set(CRITICAL_REGIONS.get() + 1);
}

/// `KeLeaveCriticalRegion` of code at `caller`; delivers what was held off.
#[inline]
pub fn leave_critical_region_for(caller: usize) {
    match CRITICAL_REGIONS.get().checked_sub(1) {
        Some(left) => {
            CRITICAL_REGIONS.set(left);
            deliver_apcs();
        }
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
