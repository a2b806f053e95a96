//! C3: a key is closed at PASSIVE_LEVEL, where it was opened, and not while a spin lock is held.

#![no_std]
#![no_main]

use wdm::irql::Passive;
use wdm::registry::Key;
use wdm::sync::SpinLock;
use wdm::unicode;
use wdm_ui as _;

fn count(count: &SpinLock<u32>, level: &mut Passive) {
    let key = Key::open(unicode!(r"\Registry\Machine"), level);
    count.with(level.at_most_apc().at_most_dispatch(), |count| {
        drop(key);
        *count += 1;
    });
}
