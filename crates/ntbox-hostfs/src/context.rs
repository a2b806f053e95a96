//! What file objects point at: contexts in memory that drivers may read.
//!
//! `FsContext` is shared by all opens of a file and starts with an
//! `FSRTL_ADVANCED_FCB_HEADER`, to which filters attach their per-stream
//! contexts; `FsContext2` belongs to the file object. Both are blocks of the
//! guarded pool, so a filter that uses one after the close is caught.
//!
//! # Invariants
//! `FsContext2` of a file object that this file system has opened points to an
//! [`OpenContext`] until IRP_MJ_CLOSE has been worked on; nobody but this module
//! stores either pointer.

#![expect(unsafe_code, reason = "contexts are shared with drivers by pointer")]

use super::create::Created;
use super::volume::{OpenId, Volume};
use ntbox_kernel::exports::fsrtl::contexts;
use ntbox_kernel::host::file::Identity;
use ntbox_kernel::nt::{
    DEVICE_OBJECT, FAST_MUTEX, FILE_OBJECT, FSRTL_ADVANCED_FCB_HEADER, FSRTL_FCB_HEADER_V2,
    FSRTL_FLAG_ADVANCED_HEADER, FSRTL_FLAG2_IS_PAGING_FILE, FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS,
    FastIoIsPossible, FastIoIsQuestionable, LIST_ENTRY, SECTION_OBJECT_POINTERS,
};
use ntbox_kernel::pool;
use ntbox_kernel::processor::dispatcher;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// A volume and what the I/O manager sees of it. Lives as long as the process:
/// file objects may outlive a dismount.
#[derive(Debug)]
pub struct Mounted {
    /// The volume.
    pub volume: Volume,
    /// The storage device below; null on the network.
    pub storage: usize,
    /// Contexts of its open files, with the number of file objects that share each.
    files: Mutex<HashMap<Identity, (usize, u32)>>,
}

/// Node types, by which a debugger or a filter tells file systems' contexts apart.
const FILE_CONTEXT: i16 = 0x4801;
const OPEN_CONTEXT: i16 = 0x4802;

/// `FsContext`.
#[repr(C)]
pub struct FileContext {
    header: FSRTL_ADVANCED_FCB_HEADER,
    section: SECTION_OBJECT_POINTERS,
    mutex: FAST_MUTEX,
}

/// `FsContext2`.
#[repr(C)]
pub struct OpenContext {
    node_type: i16,
    node_size: i16,
    open: OpenId,
    mounted: &'static Mounted,
}

impl Mounted {
    /// A volume over `storage`, or null.
    pub fn new(volume: Volume, storage: *mut DEVICE_OBJECT) -> &'static Self {
        Box::leak(Box::new(Self {
            volume,
            storage: storage as usize,
            files: Mutex::default(),
        }))
    }
    /// The storage device, or null.
    pub fn storage(&self) -> *mut DEVICE_OBJECT {
        self.storage as *mut DEVICE_OBJECT
    }

    /// Points `file` at its contexts after a create.
    ///
    /// # Safety
    /// `file` is the file object of the create, which nobody else uses yet.
    pub unsafe fn attach(&'static self, file: *mut FILE_OBJECT, created: &Created) {
        let context: *mut FileContext = {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            let (context, count) = files
                .entry(created.file)
                .or_insert_with(|| (new_file_context() as usize, 0));
            *count += 1;
            *context as *mut FileContext
        };
        let open: *mut OpenContext =
            pool::allocate_for_box_as(size_of::<OpenContext>(), "an open's context (FsContext2)")
                .cast();
        let value = OpenContext {
            node_type: OPEN_CONTEXT,
            node_size: size_of::<OpenContext>() as i16,
            open: created.open,
            mounted: self,
        };
        // SAFETY: a new block of that size.
        unsafe { open.write(value) };
        // SAFETY: contract.
        let file = unsafe { &mut *file };
        file.FsContext = context.cast();
        file.FsContext2 = open.cast();
        // SAFETY: the context is alive: it is counted above.
        let sections = unsafe { &raw mut (*context).section };
        file.SectionObjectPointer = sections;
        if let Some(node) = self.volume.state().files.get_mut(&created.file) {
            node.sections = sections.addr();
        }
        if created.page_file {
            // SAFETY: as above.
            let flags = unsafe { &raw mut (*context).header.Base.Flags2 };
            // SAFETY: as above; drivers may look at it.
            unsafe { AtomicU8::from_ptr(flags) }
                .fetch_or(FSRTL_FLAG2_IS_PAGING_FILE as u8, Ordering::Relaxed);
        }
        if created.cached {
            file.Flags |= ntbox_kernel::nt::FO_CACHE_SUPPORTED;
        }
        self.update(context.cast(), created.open);
    }

    /// Brings the sizes and the state of fast I/O in the header up to date.
    pub fn update(&self, context: *mut c_void, open: OpenId) {
        let header: *mut FSRTL_ADVANCED_FCB_HEADER = context.cast();
        if let Some(size) = self.volume.size(open) {
            let size = size as i64;
            let allocation = size
                .cast_unsigned()
                .next_multiple_of(super::volume::CLUSTER)
                .cast_signed();
            // SAFETY: the invariant: the context of an open file object is alive.
            let base = unsafe { &raw mut (*header).Base };
            for (field, value) in [
                // SAFETY: as above.
                (unsafe { &raw mut (*base).AllocationSize }, allocation),
                // SAFETY: as above.
                (unsafe { &raw mut (*base).FileSize }, size),
                // SAFETY: as above.
                (unsafe { &raw mut (*base).ValidDataLength }, size),
            ] {
                // SAFETY: as above; this module writes the field atomically only.
                unsafe { AtomicI64::from_ptr(field) }.store(value, Ordering::Relaxed);
            }
        }
        let state = if self.volume.has_no_locks(open) {
            FastIoIsPossible
        } else {
            FastIoIsQuestionable
        };
        // SAFETY: as above.
        let field = unsafe { &raw mut (*header).Base.IsFastIoPossible };
        // SAFETY: as above.
        unsafe { AtomicU8::from_ptr(field) }.store(state as u8, Ordering::Relaxed);
    }

    fn release(&self, file: Identity) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Entry::Occupied(mut entry) = files.entry(file) else {
            return;
        };
        entry.get_mut().1 -= 1;
        if entry.get().1 != 0 {
            return;
        }
        let (context, _) = entry.remove();
        drop(files);
        let context: *mut FileContext = context as *mut FileContext;
        // SAFETY: it is freed below.
        let sections = unsafe { &raw mut (*context).section }.addr();
        // A create may have entered the file already, which gets a context of its own.
        if let Some(node) = self.volume.state().files.get_mut(&file)
            && node.sections == sections
        {
            node.sections = 0;
        }
        // SAFETY: no file object points at it any more.
        unsafe { delete_file_context(context) };
    }
}

fn new_file_context() -> *mut FileContext {
    let bytes = size_of::<FileContext>();
    let context: *mut FileContext =
        pool::allocate_for_box_as(bytes, "a file's context (FsContext)").cast();
    // SAFETY: a new, zeroed block of that size; all-zero is valid for each field.
    let value = unsafe { &mut *context };
    let base = &mut value.header.Base;
    base.NodeTypeCode = FILE_CONTEXT;
    base.NodeByteSize = bytes as i16;
    base.Flags = FSRTL_FLAG_ADVANCED_HEADER as u8;
    base.Flags2 = FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS as u8;
    base.IsFastIoPossible = FastIoIsPossible as u8;
    // The version is the high half of the byte.
    base._bitfield = (FSRTL_FCB_HEADER_V2 << 4) as u8;
    value.mutex.Count = 1;
    // SAFETY: the event lies in the block.
    unsafe { dispatcher::initialize_event(&raw mut value.mutex.Event, false, false) };
    value.header.FastMutex = &raw mut value.mutex;
    let list = &raw mut value.header.FilterContexts;
    value.header.FilterContexts = LIST_ENTRY {
        Flink: list,
        Blink: list,
    };
    context
}

/// # Safety
/// Nothing points at the context any more but filters' entries in its list.
unsafe fn delete_file_context(context: *mut FileContext) {
    // SAFETY: contract; filters free their own contexts here.
    unsafe { contexts::teardown(context.cast()) };
    // SAFETY: contract.
    unsafe { pool::free_for_box(context.cast()) };
}

/// The volume and the open of a file object; none for one that this file system has not opened.
///
/// # Safety
/// `file` is null or a live file object of a device of this file system.
pub unsafe fn of_file(file: *mut FILE_OBJECT) -> Option<(&'static Mounted, OpenId)> {
    if file.is_null() {
        return None;
    }
    // SAFETY: contract.
    let context: *const OpenContext = unsafe { (*file).FsContext2 }.cast_const().cast();
    if context.is_null() {
        return None;
    }
    // SAFETY: the module's invariant.
    let context = unsafe { &*context };
    (context.node_type == OPEN_CONTEXT).then_some((context.mounted, context.open))
}

/// What the file system calls an open file; `None` if the file is none of it, or closed, or its volume has been
/// dismounted.
///
/// # Safety
/// `file` is null, or alive.
pub unsafe fn name_of(file: *mut FILE_OBJECT) -> Option<Box<str>> {
    // SAFETY: contract.
    let (mounted, open) = unsafe { of_file(file) }?;
    if mounted.volume.state().dismounted {
        return None;
    }
    let name = mounted.volume.name(open).ok()?;
    Some(String::from_utf16_lossy(&name).into())
}

/// Takes the contexts away at IRP_MJ_CLOSE and forgets the open.
///
/// # Safety
/// As [`of_file`]; it is the file object's close.
pub unsafe fn close(file: *mut FILE_OBJECT) {
    // SAFETY: contract.
    let Some((mounted, open)) = (unsafe { of_file(file) }) else {
        return;
    };
    let identity = mounted
        .volume
        .state()
        .opens
        .get(&open)
        .map(|open| open.file);
    mounted.volume.close(open);
    // SAFETY: contract.
    let file = unsafe { &mut *file };
    let block = std::mem::replace(&mut file.FsContext2, std::ptr::null_mut());
    file.FsContext = std::ptr::null_mut();
    file.SectionObjectPointer = std::ptr::null_mut();
    file.PrivateCacheMap = std::ptr::null_mut();
    // SAFETY: `attach` allocated it and the close is its last use.
    unsafe { pool::free_for_box(block) };
    if let Some(identity) = identity {
        mounted.release(identity);
    }
}
