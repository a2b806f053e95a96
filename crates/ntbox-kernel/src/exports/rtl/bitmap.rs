//! Bitmaps: bits in words of 32, the lowest first.
//!
//! The words are the driver's, and so is the lock. Any IRQL that the memory allows.
//!
//! Source: `RtlInitializeBitMap` and its like in the DDI reference.

#![expect(unsafe_code, reason = "bitmaps lie in memory of the driver")]

use crate::nt::RTL_BITMAP;
use std::ops::Range;

/// What a search returns that finds nothing.
const NONE: u32 = u32::MAX;

/// A bitmap of the driver.
#[derive(Clone, Copy)]
struct Bits(*const RTL_BITMAP);

impl Bits {
    fn len(self) -> u32 {
        // SAFETY: the driver passes a bitmap that it has initialized.
        unsafe { (*self.0).SizeOfBitMap }
    }
    fn word(self, bit: u32) -> *mut u32 {
        // SAFETY: as above.
        unsafe { (*self.0).Buffer }.wrapping_add(bit as usize / 32)
    }
    fn is_set(self, bit: u32) -> bool {
        // SAFETY: the bitmap has that many bits.
        unsafe { self.word(bit).read() & 1 << (bit % 32) != 0 }
    }
    fn put(self, bits: Range<u32>, set: bool) {
        for bit in bits {
            let (word, mask) = (self.word(bit), 1 << (bit % 32));
            // SAFETY: as above.
            let old = unsafe { word.read() };
            // SAFETY: as above.
            unsafe { word.write(if set { old | mask } else { old & !mask }) };
        }
    }
    /// `count` bits from `start`, if the bitmap has them.
    fn range(self, start: u32, count: u32) -> Option<Range<u32>> {
        let end = start.checked_add(count)?;
        (end <= self.len()).then_some(start..end)
    }
    fn are(self, start: u32, count: u32, set: bool) -> bool {
        let range = self.range(start, count).filter(|_| count != 0);
        range.is_some_and(|mut bits| bits.all(|bit| self.is_set(bit) == set))
    }
    fn count(self, set: bool) -> u32 {
        (0..self.len())
            .filter(|bit| self.is_set(*bit) == set)
            .count() as u32
    }
    /// The first run of clear bits from `from` on: its start and its length, which is 0 if there is none.
    fn clear_run(self, from: u32) -> (u32, u32) {
        let all = from.min(self.len())..self.len();
        let start = all
            .clone()
            .find(|bit| !self.is_set(*bit))
            .unwrap_or(all.end);
        let end = (start..all.end)
            .find(|bit| self.is_set(*bit))
            .unwrap_or(all.end);
        (start, end - start)
    }
    /// Where `count` bits in a row are all set or all clear, looked for from the hint and then from the beginning.
    fn find(self, count: u32, hint: u32, set: bool) -> Option<u32> {
        let hint = if hint < self.len() { hint } else { 0 };
        // The whole bytes before the hint are looked at last.
        let hint = hint / 8 * 8;
        if count == 0 {
            return Some(hint);
        }
        let last = self.len().checked_sub(count)?;
        (hint..=last)
            .chain(0..hint.min(last + 1))
            .find(|start| self.are(*start, count, set))
    }
}

/// `RtlInitializeBitMap`. Any IRQL.
pub unsafe extern "win64" fn initialize(map: *mut RTL_BITMAP, buffer: *mut u32, bits: u32) {
    let value = RTL_BITMAP {
        SizeOfBitMap: bits,
        Buffer: buffer,
    };
    // SAFETY: the driver passes the memory of a bitmap.
    unsafe { map.write(value) };
}

macro_rules! routines {
    ($($(#[$doc:meta])* $name:ident ($($argument:ident: $type:ty),*) -> $result:ty, |$bits:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        pub unsafe extern "win64" fn $name(map: *const RTL_BITMAP, $($argument: $type),*) -> $result {
            let $bits = Bits(map);
            $body
        }
    )* };
}

routines! {
    /// `RtlSetAllBits`.
    set_all () -> (), |bits| bits.put(0..bits.len(), true);
    /// `RtlClearAllBits`.
    clear_all () -> (), |bits| bits.put(0..bits.len(), false);
    /// `RtlSetBit`.
    set (bit: u32) -> (), |bits| bits.put(bit..bit + 1, true);
    /// `RtlClearBit`.
    clear (bit: u32) -> (), |bits| bits.put(bit..bit + 1, false);
    /// `RtlTestBit`.
    test (bit: u32) -> u8, |bits| u8::from(bits.is_set(bit));
    /// `RtlSetBits`.
    set_range (start: u32, count: u32) -> (), |bits| bits.put(start..start + count, true);
    /// `RtlClearBits`.
    clear_range (start: u32, count: u32) -> (), |bits| bits.put(start..start + count, false);
    /// `RtlAreBitsSet`: false for no bits, and for some that the bitmap has not.
    are_set (start: u32, count: u32) -> u8, |bits| u8::from(bits.are(start, count, true));
    /// `RtlAreBitsClear`: as `RtlAreBitsSet`.
    are_clear (start: u32, count: u32) -> u8, |bits| u8::from(bits.are(start, count, false));
    /// `RtlNumberOfSetBits`.
    number_set () -> u32, |bits| bits.count(true);
    /// `RtlNumberOfClearBits`.
    number_clear () -> u32, |bits| bits.count(false);
    /// `RtlFindSetBits`.
    find_set (count: u32, hint: u32) -> u32, |bits| bits.find(count, hint, true).unwrap_or(NONE);
    /// `RtlFindClearBits`.
    find_clear (count: u32, hint: u32) -> u32, |bits| bits.find(count, hint, false).unwrap_or(NONE);
    /// `RtlFindClearBitsAndSet`.
    find_clear_and_set (count: u32, hint: u32) -> u32, |bits| {
        let found = bits.find(count, hint, false);
        if let Some(start) = found {
            bits.put(start..start + count, true);
        }
        found.unwrap_or(NONE)
    };
    /// `RtlFindSetBitsAndClear`.
    find_set_and_clear (count: u32, hint: u32) -> u32, |bits| {
        let found = bits.find(count, hint, true);
        if let Some(start) = found {
            bits.put(start..start + count, false);
        }
        found.unwrap_or(NONE)
    };
    /// `RtlFindNextForwardRunClear`: the length of the run, and where it begins.
    next_clear_run (from: u32, start: *mut u32) -> u32, |bits| {
        let (at, length) = bits.clear_run(from);
        // SAFETY: the driver's pointer.
        unsafe { start.write(at) };
        length
    };
    /// `RtlFindFirstRunClear`: as the last one, from the beginning.
    first_clear_run (start: *mut u32) -> u32, |bits| {
        let (at, length) = bits.clear_run(0);
        // SAFETY: the driver's pointer.
        unsafe { start.write(at) };
        length
    };
    /// `RtlFindLongestRunClear`: the first of those that are longest.
    longest_clear_run (start: *mut u32) -> u32, |bits| {
        let (mut longest, mut run) = ((0, 0), bits.clear_run(0));
        while run.1 != 0 {
            if run.1 > longest.1 {
                longest = run;
            }
            run = bits.clear_run(run.0 + run.1);
        }
        // SAFETY: the driver's pointer.
        unsafe { start.write(longest.0) };
        longest.1
    };
}

#[cfg(test)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a row of calls on local structures"
)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_put_found_and_counted() {
        let mut words = [0xDEAD_BEEF_u32; 3];
        let mut header = RTL_BITMAP::default();
        // SAFETY: a bitmap of 70 bits in 96, here and below.
        unsafe { initialize(&raw mut header, words.as_mut_ptr(), 70) };
        let map = &raw const header;
        // SAFETY: as above.
        unsafe {
            clear_all(map);
            assert_eq!((number_clear(map), number_set(map)), (70, 0));
            assert_eq!(words[2], 0xDEAD_BEC0, "what is no bit of the map stays");
            set_range(map, 30, 5);
            set(map, 69);
            assert_eq!(
                [test(map, 29), test(map, 30), test(map, 34), test(map, 35)],
                [0, 1, 1, 0]
            );
            assert_eq!(
                (
                    are_set(map, 30, 5),
                    are_set(map, 30, 6),
                    are_set(map, 30, 0)
                ),
                (1, 0, 0)
            );
            assert_eq!(
                (are_clear(map, 60, 9), are_clear(map, 65, 9)),
                (1, 0),
                "beyond the end"
            );
            assert_eq!(find_clear(map, 31, 0), 35);
            assert_eq!(
                find_clear(map, 31, 48),
                35,
                "from the beginning if not behind the hint"
            );
            assert_eq!(find_clear(map, 35, 0), NONE);
            assert_eq!(find_set(map, 2, 0), 30);
            assert_eq!(find_clear_and_set(map, 4, 40), 40);
            assert_eq!((number_set(map), find_set_and_clear(map, 5, 0)), (10, 30));
            clear(map, 69);
            let mut start = 0;
            assert_eq!((first_clear_run(map, &raw mut start), start), (40, 0));
            assert_eq!((next_clear_run(map, 40, &raw mut start), start), (26, 44));
            assert_eq!((longest_clear_run(map, &raw mut start), start), (40, 0));
            set_all(map);
            assert_eq!(
                (first_clear_run(map, &raw mut start), number_set(map)),
                (0, 70)
            );
        }
    }
}
