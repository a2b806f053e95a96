//! Post to a work item: the request is marked pending, goes down, and is finished at PASSIVE_LEVEL.
//!
//! For what must be done at PASSIVE_LEVEL where the dispatch routine may not wait. It returns
//! STATUS_PENDING at once; the completion routine posts the request, which was marked before, to a
//! work item and stops completion; the work resumes it. Never for oplock requests.

use crate::Example;
use wdm::device::{DeviceReference, FilterDevice, NameBuffer};
use wdm::irp::{Disposition, Irp, PendedIrp, PendedWork, Resumed};
use wdm::irql::Passive;
use wdm::status::Status;

/// Looks at who failed a flush.
pub fn flush<'d>(device: &'d FilterDevice<Example>, irp: Irp<'d>) -> Disposition<'d> {
    let Some(lower) = device.lower() else {
        return irp.complete(Status::INVALID_DEVICE_REQUEST, 0);
    };
    let below = lower.device().reference();
    irp.pend_and_forward(device, NameWhoFailed { below })
}

/// What the work item needs, in nonpaged memory.
struct NameWhoFailed {
    below: DeviceReference,
}

impl PendedWork<Example> for NameWhoFailed {
    fn run<'w>(
        self,
        _device: &FilterDevice<Example>,
        irp: PendedIrp<'w>,
        level: &mut Passive,
    ) -> Resumed<'w> {
        if !irp.status().is_success() {
            // A name can be asked for here, and not in a completion routine.
            let mut buffer = NameBuffer::new();
            let _for_a_log = self.below.name(&mut buffer, level);
        }
        irp.resume()
    }
}
