//! The tasks for Windows: what they start, what they leave, and that none ends well without it.
//!
//! The real cargo-make runs them, over the makefile that wdk-build publishes, and the programs
//! that they start are stood in for: what those do on Windows is not in here.

#![cfg(unix)]

use fsglass_tests::package::FILES;
use fsglass_tests::windows_tasks::{
    Windows, cargo_make, exchanged, makefile, merged, published_makefile, tasks,
};
use std::fs;
use std::path::Path;

const OUTPUT: &str = "target/x86_64-pc-windows-msvc/release";

/// The text of Makefile.toml with a change that has to be possible.
fn changed(from: &str, to: &str) -> String {
    let text = makefile();
    assert!(
        text.contains(from),
        "Makefile.toml has no {from:?} any more"
    );
    text.replacen(from, to, 1)
}

/// What the package's folder holds.
fn packaged(windows: &Windows) -> Vec<String> {
    let folder = windows.path("target/package");
    let files = wdk_kit::files::below(&folder).unwrap_or_default();
    let names = files
        .iter()
        .filter_map(|file| file.strip_prefix(&folder).ok());
    names.map(|name| name.display().to_string()).collect()
}

fn touch(path: &Path) {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(path, "of an earlier run"))
        .unwrap();
}

/// cargo-make gives a task that it merges with another of the same name our directory, and takes
/// the environment of that one away: none of ours is merged with one of wdk-build or of its own.
#[test]
fn each_task_is_cleared_or_has_a_name_of_its_own() {
    let mut listed = cargo_make();
    let listed = listed
        .args([
            "make",
            "--disable-check-for-updates",
            "--list-all-steps",
            "--cwd",
        ])
        .arg(Windows::new("no-makefile").path("target"))
        .output()
        .unwrap_or_else(|error| panic!("{error}"));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let own = listed
        .lines()
        .filter_map(|line| Some(line.split_once(" - ")?.0.trim().to_owned()));
    let own: std::collections::BTreeSet<_> = own.collect();
    assert!(
        own.contains("test-flow"),
        "cargo-make lists no tasks of its own:\n{listed}"
    );
    let published = tasks(&published_makefile());
    assert!(published.contains("package-driver"));
    for others in [&own, &published] {
        assert_eq!(merged(&makefile(), others), [""; 0]);
    }
    let half = "[tasks.generate-driver-binary-file]\nprivate = true\n\n[tasks.demo]\n";
    let half = changed("[tasks.demo]\n", half);
    assert_eq!(merged(&half, &published), ["generate-driver-binary-file"]);
}

/// The copy that runs is the makefile with the systems exchanged, or it does not run.
#[test]
#[should_panic = "named in another way"]
fn a_system_that_is_named_in_a_line_is_not_exchanged() {
    let _never = exchanged("[tasks.build]\ncommand = \"cargo\"\nlinux.args = [\"build\"]\n");
}

#[test]
fn build_leaves_the_driver_and_its_symbols() {
    let windows = Windows::new("build");
    for arguments in [&["build", "--release"][..], &["build"], &[]] {
        let _fresh = fs::remove_dir_all(windows.path(OUTPUT));
        let ended = windows.make(arguments);
        ended.expect_success();
        let builds = ended
            .calls
            .iter()
            .filter(|call| call.starts_with("cargo build"))
            .count();
        assert_eq!(builds, 1, "{:#?}", ended.calls);
        for file in ["fsglass.sys", "fsglass.pdb"] {
            assert!(
                windows.path(OUTPUT).join(file).is_file(),
                "{file}:\n{}",
                ended.output
            );
        }
    }
}

/// Neither what cargo does not make nor what is there from an earlier run is taken for the driver.
#[test]
fn build_fails_without_what_cargo_should_make() {
    let mut windows = Windows::new("build-nothing");
    windows.make_idle("cargo build");
    windows
        .make(&["build", "--release"])
        .expect_failure("fsglass.dll");
    for file in ["fsglass.dll", "fsglass.pdb", "fsglass.sys"] {
        touch(&windows.path(OUTPUT).join(file));
    }
    windows
        .make(&["build", "--release"])
        .expect_failure("fsglass.dll");

    let mut windows = Windows::new("build-half");
    windows.omit("fsglass.pdb");
    windows
        .make(&["build", "--release"])
        .expect_failure("fsglass.pdb");
}

/// Cargo's arguments are wdk-build's to check, and what it does not know is refused.
#[test]
fn an_argument_that_nobody_knows_is_refused() {
    let windows = Windows::new("arguments");
    windows
        .make(&["build", "--debug"])
        .expect_failure("--debug");
}

#[test]
fn package_makes_the_whole_folder() {
    let windows = Windows::new("package");
    let ended = windows.make(&["package", "--release"]);
    ended.expect_success();
    assert_eq!(packaged(&windows), FILES);
    let output = windows.path(OUTPUT);
    let output = output.canonicalize().unwrap();
    let output = output.display();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        ended.calls_of("stampinf"),
        [format!(
            "stampinf -f {output}/fsglass.inf -d * -a amd64 -c fsglass.cat -v {version}.0"
        )]
    );
    assert_eq!(
        ended.calls_of("inf2cat"),
        [format!(
            "inf2cat /driver:{output}/fsglass_package /os:10_x64 /uselocaltime"
        )]
    );
    assert_eq!(
        ended.calls_of("infverif"),
        [format!("infverif /v /w {output}/fsglass.inf")]
    );
    let signed: Vec<_> = ended
        .calls_of("signtool")
        .iter()
        .filter_map(|call| call.split(' ').next_back())
        .map(str::to_owned)
        .collect();
    let expected = [
        format!("{output}/fsglass_package/fsglass.sys"),
        format!("{output}/fsglass_package/fsglass.cat"),
        "target/package/fsglass.exe".to_owned(),
    ];
    assert_eq!(signed, expected);
}

/// Each program in turn does nothing and says that all is well: over what an earlier run has
/// made, the task fails, and says what is wrong with which file.
#[test]
fn package_fails_when_one_program_does_nothing() {
    let mut windows = Windows::new("package-idle");
    windows.make(&["package", "--release"]).expect_success();
    for (idle, file) in [
        ("cargo build --target", "fsglass.dll"),
        ("cargo build --quiet --target-dir", "fsglass.exe"),
        ("stampinf", "$ARCH$"),
        ("inf2cat", "fsglass.cat"),
        ("fsglass_package/fsglass.sys", "fsglass.sys: not signed"),
        ("fsglass_package/fsglass.cat", "fsglass.cat: not signed"),
        ("target/package/fsglass.exe", "fsglass.exe: not signed"),
    ] {
        windows.make_idle(idle);
        windows.make(&["package", "--release"]).expect_failure(file);
    }
    // Nor does the folder of wdk-build's makefile keep anything.
    windows.make_idle("");
    windows.omit("fsglass_package/fsglass.pdb");
    windows
        .make(&["package", "--release"])
        .expect_failure("fsglass.pdb");
    // The certificate is in its store from the first run on.
    let mut windows = Windows::new("package-certificate");
    windows.make_idle("makecert");
    windows
        .make(&["package", "--release"])
        .expect_failure("WDRLocalTestCert");
}

#[test]
fn package_fails_without_its_source() {
    let windows = Windows::new("package-source");
    fs::remove_file(windows.path("inf/fsglass.inx")).unwrap();
    windows
        .make(&["package", "--release"])
        .expect_failure("fsglass.inx");
}

/// A name in `${}` that has no value goes to the program as it stands.
#[test]
fn an_argument_without_its_value_is_refused() {
    let windows = Windows::new("package-argument");
    windows.write_makefile(&changed(
        "${CARGO_MAKE_CRATE_VERSION}",
        "${WDK_BUILD_STAMPINF_ARCH}",
    ));
    windows
        .make(&["package", "--release"])
        .expect_failure("${WDK_BUILD_STAMPINF_ARCH}");
}

/// A task of wdk-build that is defined again without `clear` is merged, its condition fails, and
/// it is skipped: `package` sees that what it makes is not there.
#[test]
fn a_half_overridden_task_is_noticed() {
    let windows = Windows::new("package-half");
    let half = "[tasks.copy-pdb-to-package]\ndependencies = [\"build\"]\n\n[tasks.demo]\n";
    windows.write_makefile(&changed("[tasks.demo]\n", half));
    windows
        .make(&["package", "--release"])
        .expect_failure("wdk-build");
}

#[test]
fn test_runs_the_crates_and_the_scenarios_and_says_what_it_leaves_out() {
    let windows = Windows::new("test");
    let ended = windows.make(&["test", "--release"]);
    ended.expect_success();
    let expected = [
        "cargo test --config profile.release.lto='off' --config profile.release.codegen-units=16 \
         --release",
        "cargo test --config profile.release.lto='off' --config profile.release.codegen-units=16 \
         --package fsglass-tests --no-fail-fast --release",
    ];
    let tests: Vec<_> = ended
        .calls_of("cargo")
        .into_iter()
        .filter(|call| call.starts_with("cargo test"))
        .collect();
    assert_eq!(tests, expected);
    let skipped = ended
        .output
        .lines()
        .filter(|line| line.starts_with("skipped: "))
        .count();
    assert_eq!(skipped, 3, "{}", ended.output);
    for profile in ["debug", "release"] {
        for driver in ["fsglass", "bad_drivers", "completion_patterns"] {
            let path = windows
                .path("target/x86_64-pc-windows-msvc")
                .join(profile)
                .join(driver);
            assert!(path.with_extension("sys").is_file(), "{driver}, {profile}");
        }
    }
    assert!(windows.path("target/release/fsglass.exe").is_file());
}

#[test]
fn test_fails_without_a_driver() {
    let mut windows = Windows::new("test-nothing");
    windows.omit("debug/bad_drivers");
    windows
        .make(&["test", "--release"])
        .expect_failure("bad_drivers.dll");
}

#[test]
fn demo_and_bench_run_on_the_release_build() {
    let windows = Windows::new("demo");
    let demo = windows.make(&["demo", "--release"]);
    demo.expect_success();
    let ran = |call: &&String| call.starts_with("cargo run --quiet --profile host --package ntbox");
    assert_eq!(
        demo.calls.iter().find(ran).map(String::as_str),
        Some(
            "cargo run --quiet --profile host --package ntbox -- demo \
             --driver target/x86_64-pc-windows-msvc/release/fsglass.sys --fallback ."
        )
    );
    let bench = windows.make(&["bench", "--release"]);
    bench.expect_success();
    let call = bench.calls.iter().find(ran).map_or("", String::as_str);
    assert_eq!(call.matches("fsglass.sys").count(), 2, "{call}");
    assert_eq!(call.matches("bad_drivers.sys").count(), 2, "{call}");
}

#[test]
fn demo_and_bench_fail_without_a_driver() {
    let mut windows = Windows::new("demo-nothing");
    windows.omit("release/");
    windows
        .make(&["demo", "--release"])
        .expect_failure("fsglass.dll");
    windows.omit("bad_drivers");
    windows
        .make(&["bench", "--release"])
        .expect_failure("bad_drivers.dll");
}

#[test]
fn lint_goes_over_the_drivers_too() {
    let windows = Windows::new("lint");
    let ended = windows.make(&["lint"]);
    ended.expect_success();
    let clippy = ended
        .calls
        .iter()
        .filter(|call| call.starts_with("cargo clippy"));
    let drivers = clippy.filter(|call| call.contains("--target x86_64-pc-windows-msvc"));
    assert_eq!(drivers.count(), 1, "{:#?}", ended.calls);
}

/// What is Linux's alone says so, and does not end well.
#[test]
fn what_needs_linux_says_so() {
    let windows = Windows::new("linux");
    for task in ["wine", "mutants"] {
        windows.make(&[task]).expect_failure("on Linux");
    }
}
