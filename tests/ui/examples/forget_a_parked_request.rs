//! D5: a request that waits is taken out only to be completed: nobody has it in hand, so that nobody can forget it.

#![no_std]
#![no_main]

use wdm::irp::Parking;
use wdm::irql::AtMostDispatch;
use wdm_ui as _;

fn tell(parking: &Parking, level: &mut AtMostDispatch) {
    core::mem::forget(parking.take(level));
}
