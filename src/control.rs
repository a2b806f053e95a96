//! Requests for the control device: always completed here, never passed on (D2).

use wdm::irp::{Disposition, Irp, Major};
use wdm::status::Status;

/// Answers `irp`. Opening and closing succeed; nothing else is defined, and gets
/// STATUS_INVALID_DEVICE_REQUEST: no request carries a buffer that would have to be probed (D7).
/// Who may open is decided by the device's security (A1).
pub fn request(irp: Irp<'_>) -> Disposition<'_> {
    match irp.major() {
        Major::CREATE | Major::CLEANUP | Major::CLOSE => irp.complete(Status::SUCCESS, 0),
        _ => irp.complete(Status::INVALID_DEVICE_REQUEST, 0),
    }
}
