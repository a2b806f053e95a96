//! `fsglass.sys` for ARM64, which nothing here can run: what can be told from the image and its
//! symbols.

#![cfg(unix)]

use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::image_audit::{Expected, Finding, audit};
use fsglass_tests::layouts::{Driver, differences, expected};
use object::pe::{IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64, Machine};
use std::fs;
use std::path::Path;

/// Everything wrong with a driver, if it were for that processor.
fn findings(driver: &Path, machine: Machine) -> Vec<Finding> {
    let read =
        |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let imports = include_str!("../imports.txt");
    let expected = Expected {
        machine,
        imports: &imports.parse().unwrap_or_else(|error| panic!("{error}")),
        version: env!("CARGO_PKG_VERSION"),
        pdb: &read(&driver.with_extension("pdb")),
    };
    audit(&read(driver), &expected)
}

/// The image passes the audit that the one for x64 passes, and imports nothing that that may not.
#[test]
fn the_image_passes_the_audit() {
    let findings = findings(&drivers::fsglass_for_arm64(), IMAGE_FILE_MACHINE_ARM64);
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Each driver is for its own processor, and fails the audit for the other one.
#[test]
fn the_other_processor_is_refused() {
    for (driver, machine) in [
        (drivers::fsglass_for_arm64(), IMAGE_FILE_MACHINE_AMD64),
        (drivers::fsglass(Profile::Release), IMAGE_FILE_MACHINE_ARM64),
    ] {
        let [finding] = &findings(&driver, machine)[..] else {
            panic!("{}: exactly one thing is wrong", driver.display())
        };
        assert!(finding.rule.contains("processor"), "{finding:?}");
    }
}

/// The bindings are generated for ARM64 from headers that do not know it; every structure has the
/// layout of Microsoft's metadata, which is the same on both processors.
#[test]
fn the_driver_has_every_field_where_windows_has_it() {
    let expected = expected();
    let structures: Vec<&str> = expected.iter().map(|field| field.structure).collect();
    let pdb = drivers::fsglass_for_arm64().with_extension("pdb");
    let driver = Driver::read(&pdb, &structures).unwrap_or_else(|error| panic!("{error}"));
    let differences = differences(&driver, &expected);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
