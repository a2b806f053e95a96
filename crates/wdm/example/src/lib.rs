//! The smallest filter that uses the four completion patterns of `wdm`, each in a module of its own.
//!
//! It lies over the file systems of disks, and over each writable volume that one of them mounts
//! while the driver is loaded.
//!
//! | module | request | pattern |
//! |---|---|---|
//! | [`pass_through`] | any but those below | passed on, and seen when it completes |
//! | [`wait`] | IRP_MN_MOUNT_VOLUME | passed on and waited for |
//! | [`post`] | IRP_MJ_FLUSH_BUFFERS | marked pending, passed on, finished on a work item |
//! | [`own`] | IOCTL_DISK_IS_WRITABLE | the driver's own: allocated, sent, freed in its completion |

#![no_std]

extern crate wdk_panic;

mod own;
mod pass_through;
mod post;
mod wait;

use wdm::device::{self, DeviceKind, DeviceObject};
use wdm::driver::{Driver, DriverObject, Filter, RawStatus, RegistryPath, Start};
use wdm::irp::{ControlIrp, Disposition, FileSystemControl, Irp, Major};
use wdm::irql::{AtMostApc, Passive};
use wdm::status::Status;

/// The driver; it has no state of its own.
struct Example;

/// The entry point of the image.
///
/// # Safety
/// Called once by the I/O manager, at PASSIVE_LEVEL, with the driver's own object and its
/// registry path.
#[expect(
    unsafe_code,
    reason = "the entry point of the image is found by its name and gets raw pointers"
)]
// SAFETY: no other item of the image has this name.
#[unsafe(export_name = "DriverEntry")]
unsafe extern "system" fn driver_entry(
    driver: *mut DriverObject,
    registry_path: *mut RegistryPath,
) -> RawStatus {
    // SAFETY: these are DriverEntry's own arguments.
    unsafe { wdm::driver::start::<Example>(driver, registry_path, start) }
}

fn start(start: &mut Start<Example>, level: &mut Passive) -> Result<(), Status> {
    let can_unload = true;
    start.create_control_device(Example, can_unload, level)?;
    start.register_file_system_filter_callbacks(level)?;
    start.run(level)?;
    Ok(())
}

impl Filter for Example {
    type Attachment = ();
    type Client = ();
    type FastIo = ();

    fn filter_request<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
        match irp.major() {
            Major::FLUSH_BUFFERS => post::flush(irp, level),
            _ => pass_through::pass_through(irp, level),
        }
    }

    fn file_system_control<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
        match irp.file_system_control() {
            Some(FileSystemControl::MountVolume) => wait::mount_volume(irp, level),
            _ => pass_through::pass_through(irp, level),
        }
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
        driver: &Driver<Self>,
        control_device: &DeviceObject,
        active: bool,
        level: &mut Passive,
    ) {
        if !active {
            driver.detach_from(control_device, level);
        } else if control_device.kind() == DeviceKind::DiskFileSystem {
            // One that cannot be attached to at once stays unfiltered: nothing may be waited for here (A4).
            let _filtered_or_not = device::attach_at_once(driver, control_device, level, |level| {
                claim(driver, control_device, level)
            });
        }
    }
}

/// Attaches to `target` unless that is filtered already. What cannot be filtered stays as it is.
fn attach(driver: &Driver<Example>, target: &DeviceObject, level: &mut Passive) {
    let _filtered_or_not =
        device::attach(driver, target, level, |level| claim(driver, target, level));
}

fn claim(driver: &Driver<Example>, target: &DeviceObject, level: &mut Passive) -> Option<()> {
    (!driver.filters(target, level)).then_some(())
}
