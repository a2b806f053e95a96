//! What `KeSetEvent` and its like are told by `Wait`: that the thread waits at once. They return without lowering the
//! IRQL, and the wait lowers it.
//!
//! Source: DDI of `KeSetEvent`, `KeReleaseMutex`, `KeReleaseSemaphore`.

use super::{raised_silently, restore};
use crate::nt::{DISPATCH_LEVEL, Kirql};
use crate::verifier::{rules, violation};
use std::cell::Cell;

#[derive(Clone, Copy)]
struct Promise {
    ddi: &'static str,
    site: usize,
    level: Kirql,
}

thread_local! {
    static PROMISE: Cell<Option<Promise>> = const { Cell::new(None) };
}

/// `ddi` was called with `Wait`, by the call that returns to `site`.
pub fn make(ddi: &'static str, site: usize) {
    let level = raised_silently(DISPATCH_LEVEL);
    PROMISE.set(Some(Promise { ddi, site, level }));
}

/// The thread waits.
pub fn keep() {
    if let Some(promise) = PROMISE.take() {
        restore(promise.level);
    }
}

/// Something else has come first: the call of `what` that returns to `site`, or the end of the routine there.
/// Reported if a wait was to come.
#[inline]
pub fn broken_by(what: &str, site: usize) {
    if let Some(promise) = PROMISE.take() {
        broken(promise, what, site);
    }
}

#[cold]
fn broken(promise: Promise, what: &str, site: usize) {
    restore(promise.level);
    let ddi = promise.ddi;
    violation(
        &rules::WAIT_NOT_FOLLOWING,
        format!("{ddi} was called with Wait, and {what} follows in the place of a wait"),
        &[("called at", promise.site), ("followed by", site)],
    );
}

#[cfg(test)]
mod tests {
    use super::super::{current, require};
    use super::*;
    use crate::nt::PASSIVE_LEVEL;
    use crate::verifier::capture;

    #[test]
    fn the_level_stays_until_the_wait() {
        let ((), found) = capture(|| {
            make("KeSetEvent", 0);
            assert_eq!(current(), DISPATCH_LEVEL);
            keep();
            assert!(require("ExAcquireFastMutex", 0));
        });
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(current(), PASSIVE_LEVEL);
    }

    #[test]
    fn what_comes_first_is_told_and_nothing_else_of_it() {
        let ((), found) = capture(|| {
            make("KeReleaseMutex", 0);
            assert!(require("ExAcquireFastMutex", 0));
            keep();
        });
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].rule, &rules::WAIT_NOT_FOLLOWING);
        let part = "KeReleaseMutex was called with Wait, and ExAcquireFastMutex follows";
        assert!(found[0].message.starts_with(part), "{found:?}");
        assert_eq!(current(), PASSIVE_LEVEL);
    }
}
