//! A9: a filter device is detached and deleted by the layer, in that order, and only there.

#![no_std]
#![no_main]

use wdm::device::{self, FilterDevice};
use wdm::irql::Passive;
use wdm_ui::Plain;

fn let_go(device: &FilterDevice<Plain>, level: &mut Passive) {
    device::detach(device, level);
}
