//! What the filter keeps with each handle of the control device.
//!
//! It lies in nonpaged pool and is found through `FileObject->FsContext`, which
//! belongs to the driver of a device that is no file system's. IRP_MJ_CREATE
//! makes it. IRP_MJ_CLEANUP comes when the last handle is closed, while other
//! threads may still be inside a request on the same file object, so it only
//! lets the filter release what the client has. IRP_MJ_CLOSE, after which no
//! request for the file object exists, frees it.
//!
//! Source: "DispatchCleanup Routines", "DispatchClose Routines".

#![expect(unsafe_code, reason = "a file object carries a raw pointer")]

use crate::driver::filter::Filter;
use crate::driver::state::Driver;
use crate::irp::{ControlIrp, Disposition, Major};
use crate::irql::AtMostApc;
use crate::pool::NonPagedBox;
use crate::status::Status;
use core::ptr::NonNull;
use wdk_sys::FILE_OBJECT;

/// Answers a request for the control device, opening and closing here, others by the filter.
pub(crate) fn request<'d, F: Filter>(
    irp: ControlIrp<'d, F>,
    level: &mut AtMostApc,
) -> Disposition<'d> {
    match irp.major() {
        Major::CREATE => {
            let opened = match irp.file_object() {
                Some(file) => open::<F>(irp.driver(), file, level),
                None => Ok(()),
            };
            // SAFETY: opened, or refused.
            unsafe { irp.complete(opened.err().unwrap_or(Status::SUCCESS), 0) }
        }
        Major::CLEANUP => {
            if let Some(client) = irp.client() {
                F::client_closed(irp.driver(), client, level);
            }
            // SAFETY: cleaned up.
            unsafe { irp.complete(Status::SUCCESS, 0) }
        }
        Major::CLOSE => {
            if let Some(file) = irp.file_object() {
                // SAFETY: the last request for it.
                unsafe { free::<F>(file) };
            }
            // SAFETY: closed.
            unsafe { irp.complete(Status::SUCCESS, 0) }
        }
        _ => F::control_request(irp, level),
    }
}

fn open<F: Filter>(
    driver: &Driver<F>,
    file: NonNull<FILE_OBJECT>,
    level: &mut AtMostApc,
) -> Result<(), Status> {
    let client = F::client_opened(driver, level).map_err(Status::or_invalid_request)?;
    let client = NonPagedBox::try_new(client)?;
    // SAFETY: the file object is being opened by this request alone, and the field is this
    // driver's: the device is no file system's, and nothing is attached below it.
    unsafe { (*file.as_ptr()).FsContext = client.into_raw().as_ptr().cast() };
    Ok(())
}

/// Drops the client of a file object.
///
/// # Safety
/// `file` is a file object of this driver's control device, and nobody uses the client any more.
unsafe fn free<F: Filter>(file: NonNull<FILE_OBJECT>) {
    // SAFETY: contract of the function.
    let file = unsafe { &mut *file.as_ptr() };
    let context = core::mem::replace(&mut file.FsContext, core::ptr::null_mut());
    if let Some(client) = NonNull::new(context.cast::<F::Client>()) {
        // SAFETY: given up by `open`, taken back once, because the field is empty now.
        drop(unsafe { NonPagedBox::from_raw(client) });
    }
}
