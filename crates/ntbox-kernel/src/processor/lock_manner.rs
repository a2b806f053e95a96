//! By which sort of routines a spin lock is acquired and released.
//!
//! Plain and queued routines lay a lock out differently, so that one does not see that the other
//! has it. Here they are one; the sort is kept apart, for the locks that were acquired last: in a
//! table in which a lock can be pushed out by another one, and is then not judged.
//!
//! Followed are locks in guarded pool, whose addresses are used once, and in images. On a stack
//! another lock may lie at the same place the next time.
//!
//! Source: "Queued Spin Locks" and "Reader/Writer Spin Locks" in the kernel architecture guide,
//! bug checks 0xC4/1008 and 1009.

use crate::verifier::options::{self, Options};
use crate::verifier::{Rule, rules, violation};
use crate::{pe_image, pool};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A sort of routines. A lock is aligned to 4 bytes at least: the sort has the low bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Manner {
    /// `KeAcquireSpinLock`.
    Plain = 1,
    /// `KeAcquireInStackQueuedSpinLock`.
    Queued = 2,
    /// `ExAcquireSpinLockShared`, `ExAcquireSpinLockExclusive`.
    ReaderWriter = 3,
}

const MANNER: usize = 3;
const SLOTS_LOG2: u32 = 10;
static SLOTS: [AtomicUsize; 1 << SLOTS_LOG2] = [const { AtomicUsize::new(0) }; 1 << SLOTS_LOG2];

fn slot(lock: usize) -> &'static AtomicUsize {
    let hash = (lock as u64 >> 2).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    &SLOTS[(hash >> (64 - SLOTS_LOG2)) as usize]
}

/// True if the lock was acquired last in another manner.
fn was_otherwise(lock: usize, manner: Manner) -> bool {
    let last = slot(lock).load(Ordering::Relaxed);
    last & !MANNER == lock && last != lock | manner as usize
}

/// A driver, whose call returns to `caller`, acquires the lock by `ddi`.
pub fn acquires(ddi: &str, lock: usize, manner: Manner, caller: usize) {
    let now = lock | manner as usize;
    if caller == 0 || !options::on(Options::DEADLOCK) || slot(lock).load(Ordering::Relaxed) == now {
        return;
    }
    if was_otherwise(lock, manner) {
        report(&rules::LOCK_ACQUIRED_OTHERWISE, ddi, lock, caller);
    }
    if pool::contains(lock) || pe_image::image_at(lock).is_some() {
        slot(lock).store(now, Ordering::Relaxed);
    }
}

/// A driver releases the lock by `ddi`.
pub fn releases(ddi: &str, lock: usize, manner: Manner, caller: usize) {
    if options::on(Options::DEADLOCK) && was_otherwise(lock, manner) {
        report(&rules::LOCK_RELEASED_OTHERWISE, ddi, lock, caller);
    }
}

#[cold]
fn report(rule: &'static Rule, ddi: &str, lock: usize, caller: usize) {
    let before = match slot(lock).load(Ordering::Relaxed) & MANNER {
        1 => "KeAcquireSpinLock",
        2 => "KeAcquireInStackQueuedSpinLock",
        _ => "ExAcquireSpinLockShared or ExAcquireSpinLockExclusive",
    };
    violation(
        rule,
        format!("{ddi} was called for the lock 0x{lock:x}, which was acquired by {before} last"),
        &[("called at", caller)],
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::capture;

    #[test]
    fn a_lock_keeps_its_sort_where_its_address_is_its_own() {
        let block = pool::allocate_for_box(64);
        let on_the_stack = 0_u64;
        let judge = |lock: usize| {
            let ((), found) = capture(|| {
                acquires("A", lock, Manner::Plain, 1);
                releases("A", lock, Manner::Plain, 1);
                releases("B", lock, Manner::Queued, 1);
                acquires("B", lock, Manner::Queued, 1);
                acquires("B", lock, Manner::Queued, 1);
            });
            found
                .iter()
                .map(|found| found.rule.name)
                .collect::<Vec<_>>()
        };
        let expected = ["LockReleasedOtherwise", "LockAcquiredOtherwise"];
        assert_eq!(judge(block.addr()), expected);
        assert!(judge((&raw const on_the_stack).addr()).is_empty());
    }
}
