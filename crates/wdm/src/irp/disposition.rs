//! What becomes of a request.
//!
//! Source: "Completing IRPs".

#![expect(unsafe_code, reason = "the IRP is the I/O manager's structure")]

use crate::status::Status;
use core::marker::PhantomData;
use wdk_sys::{IO_NO_INCREMENT, NTSTATUS, PIRP, ntddk};

/// Makes `'d` invariant, so that the disposition of one request never passes for another's.
pub(super) type Brand<'d> = PhantomData<fn(&'d ()) -> &'d ()>;

/// What became of a request: the only thing a dispatch routine can return (D4).
pub struct Disposition<'d> {
    status: NTSTATUS,
    brand: Brand<'d>,
}

impl Disposition<'_> {
    pub(super) const fn new(status: NTSTATUS) -> Self {
        Self {
            status,
            brand: PhantomData,
        }
    }

    pub(crate) const fn into_status(self) -> NTSTATUS {
        self.status
    }
}

/// What a request completes with: STATUS_PENDING, which is no result, becomes STATUS_INVALID_DEVICE_REQUEST (D5).
const fn final_status(status: Status) -> Status {
    if status.0 == Status::PENDING.0 {
        Status::INVALID_DEVICE_REQUEST
    } else {
        status
    }
}

// No driver comes with it: a filter cannot name it, and no routine of the system that this crate asks returns it.
const _: () = {
    assert!(final_status(Status::PENDING).0 == Status::INVALID_DEVICE_REQUEST.0);
    assert!(final_status(Status::SUCCESS).0 == Status::SUCCESS.0);
};

/// Sets the result and completes: the status that the request got. STATUS_PENDING, which is no result,
/// becomes STATUS_INVALID_DEVICE_REQUEST (D5).
///
/// # Safety
/// The caller owns `irp` and does not touch it afterwards.
pub(crate) unsafe fn complete(irp: PIRP, status: Status, information: usize) -> Status {
    let status = final_status(status);
    // SAFETY: contract of the function; only the place is computed.
    let status_place = unsafe { &raw mut (*irp).IoStatus.__bindgen_anon_1.Status };
    // SAFETY: as above.
    unsafe { status_place.write(status.0) };
    // SAFETY: contract of the function.
    unsafe { (*irp).IoStatus.Information = information as _ };
    // SAFETY: as above; no priority boost.
    unsafe { ntddk::IofCompleteRequest(irp, IO_NO_INCREMENT as _) };
    status
}
