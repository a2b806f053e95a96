//! Which module answers which request.

use crate::policy::Policy;
use crate::{control, file_systems, mount, pass_through, report, volumes};
use wdm::device::{DeviceObject, FilterDevice, NameBuffer};
use wdm::driver::{Driver, Filter, Slot};
use wdm::irp::{Disposition, FileSystemControl, Irp};
use wdm::irql::{AtMostApc, Passive};
use wdm::status::Status;
use wdm::unicode;

/// The driver's own state.
pub struct Glass {
    /// What is filtered.
    pub policy: Policy,
}

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
            None => pass_through::pass_through(device, irp),
            Some(FileSystemControl::MountVolume { storage }) => {
                mount::mount_volume(device, irp, storage, level)
            }
            Some(FileSystemControl::LoadFileSystem) => mount::load_file_system(device, irp, level),
        }
    }

    fn control_request<'d>(
        _driver: &'d Driver<Self>,
        irp: Irp<'d>,
        _level: &mut AtMostApc,
    ) -> Disposition<'d> {
        control::request(irp)
    }

    fn unload_waits(device: &FilterDevice<Self>, level: &mut Passive) {
        let mut buffer = NameBuffer::new();
        let lower = device.lower().map(|lower| lower.device());
        let known = device.attachment().storage().or(lower);
        let name = known.and_then(|known| known.name(&mut buffer, level));
        let name = name.unwrap_or(unicode!("a device without a name"));
        for (kind, count) in device.in_flight().iter() {
            report::record(
                device.driver().event_log(),
                &report::UNLOAD_WAITS,
                Status::PENDING,
                &[
                    format_args!("{name}"),
                    format_args!("{count}"),
                    format_args!("{kind}"),
                ],
            );
        }
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
