//! Temporary directories, removed while nothing else of the process can be relied upon: the one that ends it may
//! have stopped another thread anywhere. Linux hosts only.
//!
//! Nothing here allocates or locks. Other threads may go on making files meanwhile: a directory is emptied again
//! until it can be removed, after which nothing can be made in it.

#![expect(unsafe_code, reason = "system calls")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Duration;

/// Directories that a process has at the same time, at most; those beyond are removed by their values alone.
const MOST: usize = 64;

/// How often a directory is emptied that others write into.
const TRIES: u32 = 100;

/// How long a thread waits for another one that sweeps.
const PATIENCE: Duration = Duration::from_secs(10);

/// The paths; each string is never freed while it is here.
static KEPT: [AtomicPtr<c_char>; MOST] = [const { AtomicPtr::new(null_mut()) }; MOST];

/// A directory that goes with the process, until this goes.
#[derive(Debug)]
pub(super) struct Kept(*mut c_char);

// SAFETY: an address, which is compared alone.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Kept {
    /// Has the directory at `path` removed when the process ends.
    pub(super) fn new(path: &Path) -> Self {
        let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
            return Self(null_mut());
        };
        let path = path.into_raw();
        let free = KEPT.iter().any(|place| {
            let put = place.compare_exchange(null_mut(), path, Ordering::AcqRel, Ordering::Relaxed);
            put.is_ok()
        });
        if free {
            return Self(path);
        }
        // SAFETY: from `into_raw`, and nobody else knows it.
        drop(unsafe { CString::from_raw(path) });
        Self(null_mut())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let taken = !self.0.is_null()
            && KEPT.iter().any(|place| {
                let take =
                    place.compare_exchange(self.0, null_mut(), Ordering::AcqRel, Ordering::Relaxed);
                take.is_ok()
            });
        if taken {
            // SAFETY: from `into_raw`; who has taken it out is the one that frees it.
            drop(unsafe { CString::from_raw(self.0) });
        }
    }
}

/// Removes all that is kept. The caller ends the process; a second one lets the first do so.
pub fn sweep() {
    static SWEEPS: AtomicBool = AtomicBool::new(false);
    if SWEEPS.swap(true, Ordering::AcqRel) {
        std::thread::sleep(PATIENCE);
        return;
    }
    for place in &KEPT {
        let path = place.swap(null_mut(), Ordering::AcqRel);
        if !path.is_null() {
            // SAFETY: a terminated string, which is not freed any more.
            remove(libc::AT_FDCWD, unsafe { CStr::from_ptr(path) });
        }
    }
}

/// Removes the entry `name` of the open directory `parent`, and what is below it.
fn remove(parent: c_int, name: &CStr) {
    for _ in 0..TRIES {
        // SAFETY: a terminated string.
        if unsafe { libc::unlinkat(parent, name.as_ptr(), 0) } == 0 {
            return;
        }
        // SAFETY: as above.
        if unsafe { libc::unlinkat(parent, name.as_ptr(), libc::AT_REMOVEDIR) } == 0 {
            return;
        }
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: as above.
        let directory = unsafe { libc::openat(parent, name.as_ptr(), flags) };
        if directory < 0 {
            return;
        }
        empty(directory);
        // SAFETY: opened above.
        unsafe { libc::close(directory) };
    }
}

/// What the system writes of entries; each begins at a multiple of eight.
#[repr(C, align(8))]
struct Entries([u8; 2048]);

/// Where an entry has its length, and its name.
const LENGTH: usize = std::mem::offset_of!(libc::dirent64, d_reclen);
const NAME: usize = std::mem::offset_of!(libc::dirent64, d_name);

/// Removes what is in the open directory.
fn empty(directory: c_int) {
    let mut entries = Entries([0; 2048]);
    loop {
        let (buffer, room) = (entries.0.as_mut_ptr(), entries.0.len());
        // SAFETY: room for as many bytes.
        let read = unsafe { libc::syscall(libc::SYS_getdents64, directory, buffer, room) };
        let Some(mut rest) = usize::try_from(read)
            .ok()
            .and_then(|read| entries.0.get(..read))
        else {
            return;
        };
        if rest.is_empty() {
            return;
        }
        while let Some(&[low, high]) = rest.get(LENGTH..LENGTH + 2) {
            let (entry, next) = rest.split_at(usize::from(u16::from_ne_bytes([low, high])));
            if let Ok(name) = CStr::from_bytes_until_nul(&entry[NAME..])
                && name != c"."
                && name != c".."
            {
                remove(directory, name);
            }
            rest = next;
        }
    }
}

/// What a command does itself when a signal would end it; false where it leaves that to the signal.
type Taker = Box<dyn Fn() -> bool + Send + Sync>;

static TAKER: OnceLock<Taker> = OnceLock::new();

/// Has `take` asked before a signal that is waited for ends the process. The first one stays.
pub fn take_signals(take: Taker) {
    let _first_stays = TAKER.set(take);
}

/// Signals by which a user ends a command.
const SIGNALS: [c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// From here on a signal that ends the process removes what is kept before. To be called before there are threads.
pub fn before_signals() {
    // SAFETY: zero is a valid value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: room for a set.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in SIGNALS {
        // SAFETY: zero is a valid value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: a signal that there is; room for what is done with it.
        unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
        // One that is ignored, as SIGHUP below `nohup`, would end the process if somebody waited for it.
        if action.sa_sigaction != libc::SIG_IGN {
            // SAFETY: a set, and a signal that there is.
            unsafe { libc::sigaddset(&raw mut set, signal) };
        }
    }
    // Threads have it from the one that starts them, so that it reaches the one that waits for it.
    // SAFETY: a set.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, null_mut()) };
    std::thread::spawn(move || {
        let mut signal = 0;
        loop {
            // SAFETY: as above; room for a number.
            if unsafe { libc::sigwait(&raw const set, &raw mut signal) } != 0 {
                return;
            }
            if !TAKER.get().is_some_and(|take| take()) {
                break;
            }
        }
        sweep();
        // As if nobody had waited: whoever has started the process sees the signal.
        // SAFETY: the default action of a signal that there is.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: a set.
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, null_mut()) };
        // SAFETY: as above.
        unsafe { libc::raise(signal) };
    });
}
