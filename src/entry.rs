//! DriverEntry: settings, control device, FsFilter callbacks, file systems, in that order.
//!
//! A step that fails undoes the ones before it in reverse, because each is a
//! value that takes itself down (A11).

use crate::glass::Glass;
use crate::settings::Settings;
use crate::{file_systems, observe, report};
use wdm::driver::Start;
use wdm::irql::Passive;
use wdm::status::Status;

/// The entry point of the image. It is discarded once it has returned; nothing else is (P1).
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

fn start(start: &mut Start<Glass>, level: &mut Passive) -> Result<(), Status> {
    set_up(start, level).map_err(|Failed(step, status)| {
        let insertions = [format_args!("{step}"), format_args!("{status}")];
        report::record(
            start.event_log(),
            &report::LOAD_REFUSED,
            status,
            &insertions,
        );
        status
    })
}

/// A step that failed, and how.
struct Failed(&'static str, Status);

fn set_up(start: &mut Start<Glass>, level: &mut Passive) -> Result<(), Failed> {
    let step = |what| move |status| Failed(what, status);
    let settings = start
        .parameters(level)
        .map_or(Settings::DEFAULT, |parameters| {
            Settings::read(&parameters, start.event_log())
        });
    let allow_unload = settings.allow_unload;
    let glass = Glass::new(settings).map_err(step("making the lists of file systems"))?;
    start
        .create_control_device(glass, allow_unload, level)
        .map_err(step("creating the control device"))?;
    start
        .register_file_system_filter_callbacks(level)
        .map_err(step("registering for sections and flushes"))?;
    let driver = start.run(level).map_err(step("asking for file systems"))?;
    file_systems::settle(driver, level);
    if let Err(status) = start.register_etw(&observe::PROVIDER, level) {
        report::note(format_args!("no events for ETW: {status}"));
    }
    Ok(())
}
