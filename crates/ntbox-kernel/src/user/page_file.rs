//! A page file: where the memory manager keeps what no file holds.
//!
//! It is opened once, by the system, with `SL_OPEN_PAGING_FILE`, on a disk that is fixed, and lies there until the
//! system is shut down. Its pages are read and written at APC_LEVEL, and nothing that is paged may be touched for it,
//! nor waited: dispatch routines call, for a page file, what may be called at DISPATCH_LEVEL (`irql::for_page_file`).
//!
//! Source: `SL_OPEN_PAGING_FILE` in IRP_MJ_CREATE, `FsRtlIsPagingFile` in the DDI reference; "Constraints on Dispatch
//! Routines".

#![expect(
    unsafe_code,
    reason = "file objects are shared with drivers by pointer"
)]

use super::access::{DELETE, READ, SYNCHRONIZE, WRITE};
use super::information;
use super::open::{OpenRequest, nt_create_file};
use super::outcome::Outcome;
use super::paging::{PAGE, Pages};
use super::request::{nt_close, status_of};
use crate::io_manager::identity;
use crate::nt::{
    FILE_DELETE_ON_CLOSE, FILE_DEVICE_DISK, FILE_NO_INTERMEDIATE_BUFFERING, FILE_OBJECT,
    FILE_READ_ONLY_DEVICE, FILE_REMOVABLE_MEDIA, FILE_SUPERSEDE, FILE_SYNCHRONOUS_IO_NONALERT,
    FileEndOfFileInformation, HANDLE, IO_STATUS_BLOCK, NTSTATUS, STATUS_UNRECOGNIZED_VOLUME,
};
use crate::processor::handle;
use crate::processor::thread::from_kernel_mode;

/// A page file of the box, which goes when this is dropped.
#[derive(Debug)]
pub struct PageFile {
    handle: HANDLE,
}

// SAFETY: a kernel handle is good in every thread.
unsafe impl Send for PageFile {}

impl PageFile {
    /// `NtCreatePagingFile`: creates `name` with so many pages.
    ///
    /// # Errors
    /// `STATUS_UNRECOGNIZED_VOLUME` where no page file may lie; those of the create and of its size.
    pub fn create(name: &str, pages: u32) -> Result<Self, NTSTATUS> {
        from_kernel_mode(|| {
            let request = OpenRequest {
                name,
                access: READ | WRITE | DELETE | SYNCHRONIZE,
                share: 0,
                disposition: FILE_SUPERSEDE,
                options: FILE_DELETE_ON_CLOSE
                    | FILE_NO_INTERMEDIATE_BUFFERING
                    | FILE_SYNCHRONOUS_IO_NONALERT,
                kernel_handle: true,
                paging_file: true,
                ..OpenRequest::default()
            };
            let (handle, _) = nt_create_file(&request)?;
            let opened = Self { handle };
            opened.check_volume()?;
            let end = u64::from(pages) * PAGE as u64;
            let mut block = IO_STATUS_BLOCK::default();
            // SAFETY: memory of this function, which waits.
            let status = unsafe {
                information::nt_set_information_file(
                    handle,
                    &raw mut block,
                    (&raw const end).cast(),
                    size_of::<u64>() as u32,
                    FileEndOfFileInformation,
                )
            };
            if status < 0 { Err(status) } else { Ok(opened) }
        })
    }

    fn file(&self) -> Result<*mut FILE_OBJECT, NTSTATUS> {
        handle::object_of_handle(self.handle).map(|object| object.cast())
    }

    fn check_volume(&self) -> Result<(), NTSTATUS> {
        let object = self.file()?;
        // SAFETY: the handle keeps the file object.
        let device = unsafe { (*object).DeviceObject };
        // SAFETY: the file object keeps the device.
        let device = unsafe { &*device };
        let elsewhere = FILE_REMOVABLE_MEDIA | FILE_READ_ONLY_DEVICE;
        match device.DeviceType == FILE_DEVICE_DISK && device.Characteristics & elsewhere == 0 {
            true => Ok(()),
            false => Err(STATUS_UNRECOGNIZED_VOLUME),
        }
    }

    /// Reads a page.
    pub fn page_in(&self, page: u32) -> Outcome {
        self.transfer(page, vec![0; PAGE], true)
    }

    /// Writes a page, which holds `data`.
    ///
    /// # Panics
    /// If `data` is not a page.
    pub fn page_out(&self, page: u32, data: &[u8]) -> Outcome {
        assert_eq!(data.len(), PAGE);
        self.transfer(page, data.to_vec(), false)
    }

    fn transfer(&self, page: u32, bytes: Vec<u8>, reads: bool) -> Outcome {
        let _identity = identity::begin();
        let offset = i64::from(page) * PAGE as i64;
        let transferred = self.file().and_then(|file| {
            // SAFETY: the handle keeps the file.
            let mut pages = unsafe { Pages::new(file, bytes, offset) };
            let block = from_kernel_mode(|| pages.swap(reads))?;
            Ok((block, pages.into_bytes()))
        });
        match transferred {
            Err(status) => Outcome::early(status),
            Ok((block, data)) => Outcome {
                information: block.Information,
                data: if reads { data } else { Vec::new() },
                ..Outcome::early(status_of(&block))
            },
        }
    }
}

impl Drop for PageFile {
    fn drop(&mut self) {
        from_kernel_mode(|| nt_close(self.handle));
    }
}
