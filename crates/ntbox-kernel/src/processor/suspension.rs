//! Threads that are suspended inside a driver.
//!
//! NT suspends a thread with an APC that a critical region keeps off. So the last moment before a driver's own code
//! keeps it from being suspended is the call that enters such a region, and there a thread that [`before_region`]
//! has started stands still until it is let go.

use std::cell::RefCell;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Scope, ScopedJoinHandle};

/// What a thread that is to stand still needs for that.
struct Suspension {
    stands: Sender<()>,
    goes_on: Receiver<()>,
}

thread_local! {
    static SUSPENSION: RefCell<Option<Suspension>> = const { RefCell::new(None) };
}

/// A thread that may have been suspended. Dropped, it goes on.
pub struct Suspended<'s, R> {
    thread: ScopedJoinHandle<'s, R>,
    goes_on: Sender<()>,
    stands: bool,
}

impl<R> Suspended<'_, R> {
    /// Whether it stands still; else it has come to its end.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.stands
    }

    /// Lets it go on, and waits for its end.
    ///
    /// # Panics
    /// As its body.
    pub fn resume(self) -> R {
        drop(self.goes_on);
        let ended = self.thread.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Runs `body` in a thread of its own, until a driver that it calls is about to enter a critical region, or to the
/// end. Both are waited for.
pub fn before_region<'s, R: Send + 's>(
    scope: &'s Scope<'s, '_>,
    body: impl FnOnce() -> R + Send + 's,
) -> Suspended<'s, R> {
    let (stands, stood) = mpsc::channel();
    let (goes_on, let_go) = mpsc::channel();
    let thread = scope.spawn(move || {
        let goes_on = let_go;
        SUSPENSION.set(Some(Suspension { stands, goes_on }));
        let result = body();
        // Who has not stood still says so.
        SUSPENSION.take();
        result
    });
    Suspended {
        thread,
        goes_on,
        stands: stood.recv().is_ok(),
    }
}

/// A driver is about to enter a critical region. Holds no lock of the box.
pub fn region_is_entered() {
    if let Some(suspension) = SUSPENSION.take() {
        let _somebody_waits = suspension.stands.send(());
        let _until_it_is_dropped = suspension.goes_on.recv();
    }
}
