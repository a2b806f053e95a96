//! The tests that Linux alone has, so that a run on Windows says which it leaves out, and why.
//!
//! Each is named for its file, which is compiled on Linux only.

#[test]
#[cfg_attr(
    windows,
    ignore = "wdk-kit brings the headers and the compilers for C on Linux"
)]
fn c_filters() {
    compiled_elsewhere("c_filters");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "the driver for ARM64 is the one that wdk-kit builds on Linux"
)]
fn arm64() {
    compiled_elsewhere("arm64");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "the layer is compiled from its package with what wdk-kit has in the place of a WDK"
)]
fn layer_package() {
    compiled_elsewhere("layer_package");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "there a violation leaves the temporary directories, and there are no signals"
)]
fn leftovers() {
    compiled_elsewhere("leftovers");
}

#[test]
#[cfg_attr(windows, ignore = "a volume is mounted by FUSE, which Linux has")]
fn judges() {
    compiled_elsewhere("judges");
}

#[test]
#[cfg_attr(windows, ignore = "a volume is mounted by FUSE, which Linux has")]
fn mounted() {
    compiled_elsewhere("mounted");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "a new driver is built by wdk-kit, in the place of a WDK"
)]
fn new_driver() {
    compiled_elsewhere("new_driver");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "wdk-kit takes the place of the kit on Linux, for other drivers too"
)]
fn outside() {
    compiled_elsewhere("outside");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "openssl and osslsigncode look at the package that Linux makes"
)]
fn package() {
    compiled_elsewhere("package");
}

#[test]
#[cfg_attr(windows, ignore = "on Windows the tasks themselves are run")]
fn windows_tasks() {
    compiled_elsewhere("windows_tasks");
}

/// No other file of tests is left out on Windows.
#[test]
fn every_file_that_is_left_out_is_named_here() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut left_out = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        if is_left_out(&text) {
            let name = entry.path().file_stem().unwrap_or_default().to_owned();
            left_out.push(name.to_string_lossy().into_owned());
        }
        let gated = text.lines().any(|line| line.starts_with("#![cfg("));
        assert_eq!(gated, is_left_out(&text), "{}", entry.path().display());
    }
    left_out.sort();
    let named = [
        "arm64",
        "c_filters",
        "judges",
        "layer_package",
        "leftovers",
        "mounted",
        "new_driver",
        "outside",
        "package",
        "windows_tasks",
    ];
    assert_eq!(left_out, named);
}

/// The lines that leave a whole file out on Windows.
const NOT_ON_WINDOWS: [&str; 2] = ["#![cfg(unix)]", "#![cfg(target_os = \"linux\")]"];

fn is_left_out(text: &str) -> bool {
    text.lines().any(|line| NOT_ON_WINDOWS.contains(&line))
}

/// The file is there, and says that it is not for Windows.
fn compiled_elsewhere(file: &str) {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = std::fs::read_to_string(directory.join(file).with_extension("rs")).unwrap();
    assert!(is_left_out(&text), "{file}");
}
