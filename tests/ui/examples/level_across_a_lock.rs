//! C3: while a lock is held only the proof that it hands out is good.

#![no_std]
#![no_main]

use wdm::irql::Passive;
use wdm::sync::{self, Mutex};
use wdm_ui as _;

fn count(counter: &Mutex<u32>, level: &mut Passive) {
    counter.with(level, |count, _inside| {
        sync::delay(1, level);
        *count += 1;
    });
}
