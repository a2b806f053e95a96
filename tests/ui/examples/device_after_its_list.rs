//! A5: a device of a list is referenced by the list, and not used after it.

#![no_std]
#![no_main]

use wdm::device::{DeviceList, DeviceObject};
use wdm_ui as _;

fn first(devices: DeviceList) -> Option<u32> {
    let device: Option<&DeviceObject> = devices.iter().next();
    drop(devices);
    device.map(DeviceObject::flags)
}
