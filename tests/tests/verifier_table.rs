//! `docs/verifier.md` says what the registry of rules and the mistakes say.

use fsglass_tests::drivers::repository;
use fsglass_tests::verifier_table;
use std::fs;

/// With `FSGLASS_BLESS=1` the document is written instead.
#[test]
fn the_document_is_up_to_date() {
    let path = repository().join("docs/verifier.md");
    let made = verifier_table::document();
    if std::env::var_os("FSGLASS_BLESS").is_some() {
        fs::write(&path, &made).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = committed
        .lines()
        .zip(made.lines())
        .find(|(is, made)| is != made);
    assert!(
        committed == made,
        "docs/verifier.md is out of date: run FSGLASS_BLESS=1 cargo test -p fsglass-tests --test \
         verifier_table\n{differs:#?}"
    );
}
