//! Latencies, sorted into buckets that grow with them: log-linear, as HDR histograms are.
//!
//! Up to 8 ticks each has a bucket of its own; above, each power of two is divided into 8. A value
//! is off by at most an eighth of itself ([`bounds`] tells between which values it was), and one
//! that is beyond the last bucket is counted there.

/// Buckets per power of two, as a power of two.
const LINEAR: u32 = 3;

/// The greatest power of two that has buckets of its own: 2^36 ticks are two hours at 10 MHz.
const GREATEST: u32 = 36;

/// How many buckets there are.
pub const BUCKETS: usize = ((GREATEST - LINEAR + 2) << LINEAR) as usize;

/// The bucket of a duration.
#[must_use]
pub const fn bucket(ticks: u64) -> usize {
    if ticks < 1 << LINEAR {
        return ticks as usize;
    }
    let power = ticks.ilog2();
    if power > GREATEST {
        return BUCKETS - 1;
    }
    let shift = power - LINEAR;
    let within = (ticks >> shift) & ((1 << LINEAR) - 1);
    (((shift + 1) << LINEAR) as u64 + within) as usize
}

/// The least duration in a bucket, and the least beyond it; the last bucket has no end.
#[must_use]
pub const fn bounds(bucket: usize) -> (u64, u64) {
    const fn least(bucket: usize) -> u64 {
        let linear = 1 << LINEAR;
        if bucket < linear {
            return bucket as u64;
        }
        let shift = (bucket >> LINEAR) - 1;
        ((linear + (bucket & (linear - 1))) as u64) << shift
    }
    if bucket + 1 >= BUCKETS {
        return (least(BUCKETS - 1), u64::MAX);
    }
    (least(bucket), least(bucket + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        assert_eq!(bounds(0).0, 0);
        for bucket_number in 0..BUCKETS - 1 {
            let (least, beyond) = bounds(bucket_number);
            assert_eq!(bounds(bucket_number + 1).0, beyond);
            for ticks in [least, least + (beyond - least) / 2, beyond - 1] {
                assert_eq!(bucket(ticks), bucket_number, "{ticks}");
            }
            assert!(beyond - least <= (least / 8).max(1), "{bucket_number}");
        }
    }

    #[test]
    fn what_is_beyond_all_is_in_the_last() {
        for ticks in [1 << 37, u64::MAX] {
            assert_eq!(bucket(ticks), BUCKETS - 1);
        }
        assert_eq!(bounds(BUCKETS - 1).1, u64::MAX);
    }
}
