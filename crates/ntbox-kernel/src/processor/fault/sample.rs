//! Where another thread is.
//!
//! Asked when nothing moves any more. Linux has the thread itself tell, in the handler of a signal; on
//! Windows it is suspended meanwhile.

use super::Sample;
use super::system;
use crate::nt::Kirql;
use crate::pe_image::{self, Origin};
use std::sync::{Mutex, PoisonError};

/// Most calls of drivers that are told.
const CALLS: usize = 24;

/// What is seen of a thread, without allocating: it may be interrupted anywhere.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) instruction: usize,
    pub(super) irql: Option<Kirql>,
    called: usize,
    calls: [usize; CALLS],
    found: usize,
}

impl Seen {
    pub(super) const fn nothing() -> Self {
        Self {
            instruction: 0,
            irql: None,
            called: 0,
            calls: [0; CALLS],
            found: 0,
        }
    }
    /// Notes where a thread is, which asks for itself.
    pub(super) fn note(&mut self, instruction: usize, origin: &Origin) {
        self.instruction = instruction;
        self.called = origin.called();
        // What it is at itself is told for its own.
        let mut own = pe_image::image_at(instruction).is_some();
        origin.each(&mut |frame| {
            if !std::mem::take(&mut own) {
                self.calls[self.found] = frame.at;
                self.found += 1;
            }
            self.found < CALLS
        });
    }
}

/// See [`super::sample`].
pub(super) fn sample(id: u32, host: u32, crossings: usize) -> Option<Sample> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = system::look(id, host, crossings)?;
    Some(Sample {
        instruction: seen.instruction,
        irql: seen.irql,
        called: seen.called,
        calls: seen.calls.get(..seen.found).unwrap_or_default().to_vec(),
    })
}
