//! The page that the kernel shares with programs, at `0xFFFFF780_00000000`, where Microsoft's headers read
//! the time (`KeQuerySystemTime`, `KeQueryInterruptTime`, `KeQueryTickCount`), and so does the entry point that
//! its library gives a driver (`GsDriverEntry`).
//!
//! No program has memory there: each read is a fault, which is answered from a page of the thread that
//! [`fill`] has written just before (`fault::elsewhere`). What is not in [`FIELDS`] is reported, not invented.
//!
//! Source: `KUSER_SHARED_DATA` in the DDI reference.

#![expect(unsafe_code, reason = "a page is filled field by field")]

use super::{counter, thread, time};
use crate::host::PAGE;
use crate::nt::version;
use std::ops::Range;

/// Where drivers find the page.
const ADDRESS: usize = 0xFFFF_F780_0000_0000;

/// `TickCountMultiplier`: milliseconds in a tick of 15.625 ms, with 24 bits behind the point.
const TICKS_TO_MILLISECONDS: u32 = 0x0FA0_0000;
/// `PROCESSOR_ARCHITECTURE_AMD64`, and `IMAGE_FILE_MACHINE_AMD64`.
const ARCHITECTURE: u16 = 9;
const MACHINE: u16 = 0x8664;
/// `ProcessorFeatures` that every processor has which runs this Windows: CMPXCHG8B, MMX, SSE, RDTSC, PAE, SSE2,
/// NX, SSE3, CMPXCHG16B, `__fastfail`.
const FEATURES: [usize; 10] = [2, 3, 6, 8, 9, 10, 12, 13, 14, 23];

/// Fields that are modelled, by offset and bytes.
const TICK_COUNT_MULTIPLIER: (usize, usize) = (0x004, 4);
const INTERRUPT_TIME: (usize, usize) = (0x008, 12);
const SYSTEM_TIME: (usize, usize) = (0x014, 12);
const TIME_ZONE_BIAS: (usize, usize) = (0x020, 12);
const IMAGE_NUMBERS: (usize, usize) = (0x02C, 4);
const SYSTEM_ROOT: (usize, usize) = (0x030, 520);
const BUILD_NUMBER: (usize, usize) = (0x260, 4);
const PRODUCT_TYPE: (usize, usize) = (0x264, 5);
const NATIVE_ARCHITECTURE: (usize, usize) = (0x26A, 2);
const VERSION: (usize, usize) = (0x26C, 8);
const PROCESSOR_FEATURES: (usize, usize) = (0x274, 64);
const SUITE_MASK: (usize, usize) = (0x2D0, 4);
const DEBUGGER_ENABLED: (usize, usize) = (0x2D4, 1);
const SAFE_BOOT_MODE: (usize, usize) = (0x2EC, 1);
const COUNTER_FREQUENCY: (usize, usize) = (0x300, 8);
const TICK_COUNT: (usize, usize) = (0x320, 12);
const INTERRUPT_TIME_BIAS: (usize, usize) = (0x3B0, 8);
const PROCESSORS: (usize, usize) = (0x3C0, 5);
const FIELDS: [(usize, usize); 18] = [
    TICK_COUNT_MULTIPLIER,
    INTERRUPT_TIME,
    SYSTEM_TIME,
    TIME_ZONE_BIAS,
    IMAGE_NUMBERS,
    SYSTEM_ROOT,
    BUILD_NUMBER,
    PRODUCT_TYPE,
    NATIVE_ARCHITECTURE,
    VERSION,
    PROCESSOR_FEATURES,
    SUITE_MASK,
    DEBUGGER_ENABLED,
    SAFE_BOOT_MODE,
    COUNTER_FREQUENCY,
    TICK_COUNT,
    INTERRUPT_TIME_BIAS,
    PROCESSORS,
];

/// The offset of `address` in the page; `None` if it lies outside.
pub(super) fn offset_of(address: usize) -> Option<usize> {
    Some(address.wrapping_sub(ADDRESS)).filter(|offset| *offset < PAGE)
}

/// True if these bytes of the page are what a driver finds there on Windows.
pub(super) fn is_modelled(bytes: &Range<usize>) -> bool {
    // Neighbours may be read at once.
    let covers = |at: usize| {
        let inside = |(offset, length): &(usize, usize)| (*offset..offset + length).contains(&at);
        FIELDS.iter().any(inside)
    };
    bytes.clone().all(covers)
}

/// Writes the fields as they are now. Neither allocates nor locks.
///
/// # Safety
/// `page` is a writable page that only this thread uses.
pub(super) unsafe fn fill(page: *mut u8) {
    let put = |(offset, length): (usize, usize), bytes: &[u8]| {
        let length = length.min(bytes.len());
        // SAFETY: each field lies in the page.
        unsafe {
            page.wrapping_add(offset)
                .copy_from_nonoverlapping(bytes.as_ptr(), length)
        };
    };
    let interrupt_time = time::interrupt_time();
    put(TICK_COUNT_MULTIPLIER, &TICKS_TO_MILLISECONDS.to_le_bytes());
    put(INTERRUPT_TIME, &system_time(interrupt_time));
    put(SYSTEM_TIME, &system_time(time::system_time()));
    put(
        TICK_COUNT,
        &system_time(interrupt_time / time::UNITS_PER_TICK),
    );
    put(IMAGE_NUMBERS, &MACHINE.to_le_bytes());
    put((IMAGE_NUMBERS.0 + 2, 2), &MACHINE.to_le_bytes());
    for (index, unit) in r"C:\Windows".encode_utf16().enumerate() {
        put((SYSTEM_ROOT.0 + 2 * index, 2), &unit.to_le_bytes());
    }
    put(BUILD_NUMBER, &version::BUILD.to_le_bytes());
    put(PRODUCT_TYPE, &[version::WORKSTATION, 0, 0, 0, 1]);
    put(NATIVE_ARCHITECTURE, &ARCHITECTURE.to_le_bytes());
    put(VERSION, &version::MAJOR.to_le_bytes());
    put((VERSION.0 + 4, 4), &version::MINOR.to_le_bytes());
    for feature in FEATURES {
        put((PROCESSOR_FEATURES.0 + feature, 1), &[1]);
    }
    put(SUITE_MASK, &version::SUITE.to_le_bytes());
    put(COUNTER_FREQUENCY, &counter::FREQUENCY.to_le_bytes());
    put(PROCESSORS, &thread::PROCESSORS.to_le_bytes());
    put((PROCESSORS.0 + 4, 1), &[1]);
}

/// `KSYSTEM_TIME`: low part, high part, and the high part once more.
fn system_time(value: i64) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [a, b, c, d, e, f, g, h, e, f, g, h]
}
