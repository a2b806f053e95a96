//! Work items and DPCs.
//!
//! Work items run on system worker threads at `PASSIVE_LEVEL`. There are
//! [`WORKERS`] of them; while all are busy and an item has waited for a while
//! another one is started, as NT starts dynamic worker threads, because items
//! may wait for each other. DPCs run one at a time, in the order they were
//! queued, at `DISPATCH_LEVEL` on a thread of their own.
//!
//! After each routine its thread must be as it was before: same IRQL, no critical
//! region, no spin lock.
//!
//! Source: "System Worker Threads", "DPC Objects and DPCs" in the kernel
//! architecture guide; bug checks 0xE1, 0xE4, 0xC7 and 0xC8.

use super::apc::{self, Regions};
use super::{held_locks, irql, thread, timer};
use crate::nt::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::pool::active;
use crate::verifier::{rules, violation};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// System worker threads at the start.
pub const WORKERS: usize = 4;
/// Threads that are started at most.
const MOST_WORKERS: usize = 32;
/// How long an item waits before a further thread is started for it.
const PATIENCE: Duration = Duration::from_millis(10);

type Routine = Box<dyn FnOnce() + Send>;

struct Item {
    routine: Routine,
    /// Address of the driver's routine that this calls, or 0.
    site: usize,
    /// The driver is kept until the routine has returned (`IoQueueWorkItem`).
    keeps_driver: bool,
    queued: Instant,
}

impl Item {
    /// The routine that must not lose its code, or 0.
    fn exposed(&self) -> usize {
        if self.keeps_driver { 0 } else { self.site }
    }
}

struct Queue {
    items: VecDeque<Item>,
    /// What the cache manager does in a thread of its own.
    lazily: VecDeque<Routine>,
    /// That thread has begun.
    is_lazy_begun: bool,
    dpcs: VecDeque<Dpc>,
    workers: usize,
    idle: usize,
    /// Items, DPCs and delayed calls that have not run to their end.
    outstanding: usize,
    /// A timer looks after items that wait.
    watched: bool,
    /// Items wait for [`Held::run`].
    held: bool,
    /// Routines that run now; 0 for those of the box and of drivers that are kept.
    running: Vec<usize>,
}

struct Dpc {
    routine: Routine,
    site: usize,
    /// Address of the `KDPC`, or 0: what `remove_dpc` looks for.
    object: usize,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    items: VecDeque::new(),
    lazily: VecDeque::new(),
    is_lazy_begun: false,
    dpcs: VecDeque::new(),
    workers: 0,
    idle: 0,
    outstanding: 0,
    watched: false,
    held: false,
    running: Vec::new(),
});
static WORK: Condvar = Condvar::new();
static LAZY: Condvar = Condvar::new();
static DPC: Condvar = Condvar::new();
static IDLE: Condvar = Condvar::new();

thread_local! {
    /// The routine whose item this thread runs, or 0.
    static ROUTINE: Cell<usize> = const { Cell::new(0) };
}

/// The routine of a driver that this thread runs as a worker, or 0.
pub fn worker_routine() -> usize {
    ROUTINE.get()
}

fn lock() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn finished(queue: &mut Queue) {
    queue.outstanding -= 1;
    if queue.outstanding == 0 {
        IDLE.notify_all();
    }
}

/// Called when a routine has returned that is in `running` as `site`.
fn returned(site: usize) {
    let mut queue = lock();
    let running = &mut queue.running;
    if let Some(index) = running.iter().position(|running| *running == site) {
        running.swap_remove(index);
    }
    finished(&mut queue);
}

/// Runs `item` on a system worker thread at `PASSIVE_LEVEL`. Any IRQL up to
/// `DISPATCH_LEVEL`.
pub fn queue(item: Routine) {
    queue_for(0, item);
}

/// Runs `routine` in a thread of the cache manager, which is none of the system's workers: drivers' items are not kept
/// waiting by requests that these may have to complete. Any IRQL up to `DISPATCH_LEVEL`.
pub fn queue_lazily(routine: Routine) {
    let mut queue = lock();
    if queue.held {
        drop(queue);
        return push(0, true, routine);
    }
    queue.outstanding += 1;
    queue.lazily.push_back(routine);
    let begins = !std::mem::replace(&mut queue.is_lazy_begun, true);
    drop(queue);
    match begins {
        true => drop(thread::spawn_system("lazy writer", lazy_writer)),
        false => LAZY.notify_one(),
    }
}

fn lazy_writer() {
    let mut queue = lock();
    loop {
        let Some(routine) = queue.lazily.pop_front() else {
            queue = LAZY.wait(queue).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(queue);
        routine();
        check_worker(0);
        queue = lock();
        finished(&mut queue);
    }
}

/// [`queue`] for the driver's routine at `site`, which a report names. The caller
/// keeps the driver until `item` has returned.
pub fn queue_for(site: usize, item: Routine) {
    push(site, true, item);
}

/// [`queue`] for the driver's routine at `site`, whose driver nothing keeps
/// (`ExQueueWorkItem`).
pub fn queue_exposed(site: usize, item: Routine) {
    push(site, false, item);
}

fn push(site: usize, keeps_driver: bool, routine: Routine) {
    let mut queue = lock();
    queue.outstanding += 1;
    queue.items.push_back(Item {
        routine,
        site,
        keeps_driver,
        queued: Instant::now(),
    });
    if queue.held {
        return;
    }
    if queue.idle >= queue.items.len() {
        drop(queue);
        WORK.notify_one();
    } else if queue.workers < WORKERS {
        start_worker(&mut queue);
    } else if !queue.watched {
        queue.watched = true;
        drop(queue);
        timer::after(PATIENCE, Box::new(watch));
    }
}

fn start_worker(queue: &mut Queue) {
    queue.workers += 1;
    let name = format!("system worker {}", queue.workers);
    drop(thread::spawn_system(&name, worker));
}

/// Starts a further worker when the first item has waited too long.
fn watch() {
    let mut queue = lock();
    let waits = queue.idle == 0
        && queue
            .items
            .front()
            .is_some_and(|item| item.queued.elapsed() >= PATIENCE);
    if waits && queue.workers < MOST_WORKERS {
        start_worker(&mut queue);
    }
    queue.watched = !queue.items.is_empty();
    if queue.watched {
        drop(queue);
        timer::after(PATIENCE, Box::new(watch));
    }
}

fn worker() {
    let mut queue = lock();
    loop {
        let Some(item) = next(&mut queue) else {
            queue.idle += 1;
            queue = WORK.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
            continue;
        };
        run(item, queue);
        queue = lock();
    }
}

fn next(queue: &mut Queue) -> Option<Item> {
    if queue.held {
        None
    } else {
        queue.items.pop_front()
    }
}

fn run(item: Item, mut queue: MutexGuard<'_, Queue>) {
    let exposed = item.exposed();
    queue.running.push(exposed);
    drop(queue);
    let before = ROUTINE.replace(item.site);
    (item.routine)();
    ROUTINE.set(before);
    check_worker(item.site);
    returned(exposed);
}

/// Items wait for [`Held::run`], until this is dropped.
pub struct Held(());

/// Keeps items from the worker threads, so that a thread that takes turns ([`super::turns`]) can be their worker.
pub fn hold() -> Held {
    lock().held = true;
    Held(())
}

/// Items wait for [`Held::run`].
pub fn are_held() -> bool {
    lock().held
}

impl Held {
    /// Runs the items that there are, in this thread.
    pub fn run(&self) {
        loop {
            let mut queue = lock();
            let Some(item) = queue.items.pop_front() else {
                return;
            };
            run(item, queue);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.run();
        lock().held = false;
    }
}

fn check_worker(site: usize) {
    irql::promise::broken_by("the end of the worker routine", site);
    let level = irql::current();
    if level != PASSIVE_LEVEL {
        violation(
            &rules::WORKER_IRQL,
            format!(
                "a worker routine returned at {} ({level})",
                irql::name(level)
            ),
            &[("worker routine", site)],
        );
        irql::restore(PASSIVE_LEVEL);
    }
    check_regions("worker routine", site);
    if thread::current().impersonated().is_some() {
        violation(
            &rules::WORKER_IMPERSONATES,
            "a worker routine returned while its thread impersonates a client".to_owned(),
            &[("worker routine", site)],
        );
        thread::current().impersonate(None);
    }
    apc::deliver_apcs();
}

/// Reports what the routine that has returned left behind in this thread.
pub(super) fn check_regions(what: &'static str, site: usize) {
    check_stack(site);
    let regions = Regions::default().after(what, site, null_mut());
    let locks = held_locks::count();
    if regions != Regions::default() || locks > 0 {
        violation(
            &rules::WORKER_STATE,
            format!("the {what} returned inside {regions}, with {locks} spin lock(s)"),
            &[("routine", site)],
        );
        Regions::default().restore();
    }
}

fn check_stack(site: usize) {
    let here = 0_u8;
    active::stack_is_left((&raw const here).addr(), site);
}

fn start_dpcs() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| drop(thread::spawn_system("DPC", run_dpcs)));
}

/// Runs `item` at `DISPATCH_LEVEL` on the DPC thread. Any IRQL.
pub fn queue_dpc(item: Routine) {
    queue_dpc_for(0, 0, item);
}

/// [`queue_dpc`] for the driver's routine at `site` and the `KDPC` at `object`.
pub(super) fn queue_dpc_for(site: usize, object: usize, routine: Routine) {
    start_dpcs();
    let mut queue = lock();
    queue.outstanding += 1;
    queue.dpcs.push_back(Dpc {
        routine,
        site,
        object,
    });
    drop(queue);
    DPC.notify_one();
}

/// Takes the DPC of the `KDPC` at `object` out of the queue; false if it is not there.
pub(super) fn remove_dpc(object: usize) -> bool {
    let mut queue = lock();
    let Some(index) = queue.dpcs.iter().position(|dpc| dpc.object == object) else {
        return false;
    };
    queue.dpcs.remove(index);
    finished(&mut queue);
    true
}

/// Waits until every DPC queued so far has run (`KeFlushQueuedDpcs`).
pub fn flush_dpcs() {
    struct Flag(Mutex<bool>, Condvar);
    let flag = std::sync::Arc::new(Flag(Mutex::new(false), Condvar::new()));
    let set = std::sync::Arc::clone(&flag);
    queue_dpc(Box::new(move || {
        *set.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        set.1.notify_all();
    }));
    let guard = flag.0.lock().unwrap_or_else(PoisonError::into_inner);
    drop(
        flag.1
            .wait_while(guard, |done| !*done)
            .unwrap_or_else(PoisonError::into_inner),
    );
}

fn run_dpcs() {
    let mut queue = lock();
    loop {
        let Some(dpc) = queue.dpcs.pop_front() else {
            queue = DPC.wait(queue).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        queue.running.push(dpc.site);
        drop(queue);
        irql::set(DISPATCH_LEVEL);
        (dpc.routine)();
        check_dpc(dpc.site);
        irql::restore(PASSIVE_LEVEL);
        returned(dpc.site);
        queue = lock();
    }
}

fn check_dpc(site: usize) {
    check_stack(site);
    let (level, locks) = (irql::current(), held_locks::count());
    if level != DISPATCH_LEVEL || locks > 0 {
        violation(
            &rules::DPC_IRQL,
            format!(
                "a DPC routine returned at {} ({level}) with {locks} spin lock(s)",
                irql::name(level)
            ),
            &[("DPC routine", site)],
        );
    }
    if apc::apcs_disabled() {
        violation(
            &rules::DPC_APC_STATE,
            "a DPC routine returned inside a critical or guarded region".to_owned(),
            &[("DPC routine", site)],
        );
        Regions::default().restore();
    }
}

/// Runs `item` as a DPC after `delay`. Any IRQL.
pub fn after(delay: Duration, item: Routine) {
    lock().outstanding += 1;
    timer::after(
        delay,
        Box::new(move || {
            queue_dpc(item);
            finished(&mut lock());
        }),
    );
}

/// Runs `item` as a DPC after `delay`, like [`after`], but [`drain`] does not wait
/// for it: for what begins again each time.
pub fn later(delay: Duration, item: Routine) {
    timer::after(delay, Box::new(move || queue_dpc(item)));
}

/// What of a driver whose code lies in `code` is queued or runs: what it is, and
/// its routine.
pub(super) fn outstanding(code: &Range<usize>) -> Vec<(&'static str, usize)> {
    let queue = lock();
    let items = queue
        .items
        .iter()
        .map(|item| ("a work item is queued", item.exposed()));
    let dpcs = queue.dpcs.iter().map(|dpc| ("a DPC is queued", dpc.site));
    let running = queue
        .running
        .iter()
        .map(|site| ("a work item or DPC runs", *site));
    items
        .chain(dpcs)
        .chain(running)
        .filter(|(_, site)| code.contains(site))
        .collect()
}

/// Waits until no work item, DPC or delayed call is left, then takes APCs.
/// Neither a worker thread nor a DPC may call this. `IRQL < DISPATCH_LEVEL`.
pub fn drain() {
    let mut queue = lock();
    while queue.outstanding > 0 {
        let (back, waited) = IDLE
            .wait_timeout(queue, Duration::from_secs(30))
            .unwrap_or_else(PoisonError::into_inner);
        queue = back;
        if waited.timed_out() && queue.outstanding > 0 {
            eprintln!(
                "ntbox: still waiting for {} work items, DPCs or delayed calls ({} queued)",
                queue.outstanding,
                queue.items.len() + queue.dpcs.len()
            );
        }
    }
    drop(queue);
    apc::deliver_apcs();
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;
