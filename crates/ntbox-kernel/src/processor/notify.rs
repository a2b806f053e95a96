//! The routines that drivers want to be called when a process or a thread begins or ends, or an
//! image is loaded: lists of each. None of that happens while drivers run, so no routine is called.
//!
//! Source: `PsSetCreateProcessNotifyRoutine` and its like in the DDI reference.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// What a routine is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A process begins or ends.
    Process,
    /// A thread begins or ends.
    Thread,
    /// An image is loaded.
    Image,
}

/// Routines of each occasion that NT takes.
const MOST: usize = 64;

static REGISTERED: Mutex<Vec<(Occasion, usize)>> = Mutex::new(Vec::new());

fn with<R>(f: impl FnOnce(&mut Vec<(Occasion, usize)>) -> R) -> R {
    f(&mut REGISTERED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Adds a routine; false if there are as many as NT takes.
pub fn add(occasion: Occasion, routine: usize) -> bool {
    with(|all| {
        let room = all.iter().filter(|(other, _)| *other == occasion).count() < MOST;
        if room {
            all.push((occasion, routine));
        }
        room
    })
}

/// True if the routine is registered.
pub fn contains(occasion: Occasion, routine: usize) -> bool {
    with(|all| all.contains(&(occasion, routine)))
}

/// Takes a routine out; false if it was not registered.
pub fn remove(occasion: Occasion, routine: usize) -> bool {
    with(|all| {
        let index = all.iter().position(|known| *known == (occasion, routine));
        index.map(|index| all.remove(index)).is_some()
    })
}

/// The routines whose code lies in `code`.
pub(super) fn outstanding(code: &Range<usize>) -> Vec<(&'static str, usize)> {
    let what = |occasion| match occasion {
        Occasion::Process => "its process notify routine is registered",
        Occasion::Thread => "its thread notify routine is registered",
        Occasion::Image => "its image notify routine is registered",
    };
    with(|all| {
        let ours = all.iter().filter(|(_, routine)| code.contains(routine));
        ours.map(|(occasion, routine)| (what(*occasion), *routine))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routine_is_outstanding_until_it_is_removed() {
        let code = 0x7000_0000..0x7000_1000;
        for occasion in [Occasion::Process, Occasion::Thread, Occasion::Image] {
            assert!(!remove(occasion, code.start));
            assert!(add(occasion, code.start) && contains(occasion, code.start));
            assert_eq!(outstanding(&code).len(), 1);
            assert!(remove(occasion, code.start));
            assert!(outstanding(&code).is_empty());
        }
    }
}
