//! What the checks look at around a call of fast I/O: the IRQL, the regions and the top-level IRP of the thread.

use super::checks;
use crate::processor::thread::Regions;
use crate::processor::{irql, top_level};
use crate::verifier::{self, rules};
use std::ptr::null_mut;

/// Makes the `call` of the fast I/O routine at `routine`, and reports what it changes of the thread.
pub fn around<R>(routine: usize, call: impl FnOnce() -> R) -> R {
    if !verifier::checks() {
        return call();
    }
    let (level, regions) = (irql::current(), Regions::current());
    let top = top_level::current();
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
    let here = regions.after("fast I/O routine", routine, null_mut());
    if here != regions {
        checks::report(
            &rules::FAST_IO_REGIONS,
            format!("called inside {regions}, the fast I/O routine returned inside {here}"),
            null_mut(),
            vec![("fast I/O routine", routine)],
        );
        regions.restore();
    }
    checks::same_top_level(top, "fast I/O routine", routine, null_mut());
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::{DISPATCH_LEVEL, IRP};
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
            let fast_io = std::ptr::without_provenance_mut::<IRP>(4);
            around(1, || top_level::set(fast_io, 0));
            around(1, || {
                top_level::set(fast_io, 0);
                top_level::set(null_mut(), 0);
            });
        });
        let names: Vec<_> = found.iter().map(|found| found.rule.name).collect();
        let expected = [
            &rules::FAST_IO_IRQL,
            &rules::FAST_IO_REGIONS,
            &rules::TOP_LEVEL_LEFT,
        ];
        assert_eq!(names, expected.map(|rule| rule.name));
        assert!(top_level::current().is_null());
        assert_eq!(irql::current(), 0);
        assert!(!thread::apcs_disabled());
    }
}
