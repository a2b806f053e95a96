//! Objects: a header in front of every body, with its kind, its counts, its name.
//!
//! What an object of a kind does when it goes, whoever makes it says. Who keeps one, and when it goes, is for
//! [`super::lifetime`] and [`super::handle`], which know threads; these are objects themselves.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the header lies in front of a body that drivers hold by pointer"
)]

use crate::pool::{self, BoxBlock};
use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// `DEVICE_OBJECT`
    Device,
    /// `DRIVER_OBJECT`
    Driver,
    /// `FILE_OBJECT`
    File,
    /// `KEVENT`
    Event,
    /// A registry key
    Key,
    /// An object directory
    Directory,
    /// A symbolic link
    SymbolicLink,
    /// `ETHREAD`
    Thread,
    /// `EPROCESS`
    Process,
    /// An access token
    Token,
    /// A callback object
    Callback,
    /// A completion port
    IoCompletion,
}

impl Kind {
    /// The name of its type, as the object manager tells it.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Device => "Device",
            Self::Driver => "Driver",
            Self::File => "File",
            Self::Event => "Event",
            Self::Key => "Key",
            Self::Directory => "Directory",
            Self::SymbolicLink => "SymbolicLink",
            Self::Thread => "Thread",
            Self::Process => "Process",
            Self::Token => "Token",
            Self::Callback => "Callback",
            Self::IoCompletion => "IoCompletion",
        }
    }

    /// What reports call an object of this kind.
    pub const fn described(self) -> &'static str {
        match self {
            Self::Device => "a device object",
            Self::Driver => "a driver object",
            Self::File => "a file object",
            Self::Event => "an event object",
            Self::Key => "a key object",
            Self::Directory => "an object directory",
            Self::SymbolicLink => "a symbolic link object",
            Self::Thread => "a thread object",
            Self::Process => "a process object",
            Self::Token => "a token object",
            Self::Callback => "a callback object",
            Self::IoCompletion => "an I/O completion object",
        }
    }
}

/// `OBJECT_TYPE`: drivers compare and pass its address only.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct ObjectType {
    /// The kind of its objects.
    pub kind: Kind,
    reserved: [u8; 0xD8],
}

const fn object_type_of(kind: Kind) -> ObjectType {
    ObjectType {
        kind,
        reserved: [0; 0xD8],
    }
}

static TYPES: [ObjectType; 12] = [
    object_type_of(Kind::Device),
    object_type_of(Kind::Driver),
    object_type_of(Kind::File),
    object_type_of(Kind::Event),
    object_type_of(Kind::Key),
    object_type_of(Kind::Directory),
    object_type_of(Kind::SymbolicLink),
    object_type_of(Kind::Thread),
    object_type_of(Kind::Process),
    object_type_of(Kind::Token),
    object_type_of(Kind::Callback),
    object_type_of(Kind::IoCompletion),
];

/// The type object that `*IoFileObjectType` and its like point at.
pub const fn object_type(kind: Kind) -> &'static ObjectType {
    &TYPES[kind as usize]
}

/// What an object type does (`CloseProcedure` and `DeleteProcedure` in NT).
#[derive(Debug)]
pub struct Procedures {
    /// The last handle was closed.
    pub closed: Option<unsafe fn(*mut c_void)>,
    /// A process has closed its last handle, and others have some.
    pub left: Option<unsafe fn(*mut c_void)>,
    /// The last reference is gone, at PASSIVE_LEVEL: releases what the body owns.
    pub delete: unsafe fn(*mut c_void),
}

#[repr(C, align(16))]
pub(super) struct Header {
    magic: u64,
    pub(super) kind: Kind,
    pub(super) procedures: Option<&'static Procedures>,
    pub(super) references: AtomicI64,
    pub(super) handles: AtomicI64,
    attributes: Mutex<Attributes>,
}

#[derive(Default)]
struct Attributes {
    name: Option<String>,
    security: Option<Vec<u8>>,
}

const MAGIC: u64 = 0x746A_624F_786F_626E;
const HEADER: usize = size_of::<Header>();

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// `object` is the body of a live object.
pub(super) unsafe fn header<'a>(object: *const c_void) -> &'a Header {
    // SAFETY: `create` puts a header directly in front of every body.
    unsafe { &*object.byte_sub(HEADER).cast::<Header>() }
}

/// Creates an object with one reference and a zeroed body.
///
/// The body ends where its last page ends (up to the pool's alignment), so that
/// a driver that writes behind it is caught.
pub fn create(kind: Kind, body_bytes: usize) -> *mut c_void {
    create_with(kind, body_bytes, None)
}

/// [`create`] for objects whose type has procedures.
pub fn create_with(
    kind: Kind,
    body_bytes: usize,
    procedures: Option<&'static Procedures>,
) -> *mut c_void {
    let block = pool::allocate_object(HEADER, body_bytes, kind.described());
    // SAFETY: the block holds the header, is aligned to 16 bytes, and nobody else has it.
    unsafe {
        block.cast::<Header>().write(Header {
            magic: MAGIC,
            kind,
            procedures,
            references: AtomicI64::new(1),
            handles: AtomicI64::new(0),
            attributes: Mutex::default(),
        });
    }
    block.wrapping_byte_add(HEADER)
}

/// Ends an object.
///
/// # Safety
/// `object` has no reference left.
pub(super) unsafe fn delete(object: *mut c_void) {
    // SAFETY: contract; what the body owns is released by its kind first.
    unsafe {
        if let Some(procedures) = header(object).procedures {
            (procedures.delete)(object);
        }
        let header = object.byte_sub(HEADER).cast::<Header>();
        std::ptr::drop_in_place(header);
        pool::free_for_box(header.cast());
    }
}

/// Gives up a reference, and deletes the object if that was the last one. PASSIVE_LEVEL.
///
/// # Safety
/// `object` is the body of a live object, and the caller gives up a reference it owns.
pub(super) unsafe fn release(object: *mut c_void) {
    // SAFETY: contract.
    unsafe {
        if header(object).references.fetch_sub(1, Ordering::AcqRel) == 1 {
            delete(object);
        }
    }
}

/// References that the object has.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn pointer_count(object: *const c_void) -> i64 {
    // SAFETY: contract.
    unsafe { header(object) }.references.load(Ordering::Relaxed)
}

/// Handles that the object has.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn handle_count(object: *const c_void) -> i64 {
    // SAFETY: contract.
    unsafe { header(object) }.handles.load(Ordering::Relaxed)
}

/// What the object is; `None` for memory that has no object header.
///
/// # Safety
/// `object` is readable and so are the bytes in front of it.
pub unsafe fn kind_of(object: *const c_void) -> Option<Kind> {
    if object.is_null() || !(object as usize).is_multiple_of(16) {
        return None;
    }
    let header = object.wrapping_byte_sub(HEADER).cast::<Header>();
    // SAFETY: contract; the magic is read as a plain integer.
    let magic = unsafe { (&raw const (*header).magic).read() };
    // SAFETY: the magic says that `create` wrote this header.
    (magic == MAGIC).then(|| unsafe { (*header).kind })
}

/// Whether something is an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is, as far as is known.
    There,
    /// It was one.
    Gone,
    /// It is none.
    None,
}

/// Whether there is an object with this body. Asks the pool, and touches nothing; what lies elsewhere
/// than in guarded pool is taken for one.
pub fn presence_of(body: *const c_void) -> Presence {
    match pool::box_block_at(body.addr().wrapping_sub(HEADER)) {
        BoxBlock::Live | BoxBlock::Unknown => Presence::There,
        BoxBlock::Freed => Presence::Gone,
        BoxBlock::None => Presence::None,
    }
}

/// Sets the name that reports and `ObQueryNameString` show.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn set_name(object: *mut c_void, name: &str) {
    // SAFETY: contract.
    locked(&unsafe { header(object) }.attributes).name = Some(name.to_owned());
}

/// Takes the name away.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn clear_name(object: *mut c_void) {
    // SAFETY: contract.
    locked(&unsafe { header(object) }.attributes).name = None;
}

/// The object's name.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn name_of(object: *const c_void) -> Option<String> {
    // SAFETY: contract.
    locked(&unsafe { header(object) }.attributes).name.clone()
}

/// Stores a self-relative security descriptor.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn set_security(object: *mut c_void, descriptor: &[u8]) {
    // SAFETY: contract.
    locked(&unsafe { header(object) }.attributes).security = Some(descriptor.to_vec());
}

/// The self-relative security descriptor, if one was set.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn security(object: *const c_void) -> Option<Vec<u8>> {
    // SAFETY: contract.
    locked(&unsafe { header(object) }.attributes)
        .security
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::lifetime::dereference;

    #[test]
    fn memory_without_a_header_is_no_object() {
        let memory = [0_u128; 16];
        // SAFETY: the bytes in front of the middle of the array are readable.
        assert_eq!(unsafe { kind_of((&raw const memory[12]).cast()) }, None);
        // SAFETY: null is not read.
        assert_eq!(unsafe { kind_of(std::ptr::null()) }, None);
    }

    #[test]
    fn an_object_is_there_until_it_is_deleted() {
        let object = create(Kind::Directory, 16);
        assert_eq!(presence_of(object), Presence::There);
        let inside = object.wrapping_byte_add(16);
        assert_eq!(presence_of(inside), Presence::None);
        // SAFETY: the object is owned here.
        unsafe { dereference(object) };
        assert_eq!(presence_of(object), Presence::Gone);
        let memory = 0_u64;
        assert_eq!(presence_of((&raw const memory).cast()), Presence::There);
    }

    #[test]
    fn names_and_security_are_kept() {
        let object = create(Kind::Directory, 16);
        // SAFETY: the object is alive and owned here.
        unsafe {
            assert_eq!(name_of(object), None);
            set_name(object, r"\Here");
            set_security(object, &[1, 2, 3]);
            assert_eq!(name_of(object).as_deref(), Some(r"\Here"));
            assert_eq!(security(object), Some(vec![1, 2, 3]));
            clear_name(object);
            assert_eq!(name_of(object), None);
            dereference(object);
        }
    }
}
