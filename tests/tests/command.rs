//! The `ntbox` command: its exit codes, and that what it cannot do is said.

use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile};
use serde_json::Value;

fn fsglass() -> String {
    drivers::fsglass(Profile::Release).display().to_string()
}

/// Wrong usage exits 2 and says what is wrong.
#[test]
fn wrong_usage_exits_2() {
    let driver = fsglass();
    for (arguments, part) in [
        (vec![], "Usage"),
        (vec!["fly"], "fly"),
        (vec!["run"], "--driver"),
        (vec!["run", "--driver"], "--driver"),
        (
            vec!["run", "--driver", "/no/such/driver.sys"],
            "/no/such/driver.sys",
        ),
        (
            vec!["run", "--driver", &driver, "--threads", "0"],
            "--threads",
        ),
        (vec!["run", "--driver", &driver, "--ops", "many"], "--ops"),
        (
            vec!["run", "--driver", &driver, "--workload", "sleep"],
            "workload",
        ),
        (
            vec![
                "run",
                "--driver",
                &driver,
                "--workload",
                "copy:/no/such/tree",
            ],
            "/no/such/tree",
        ),
        (
            vec!["run", "--driver", &driver, "--setting", "AllowUnload"],
            "setting",
        ),
        (
            vec!["run", "--driver", &driver, "--volume", "7=/tmp"],
            "drive letter",
        ),
        (
            vec![
                "run",
                "--driver",
                &driver,
                "--volume",
                "C=/no/such/directory",
            ],
            "/no/such/directory",
        ),
        (
            vec!["run", "--driver", &driver, "--volume", "C=/tmp,kind=tape"],
            "kind",
        ),
        (
            vec![
                "run", "--driver", &driver, "--volume", "C=/tmp", "--volume", "C=/var",
            ],
            "twice",
        ),
        (
            vec!["run", "--driver", &driver, "--control", r"\\.\fsglass,ask"],
            "no control code",
        ),
        (vec!["diff"], "--driver"),
        (vec!["diff", "--driver", &driver, "--keep", "0.1"], "2.17"),
        (
            vec!["diff", "--driver", &driver, "--requests", "2"],
            "--systematic",
        ),
        (
            vec![
                "diff",
                "--driver",
                &driver,
                "--systematic",
                "--requests",
                "5",
            ],
            "--requests",
        ),
        (
            vec!["diff", "--driver", &driver, "--verify", "low-resources"],
            "low-resources",
        ),
    ] {
        ntbox(&arguments).expect_code(2).expect_output(part);
    }
}

/// Help exits 0.
#[test]
fn help_exits_0() {
    for arguments in [
        vec!["--help"],
        vec!["run", "--help"],
        vec!["diff", "--help"],
        vec!["--version"],
    ] {
        ntbox(arguments).expect_code(0);
    }
}

/// A clean run exits 0 and says that nothing was wrong: without a driver, with the driver, and with
/// another filter below or above it.
#[test]
fn a_clean_run_exits_0() {
    let driver = fsglass();
    let work = [
        "--ops",
        "500",
        "--threads",
        "2",
        "--setting",
        "AllowUnload=1",
    ];
    let other = drivers::bad_drivers(Profile::Release).display().to_string();
    let stacks = [
        vec!["--bare"],
        vec!["--driver", &driver],
        vec!["--driver", &driver, "--driver", &other],
        vec!["--driver", &other, "--driver", &driver],
    ];
    for stack in stacks {
        let ended = ntbox([vec!["run"], stack, work.to_vec()].concat());
        ended.expect_code(0);
        for what in ["differences", "violations"] {
            let line = ended
                .output
                .lines()
                .find(|line| line.trim_start().starts_with(what));
            assert!(
                line.is_some_and(|line| line.trim_end().ends_with(" 0")),
                "{what}: {line:?}\n{}",
                ended.output
            );
        }
    }
}

/// A file that is no driver is refused by name, with exit code 1.
#[test]
fn what_is_no_driver_is_refused() {
    let this = std::env::current_exe()
        .unwrap_or_else(|error| panic!("the test program cannot find itself: {error}"));
    let this = this.display().to_string();
    ntbox(["run", "--driver", &this])
        .expect_code(1)
        .expect_output(&this);
}

/// Every import of the shipped drivers is bound, and listed among what ntbox provides.
#[test]
fn every_import_is_provided() {
    for profile in Profile::ALL {
        for driver in [drivers::fsglass(profile), drivers::bad_drivers(profile)] {
            ntbox(["exports", "--check", &driver.display().to_string()]).expect_code(0);
        }
    }
}

/// What a driver imports and asks for is held against what is there: a driver of the tests has requests of its own.
#[test]
fn what_a_driver_needs_is_told() {
    let driver = drivers::bad_drivers(Profile::Release).display().to_string();
    ntbox([
        "check",
        "--driver",
        &driver,
        "--setting",
        "Right=own-requests",
        "--ops",
        "500",
    ])
    .expect_code(0)
    .expect_output(&format!("Imports of {driver}: "))
    .expect_output(
        "Asked of the file systems by the drivers: 2, covered 2\n  covered: IRP_MJ_FLUSH_BUFFERS\n",
    )
    .expect_output("Asked of the file systems by programs and the system: ")
    .expect_output(
        "  not covered: IRP_MJ_QUERY_QUOTA (refused; ifs/flt-parameters-for-irp-mj-query-quota)",
    );
    ntbox(["check"])
        .expect_code(2)
        .expect_output("name the driver to check with --driver PATH");
    ntbox(["check", "--driver", &driver, "--json"])
        .expect_code(2)
        .expect_output("it takes neither --json nor --every-failure");
}

/// A filter's control device is told what its program tells it, and one that is not there is named.
#[test]
fn control_devices_are_sent_requests() {
    let run = |control: &str| {
        ntbox([
            "run",
            "--driver",
            &fsglass(),
            "--ops",
            "100",
            "--control",
            control,
        ])
    };
    run(r"\\.\fsglass,0xF5616000")
        .expect_code(0)
        .expect_output(r"  \\.\fsglass  0xF5616000: STATUS_SUCCESS, ");
    // This one has no input.
    run(r"\\.\fsglass,0xF5616000,00")
        .expect_code(0)
        .expect_output(r"  \\.\fsglass  0xF5616000: STATUS_INFO_LENGTH_MISMATCH, 0 bytes");
    run(r"\\.\fsglass,0xF561FFFC,00")
        .expect_code(0)
        .expect_output("0xF561FFFC: STATUS_INVALID_DEVICE_REQUEST, 0 bytes");
    run(r"\\.\nowhere,1").expect_code(1).expect_output(
        r"--control \\.\nowhere: the device (\??\nowhere) cannot be opened: STATUS_OBJECT_NAME_NOT_FOUND",
    );
}

/// What programs do, sent to volumes of two kinds, one of which is mounted above the driver: without
/// more options a driver meets what it meets on Windows.
#[test]
fn the_default_run_meets_what_programs_do() {
    let ended = ntbox([
        "run",
        "--driver",
        &fsglass(),
        "--setting",
        r"\Debug=7",
        "--json",
    ]);
    ended.expect_code(0);
    let report: Value = serde_json::from_str(&ended.output)
        .unwrap_or_else(|error| panic!("{error}: {}", ended.output));
    let expect_sent = |rows: &Value, all: &[&str]| {
        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
        for wanted in all {
            let sent = rows.iter().any(|row| row[0] == *wanted && row[1] != 0);
            assert!(sent, "{wanted}: {rows:?}");
        }
    };
    let volumes: Vec<_> = report["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|volume| (&volume["letter"], &volume["kind"], &volume["mount"]))
        .collect();
    let expected = [
        ("C", "disk", "before the drivers were loaded"),
        ("D", "removable", "after the drivers were loaded"),
    ];
    assert_eq!(volumes.len(), expected.len());
    for (volume, expected) in volumes.iter().zip(expected) {
        let (letter, kind, mount) = expected;
        assert!(
            *volume.0 == letter && *volume.1 == kind && *volume.2 == mount,
            "{volume:?}"
        );
    }
    let majors = [
        "IRP_MJ_CREATE",
        "IRP_MJ_CLOSE",
        "IRP_MJ_READ",
        "IRP_MJ_WRITE",
        "IRP_MJ_QUERY_INFORMATION",
        "IRP_MJ_SET_INFORMATION",
        "IRP_MJ_FLUSH_BUFFERS",
        "IRP_MJ_QUERY_VOLUME_INFORMATION",
        "IRP_MJ_DIRECTORY_CONTROL",
        "IRP_MJ_FILE_SYSTEM_CONTROL",
        "IRP_MJ_DEVICE_CONTROL",
        "IRP_MJ_LOCK_CONTROL",
        "IRP_MJ_CLEANUP",
        "IRP_MJ_QUERY_EA",
        "IRP_MJ_SET_EA",
        "IRP_MJ_QUERY_QUOTA",
        "IRP_MJ_SET_QUOTA",
        "IRP_MJ_SET_VOLUME_INFORMATION",
        "IRP_MJ_QUERY_SECURITY",
        "IRP_MJ_SET_SECURITY",
    ];
    expect_sent(&report["sent"]["by_major"], &majors);
    let entries = [
        "Read",
        "Write",
        "QueryBasicInfo",
        "QueryStandardInfo",
        "QueryNetworkOpenInfo",
        "QueryOpen",
        "Lock",
        "UnlockSingle",
        "DeviceControl",
    ];
    expect_sent(&report["sent"]["fast_io"], &entries);
}
