//! C5, C6, C7: nobody outside the layer sets a completion routine.

#![no_std]
#![no_main]

use wdm::irp::raw::set_completion_routine;
use wdm_ui::Plain;

fn set() {
    let _routine = set_completion_routine::<wdm_ui::Plain>;
}
