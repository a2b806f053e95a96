//! The processes of the box: System, the one that user threads are in, and those that programs create and that end
//! while drivers run.
//!
//! An `EPROCESS` stand-in is data that drivers read: older filters look for the
//! string "System" in the first 12 KiB of the object to learn where the image
//! name lies, so it has that size, and the name where Windows 10 has it.

#![expect(unsafe_code, reason = "object bodies are filled by pointer")]

use super::dispatcher::header::initialize_process_object;
use super::object::{self, Kind, Procedures};
use super::time;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

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
    /// When it began.
    created: i64,
    has_ended: AtomicBool,
}

/// What the object manager calls for a process that has ended.
static PROCEDURES: Procedures = Procedures {
    closed: None,
    left: None,
    delete: |object| created().retain(|process| process.object != object.addr()),
};

/// Processes that programs have created and whose object is there.
fn created() -> MutexGuard<'static, Vec<&'static Process>> {
    static CREATED: Mutex<Vec<&'static Process>> = Mutex::new(Vec::new());
    CREATED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    fn new(id: u32, image: &str) -> Self {
        let object = object::create_with(Kind::Process, EPROCESS_BYTES, Some(&PROCEDURES));
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
            created: time::system_time(),
            has_ended: AtomicBool::new(false),
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
    /// When it began, in units of 100 ns since 1601.
    pub fn created(&self) -> i64 {
        self.created
    }
    /// Its session: that of services for the system, the first with a desktop for programs.
    pub fn session(&self) -> u32 {
        u32::from(!self.is_system())
    }
    /// The file that it was started from, by the name of its device; the system has none.
    pub fn image_path(&self) -> &'static str {
        if self.is_system() {
            ""
        } else {
            r"\Device\HarddiskVolume1\Windows\System32\ntbox.exe"
        }
    }
    /// It has no thread any more. Its object goes with the last reference, of which the first is the caller's.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
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

/// Creates a process, with one reference.
pub fn create(image: &str) -> &'static Process {
    static NEXT: AtomicU32 = AtomicU32::new(USER_ID + 4);
    let id = NEXT.fetch_add(4, Ordering::Relaxed);
    let process: &'static Process = Box::leak(Box::new(Process::new(id, image)));
    created().push(process);
    process
}

/// The process that runs and has this id.
pub fn by_id(id: usize) -> Option<&'static Process> {
    let all = [system(), user()].into_iter().chain(created().clone());
    let mut running = all.filter(|process| !process.has_ended.load(Ordering::Acquire));
    running.find(|process| process.id as usize == id)
}

/// An attachment that a thread is in.
struct Attachment {
    /// The address of the state.
    state: usize,
    /// What the thread was attached to before, or null.
    before: *mut c_void,
    /// Who has called `KeStackAttachProcess`.
    site: usize,
}

thread_local! {
    /// The process that this thread is attached to, null for its own.
    static ATTACHED: Cell<*mut c_void> = const { Cell::new(std::ptr::null_mut()) };
    /// The attachments that this thread is in, the innermost last.
    static ATTACHMENTS: RefCell<Vec<Attachment>> = const { RefCell::new(Vec::new()) };
}

/// `KeStackAttachProcess`: `site` has this thread use the memory of another process until [`detach`], for the state at
/// this address; null, or what is to be given back then.
pub fn attach(process: *mut c_void, state: usize, site: usize) -> *mut c_void {
    let before = ATTACHED.replace(process);
    let attachment = Attachment {
        state,
        before,
        site,
    };
    ATTACHMENTS.with_borrow_mut(|all| all.push(attachment));
    before
}

/// `KeUnstackDetachProcess`: back to what [`attach`] returned. False if the state is none that the thread was last
/// attached with, and then nothing happens.
pub fn detach(before: *mut c_void, state: usize) -> bool {
    let is_last = |last: &mut Attachment| last.state == state;
    let found = ATTACHMENTS.with_borrow_mut(|all| all.pop_if(is_last).is_some());
    if found {
        ATTACHED.set(before);
    }
    found
}

/// Who has attached this thread last; 0 if it uses the memory of its own process.
pub fn attached_by() -> usize {
    if attached().is_null() {
        return 0;
    }
    ATTACHMENTS.with_borrow(|all| all.last().map_or(0, |last| last.site))
}

/// Ends the attachments of this thread until it is attached to this process, or to none, again.
pub(super) fn detach_until(process: *mut c_void) {
    ATTACHMENTS.with_borrow_mut(|all| {
        while attached() != process
            && let Some(last) = all.pop()
        {
            ATTACHED.set(last.before);
        }
    });
}

/// The process that this thread is attached to, or null.
pub fn attached() -> *mut c_void {
    ATTACHED.get()
}

/// The process whose object this is.
pub fn from_object(object: *mut c_void) -> Option<&'static Process> {
    [system(), user()]
        .into_iter()
        .chain(created().clone())
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
