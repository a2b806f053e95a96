//! Which module answers which request.

use crate::client::Client;
use crate::glass::Glass;
use crate::observe::calls;
use crate::{control, file_systems, mount, pass_through, report, volumes};
use wdm::device::{DeviceObject, FilterDevice};
use wdm::driver::{Driver, Filter};
use wdm::etw::Wanted;
use wdm::fast_io::FastIoCall;
use wdm::irp::{Came, ControlIrp, Disposition, FileSystemControl, Irp};
use wdm::irql::{AtMostApc, Passive};
use wdm::status::Status;

impl Filter for Glass {
    type Attachment = volumes::Attachment;
    type Client = Client;
    type FastIo = calls::Call;

    fn filter_request<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
        pass_through::pass_through(irp, level)
    }

    fn file_system_control<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
        match irp.file_system_control() {
            None => pass_through::pass_through(irp, level),
            Some(FileSystemControl::MountVolume) => mount::mount_volume(irp, level),
            Some(FileSystemControl::LoadFileSystem) => mount::load_file_system(irp, level),
        }
    }

    fn client_opened(_driver: &Driver<Self>, _level: &mut AtMostApc) -> Result<Client, Status> {
        Client::new()
    }

    fn client_closed(driver: &Driver<Self>, client: &Client, level: &mut AtMostApc) {
        client.close(driver, level);
    }

    fn control_request<'d>(irp: ControlIrp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
        control::request(irp, level)
    }

    fn observes_fast_io(driver: &Driver<Self>) -> bool {
        !driver.filter().observer.what().is_nothing()
    }

    fn fast_io_begins(
        device: &FilterDevice<Self>,
        call: impl FnOnce() -> FastIoCall,
        level: &mut AtMostApc,
    ) -> Option<calls::Call> {
        calls::begins(device, call, level.at_most_dispatch())
    }

    fn fast_io_ends(
        driver: &Driver<Self>,
        observed: calls::Call,
        came: &Came,
        level: &mut AtMostApc,
    ) {
        calls::ends(driver, observed, came, level.at_most_dispatch());
    }

    fn fast_io_forgotten(driver: &Driver<Self>, observed: calls::Call) {
        calls::forgotten(driver, observed);
    }

    fn etw_changed(driver: &Driver<Self>, wanted: Wanted, level: &mut Passive) {
        driver.filter().observer.etw_changed(wanted, level);
    }

    fn detached(device: &FilterDevice<Self>, _level: &mut Passive) {
        if let Some(volume) = &device.attachment().volume {
            volume.detached();
        }
    }

    fn unload_waits(driver: &Driver<Self>, _level: &mut Passive) {
        for (kind, count) in driver.lasting() {
            report::problem(format_args!(
                "the driver is being unloaded and waits for requests: {count} of kind {kind}"
            ));
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
