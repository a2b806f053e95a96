//! What a filter driver implements.
//!
//! Source: "Writing IRP Dispatch Routines", "Writing Fast I/O Routines".

use super::keeps::Keeps;
use super::state::Driver;
use crate::device::{DeviceObject, FilterDevice};
use crate::etw::Wanted;
use crate::fast_io::call::FastIoCall;
use crate::irp::{Came, ControlIrp, Disposition, Irp};
use crate::irql::{AtMostApc, Passive};
use crate::status::Status;

/// A file-system filter driver.
pub trait Filter: Send + Sync + Sized + 'static {
    /// What the filter keeps with each of its devices, in nonpaged memory.
    type Attachment: Send + Sync + 'static;

    /// What the filter keeps with each handle of its control device, in nonpaged memory.
    type Client: Send + Sync + 'static;

    /// What the filter keeps of a call of fast I/O or an FsFilter operation that it observes, while it is
    /// below.
    type FastIo: Send + 'static;

    /// A request for the device that [`Irp::device`] is attached to.
    fn filter_request<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d>;

    /// IRP_MJ_FILE_SYSTEM_CONTROL, with what brings new devices ([`Irp::file_system_control`]). Apart, so
    /// that no other request pays for that question.
    fn file_system_control<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
        Self::filter_request(irp, level)
    }

    /// A program opens the control device.
    ///
    /// Errors: the open fails with them.
    fn client_opened(driver: &Driver<Self>, level: &mut AtMostApc) -> Result<Self::Client, Status>;

    /// The last handle of an open has been closed (IRP_MJ_CLEANUP): whatever the client has is
    /// released. Requests of it may still be in progress, so it is dropped only when the last of
    /// them is gone (IRP_MJ_CLOSE).
    fn client_closed(driver: &Driver<Self>, client: &Self::Client, level: &mut AtMostApc);

    /// A request for the control device (D2), but for opening and closing.
    fn control_request<'d>(irp: ControlIrp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d>;

    /// Whether anybody wants to know of calls of fast I/O and FsFilter operations: [`Filter::fast_io_begins`]
    /// is called only then. IRQL: ≤ APC_LEVEL.
    fn observes_fast_io(_driver: &Driver<Self>) -> bool {
        false
    }

    /// A call of fast I/O or an FsFilter operation is about to be passed on: what is kept of it if it is
    /// observed.
    /// IRQL: ≤ APC_LEVEL.
    fn fast_io_begins(
        _device: &FilterDevice<Self>,
        _call: impl FnOnce() -> FastIoCall,
        _level: &mut AtMostApc,
    ) -> Option<Self::FastIo> {
        None
    }

    /// A call of fast I/O that is observed has returned, or the lower driver does not have it.
    fn fast_io_ends(
        _driver: &Driver<Self>,
        _observed: Self::FastIo,
        _came: &Came,
        _level: &mut AtMostApc,
    ) {
    }

    /// What was kept of an FsFilter operation is dropped, because there is no memory to keep it until the
    /// operation has ended. IRQL: ≤ APC_LEVEL.
    fn fast_io_forgotten(_driver: &Driver<Self>, _observed: Self::FastIo) {}

    /// Other ETW sessions listen to the driver's provider, or they want other things.
    fn etw_changed(_driver: &Driver<Self>, _wanted: Wanted, _level: &mut Passive) {}

    /// `device` has been taken out of its stack; requests may still be inside.
    fn detached(_device: &FilterDevice<Self>, _level: &mut Passive) {}

    /// DriverUnload has left every stack, and waits for requests, among them [`Driver::lasting`].
    fn unload_waits(driver: &Driver<Self>, level: &mut Passive);

    /// A file system has registered, or goes away (A4). The I/O manager holds the lock of its list of
    /// file systems meanwhile, without which nothing is mounted: nothing is waited for or opened here.
    fn file_system_changed(
        driver: &Driver<Self>,
        control_device: &DeviceObject,
        active: bool,
        level: &mut Passive,
    );
}

impl<F: Filter> Keeps for F {
    type Attachment = <F as Filter>::Attachment;
    type Client = <F as Filter>::Client;
}
