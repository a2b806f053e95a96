//! What the checks look at while a driver handles IRP_MN_SURPRISE_REMOVAL: which of its devices stay.

#![expect(unsafe_code, reason = "a device is looked at for the report")]

use super::database::describe;
use super::{checks, running};
use crate::nt::DEVICE_OBJECT;
use crate::verifier::Rule;
use std::ptr::null_mut;

/// The driver at `site` detaches or deletes `device`, as `what` says: reported while one of its routines runs for
/// IRP_MN_SURPRISE_REMOVAL.
///
/// # Safety
/// `device` is alive, or null.
pub(super) unsafe fn goes(
    rule: &'static Rule,
    what: &'static str,
    device: *mut DEVICE_OBJECT,
    site: usize,
) {
    let Some(routine) = running::in_surprise_removal(site) else {
        return;
    };
    // SAFETY: contract.
    let device = unsafe { describe(device) };
    let message = format!(
        "{device} was {what} while IRP_MN_SURPRISE_REMOVAL is handled: it goes with IRP_MN_REMOVE_DEVICE, or with the device below"
    );
    checks::report(
        rule,
        message,
        null_mut(),
        vec![("called by", site), ("routine", routine)],
    );
}
