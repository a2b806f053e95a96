//! What is done when the process ends at once: programs that wait hear of it, and the mount point is free.
//!
//! A violation ends the process wherever it is noticed, with requests of the host's kernel unanswered. Their numbers
//! are kept here, where the last moments can see them without a lock. What comes later, the watcher refuses
//! ([`super::watcher`]).

#![expect(unsafe_code, reason = "system calls of a process that ends")]

use std::ffi::{CString, c_char};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};

/// Requests that are kept at a time; those beyond end with the connection.
const MOST: usize = 256;

static ENDING: AtomicBool = AtomicBool::new(false);
static UNANSWERED: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
static DEVICE: AtomicI32 = AtomicI32::new(-1);
static MOUNT_POINT: AtomicPtr<c_char> = AtomicPtr::new(null_mut());

/// Has a mount ended with the process, by the connection to the host's kernel and its place.
pub fn prepare(device: OwnedFd, mount_point: &Path) {
    let Ok(path) = CString::new(mount_point.as_os_str().as_bytes()) else {
        return;
    };
    MOUNT_POINT.store(path.into_raw(), Ordering::Release);
    DEVICE.store(device.into_raw_fd(), Ordering::Release);
    ntbox_kernel::host::before_exit(speak);
}

/// The mount has ended by itself. Its path is left where a thread that ends the process might read it.
pub fn forget() {
    MOUNT_POINT.store(null_mut(), Ordering::Release);
    let device = DEVICE.swap(-1, Ordering::AcqRel);
    if device >= 0 {
        // SAFETY: it was given away to this.
        unsafe { libc::close(device) };
    }
}

/// Whether the process ends: whoever still runs has every request fail.
pub fn ending() -> bool {
    ENDING.load(Ordering::Acquire)
}

/// A request that has no answer yet.
pub struct Unanswered(Option<&'static AtomicU64>);

impl Unanswered {
    /// Keeps the number of one; none is 0.
    pub fn new(number: u64) -> Self {
        let free = UNANSWERED.iter().find(|place| {
            let put = place.compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed);
            put.is_ok()
        });
        Self(free)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            place.store(0, Ordering::Release);
        }
    }
}

/// `fuse_out_header` with an error, and nothing behind it.
#[repr(C)]
struct Answer {
    length: u32,
    error: i32,
    number: u64,
}

/// Answers what is unanswered with EIO and takes the mount away.
fn speak() {
    let device = DEVICE.load(Ordering::Acquire);
    if device < 0 {
        return;
    }
    ENDING.store(true, Ordering::Release);
    for place in &UNANSWERED {
        let number = place.swap(0, Ordering::AcqRel);
        if number != 0 {
            answer(device, number);
        }
    }
    let path = MOUNT_POINT.load(Ordering::Acquire);
    if !path.is_null() {
        // SAFETY: a terminated string, which is never freed.
        unsafe { libc::umount2(path, libc::MNT_DETACH) };
    }
}

fn answer(device: i32, number: u64) {
    let answer = Answer {
        length: size_of::<Answer>() as u32,
        error: -libc::EIO,
        number,
    };
    // SAFETY: as many bytes as it is long. One that has been answered meanwhile is refused.
    unsafe { libc::write(device, (&raw const answer).cast(), size_of::<Answer>()) };
}
