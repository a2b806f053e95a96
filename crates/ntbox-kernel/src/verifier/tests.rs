//! Captured violations return; others end the process with exit code 1.

use super::*;
use crate::host::test_process::alone;

fn violation(message: &str) -> Violation {
    Violation {
        rule: &rules::COMPLETED_TWICE,
        message: message.into(),
        irp: None,
        sites: vec![("completed", 0)],
    }
}

#[test]
fn captured_violations_are_recorded_in_order() {
    let (result, recorded) = capture(|| {
        report(violation("first"));
        let ((), inner) = capture(|| report(violation("inner")));
        assert_eq!(inner.len(), 1);
        report(violation("second"));
        7
    });
    assert_eq!(result, 7);
    let messages: Vec<&str> = recorded
        .iter()
        .map(|recorded| recorded.message.as_str())
        .collect();
    assert_eq!(messages, ["first", "second"]);
    assert_eq!(recorded[0].rule.name, "DoubleCompletion");
}

#[test]
fn a_violation_ends_the_process_with_exit_code_1() {
    let name = "verifier::tests::a_violation_ends_the_process_with_exit_code_1";
    let output = alone(name, || {
        let replay = "ntbox run --seed 9".to_owned();
        configure(Configuration {
            seed: 9,
            replay,
            ..Configuration::default()
        });
        report(violation("a request was completed twice"));
        unreachable!("the report returned");
    });
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("ntbox: violation of DoubleCompletion (0x44"),
        "{text}"
    );
    assert!(
        text.contains("the same again: ntbox run --seed 9"),
        "{text}"
    );
}

#[test]
fn a_bug_check_as_json_ends_the_process_with_exit_code_1() {
    let name = "verifier::tests::a_bug_check_as_json_ends_the_process_with_exit_code_1";
    let output = alone(name, || {
        configure(Configuration {
            json: true,
            ..Configuration::default()
        });
        bug_check(0xC2, [7, 0, 0, 0x1234], 0);
    });
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    // The test harness writes in front of it, on the same line.
    let start = text.find('{').unwrap_or_else(|| panic!("{text}"));
    let object: serde_json::Value =
        serde_json::from_str(text[start..].lines().next().unwrap()).unwrap();
    assert_eq!(object["violation"]["rule"], "DriverBugCheck");
    assert_eq!(
        object["violation"]["message"],
        "bug check 0xC2 BAD_POOL_CALLER (0x7, 0x0, 0x0, 0x1234)"
    );
}
