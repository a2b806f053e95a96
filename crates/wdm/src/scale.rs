//! A number of units as one of other units, without a division of 128 bits.
//!
//! That division is a routine of the compiler's with a frame of its own, on the way of each event, where the stack
//! is short.
//!
//! There is no `unsafe` and no kernel here: `crates/observe/tests/plain.rs` holds it to the division of 128 bits.

/// `value` from units of which there are `from` a second to those of which there are `to`, rounded down; no more
/// than fits. Units of which there are none are taken for one.
pub(crate) fn scale(value: u64, to: u64, from: u64) -> u64 {
    let from = from.max(1);
    // value * to / from = whole * to + rest * to / from, without an error: the first is a whole number.
    let (whole, rest) = (value / from, value % from);
    let part = match rest.checked_mul(to) {
        Some(product) => product / from,
        // No clock is that fast.
        None => bit_by_bit(rest, to, from),
    };
    let scaled = whole
        .checked_mul(to)
        .and_then(|whole| whole.checked_add(part));
    scaled.unwrap_or(u64::MAX)
}

/// `rest * to / from`, rounded down, for a `rest` below `from`: less than `to`.
#[cold]
#[inline(never)]
fn bit_by_bit(rest: u64, to: u64, from: u64) -> u64 {
    let (mut quotient, mut remainder) = (0_u64, 0_u64);
    for bit in (0..u64::BITS).rev() {
        let doubled = sum(remainder, remainder, from);
        let added = if to >> bit & 1 == 0 { 0 } else { rest };
        let sum = sum(doubled.1, added, from);
        quotient = 2 * quotient + u64::from(doubled.0) + u64::from(sum.0);
        remainder = sum.1;
    }
    quotient
}

/// Whether the sum of two numbers below `from` reaches it, and what it is without.
const fn sum(one: u64, other: u64, from: u64) -> (bool, u64) {
    let missing = from - other;
    if one >= missing {
        (true, one - missing)
    } else {
        (false, one + other)
    }
}
