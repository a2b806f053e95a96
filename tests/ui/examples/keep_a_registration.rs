//! A12: a registration with ETW is the layer's, which ends it before the driver goes.

#![no_std]
#![no_main]

use wdm::etw::Registration;
use wdm_ui as _;

fn keep(registration: Registration) {
    core::mem::forget(registration);
}
