//! IRP_MJ_DEVICE_CONTROL with METHOD_BUFFERED or METHOD_OUT_DIRECT (D7).
//!
//! With METHOD_BUFFERED, input and output share one system buffer, so that they
//! are never to be had at the same time: the input borrows the request, and the
//! output is given to a closure that the request is used up for.
//!
//! With METHOD_OUT_DIRECT, the output is the caller's own pages, locked and
//! described by an MDL. The caller may read and write them at any time, so that
//! there is never a reference to them: what is written is copied there, and what
//! is there is not looked at.
//!
//! Wraps `MmGetSystemAddressForMdlSafe` (an inline routine over
//! `MmMapLockedPagesSpecifyCache`).
//! Source: "Buffer Descriptions for I/O Control Codes", "Using Direct I/O".

#![expect(
    unsafe_code,
    reason = "the buffers are the I/O manager's, with lengths in the stack location"
)]

use super::control::ControlIrp;
use super::disposition::Disposition;
use super::raw;
use crate::driver::keeps::Keeps;
use crate::driver::state::Driver;
use crate::irql::{AtMostApc, Passive};
use crate::status::Status;
use core::marker::PhantomData;
use core::ptr::NonNull;
use wdk_sys::{
    _MEMORY_CACHING_TYPE, _MM_PAGE_PRIORITY, _MODE, IRP_MJ_DEVICE_CONTROL, MDL,
    MDL_MAPPED_TO_SYSTEM_VA, MDL_SOURCE_IS_NONPAGED_POOL, METHOD_BUFFERED, METHOD_OUT_DIRECT, PIRP,
    ntddk,
};

/// A device control for the control device, whose lengths are the bounds of what is read and written (D7).
///
/// # Invariants
/// `buffer` is not null and points to at least `input` bytes, which are initialized, and with
/// `Output::Buffered` to at least as many bytes as that says; or both are 0. Nobody else uses it while
/// the request is owned. The pages of `Output::Direct` are locked as long.
#[must_use = "a request is completed or passed on"]
pub struct DeviceControl<'d, F: Keeps> {
    irp: ControlIrp<'d, F>,
    code: u32,
    buffer: *mut u8,
    input: usize,
    output: Output,
}

/// Where the output goes, and how many bytes of it there are.
enum Output {
    /// The system buffer.
    Buffered(usize),
    /// Pages of the caller; none for no bytes.
    Direct(*mut MDL, usize),
}

impl<'d, F: Keeps> ControlIrp<'d, F> {
    /// The request as a device control with METHOD_BUFFERED or METHOD_OUT_DIRECT; itself if it is none, or
    /// has no buffers for its lengths. IRQL: ≤ APC_LEVEL.
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
        let input = unsafe { (*parameters).InputBufferLength } as usize;
        // SAFETY: as above.
        let room = unsafe { (*parameters).OutputBufferLength } as usize;
        // SAFETY: invariant of the type; only the place is computed.
        let buffer = unsafe { &raw const (*self.raw()).AssociatedIrp.SystemBuffer };
        // SAFETY: both methods say that this member holds the buffer, or null without any.
        let buffer: *mut u8 = unsafe { buffer.read() }.cast();
        let (buffered, output) = match code & METHOD {
            METHOD_BUFFERED => (input.max(room), Output::Buffered(room)),
            METHOD_OUT_DIRECT => {
                // SAFETY: invariant of the type; the method says that this member describes the output.
                let pages = unsafe { (*self.raw()).MdlAddress };
                if pages.is_null() && room != 0 {
                    return Err(self);
                }
                (input, Output::Direct(pages, room))
            }
            _ => return Err(self),
        };
        if buffer.is_null() && buffered != 0 {
            return Err(self);
        }
        // INVARIANT: the I/O manager allocates so many bytes and copies the input, and locks the pages until
        // the request has completed.
        Ok(DeviceControl {
            irp: self,
            code,
            buffer,
            input,
            output,
        })
    }
}

impl<'d, F: Keeps> DeviceControl<'d, F> {
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

    /// Completes the request without output.
    pub fn complete(self, status: Status, _level: &mut AtMostApc) -> Disposition<'d> {
        // SAFETY: a control with METHOD_BUFFERED that gives nothing out promises nothing.
        unsafe { self.irp.complete(status, 0) }
    }

    /// Completes a request with METHOD_BUFFERED with what `fill` writes: it is given the whole output, all
    /// zero, and returns the status and how many bytes from the start go to the caller. Another one gets
    /// STATUS_INVALID_DEVICE_REQUEST.
    pub fn answer(
        self,
        level: &mut Passive,
        fill: impl FnOnce(&mut [u8], &mut Passive) -> (Status, usize),
    ) -> Disposition<'d> {
        let room = match self.output {
            Output::Buffered(room) => room,
            Output::Direct(..) => {
                let level = level.at_most_apc();
                return self.irp.refuse(Status::INVALID_DEVICE_REQUEST, level);
            }
        };
        let output = if room == 0 {
            &mut []
        } else {
            // SAFETY: invariant of the type. What was left in the buffer is not the caller's to
            // see, nor initialized behind the input.
            unsafe { self.buffer.write_bytes(0, room) };
            // SAFETY: initialized in the line above; the input is not borrowed any more.
            unsafe { core::slice::from_raw_parts_mut(self.buffer, room) }
        };
        let (status, written) = fill(output, level);
        // SAFETY: the output is initialized.
        unsafe { self.irp.complete(status, written.min(room)) }
    }

    /// Completes a request with METHOD_OUT_DIRECT with what `fill` copies into the caller's pages: it returns
    /// the status and how many bytes from the start are the answer. Another one gets
    /// STATUS_INVALID_DEVICE_REQUEST, and one whose pages cannot be mapped
    /// STATUS_INSUFFICIENT_RESOURCES.
    ///
    /// Rests on MmMapLockedPagesSpecifyCache: "The MmMapLockedPagesSpecifyCache routine maps the physical pages
    /// that are described by an MDL to a virtual address, and enables the caller to specify the cache attribute
    /// that is used to create the mapping."
    pub fn answer_directly(
        self,
        level: &mut Passive,
        fill: impl FnOnce(&mut DirectOutput<'_>, &mut Passive) -> (Status, usize),
    ) -> Disposition<'d> {
        let Output::Direct(pages, room) = self.output else {
            let level = level.at_most_apc();
            return self.irp.refuse(Status::INVALID_DEVICE_REQUEST, level);
        };
        // SAFETY: invariant of the type.
        let Some(mut output) = (unsafe { DirectOutput::map(pages, room) }) else {
            let level = level.at_most_apc();
            return self.irp.refuse(Status::INSUFFICIENT_RESOURCES, level);
        };
        let (status, written) = fill(&mut output, level);
        let written = written.min(output.room);
        // SAFETY: the I/O manager copies nothing: the bytes are the caller's own.
        unsafe { self.irp.complete(status, written) }
    }
}

/// The caller's pages, to be written to.
///
/// # Invariants
/// `first` points to `room` bytes of system address space that stay mapped during `'o`.
pub struct DirectOutput<'o> {
    first: NonNull<u8>,
    room: usize,
    request: PhantomData<&'o ()>,
}

impl DirectOutput<'_> {
    /// Maps the first `room` bytes of locked pages; `None` if the system has no room for that.
    ///
    /// # Safety
    /// `pages` describes locked pages during the result's lifetime, or `room` is 0.
    unsafe fn map(pages: *mut MDL, room: usize) -> Option<Self> {
        /// MdlMappingNoExecute (Windows 8).
        const NO_EXECUTE: i32 = 0x4000_0000;
        const MAPPED: u32 = MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL;
        if room == 0 {
            // INVARIANT: no bytes.
            return Some(Self {
                first: NonNull::dangling(),
                room: 0,
                request: PhantomData,
            });
        }
        // SAFETY: contract of the function.
        let flags = unsafe { (*pages).MdlFlags };
        let first = if u32::from(flags.cast_unsigned()) & MAPPED != 0 {
            // SAFETY: as above; the flags say that this member is set.
            unsafe { (*pages).MappedSystemVa }
        } else {
            // SAFETY: the pages are locked; it returns null instead of a bug check. The mapping goes with the lock.
            unsafe {
                ntddk::MmMapLockedPagesSpecifyCache(
                    pages,
                    _MODE::KernelMode as _,
                    _MEMORY_CACHING_TYPE::MmCached,
                    core::ptr::null_mut(),
                    0,
                    _MM_PAGE_PRIORITY::NormalPagePriority | NO_EXECUTE,
                )
            }
        };
        // SAFETY: as above.
        let bytes = unsafe { (*pages).ByteCount } as usize;
        // INVARIANT: mapped until the request is completed, which is after the closure has returned.
        Some(Self {
            first: NonNull::new(first.cast())?,
            room: room.min(bytes),
            request: PhantomData,
        })
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room
    }

    /// Copies `bytes` to the place `at`: whether they fit; else nothing is copied.
    pub fn put(&mut self, at: usize, bytes: &[u8]) -> bool {
        let fits = at
            .checked_add(bytes.len())
            .is_some_and(|end| end <= self.room);
        if fits {
            // SAFETY: within the mapping.
            let to = unsafe { self.first.add(at) };
            // SAFETY: as above. The caller may write the same bytes meanwhile, as a device could: there is no
            // reference to them, and nobody reads them here.
            unsafe { to.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        }
        fits
    }
}
