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

use crate::driver::{Driver, Filter};
use crate::irp::{Disposition, Irp, Major};
use crate::irql::AtMostApc;
use crate::pool::NonPagedBox;
use crate::status::Status;
use core::ptr::NonNull;
use wdk_sys::FILE_OBJECT;

/// Answers a request for the control device, opening and closing here, others by the filter.
pub(crate) fn request<'d, F: Filter>(
    driver: &'d Driver<F>,
    irp: Irp<'d>,
    level: &mut AtMostApc,
) -> Disposition<'d> {
    let file = irp.file_object();
    match irp.major() {
        Major::CREATE => {
            let opened = match NonNull::new(file) {
                Some(file) => open::<F>(driver, file, level),
                None => Ok(()),
            };
            irp.complete(opened.err().unwrap_or(Status::SUCCESS), 0)
        }
        Major::CLEANUP => {
            // SAFETY: the file object of the request in hand.
            if let Some(client) = unsafe { of::<F>(file) } {
                F::client_closed(driver, client, level);
            }
            irp.complete(Status::SUCCESS, 0)
        }
        Major::CLOSE => {
            // SAFETY: as above; the last request for it.
            unsafe { free::<F>(file) };
            irp.complete(Status::SUCCESS, 0)
        }
        _ => {
            // SAFETY: as above; it is not closed before this request has completed.
            let client = unsafe { of::<F>(file) };
            F::control_request(driver, client, irp, level)
        }
    }
}

fn open<F: Filter>(
    driver: &Driver<F>,
    file: NonNull<FILE_OBJECT>,
    level: &mut AtMostApc,
) -> Result<(), Status> {
    let client = NonPagedBox::try_new(F::client_opened(driver, level)?)?;
    // SAFETY: the file object is being opened by this request alone, and the field is this
    // driver's: the device is no file system's, and nothing is attached below it.
    unsafe { (*file.as_ptr()).FsContext = client.into_raw().as_ptr().cast() };
    Ok(())
}

/// The client of a file object.
///
/// # Safety
/// `file` is null or a file object of this driver's control device that is not closed during `'d`.
unsafe fn of<'d, F: Filter>(file: *mut FILE_OBJECT) -> Option<&'d F::Client> {
    // SAFETY: contract of the function.
    let file = unsafe { file.as_ref() }?;
    // SAFETY: null, or what `open` put there; `free` takes it in the close.
    unsafe { file.FsContext.cast::<F::Client>().as_ref() }
}

/// Drops the client of a file object.
///
/// # Safety
/// As [`of`], and nobody uses the client any more.
unsafe fn free<F: Filter>(file: *mut FILE_OBJECT) {
    // SAFETY: contract of the function.
    let Some(file) = (unsafe { file.as_mut() }) else {
        return;
    };
    let context = core::mem::replace(&mut file.FsContext, core::ptr::null_mut());
    if let Some(client) = NonNull::new(context.cast::<F::Client>()) {
        // SAFETY: given up by `open`, taken back once, because the field is empty now.
        drop(unsafe { NonPagedBox::from_raw(client) });
    }
}
