//! The way of almost every request: down with a completion routine, up untouched (D1).

use crate::glass::Glass;
use crate::observe::requests;
use wdm::completion::Completion;
use wdm::irp::{CompletedIrp, Disposition, Irp};
use wdm::irql::{AtMostApc, AtMostDispatch};

/// Passes `irp` to the device below and sees it complete. Oplock requests and directory change
/// notifications, which may stay below for long, are neither pended nor waited for (C9).
/// IRQL: ≤ APC_LEVEL (D3).
#[inline]
pub fn pass_through<'d>(irp: Irp<'d, Glass>, level: &mut AtMostApc) -> Disposition<'d> {
    let what = irp.driver().filter().observer.what();
    if !what.is_nothing() {
        return requests::pass_through(irp, what, level);
    }
    irp.forward_with(Seen, level)
}

/// The completion of a request that nobody observes. The layer propagates PendingReturned (C5);
/// there is nothing to add, and nothing that would cost.
struct Seen;

impl Completion<Glass> for Seen {
    fn completed(self, _irp: &CompletedIrp<'_, Glass>, _level: &mut AtMostDispatch) {}
}
