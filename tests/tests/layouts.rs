//! The driver's structures: every field where Windows has it.
//!
//! What the shipped image was compiled with (its PDB) against ntbox's
//! independent definitions, in both profiles.

use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::layouts::{Driver, Field, differences, expected};

fn driver(profile: Profile) -> Driver {
    let expected = expected();
    let structures: Vec<&str> = expected.iter().map(|field| field.structure).collect();
    let pdb = drivers::fsglass(profile).with_extension("pdb");
    Driver::read(&pdb, &structures)
        .unwrap_or_else(|error| panic!("{error}; `./dev build` makes it"))
}

/// The generated bindings agree with the independent definitions, `IO_STACK_LOCATION.Parameters`
/// included; on this rest all rules, for a wrong offset breaks any of them.
#[test]
fn the_driver_has_every_field_where_windows_has_it() {
    for profile in Profile::ALL {
        let differences = differences(&driver(profile), &expected());
        assert!(
            differences.is_empty(),
            "{profile:?}:\n{}\nOne side is wrong: the headers that the bindings were generated from, \
             or crates/ntbox-kernel/src/nt. The DDI reference decides.",
            differences.join("\n")
        );
    }
}

/// The structures that are compared are those that a filter and the I/O manager exchange.
#[test]
fn all_structures_are_compared() {
    let expected = expected();
    for structure in [
        "IRP",
        "IO_STACK_LOCATION",
        "DEVICE_OBJECT",
        "DRIVER_OBJECT",
        "DRIVER_EXTENSION",
        "FILE_OBJECT",
        "VPB",
        "MDL",
        "KEVENT",
        "UNICODE_STRING",
        "IO_STATUS_BLOCK",
        "IO_SECURITY_CONTEXT",
        "FAST_IO_DISPATCH",
        "FS_FILTER_CALLBACK_DATA",
        "FS_FILTER_CALLBACKS",
    ] {
        let fields = expected
            .iter()
            .filter(|field| field.structure == structure)
            .count();
        assert!(fields > 1, "{structure} is not compared");
    }
}

/// The comparison itself: an expectation that is wrong in one place is found there, and nowhere else.
#[test]
fn a_wrong_expectation_is_found() {
    let driver = driver(Profile::Release);
    let good = expected();
    for (index, field) in good.iter().enumerate() {
        for wrong in [
            Field {
                offset: field.offset + 4,
                ..field.clone()
            },
            Field {
                size: field.size + 4,
                ..field.clone()
            },
            Field {
                path: "NoSuchField",
                ..field.clone()
            },
            Field {
                structure: "NO_SUCH_STRUCTURE",
                ..field.clone()
            },
        ] {
            let mut doctored = good.clone();
            doctored[index] = wrong.clone();
            let found = differences(&driver, &doctored);
            assert!(!found.is_empty(), "{wrong:?} was not found");
            let named =
                |found: &String| found.contains(wrong.structure) || found.contains(field.structure);
            assert!(found.iter().all(named), "{wrong:?}: {found:?}");
        }
    }
}

/// The comparison itself: a member of the driver's structure that nothing is compared with is told.
#[test]
fn a_forgotten_field_is_found() {
    let driver = driver(Profile::Release);
    let without: Vec<Field> = expected()
        .into_iter()
        .filter(|field| field.path != "PendingReturned")
        .collect();
    assert_eq!(
        differences(&driver, &without),
        ["IRP.PendingReturned: compared with nothing"]
    );
}
