//! Reads and writes in the pages of the cache, as a file server makes them for who is far away.
//!
//! The pages are asked for by fast I/O, and where that is declined by a request with `IRP_MN_MDL`; afterwards they
//! are given back, again by fast I/O or by a request with `IRP_MN_COMPLETE_MDL`. The server's requests are its own:
//! it stops their completion, since the list in `MdlAddress` would be freed with them. DDI: "IRP_MJ_MDL_READ" and its
//! like, `FAST_IO_DISPATCH`, IRP_MJ_READ, IRP_MJ_WRITE.

#![expect(
    unsafe_code,
    reason = "requests and MDLs are shared with drivers by pointer"
)]

use super::access::{FILE_READ_DATA, FILE_WRITE_DATA};
use super::outcome;
use super::request::{self, FileCall, Request, status_of};
use crate::io_manager::counters::FastIo;
use crate::io_manager::identity::{self, Identity};
use crate::io_manager::{cache_pages, checks, irp, stack};
use crate::nt::stack_location::ReadWrite;
use crate::nt::{
    DEVICE_OBJECT, HANDLE, IO_STATUS_BLOCK, IRP, IRP_MJ_READ, IRP_MJ_WRITE, IRP_MN_COMPLETE,
    IRP_MN_MDL, IRP_READ_OPERATION, IRP_WRITE_OPERATION, KEVENT, MDL, NTSTATUS,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, Status,
};
use crate::processor::driver_code::entering;
use crate::processor::{dispatcher, thread};
use crate::verifier::rules;
use std::ffi::c_void;
use std::ptr::null_mut;

/// Reads `length` bytes at `offset`: how that ends, and what was read.
pub fn read(handle: HANDLE, offset: i64, length: u32) -> (NTSTATUS, Vec<u8>) {
    let read = || {
        let server = Server::on(handle, offset, length, false)?;
        let (block, list) = server.ask()?;
        let mut data = cache_pages::read(list).unwrap_or_default();
        data.truncate(block.Information);
        if !list.is_null() {
            server.give_back(list)?;
        }
        Ok((status_of(&block), data))
    };
    read().unwrap_or_else(|status: NTSTATUS| (status, Vec::new()))
}

/// Writes `data` at `offset`: how that ends, and how many bytes were written.
pub fn write(handle: HANDLE, offset: i64, data: &[u8]) -> (NTSTATUS, usize) {
    let write = || {
        let server = Server::on(handle, offset, data.len() as u32, true)?;
        let (block, list) = server.ask()?;
        if list.is_null() {
            return Ok((status_of(&block), 0));
        }
        cache_pages::write(list, data);
        let written = server.give_back(list)?;
        Ok((written, block.Information))
    };
    write().unwrap_or_else(|status: NTSTATUS| (status, 0))
}

/// A transfer.
struct Server {
    call: FileCall,
    offset: i64,
    length: u32,
    writes: bool,
}

impl Server {
    fn on(handle: HANDLE, offset: i64, length: u32, writes: bool) -> Result<Self, NTSTATUS> {
        let rights = if writes {
            FILE_WRITE_DATA
        } else {
            FILE_READ_DATA
        };
        let mut call = FileCall::on(handle, rights)?;
        call.lock()?;
        outcome::note_waits();
        Ok(Self {
            call,
            offset,
            length,
            writes,
        })
    }

    /// Asks for pages. Their list is null if there are none.
    fn ask(&self) -> Result<(IO_STATUS_BLOCK, *mut MDL), NTSTATUS> {
        let (entry, routine) = if self.writes {
            let routine = self.call.fast_io(|table| table.PrepareMdlWrite);
            (FastIo::PrepareMdlWrite, routine)
        } else {
            (FastIo::MdlRead, self.call.fast_io(|table| table.MdlRead))
        };
        let mut list = null_mut();
        let answered = routine.and_then(|routine| {
            let mut offset = self.offset;
            outcome::fast(entry, routine as usize, |block| {
                // SAFETY: the entry of the top driver with its documented arguments.
                unsafe {
                    entering(routine)(
                        self.call.file(),
                        &raw mut offset,
                        self.length,
                        0,
                        &raw mut list,
                        block,
                        self.call.device(),
                    )
                }
            })
        });
        match answered {
            Some(block) => Ok((block, list)),
            None => self
                .send(IRP_MN_MDL, null_mut(), identity::current())
                .map(|(block, list, _)| (block, list)),
        }
    }

    /// Gives the pages back; how the transfer has ended.
    fn give_back(&self, list: *mut MDL) -> Result<NTSTATUS, NTSTATUS> {
        let (file, device) = (self.call.file(), self.call.device());
        let loan = cache_pages::loan(list);
        let answered = if self.writes {
            self.call
                .fast_io(|table| table.MdlWriteComplete)
                .and_then(|routine| {
                    let mut offset = self.offset;
                    let call = |_| {
                        // SAFETY: as in `ask`; the list is the caller's until then.
                        unsafe { entering(routine)(file, &raw mut offset, list, device) }
                    };
                    outcome::fast(FastIo::MdlWriteComplete, routine as usize, call)
                        .map(|_| routine as usize)
                })
        } else {
            self.call
                .fast_io(|table| table.MdlReadComplete)
                .and_then(|routine| {
                    let call = |_| {
                        // SAFETY: as above.
                        unsafe { entering(routine)(file, list, device) }
                    };
                    outcome::fast(FastIo::MdlReadComplete, routine as usize, call)
                        .map(|_| routine as usize)
                })
        };
        let (status, by) = match answered {
            Some(routine) => (0, ("fast I/O routine", routine)),
            None => {
                // It is neither failed nor cancelled: nobody else would take the pages back.
                let identity = Identity {
                    value: identity::current().value,
                    ..Identity::default()
                };
                let minor = IRP_MN_MDL | IRP_MN_COMPLETE;
                let (block, _, completed) = self.send(minor, list, identity)?;
                (status_of(&block), ("completed by", completed))
            }
        };
        if loan.is_some() && cache_pages::loan(list) == loan {
            let what = if self.writes { "write" } else { "read" };
            checks::report(
                &rules::MDL_NOT_COMPLETED,
                format!(
                    "the completion of an MDL {what} has not come to the file system, which has pages locked for it: \
                     it ended with {}",
                    Status(status)
                ),
                null_mut(),
                vec![by],
            );
            cache_pages::take_back(list);
        }
        Ok(status)
    }

    /// Sends a request of the server's own, and waits for it: how it ended, the list that it came back with, and who has
    /// completed it.
    fn send(
        &self,
        minor: u32,
        list: *mut MDL,
        identity: Identity,
    ) -> Result<(IO_STATUS_BLOCK, *mut MDL, usize), NTSTATUS> {
        let mut event = Box::new(KEVENT::default());
        // SAFETY: memory of this function, which waits for the request.
        unsafe { dispatcher::initialize_event(&raw mut *event, true, false) };
        let mut request = Request::allocate(self.call.device(), 0)?;
        let (major, flags) = if self.writes {
            (IRP_MJ_WRITE, IRP_WRITE_OPERATION)
        } else {
            (IRP_MJ_READ, IRP_READ_OPERATION)
        };
        let header = request.header();
        header.Flags = flags;
        header.MdlAddress = list;
        header.Tail.Overlay.OriginalFileObject = self.call.file();
        let location = request.location();
        location.MajorFunction = major as u8;
        location.MinorFunction = minor as u8;
        location.FileObject = self.call.file();
        // Both directions have the same parameters in the same place.
        location.Parameters.Read = ReadWrite {
            Length: self.length,
            Key: 0,
            ByteOffset: self.offset,
            ..Default::default()
        };
        let irp = request.pointer();
        // SAFETY: a request that was not sent yet.
        unsafe { irp::set_identity(irp, identity) };
        let waits: *mut KEVENT = &raw mut *event;
        // SAFETY: as above, with a location for the driver.
        unsafe { stack::set_completion_routine(irp, Some(came_back), waits.cast(), stack::ALWAYS) };
        let (irp, status) = request.send(self.call.device());
        if status == STATUS_PENDING {
            request::wait_for(waits);
        }
        thread::deliver_apcs();
        // SAFETY: its completion was stopped: it is this function's.
        let header = unsafe { &mut *irp };
        let (block, list) = (header.IoStatus, header.MdlAddress);
        header.MdlAddress = null_mut();
        // SAFETY: as above.
        let completed = unsafe { irp::completed_by(irp) };
        // SAFETY: as above.
        unsafe { irp::free(irp, 0) };
        Ok((block, list, completed))
    }
}

/// Gives [`Server::send`] its request back.
unsafe extern "win64" fn came_back(
    _: *mut DEVICE_OBJECT,
    _: *mut IRP,
    event: *mut c_void,
) -> NTSTATUS {
    // SAFETY: who sent the request waits for it.
    unsafe { dispatcher::set_event(event.cast()) };
    STATUS_MORE_PROCESSING_REQUIRED
}
