//! A6: what a storage device's VPB names without a mount in hand may be gone: nobody asks for it.

#![no_std]
#![no_main]

use wdm::device::DeviceReference;
use wdm_ui as _;

fn whenever(storage: &DeviceReference) {
    let _volume = storage.volume_of_mount();
}
