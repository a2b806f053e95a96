//! D9: a request that waits is not completed while a spin lock is held.

#![no_std]
#![no_main]

use wdm::irp::Parking;
use wdm::irql::AtMostDispatch;
use wdm::status::Status;
use wdm::sync::SpinLock;
use wdm_ui as _;

fn tell(parking: &Parking, told: &SpinLock<u64>, level: &mut AtMostDispatch) {
    told.with(level, |told| {
        *told += u64::from(parking.complete(Status::SUCCESS, level));
    });
}
