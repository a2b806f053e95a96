//! A request with an open file: what its routine needs of it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are read by pointer"
)]

use super::buffers;
use super::cached::CachedFile;
use super::context::{self, Mounted};
use super::data::Transfer;
use super::media;
use super::oplocks::Operation;
use super::pending::{self, Work, Worked};
use super::volume::OpenId;
use super::waiting::{Arm, Effects, Outcome, Ticket};
use ntbox_kernel::nt::stack_location::ReadWrite;
use ntbox_kernel::nt::{
    FILE_OBJECT, FO_NO_INTERMEDIATE_BUFFERING, FO_SYNCHRONOUS_IO, FO_WRITE_THROUGH,
    IO_STACK_LOCATION, IRP, IRP_NOCACHE, IRP_PAGING_IO, IrpExt, MDL, SL_WRITE_THROUGH,
    STATUS_INVALID_HANDLE, STATUS_PENDING,
};
use ntbox_kernel::processor::thread;
use ntbox_kernel::processor::top_level::Component;
use std::sync::atomic::{AtomicU32, Ordering};

/// A request and its open file.
///
/// # Invariants
/// The request is the holder's: it is not completed, and no longer used once it waits.
pub struct Request {
    /// The request.
    pub irp: *mut IRP,
    /// Its current location.
    pub location: &'static IO_STACK_LOCATION,
    /// Its file object.
    pub file: *mut FILE_OBJECT,
    /// The volume.
    pub mounted: &'static Mounted,
    /// The open.
    pub open: OpenId,
    /// What works on it.
    work: Work,
}

impl Request {
    /// The request, whose dispatch routine has found its file, for `work`; an `Err` completes it.
    ///
    /// # Safety
    /// `irp` is the caller's until it is completed, and its file object is open.
    pub unsafe fn new(irp: *mut IRP, work: Work) -> Result<Self, Worked> {
        // SAFETY: contract. The location is not used after completion.
        let location = unsafe { &*irp.current_location() };
        let file = location.FileObject;
        // SAFETY: contract.
        let found = unsafe { context::of_file(file) };
        let (mounted, open) = found.ok_or(Worked::Done(STATUS_INVALID_HANDLE, 0))?;
        // SAFETY: contract.
        unsafe { media::admit(mounted, irp) }?;
        Ok(Self {
            irp,
            location,
            file,
            mounted,
            open,
            work,
        })
    }
    fn header(&self) -> &IRP {
        // SAFETY: the invariant of `new`.
        unsafe { &*self.irp }
    }
    fn ticket(&self) -> Ticket {
        Ticket(self.irp as usize)
    }
    /// The process on whose behalf the request runs (`IoGetRequestorProcess`).
    pub fn process(&self) -> usize {
        // SAFETY: the invariant of `new`.
        let thread = unsafe { self.irp.thread() };
        thread::from_object(thread).map_or_else(thread::system_process, thread::Thread::process)
            as usize
    }
    /// A program has made it, and no driver (`RequestorMode`).
    pub fn is_from_user(&self) -> bool {
        self.header().RequestorMode != 0
    }
    /// Its file object was opened for synchronous I/O: it has a position.
    pub fn is_synchronous(&self) -> bool {
        // SAFETY: a request's file object is alive.
        unsafe { (*self.file).Flags & FO_SYNCHRONOUS_IO != 0 }
    }
    /// Sets `FO_*` flags; others may do so at the same time.
    pub fn set_flags(&self, flags: u32) {
        // SAFETY: a request's file object is alive.
        let field = unsafe { AtomicU32::from_ptr(&raw mut (*self.file).Flags) };
        field.fetch_or(flags, Ordering::Relaxed);
    }
    /// Sets the position of a synchronous file.
    pub fn move_to(&self, position: i64) {
        // SAFETY: a request's file object is alive; a synchronous one has one request at a time.
        unsafe { (*self.file).CurrentByteOffset = position };
    }
    /// Brings the file's header up to date.
    pub fn update(&self) {
        // SAFETY: a request's file object is alive.
        let context = unsafe { (*self.file).FsContext };
        self.mounted.update(context, self.open);
    }
    /// What a read or write asks for.
    pub fn transfer(&self, parameters: ReadWrite) -> Transfer {
        let paging = self.header().Flags & IRP_PAGING_IO != 0;
        // SAFETY: a request's file object is alive.
        let flags = unsafe { (*self.file).Flags };
        Transfer {
            offset: parameters.ByteOffset,
            process: self.process(),
            key: parameters.Key,
            paging,
            aligned: flags & FO_NO_INTERMEDIATE_BUFFERING != 0 && !paging,
            through: flags & FO_WRITE_THROUGH != 0
                || u32::from(self.location.Flags) & SL_WRITE_THROUGH != 0,
        }
    }
    /// Whether a read or write goes around the cache.
    pub fn is_uncached(&self) -> bool {
        // SAFETY: a request's file object is alive.
        let flags = unsafe { (*self.file).Flags };
        flags & FO_NO_INTERMEDIATE_BUFFERING != 0
            || self.header().Flags & (IRP_NOCACHE | IRP_PAGING_IO) != 0
    }
    /// The file, whose data is cached.
    pub fn cached(&self) -> CachedFile<'_> {
        let (volume, open) = (&self.mounted.volume, self.open);
        // SAFETY: a request's file object is alive, as long as the request is worked on.
        unsafe { CachedFile::new(volume, open, self.file, Component::FileSystem) }
    }
    /// Gives the request's sender a list of pages.
    pub fn give_mdl(&self, list: *mut MDL) {
        // SAFETY: the invariant of `new`.
        unsafe { (*self.irp).MdlAddress = list };
    }
    /// Takes the list of pages that the request's sender gives back; null if there is none.
    pub fn take_mdl(&self) -> *mut MDL {
        // SAFETY: the invariant of `new`.
        unsafe { std::mem::replace(&mut (*self.irp).MdlAddress, std::ptr::null_mut()) }
    }
    /// Runs an operation and completes what it ended.
    pub fn with_effects<R>(&self, operation: impl FnOnce(&mut Effects<'_>) -> R) -> R {
        let mut effects = Effects::new(&pending::claim);
        let result = operation(&mut effects);
        pending::finish_waiting(effects.into_finished(), false);
        result
    }
    /// As [`with_effects`](Self::with_effects), for an operation that may wait for its turn, which is
    /// `STATUS_PENDING`: it is worked on again then.
    pub fn with_turn<R>(&self, operation: impl FnOnce(&mut Effects<'_>) -> R) -> R {
        let (irp, work) = (self.irp, self.work);
        let arm = || {
            // SAFETY: the request is queued and this routine's.
            unsafe { pending::wait_for_turn(irp, work, None) }
        };
        let mut effects = Effects::new(&pending::claim).of_request(self.ticket(), &arm);
        let result = operation(&mut effects);
        pending::finish_waiting(effects.into_finished(), false);
        result
    }
    /// Breaks the oplocks that `operation` breaks; an `Err` completes the request, or says that it
    /// waits and will be worked on again.
    pub fn break_oplock(&self, operation: Operation) -> Result<(), Worked> {
        let volume = &self.mounted.volume;
        let broken = self.with_turn(|effects| volume.break_oplock(self.open, operation, effects));
        broken.map_err(|status| match status {
            STATUS_PENDING => Worked::Waits,
            status => Worked::Done(status, 0),
        })
    }
    /// Runs an operation that may wait.
    pub fn wait(&self, operation: impl FnOnce(Ticket, Arm<'_>) -> Outcome) -> Worked {
        let irp = self.irp;
        let arm = move || {
            // SAFETY: the request is queued and this routine's.
            unsafe { pending::wait(irp) }
        };
        match operation(self.ticket(), &arm) {
            Outcome::Waiting => Worked::Waits,
            Outcome::Done(status, data) => {
                // SAFETY: the request did not wait: it is still this routine's.
                let information = unsafe { buffers::copy_out(irp, &data) };
                Worked::Done(status, information)
            }
        }
    }
}
