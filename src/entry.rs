//! DriverEntry: settings, control device, FsFilter callbacks, file systems, in that order.
//!
//! A step that fails undoes the ones before it in reverse, because each is a
//! value that takes itself down (A11).

use crate::file_systems;
use crate::glass::Glass;
use crate::settings::Settings;
use wdm::device::ControlDeviceName;
use wdm::driver::Start;
use wdm::irql::Passive;
use wdm::status::Status;

/// The entry point of the image. It is discarded once it has returned.
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
// SAFETY: a section of this name holds code that runs during DriverEntry only.
#[unsafe(link_section = "INIT")]
unsafe extern "system" fn driver_entry(
    driver: *mut wdm::driver::DriverObject,
    registry_path: *mut wdm::driver::RegistryPath,
) -> wdm::driver::RawStatus {
    // SAFETY: these are DriverEntry's own arguments.
    unsafe { wdm::driver::start::<Glass>(driver, registry_path, start) }
}

fn start(start: Start<Glass>, level: &mut Passive) -> Result<(), Status> {
    let settings = Settings::read(start.registry_path(), level);
    let name = ControlDeviceName::of_service(start.service_name())?;
    let control = start.create_control_device(name, Glass, settings.allow_unload, level)?;
    start.register_file_system_filter_callbacks(level)?;
    let driver = start.run(control, level)?;
    file_systems::attach_raw(driver, level);
    Ok(())
}
