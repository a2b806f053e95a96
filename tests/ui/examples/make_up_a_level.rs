//! D3, C3: a proof of the level is made where the system enters the driver, and nowhere else.

#![no_std]
#![no_main]

use wdm::irql::Passive;
use wdm::sync;
use wdm_ui as _;

#[expect(unsafe_code, reason = "the mistake lies in what is called")]
fn wait_anywhere() {
    // SAFETY: there is none.
    let mut level = unsafe { Passive::assume() };
    sync::delay(1, &mut level);
}
