//! The table of rules: each has code that keeps it and a test that fails without it.

use fsglass_tests::rules_table::{self, CHAPTERS};
use fsglass_tests::sources::Sources;

/// Every rule is there, and what is named beside it exists and says which rule it is about.
#[test]
fn each_rule_has_code_and_a_test() {
    let rules = rules_table::read();
    let wrong = rules_table::mistakes(&rules, &Sources::of_driver(), &Sources::of_tests());
    assert!(wrong.is_empty(), "docs/rules.md:\n{}", wrong.join("\n"));
    let count: usize = CHAPTERS.iter().map(|(_, count)| count).sum();
    assert_eq!(rules.len(), count);
}
