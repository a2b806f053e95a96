//! The file object of a request.

#![expect(unsafe_code, reason = "the file object is the I/O manager's structure")]

use super::major::Major;
use super::raw;
use super::request::Irp;
use crate::driver::keeps::Keeps;
use crate::irql::AtMostApc;
use crate::unicode::UnicodeStr;
use core::marker::PhantomData;
use core::ptr::NonNull;
use wdk_sys::{
    _MODE, FILE_OBJECT, FO_CLEANUP_COMPLETE, FO_STREAM_FILE, FO_SYNCHRONOUS_IO, FO_VOLUME_OPEN,
    IRP_MJ_CREATE, IRP_PAGING_IO, IRP_SYNCHRONOUS_API, PIRP, SL_OPEN_TARGET_DIRECTORY, ntddk,
};

/// The file object of a request that is here.
///
/// # Invariants
/// Alive during `'f`.
#[derive(Clone, Copy)]
pub struct FileObject<'f> {
    raw: NonNull<FILE_OBJECT>,
    request: PhantomData<&'f FILE_OBJECT>,
}

impl FileObject<'_> {
    /// Tells it apart from others while it lasts. IRQL: any.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.raw() as u64
    }

    /// The file object of a request.
    ///
    /// # Safety
    /// The IRP is live during `'f`, and its current location is this driver's.
    pub(super) unsafe fn of(irp: PIRP) -> Option<Self> {
        // SAFETY: contract of the function.
        let location = unsafe { raw::current_location(irp) };
        // SAFETY: as above.
        let file = unsafe { (*location).FileObject };
        // INVARIANT: whoever sent the request keeps its file object until it has completed.
        Some(Self {
            raw: NonNull::new(file)?,
            request: PhantomData,
        })
    }

    pub(super) const fn raw(&self) -> *mut FILE_OBJECT {
        self.raw.as_ptr()
    }

    /// Tells the directory that the file is opened relative to apart from others; only while it is being
    /// opened. IRQL: any.
    #[must_use]
    pub fn related_number(&self) -> Option<u64> {
        // SAFETY: invariant of the type.
        let related = unsafe { (*self.raw()).RelatedFileObject };
        (!related.is_null()).then_some(related as u64)
    }

    /// Whether it is a file that somebody has open: not one that its file system keeps for itself
    /// (IoCreateStreamFileObject), no volume, and not one whose last handle has been closed. IRQL: any.
    #[must_use]
    pub fn is_open_file(&self) -> bool {
        const OTHERS: u32 = FO_STREAM_FILE | FO_VOLUME_OPEN | FO_CLEANUP_COMPLETE;
        // SAFETY: invariant of the type.
        unsafe { (*self.raw()).Flags & OTHERS == 0 }
    }
}

impl<F: Keeps> Irp<'_, F> {
    /// The file object that the request is for. IRQL: any.
    #[must_use]
    pub fn file(&self) -> Option<FileObject<'_>> {
        // SAFETY: invariant of the type.
        unsafe { FileObject::of(self.raw) }
    }

    /// In an IRP_MJ_CREATE, the name that is being opened: below the related file object, if there is one.
    /// It lies in paged memory, so that the level does not rise while it is looked at.
    #[must_use]
    pub fn opened_name<'n>(&'n self, _level: &'n AtMostApc) -> Option<UnicodeStr<'n>> {
        if u32::from(self.major()) != IRP_MJ_CREATE {
            return None;
        }
        let file = self.file()?;
        // SAFETY: alive while the request is here; only the place is computed.
        let name = unsafe { &raw const (*file.raw()).FileName };
        // SAFETY: the name is the I/O manager's until the create is passed on, and is not changed meanwhile.
        Some(unsafe { UnicodeStr::from_raw(name) })
    }

    /// Whether it is an IRP_MJ_CREATE that opens the directory that the name lies in, as for the target of a
    /// rename (SL_OPEN_TARGET_DIRECTORY). IRQL: any.
    #[must_use]
    pub fn opens_target_directory(&self) -> bool {
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above.
        let flags = unsafe { (*location).Flags };
        self.major() == Major::CREATE && u32::from(flags) & SL_OPEN_TARGET_DIRECTORY != 0
    }

    /// Whether a program has sent it, and waits until it has completed: it holds nothing of the file system
    /// meanwhile. IRQL: any.
    #[must_use]
    pub fn is_waited_for_by_a_program(&self) -> bool {
        // SAFETY: invariant of the type.
        let mode = unsafe { (*self.raw).RequestorMode };
        let file = self.file();
        // SAFETY: alive while the request is here.
        let flags = file.map_or(0, |file| unsafe { (*file.raw()).Flags });
        i32::from(mode) == _MODE::UserMode
            && (flags & FO_SYNCHRONOUS_IO != 0 || self.flags() & IRP_SYNCHRONOUS_API != 0)
    }

    /// Whether the memory manager or the cache manager sent it to page memory in or out. IRQL: any.
    #[must_use]
    pub fn is_paging_io(&self) -> bool {
        // IRP_SYNCHRONOUS_PAGING_IO, which comes with it, is the same bit as IRP_INPUT_OPERATION.
        self.flags() & IRP_PAGING_IO != 0
    }
}

/// Whether this thread is inside a file system already, or works for one: locks may be held that a request
/// to a file system would wait for.
///
/// Wraps `IoGetTopLevelIrp`.
///
/// Rests on IoGetTopLevelIrp: "The IoGetTopLevelIrp routine returns the value of the TopLevelIrp field of the
/// current thread."
#[must_use]
pub fn is_within_file_system(_level: &AtMostApc) -> bool {
    // SAFETY: no precondition but the level, by the token.
    !unsafe { ntddk::IoGetTopLevelIrp() }.is_null()
}
