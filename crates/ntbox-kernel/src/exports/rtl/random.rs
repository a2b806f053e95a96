//! Random numbers from a seed that the driver keeps.
//!
//! The next seed is what Lehmer's generator makes of it, as the page of `RtlRandom` says of the routine in user mode;
//! the numbers are not those of Windows, which keeps a table of its own beside the seed.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::processor::irql;

const MAXIMUM: u64 = 0x7FFF_FFFF;

/// # Safety
/// `seed` is the driver's.
unsafe fn next(seed: *mut u32) -> u32 {
    // SAFETY: contract.
    let last = u64::from(unsafe { seed.read() });
    let next = ((last * 0x7FFF_FFED + 0x7FFF_FFC3) % MAXIMUM) as u32;
    // SAFETY: contract.
    unsafe { seed.write(next) };
    next
}

/// `RtlRandom`: from 0 to `MAXLONG` - 1.
pub unsafe extern "win64" fn random(seed: *mut u32, caller: usize) -> u32 {
    irql::require("RtlRandom", caller);
    // SAFETY: the driver passes its seed.
    unsafe { next(seed) }
}

/// `RtlRandomEx`, as [`random`].
pub unsafe extern "win64" fn random_ex(seed: *mut u32, caller: usize) -> u32 {
    irql::require("RtlRandomEx", caller);
    // SAFETY: the driver passes its seed.
    unsafe { next(seed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_go_on_from_the_seed() {
        let (mut seed, mut same) = (u32::MAX, u32::MAX);
        let numbers: HashSet<u32> = (0..1000)
            .map(|_| {
                // SAFETY: a seed.
                let number = unsafe { random(&raw mut seed, 0) };
                // SAFETY: as above.
                assert_eq!(number, unsafe { random_ex(&raw mut same, 0) });
                assert!(u64::from(number) < MAXIMUM);
                number
            })
            .collect();
        assert_eq!(numbers.len(), 1000);
    }
}
