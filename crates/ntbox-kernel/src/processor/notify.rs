//! The routines that drivers want to be called when a process or a thread begins or ends, or an
//! image is loaded: lists of each, and who runs them.
//!
//! Source: `PsSetCreateProcessNotifyRoutine` and its like in the DDI reference.

use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a routine is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A process begins or ends.
    Process,
    /// The same, with what is known of the process, and the right to refuse it.
    ProcessEx,
    /// A thread begins or ends.
    Thread,
    /// An image is loaded.
    Image,
}

/// Routines of each occasion that NT takes.
const MOST: usize = 64;

struct Registered {
    occasion: Occasion,
    routine: usize,
    /// Threads that are in it.
    running: u32,
}

static REGISTERED: Mutex<Vec<Registered>> = Mutex::new(Vec::new());
static RETURNED: Condvar = Condvar::new();

fn registered() -> MutexGuard<'static, Vec<Registered>> {
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place(all: &[Registered], occasion: Occasion, routine: usize) -> Option<usize> {
    let is_it = |known: &Registered| (known.occasion, known.routine) == (occasion, routine);
    all.iter().position(is_it)
}

/// Adds a routine; false if there are as many as NT takes.
pub fn add(occasion: Occasion, routine: usize) -> bool {
    let mut all = registered();
    let room = all
        .iter()
        .filter(|other| other.occasion == occasion)
        .count()
        < MOST;
    if room {
        all.push(Registered {
            occasion,
            routine,
            running: 0,
        });
    }
    room
}

/// True if the routine is registered.
pub fn contains(occasion: Occasion, routine: usize) -> bool {
    place(&registered(), occasion, routine).is_some()
}

/// Takes a routine out, when nobody is in it any more; false if it was not registered.
pub fn remove(occasion: Occasion, routine: usize) -> bool {
    let mut all = registered();
    loop {
        let Some(index) = place(&all, occasion, routine) else {
            return false;
        };
        match all.get(index) {
            Some(known) if known.running != 0 => {
                all = RETURNED.wait(all).unwrap_or_else(PoisonError::into_inner);
            }
            _ => {
                all.remove(index);
                return true;
            }
        }
    }
}

/// Calls `call` with each routine of the occasion, in the order in which they were registered.
pub fn each(occasion: Occasion, mut call: impl FnMut(usize)) {
    let routines: Vec<usize> = registered()
        .iter()
        .filter(|known| known.occasion == occasion)
        .map(|known| known.routine)
        .collect();
    for routine in routines {
        let count = |change: fn(&mut u32)| {
            let mut all = registered();
            let known = place(&all, occasion, routine).and_then(|index| all.get_mut(index));
            known.map(|known| change(&mut known.running)).is_some()
        };
        // It may have been removed meanwhile.
        if count(|running| *running += 1) {
            call(routine);
            count(|running| *running -= 1);
            RETURNED.notify_all();
        }
    }
}

/// The routines whose code lies in `code`.
pub(super) fn outstanding(code: &Range<usize>) -> Vec<(&'static str, usize)> {
    let what = |occasion| match occasion {
        Occasion::Process | Occasion::ProcessEx => "its process notify routine is registered",
        Occasion::Thread => "its thread notify routine is registered",
        Occasion::Image => "its image notify routine is registered",
    };
    let all = registered();
    let ours = all.iter().filter(|known| code.contains(&known.routine));
    ours.map(|known| (what(known.occasion), known.routine))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routine_is_outstanding_until_it_is_removed() {
        let code = 0x7000_0000..0x7000_1000;
        for occasion in [
            Occasion::Process,
            Occasion::ProcessEx,
            Occasion::Thread,
            Occasion::Image,
        ] {
            assert!(!remove(occasion, code.start));
            assert!(add(occasion, code.start) && contains(occasion, code.start));
            assert_eq!(outstanding(&code).len(), 1);
            assert!(remove(occasion, code.start));
            assert!(outstanding(&code).is_empty());
        }
    }

    #[test]
    fn a_routine_is_removed_when_nobody_is_in_it() {
        let routine = 0x7000_2000;
        assert!(add(Occasion::Thread, routine));
        std::thread::scope(|scope| {
            let mut remover = None;
            each(Occasion::Thread, |called| {
                if called == routine {
                    remover = Some(scope.spawn(|| remove(Occasion::Thread, routine)));
                    std::thread::yield_now();
                    assert!(contains(Occasion::Thread, routine));
                }
            });
            let removed = remover.map(|remover| remover.join().expect("it asserts nothing"));
            assert_eq!(removed, Some(true));
        });
        assert!(!contains(Occasion::Thread, routine));
    }
}
