//! C4: a context larger than the context pointer travels in a `NonPagedBox`, not on the stack.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::{CompletedIrp, Disposition, Irp};
use wdm::irql::{AtMostApc, AtMostDispatch};
use wdm_ui::Plain;

struct Large {
    numbers: [u64; 3],
}

impl Completion<Plain> for Large {
    fn completed(self, _irp: &CompletedIrp<'_, Plain>, _level: &mut AtMostDispatch) {
        let _seen = self.numbers;
    }
}

#[used]
static REQUEST: for<'d> fn(Irp<'d, Plain>, &mut AtMostApc) -> Disposition<'d> =
    |irp, level| irp.forward_with(Large { numbers: [0; 3] }, level);
