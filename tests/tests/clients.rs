//! `fsglass` against the driver in ntbox, as it is used against Windows.

use fsglass_cli::error::Exit;
use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::served::Served;
use serde_json::Value;

fn fsglass() -> String {
    drivers::fsglass(Profile::Release).display().to_string()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// `status`, `list`, `detach` and `attach` do what they do on Windows, while a workload runs, and the
/// driver can be unloaded when they are done.
#[test]
fn what_works_on_windows_works_in_ntbox() {
    let driver = fsglass();
    let arguments = [
        "--driver",
        &driver,
        "--setting",
        "AllowUnload=1",
        "--ops",
        "2000",
    ];
    let mut served = Served::start(&arguments);
    let (exit, status) = served.fsglass(&["status", "--json"]);
    assert_eq!(exit, Exit::Done, "{status}");
    let status = json(&status);
    assert_eq!(status["driver"]["clients"], 1);
    assert_eq!(status["image"], driver.as_str());
    served.begin_workload();
    let filtered = |served: &Served| {
        let (exit, list) = served.fsglass(&["list", "--json"]);
        assert_eq!(exit, Exit::Done, "{list}");
        let list = json(&list);
        let volume = list
            .as_array()
            .and_then(|list| list.iter().find(|volume| volume["letters"][0] == "C:"));
        let volume = volume.unwrap_or_else(|| panic!("C: is in the list: {list}"));
        volume["filtered"] == true
    };
    assert!(filtered(&served));
    served.await_workload();
    assert_eq!(served.fsglass(&["detach", "c:"]).0, Exit::Done);
    assert!(!filtered(&served));
    let (exit, text) = served.fsglass(&["detach", "c:"]);
    assert_eq!(exit, Exit::Failed);
    assert!(text.contains("0xC0000225"), "{text}");
    assert_eq!(served.fsglass(&["attach", "C:"]).0, Exit::Done);
    assert!(filtered(&served));
    served.end();
}

/// A service that is not there, and a machine that has ended, are told apart from a driver that fails.
#[test]
fn what_is_not_there_is_said() {
    let driver = fsglass();
    let served = Served::start(&["--driver", &driver, "--ops", "10"]);
    let (exit, text) = served.fsglass(&["list", "--service", "other"]);
    assert_eq!(exit, Exit::Failed, "{text}");
    assert!(text.contains("0xC0000034"), "{text}");
    let (exit, _) = served.fsglass(&["status", "--service", "other"]);
    assert_eq!(exit, Exit::NotRunning);
    let address = served.address.clone();
    drop(served);
    let gone = Served::fsglass_at(&address, &["list"]);
    assert_eq!(gone.0, Exit::NotRunning, "{}", gone.1);
}

/// No other machine reaches it.
#[test]
fn only_loopback_addresses_are_served() {
    for address in ["0.0.0.0:0", "192.0.2.1:7777", "nowhere"] {
        ntbox([
            "run",
            "--driver",
            &fsglass(),
            "--ops",
            "10",
            "--client",
            address,
        ])
        .expect_code(2)
        .expect_output("--client");
    }
}
