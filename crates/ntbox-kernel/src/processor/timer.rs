//! Timers: `KTIMER` objects of drivers, and delayed calls of the box.
//!
//! One thread waits for the earliest of them. When a `KTIMER` expires, it is
//! signaled and its DPC is queued in one step with respect to [`cancel`]: once
//! `KeCancelTimer` has returned, the box does not touch the timer any more.
//!
//! Source: "Timer Objects and DPCs" in the kernel architecture guide.

#![expect(unsafe_code, reason = "timers live in driver memory")]

use super::dispatcher::{header, waits};
use super::{dpc, thread, time};
use crate::nt::{KDPC, KTIMER};
use crate::pool::active;
use crate::verifier::rules;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

type Routine = Box<dyn FnOnce() + Send>;

enum Action {
    Call(Routine),
    /// The `KTIMER` at this address.
    Timer(usize),
}

/// What the box knows of a set `KTIMER`.
struct Set {
    key: Key,
    expiration: Expiration,
}

/// What happens when a `KTIMER` expires, apart from being signaled.
#[derive(Clone, Copy)]
struct Expiration {
    /// Who has set it.
    caller: usize,
    /// Address of its DPC, or 0.
    dpc: usize,
    /// The routine of the DPC, or 0.
    site: usize,
    /// Zero for a timer that expires once.
    period: Duration,
}

/// Due time, then the order in which they were set.
type Key = (Instant, u64);

#[derive(Default)]
struct Timers {
    due: BTreeMap<Key, Action>,
    set: Option<HashMap<usize, Set>>,
    next: u64,
}

/// One that is set, to which the box goes when it expires.
static TIMER: active::Kind = active::Kind {
    what: "timer",
    begun: "set",
    freed: Some(&rules::ACTIVE_TIMER_FREED),
    twice: None,
    missing: None,
    forget: |timer| {
        lock().remove(timer);
    },
};

/// The DPC of one that is set.
static DPC: active::Kind = active::Kind {
    what: "DPC",
    begun: "set with a timer",
    freed: Some(&rules::ACTIVE_DPC_FREED),
    twice: None,
    missing: None,
    forget: |dpc| {
        let mut timers = lock();
        for set in timers.set.get_or_insert_default().values_mut() {
            if set.expiration.dpc == dpc {
                set.expiration.dpc = 0;
            }
        }
    },
};

static TIMERS: Mutex<Timers> = Mutex::new(Timers {
    due: BTreeMap::new(),
    set: None,
    next: 0,
});
static CHANGED: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, Timers> {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| drop(thread::spawn_system("timer", run)));
    TIMERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Expiration {
    /// The timer at `address` is not set any more.
    fn end(&self, address: usize) {
        TIMER.end(address);
        if self.dpc != 0 {
            DPC.end(self.dpc);
        }
    }
}

impl Timers {
    fn insert(&mut self, due: Instant, action: Action) -> Key {
        let key = (due, self.next);
        self.next += 1;
        self.due.insert(key, action);
        CHANGED.notify_one();
        key
    }
    fn remove(&mut self, timer: usize) -> bool {
        let Some(set) = self.set.get_or_insert_default().remove(&timer) else {
            return false;
        };
        set.expiration.end(timer);
        self.due.remove(&set.key);
        true
    }
    fn arm(&mut self, timer: usize, due: Instant, expiration: Expiration) {
        let key = self.insert(due, Action::Timer(timer));
        let set = self.set.get_or_insert_default();
        set.insert(timer, Set { key, expiration });
    }
    /// Called for a timer that was just taken out of `due`. What is not there any more, and who has set it.
    fn expire(&mut self, timer: usize) -> Option<(&'static active::Kind, usize, usize)> {
        let set = self.set.get_or_insert_default().remove(&timer)?;
        let Expiration {
            caller,
            dpc,
            period,
            ..
        } = set.expiration;
        let lost = match dpc {
            _ if !header::is_timer(timer) => Some((&TIMER, timer, caller)),
            dpc if dpc != 0 && !dpc::is_initialized(dpc) => Some((&DPC, dpc, caller)),
            _ => None,
        };
        if period.is_zero() || lost.is_some() {
            set.expiration.end(timer);
        } else {
            self.arm(timer, set.key.0 + period, set.expiration);
        }
        if lost.is_some() {
            return lost;
        }
        let object = std::ptr::with_exposed_provenance_mut(timer);
        // SAFETY: a set timer is alive until it is cancelled, which takes this lock.
        unsafe { waits::signal(object) };
        if dpc != 0 {
            // SAFETY: as is its DPC.
            unsafe { dpc::insert_for_timer(std::ptr::with_exposed_provenance_mut(dpc), caller) };
        }
        None
    }
}

fn run() {
    let mut timers = lock();
    loop {
        let now = Instant::now();
        let next = timers.due.keys().next().copied();
        match next {
            Some(key) if key.0 <= now => match timers.due.remove(&key) {
                Some(Action::Timer(timer)) => {
                    if let Some((kind, address, caller)) = timers.expire(timer) {
                        drop(timers);
                        kind.is_written_over(address, caller);
                        timers = lock();
                    }
                }
                Some(Action::Call(call)) => {
                    drop(timers);
                    call();
                    timers = lock();
                }
                None => {}
            },
            Some(key) => {
                let (back, _) = CHANGED
                    .wait_timeout(timers, key.0 - now)
                    .unwrap_or_else(PoisonError::into_inner);
                timers = back;
            }
            None => timers = CHANGED.wait(timers).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Calls `routine` on the timer thread after `delay`. It must be short.
pub(super) fn after(delay: Duration, routine: Routine) {
    lock().insert(Instant::now() + delay, Action::Call(routine));
}

/// Reports that `ddi` is called to initialize a timer that is set. It is not any more.
pub fn check_not_set(ddi: &str, timer: *mut KTIMER, caller: usize) {
    if TIMER.is_begun_anew(ddi, timer.addr(), caller) {
        cancel(timer);
    }
}

/// `KeInitializeTimerEx`: not set, not signaled.
///
/// # Safety
/// `timer` points to writable, aligned memory of a `KTIMER` that is not set.
pub unsafe fn initialize(timer: *mut KTIMER, notification: bool) {
    // SAFETY: contract of the function.
    unsafe { timer.write_bytes(0, 1) };
    // SAFETY: contract of the function.
    unsafe { header::initialize_timer_object(timer.cast(), notification, size_of::<KTIMER>()) };
}

/// Reports that `ddi` is called to set what is no timer, or with what is no DPC. True if both are.
///
/// # Safety
/// `timer` points to memory of a `KTIMER`.
pub unsafe fn expect(ddi: &str, timer: *mut KTIMER, dpc: *mut KDPC, caller: usize) -> bool {
    // SAFETY: contract of the function.
    let is_timer = unsafe { header::expect_timer(timer.cast(), ddi, caller) };
    is_timer && (dpc.is_null() || dpc::expect_initialized(ddi, dpc, caller))
}

/// `KeSetTimerEx` by the call that returns to `caller`: `due` as the timeout of a wait, `period` in
/// milliseconds or 0, `dpc` null or a DPC to queue at each expiration. True if the timer was set.
/// IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// The timer and the DPC are initialized and stay alive until the timer has
/// expired for the last time or was cancelled.
pub unsafe fn set(
    timer: *mut KTIMER,
    due: i64,
    period: u32,
    dpc: *mut KDPC,
    caller: usize,
) -> bool {
    let address = timer.expose_provenance();
    let expiration = Expiration {
        caller,
        dpc: dpc.expose_provenance(),
        site: if dpc.is_null() {
            0
        } else {
            // SAFETY: contract of the function.
            unsafe { dpc::site(dpc) }
        },
        period: Duration::from_millis(u64::from(period)),
    };
    let mut timers = lock();
    let was_set = timers.remove(address);
    // SAFETY: contract of the function.
    unsafe { waits::unsignal(timer.cast()) };
    // SAFETY: contract of the function.
    unsafe { (*timer).Dpc = dpc };
    // SAFETY: contract of the function.
    unsafe { (*timer).Period = period };
    TIMER.begin(address, caller);
    if !dpc.is_null() {
        DPC.begin(expiration.dpc, caller);
    }
    timers.arm(address, time::deadline(due), expiration);
    was_set
}

/// `KeCancelTimer`: true if the timer was set. Its DPC may be queued or running
/// still. IRQL <= `DISPATCH_LEVEL`.
pub fn cancel(timer: *mut KTIMER) -> bool {
    lock().remove(timer.addr())
}

/// Set timers of a driver whose code lies in `code`: those whose DPC routine does.
pub(super) fn outstanding(code: &Range<usize>) -> Vec<(&'static str, usize)> {
    let mut timers = lock();
    let set = timers.set.get_or_insert_default();
    let sites = set
        .values()
        .map(|set| ("a timer is set", set.expiration.site));
    sites.filter(|(_, site)| code.contains(site)).collect()
}

#[cfg(test)]
#[path = "timer_tests.rs"]
mod tests;
