//! C3: a key does not outlive the proof of the level at which it has to be closed.

#![no_std]
#![no_main]

use wdm::irql::Passive;
use wdm::registry::Key;
use wdm::unicode;
use wdm_ui as _;

struct Kept {
    key: Option<Key<'static>>,
}

fn keep(kept: &mut Kept, level: &mut Passive) {
    kept.key = Key::open(unicode!(r"\Registry\Machine"), level).ok();
}
