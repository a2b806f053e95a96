//! A12: a filter is made by the thread of DriverEntry, and dropped by that of DriverUnload.

#![no_std]
#![no_main]

use wdm::device::DeviceObject;
use wdm::driver::{Driver, Filter};
use wdm::irp::{ControlIrp, Disposition, Irp};
use wdm::irql::{AtMostApc, Passive};
use wdm::status::Status;
use wdm_ui as _;

struct Here(*mut u32);

#[expect(unsafe_code, reason = "the mistake lies in what is not said")]
// SAFETY: what is behind the pointer is not looked at.
unsafe impl Sync for Here {}

impl Filter for Here {
    type Attachment = ();
    type Client = ();
    type FastIo = ();

    fn filter_request<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
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
