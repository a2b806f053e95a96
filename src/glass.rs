//! Which module answers which request.

use crate::{control, file_systems, mount, pass_through, volumes};
use wdm::device::{DeviceObject, FilterDevice};
use wdm::driver::{Driver, Filter, Slot};
use wdm::irp::{Disposition, FileSystemControl, Irp};
use wdm::irql::{AtMostApc, Passive};

/// The driver's own state.
pub struct Glass;

static DRIVER: Slot<Glass> = Slot::new();

impl Filter for Glass {
    type Attachment = volumes::Attachment;

    fn slot() -> &'static Slot<Self> {
        &DRIVER
    }

    fn filter_request<'d>(
        device: &'d FilterDevice<Self>,
        irp: Irp<'d>,
        level: &mut AtMostApc,
    ) -> Disposition<'d> {
        match irp.file_system_control() {
            FileSystemControl::MountVolume { storage } => {
                mount::mount_volume(device, irp, storage, level)
            }
            FileSystemControl::LoadFileSystem => mount::load_file_system(device, irp, level),
            FileSystemControl::Other => pass_through::pass_through(device, irp),
        }
    }

    fn control_request<'d>(
        _driver: &'d Driver<Self>,
        irp: Irp<'d>,
        _level: &mut AtMostApc,
    ) -> Disposition<'d> {
        control::request(irp)
    }

    fn file_system_changed(
        driver: &Driver<Self>,
        control_device: &DeviceObject,
        active: bool,
        level: &mut Passive,
    ) {
        file_systems::changed(driver, control_device, active, level);
    }
}
