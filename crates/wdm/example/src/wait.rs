//! Forward and wait: the request goes down, and the dispatch routine gets it back.
//!
//! Completion stops at this driver, whose completion routine signals an event; the dispatch
//! routine does at PASSIVE_LEVEL what a completion routine may not, and resumes completion. Not
//! for requests that stay below for long, such as directory notifications.

use crate::{Example, attach, own, pass_through};
use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;

/// Attaches to the volume that a file system has mounted.
pub fn mount_volume<'d>(irp: Irp<'d, Example>, level: &mut AtMostApc) -> Disposition<'d> {
    let Some(level) = level.passive() else {
        // Nothing waits here; the volume stays unfiltered.
        return pass_through::pass_through(irp, level);
    };
    let returned = irp.forward_and_wait(level);
    if let Some(mounted) = returned.mounted()
        && own::is_writable(returned.driver(), &mounted.storage, level)
    {
        attach(returned.driver(), &mounted.volume, level);
    }
    returned.resume(level)
}
