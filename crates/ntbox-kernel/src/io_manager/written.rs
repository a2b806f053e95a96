//! What programs write: the buffer of a write is the caller's, and nobody in the stack may change it.
//!
//! A filter that encrypts in place changes what the program, or the cache, reads there afterwards. The contents are
//! compared with those at the beginning wherever the request is passed on and when it has come back; buffers of
//! requests that drivers send are their own affair.

#![expect(unsafe_code, reason = "the request is read in place by who has it")]

use super::{checks, mdl};
use crate::host::memory::try_read;
use crate::nt::{DEVICE_OBJECT, DO_BUFFERED_IO, IRP, IRP_MJ_WRITE, IrpExt};
use crate::pe_image::image_at;
use crate::verifier::rules;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A buffer as it was.
#[derive(Clone, Copy)]
struct Buffer {
    address: usize,
    bytes: usize,
    contents: u64,
}

static WRITES: LazyLock<Mutex<HashMap<usize, Buffer>>> = LazyLock::new(Mutex::default);
/// How many there are, for those who would look at each request.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn writes() -> MutexGuard<'static, HashMap<usize, Buffer>> {
    WRITES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the bytes are, in short; `None` if they are not there.
fn contents(address: usize, bytes: usize) -> Option<u64> {
    let mut copy = vec![0; bytes];
    try_read(address, &mut copy).then(|| {
        let mut hasher = DefaultHasher::new();
        hasher.write(&copy);
        hasher.finish()
    })
}

/// The box sends a request of its own to `device`.
///
/// # Safety
/// Both are alive, and the next location of the request is filled in.
pub(super) unsafe fn issued(irp: *mut IRP, device: *mut DEVICE_OBJECT) {
    // SAFETY: contract.
    let next = unsafe { irp.next_location() };
    // SAFETY: contract: it is filled in.
    let next = unsafe { &*next };
    // SAFETY: contract.
    let buffered = unsafe { (*device).Flags } & DO_BUFFERED_IO != 0;
    forget(irp);
    if u32::from(next.MajorFunction) != IRP_MJ_WRITE || buffered {
        return;
    }
    // SAFETY: the member of the function.
    let bytes = unsafe { next.Parameters.Read.Length } as usize;
    // SAFETY: contract.
    let request = unsafe { &*irp };
    let (list, user) = (request.MdlAddress, request.UserBuffer);
    let address = if list.is_null() {
        user.addr()
    } else {
        // SAFETY: the list of a live request.
        unsafe { mdl::virtual_address(list) }.addr()
    };
    if let Some(contents) = contents(address, bytes).filter(|_| bytes != 0) {
        let mut writes = writes();
        let buffer = Buffer {
            address,
            bytes,
            contents,
        };
        writes.insert(irp.addr(), buffer);
        COUNT.store(writes.len(), Ordering::Release);
    }
}

/// A driver passes the request on by a call that returns to `by`, or has had it last: reported if that has changed it.
pub(super) fn look(irp: *mut IRP, by: (&'static str, usize)) {
    if COUNT.load(Ordering::Acquire) == 0 || image_at(by.1).is_none() {
        return;
    }
    let Some(before) = writes().get(&irp.addr()).copied() else {
        return;
    };
    let now = contents(before.address, before.bytes);
    if now.is_none_or(|now| now == before.contents) {
        return;
    }
    forget(irp);
    checks::report(
        &rules::WRITE_BUFFER_CHANGED,
        format!(
            "the {} bytes at {:#x}, which a program writes from, are not what they were when the write was issued",
            before.bytes, before.address
        ),
        irp,
        vec![by],
    );
}

/// The request has come back to who issued it.
pub(super) fn forget(irp: *mut IRP) {
    if COUNT.load(Ordering::Acquire) != 0 {
        let mut writes = writes();
        writes.remove(&irp.addr());
        COUNT.store(writes.len(), Ordering::Release);
    }
}
