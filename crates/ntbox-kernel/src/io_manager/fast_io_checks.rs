//! What the checks look at around a call of fast I/O: the IRQL and the regions of the thread.

use super::checks;
use crate::processor::irql;
use crate::processor::thread::Regions;
use crate::verifier::{self, rules};
use std::ptr::null_mut;

/// Makes the `call` of the fast I/O routine at `routine`, and reports what it changes of the thread.
pub fn around<R>(routine: usize, call: impl FnOnce() -> R) -> R {
    if !verifier::checks() {
        return call();
    }
    let (level, regions) = (irql::current(), Regions::current());
    let result = call();
    let now = irql::current();
    if now != level {
        checks::report(
            &rules::FAST_IO_IRQL,
            format!("a fast I/O routine was entered at IRQL {level} and returned at IRQL {now}"),
            null_mut(),
            vec![("fast I/O routine", routine)],
        );
        irql::restore(level);
    }
    let here = Regions::current();
    if here != regions {
        checks::report(
            &rules::FAST_IO_REGIONS,
            format!("called inside {regions}, the fast I/O routine returned inside {here}"),
            null_mut(),
            vec![("fast I/O routine", routine)],
        );
        regions.restore();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::DISPATCH_LEVEL;
    use crate::processor::thread;
    use crate::verifier::capture;

    #[test]
    fn a_routine_that_changes_its_thread_is_reported() {
        let (_, found) = capture(|| {
            around(1, || ());
            around(1, || {
                thread::enter_critical_region();
                thread::leave_critical_region();
            });
            around(1, || irql::raise(DISPATCH_LEVEL));
            around(1, thread::enter_critical_region);
        });
        let names: Vec<_> = found.iter().map(|found| found.rule.code).collect();
        assert_eq!(names, ["0xC9/11", "0xC4/C6"]);
        assert_eq!(irql::current(), 0);
        assert!(!thread::apcs_disabled());
    }
}
