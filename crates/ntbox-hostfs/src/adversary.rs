//! When, where and how requests are completed: chosen per request, from a seed.
//!
//! A file system may complete a request at once, later, on another thread, or at
//! DISPATCH_LEVEL; what lies above must not care. The choice is a function of the
//! seed and of who asked for what (the request's identity, its major and minor
//! function), so it does not depend on how threads interleave, and a run with a
//! filter meets the same choices as one without.
//!
//! Creates are not completed at DISPATCH_LEVEL, and cleanup and close only at
//! once and in the caller's thread: no file system does otherwise. Failures hit
//! only requests whose caller can do with one.

use super::{announced, tally, workers};
use ntbox_kernel::io_manager::identity::{self, Choice, Identity};
use ntbox_kernel::nt::{
    IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_POWER,
    IRP_MJ_SHUTDOWN, IRP_MN_NOTIFY_CHANGE_DIRECTORY, IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX, NTSTATUS,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_IO_DEVICE_ERROR,
};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

pub use super::tally::{Counts, counts, counts_by_major, fast_io_by_entry};

/// Shares in thousandths; what they leave is completed [`Choice::Now`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// [`Choice::AtDispatch`].
    pub at_dispatch: u32,
    /// [`Choice::Pend`].
    pub pend: u32,
    /// [`Choice::PendAtDispatch`].
    pub pend_at_dispatch: u32,
    /// [`Choice::OtherThreadBeforeReturn`].
    pub other_thread: u32,
    /// [`Choice::OtherThreadAtDispatchBeforeReturn`].
    pub other_thread_at_dispatch: u32,
    /// [`Choice::Fail`], of the requests whose identity allows it.
    pub fail: u32,
    /// Statuses that failures take in turn.
    pub fail_with: Vec<NTSTATUS>,
    /// Fast I/O calls that are declined.
    pub decline_fast_io: u32,
}

impl Mix {
    /// Everything is completed at once, nothing fails, no fast I/O is declined.
    pub fn quiet() -> Self {
        Self {
            at_dispatch: 0,
            pend: 0,
            pend_at_dispatch: 0,
            other_thread: 0,
            other_thread_at_dispatch: 0,
            fail: 0,
            fail_with: Vec::new(),
            decline_fast_io: 0,
        }
    }

    /// The same, but nothing is completed in its dispatch routine: a third later, a third
    /// later at DISPATCH_LEVEL, the rest on another thread before the dispatch routine returns.
    /// Failures stay as they are, and so does what file systems only do at once (see above).
    #[must_use]
    pub fn force_pending(self) -> Self {
        Self {
            at_dispatch: 0,
            pend: 333,
            pend_at_dispatch: 333,
            other_thread: 167,
            other_thread_at_dispatch: 167,
            ..self
        }
    }
}

impl Default for Mix {
    /// A good part of everything; half of the requests are completed at once.
    fn default() -> Self {
        Self {
            at_dispatch: 150,
            pend: 120,
            pend_at_dispatch: 120,
            other_thread: 60,
            other_thread_at_dispatch: 50,
            fail: 20,
            fail_with: vec![STATUS_INSUFFICIENT_RESOURCES, STATUS_IO_DEVICE_ERROR],
            decline_fast_io: 250,
        }
    }
}

static SEED: AtomicU64 = AtomicU64::new(0);
/// Upper bounds of the shares, each the sum of those before it; the last is failure's.
static BOUNDS: [AtomicU32; 5] = [const { AtomicU32::new(0) }; 5];
static FAIL: AtomicU32 = AtomicU32::new(0);
static DECLINE: AtomicU32 = AtomicU32::new(0);
static FAIL_WITH: RwLock<Vec<NTSTATUS>> = RwLock::new(Vec::new());
/// Requests of the system have no identity: they are numbered as they come.
static ANONYMOUS: AtomicU64 = AtomicU64::new(0);

/// Sets seed and mix, and zeroes the counts. Not while requests are under way.
pub fn configure(seed: u64, mix: Mix) {
    SEED.store(seed, Relaxed);
    ANONYMOUS.store(0, Relaxed);
    let shares = [
        mix.at_dispatch,
        mix.pend,
        mix.pend_at_dispatch,
        mix.other_thread,
        mix.other_thread_at_dispatch,
    ];
    let mut sum = 0_u32;
    for (bound, share) in BOUNDS.iter().zip(shares) {
        sum = sum.saturating_add(share).min(1000);
        bound.store(sum, Relaxed);
    }
    FAIL.store(
        if mix.fail_with.is_empty() {
            0
        } else {
            mix.fail
        },
        Relaxed,
    );
    DECLINE.store(mix.decline_fast_io, Relaxed);
    *FAIL_WITH.write().unwrap_or_else(PoisonError::into_inner) = mix.fail_with;
    tally::reset();
    announced::forget();
}

/// Waits until nothing that was put off is outstanding. Not from a worker or a DPC.
pub fn drain() {
    workers::drain();
}

/// Bits that are as good as random, of the seed and what is decided.
fn draw(value: u64, salt: u64) -> u64 {
    let mut bits =
        SEED.load(Relaxed) ^ value.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.rotate_left(40);
    for (shift, factor) in [(30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)] {
        bits = (bits ^ bits >> shift).wrapping_mul(factor);
    }
    bits ^ bits >> 31
}

fn number_of(identity: Identity) -> u64 {
    match identity.value {
        0 => ANONYMOUS.fetch_add(1, Relaxed) | 1 << 63,
        value => value,
    }
}

/// What part of a request is decided.
const AT_ONCE: u64 = 0x100_0000;
const AFTER_WAITING: u64 = 0x200_0000;
const FAILURE: u64 = 0x300_0000;
const FAST_IO: u64 = 0x400_0000;

fn completion(bits: u64) -> Choice {
    let place = u32::try_from(bits % 1000).unwrap_or(0);
    let choices = [
        Choice::AtDispatch,
        Choice::Pend,
        Choice::PendAtDispatch,
        Choice::OtherThreadBeforeReturn,
        Choice::OtherThreadAtDispatchBeforeReturn,
    ];
    let found = BOUNDS
        .iter()
        .zip(choices)
        .find(|(bound, _)| place < bound.load(Relaxed));
    found.map_or(Choice::Now, |(_, choice)| choice)
}

/// The choice for a request; it is counted.
pub(super) fn choose(identity: Identity, major: u8, minor: u8) -> Choice {
    let choice = decide(identity, major, minor);
    tally::count_choice(major, choice);
    choice
}

fn decide(identity: Identity, major: u8, minor: u8) -> Choice {
    let at_once_only = [IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_SHUTDOWN, IRP_MJ_POWER];
    if at_once_only.contains(&major.into()) {
        return Choice::Now;
    }
    let create = u32::from(major) == IRP_MJ_CREATE;
    let wanted = identity.wanted;
    if wanted.hold_until_cancelled && !create {
        return Choice::HeldUntilCancelled;
    }
    // A watch is in force when its dispatch routine returns: no later change is missed.
    let watch = u32::from(major) == IRP_MJ_DIRECTORY_CONTROL
        && matches!(
            u32::from(minor),
            IRP_MN_NOTIFY_CHANGE_DIRECTORY | IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX
        );
    let what = u64::from(major) << 8 | u64::from(minor);
    let choice = match wanted.script {
        Some(script) => script,
        None => {
            let number = number_of(identity);
            if let Some(status) = failure(identity, number) {
                return Choice::Fail(status);
            }
            completion(draw(number, AT_ONCE | what))
        }
    };
    match choice {
        Choice::AtDispatch if create => Choice::Now,
        Choice::PendAtDispatch if create => Choice::Pend,
        Choice::OtherThreadAtDispatchBeforeReturn if create => Choice::OtherThreadBeforeReturn,
        Choice::Pend if watch => Choice::OtherThreadBeforeReturn,
        Choice::PendAtDispatch if watch => Choice::OtherThreadAtDispatchBeforeReturn,
        choice => choice,
    }
}

/// The status that the call is failed with, if its caller allows it: the same for each of its
/// requests, so that it fails with fast I/O as it does without.
fn failure(identity: Identity, number: u64) -> Option<NTSTATUS> {
    let bits = draw(number, FAILURE);
    if !identity.wanted.failure_allowed || bits % 1000 >= u64::from(FAIL.load(Relaxed)) {
        return None;
    }
    let statuses = FAIL_WITH.read().unwrap_or_else(PoisonError::into_inner);
    statuses
        .get((bits / 1000) as usize % statuses.len().max(1))
        .copied()
}

/// Where a request that has waited is completed: one of the first four choices.
pub(super) fn choose_after_waiting(identity: Identity, major: u8) -> Choice {
    let choice = identity
        .wanted
        .script
        .unwrap_or_else(|| completion(draw(number_of(identity), AFTER_WAITING | u64::from(major))));
    match choice {
        Choice::OtherThreadBeforeReturn => Choice::Pend,
        Choice::OtherThreadAtDispatchBeforeReturn => Choice::PendAtDispatch,
        choice => choice,
    }
}

/// Whether the fast I/O call that this thread makes is declined: on a whim, or because it
/// would keep an IRP from what is decided about it.
pub(super) fn declines_fast_io(entry: usize) -> bool {
    let identity = identity::current();
    if identity.wanted.hold_until_cancelled || identity.wanted.script.is_some() {
        return true;
    }
    let number = number_of(identity);
    let bits = draw(number, FAST_IO | entry as u64);
    bits % 1000 < u64::from(DECLINE.load(Relaxed)) || failure(identity, number).is_some()
}

/// Whether a request of the call with this identity waits or has waited for something: for a
/// lock, a change, the end of an oplock, its cancellation. Forgets it.
/// The call must have asked for it ([`identity::announce_next`]).
pub fn has_waited(identity: u64) -> bool {
    announced::has_waited(identity)
}

/// Keeps tests that configure the adversary apart.
#[cfg(test)]
pub(super) static CONFIGURED: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_kernel::io_manager::identity::Wanted;
    use ntbox_kernel::nt::{IRP_MJ_READ, IRP_MJ_WRITE};

    fn who(value: u64) -> Identity {
        Identity {
            value,
            ..Default::default()
        }
    }

    #[test]
    fn choices_follow_seed_identity_and_function() {
        let _alone = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
        let all = |seed| {
            configure(seed, Mix::default());
            (1..2000)
                .map(|value| decide(who(value), IRP_MJ_READ as u8, 0))
                .collect::<Vec<_>>()
        };
        let first = all(1);
        assert_eq!(first, all(1));
        assert_ne!(first, all(2));
        let other: Vec<_> = (1..2000)
            .map(|value| decide(who(value), IRP_MJ_WRITE as u8, 0))
            .collect();
        assert_ne!(all(2), other);
        configure(0, Mix::quiet());
    }

    #[test]
    fn shares_are_about_what_the_mix_says() {
        let _alone = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
        configure(3, Mix::default());
        for value in 1..=20_000 {
            choose(who(value), IRP_MJ_READ as u8, 0);
        }
        let (_, counts) = counts_by_major()[0];
        assert_eq!(counts.requests(), 20_000);
        for (count, share) in [
            (counts.now, 500),
            (counts.at_dispatch, 150),
            (counts.pend, 120),
            (counts.pend_at_dispatch, 120),
            (counts.other_thread, 60),
            (counts.other_thread_at_dispatch, 50),
        ] {
            assert!(
                (share * 18..share * 22).contains(&count),
                "{count} of {share} thousandths"
            );
        }
        assert_eq!(counts.failed, 0);
        configure(0, Mix::quiet());
    }

    #[test]
    fn forced_pending_leaves_nothing_to_the_dispatch_routine() {
        let _alone = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
        configure(6, Mix::quiet().force_pending());
        for value in 1..3000 {
            for major in [IRP_MJ_READ, IRP_MJ_CREATE] {
                let choice = decide(who(value), major as u8, 0);
                assert!(
                    !matches!(choice, Choice::Now | Choice::AtDispatch),
                    "{choice:?}"
                );
            }
            assert_eq!(decide(who(value), IRP_MJ_CLOSE as u8, 0), Choice::Now);
        }
        configure(0, Mix::quiet());
    }

    #[test]
    fn a_script_goes_before_the_seed() {
        let _alone = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
        configure(8, Mix::default());
        let scripted = |choice| Identity {
            wanted: Wanted {
                script: Some(choice),
                ..Wanted::default()
            },
            ..who(9)
        };
        for choice in [
            Choice::Now,
            Choice::PendAtDispatch,
            Choice::Fail(STATUS_IO_DEVICE_ERROR),
            Choice::HeldUntilCancelled,
        ] {
            assert_eq!(decide(scripted(choice), IRP_MJ_READ as u8, 0), choice);
            assert_eq!(decide(scripted(choice), IRP_MJ_CLOSE as u8, 0), Choice::Now);
        }
        let create = decide(scripted(Choice::AtDispatch), IRP_MJ_CREATE as u8, 0);
        assert_eq!(create, Choice::Now);
        configure(0, Mix::quiet());
    }

    #[test]
    fn file_systems_do_some_things_only_so() {
        let _alone = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
        configure(
            4,
            Mix {
                fail: 1000,
                ..Mix::default()
            },
        );
        let held = |value| Identity {
            wanted: Wanted {
                hold_until_cancelled: true,
                ..Wanted::default()
            },
            ..who(value)
        };
        let failing = |value| Identity {
            wanted: Wanted {
                failure_allowed: true,
                ..Wanted::default()
            },
            ..who(value)
        };
        assert_eq!(
            decide(held(5), IRP_MJ_READ as u8, 0),
            Choice::HeldUntilCancelled
        );
        assert!(matches!(
            decide(failing(5), IRP_MJ_READ as u8, 0),
            Choice::Fail(_)
        ));
        for value in 1..1000 {
            let (held, failing) = (held(value), failing(value));
            for major in [IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
                assert_eq!(decide(held, major as u8, 0), Choice::Now);
                assert_eq!(decide(failing, major as u8, 0), Choice::Now);
            }
            let create = decide(held, IRP_MJ_CREATE as u8, 0);
            assert!(matches!(
                create,
                Choice::Now | Choice::Pend | Choice::OtherThreadBeforeReturn
            ));
        }
        configure(5, Mix::quiet());
        assert_eq!(decide(failing(5), IRP_MJ_READ as u8, 0), Choice::Now);
        assert!(!declines_fast_io(1));
    }
}
