//! Calling the code of a driver: on the kernel stack of the thread, and so that it is known who runs.
//!
//! Every call of a routine that may be a driver's goes through [`entering`]. A routine of the box itself is called
//! as it is.

#![expect(unsafe_code, reason = "routines of any type are called through one")]

use super::thread;
use crate::host::memory::{self, Protection};
use crate::nt::IRP;
use crate::pe_image::{self, Origin, crossing};
use crate::verifier::{self, Circumstances, Violation, rules};
use std::fmt::Write;

/// Bytes of the stack that `KeExpandKernelStackAndCallout` gives a routine, and below which nothing is.
const EXPANDED: usize = 72 << 10;
const GUARD: usize = 64 << 10;
/// How many routines a report of a used-up stack names.
const NAMED: usize = 5;

/// What is to be called in the place of `routine`, at once and with its arguments.
#[inline]
pub fn entering<F: Copy>(routine: F) -> F {
    entering_for(routine, std::ptr::null_mut())
}

/// [`entering`], a routine that is called for a request.
#[inline]
pub fn entering_for<F: Copy>(routine: F, irp: *mut IRP) -> F {
    const { assert!(size_of::<F>() == size_of::<usize>()) };
    // SAFETY: a pointer to a function.
    let address = unsafe { std::mem::transmute_copy::<F, usize>(&routine) };
    if !pe_image::may_be_code(address) {
        // The fault handler asks for it where it leads nowhere.
        crossing::set_next(address, irp.addr());
        return routine;
    }
    let enter = prepare(address, irp);
    // SAFETY: it takes the arguments of the routine that was set, and calls that.
    unsafe { std::mem::transmute_copy(&enter) }
}

/// Never inlined: its frame lies below those of the callers.
#[inline(never)]
fn prepare(routine: usize, irp: *mut IRP) -> *const () {
    if !crossing::is_prepared() {
        // Gives the thread what it needs to run drivers.
        thread::current();
    }
    let here = 0_u8;
    crossing::go_on_below(&raw const here as usize);
    if crossing::set_next(routine, irp.addr()) == 0 {
        used_up(routine);
    }
    crossing::enter as *const ()
}

/// Nothing is left of the kernel stack for `routine`.
#[cold]
fn used_up(routine: usize) -> ! {
    let origin = Origin::here();
    let request = origin.request();
    verifier::end(
        Violation {
            rule: &rules::STACK_USED_UP,
            message: format!(
                "the kernel stack has no room for a further call: {}",
                stack_text(&origin)
            ),
            irp: (request != 0).then(|| std::ptr::with_exposed_provenance_mut(request)),
            // Behind its first byte, as a return address would be.
            sites: vec![("called", routine + 1)],
        },
        &Circumstances::here(),
    )
}

/// How deep a stack is, and who takes most of it.
pub(super) fn stack_text(origin: &Origin) -> String {
    let frames = origin.frames();
    let mut by_place: Vec<(String, usize, usize)> = Vec::new();
    for frame in &frames {
        let place = pe_image::describe_code(frame.at);
        match by_place.iter_mut().find(|(known, ..)| *known == place) {
            Some((_, count, bytes)) => (*count, *bytes) = (*count + 1, *bytes + frame.bytes),
            None => by_place.push((place, 1, frame.bytes)),
        }
    }
    by_place.sort_by_key(|(.., bytes)| std::cmp::Reverse(*bytes));
    let mut text = format!(
        "{} routines of drivers are on it, of {} bytes; {} stand for the kernel between them",
        frames.len(),
        crossing::STACK_BYTES,
        origin.bytes_between()
    );
    for (place, count, bytes) in by_place.iter().take(NAMED) {
        // Writing to a string does not fail.
        let _ = write!(text, "; {bytes} have {count} of {place}");
    }
    text
}

/// Calls `callout` with a stack of its own for what it enters (`KeExpandKernelStackAndCallout`). False if the host
/// has no memory for that.
pub fn on_expanded_stack(callout: impl FnOnce()) -> bool {
    let Some(base) = memory::reserve(GUARD + EXPANDED) else {
        return false;
    };
    let limit = base + GUARD;
    // SAFETY: pages of the reservation, which nobody knows yet.
    let done = unsafe { memory::protect(limit, EXPANDED, Protection::ReadWrite) };
    if done {
        let before = crossing::exchange_stack((limit, limit + EXPANDED, limit + EXPANDED));
        callout();
        crossing::exchange_stack(before);
    }
    // SAFETY: the reservation from above; whoever ran on it has returned.
    unsafe { memory::release(base, GUARD + EXPANDED) };
    done
}

#[cfg(all(test, any(target_os = "linux", windows), target_arch = "x86_64"))]
#[path = "driver_code_tests.rs"]
mod tests;
