//! Paging requests: how pages of a file are read and written, whoever has them in memory.
//!
//! They go to the top of the file's stack, without a name and without fast I/O, with an MDL of the memory manager's. A
//! read is synchronous, in the thread that needs the pages; whose read it is, only the top-level IRP of the thread says.
//! A write is made by the program that flushes its view, by the mapped page writer, whose requests are asynchronous, by
//! the lazy writer, or by the file system that flushes its cache: each between callbacks of its own, or with a top-level
//! IRP of its own.
//!
//! Source: "Dispatch Routine IRQL and Thread Context"; DDI of "FsFilter callback routines", `FS_FILTER_CALLBACKS`, `IoGetTopLevelIrp`, `IRP_PAGING_IO` in IRP_MJ_READ and
//! IRP_MJ_WRITE.

#![expect(
    unsafe_code,
    reason = "requests and MDLs are shared with drivers by pointer"
)]

use super::buffers;
use super::request::{self, Request};
use crate::io_manager::filter_callbacks::{Operation, invoke};
use crate::io_manager::{file, mdl};
use crate::nt::stack_location::{ReadWrite, SetFile, SetFileRename, SetFileTail};
use crate::nt::{
    APC_LEVEL, FILE_END_OF_FILE_INFORMATION, FILE_OBJECT, FileEndOfFileInformation,
    IO_STATUS_BLOCK, IRP_MJ_READ, IRP_MJ_SET_INFORMATION, IRP_MJ_WRITE, IRP_NOCACHE, IRP_PAGING_IO,
    IRP_SYNCHRONOUS_PAGING_IO, KEVENT, NTSTATUS, STATUS_PENDING,
};
use crate::processor::top_level::{self, Component};
use crate::processor::{dispatcher, irql, lifetime, thread};
use std::ffi::c_void;
use std::ptr::null_mut;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Who writes pages that were changed in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The program itself, which flushes its view.
    Program,
    /// The memory manager's mapped page writer.
    MappedPageWriter,
    /// The cache manager's lazy writer.
    LazyWriter,
    /// The file system, which flushes what is cached of a file.
    FileSystem,
}

impl Writer {
    /// Those of a view.
    pub const OF_VIEWS: [Self; 2] = [Self::Program, Self::MappedPageWriter];
}

/// Pages of a file's section that lie side by side, with what they hold.
pub(super) struct Pages {
    file: *mut FILE_OBJECT,
    bytes: Vec<u8>,
    /// Where they lie in the file, a multiple of a page.
    offset: i64,
    /// The file is a page file.
    swapped: bool,
}

// SAFETY: the file is kept by the call that the pages were made for, which waits for the thread that has them.
unsafe impl Send for Pages {}

impl Pages {
    /// Pages that hold `bytes`, at `offset` (a multiple of a page).
    ///
    /// # Safety
    /// The caller keeps the file as long as this is used.
    pub(super) unsafe fn new(file: *mut FILE_OBJECT, bytes: Vec<u8>, offset: i64) -> Self {
        Self {
            file,
            bytes,
            offset,
            swapped: false,
        }
    }

    /// What they hold.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Reads or writes them by a request of this thread, and waits for that.
    fn transfer(&mut self, major: u32, flags: u32) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
        let begin: *mut c_void = self.bytes.as_mut_ptr().cast();
        let (length, offset) = (self.bytes.len() as u32, self.offset);
        let mut mdl = null_mut();
        let prepare = |request: &mut Request| {
            buffers::attach_mdl(request, begin, length, major == IRP_MJ_READ)?;
            mdl = request.header().MdlAddress;
            request.header().UserBuffer = begin;
            // Both directions have the same parameters in the same place.
            request.location().Parameters.Read = ReadWrite {
                Length: length,
                Key: 0,
                ByteOffset: offset,
                ..Default::default()
            };
            Ok(())
        };
        let ask = || {
            // SAFETY: whoever made the pages keeps their file.
            unsafe {
                ask(
                    self.file,
                    major,
                    IRP_PAGING_IO | IRP_NOCACHE | flags,
                    prepare,
                )
            }
        };
        let block = match self.swapped {
            true => irql::for_page_file(ask),
            false => ask(),
        }?;
        if flags & IRP_SYNCHRONOUS_PAGING_IO != 0 {
            // The memory manager's MDL outlives its request.
            // SAFETY: the request has completed; completion leaves the MDL of a synchronous paging request alone.
            unsafe { mdl::unlock_pages(mdl) };
            // SAFETY: as above.
            unsafe { mdl::free(mdl, 0) };
        }
        thread::deliver_apcs();
        Ok(block)
    }

    /// Reads them below `above`, at APC_LEVEL, as a page fault does.
    pub(super) fn read(&mut self, above: Component) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
        let _no_apcs = irql::raised_to(APC_LEVEL);
        top_level::below(above, || {
            self.transfer(IRP_MJ_READ, IRP_SYNCHRONOUS_PAGING_IO)
        })
    }

    /// Reads or writes them, of a page file.
    pub(super) fn swap(&mut self, reads: bool) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
        let _no_apcs = irql::raised_to(APC_LEVEL);
        self.swapped = true;
        match reads {
            true => self.transfer(IRP_MJ_READ, IRP_SYNCHRONOUS_PAGING_IO),
            false => self.transfer(IRP_MJ_WRITE, 0),
        }
    }

    /// Writes them as `writer` does, in the thread that runs. What lies behind the end of the file is not written.
    pub(super) fn write(&mut self, writer: Writer) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
        let ending_offset = self.offset + self.bytes.len() as i64;
        let (above, callbacks, flags) = match writer {
            Writer::Program => (
                Component::None,
                Some((Operation::AcquireForCcFlush, Operation::ReleaseForCcFlush)),
                IRP_SYNCHRONOUS_PAGING_IO,
            ),
            Writer::MappedPageWriter => (
                Component::ModifiedPageWriter,
                Some((
                    Operation::AcquireForModifiedPageWriter { ending_offset },
                    Operation::ReleaseForModifiedPageWriter,
                )),
                0,
            ),
            // Their callbacks are the file system's own, which no filter sees.
            Writer::LazyWriter => (Component::CacheManager, None, IRP_SYNCHRONOUS_PAGING_IO),
            Writer::FileSystem => (
                top_level::above_or(Component::FileSystem),
                None,
                IRP_SYNCHRONOUS_PAGING_IO,
            ),
        };
        if let Some((acquire, _)) = callbacks {
            // SAFETY: the pages' call keeps their file.
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

/// Sends a request of the memory manager or the cache manager about `file`, with what `prepare` puts into it, and waits for
/// it.
///
/// # Safety
/// The caller keeps the file.
unsafe fn ask(
    file: *mut FILE_OBJECT,
    major: u32,
    flags: u32,
    prepare: impl FnOnce(&mut Request) -> Result<(), NTSTATUS>,
) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
    let mut event = Box::new(KEVENT::default());
    let mut block = Box::new(IO_STATUS_BLOCK::default());
    // SAFETY: memory of this function, which waits for the request.
    unsafe { dispatcher::initialize_event(&raw mut *event, true, false) };
    // SAFETY: contract.
    let device = unsafe { file::related_device(file) };
    let mut request = Request::allocate(device, 0)?;
    let header = request.header();
    header.Flags = flags;
    header.UserEvent = &raw mut *event;
    header.Anonymous.UserIosb = &raw mut *block;
    header.Tail.Overlay.OriginalFileObject = file;
    let location = request.location();
    location.MajorFunction = major as u8;
    location.FileObject = file;
    prepare(&mut request)?;
    let (_, status) = request.send(device);
    if status == STATUS_PENDING {
        request::wait_for(&raw mut *event);
    }
    Ok(*block)
}

/// `CcSetValidData`: tells the file system that the file is written up to `length`, as the lazy writer does.
///
/// # Errors
/// What the request has failed with.
///
/// # Safety
/// The caller keeps the file. PASSIVE_LEVEL.
pub(super) unsafe fn advance_valid_data(
    file: *mut FILE_OBJECT,
    length: u64,
) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
    let mut valid = Box::new(FILE_END_OF_FILE_INFORMATION {
        EndOfFile: length.cast_signed(),
    });
    let prepare = |request: &mut Request| {
        request.header().AssociatedIrp.SystemBuffer = (&raw mut *valid).cast();
        request.location().Parameters.SetFile = SetFile {
            Length: size_of::<FILE_END_OF_FILE_INFORMATION>() as u32,
            FileInformationClass: FileEndOfFileInformation,
            Tail: SetFileTail {
                Rename: SetFileRename {
                    ReplaceIfExists: 0,
                    AdvanceOnly: 1,
                },
            },
            ..Default::default()
        };
        Ok(())
    };
    let flags = IRP_PAGING_IO | IRP_SYNCHRONOUS_PAGING_IO;
    top_level::below(Component::CacheManager, || {
        // SAFETY: contract.
        let told = unsafe { ask(file, IRP_MJ_SET_INFORMATION, flags, prepare) };
        thread::deliver_apcs();
        told
    })
}

/// A file object that is kept, whose handle may be closed.
#[derive(Debug)]
pub(super) struct Kept(*mut FILE_OBJECT);

// SAFETY: a reference on the file object belongs to no thread.
unsafe impl Send for Kept {}

impl Kept {
    /// # Safety
    /// The caller has a reference of its own.
    pub(super) unsafe fn new(file: *mut FILE_OBJECT) -> Self {
        // SAFETY: contract.
        unsafe { lifetime::reference(file.cast()) };
        Self(file)
    }

    /// The file object.
    pub(super) fn file(&self) -> *mut FILE_OBJECT {
        self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: the reference of `new`; IRP_MJ_CLOSE may follow.
        unsafe { lifetime::dereference(self.0.cast()) };
        thread::deliver_apcs();
    }
}
