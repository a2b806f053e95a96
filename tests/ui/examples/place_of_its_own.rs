//! A12: where the driver's state lies, and who is inside, is the layer's alone: a filter that said where could say
//! another place each time.

#![no_std]
#![no_main]

use wdm::driver::Slot;
use wdm_ui::Plain;

static ANOTHER: Slot<Plain> = Slot::new();
