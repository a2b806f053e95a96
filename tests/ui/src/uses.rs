//! Each way to part with a request, used as it is meant to be.

use crate::Plain;
use wdm::completion::Completion;
use wdm::device::DeviceReference;
use wdm::irp::{
    CompletedIrp, ControlIrp, Disposition, Irp, Parking, PendedIrp, PendedWork, Resumed,
};
use wdm::irql::{AtMostApc, AtMostDispatch, Passive};
use wdm::pool::NonPagedBox;
use wdm::status::Status;
use wdm::sync::SpinLock;

/// Completes the request here.
pub fn refuse<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let _asked_for = irp.minor();
    irp.refuse(Status::INVALID_PARAMETER, level)
}

/// Answers a request for the control device.
pub fn answer<'d>(irp: ControlIrp<'d, Plain>, level: &mut Passive) -> Disposition<'d> {
    match irp.device_control() {
        Ok(control) => control.answer(level, |output, _| {
            output.fill(1);
            (Status::SUCCESS, output.len())
        }),
        Err(irp) => irp.refuse(Status::INVALID_DEVICE_REQUEST, level.at_most_apc()),
    }
}

/// Passes the request on with a context too large for the context pointer.
pub fn pass<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let logged = Logged {
        major: irp.major(),
        numbers: [1, 2, 3],
    };
    match NonPagedBox::try_new(logged) {
        Ok(logged) => irp.forward_with(logged, level),
        Err(status) => irp.refuse(status, level),
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
        return refuse(irp, level);
    };
    let returned = irp.forward_and_wait(level);
    let _result = returned.came();
    returned.resume(level)
}

/// Finishes the request on a work item.
pub fn pend<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let target = irp.lower().reference();
    irp.pend_and_forward(Renamed { target }, level)
}

/// Work of [`pend`].
pub struct Renamed {
    target: DeviceReference,
}

impl PendedWork<Plain> for Renamed {
    fn run<'w>(self, irp: PendedIrp<'w, Plain>, level: &mut Passive) -> Resumed<'w> {
        let _below = self.target.lower(level);
        irp.resume(level)
    }
}

/// Counts a request under a spin lock, and passes it on when that has been let go.
pub fn count<'d>(
    irp: Irp<'d, Plain>,
    count: &SpinLock<u64>,
    level: &mut AtMostApc,
) -> Disposition<'d> {
    count.with(level.at_most_dispatch(), |count| *count += 1);
    irp.forward(level)
}

/// Completes a request that waits, if there is one, and counts it then.
pub fn tell(parking: &Parking, told: &SpinLock<u64>, level: &mut AtMostDispatch) {
    if parking.complete(Status::SUCCESS, level) {
        told.with(level, |told| *told += 1);
    }
}
