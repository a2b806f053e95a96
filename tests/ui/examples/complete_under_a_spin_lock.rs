//! D9: a request is not completed while a spin lock is held, neither by hand nor by being dropped.

#![no_std]
#![no_main]

use wdm::irp::Parking;
use wdm::irql::AtMostDispatch;
use wdm::status::Status;
use wdm::sync::SpinLock;
use wdm_ui as _;

fn tell(parking: &Parking, told: &SpinLock<u64>, level: &mut AtMostDispatch) {
    let waiting = parking.take(level);
    told.with(level, |told| {
        *told += 1;
        if let Some(waiting) = waiting {
            waiting.complete(Status::SUCCESS);
        }
    });
}
