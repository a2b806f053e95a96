//! The least that a filter driver implements.

use wdm::device::{DeviceObject, FilterDevice};
use wdm::driver::{Driver, Filter, Slot};
use wdm::irp::{Disposition, Irp};
use wdm::irql::{AtMostApc, Passive};
use wdm::status::Status;

/// A filter that passes everything on.
pub struct Plain;

static DRIVER: Slot<Plain> = Slot::new();

impl Filter for Plain {
    type Attachment = ();
    type Client = ();
    type FastIo = ();

    fn slot() -> &'static Slot<Self> {
        &DRIVER
    }

    fn filter_request<'d>(
        device: &'d FilterDevice<Self>,
        irp: Irp<'d>,
        _level: &mut AtMostApc,
    ) -> Disposition<'d> {
        match device.lower() {
            Some(lower) => irp.forward(lower),
            None => irp.complete(Status::INVALID_DEVICE_REQUEST, 0),
        }
    }

    fn client_opened(_driver: &Driver<Self>, _level: &mut AtMostApc) -> Result<(), Status> {
        Ok(())
    }

    fn client_closed(_driver: &Driver<Self>, _client: &(), _level: &mut AtMostApc) {}

    fn control_request<'d>(
        _driver: &'d Driver<Self>,
        _client: Option<&'d ()>,
        irp: Irp<'d>,
        _level: &mut AtMostApc,
    ) -> Disposition<'d> {
        irp.complete(Status::INVALID_DEVICE_REQUEST, 0)
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
