//! When a request was passed on, and which it is, in one word: what fits into the context of a completion
//! routine.

/// Bits of the number; the rest are ticks.
const BITS: u32 = 14;

/// The ticks that are kept. At 10 MHz their lowest 50 bits begin anew after 3.5 years.
const TICKS: u64 = u64::MAX >> BITS;

/// A moment and a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp(u64);

impl Stamp {
    /// Numbers below this are kept.
    pub const NUMBERS: u32 = 1 << BITS;

    /// `ticks` and the lowest bits of `number`.
    #[must_use]
    pub const fn new(ticks: u64, number: u32) -> Self {
        Self((ticks << BITS) | (number % Self::NUMBERS) as u64)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32 % Self::NUMBERS
    }

    /// Ticks from that moment to `now`; none if another processor's clock is a little behind.
    #[must_use]
    pub const fn elapsed(self, now: u64) -> u64 {
        let ticks = now.wrapping_sub(self.0 >> BITS) & TICKS;
        if ticks > TICKS / 2 { 0 } else { ticks }
    }
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    use super::*;

    #[test]
    fn time_and_number_do_not_mix() {
        for number in [0, 1, 7, Stamp::NUMBERS - 1] {
            for began in [0, 1, 123_456_789, TICKS - 3, TICKS, u64::MAX - 3] {
                let stamp = Stamp::new(began, number);
                assert_eq!(stamp.number(), number);
                for later in [0, 1, 10, 1 << 40] {
                    let now = began.wrapping_add(later);
                    assert_eq!(stamp.elapsed(now), later, "{number} {began}");
                }
                assert_eq!(stamp.elapsed(began.wrapping_sub(1)), 0);
            }
        }
    }
}
