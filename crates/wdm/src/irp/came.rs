//! How something came back.

#![expect(unsafe_code, reason = "the IRP is the I/O manager's structure")]

use super::raw;
use crate::status::Status;
use wdk_sys::{PIO_STATUS_BLOCK, PIRP};

/// How a request, or a call of fast I/O, came back from the drivers below.
///
/// Source: `IO_STATUS_BLOCK`, `IRP`.
#[derive(Clone, Copy)]
pub struct Came {
    /// `IoStatus.Status`; success where an entry of fast I/O has no result, or was declined.
    pub status: Status,
    /// `IoStatus.Information`: bytes transferred, or what the major function defines.
    pub information: u64,
    /// Whether a driver below returned STATUS_PENDING.
    pub pended: bool,
    /// Whether the driver below does not have the entry of fast I/O, or answered FALSE.
    pub declined: bool,
}

impl Came {
    /// Nothing but a status.
    pub(crate) const fn with(status: Status) -> Self {
        Self {
            status,
            information: 0,
            pended: false,
            declined: false,
        }
    }

    /// A request. IRQL: any.
    ///
    /// # Safety
    /// `irp` has come back, and is not touched by anybody else.
    pub(crate) unsafe fn of(irp: PIRP) -> Self {
        Self {
            // SAFETY: contract of the function.
            status: unsafe { raw::status(irp) },
            // SAFETY: contract of the function.
            information: unsafe { (*irp).IoStatus.Information },
            // SAFETY: contract of the function.
            pended: unsafe { (*irp).PendingReturned } != 0,
            declined: false,
        }
    }

    /// A call of fast I/O.
    ///
    /// # Safety
    /// `result` is null, or the status block of the call.
    pub(crate) unsafe fn of_call(taken: bool, result: PIO_STATUS_BLOCK) -> Self {
        let none = Self {
            declined: !taken,
            ..Self::with(Status::SUCCESS)
        };
        // SAFETY: contract of the function. What was not taken has no result.
        let Some(block) = (unsafe { result.as_ref() }).filter(|_| taken) else {
            return none;
        };
        Self {
            // SAFETY: written by the driver that took the call.
            status: Status(unsafe { block.__bindgen_anon_1.Status }),
            information: block.Information,
            ..none
        }
    }
}
