//! Post to a work item: the request is marked pending, goes down, and is finished at PASSIVE_LEVEL.
//!
//! For what must be done at PASSIVE_LEVEL where the dispatch routine may not wait. It returns
//! STATUS_PENDING at once; the completion routine posts the request, which was marked before, to a
//! work item and stops completion; the work resumes it. Never for oplock requests.

use crate::Example;
use wdm::device::{DeviceReference, NameBuffer};
use wdm::irp::{Disposition, Irp, PendedIrp, PendedWork, Resumed};
use wdm::irql::{AtMostApc, Passive};

/// Looks at who failed a flush.
pub fn flush<'d>(irp: Irp<'d, Example>, level: &mut AtMostApc) -> Disposition<'d> {
    let below = irp.lower().reference();
    irp.pend_and_forward(NameWhoFailed { below }, level)
}

/// What the work item needs, in nonpaged memory.
struct NameWhoFailed {
    below: DeviceReference,
}

impl PendedWork<Example> for NameWhoFailed {
    fn run<'w>(self, irp: PendedIrp<'w, Example>, level: &mut Passive) -> Resumed<'w> {
        if !irp.came().status.is_success() {
            // A name can be asked for here, and not in a completion routine.
            let mut buffer = NameBuffer::new();
            let _for_a_log = self.below.name(&mut buffer, level);
        }
        irp.resume(level)
    }
}
