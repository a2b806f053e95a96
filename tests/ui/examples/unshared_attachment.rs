//! C2: what is kept with a device is seen by many threads at once.

#![no_std]
#![no_main]

use core::cell::Cell;
use wdm::device::DeviceObject;
use wdm::driver::{Driver, Filter};
use wdm::irp::{ControlIrp, Disposition, Irp};
use wdm::irql::{AtMostApc, Passive};
use wdm::status::Status;
use wdm_ui as _;

struct Counting;

impl Filter for Counting {
    type Attachment = Cell<u32>;
    type Client = ();
    type FastIo = ();

    fn filter_request<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
        irp.device().attachment().set(1);
        irp.forward(level)
    }

    fn client_opened(_driver: &Driver<Self>, _level: &mut AtMostApc) -> Result<(), Status> {
        Ok(())
    }

    fn client_closed(_driver: &Driver<Self>, _client: &(), _level: &mut AtMostApc) {}

    fn control_request<'d>(irp: ControlIrp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
        irp.refuse(Status::INVALID_DEVICE_REQUEST, level)
    }

    fn unload_waits(_driver: &Driver<Self>, _level: &mut Passive) {}

    fn file_system_changed(
        _driver: &Driver<Self>,
        _control_device: &DeviceObject,
        _active: bool,
        _level: &mut Passive,
    ) {
    }
}
