//! The time of day.

use wdk_sys::LARGE_INTEGER;

/// KUSER_SHARED_DATA.SystemTime, where it is in every process of Wine, the drivers' included: the
/// low part, then the high part twice, because it is written in the opposite order.
const SYSTEM_TIME: *const u32 = 0x7FFE_0014 as *const u32;

/// As fine as Wine's server keeps it.
#[unsafe(no_mangle)]
unsafe extern "C" fn KeQuerySystemTimePrecise(now: *mut LARGE_INTEGER) {
    let word = |index| u64::from(SYSTEM_TIME.add(index).read_volatile());
    loop {
        let high = word(1);
        let low = word(0);
        if high == word(2) {
            (*now).QuadPart = (high << 32 | low) as i64;
            return;
        }
    }
}
