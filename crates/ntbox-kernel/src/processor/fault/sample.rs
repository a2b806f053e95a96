//! Where another thread is.
//!
//! Asked when nothing moves any more. Linux has the thread itself tell, in the handler of a signal; on
//! Windows it is suspended meanwhile.

use super::Sample;
use super::judge::CALLS;
use super::system;
use crate::nt::Kirql;
use crate::pe_image;
use std::sync::{Mutex, PoisonError};

/// What is seen of a thread, without allocating: it may be interrupted anywhere.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) instruction: usize,
    pub(super) irql: Option<Kirql>,
    calls: [usize; CALLS],
    found: usize,
}

impl Seen {
    pub(super) const fn nothing() -> Self {
        Self {
            instruction: 0,
            irql: None,
            calls: [0; CALLS],
            found: 0,
        }
    }
    /// Notes where a thread is that has this instruction and stack pointer.
    pub(super) fn note(&mut self, instruction: usize, stack_pointer: usize) {
        self.instruction = instruction;
        self.found = pe_image::calls_on_stack(stack_pointer, &mut self.calls);
    }
}

/// See [`super::sample`].
pub(super) fn sample(id: u32, host: u32) -> Option<Sample> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = system::look(id, host)?;
    Some(Sample {
        instruction: seen.instruction,
        irql: seen.irql,
        calls: seen.calls.get(..seen.found).unwrap_or_default().to_vec(),
    })
}
