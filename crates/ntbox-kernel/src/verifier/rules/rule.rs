//! What a rule is, and how a family of them is written down.

use super::severity::{self, Severity};
use std::fmt;

/// One rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The published name where there is one.
    pub name: &'static str,
    /// The bug check with the parameter that tells it apart, or the kind of rule that it is.
    pub code: &'static str,
    /// What it is about.
    pub family: Family,
    /// What is wrong when it is reported.
    pub checks: &'static str,
    /// The page that publishes it, in the Windows driver documentation.
    pub source: &'static str,
    /// Where and how it is found.
    pub detected_by: &'static str,
    /// What a driver does instead.
    pub should: &'static str,
    /// What shows that it is caught.
    pub proof: Proof,
}

impl Rule {
    /// How bad a breach is, where the documentation says that.
    pub fn severity(&self) -> Option<Severity> {
        severity::of(self.code)
    }
    /// True if it is told, and decides about no exit code.
    pub fn is_warning(&self) -> bool {
        self.severity() == Some(Severity::Warning)
    }
    /// What a report calls a breach.
    pub fn kind(&self) -> &'static str {
        if self.is_warning() {
            "warning"
        } else {
            "violation"
        }
    }
}

/// What rules are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// A request is completed once, by one, and not touched by anyone else.
    IrpLife,
    /// Marked, returned and propagated, or none of the three.
    Pending,
    /// The interrupt request level: given back, and not too high for what is done.
    Irql,
    /// Device objects, their stacks, and what is left of a driver.
    Devices,
    /// File objects, and who is to know that they are closed.
    Files,
    /// Memory and locks.
    PoolAndLocks,
    /// What stops the processor or the driver itself.
    Faults,
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::IrpLife => "IRP life",
            Self::Pending => "pending",
            Self::Irql => "IRQL",
            Self::Devices => "devices",
            Self::Files => "files",
            Self::PoolAndLocks => "pool and locks",
            Self::Faults => "faults",
        })
    }
}

/// What shows that a rule is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `bad_drivers.sys` breaks it when its setting `Mistake` has this value.
    BadDriver(&'static str),
    /// No file-system filter can break it, or no check can tell; why.
    NotApplicable(&'static str),
}

impl Proof {
    /// The mistake of `bad_drivers.sys`.
    pub fn bad_driver(self) -> Option<&'static str> {
        match self {
            Self::BadDriver(mistake) => Some(mistake),
            _ => None,
        }
    }
    /// Why the rule is not checked.
    pub fn not_applicable(self) -> Option<&'static str> {
        match self {
            Self::NotApplicable(reason) => Some(reason),
            _ => None,
        }
    }
}

/// The rules of one family: `NAME = { fields of [`Rule`] but the family };`. What a
/// rule checks is also its documentation.
macro_rules! rules {
    ($family:ident; $($id:ident = {
        name: $name:expr,
        code: $code:expr,
        checks: $checks:expr,
        source: $source:expr,
        detected_by: $detected_by:expr,
        should: $should:expr,
        proof: $proof:expr,
    };)*) => {
        $(
            #[doc = $checks]
            pub static $id: $crate::verifier::rules::rule::Rule = $crate::verifier::rules::rule::Rule {
                name: $name,
                code: $code,
                family: $crate::verifier::rules::rule::Family::$family,
                checks: $checks,
                source: $source,
                detected_by: $detected_by,
                should: $should,
                proof: $proof,
            };
        )*
        /// Every rule of this family.
        pub(super) static RULES: &[&$crate::verifier::rules::rule::Rule] = &[$(&$id),*];
    };
}
pub(super) use rules;

/// Pages of the Windows driver documentation that publish several rules.
pub(super) mod page {
    /// The I/O verification errors.
    pub const IO_VIOLATION: &str = "debugger/bug-check-0xc9--driver-verifier-iomanager-violation";
    /// The other errors that Driver Verifier finds.
    pub const VIOLATION: &str = "debugger/bug-check-0xc4--driver-verifier-detected-violation";
    /// What a completion routine may do.
    pub const COMPLETION_ROUTINES: &str = "ifs/constraints-on-completion-routines";
}
