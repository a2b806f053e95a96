//! What `bad_drivers.sys` does wrong, and where in its source.

use crate::drivers::repository;
use std::fs;

/// Where a report must point to.
#[derive(Clone, Copy, Debug)]
pub enum Site {
    /// The line that ends in the comment `MISTAKE: name`.
    Line,
    /// The routine of that name, from its first line on.
    Routine(&'static str),
}

/// A mistake and how it must be reported.
#[derive(Clone, Copy, Debug)]
pub struct Mistake {
    /// Value of the setting `Mistake`.
    pub name: &'static str,
    /// The rule, under its published name.
    pub rule: &'static str,
    /// The family: its source file in `tests/bad_drivers/src`.
    pub file: &'static str,
    /// The place that the report names, `None` where the rule is about an object, not about code.
    pub site: Option<Site>,
}

impl Mistake {
    /// `file:line` as reports name it; `file:` for a routine.
    ///
    /// # Panics
    /// If the source does not have that place.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let file = format!("tests/bad_drivers/src/{}", self.file);
        let text = fs::read_to_string(repository().join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let line = |wanted: &str, is_end: bool| {
            let found = text.lines().position(|line| if is_end { line.ends_with(wanted) } else { line.contains(wanted) });
            found.unwrap_or_else(|| panic!("{file} has no line with {wanted:?}")) + 1
        };
        let number = match self.site? {
            Site::Line => line(&format!("// MISTAKE: {}", self.name), true),
            Site::Routine(routine) => line(&format!("fn {routine}("), false),
        };
        Some(format!("{file}:{number}"))
    }

    /// The routine that the place is in, as symbols name it.
    ///
    /// # Panics
    /// If the source does not have that place.
    #[must_use]
    pub fn routine(&self) -> Option<String> {
        let module = format!("bad_drivers::{}", self.file.trim_end_matches(".rs").replace('/', "::"));
        let file = repository().join("tests/bad_drivers/src").join(self.file);
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let routine = match self.site? {
            Site::Routine(routine) => routine.to_owned(),
            Site::Line => {
                let mut last = String::new();
                for line in text.lines() {
                    if let Some((_, rest)) = line.split_once("fn ")
                        && let Some((name, _)) = rest.split_once('(')
                    {
                        name.clone_into(&mut last);
                    }
                    if line.ends_with(&format!("// MISTAKE: {}", self.name)) {
                        break;
                    }
                }
                last
            }
        };
        Some(format!("{module}::{routine}"))
    }
}

const fn at_line(name: &'static str, rule: &'static str, file: &'static str) -> Mistake {
    Mistake { name, rule, file, site: Some(Site::Line) }
}

const fn in_routine(name: &'static str, rule: &'static str, file: &'static str, routine: &'static str) -> Mistake {
    Mistake { name, rule, file, site: Some(Site::Routine(routine)) }
}

const IRP_LIFE: &str = "mistakes/irp_life.rs";
const PENDING: &str = "mistakes/pending.rs";
const IRQL: &str = "mistakes/irql.rs";
const COMPLETION: &str = "mistakes/completion.rs";
const MEMORY: &str = "mistakes/memory.rs";
const DEVICES: &str = "attachments.rs";

/// Every mistake that the driver can make.
pub const ALL: &[Mistake] = &[
    at_line("complete-twice", "DoubleCompletion", IRP_LIFE),
    at_line("no-stack-location", "NoMoreStackLocations", IRP_LIFE),
    at_line("touch-irp-after-call", "UseAfterFree", IRP_LIFE),
    at_line("complete-as-pending", "CompletedAsPending", IRP_LIFE),
    in_routine("forget-request", "NeitherCompletedNorForwarded", IRP_LIFE, "forget"),
    in_routine("pending-not-propagated", "PendingReturnedNotPropagated", PENDING, "not_propagated"),
    in_routine("pending-not-marked", "MarkIrpPending2", PENDING, "post_unmarked"),
    in_routine("marked-not-pending", "MarkIrpPending", PENDING, "mark_and_return_final"),
    in_routine("irql-raised-by-dispatch", "IrqlChangedByDispatch", IRQL, "raise"),
    in_routine("irql-raised-by-completion", "IrqlChangedByCompletion", IRQL, "raise_in_completion"),
    at_line("forward-at-dispatch", "ForwardedAtBadIrql", IRQL),
    at_line("complete-under-spin-lock", "SpinLockSafe", IRQL),
    at_line("wait-in-completion", "WaitAtDispatch", IRQL),
    in_routine("wrong-completion-status", "CompletionRoutineStatus", COMPLETION, "return_request_status"),
    at_line("pool-overrun", "PoolOverrun", MEMORY),
    at_line("pool-overrun-in-slack", "PoolOverrun", MEMORY),
    at_line("use-after-free", "UseAfterFree", MEMORY),
    at_line("free-twice", "BadFree", MEMORY),
    at_line("leak-at-unload", "LeakAtUnload", MEMORY),
    Mistake { name: "device-left-at-unload", rule: "DanglingDeviceObjectReference", file: DEVICES, site: None },
    Mistake { name: "deleted-while-attached", rule: "DeletedWhileAttached", file: DEVICES, site: None },
    Mistake { name: "initializing-flag-left", rule: "DoDeviceInitializing", file: DEVICES, site: None },
];
