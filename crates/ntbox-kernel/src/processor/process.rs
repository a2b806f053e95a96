//! The two processes of the box: System, and the one that all user threads are in.
//!
//! An `EPROCESS` stand-in is data that drivers read: older filters look for the
//! string "System" in the first 12 KiB of the object to learn where the image
//! name lies, so it has that size, and the name where Windows 10 has it.

#![expect(unsafe_code, reason = "object bodies are filled by pointer")]

use super::dispatcher::header::initialize_process_object;
use super::object::{self, Kind};
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Bytes of an `EPROCESS` stand-in: what drivers search, and a page.
const EPROCESS_BYTES: usize = 0x4000;
/// Offset of `UniqueProcessId` in Windows 10, version 22H2.
const UNIQUE_PROCESS_ID: usize = 0x440;
/// Offset of `ImageFileName` in Windows 10, version 22H2.
const IMAGE_FILE_NAME: usize = 0x5A8;
/// Bytes of `ImageFileName`, terminator included.
const IMAGE_FILE_NAME_BYTES: usize = 15;

/// The variable `PsInitialSystemProcess`: set by the first use of [`system`],
/// which the first [`super::thread::current`] of the run makes.
pub static INITIAL_SYSTEM_PROCESS: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

const SYSTEM_ID: u32 = 4;
const USER_ID: u32 = 0x1000;

/// A process.
#[derive(Debug)]
pub struct Process {
    id: u32,
    object: usize,
}

impl Process {
    fn new(id: u32, image: &str) -> Self {
        let object = object::create(Kind::Process, EPROCESS_BYTES);
        initialize_process_object(object);
        let id_at = object.wrapping_byte_add(UNIQUE_PROCESS_ID).cast::<u64>();
        // SAFETY: inside the zeroed body that was just made; its alignment is 16.
        unsafe { id_at.write(u64::from(id)) };
        let name_at = object.wrapping_byte_add(IMAGE_FILE_NAME).cast::<u8>();
        let length = image.len().min(IMAGE_FILE_NAME_BYTES - 1);
        // SAFETY: inside the body; the terminator is there.
        unsafe { name_at.copy_from_nonoverlapping(image.as_ptr(), length) };
        Self {
            id,
            object: object.expose_provenance(),
        }
    }
    /// `UniqueProcessId`.
    pub fn id(&self) -> u32 {
        self.id
    }
    /// The `EPROCESS` stand-in.
    pub fn object(&self) -> *mut c_void {
        std::ptr::with_exposed_provenance_mut(self.object)
    }
    /// The zero-terminated image name inside the object.
    pub fn image_file_name(&self) -> *mut u8 {
        self.object().cast::<u8>().wrapping_add(IMAGE_FILE_NAME)
    }
    /// True for the system process.
    pub fn is_system(&self) -> bool {
        self.id == SYSTEM_ID
    }
}

/// The system process, id 4.
pub fn system() -> &'static Process {
    static SYSTEM: OnceLock<Process> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let process = Process::new(SYSTEM_ID, "System");
        INITIAL_SYSTEM_PROCESS.store(process.object(), Ordering::Release);
        process
    })
}

/// The process of user threads.
pub fn user() -> &'static Process {
    static USER: OnceLock<Process> = OnceLock::new();
    USER.get_or_init(|| Process::new(USER_ID, "ntbox.exe"))
}

thread_local! {
    /// The process that this thread is attached to, null for its own.
    static ATTACHED: Cell<*mut c_void> = const { Cell::new(std::ptr::null_mut()) };
}

/// `KeStackAttachProcess`: has this thread use the memory of another process; null, or what is to be given back to
/// [`attach`] when it is done.
pub fn attach(process: *mut c_void) -> *mut c_void {
    ATTACHED.replace(process)
}

/// The process that this thread is attached to, or null.
pub fn attached() -> *mut c_void {
    ATTACHED.get()
}

/// The process whose object this is.
pub fn from_object(object: *mut c_void) -> Option<&'static Process> {
    [system(), user()]
        .into_iter()
        .find(|process| process.object() == object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_as_old_filters_look_for_it() {
        let object = system().object();
        // SAFETY: the first three pages of the object are readable.
        let bytes = unsafe { std::slice::from_raw_parts(object.cast::<u8>(), 3 * 4096) };
        let found = bytes.windows(6).position(|bytes| bytes == b"System");
        assert_eq!(found, Some(IMAGE_FILE_NAME));
        assert_eq!(
            system().image_file_name(),
            object.cast::<u8>().wrapping_add(IMAGE_FILE_NAME)
        );
        assert_eq!(INITIAL_SYSTEM_PROCESS.load(Ordering::Acquire), object);
        assert!(system().is_system() && !user().is_system());
        assert_eq!(from_object(user().object()).map(Process::id), Some(USER_ID));
        assert!(from_object(std::ptr::null_mut()).is_none());
    }
}
