//! What `wdm` does not let happen: each misuse is rejected by the compiler, for the reason that is
//! written down beside it.

use fsglass_tests::drivers::repository;
use fsglass_tests::ui;

/// Each file in `tests/ui/examples` is a misuse; what is right, in `tests/ui/src`, compiles.
#[test]
fn each_misuse_is_rejected() {
    let compiled = ui::compile(repository());
    let directory = ui::directory();
    if std::env::var_os("FSGLASS_BLESS").is_some() {
        ui::bless(&directory, &compiled);
    }
    assert!(
        compiled.accepted.iter().any(|target| target == "wdm_ui"),
        "the uses that are right do not compile: {:?}",
        compiled.rejected.get("wdm_ui")
    );
    let wrong = ui::differences(&directory, &compiled);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A misuse says in its first line which rule it breaks, and there are no answers to misuses that
/// are gone.
#[test]
fn each_misuse_names_its_rule() {
    let directory = ui::directory();
    for name in ui::misuses(&directory) {
        let source = std::fs::read_to_string(directory.join(format!("{name}.rs")));
        let first = source.unwrap_or_default();
        let first = first.lines().next().unwrap_or_default();
        let id = first.strip_prefix("//! ").and_then(|text| text.get(..2));
        assert!(
            id.is_some_and(|id| id.starts_with(['A', 'C', 'D', 'F', 'L', 'P'])
                && id.ends_with(|digit: char| digit.is_ascii_digit())),
            "{name}: {first}"
        );
    }
    let files = std::fs::read_dir(&directory).map(Iterator::count);
    assert_eq!(files.unwrap_or_default(), ui::misuses(&directory).len() * 2);
}
