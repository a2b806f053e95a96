//! A request of the driver's own: allocated here, freed in its completion routine.
//!
//! The completion routine notes the status, frees the request and wakes the thread that waits.
//! STATUS_MORE_PROCESSING_REQUIRED keeps the I/O manager from touching what is gone.

use crate::Example;
use wdm::device::DeviceObject;
use wdm::driver::Driver;
use wdm::irp::{self, Question};
use wdm::irql::Passive;

/// Whether the volume on `storage` can be written. One that does not answer counts as one that
/// cannot.
pub fn is_writable(driver: &Driver<Example>, storage: &DeviceObject, level: &mut Passive) -> bool {
    irp::ask(driver, storage, Question::IS_WRITABLE, level).is_ok()
}
