//! A mapped view: what the memory manager does to a file that a program maps.
//!
//! The section is created between the file system's acquire and release
//! callbacks; touching the view makes paging reads, noncached, with an MDL, and
//! without fast I/O. The cache manager reads pages in the same way, for the file
//! system or ahead of it: the thread's top-level IRP tells whose read it is.
//!
//! A page that was changed is written by the program when it flushes its view, by the lazy writer if it was
//! changed in the cache, or by the mapped page writer, whose requests are asynchronous: each between callbacks of its
//! own, or with a top-level IRP of its own. DDI: "FsFilter callback routines", `FS_FILTER_CALLBACKS`,
//! `IoGetTopLevelIrp`, `IRP_PAGING_IO` in IRP_MJ_READ and IRP_MJ_WRITE.

#![expect(
    unsafe_code,
    reason = "requests and MDLs are shared with drivers by pointer"
)]

use super::access::{FILE_READ_DATA, FILE_WRITE_DATA};
use super::request::{self, FileCall, Request};
use super::{buffers, outcome};
use crate::io_manager::filter_callbacks::{Operation, invoke};
use crate::io_manager::{identity, mdl};
use crate::nt::stack_location::ReadWrite;
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, HANDLE, IO_STATUS_BLOCK, IRP_MJ_READ, IRP_MJ_WRITE, IRP_NOCACHE,
    IRP_PAGING_IO, IRP_SYNCHRONOUS_PAGING_IO, KEVENT, NTSTATUS, STATUS_PENDING,
};
use crate::processor::top_level::{self, Component};
use crate::processor::{dispatcher, thread, work};
use std::ffi::c_void;
use std::sync::mpsc;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// `SyncTypeCreateSection`.
const CREATE_SECTION: i32 = 1;
/// `PAGE_READONLY`.
const READ_ONLY: u32 = 2;

/// `NtCreateSection` for reading: acquires and releases the file through the FsFilter callbacks.
pub fn create_section(handle: HANDLE) -> NTSTATUS {
    let create = || {
        let call = FileCall::on(handle, FILE_READ_DATA)?;
        let acquire = Operation::AcquireForSection {
            section_type: CREATE_SECTION,
            page_protection: READ_ONLY,
        };
        // SAFETY: the call holds a reference on the file.
        let status = unsafe { invoke(call.file(), acquire) };
        if status < 0 {
            return Err(status);
        }
        // SAFETY: as above.
        unsafe { invoke(call.file(), Operation::ReleaseForSection) };
        Ok(status)
    };
    create().unwrap_or_else(|status: NTSTATUS| status)
}

/// Who writes a page that was changed in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The program itself, which flushes its view.
    Program,
    /// The cache manager's lazy writer.
    LazyWriter,
    /// The memory manager's mapped page writer.
    MappedPageWriter,
}

impl Writer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Program, Self::LazyWriter, Self::MappedPageWriter];
}

/// A page of a file's section, with what it holds.
struct Page {
    file: *mut FILE_OBJECT,
    /// The top of the stack that its requests go to.
    device: *mut DEVICE_OBJECT,
    bytes: Box<[u8; PAGE]>,
    /// Where it lies in the file, a multiple of its size.
    offset: i64,
}

// SAFETY: the pointers are kept by the call that the page was made for, which waits for the thread that has it.
unsafe impl Send for Page {}

impl Page {
    fn new(call: &FileCall, offset: i64) -> Self {
        Self {
            file: call.file(),
            device: call.device(),
            bytes: Box::new([0; PAGE]),
            offset,
        }
    }

    /// Reads or writes it by a request of this thread, and waits for that.
    fn transfer(&mut self, major: u32, flags: u32) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
        let mut event = Box::new(KEVENT::default());
        let mut block = Box::new(IO_STATUS_BLOCK::default());
        // SAFETY: memory of this function, which waits for the request.
        unsafe { dispatcher::initialize_event(&raw mut *event, true, false) };
        let mut request = Request::allocate(self.device, 0)?;
        let header = request.header();
        header.Flags = IRP_PAGING_IO | IRP_NOCACHE | flags;
        header.UserEvent = &raw mut *event;
        header.Anonymous.UserIosb = &raw mut *block;
        header.Tail.Overlay.OriginalFileObject = self.file;
        let begin: *mut c_void = self.bytes.as_mut_ptr().cast();
        buffers::attach_mdl(&mut request, begin, PAGE as u32, major == IRP_MJ_READ)?;
        request.header().UserBuffer = begin;
        let location = request.location();
        location.MajorFunction = major as u8;
        location.FileObject = self.file;
        // Both directions have the same parameters in the same place.
        location.Parameters.Read = ReadWrite {
            Length: PAGE as u32,
            Key: 0,
            ByteOffset: self.offset,
            ..Default::default()
        };
        let mdl = request.header().MdlAddress;
        let (_, status) = request.send(self.device);
        if status == STATUS_PENDING {
            request::wait_for(&raw mut *event);
        }
        if flags & IRP_SYNCHRONOUS_PAGING_IO != 0 {
            // The memory manager's MDL outlives its request.
            // SAFETY: the request has completed; completion leaves the MDL of a synchronous paging request alone.
            unsafe { mdl::unlock_pages(mdl) };
            // SAFETY: as above.
            unsafe { mdl::free(mdl, 0) };
        }
        thread::deliver_apcs();
        Ok(*block)
    }

    /// Writes it as `writer` does, in the thread that runs.
    fn write(&mut self, writer: Writer) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
        let ending_offset = self.offset + PAGE as i64;
        let (above, callbacks, flags) = match writer {
            Writer::Program => (
                Component::None,
                Some((Operation::AcquireForCcFlush, Operation::ReleaseForCcFlush)),
                IRP_SYNCHRONOUS_PAGING_IO,
            ),
            // Its callbacks are the file system's own, which no filter sees.
            Writer::LazyWriter => (Component::CacheManager, None, IRP_SYNCHRONOUS_PAGING_IO),
            Writer::MappedPageWriter => (
                Component::ModifiedPageWriter,
                Some((
                    Operation::AcquireForModifiedPageWriter { ending_offset },
                    Operation::ReleaseForModifiedPageWriter,
                )),
                0,
            ),
        };
        if let Some((acquire, _)) = callbacks {
            // SAFETY: the page's call keeps its file.
            let status = unsafe { invoke(self.file, acquire) };
            if status < 0 {
                return Err(status);
            }
        }
        let written = top_level::below(above, || self.transfer(IRP_MJ_WRITE, flags));
        if let Some((_, release)) = callbacks {
            // SAFETY: as above.
            unsafe { invoke(self.file, release) };
        }
        written
    }
}

/// A page fault in a view, or below `above`: one page at `offset` (a multiple of the page) is read
/// synchronously, as `IoPageRead` does it.
///
/// # Safety
/// `page` holds one page.
pub unsafe fn page_in(
    handle: HANDLE,
    page: *mut c_void,
    offset: i64,
    above: Component,
    iosb: &mut IO_STATUS_BLOCK,
) -> NTSTATUS {
    let read = || {
        let call = FileCall::on(handle, 0)?;
        outcome::note_waits();
        let mut read = Page::new(&call, offset);
        let block = top_level::below(above, || {
            read.transfer(IRP_MJ_READ, IRP_SYNCHRONOUS_PAGING_IO)
        })?;
        // SAFETY: contract of the function.
        unsafe { page.cast::<[u8; PAGE]>().write(*read.bytes) };
        Ok(block)
    };
    end(read(), iosb)
}

/// The page at `offset` (a multiple of the page) of a view, or of the cache, is written, which holds `page`. What lies
/// behind the end of the file is not.
///
/// # Safety
/// `page` holds one page.
pub unsafe fn page_out(
    handle: HANDLE,
    page: *const c_void,
    offset: i64,
    writer: Writer,
    iosb: &mut IO_STATUS_BLOCK,
) -> NTSTATUS {
    let write = || {
        let call = FileCall::on(handle, FILE_WRITE_DATA)?;
        outcome::note_waits();
        let mut changed = Page::new(&call, offset);
        // SAFETY: contract of the function.
        *changed.bytes = unsafe { page.cast::<[u8; PAGE]>().read() };
        if writer == Writer::Program {
            return changed.write(writer);
        }
        let call_of_program = identity::current();
        let (tell, told) = mpsc::channel();
        work::queue(Box::new(move || {
            let written = identity::on_behalf_of(call_of_program, || changed.write(writer));
            // Whoever asked waits for it.
            let _ = tell.send(written.map(Written));
        }));
        let written = told
            .recv()
            .expect("a system worker does all that it is given");
        written.map(|Written(block)| block)
    };
    end(write(), iosb)
}

/// How a request has ended, for another thread.
struct Written(IO_STATUS_BLOCK);

// SAFETY: of a paging request that has a status, and no pointer.
unsafe impl Send for Written {}

/// Gives out what a call has come to.
fn end(done: Result<IO_STATUS_BLOCK, NTSTATUS>, iosb: &mut IO_STATUS_BLOCK) -> NTSTATUS {
    let status = match done {
        Ok(block) => {
            *iosb = block;
            // SAFETY: completion of a paging request writes the status itself, also when it fails.
            unsafe { block.Anonymous.Status }
        }
        Err(status) => status,
    };
    outcome::note_returned(status);
    status
}
