//! The interrupt request level of the current thread.
//!
//! A level belongs to the thread, as each thread of the box is a processor of
//! its own. It is read in the fault handler (a driver's `cr8` read), so it is a
//! plain thread-local byte without a destructor.
//!
//! Source: `KeGetCurrentIrql`, `KeRaiseIrql`, `KeLowerIrql` in the DDI reference.

pub mod documented;
pub mod promise;

use super::{apc, held_locks};
use crate::host::pageable;
use crate::nt::{APC_LEVEL, DISPATCH_LEVEL, Kirql, PASSIVE_LEVEL};
use crate::verifier;
use crate::verifier::{rules, violation};
use std::cell::Cell;

/// `HIGH_LEVEL`: the highest level on x64.
pub const HIGH_LEVEL: Kirql = 15;

thread_local! {
    static LEVEL: Cell<Kirql> = const { Cell::new(0) };
}

/// The level this thread runs at.
#[inline]
pub fn current() -> Kirql {
    LEVEL.get()
}

/// Sets the level and returns the old one.
#[inline]
fn replace(level: Kirql) -> Kirql {
    let old = LEVEL.replace(level);
    let upwards = level >= DISPATCH_LEVEL;
    if (old >= DISPATCH_LEVEL) != upwards {
        pageable::crossed(upwards);
    }
    old
}

/// The name of a level.
pub fn name(level: Kirql) -> &'static str {
    match level {
        0 => "PASSIVE_LEVEL",
        1 => "APC_LEVEL",
        2 => "DISPATCH_LEVEL",
        HIGH_LEVEL => "HIGH_LEVEL",
        _ => "device level",
    }
}

/// Raises to `level` and returns the old one. Lowering this way is a violation.
#[inline]
pub fn raise(level: Kirql) -> Kirql {
    raise_for(level, 0)
}

/// [`raise`] for a driver at `caller`.
#[inline]
pub fn raise_for(level: Kirql, caller: usize) -> Kirql {
    let old = LEVEL.get();
    if level < old || level > HIGH_LEVEL {
        violation(
            &rules::RAISE_INVALID,
            format!(
                "IRQL {level} requested by KeRaiseIrql at {} ({old})",
                name(old)
            ),
            &[("raised at", caller)],
        );
    }
    replace(level);
    old
}

/// Lowers to `level`; raising this way is a violation. Below `APC_LEVEL`,
/// pending APCs are delivered.
#[inline]
pub fn lower(level: Kirql) {
    lower_for(level, 0);
}

/// [`lower`] for a driver at `caller`.
#[inline]
pub fn lower_for(level: Kirql, caller: usize) {
    let old = LEVEL.get();
    if level > old {
        violation(
            &rules::LOWER_INVALID,
            format!(
                "IRQL {level} requested by KeLowerIrql at {} ({old})",
                name(old)
            ),
            &[("lowered at", caller)],
        );
    }
    let held = held_locks::count();
    if held > 0 && level < DISPATCH_LEVEL {
        violation(
            &verifier::rules::SPIN_LOCK_PAIRING,
            format!(
                "the IRQL was lowered to {} while {held} spin lock(s) are held",
                name(level)
            ),
            &[("lowered at", caller)],
        );
    }
    restore(level);
}

/// Sets the level without a check, for the box's own use. Below `APC_LEVEL`,
/// pending APCs are delivered.
#[inline]
pub fn restore(level: Kirql) {
    let old = replace(level);
    if level < APC_LEVEL && old >= APC_LEVEL {
        apc::deliver_apcs();
    }
}

/// Sets the level and does nothing else.
pub(super) fn set(level: Kirql) {
    replace(level);
}

/// Raises to `level`, or stays at the current one if that is higher, and returns
/// the old one.
pub fn raised_silently(level: Kirql) -> Kirql {
    replace(LEVEL.get().max(level))
}

/// Restores the level it was made at when dropped.
#[must_use = "the level is restored when the guard is dropped"]
pub struct RaisedTo {
    old: Kirql,
}

/// Runs at `level`, or at the current one if that is higher, until the guard is dropped.
pub fn raised_to(level: Kirql) -> RaisedTo {
    RaisedTo {
        old: raised_silently(level),
    }
}

impl Drop for RaisedTo {
    fn drop(&mut self) {
        restore(self.old);
    }
}

/// Reports the IRQL rule of the routine `ddi` unless this thread runs at or below the level that
/// its page gives ([`documented`]); a routine of no page may be called at any. `caller` is the
/// driver's return address, or 0. False if it was reported.
#[inline]
pub fn require(ddi: &'static str, caller: usize) -> bool {
    // No page gives less than that, so that only who is above pays for looking it up.
    LEVEL.get() == PASSIVE_LEVEL || require_documented(ddi, caller)
}

fn require_documented(ddi: &'static str, caller: usize) -> bool {
    promise::broken_by(ddi, caller);
    documented::of(ddi).is_none_or(|page| require_at_most(ddi, page.maximum, caller))
}

/// As [`require`], where the arguments of the call decide about the maximum: `maximum` is what the
/// page says of them, no more than it says of the routine.
#[inline]
pub fn require_at_most(ddi: &'static str, maximum: Kirql, caller: usize) -> bool {
    promise::broken_by(ddi, caller);
    let level = LEVEL.get();
    if level <= maximum {
        return maximum >= DISPATCH_LEVEL || !FOR_PAGE_FILE.get() || is_for_page_file(ddi, caller);
    }
    too_high(ddi, level, maximum, caller);
    false
}

thread_local! {
    static FOR_PAGE_FILE: Cell<bool> = const { Cell::new(false) };
}

/// Has drivers work on a request for a page file, in `body`.
pub fn for_page_file<R>(body: impl FnOnce() -> R) -> R {
    let before = FOR_PAGE_FILE.replace(true);
    let result = body();
    FOR_PAGE_FILE.set(before);
    result
}

/// What a driver may call for a page file, though its page gives APC_LEVEL: it changes the thread, or looks at the file,
/// and neither waits nor touches what is paged.
const FOR_PAGE_FILES: [&str; 5] = [
    "FsRtlIsPagingFile",
    "KeEnterCriticalRegion",
    "KeEnterGuardedRegion",
    "KeLeaveCriticalRegion",
    "KeLeaveGuardedRegion",
];

/// Whether `ddi`, which may not be called at DISPATCH_LEVEL, may be called for a page file; reports it otherwise.
#[cold]
fn is_for_page_file(ddi: &'static str, caller: usize) -> bool {
    let fine = caller == 0 || FOR_PAGE_FILES.contains(&ddi);
    if !fine {
        violation(
            &verifier::rules::PAGE_FILE_PATH,
            format!("{ddi}, which may not be called at DISPATCH_LEVEL, was called for a page file"),
            &[("called at", caller)],
        );
    }
    fine
}

#[cold]
fn too_high(ddi: &'static str, level: Kirql, maximum: Kirql, caller: usize) {
    // Behind the routine's name may stand what about the call decides.
    let routine = ddi.split(' ').next().unwrap_or(ddi);
    let page = documented::of(routine).map_or(String::new(), |of| format!(", by ddi/{}", of.page));
    violation(
        verifier::rules::of_call(ddi),
        format!(
            "{ddi} was called at {} ({level}); its maximum is {} ({maximum}){page}",
            name(level),
            name(maximum)
        ),
        &[("called at", caller)],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_restores_and_never_lowers() {
        assert_eq!(current(), PASSIVE_LEVEL);
        {
            let _dispatch = raised_to(DISPATCH_LEVEL);
            assert_eq!(current(), DISPATCH_LEVEL);
            let _apc = raised_to(APC_LEVEL);
            assert_eq!(current(), DISPATCH_LEVEL);
        }
        assert_eq!(current(), PASSIVE_LEVEL);
    }

    #[test]
    fn for_a_page_file_is_called_what_may_be_called_at_dispatch_level() {
        let called = |ddi, caller| {
            let _apc = raised_to(APC_LEVEL);
            let (allowed, found) = verifier::capture(|| for_page_file(|| require(ddi, caller)));
            assert_eq!(found.len(), usize::from(!allowed));
            allowed
        };
        assert!(!called("ExAcquireFastMutex", 1));
        assert!(called("ExAcquireFastMutex", 0), "the box itself");
        assert!(called("ObfDereferenceObject", 1));
        for ddi in FOR_PAGE_FILES {
            assert_eq!(
                documented::of(ddi).map(|page| page.maximum),
                Some(APC_LEVEL),
                "{ddi}"
            );
            assert!(called(ddi, 1), "{ddi}");
        }
        let _apc = raised_to(APC_LEVEL);
        assert!(require("ExAcquireFastMutex", 1), "for another file");
    }

    #[test]
    fn levels_are_per_thread() {
        let _dispatch = raised_to(DISPATCH_LEVEL);
        assert_eq!(
            std::thread::spawn(current).join().expect("no panic"),
            PASSIVE_LEVEL
        );
    }

    #[test]
    fn raising_down_and_lowering_up_are_reported() {
        let ((), found) = verifier::capture(|| {
            assert_eq!(raise(DISPATCH_LEVEL), PASSIVE_LEVEL);
            raise(APC_LEVEL);
            lower(DISPATCH_LEVEL);
            lower(PASSIVE_LEVEL);
        });
        let names: Vec<_> = found.iter().map(|found| found.rule.code).collect();
        assert_eq!(names, ["0xC4/30", "0xC4/31"]);
    }

    #[test]
    fn a_ceiling_names_the_routine_and_both_levels() {
        let (fine, found) = verifier::capture(|| {
            let _dispatch = raised_to(DISPATCH_LEVEL);
            require("KeSetEvent", 0) && !require("IoDeleteDevice", 0)
        });
        assert!(fine);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].rule.name, "IrqlIoApcLte");
        for part in [
            "IoDeleteDevice",
            "DISPATCH_LEVEL (2)",
            "APC_LEVEL (1), by ddi/wdm/nf-wdm-iodeletedevice",
        ] {
            assert!(
                found[0].message.contains(part),
                "{part} in {}",
                found[0].message
            );
        }
    }
}
