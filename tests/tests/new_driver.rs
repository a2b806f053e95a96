//! A driver of one's own: what `wdk-kit new` makes is built and run by its own test, as its author would,
//! and a mistake that no type forbids is reported by it.

#![cfg(unix)]

use fsglass_tests::command::program;
use fsglass_tests::drivers::{kit, repository};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs the test of the driver in `folder`: whether it passed, and what it printed.
fn check(folder: &Path) -> (bool, String) {
    let output = Command::new("cargo")
        .args(["test", "--quiet", "--manifest-path"])
        .arg(folder.join("check/Cargo.toml"))
        .env("WDK_KIT", program("FSGLASS_WDK_KIT", "wdk-kit", "wdk-kit"))
        .env("NTBOX", program("FSGLASS_NTBOX", "ntbox", "ntbox"))
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("cargo");
    let printed = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&printed).into_owned(),
    )
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("a source file");
    assert!(text.contains(from), "{from:?} is not in {}", file.display());
    fs::write(file, text.replace(from, to)).expect("a source file");
}

#[test]
fn a_new_driver_runs_and_its_mistakes_are_reported() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let folder = directory.path().join("my-filter");
    let made = kit()
        .args(["new", "my-filter", "--path"])
        .arg(&folder)
        .output()
        .expect("the kit");
    let printed = String::from_utf8_lossy(&made.stdout);
    assert!(
        made.status.success() && printed.contains("my_filter.inx"),
        "{made:?}"
    );

    // The versions of the repository, so that none is looked for.
    fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock file");
    let (passed, printed) = check(&folder);
    assert!(passed, "{printed}");
    let driver = "target/x86_64-pc-windows-msvc/release/my_filter.sys";
    assert!(folder.join(driver).is_file(), "{printed}");

    // Safe Rust, and wrong: nobody frees what was allocated for a failed request.
    let leak = "core::mem::forget(wdm::pool::NonPagedBox::try_new(1_u64));\n            self.0.fetch_add(1,";
    replace(
        &folder.join("src/pass_through.rs"),
        "self.0.fetch_add(1,",
        leak,
    );
    let (passed, printed) = check(&folder);
    assert!(!passed, "{printed}");
    for part in ["violation of LeakAtUnload", "src/pass_through.rs:"] {
        assert!(printed.contains(part), "{part:?} is not in:\n{printed}");
    }
}
