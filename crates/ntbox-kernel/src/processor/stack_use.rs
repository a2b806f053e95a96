//! How much of the kernel stack drivers have when a request is passed on: the routine that does it, and all that are on
//! the stack together.
//!
//! It is looked at while checks are on. Nothing is known where drivers run on the host's stack, as on Windows.

use crate::pe_image::{Image, crossing};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many routines a thread remembers, so that it need not ask for what all know.
const REMEMBERED: usize = 16;

thread_local! {
    /// Routines, with the most that each is known to have had.
    static SEEN: [Cell<(usize, usize)>; REMEMBERED] = const { [const { Cell::new((0, 0)) }; REMEMBERED] };
}

/// The most that each routine has had.
static MOST: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// The most that was on a stack.
static DEEPEST: AtomicUsize = AtomicUsize::new(0);

/// The innermost routine of a driver passes a request on.
pub fn passes_on() {
    let (limits, stack) = (crossing::limits(), crossing::stack());
    // What a driver has asked for more of is not a kernel stack of the usual size.
    if limits.len() == crossing::STACK_BYTES {
        DEEPEST.fetch_max(limits.len() - stack.len(), Ordering::Relaxed);
    }
    let (routine, bytes) = crossing::used();
    if routine == 0 {
        return;
    }
    let known = SEEN.with(|seen| {
        let slot = &seen[(routine >> 4) % REMEMBERED];
        let (known, most) = slot.get();
        if known == routine && bytes <= most {
            return true;
        }
        slot.set((routine, bytes));
        false
    });
    if !known {
        let mut most = MOST.lock().unwrap_or_else(PoisonError::into_inner);
        let most = most.entry(routine).or_default();
        *most = bytes.max(*most);
    }
}

/// The most that a routine of `image` has had, in bytes, with the routine; none if none of them has passed one on.
pub fn most_of(image: &Image) -> Option<(usize, usize)> {
    let most = MOST.lock().unwrap_or_else(PoisonError::into_inner);
    let own = most.iter().filter(|(routine, _)| image.contains(**routine));
    let most = own.max_by_key(|(_, bytes)| **bytes);
    most.map(|(routine, bytes)| (*bytes, *routine))
}

/// The most that drivers, and what stands for the kernel between them, have had of a stack of
/// [`STACK_BYTES`](crossing::STACK_BYTES); zero if that is not known.
pub fn deepest() -> usize {
    match crossing::HAS_KERNEL_STACKS {
        true => DEEPEST.load(Ordering::Relaxed),
        false => 0,
    }
}
