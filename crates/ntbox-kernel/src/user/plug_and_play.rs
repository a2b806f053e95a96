//! What happens to the device under a drive letter, as a user or a program brings it about.
//!
//! A user takes a device out with the program for that, or pulls it, or exchanges the medium in it; a program wants to hear
//! of it by a handle (`RegisterDeviceNotification`), for which the PnP manager asks the file's stack on which device it lies.

#![expect(
    unsafe_code,
    reason = "devices and file objects are shared with drivers by pointer"
)]

use super::request::FileCall;
use super::{File, Outcome, outcome};
use crate::io_manager::media::{self, Put};
use crate::io_manager::pnp::{self, Step};
use crate::io_manager::{identity, namespace, storage};
use crate::nt::{DEVICE_OBJECT, HANDLE, NTSTATUS, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS};
use crate::processor::lifetime;
use crate::processor::thread;

/// The storage device that `name` (`\??\C:`) leads to.
fn storage_of(name: &str) -> Result<*mut DEVICE_OBJECT, NTSTATUS> {
    let (object, _) = namespace::lookup(name)?;
    // SAFETY: the lookup's reference; a storage device lives as long as the process.
    unsafe { lifetime::dereference(object) };
    let device = object.cast();
    // SAFETY: it is only compared.
    let known = unsafe { storage::description_of(device) };
    known.map(|_| device).ok_or(STATUS_NO_SUCH_DEVICE)
}

/// Makes a call that ends with a status alone, which the service waits for.
fn call(ask: impl FnOnce() -> NTSTATUS) -> Outcome {
    thread::from_user_mode(|| {
        outcome::begin();
        outcome::note_waits();
        let _call = identity::begin();
        let status = ask();
        Outcome {
            waits: true,
            ..Outcome::early(status)
        }
    })
}

/// Does a step with the device under a drive letter: [`pnp::step`]. `STATUS_NO_SUCH_DEVICE` for a letter without a
/// storage device.
pub fn plug_and_play(name: &str, step: Step) -> Outcome {
    call(|| match storage_of(name) {
        // SAFETY: a storage device; programs run at PASSIVE_LEVEL.
        Ok(storage) => unsafe { pnp::step(storage, step) },
        Err(status) => status,
    })
}

/// Sends the device under a drive letter a request of the PnP manager that no driver knows.
pub fn ask_what_nobody_knows(name: &str) -> Outcome {
    call(|| match storage_of(name) {
        // SAFETY: as in `plug_and_play`.
        Ok(storage) => unsafe { pnp::send(storage, pnp::UNASSIGNED) },
        Err(status) => status,
    })
}

/// Exchanges the medium in the drive under a drive letter: [`media::exchange`]. `STATUS_NO_SUCH_DEVICE` for a letter
/// without a storage device.
pub fn exchange_medium(name: &str, put: Put<'_>) -> Outcome {
    call(|| match storage_of(name) {
        // SAFETY: as in `plug_and_play`.
        Ok(drive) => unsafe { media::exchange(drive, put) },
        Err(status) => status,
    })
}

impl File {
    /// The program wants to hear what becomes of the device that the file lies on.
    pub fn target_device(&self) -> Outcome {
        call(|| target_device(self.handle()))
    }
}

fn target_device(handle: HANDLE) -> NTSTATUS {
    let file = match FileCall::on(handle, 0) {
        Ok(file) => file,
        Err(status) => return status,
    };
    // SAFETY: the call keeps its file; programs run at PASSIVE_LEVEL.
    match unsafe { pnp::target_device(file.file()) } {
        Ok(device) => {
            // SAFETY: the reference that was given.
            unsafe { lifetime::dereference(device.cast()) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}
