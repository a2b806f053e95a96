//! C4: a context larger than the context pointer travels in a `NonPagedBox`, not on the stack.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::device::FilterDevice;
use wdm::irp::{CompletedIrp, Disposition, Irp};
use wdm::irql::AtMostDispatch;
use wdm_ui::Plain;

struct Large {
    numbers: [u64; 3],
}

impl Completion for Large {
    fn completed(self, _irp: &CompletedIrp<'_>, _level: &mut AtMostDispatch) {
        let _seen = self.numbers;
    }
}

#[used]
static REQUEST: for<'d> fn(&'d FilterDevice<Plain>, Irp<'d>) -> Disposition<'d> =
    |device, irp| irp.forward_with(device, Large { numbers: [0; 3] });
