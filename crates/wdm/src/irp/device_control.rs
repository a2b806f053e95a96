//! IRP_MJ_DEVICE_CONTROL with METHOD_BUFFERED: one system buffer for input and output (D7).
//!
//! Input and output share the buffer, so that they are never to be had at the
//! same time: the input borrows the request, and the output is given to a
//! closure that the request is used up for.
//!
//! Source: "Buffer Descriptions for I/O Control Codes".

#![expect(
    unsafe_code,
    reason = "the buffer is the I/O manager's, with lengths in the stack location"
)]

use super::{ControlIrp, Disposition, raw};
use crate::driver::{Driver, Filter};
use crate::status::Status;
use wdk_sys::{IRP_MJ_DEVICE_CONTROL, METHOD_BUFFERED, PIRP};

/// A device control with a system buffer, for the control device; its lengths are the bounds of what is read and written
/// (D7).
///
/// # Invariants
/// `buffer` is not null and points to at least `input` and at least `output` bytes, of which the
/// first `input` are initialized; or both are 0. Nobody else uses it while the request is owned.
#[must_use = "a request is completed or passed on"]
pub struct DeviceControl<'d, F: Filter> {
    irp: ControlIrp<'d, F>,
    code: u32,
    buffer: *mut u8,
    input: usize,
    output: usize,
}

impl<'d, F: Filter> ControlIrp<'d, F> {
    /// The request as a device control with METHOD_BUFFERED; itself if it is none, or has no
    /// buffer for its lengths. IRQL: ≤ APC_LEVEL.
    ///
    /// Errors: the request.
    pub fn device_control(self) -> Result<DeviceControl<'d, F>, Self> {
        const METHOD: u32 = 3;
        if u32::from(self.major()) != IRP_MJ_DEVICE_CONTROL {
            return Err(self);
        }
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw()) };
        // SAFETY: as above; only the place is computed.
        let parameters = unsafe { &raw const (*location).Parameters.DeviceIoControl };
        // SAFETY: the major function selects this member.
        let code = unsafe { (*parameters).IoControlCode };
        // SAFETY: as above.
        let input = unsafe { (*parameters).InputBufferLength };
        // SAFETY: as above.
        let output = unsafe { (*parameters).OutputBufferLength };
        // SAFETY: invariant of the type; only the place is computed.
        let buffer = unsafe { &raw const (*self.raw()).AssociatedIrp.SystemBuffer };
        // SAFETY: the method says that this member holds the buffer, or null without any.
        let buffer: *mut u8 = unsafe { buffer.read() }.cast();
        if code & METHOD != METHOD_BUFFERED || buffer.is_null() && (input, output) != (0, 0) {
            return Err(self);
        }
        // INVARIANT: the I/O manager allocates the greater of both lengths and copies the input.
        Ok(DeviceControl {
            irp: self,
            code,
            buffer,
            input: input as usize,
            output: output as usize,
        })
    }
}

impl<'d, F: Filter> DeviceControl<'d, F> {
    /// The control code. IRQL: any.
    #[must_use]
    pub fn code(&self) -> u32 {
        self.code
    }

    /// What the caller sent. IRQL: any.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        if self.input == 0 {
            return &[];
        }
        // SAFETY: invariant of the type.
        unsafe { core::slice::from_raw_parts(self.buffer, self.input) }
    }

    /// The request, still owned.
    pub(super) const fn raw(&self) -> PIRP {
        self.irp.raw()
    }

    /// What the filter keeps with the handle that the request came through: [`ControlIrp::client`].
    #[must_use]
    pub fn client(&self) -> Option<&F::Client> {
        self.irp.client()
    }

    /// The driver's state, which stays until the dispatch routine has returned. IRQL: any.
    #[must_use]
    pub const fn driver(&self) -> &'d Driver<F> {
        self.irp.driver()
    }

    /// Completes the request without output. IRQL: ≤ DISPATCH_LEVEL.
    pub fn complete(self, status: Status) -> Disposition<'d> {
        // SAFETY: a control with METHOD_BUFFERED that gives nothing out promises nothing.
        unsafe { self.irp.complete(status, 0) }
    }

    /// Completes the request with what `fill` writes: it is given the whole output, all zero, and
    /// returns the status and how many bytes from the start go to the caller.
    pub fn answer(self, fill: impl FnOnce(&mut [u8]) -> (Status, usize)) -> Disposition<'d> {
        let output = if self.output == 0 {
            &mut []
        } else {
            // SAFETY: invariant of the type. What was left in the buffer is not the caller's to
            // see, nor initialized behind the input.
            unsafe { self.buffer.write_bytes(0, self.output) };
            // SAFETY: initialized in the line above; the input is not borrowed any more.
            unsafe { core::slice::from_raw_parts_mut(self.buffer, self.output) }
        };
        let (status, written) = fill(output);
        // SAFETY: the output is initialized.
        unsafe { self.irp.complete(status, written.min(self.output)) }
    }
}
