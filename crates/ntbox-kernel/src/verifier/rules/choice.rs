//! Which rules are reported: all, but for those that are asked for by name alone, and for those
//! that are switched off.

use super::{
    ASSERTION, EXECUTABLE_IMPORTS, EXECUTABLE_MAPPING, EXECUTABLE_POOL, PAGEABLE_CODE,
    PAGEABLE_MEMORY, PLAIN_COMPLETION_ROUTINE, POOL_OVERRUN, WRITABLE_CODE,
};
use super::{Rule, all, faults};

/// Rules that Microsoft checks in source code alone, or by an option that is not in the standard
/// settings, and that a driver which does no harm may break: reported when they are named.
static BY_NAME: &[&Rule] = &[
    &PLAIN_COMPLETION_ROUTINE,
    &EXECUTABLE_POOL,
    &EXECUTABLE_MAPPING,
    &WRITABLE_CODE,
    &EXECUTABLE_IMPORTS,
];

/// Rules of other families whose breach is always a fault of the processor, after which the
/// thread cannot go on.
static FAULTS: &[&Rule] = &[&PAGEABLE_MEMORY, &PAGEABLE_CODE, &POOL_OVERRUN];

/// A set of rules, one bit for each in the order of [`all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSet([u64; 4]);

impl RuleSet {
    /// None.
    pub const NONE: Self = Self([0; 4]);

    /// With the rule, or without it.
    #[must_use]
    pub fn with(mut self, rule: &Rule, is_in: bool) -> Self {
        let (word, bit) = place(rule);
        if is_in {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
        self
    }
    /// True if the rule is in the set.
    pub fn contains(&self, rule: &Rule) -> bool {
        let (word, bit) = place(rule);
        self.0[word] & bit != 0
    }
    /// The rules of the set.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        all().filter(|rule| self.contains(rule))
    }
}

fn place(rule: &Rule) -> (usize, u64) {
    let number = all().position(|known| std::ptr::eq(known, rule));
    let number = number.unwrap_or_else(|| panic!("{} is in no family", rule.name));
    (number / 64, 1 << (number % 64))
}

impl Rule {
    /// True if it is reported unless it is switched off.
    pub fn is_reported_by_default(&self) -> bool {
        !BY_NAME.iter().any(|rule| std::ptr::eq(*rule, self))
    }
    /// True if nothing can go on after it, so that it cannot be switched off.
    pub fn is_a_fault(&self) -> bool {
        let mut faults = FAULTS.iter().chain(faults::RULES);
        faults.any(|rule| std::ptr::eq(*rule, self)) && !std::ptr::eq(self, &ASSERTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_bit_for_every_rule() {
        assert!(all().count() <= 256);
        let every = all().fold(RuleSet::NONE, |set, rule| set.with(rule, true));
        assert_eq!(every.rules().count(), all().count());
        for rule in all() {
            let without = every.with(rule, false);
            assert!(!without.contains(rule) && without.rules().count() + 1 == all().count());
        }
    }
}
