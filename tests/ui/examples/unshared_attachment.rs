//! C2: what is kept with a device is seen by many threads at once.

#![no_std]
#![no_main]

use core::cell::Cell;
use wdm::device::{DeviceObject, FilterDevice};
use wdm::driver::{Driver, Filter, Slot};
use wdm::irp::{Disposition, Irp};
use wdm::irql::{AtMostApc, Passive};
use wdm::status::Status;
use wdm_ui as _;

struct Counting;

impl Filter for Counting {
    type Attachment = Cell<u32>;
    type Client = ();
    type FastIo = ();

    fn slot() -> &'static Slot<Self> {
        loop {}
    }

    fn filter_request<'d>(
        device: &'d FilterDevice<Self>,
        _irp: Irp<'d>,
        _level: &mut AtMostApc,
    ) -> Disposition<'d> {
        device.attachment().set(1);
        loop {}
    }

    fn client_opened(_driver: &Driver<Self>, _level: &mut AtMostApc) -> Result<(), Status> {
        Ok(())
    }

    fn client_closed(_driver: &Driver<Self>, _client: &(), _level: &mut AtMostApc) {}

    fn control_request<'d>(
        _driver: &'d Driver<Self>,
        _client: Option<&'d ()>,
        _irp: Irp<'d>,
        _level: &mut AtMostApc,
    ) -> Disposition<'d> {
        loop {}
    }

    fn unload_waits(_device: &FilterDevice<Self>, _level: &mut Passive) {}

    fn file_system_changed(
        _driver: &Driver<Self>,
        _control_device: &DeviceObject,
        _active: bool,
        _level: &mut Passive,
    ) {
    }
}
