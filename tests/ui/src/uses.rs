//! Each way to part with a request, used as it is meant to be.

use crate::Plain;
use wdm::completion::Completion;
use wdm::device::DeviceReference;
use wdm::irp::{CompletedIrp, ControlIrp, Disposition, Irp, PendedIrp, PendedWork, Resumed};
use wdm::irql::{AtMostApc, AtMostDispatch, Passive};
use wdm::pool::NonPagedBox;
use wdm::status::Status;

/// Completes the request here.
pub fn refuse(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let _asked_for = irp.minor();
    irp.refuse(Status::INVALID_PARAMETER)
}

/// Answers a request for the control device.
pub fn answer(irp: ControlIrp<'_, Plain>) -> Disposition<'_> {
    match irp.device_control() {
        Ok(control) => control.answer(|output| {
            output.fill(1);
            (Status::SUCCESS, output.len())
        }),
        Err(irp) => irp.refuse(Status::INVALID_DEVICE_REQUEST),
    }
}

/// Passes the request on with a context too large for the context pointer.
pub fn pass(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let logged = Logged {
        major: irp.major(),
        numbers: [1, 2, 3],
    };
    match NonPagedBox::try_new(logged) {
        Ok(logged) => irp.forward_with(logged),
        Err(status) => irp.refuse(status),
    }
}

/// Context of [`pass`].
pub struct Logged {
    /// Of the request.
    pub major: u8,
    /// Something large.
    pub numbers: [u64; 3],
}

impl Completion<Plain> for Logged {
    fn completed(self, irp: &CompletedIrp<'_, Plain>, _level: &mut AtMostDispatch) {
        let _seen = (self.major, irp.came());
    }
}

/// Waits for the request where that is allowed.
pub fn wait<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let Some(level) = level.passive() else {
        return refuse(irp);
    };
    let returned = irp.forward_and_wait(level);
    let _result = returned.came();
    returned.resume()
}

/// Finishes the request on a work item.
pub fn pend(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let target = irp.lower().reference();
    irp.pend_and_forward(Renamed { target })
}

/// Work of [`pend`].
pub struct Renamed {
    target: DeviceReference,
}

impl PendedWork<Plain> for Renamed {
    fn run<'w>(self, irp: PendedIrp<'w, Plain>, level: &mut Passive) -> Resumed<'w> {
        let _below = self.target.lower(level);
        irp.resume()
    }
}
