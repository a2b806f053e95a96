//! A mapped view: what the memory manager does to a file that a program maps.
//!
//! The section is created between the file system's acquire and release
//! callbacks; touching the view makes paging reads, noncached, with an MDL, and
//! without fast I/O. The cache manager reads pages in the same way, for the file
//! system or ahead of it: the thread's top-level IRP tells whose read it is. DDI: "FsFilter callback routines", `IRP_PAGING_IO` in IRP_MJ_READ.

#![expect(
    unsafe_code,
    reason = "requests and MDLs are shared with drivers by pointer"
)]

use super::access::FILE_READ_DATA;
use super::request::FileCall;
use super::{buffers, outcome};
use crate::io_manager::filter_callbacks::{Operation, invoke};
use crate::io_manager::mdl;
use crate::nt::stack_location::ReadWrite;
use crate::nt::{
    HANDLE, IO_STATUS_BLOCK, IRP_MJ_READ, IRP_NOCACHE, IRP_PAGING_IO, IRP_SYNCHRONOUS_PAGING_IO,
    KEVENT, NTSTATUS, STATUS_PENDING,
};
use crate::processor::top_level::{self, Component};
use crate::processor::{dispatcher, thread};
use std::ffi::c_void;

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
    let mut read = || {
        let call = FileCall::on(handle, 0)?;
        let mut event = Box::new(KEVENT::default());
        let mut block = Box::new(IO_STATUS_BLOCK::default());
        // SAFETY: memory of this function, which waits for the request.
        unsafe { dispatcher::initialize_event(&raw mut *event, true, false) };
        let flags = IRP_PAGING_IO | IRP_NOCACHE | IRP_SYNCHRONOUS_PAGING_IO;
        let mut request = super::request::Request::allocate(call.device(), 0)?;
        let header = request.header();
        header.Flags = flags;
        header.UserEvent = &raw mut *event;
        header.Anonymous.UserIosb = &raw mut *block;
        header.Tail.Overlay.OriginalFileObject = call.file();
        // The page of the section, which the program sees when it is read.
        let mut read = Box::new([0_u8; PAGE]);
        let begin: *mut c_void = read.as_mut_ptr().cast();
        buffers::attach_mdl(&mut request, begin, PAGE as u32, true)?;
        request.header().UserBuffer = begin;
        let location = request.location();
        location.MajorFunction = IRP_MJ_READ as u8;
        location.FileObject = call.file();
        location.Parameters.Read = ReadWrite {
            Length: PAGE as u32,
            Key: 0,
            ByteOffset: offset,
            ..Default::default()
        };
        let mdl = request.header().MdlAddress;
        outcome::note_waits();
        top_level::below(above, || {
            let (_, status) = request.send(call.device());
            if status == STATUS_PENDING {
                super::request::wait_for(&raw mut *event);
            }
        });
        // The memory manager's MDL outlives its request.
        // SAFETY: the request has completed; completion leaves the MDL of a paging request alone.
        unsafe { mdl::unlock_pages(mdl) };
        // SAFETY: as above.
        unsafe { mdl::free(mdl, 0) };
        thread::deliver_apcs();
        *iosb = *block;
        // SAFETY: contract of the function.
        unsafe { page.cast::<[u8; PAGE]>().write(*read) };
        // SAFETY: completion of a paging request writes the block itself, also when it fails.
        Ok(unsafe { block.Anonymous.Status })
    };
    let status = read().unwrap_or_else(|status: NTSTATUS| status);
    outcome::note_returned(status);
    status
}
