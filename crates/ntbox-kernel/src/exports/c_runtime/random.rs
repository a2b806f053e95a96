//! `rand` and `srand`.
//!
//! Source: the C run-time library reference: numbers from 0 to RAND_MAX, the same for the same seed, of which 1 is the
//! first. Which they are is not said.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// `RAND_MAX`.
const MAXIMUM: u32 = 0x7FFF;

static SEED: AtomicU32 = AtomicU32::new(1);

/// What follows: a linear congruential generator, whose upper bits are the best.
fn following(seed: u32) -> u32 {
    seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
}

/// `srand`.
pub unsafe extern "win64" fn seed(seed: u32) {
    SEED.store(seed, Relaxed);
}

/// `rand`.
pub unsafe extern "win64" fn next() -> i32 {
    let last = SEED.fetch_update(Relaxed, Relaxed, |seed| Some(following(seed)));
    let last = last.unwrap_or_else(|seed| seed);
    (following(last) >> 17 & MAXIMUM).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let numbers = |first| {
            // SAFETY: no pointers, here and below.
            unsafe { seed(first) };
            // SAFETY: as above.
            [(); 8].map(|()| unsafe { next() })
        };
        let once = numbers(7);
        assert_eq!(numbers(7), once);
        assert_ne!(numbers(8), once);
        assert!(
            once.iter()
                .all(|number| (0..=MAXIMUM as i32).contains(number))
        );
        assert_ne!(once[0], once[1]);
    }
}
