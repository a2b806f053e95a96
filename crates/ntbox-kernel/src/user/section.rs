//! A mapped view: what the memory manager does to a file that a program maps.
//!
//! The section is created between the file system's acquire and release
//! callbacks; touching the view makes paging reads, noncached, with an MDL, and
//! without fast I/O. The cache manager reads pages in the same way, for the file
//! system or ahead of it: the thread's top-level IRP tells whose read it is.
//!
//! A page that was changed is written by the program when it flushes its view, by the lazy writer if it was
//! changed in the cache, or by the mapped page writer, whose requests are asynchronous: each between callbacks of its
//! own, or with a top-level IRP of its own.
//!
//! A view keeps the file object. Its pages are read and written after IRP_MJ_CLEANUP as before, when the handle is
//! closed, and IRP_MJ_CLOSE comes when it has ended.
//!
//! DDI: "FsFilter callback routines", `FS_FILTER_CALLBACKS`, `IoGetTopLevelIrp`, `IRP_PAGING_IO` in IRP_MJ_READ and
//! IRP_MJ_WRITE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, `ZwCreateSection`, `FsRtlGetFileSize`.

#![expect(
    unsafe_code,
    reason = "requests and MDLs are shared with drivers by pointer"
)]

use super::access::{FILE_EXECUTE, FILE_READ_DATA, FILE_WRITE_DATA};
use super::request::{self, FileCall, Request};
use super::{buffers, outcome};
use crate::io_manager::filter_callbacks::{Operation, invoke};
pub use crate::io_manager::sections::Mapping;
use crate::io_manager::sections::{self, Mapped};
use crate::io_manager::{counters, file, identity, mdl};
use crate::nt::stack_location::ReadWrite;
use crate::nt::{
    FILE_OBJECT, HANDLE, IO_STATUS_BLOCK, IRP_MJ_QUERY_INFORMATION, IRP_MJ_READ, IRP_MJ_WRITE,
    IRP_NOCACHE, IRP_PAGING_IO, IRP_SYNCHRONOUS_PAGING_IO, KEVENT, NTSTATUS, STATUS_ACCESS_DENIED,
    STATUS_ACCESS_VIOLATION, STATUS_FILE_IS_A_DIRECTORY, STATUS_INVALID_FILE_FOR_SECTION,
    STATUS_MAPPED_FILE_SIZE_ZERO, STATUS_PENDING, STATUS_SUCCESS,
};
use crate::processor::top_level::{self, Component};
use crate::processor::{dispatcher, handle, lifetime, thread, work};
use std::ffi::c_void;
use std::sync::mpsc;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// `SyncTypeCreateSection`.
const CREATE_SECTION: i32 = 1;

/// `PAGE_READONLY`, `PAGE_READWRITE`, `PAGE_EXECUTE`.
fn protection(mapping: Mapping) -> u32 {
    match mapping {
        Mapping::ReadOnly => 2,
        Mapping::Writable => 4,
        Mapping::Image => 0x10,
    }
}

/// A view of a file.
#[derive(Debug)]
pub struct View {
    mapping: Mapping,
    /// Before the file, which it looks at when it ends.
    _mapped: Mapped,
    file: Kept,
}

/// A file object that is kept, whose handle may be closed.
#[derive(Debug)]
struct Kept(*mut FILE_OBJECT);

// SAFETY: a reference on the file object belongs to no thread.
unsafe impl Send for Kept {}

impl Kept {
    /// # Safety
    /// The caller has a reference of its own.
    unsafe fn new(file: *mut FILE_OBJECT) -> Self {
        // SAFETY: contract.
        unsafe { lifetime::reference(file.cast()) };
        Self(file)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        outcome::begin();
        let _identity = identity::begin();
        // SAFETY: the reference of `new`; IRP_MJ_CLOSE may follow.
        unsafe { lifetime::dereference(self.0.cast()) };
        thread::deliver_apcs();
    }
}

impl View {
    /// `NtCreateSection` on an open file, and `NtMapViewOfSection`: acquires and releases the file through the FsFilter
    /// callbacks, and asks for its size in between.
    pub fn create(handle: HANDLE, mapping: Mapping) -> Result<Self, NTSTATUS> {
        let readable = match mapping {
            Mapping::Image => FILE_EXECUTE,
            Mapping::ReadOnly | Mapping::Writable => FILE_READ_DATA,
        };
        let call = FileCall::on(handle, readable)?;
        if mapping == Mapping::Writable && call.mode() != 0 {
            let granted = handle::access_of_handle(handle)?;
            if granted & FILE_WRITE_DATA == 0 {
                return Err(STATUS_ACCESS_DENIED);
            }
        }
        outcome::note_waits();
        // SAFETY: the call holds a reference on the file.
        let pointers = unsafe { (*call.file()).SectionObjectPointer };
        if pointers.is_null() {
            return Err(STATUS_INVALID_FILE_FOR_SECTION);
        }
        let acquire = Operation::AcquireForSection {
            section_type: CREATE_SECTION,
            page_protection: protection(mapping),
        };
        // SAFETY: as above.
        let status = unsafe { invoke(call.file(), acquire) };
        if status < 0 {
            return Err(status);
        }
        let mapped = file_size(call.file()).map(|bytes| {
            // SAFETY: of the file's stream, which is there as long as the file object, which the view, or the call, keeps.
            unsafe { sections::map(pointers, mapping, bytes) }
        });
        // SAFETY: as above.
        unsafe { invoke(call.file(), Operation::ReleaseForSection) };
        Ok(Self {
            mapping,
            _mapped: mapped?,
            // SAFETY: as above.
            file: unsafe { Kept::new(call.file()) },
        })
    }

    /// The program touches a page that is not in memory.
    ///
    /// # Safety
    /// `page` holds one page.
    pub unsafe fn page_in(
        &self,
        page: *mut c_void,
        offset: i64,
        iosb: &mut IO_STATUS_BLOCK,
    ) -> NTSTATUS {
        outcome::begin();
        let _identity = identity::begin();
        // SAFETY: contract; the view keeps its file.
        let read = unsafe { read_page(self.file.0, page, offset, Component::None) };
        end(read, iosb)
    }

    /// A page of it that was changed is written.
    ///
    /// # Safety
    /// `page` holds one page.
    pub unsafe fn page_out(
        &self,
        page: *const c_void,
        offset: i64,
        writer: Writer,
        iosb: &mut IO_STATUS_BLOCK,
    ) -> NTSTATUS {
        outcome::begin();
        let _identity = identity::begin();
        let written = match self.mapping {
            // SAFETY: contract; the view keeps its file.
            Mapping::Writable => unsafe { write_page(self.file.0, page, offset, writer) },
            Mapping::ReadOnly | Mapping::Image => Err(STATUS_ACCESS_VIOLATION),
        };
        end(written, iosb)
    }
}

/// What the file system says that the file has, through the stack.
fn file_size(file: *mut FILE_OBJECT) -> Result<u64, NTSTATUS> {
    // SAFETY: the caller's call holds a reference on the file.
    let size = unsafe { file::size(file) };
    counters::irp(
        IRP_MJ_QUERY_INFORMATION as u8,
        size.err().unwrap_or(STATUS_SUCCESS),
    );
    match size {
        Ok(bytes @ 1..) => Ok(bytes.cast_unsigned()),
        Ok(_) => Err(STATUS_MAPPED_FILE_SIZE_ZERO),
        Err(STATUS_FILE_IS_A_DIRECTORY) => Err(STATUS_INVALID_FILE_FOR_SECTION),
        Err(status) => Err(status),
    }
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
    bytes: Box<[u8; PAGE]>,
    /// Where it lies in the file, a multiple of its size.
    offset: i64,
}

// SAFETY: the pointers are kept by the call that the page was made for, which waits for the thread that has it.
unsafe impl Send for Page {}

impl Page {
    fn new(file: *mut FILE_OBJECT, offset: i64) -> Self {
        Self {
            file,
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
        // SAFETY: whoever made the page keeps its file.
        let device = unsafe { file::related_device(self.file) };
        let mut request = Request::allocate(device, 0)?;
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
        let (_, status) = request.send(device);
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

/// The page at `offset` (a multiple of the page) is read below `above`, synchronously, as `IoPageRead` does it.
///
/// # Safety
/// `page` holds one page, and the caller keeps the file.
unsafe fn read_page(
    file: *mut FILE_OBJECT,
    page: *mut c_void,
    offset: i64,
    above: Component,
) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
    outcome::note_waits();
    let mut read = Page::new(file, offset);
    let block = top_level::below(above, || {
        read.transfer(IRP_MJ_READ, IRP_SYNCHRONOUS_PAGING_IO)
    })?;
    // SAFETY: contract of the function.
    unsafe { page.cast::<[u8; PAGE]>().write(*read.bytes) };
    Ok(block)
}

/// The page at `offset` (a multiple of the page), which holds `page`, is written. What lies behind the end of the file
/// is not.
///
/// # Safety
/// `page` holds one page, and the caller keeps the file.
unsafe fn write_page(
    file: *mut FILE_OBJECT,
    page: *const c_void,
    offset: i64,
    writer: Writer,
) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
    outcome::note_waits();
    let mut changed = Page::new(file, offset);
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
}

/// A page of the cache of an open file is read below `above`.
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
    let read = FileCall::on(handle, 0).and_then(|call| {
        // SAFETY: contract; the call keeps its file.
        unsafe { read_page(call.file(), page, offset, above) }
    });
    end(read, iosb)
}

/// A page of the cache of an open file is written.
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
    let written = FileCall::on(handle, FILE_WRITE_DATA).and_then(|call| {
        // SAFETY: contract; the call keeps its file.
        unsafe { write_page(call.file(), page, offset, writer) }
    });
    end(written, iosb)
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
