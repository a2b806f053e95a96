//! Each way to part with a request, used as it is meant to be.

use crate::Plain;
use wdm::completion::Completion;
use wdm::device::{DeviceReference, FilterDevice};
use wdm::irp::{CompletedIrp, Disposition, Irp, PendedIrp, PendedWork, Resumed};
use wdm::irql::{AtMostApc, AtMostDispatch, Passive};
use wdm::pool::NonPagedBox;
use wdm::status::Status;

/// Completes the request here.
pub fn answer(irp: Irp<'_>) -> Disposition<'_> {
    let information = usize::from(irp.minor());
    irp.complete(Status::SUCCESS, information)
}

/// Passes the request on with a context too large for the context pointer.
pub fn pass<'d>(device: &'d FilterDevice<Plain>, irp: Irp<'d>) -> Disposition<'d> {
    let logged = Logged {
        major: irp.major(),
        numbers: [1, 2, 3],
    };
    match NonPagedBox::try_new(logged) {
        Ok(logged) => irp.forward_with(device, logged),
        Err(status) => irp.complete(status, 0),
    }
}

/// Context of [`pass`].
pub struct Logged {
    /// Of the request.
    pub major: u8,
    /// Something large.
    pub numbers: [u64; 3],
}

impl Completion for Logged {
    fn completed(self, irp: &CompletedIrp<'_>, _level: &mut AtMostDispatch) {
        let _seen = (self.major, irp.status(), irp.pending_returned());
    }
}

/// Waits for the request where that is allowed.
pub fn wait<'d>(
    device: &'d FilterDevice<Plain>,
    irp: Irp<'d>,
    level: &mut AtMostApc,
) -> Disposition<'d> {
    let Some(level) = level.passive() else {
        return answer(irp);
    };
    match irp.forward_and_wait(device, level) {
        Ok(returned) => {
            let _result = returned.status();
            returned.resume()
        }
        Err(not_waited) => not_waited.or_complete(),
    }
}

/// Finishes the request on a work item.
pub fn pend<'d>(device: &'d FilterDevice<Plain>, irp: Irp<'d>) -> Disposition<'d> {
    let target = device.reference();
    irp.pend_and_forward(device, Renamed { target })
}

/// Work of [`pend`].
pub struct Renamed {
    target: DeviceReference,
}

impl PendedWork<Plain> for Renamed {
    fn run<'w>(
        self,
        _device: &FilterDevice<Plain>,
        irp: PendedIrp<'w>,
        level: &mut Passive,
    ) -> Resumed<'w> {
        let _below = self.target.lower(level);
        irp.resume()
    }
}
