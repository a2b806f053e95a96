//! The order in which drivers take their locks: deadlock detection.
//!
//! A thread that waits for a lock while it holds others takes it *after* them. If
//! locks are ever taken in a circle, threads can wait for each other for ever,
//! whether or not they did this time; that is reported when the circle closes,
//! before the thread waits. Orders are kept by lock instance, with the places
//! where both locks were acquired.
//!
//! Not reported, because nobody can wait for ever there: a circle in which a lock
//! is held and wanted shared; one whose orders are all taken under one further
//! lock; and what is only tried or waited for with a timeout.
//!
//! A thread that holds nothing else pays for one entry in its own list. What it
//! has taken in the same order before is known from a small cache of the
//! thread's own; only new orders reach the graph and its lock.
//!
//! Source: Driver Verifier "Deadlock Detection", bug check 0xC4/1000 and 1001.

mod search;

use crate::pool::{self, active};
use crate::verifier::options::{self, Options};
use crate::verifier::{self, Violation, rules};
use search::Search;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// How a lock is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// By one thread.
    Exclusive,
    /// By any number of threads.
    Shared,
}

/// A lock that a thread holds.
#[derive(Clone, Copy)]
struct Held {
    lock: usize,
    kind: &'static str,
    mode: Mode,
    /// Return address of the call that acquired it.
    site: usize,
    /// Acquires that are to be released.
    count: u32,
}

impl Held {
    /// True if the thread still has it, as far as anybody knows: another one may have given it back.
    fn is_held(&self) -> bool {
        let ask = IS_HELD.iter().find(|(kind, _)| *kind == self.kind);
        let ask = ask.and_then(|(_, ask)| ask.get());
        ask.is_none_or(|is_held| is_held(self.lock))
    }
}

/// More locks than this are not followed; no driver holds as many at once.
const MOST_HELD: usize = 16;

#[derive(Clone)]
struct Holding {
    held: [Held; MOST_HELD],
    count: usize,
}

impl Holding {
    const fn new() -> Self {
        let none = Held {
            lock: 0,
            kind: "",
            mode: Mode::Exclusive,
            site: 0,
            count: 0,
        };
        Self {
            held: [none; MOST_HELD],
            count: 0,
        }
    }
    fn all(&self) -> &[Held] {
        &self.held[..self.count]
    }
    fn find(&self, lock: usize) -> Option<usize> {
        self.all().iter().position(|held| held.lock == lock)
    }
    fn remove(&mut self, place: usize) -> Held {
        let held = self.held[place];
        self.held.copy_within(place + 1..self.count, place);
        self.count -= 1;
        held
    }
}

const CACHED: usize = 32;

/// Those of all threads that have taken a lock, with the id of each. Only [`held_by_all`] looks at that of another one.
static ALL: Mutex<Vec<(u32, Weak<Mutex<Holding>>)>> = Mutex::new(Vec::new());

thread_local! {
    static HOLDING: Arc<Mutex<Holding>> = {
        let own = Arc::new(Mutex::new(Holding::new()));
        let thread = verifier::current_thread();
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, other)| other.strong_count() > 0);
        all.push((thread, Arc::downgrade(&own)));
        own
    };
    /// Hashes of what was acquired while holding what, with the generation of the graph.
    static KNOWN: [Cell<(u64, u32)>; CACHED] = const { [const { Cell::new((0, 0)) }; CACHED] };
}

/// One lock was taken while another was held.
#[derive(Clone)]
struct Order {
    to: usize,
    to_mode: Mode,
    from_mode: Mode,
    kinds: [&'static str; 2],
    /// Where the first and the second lock were acquired.
    sites: [usize; 2],
    thread: u32,
    /// Locks that were held exclusively each time besides the first one.
    guards: Vec<usize>,
}

/// Each lock with what was taken while it was held. Locks that were only taken second have an
/// empty entry, so that freed memory finds every lock in it.
struct Graph(BTreeMap<usize, Vec<Order>>);

static GRAPH: Mutex<Graph> = Mutex::new(Graph(BTreeMap::new()));
/// Entries in the graph, to be asked without its lock.
static LOCKS: AtomicUsize = AtomicUsize::new(0);
/// Changes when a lock is forgotten: what threads know of it does not hold any more.
static GENERATION: AtomicU32 = AtomicU32::new(1);

/// What this thread holds, given to `look`, which asks for it no second time.
fn own<R>(look: impl FnOnce(&mut Holding) -> R) -> R {
    // A thread that is at its end holds nothing.
    let own = HOLDING
        .try_with(Arc::clone)
        .unwrap_or_else(|_| Arc::new(Mutex::new(Holding::new())));
    let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
    look(&mut own)
}

/// The locks that drivers hold, with the id of the thread, the lock in words, and where it was acquired. Waits for
/// nobody: a thread that is just about to take or to give one back is left out.
pub fn held_by_all() -> Vec<(u32, String, usize)> {
    let all: Vec<_> = match ALL.try_lock() {
        Ok(all) => all.clone(),
        Err(_) => return Vec::new(),
    };
    let mut found = Vec::new();
    for (thread, holding) in &all {
        let Some(holding) = holding.upgrade() else {
            continue;
        };
        if let Ok(holding) = holding.try_lock() {
            found.extend(holding.all().iter().map(|held| (*thread, *held)));
        }
    }
    let told = |(thread, held): (u32, Held)| (thread, describe(held.lock, held.kind), held.site);
    found.into_iter().map(told).collect()
}

fn graph() -> MutexGuard<'static, Graph> {
    GRAPH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A driver, whose call returns to `caller`, is about to wait for a lock: reports an order that can
/// end in a deadlock. `kind` is what the lock is, in words.
pub fn acquiring(lock: usize, kind: &'static str, mode: Mode, caller: usize) {
    if caller == 0 || !options::on(Options::DEADLOCK) {
        return;
    }
    let held = own(|holding| {
        let is_new =
            holding.find(lock).is_none() && holding.count != 0 && !known(holding.all(), lock, mode);
        is_new.then(|| holding.clone())
    });
    let Some(held) = held else { return };
    let held = held.all();
    let wanted = Held {
        lock,
        kind,
        mode,
        site: caller,
        count: 0,
    };
    let circle = {
        let mut graph = graph();
        let circle = held
            .iter()
            .find_map(|from| graph.circle(&wanted, from, held));
        graph.add(held, &wanted);
        LOCKS.store(graph.0.len(), Ordering::Relaxed);
        circle
    };
    if let (Some(circle), Some(last)) = (circle, held.last()) {
        report(&circle, last, &wanted);
    }
}

/// True if this thread holds the lock as a driver's.
pub fn holds(lock: usize) -> bool {
    own(|holding| holding.find(lock).is_some())
}

/// Reports that a thread waits for a lock that it holds itself.
#[cold]
pub fn self_deadlock(lock: usize, kind: &'static str, caller: usize) {
    if caller == 0 || !options::on(Options::DEADLOCK) {
        return;
    }
    let first = own(|holding| {
        let place = holding.find(lock)?;
        Some(holding.held[place].site)
    });
    verifier::report(Violation {
        rule: &rules::SELF_DEADLOCK,
        message: format!(
            "{} is waited for by the thread that holds it",
            describe(lock, kind)
        ),
        irp: None,
        sites: [
            ("acquired first", first.unwrap_or(0)),
            ("acquired again", caller),
        ]
        .into_iter()
        .filter(|(_, site)| *site != 0)
        .collect(),
    });
}

/// The lock is the thread's now.
pub fn acquired(lock: usize, kind: &'static str, mode: Mode, caller: usize) {
    if caller == 0 || !options::on(Options::DEADLOCK) {
        return;
    }
    pool::when_freed(block_is_freed);
    own(|holding| {
        if let Some(place) = holding.find(lock) {
            holding.held[place].count += 1;
        } else if holding.count < MOST_HELD {
            holding.held[holding.count] = Held {
                lock,
                kind,
                mode,
                site: caller,
                count: 1,
            };
            holding.count += 1;
        }
    });
}

/// The thread gives one acquire of the lock back. One that it did not take as a driver's is not
/// there.
pub fn released(lock: usize) {
    own(|holding| {
        let Some(place) = holding.find(lock) else {
            return;
        };
        holding.held[place].count -= 1;
        if holding.held[place].count == 0 {
            holding.remove(place);
        }
    });
}

/// A block goes, by the call of a driver that returns to `caller`: reports a lock in it that this thread holds.
fn block_is_freed(address: usize, bytes: usize, caller: usize) {
    let range = address..address + bytes.max(1);
    let held = own(|holding| {
        let place = holding
            .all()
            .iter()
            .position(|held| range.contains(&held.lock));
        place.map(|place| holding.remove(place))
    });
    // One that is initialized must not be freed, held or not, which has a rule of its own.
    if let Some(held) = held.filter(|held| held.kind != RESOURCE && held.is_held()) {
        let what = describe(held.lock, held.kind);
        verifier::report(Violation {
            rule: &rules::LOCK_FREED_HELD,
            message: format!("the memory of the {what} is freed by the thread that holds it"),
            irp: None,
            sites: vec![("acquired", held.site), ("freed", caller)],
        });
    }
    forget(address, bytes);
}

/// What a resource is called in reports, and a push lock.
pub const RESOURCE: &str = "resource";
/// See [`RESOURCE`].
pub const PUSH_LOCK: &str = "push lock";

/// Whether this thread has such a lock.
type IsHeld = fn(lock: usize) -> bool;
/// Who knows, by kind.
static IS_HELD: [(&str, OnceLock<IsHeld>); 2] =
    [(RESOURCE, OnceLock::new()), (PUSH_LOCK, OnceLock::new())];

/// From now on `is_held` is asked about resources, or push locks.
pub fn ask_of_kept(kind: &'static str, is_held: IsHeld) {
    if let Some((_, ask)) = IS_HELD.iter().find(|(known, _)| *known == kind) {
        let _ = ask.set(is_held);
    }
}

/// This thread ends, a driver's if its routine is at `site`: reports the resources and push locks that it keeps.
pub fn thread_ends(site: usize) {
    let held = own(|holding| {
        let held = holding.all().to_vec();
        holding.count = 0;
        held
    });
    let is_kept = |held: &&Held| [RESOURCE, PUSH_LOCK].contains(&held.kind) && held.is_held();
    for held in held.iter().filter(is_kept) {
        let what = describe(held.lock, held.kind);
        verifier::report(Violation {
            rule: &rules::LOCK_LEFT_BY_THREAD,
            message: format!("a thread has ended that still has the {what}"),
            irp: None,
            sites: [("acquired", held.site), ("thread routine", site)]
                .into_iter()
                .filter(|(_, site)| *site != 0)
                .collect(),
        });
    }
}

/// A lock that has no end but that of its memory.
static LOCK: active::Kind = active::Kind {
    what: "lock",
    begun: "initialized",
    freed: None,
    twice: Some(&rules::LOCK_INITIALIZED_TWICE),
    missing: None,
    forget: |_| {},
};

/// A lock of `bytes` was initialized by the call that returns to `caller`: what is known of the
/// address is about another one.
pub fn initialized(lock: usize, bytes: usize, caller: usize) {
    forget(lock, bytes);
    if caller != 0 && options::on(Options::DEADLOCK) {
        LOCK.begin(lock, caller);
    }
}

/// There are no locks any more in `bytes` from `address`: they were initialized anew, or their
/// memory was freed.
pub fn forget(address: usize, bytes: usize) {
    if LOCKS.load(Ordering::Relaxed) == 0 {
        return;
    }
    let range = address..address + bytes.max(1);
    let mut graph = graph();
    if graph.0.range(range.clone()).next().is_none() {
        return;
    }
    graph.0.retain(|lock, orders| {
        orders.retain(|order| !range.contains(&order.to));
        !range.contains(lock)
    });
    LOCKS.store(graph.0.len(), Ordering::Relaxed);
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// True if this thread has acquired `lock` while it held the same before.
fn known(held: &[Held], lock: usize, mode: Mode) -> bool {
    let mut hash = 0x9E37_79B9_7F4A_7C15_u64;
    let mut add = |lock: usize, mode: Mode| {
        hash = (hash ^ lock as u64 ^ (mode as u64) << 1).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        hash ^= hash >> 32;
    };
    held.iter().for_each(|held| add(held.lock, held.mode));
    add(lock, mode);
    let now = (hash, GENERATION.load(Ordering::Relaxed));
    KNOWN.with(|known| known[hash as usize % CACHED].replace(now) == now)
}

impl Graph {
    /// The orders that lead from `wanted` back to `from`, one of the locks `held` by this thread, if threads can wait
    /// for each other there.
    fn circle(&self, wanted: &Held, from: &Held, held: &[Held]) -> Option<Vec<Order>> {
        Search::new(self, from, held).way(wanted)
    }

    fn add(&mut self, held: &[Held], wanted: &Held) {
        self.0.entry(wanted.lock).or_default();
        for from in held {
            let guards: Vec<usize> = held
                .iter()
                .filter(|other| other.lock != from.lock && other.mode == Mode::Exclusive)
                .map(|other| other.lock)
                .collect();
            let orders = self.0.entry(from.lock).or_default();
            let same = orders.iter_mut().find(|order| {
                order.to == wanted.lock
                    && order.to_mode == wanted.mode
                    && order.from_mode == from.mode
            });
            match same {
                Some(order) => order.guards.retain(|lock| guards.contains(lock)),
                None => orders.push(Order {
                    to: wanted.lock,
                    to_mode: wanted.mode,
                    from_mode: from.mode,
                    kinds: [from.kind, wanted.kind],
                    sites: [from.site, wanted.site],
                    thread: verifier::current_thread(),
                    guards,
                }),
            }
        }
    }
}

fn describe(lock: usize, kind: &str) -> String {
    match pool::describe(lock) {
        Some(place) => format!("{kind} 0x{lock:x} ({place})"),
        None => format!("{kind} 0x{lock:x}"),
    }
}

#[cold]
fn report(circle: &[Order], last: &Held, wanted: &Held) {
    let mut message = format!(
        "{} is acquired while {} is held",
        describe(wanted.lock, wanted.kind),
        describe(last.lock, last.kind),
    );
    let mut sites = vec![("held since", last.site), ("acquired", wanted.site)];
    for order in circle {
        message += &format!(
            "; thread {} has acquired the {} 0x{:x} while it held the {} before it",
            order.thread, order.kinds[1], order.to, order.kinds[0]
        );
        sites.push(("other order: held since", order.sites[0]));
        sites.push(("other order: acquired", order.sites[1]));
    }
    verifier::report(Violation {
        rule: &rules::DEADLOCK,
        message,
        irp: None,
        sites,
    });
}

#[cfg(test)]
#[path = "lock_order_tests.rs"]
mod tests;
