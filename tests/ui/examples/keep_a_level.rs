//! D3: a proof of the level ends with the call that it was given for.

#![no_std]
#![no_main]

use wdm::irql::Passive;
use wdm_ui as _;

struct Kept {
    level: Option<&'static mut Passive>,
}

fn keep(kept: &mut Kept, level: &mut Passive) {
    kept.level = Some(level);
}
