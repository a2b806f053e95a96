//! `docs/verifier.md` says what the registry of rules and the mistakes say.

use fsglass_tests::{made, verifier_table};

/// With `FSGLASS_BLESS=1` the document is written instead.
#[test]
fn the_document_is_up_to_date() {
    made::expect_committed(
        "docs/verifier.md",
        &verifier_table::document(),
        "verifier_table",
    );
}
