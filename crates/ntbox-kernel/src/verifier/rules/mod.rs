//! The rules, under their published names: one file per family.
//!
//! A rule says what it checks, where that is published, how it is detected, and
//! what a driver does instead. It also names its proof: the mistake of
//! `tests/bad_drivers` that breaks it. What becomes of everything that is
//! published, checked or not, is in [`census`].
//!
//! `ntbox rules` prints [`all`]; `docs/verifier.md` is made from it.

pub mod census;
mod choice;
pub mod code_integrity;
pub mod devices;
pub mod faults;
pub mod files;
pub mod handles;
pub mod irp_life;
pub mod irql;
pub mod irql_calls;
pub mod lists;
pub mod objects;
pub mod own_requests;
pub mod pending;
pub mod plug_and_play;
pub mod pool_and_locks;
pub mod requests;
mod rule;
mod severity;

pub use choice::RuleSet;
pub use code_integrity::*;
pub use devices::*;
pub use faults::*;
pub use files::*;
pub use handles::*;
pub use irp_life::*;
pub use irql::*;
pub use irql_calls::*;
pub use lists::*;
pub use objects::*;
pub use own_requests::*;
pub use pending::*;
pub use plug_and_play::*;
pub use pool_and_locks::*;
pub use requests::*;
pub use rule::{Family, Proof, Rule};
pub use severity::Severity;

/// Every rule, family by family.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [
        irp_life::RULES,
        requests::RULES,
        own_requests::RULES,
        pending::RULES,
        irql::RULES,
        irql_calls::RULES,
        devices::RULES,
        plug_and_play::RULES,
        files::RULES,
        pool_and_locks::RULES,
        objects::RULES,
        lists::RULES,
        handles::RULES,
        code_integrity::RULES,
        faults::RULES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests;
