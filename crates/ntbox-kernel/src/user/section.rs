//! A mapped view: what the memory manager does to a file that a program maps.
//!
//! The section is created between the file system's acquire and release callbacks. Touching the view makes paging reads,
//! and a page that was changed is written by the program when it flushes its view, or by the mapped page writer
//! ([`paging`](super::paging)). What is cached of the file is the same pages on Windows: here it is written before a page
//! of a view is read or written, and has what was written.
//!
//! A view keeps the file object. Its pages are read and written after IRP_MJ_CLEANUP as before, when the handle is
//! closed, and IRP_MJ_CLOSE comes when it has ended.
//!
//! DDI: `IRP_PAGING_IO` in IRP_MJ_READ and IRP_MJ_WRITE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, `ZwCreateSection`,
//! `FsRtlGetFileSize`.

#![expect(
    unsafe_code,
    reason = "file objects are shared with drivers by pointer"
)]

use super::access::{FILE_EXECUTE, FILE_READ_DATA, FILE_WRITE_DATA};
use super::paging::{Kept, PAGE, Pages, Writer};
use super::request::{FileCall, status_of};
use super::{cache, outcome};
use crate::io_manager::filter_callbacks::{Operation, invoke};
pub use crate::io_manager::sections::Mapping;
use crate::io_manager::sections::{self, Mapped};
use crate::io_manager::{counters, file, identity};
use crate::nt::{
    FILE_OBJECT, HANDLE, IO_STATUS_BLOCK, IRP_MJ_QUERY_INFORMATION, NTSTATUS, STATUS_ACCESS_DENIED,
    STATUS_ACCESS_VIOLATION, STATUS_FILE_IS_A_DIRECTORY, STATUS_INVALID_FILE_FOR_SECTION,
    STATUS_MAPPED_FILE_SIZE_ZERO, STATUS_SUCCESS,
};
use crate::processor::top_level::Component;
use crate::processor::{handle, work};
use std::ffi::c_void;
use std::sync::mpsc;

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
    /// Until it ends.
    kept: Option<(Mapped, Kept)>,
}

impl Drop for View {
    fn drop(&mut self) {
        outcome::begin();
        let _identity = identity::begin();
        // IRP_MJ_CLOSE may follow.
        drop(self.kept.take());
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
            // SAFETY: as above.
            kept: Some((mapped?, unsafe { Kept::new(call.file()) })),
        })
    }

    fn file(&self) -> *mut FILE_OBJECT {
        self.kept
            .as_ref()
            .map_or(std::ptr::null_mut(), |(_, file)| file.file())
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
        let read = unsafe { read_page(self.file(), page, offset) };
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
            Mapping::Writable => unsafe { write_page(self.file(), page, offset, writer) },
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

/// The stream of a file, and where a page of it lies.
///
/// # Safety
/// The caller keeps the file.
unsafe fn place_of(file: *mut FILE_OBJECT, offset: i64) -> (usize, u64) {
    // SAFETY: contract.
    let stream = unsafe { (*file).SectionObjectPointer }.addr();
    (stream, offset.cast_unsigned())
}

/// The page at `offset` (a multiple of the page) is read. What is cached of it is written before, since it is the same
/// page.
///
/// # Safety
/// `page` holds one page, and the caller keeps the file.
unsafe fn read_page(
    file: *mut FILE_OBJECT,
    page: *mut c_void,
    offset: i64,
) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
    outcome::note_waits();
    // SAFETY: contract.
    let (stream, begin) = unsafe { place_of(file, offset) };
    cache::flush(stream, Some(begin..begin + PAGE as u64))?;
    // SAFETY: contract.
    let mut read = unsafe { Pages::new(file, vec![0; PAGE], offset) };
    let block = read.read(Component::None)?;
    // SAFETY: contract of the function.
    unsafe { std::ptr::copy_nonoverlapping(read.into_bytes().as_ptr(), page.cast(), PAGE) };
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
    // SAFETY: contract.
    let (stream, begin) = unsafe { place_of(file, offset) };
    // SAFETY: contract of the function.
    let bytes: [u8; PAGE] = unsafe { page.cast::<[u8; PAGE]>().read() };
    // SAFETY: contract; the thread that has them is waited for.
    let mut changed = unsafe { Pages::new(file, bytes.to_vec(), offset) };
    cache::writing_of_view(stream, begin, &bytes, || {
        let written = match writer {
            Writer::MappedPageWriter => elsewhere(move || changed.write(writer)),
            _ => changed.write(writer),
        };
        let success = matches!(&written, Ok(block) if status_of(block) >= 0);
        (written, success)
    })
}

/// Does it in a thread of the system, for the call of this one, which waits.
fn elsewhere(
    body: impl FnOnce() -> Result<IO_STATUS_BLOCK, NTSTATUS> + Send + 'static,
) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
    let call_of_program = identity::current();
    let (tell, told) = mpsc::channel();
    work::queue(Box::new(move || {
        let written = identity::on_behalf_of(call_of_program, body);
        // Whoever asked waits for it.
        let _ = tell.send(written.map(Written));
    }));
    let written = told
        .recv()
        .expect("a system worker does all that it is given");
    written.map(|Written(block)| block)
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
            status_of(&block)
        }
        Err(status) => status,
    };
    outcome::note_returned(status);
    status
}
