//! Failing allocations of the drivers, and what else Windows may refuse ([`Kind`]):
//! a chosen one, a share of all, or the first one of a place in their code
//! ([`call_sites`]).
//!
//! Allocations are counted in their order, from [`fail_nth`] on. Routines of
//! the box that allocate on a driver's behalf (a device, a request, a work
//! item) count as well, through [`should_fail`].

pub mod call_sites;
mod kinds;

pub use kinds::{Kind, Kinds, choose, refuses};

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);
static FAIL_AT: AtomicU64 = AtomicU64::new(u64::MAX);
/// How many of a thousand fail.
static SHARE: AtomicU32 = AtomicU32::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);
/// How many have failed.
static FAILURES: AtomicU64 = AtomicU64::new(0);
/// Where the failure happened; 0 for not yet.
static FAILED_AT: AtomicUsize = AtomicUsize::new(0);
/// A failure for a caller that gave no address.
const UNKNOWN: usize = 1;

/// Makes the allocation number `n` from now on fail (the next one is 1), and
/// that one only; `u64::MAX` for none.
pub fn fail_nth(n: u64) {
    FAILED_AT.store(0, Ordering::Relaxed);
    COUNT.store(0, Ordering::Relaxed);
    FAIL_AT.store(n, Ordering::Release);
}

/// The share of allocations, in thousandths, that fails under
/// [`Options::LOW_RESOURCES`](crate::verifier::Options::LOW_RESOURCES): six of a hundred, the
/// default of Driver Verifier's setting.
pub const LOW_RESOURCES: u32 = 60;

/// Makes `share` of a thousand allocations fail from now on, chosen by `seed` and the number of
/// the allocation; 0 for none.
pub fn fail_share(share: u32, seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
    SHARE.store(share, Ordering::Release);
}

/// Whether the share takes allocation `number`.
fn drawn(number: u64) -> bool {
    let share = SHARE.load(Ordering::Acquire);
    if share == 0 {
        return false;
    }
    let mut bits = SEED.load(Ordering::Relaxed) ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits ^ bits >> 31) % 1000 < u64::from(share)
}

/// Allocations that drivers have asked for since [`fail_nth`] (or the start).
pub fn allocations() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// The place whose allocation was failed, once that has happened.
pub fn failed() -> Option<String> {
    match FAILED_AT.load(Ordering::Acquire) {
        0 => None,
        UNKNOWN => Some("ntbox".into()),
        site => Some(crate::pe_image::describe_code(site)),
    }
}

/// How often something of a driver was made to fail.
pub fn failures() -> u64 {
    FAILURES.load(Ordering::Relaxed)
}

/// Counts an allocation and says whether it is the one to fail. `caller` is the
/// driver's return address.
pub fn should_fail(caller: usize) -> bool {
    kinds::is_chosen(Kind::Memory) && is_due(caller)
}

fn is_due(caller: usize) -> bool {
    let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let fails =
        number == FAIL_AT.load(Ordering::Acquire) || drawn(number) || call_sites::fails(caller);
    if fails {
        FAILURES.fetch_add(1, Ordering::Relaxed);
        FAILED_AT.store(caller.max(UNKNOWN), Ordering::Release);
    }
    fails
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, allocate, allocate_for_box};
    use super::*;
    use crate::host::test_process::passes_alone;

    fn new() -> bool {
        !allocate(Kind::NonPaged, 8, 1, 0).is_null()
    }

    #[test]
    fn the_chosen_allocation_fails_and_no_other() {
        passes_alone(
            "pool::failure::tests::the_chosen_allocation_fails_and_no_other",
            || {
                assert!(new());
                fail_nth(3);
                assert_eq!((allocations(), failed()), (0, None));
                assert!(new() && new());
                // What the box allocates for itself is neither counted nor failed.
                assert!(!allocate_for_box(8).is_null());
                assert!(!new());
                assert_eq!(failed().as_deref(), Some("ntbox"));
                assert!(new());
                assert_eq!(allocations(), 4);
                fail_nth(u64::MAX);
                assert!(new() && failed().is_none());
            },
        );
    }

    #[test]
    fn a_share_fails_alike_with_the_same_seed() {
        passes_alone(
            "pool::failure::tests::a_share_fails_alike_with_the_same_seed",
            || {
                let run = |seed| {
                    fail_nth(u64::MAX);
                    fail_share(LOW_RESOURCES, seed);
                    (0..10_000).map(|_| should_fail(1)).collect::<Vec<_>>()
                };
                let first = run(1);
                assert_eq!(first, run(1));
                assert_ne!(first, run(2));
                let failed = first.iter().filter(|failed| **failed).count();
                assert!((500..700).contains(&failed), "{failed} of 10000");
                fail_share(0, 1);
                assert!((0..1000).all(|_| !should_fail(1)));
            },
        );
    }

    #[test]
    fn other_routines_count_as_well() {
        passes_alone("pool::failure::tests::other_routines_count_as_well", || {
            fail_nth(2);
            assert!(!should_fail(0x1000));
            assert!(should_fail(0x1000));
            assert!(!should_fail(0x1000));
        });
    }
}
