//! Identity of a request: which thread's how-many-th call it belongs to.
//!
//! Decisions that are taken per request from a seed (pend it, fail it, complete
//! it at `DISPATCH_LEVEL`) are taken from its identity, never from the order in
//! which requests happen to arrive, so that two runs with the same seed decide
//! alike whatever the threads' interleaving.

use crate::nt::{IRP_MJ_CREATE, IRP_MJ_READ, IRP_MJ_WRITE, NTSTATUS};
use std::cell::Cell;

/// How a request is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// In the dispatch routine, at the caller's IRQL.
    Now,
    /// In the dispatch routine, at DISPATCH_LEVEL.
    AtDispatch,
    /// STATUS_PENDING; later, on a worker thread.
    Pend,
    /// STATUS_PENDING; later, in a DPC.
    PendAtDispatch,
    /// Marked pending, completed on another thread before the dispatch routine returns STATUS_PENDING.
    OtherThreadBeforeReturn,
    /// The same at DISPATCH_LEVEL.
    OtherThreadAtDispatchBeforeReturn,
    /// Failed with a status of the mix, without having been worked on.
    Fail(NTSTATUS),
    /// Pended with a cancel routine until cancelled.
    HeldUntilCancelled,
}

impl Choice {
    /// The request is worked on.
    pub fn works(&self) -> bool {
        !matches!(self, Self::Fail(_) | Self::HeldUntilCancelled)
    }
}

/// When another thread cancels a request that a driver has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Before the driver has it.
    Arrives,
    /// When the driver passes it on.
    PassedOn,
    /// When the driver below has returned.
    Returned,
    /// When the driver waits.
    Waits,
    /// When the request has come back pending, and somebody holds it.
    Held,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Arrives,
        Self::PassedOn,
        Self::Returned,
        Self::Waits,
        Self::Held,
    ];
}

/// Which call a request belongs to, and how its caller wants it treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `thread ordinal << 40 | call ordinal in that thread`; zero for requests of the system.
    pub value: u64,
    /// How its caller wants it treated.
    pub wanted: Wanted,
}

/// How the caller of a request wants it treated below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The caller will cancel the request: it is held until that happens.
    pub hold_until_cancelled: bool,
    /// The caller can do with an injected failure of this request (it retries).
    pub failure_allowed: bool,
    /// The caller asks the file system's adversary whether the request waits for something.
    pub announce: bool,
    /// Completed in this way, whatever the seed says, and not by fast I/O.
    pub script: Option<Choice>,
    /// Cancelled by another thread while a driver has it.
    pub cancel_at: Option<Moment>,
}

thread_local! {
    static ORDINAL: Cell<u64> = const { Cell::new(0) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static CURRENT: Cell<Identity> = const { Cell::new(NOBODY) };
    static FUNCTION: Cell<u8> = const { Cell::new(IRP_MJ_CREATE as u8) };
    static WANTED: Cell<Wanted> = const { Cell::new(NOBODY.wanted) };
}

const NOBODY: Identity = Identity {
    value: 0,
    wanted: Wanted {
        hold_until_cancelled: false,
        failure_allowed: false,
        announce: false,
        script: None,
        cancel_at: None,
    },
};

/// Calls that an operation of a program may make.
const CALLS_OF_OPERATION: u64 = 1 << 8;

/// Identity of the call that this thread is in; zero outside of one.
pub fn current() -> Identity {
    CURRENT.get()
}

/// Makes this thread user thread `ordinal` (1-based) and restarts its count of calls.
pub fn begin_thread(ordinal: u32) {
    ORDINAL.set(u64::from(ordinal));
    CALLS.set(0);
}

/// This thread carries out operation `number` of user thread `ordinal`: its calls have the same
/// identities whatever was carried out before.
pub fn begin_operation(ordinal: u32, number: u32) {
    ORDINAL.set(u64::from(ordinal));
    CALLS.set(u64::from(number) * CALLS_OF_OPERATION);
}

/// Value of the identity of the last call that this thread has begun.
pub fn last_begun() -> u64 {
    ORDINAL.get() << 40 | CALLS.get()
}

/// The call that this thread has begun sends no request: the next one has its ordinal.
pub fn take_back() {
    CALLS.set(CALLS.get().saturating_sub(1));
}

/// Calls this thread has begun since [`begin_thread`].
pub fn calls() -> u64 {
    CALLS.get()
}

/// Which thread of a program this one is, and how many calls it has begun.
pub fn place() -> (u64, u64) {
    (ORDINAL.get(), CALLS.get())
}

/// This thread goes on for the one that had come to that [`place`].
pub fn continue_from((ordinal, calls): (u64, u64)) {
    ORDINAL.set(ordinal);
    CALLS.set(calls);
}

/// The next call of this thread is held below until it is cancelled.
pub fn hold_next_until_cancelled() {
    want(|wanted| wanted.hold_until_cancelled = true);
}

/// The next call of this thread may be failed by injection.
pub fn allow_failure_of_next() {
    want(|wanted| wanted.failure_allowed = true);
}

/// Whether the next call of this thread waits for something can be asked.
pub fn announce_next() {
    want(|wanted| wanted.announce = true);
}

/// The next call of this thread is completed in this way.
pub fn script_next(choice: Choice) {
    want(|wanted| wanted.script = Some(choice));
}

/// The next call of this thread is cancelled by another one at this moment, if a driver has it then.
pub fn cancel_next(moment: Moment) {
    want(|wanted| wanted.cancel_at = Some(moment));
}

/// What was asked for the next call is asked for no longer: a request that is refused before it is one begins no call.
pub fn ask_nothing_of_next() {
    WANTED.take();
}

/// The calls since there were `calls` of them do not count: they are made again.
pub fn take_back_to(calls: u64) {
    CALLS.set(calls);
}

fn want(change: impl FnOnce(&mut Wanted)) {
    let mut wanted = WANTED.get();
    change(&mut wanted);
    WANTED.set(wanted);
}

/// The call in progress sends a request of this major function.
pub(crate) fn asks_for(function: u8) {
    FUNCTION.set(function);
}

/// Identity of a transfer that a driver sends on its own account, while this thread's call asks for the same: it
/// stands for the call's, and fails if that is to fail. Zero for any other.
pub fn of_own_request(function: u8) -> Identity {
    let call = CURRENT.get();
    let transfers = [IRP_MJ_READ, IRP_MJ_WRITE].contains(&function.into());
    if !transfers || FUNCTION.get() != function {
        return NOBODY;
    }
    Identity {
        value: call.value,
        wanted: Wanted {
            failure_allowed: call.wanted.failure_allowed,
            // Nobody cancels it, or asks for it.
            ..NOBODY.wanted
        },
    }
}

/// Calls `body` for a call of another thread, or for the one that runs: its requests are that call's. What that asks for
/// stays what it was.
pub fn on_behalf_of<R>(identity: Identity, body: impl FnOnce() -> R) -> R {
    let (previous, function) = (CURRENT.replace(identity), FUNCTION.get());
    let result = body();
    CURRENT.set(previous);
    FUNCTION.set(function);
    result
}

/// A call in progress; the previous identity comes back when it is dropped.
pub struct Call {
    previous: Identity,
    function: u8,
}

/// Begins a call: gives it the next ordinal of this thread. A call made inside
/// another one (by a driver, from the box) belongs to the outer call's identity.
pub fn begin() -> Call {
    let previous = CURRENT.get();
    if previous.value == 0 && ORDINAL.get() != 0 {
        let ordinal = CALLS.get() + 1;
        CALLS.set(ordinal);
        CURRENT.set(Identity {
            value: ORDINAL.get() << 40 | ordinal,
            wanted: WANTED.take(),
        });
    }
    Call {
        previous,
        function: FUNCTION.get(),
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        CURRENT.set(self.previous);
        FUNCTION.set(self.function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin_and_look() -> Wanted {
        let _call = begin();
        current().wanted
    }

    #[test]
    fn ordinals_count_per_thread_and_nested_calls_share_the_outer_one() {
        std::thread::spawn(|| {
            assert_eq!(current(), Identity::default());
            begin_thread(3);
            let outer = begin();
            assert_eq!(current().value, 3 << 40 | 1);
            {
                let _inner = begin();
                assert_eq!(current().value, 3 << 40 | 1);
            }
            drop(outer);
            assert_eq!(current().value, 0);
            hold_next_until_cancelled();
            {
                let _second = begin();
                assert_eq!(current().value, 3 << 40 | 2);
                assert!(current().wanted.hold_until_cancelled);
            }
            let third = begin();
            assert!(!current().wanted.hold_until_cancelled);
            assert_eq!(calls(), 3);
            drop(third);
            cancel_next(Moment::ALL[0]);
            ask_nothing_of_next();
            assert_eq!(begin_and_look(), Wanted::default());
            begin_operation(3, 7);
            let _of_operation = begin();
            assert_eq!(current().value, 3 << 40 | 7 << 8 | 1);
            assert_eq!(last_begun(), current().value);
        })
        .join()
        .expect("the thread asserts");
    }

    #[test]
    fn what_the_system_does_for_a_call_is_that_calls() {
        let identity = Identity {
            value: 3 << 40 | 1,
            ..Identity::default()
        };
        std::thread::spawn(move || {
            on_behalf_of(identity, || {
                assert_eq!(current(), identity);
                let _nested = begin();
                assert_eq!(current(), identity);
            });
            assert_eq!(current(), Identity::default());
        })
        .join()
        .expect("the thread asserts");
    }

    #[test]
    fn what_is_done_for_a_call_takes_no_ordinal_and_is_not_what_it_asks_for() {
        std::thread::spawn(|| {
            begin_thread(3);
            let call = begin();
            asks_for(IRP_MJ_WRITE as u8);
            on_behalf_of(current(), || asks_for(IRP_MJ_READ as u8));
            assert_ne!(of_own_request(IRP_MJ_WRITE as u8).value, 0);
            drop(call);
            assert_eq!(calls(), 1);
        })
        .join()
        .expect("the thread asserts");
    }

    #[test]
    fn an_own_transfer_is_of_the_call_that_it_stands_for() {
        std::thread::spawn(|| {
            let (read, write) = (IRP_MJ_READ as u8, IRP_MJ_WRITE as u8);
            begin_thread(3);
            allow_failure_of_next();
            hold_next_until_cancelled();
            let call = begin();
            asks_for(read);
            let own = of_own_request(read);
            assert_eq!(own.value, current().value);
            assert!(own.wanted.failure_allowed && !own.wanted.hold_until_cancelled);
            assert_eq!(of_own_request(write).value, 0);
            {
                let _inner = begin();
                asks_for(write);
                assert_eq!(of_own_request(read).value, 0);
            }
            assert_eq!(of_own_request(read), own);
            drop(call);
            assert_eq!(of_own_request(read).value, 0);
        })
        .join()
        .expect("the thread asserts");
    }

    #[test]
    fn a_thread_without_an_ordinal_has_no_identity() {
        std::thread::spawn(|| {
            let _call = begin();
            assert_eq!(current().value, 0);
        })
        .join()
        .expect("the thread asserts");
    }
}
