//! Memory of programs.
//!
//! Programs and drivers of the box have one address space, and no border divides it as on Windows.
//! What is a program's is known from the programs: the buffers that they pass to services, while
//! they have them. Besides, there are the low addresses, where nothing of the box lies.
//!
//! Source: bug checks 0xC4/E0, E2 and E3.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the request belongs to the caller, who is in IoCallDriver, and is read in place"
)]

use super::own_request_checks::Made;
use super::{checks, irp};
use crate::nt::IRP;
use crate::pe_image::{crossing, image_at};
use crate::pool;
use crate::processor::exception::USER_END;
use crate::verifier::options::{self, Options};
use crate::verifier::rules;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The buffers: where each begins and ends.
static BUFFERS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn buffers() -> MutexGuard<'static, BTreeMap<usize, usize>> {
    BUFFERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of a program, as long as it is known.
#[derive(Debug)]
pub struct Known(usize);

/// `bytes` from `start` are a program's until this is dropped. None where nobody asks.
pub fn know(start: usize, bytes: usize) -> Option<Known> {
    if !options::on(Options::DDI) {
        return None;
    }
    buffers().insert(start, start + bytes);
    COUNT.fetch_add(1, Ordering::Relaxed);
    Some(Known(start))
}

impl Drop for Known {
    fn drop(&mut self) {
        buffers().remove(&self.0);
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// True if the address is a program's.
pub fn contains(address: usize) -> bool {
    // On other hosts the box itself lies there, too.
    if cfg!(target_os = "linux") && (1..USER_END).contains(&address) {
        return true;
    }
    if COUNT.load(Ordering::Relaxed) == 0 {
        return false;
    }
    let buffers = buffers();
    let before = buffers.range(..=address).next_back();
    before.is_some_and(|(_, end)| address < *end)
}

/// True if the address is surely the kernel's: in a driver, on the stack that drivers run on in this thread, or in
/// pool. There the images of programs lie, too, so that it is sure of where these are known ([`know`]).
pub fn is_kernels(address: usize) -> bool {
    image_at(address).is_some()
        || crossing::HAS_KERNEL_STACKS && crossing::limits().contains(&address)
        || options::on(Options::DDI) && pool::contains(address) && !contains(address)
}

/// Reports addresses of programs in a request in kernel mode that a driver has made, and `site` passes on.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn check_request(irp: *mut IRP, site: usize) {
    // SAFETY: contract.
    let (mode, buffer, block) = unsafe {
        let block = (*irp).Anonymous.UserIosb;
        ((*irp).RequestorMode, (*irp).UserBuffer.addr(), block.addr())
    };
    let made_by = irp::allocated_by(irp);
    // SAFETY: contract.
    let is_built = matches!(
        unsafe { irp::made(irp) },
        Some(Made::Built | Made::Threaded)
    );
    if site == 0 || mode != 0 || made_by == 0 && !is_built {
        return;
    }
    for (what, address) in [("UserBuffer", buffer), ("UserIosb", block)] {
        if contains(address) {
            checks::report(
                &rules::USER_ADDRESS_IN_REQUEST,
                format!(
                    "a request in kernel mode was passed on whose {what} 0x{address:x} is a program's"
                ),
                irp,
                vec![("passed on by", site), ("made by", made_by)],
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_a_programs_while_it_is_known() {
        let memory = [0_u8; 64];
        let start = memory.as_ptr().addr() + 16;
        assert!(!contains(start));
        let known = know(start, 32);
        let inside = [start, start + 31].map(contains);
        assert_eq!(inside, [true, true]);
        let outside = [start - 1, start + 32].map(contains);
        assert_eq!(outside, [false, false]);
        drop(known);
        assert!(!contains(start));
        assert!(contains(8) == cfg!(target_os = "linux") && !contains(0));
    }
}
