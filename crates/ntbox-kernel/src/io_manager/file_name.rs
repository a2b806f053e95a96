//! The name of a file object, and the file that it was opened relative to: both are valid while the file is opened.
//!
//! NT leaves them in the file object. But the other file may be closed the next moment, and the name is the file
//! system's, which changes and frees it as it likes. So that who looks at one of them later is found, whatever he
//! has opened, they lead to where nobody may look: the other file from the end of the create on, the name as soon as
//! the file system has opened the file, if it has no use for it itself. What the box and its reports call the file is kept apart.
//!
//! DDI: `FILE_OBJECT`.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "file objects are shared with drivers by pointer"
)]

use super::checks;
use crate::nt::unicode::{self, OwnedUnicodeString};
use crate::nt::{FILE_OBJECT, IRP, IRP_MJ_CREATE, IrpExt, UNICODE_STRING};
use crate::pe_image;
use crate::pool;
use crate::processor::object::{self, Presence};
use crate::verifier::rules;
use std::ffi::c_void;
use std::ptr::null_mut;

/// The tag of names, in the order of memory.
const NAME_TAG: u32 = u32::from_le_bytes(*b"IoNm");

/// What is kept of a file that has been opened; zeroed before. The beginning of what a file object has as its
/// `FileObjectExtension`.
#[repr(C)]
pub(super) struct Kept {
    /// What it was opened by, whole: lies in `owner`. First, as reports look for it there.
    name: UNICODE_STRING,
    owner: *mut OwnedUnicodeString,
    /// Where `FileName.Buffer` and `RelatedFileObject` lead to, or null.
    closed_name: *mut c_void,
    closed_related: *mut c_void,
    /// The first driver's call that has left a name that is no block, or 0.
    left_by: usize,
}

/// A name in a block of the pool, which file systems and filters may free and replace by one of their own. No
/// terminator is behind it, as the length counts all that there is.
pub(super) fn new(name: &[u16]) -> UNICODE_STRING {
    let bytes = size_of_val(name);
    if bytes == 0 {
        return UNICODE_STRING {
            Length: 0,
            MaximumLength: 0,
            Buffer: null_mut(),
        };
    }
    let buffer: *mut u16 = pool::allocate_for_anybody(bytes, NAME_TAG).cast();
    // SAFETY: the block has that many bytes.
    unsafe { std::ptr::copy_nonoverlapping(name.as_ptr(), buffer, name.len()) };
    UNICODE_STRING {
        Length: bytes as u16,
        MaximumLength: bytes as u16,
        Buffer: buffer,
    }
}

/// What the file is called, or was when it was opened; empty for a volume.
///
/// # Safety
/// `file` is alive.
pub unsafe fn of(file: *mut FILE_OBJECT) -> String {
    // SAFETY: contract; a file object has what is kept of it as its extension, or none.
    unsafe {
        let kept: *const Kept = (*file).FileObjectExtension.cast();
        match kept.as_ref() {
            Some(kept) if !kept.owner.is_null() => unicode::to_string(&raw const kept.name),
            _ => unicode::to_string(&raw const (*file).FileName),
        }
    }
}

/// Gives the file this name, whether or not it has one.
///
/// # Safety
/// `file` is alive, with what is kept of it, and nobody else uses its name.
pub(super) unsafe fn put(file: *mut FILE_OBJECT, name: &[u16]) {
    // SAFETY: contract.
    unsafe { (*(*file).FileObjectExtension.cast::<Kept>()).put(file, name) };
}

/// A driver's call that returns to `site` passes on or completes `irp`, at its location `number`: if that is a create,
/// and the name is no block, it may be put right until somebody frees it.
///
/// # Safety
/// `irp` is alive, and the driver's.
pub(super) unsafe fn left_by(irp: *mut IRP, number: i8, site: usize) {
    // SAFETY: contract; a location that exists, and as in `of`.
    unsafe {
        if site == 0
            || !(1..=(*irp).StackCount).contains(&number)
            || u32::from((*irp.location(number)).MajorFunction) != IRP_MJ_CREATE
        {
            return;
        }
        let file = (*irp.location(number)).FileObject;
        // A driver may send what it has made itself, or anything.
        let is_object =
            pool::contains(file.addr()) && object::presence_of(file.cast()) == Presence::There;
        if !is_object || (*file).FileObjectExtension.is_null() {
            return;
        }
        let name = (*file).FileName.Buffer;
        let kept = &mut *(*file).FileObjectExtension.cast::<Kept>();
        if name.is_null() || pool::may_be_block(name.addr()) {
            kept.left_by = 0;
        } else if kept.left_by == 0 {
            kept.left_by = site;
        }
    }
}

impl Kept {
    /// The file system has opened the file, and has no use for `FileName`, which is nobody's from now on.
    ///
    /// # Safety
    /// These are `file`'s, which is alive and known to nobody who changes it.
    pub(super) unsafe fn give_up(&mut self, file: *mut FILE_OBJECT) {
        // SAFETY: contract.
        unsafe {
            self.keep(file);
            let name = &mut (*file).FileName;
            if name.Buffer.is_null() {
                return;
            }
            let what =
                "the name in a file object, after the file system has begun with the create,";
            let bytes = usize::from(name.MaximumLength);
            self.closed_name = pool::allocate_closed(bytes, what, &rules::FILE_NAME_USED);
            if !self.closed_name.is_null() {
                self.free(name.Buffer.cast());
                name.Buffer = self.closed_name.cast();
            }
        }
    }

    /// The create has been completed.
    ///
    /// # Safety
    /// As for [`give_up`](Self::give_up).
    pub(super) unsafe fn create_is_over(&mut self, file: *mut FILE_OBJECT) {
        // SAFETY: contract.
        unsafe {
            self.keep(file);
            if (*file).RelatedFileObject.is_null() {
                return;
            }
            let what = "the file object that another was opened relative to, after that";
            let bytes = size_of::<FILE_OBJECT>();
            self.closed_related = pool::allocate_closed(bytes, what, &rules::RELATED_FILE_USED);
            if !self.closed_related.is_null() {
                (*file).RelatedFileObject = self.closed_related.cast();
            }
        }
    }

    /// Keeps what the file is opened by, whole.
    ///
    /// # Safety
    /// As for [`give_up`](Self::give_up), in its create: the file that it is opened relative to is kept by the handle
    /// that was given.
    unsafe fn keep(&mut self, file: *mut FILE_OBJECT) {
        if !self.owner.is_null() {
            return;
        }
        // SAFETY: contract.
        unsafe {
            let (name, related) = (&raw const (*file).FileName, (*file).RelatedFileObject);
            let mut whole = unicode::to_string(name);
            if !related.is_null() && !whole.starts_with('\\') {
                whole = format!(r"{}\{whole}", of(related));
            }
            let owner = Box::new(OwnedUnicodeString::new(&whole));
            self.name = owner.as_unicode();
            self.owner = Box::into_raw(owner);
        }
    }

    /// Gives the file another name. False if it has none.
    ///
    /// # Safety
    /// These are `file`'s, which is alive, and nobody else uses its name.
    pub(super) unsafe fn replace(&mut self, file: *mut FILE_OBJECT, name: &[u16]) -> bool {
        // SAFETY: contract.
        unsafe {
            let has_name = !(*file).FileName.Buffer.is_null();
            if has_name {
                self.put(file, name);
            }
            has_name
        }
    }

    /// Gives the file this name.
    ///
    /// # Safety
    /// As for [`replace`](Self::replace).
    unsafe fn put(&mut self, file: *mut FILE_OBJECT, name: &[u16]) {
        // SAFETY: contract.
        unsafe {
            self.free_name(file);
            (*file).FileName = new(name);
        }
    }

    /// Frees all that there is.
    ///
    /// # Safety
    /// These are `file`'s, which is about to go.
    pub(super) unsafe fn release(&mut self, file: *mut FILE_OBJECT) {
        // SAFETY: contract.
        unsafe {
            self.free_name(file);
            if !self.closed_related.is_null() {
                pool::free_for_box(self.closed_related);
            }
            if !self.owner.is_null() {
                drop(Box::from_raw(self.owner));
            }
        }
    }

    /// # Safety
    /// As for [`replace`](Self::replace); the name is not used any more.
    unsafe fn free_name(&mut self, file: *mut FILE_OBJECT) {
        let closed = std::mem::replace(&mut self.closed_name, null_mut());
        // SAFETY: contract; what is no longer the closed one is the file system's or a filter's.
        unsafe {
            let buffer: *mut c_void = (*file).FileName.Buffer.cast();
            if !closed.is_null() {
                pool::free_for_box(closed);
            }
            if !buffer.is_null() && buffer != closed {
                self.free(buffer);
            }
        }
    }

    /// # Safety
    /// `buffer` was the file's name, which is not used any more.
    unsafe fn free(&self, buffer: *mut c_void) {
        if pool::may_be_block(buffer.addr()) {
            // SAFETY: contract.
            unsafe { pool::free_either(buffer, 0) };
            return;
        }
        let address = buffer.addr();
        let place = pool::describe(address)
            .or_else(|| pe_image::image_at(address).map(|image| image.describe_place(address)))
            .unwrap_or_else(|| format!("0x{address:x}"));
        checks::report(
            &rules::BAD_FREE,
            format!(
                "FileName.Buffer of a file object, which the system frees, is {place}, not the start of a live block of the pool"
            ),
            null_mut(),
            vec![("left so by", self.left_by)],
        );
    }
}
