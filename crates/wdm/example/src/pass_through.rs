//! Pass-through: the request goes down, and is seen when it comes up.
//!
//! The layer copies the stack location, sets the completion routine and calls the next driver; on
//! the way up it marks the request pending where a lower driver did. What is left to say is what
//! is done with the result. It may run at DISPATCH_LEVEL, in any thread.

use crate::Example;
use core::sync::atomic::{AtomicU32, Ordering};
use wdm::completion::Completion;
use wdm::irp::{CompletedIrp, Disposition, Irp};
use wdm::irql::{AtMostApc, AtMostDispatch};

/// How many requests have failed.
static FAILED: AtomicU32 = AtomicU32::new(0);

/// Passes any request on.
pub fn pass_through<'d>(irp: Irp<'d, Example>, level: &mut AtMostApc) -> Disposition<'d> {
    irp.forward_with(CountFailures(&FAILED), level)
}

/// Travels in the context pointer, where there is room for one pointer.
struct CountFailures(&'static AtomicU32);

impl Completion<Example> for CountFailures {
    fn completed(self, irp: &CompletedIrp<'_, Example>, _level: &mut AtMostDispatch) {
        if !irp.came().status.is_success() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
