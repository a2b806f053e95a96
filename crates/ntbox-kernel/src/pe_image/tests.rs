//! Loading images that are right, and refusing those that are not.

#![expect(unsafe_code, reason = "code of a test image is called")]

use super::test_image::{DATA, INIT, PREFERRED_BASE, RDATA, SLOTS, TEXT, TestImage};
use super::*;
use crate::host::memory::{try_read, try_read_usize};

fn nothing(_: &str, _: &str) -> Option<usize> {
    None
}

fn load_image(image: &TestImage) -> Result<&'static Image, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    load(&image.write(&folder, "sample.sys"), &nothing)
}

fn problem(image: &TestImage) -> Problem {
    match load_image(image) {
        Ok(image) => panic!("{} was loaded", image.name()),
        Err(error) => error.problem,
    }
}

fn call(address: usize) -> u32 {
    // SAFETY: code of a test image without arguments.
    let routine: unsafe extern "win64" fn() -> u32 = unsafe { std::mem::transmute(address) };
    // SAFETY: as above.
    unsafe { routine() }
}

#[test]
fn code_is_mapped_and_called() {
    let image = load_image(&TestImage::default()).unwrap();
    image.protect(false);
    assert_eq!(image.entry(), image.base() + TEXT as usize);
    assert_eq!(call(image.entry()), 42);
    assert!(image.contains(image.base()) && !image.contains(image.base() + image.size()));
    assert!(std::ptr::eq(image_at(image.entry()).unwrap(), image));
    assert!(image_at(image.base() - 1).is_none_or(|other| !std::ptr::eq(other, image)));
}

#[test]
fn relocations_move_pointers() {
    let pointer = PREFERRED_BASE + u64::from(TEXT) + 2;
    let image = load_image(&TestImage {
        data: pointer.to_le_bytes().to_vec(),
        relocations: vec![(DATA, 10), (DATA, 0)],
        ..TestImage::default()
    })
    .unwrap();
    assert_eq!(
        try_read_usize(image.base() + DATA as usize),
        Some(image.base() + TEXT as usize + 2)
    );
}

#[test]
fn imports_are_bound_and_called_through() {
    extern "win64" fn seven() -> u32 {
        7
    }
    let folder = tempfile::tempdir().unwrap();
    let image = TestImage {
        // jmp [rip + n] through the second slot
        text: [
            vec![0xFF, 0x25],
            (SLOTS + 8 - TEXT - 6).to_le_bytes().to_vec(),
        ]
        .concat(),
        imports: vec![
            ("ntoskrnl.exe", vec!["Zero", "Seven"]),
            ("hal.dll", vec!["#5"]),
        ],
        ..TestImage::default()
    };
    let resolve = |dll: &str, name: &str| match (dll, name) {
        ("ntoskrnl.exe", "Seven") => Some(seven as *const () as usize),
        ("ntoskrnl.exe", "Zero") => Some(0x1000),
        ("hal.dll", "#5") => Some(0x2000),
        other => panic!("asked for {other:?}"),
    };
    let image = load(&image.write(&folder, "binds.sys"), &resolve).unwrap();
    image.protect(false);
    assert_eq!(call(image.entry()), 7);
    let slot = |index: usize| image.base() + SLOTS as usize + 8 * index;
    let seven = seven as *const () as usize;
    assert_eq!(try_read_usize(slot(1)), Some(seven));
    assert_eq!(try_read_usize(slot(2)), Some(0), "the first module ends");
    assert_eq!(try_read_usize(slot(3)), Some(0x2000));
    assert_eq!(imported_routine(seven), Some("Seven"));
    assert_eq!(image.import_bound_to(0x2000), Some("#5"));
    assert_eq!(image.import_bound_to(0), None);
}

#[test]
fn every_unresolved_import_is_named() {
    let image = TestImage {
        imports: vec![
            ("ntoskrnl.exe", vec!["IoFancy", "IoKnown"]),
            ("FLTMGR.SYS", vec!["FltRegisterFilter", "#3"]),
        ],
        ..TestImage::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let known = |_: &str, name: &str| (name == "IoKnown").then_some(1);
    let error = load(&image.write(&folder, "needy.sys"), &known)
        .err()
        .unwrap();
    let names = [
        "ntoskrnl.exe!IoFancy",
        "FLTMGR.SYS!FltRegisterFilter",
        "FLTMGR.SYS!#3",
    ];
    assert_eq!(
        error.problem,
        Problem::Unresolved(names.map(String::from).to_vec())
    );
    let text = error.to_string();
    assert!(
        text.contains("needy.sys: 3 imports that ntbox does not provide:\n  ntoskrnl.exe!IoFancy"),
        "{text}"
    );
}

#[test]
fn exports_are_found_by_name() {
    let exports = vec![("DllInitialize", TEXT + 1), ("Forwarded", RDATA + 0x410)];
    let image = load_image(&TestImage {
        exports,
        ..TestImage::default()
    })
    .unwrap();
    assert_eq!(
        image.export("DllInitialize"),
        Some(image.base() + TEXT as usize + 1)
    );
    assert_eq!(image.export("Forwarded"), None);
    assert_eq!(image.export("Missing"), None);
}

#[test]
fn sections_get_their_protection() {
    let image = load_image(&TestImage::default()).unwrap();
    image.protect(false);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let bits = |rva: u32| {
        let address = image.base() + rva as usize;
        maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let range =
                usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
            range.contains(&address).then(|| rest[..3].to_owned())
        })
    };
    if cfg!(target_os = "linux") {
        assert_eq!(bits(0).as_deref(), Some("r--"), "the header");
        assert_eq!(bits(TEXT).as_deref(), Some("r-x"));
        assert_eq!(bits(RDATA).as_deref(), Some("r--"));
        assert_eq!(bits(DATA).as_deref(), Some("rw-"));
        assert_eq!(bits(INIT).as_deref(), Some("r-x"));
    }
    assert!(image.is_code(image.entry()) && !image.is_code(image.base() + DATA as usize));
}

#[test]
fn init_is_discarded_and_the_rest_stays() {
    let image = load_image(&TestImage::default()).unwrap();
    image.protect(false);
    let init = image.base() + INIT as usize;
    assert!(try_read(init, &mut [0]) && !image.is_discarded(init));
    image.discard_init();
    assert!(!try_read(init, &mut [0]) && image.is_discarded(init));
    assert!(!image.is_discarded(image.entry()));
    assert_eq!(call(image.entry()), 42);
}

#[test]
fn an_unloaded_image_keeps_its_name_and_its_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let path = TestImage::default().write(&folder, "leaver.sys");
    let image = load(&path, &nothing).unwrap();
    image.protect(false);
    assert_eq!(describe_code(image.entry() + 1), "leaver+0x1001");
    image.unload();
    assert!(!image.is_loaded() && !try_read(image.base(), &mut [0]));
    assert_eq!(describe_code(image.entry() + 1), "unloaded leaver+0x1001");
    let second = load(&path, &nothing).unwrap();
    assert_eq!(second.name(), "leaver#2");
    assert_ne!(second.base(), image.base());
}

#[test]
fn code_of_the_box_is_told_as_such() {
    assert_eq!(
        describe_code(code_of_the_box_is_told_as_such as *const () as usize),
        "ntbox"
    );
    assert_eq!(describe_code(0), "nowhere");
}

#[test]
fn the_security_cookie_is_set() {
    let image = load_image(&TestImage {
        data: 0x2B99_2DDF_A232_u64.to_le_bytes().to_vec(),
        cookie: Some(DATA),
        ..TestImage::default()
    })
    .unwrap();
    let cookie = try_read_usize(image.base() + DATA as usize).unwrap();
    assert!(
        cookie != 0x2B99_2DDF_A232 && cookie != 0 && cookie >> 48 == 0,
        "{cookie:x}"
    );
}

#[test]
fn files_that_are_no_driver_are_refused() {
    let new = TestImage::default;
    assert_eq!(
        problem(&TestImage {
            machine: 0x014C,
            ..new()
        }),
        Problem::Machine(0x014C)
    );
    assert_eq!(
        problem(&TestImage {
            machine: 0xAA64,
            ..new()
        }),
        Problem::Machine(0xAA64)
    );
    assert_eq!(
        problem(&TestImage {
            subsystem: 3,
            ..new()
        }),
        Problem::Subsystem(3)
    );
    assert_eq!(
        problem(&TestImage {
            section_alignment: 0x20,
            ..new()
        }),
        Problem::SectionAlignment(0x20)
    );
    assert_eq!(
        problem(&TestImage { entry: 0, ..new() }),
        Problem::NoEntryPoint
    );
    assert_eq!(
        problem(&TestImage {
            entry: DATA,
            ..new()
        }),
        Problem::Truncated("the entry point")
    );
    assert_eq!(
        problem(&TestImage {
            characteristics: 0x23,
            ..new()
        }),
        Problem::NoRelocations
    );
    assert_eq!(
        problem(&TestImage {
            relocations: vec![(DATA, 3)],
            ..new()
        }),
        Problem::RelocationKind(3)
    );
    assert_eq!(
        problem(&TestImage {
            relocations: vec![(0x6000, 10)],
            ..new()
        }),
        Problem::Truncated("a relocation")
    );
}

#[test]
fn damaged_files_are_refused() {
    let whole = TestImage {
        imports: vec![("ntoskrnl.exe", vec!["A"])],
        ..TestImage::default()
    }
    .build();
    let refused = |bytes: &[u8]| map(Path::new("damaged.sys"), bytes, &|_, _| Some(1)).err();
    assert!(refused(&whole).is_none());
    assert!(matches!(refused(b"").unwrap(), Problem::NotAnImage(_)));
    assert!(matches!(
        refused(b"#!/bin/sh\n").unwrap(),
        Problem::NotAnImage(_)
    ));
    assert!(matches!(
        refused(&[b"MZ".as_slice(), &[0; 200]].concat()).unwrap(),
        Problem::NotAnImage(_)
    ));
    // Cut off anywhere before the last section's data, it is refused, never read beyond.
    for length in (0..whole.len() - 0x200).step_by(97) {
        assert!(
            refused(&whole[..length]).is_some(),
            "{length} bytes were loaded"
        );
    }
    // Bytes of the headers and tables set to the largest value: refused or loaded, no panic.
    for at in (0..0x400).chain(0x600..0x900) {
        let mut bytes = whole.clone();
        bytes[at] = 0xFF;
        let _ = refused(&bytes);
    }
    let missing = load(Path::new("/nowhere/at.all"), &nothing).err().unwrap();
    assert!(matches!(missing.problem, Problem::Unreadable(_)));
    assert!(
        missing
            .to_string()
            .starts_with("/nowhere/at.all: cannot be read"),
        "{missing}"
    );
}

#[test]
fn return_addresses_are_told_from_other_code() {
    // call [rip + n]; ret
    let text = [
        vec![0xFF, 0x15],
        (SLOTS - TEXT - 6).to_le_bytes().to_vec(),
        vec![0xC3],
    ]
    .concat();
    // In front of it something to decode that is no call.
    let text = [vec![0x90; 8], text].concat();
    let offset = (SLOTS - TEXT - 6 - 8).to_le_bytes();
    let text = [&text[..10], &offset, &text[14..]].concat();
    let image = TestImage {
        text,
        imports: vec![("ntoskrnl.exe", vec!["IofCallDriver"])],
        ..TestImage::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let image = load(&image.write(&folder, "caller.sys"), &|_, _| Some(1)).unwrap();
    image.protect(false);
    let behind = image.entry() + 8 + 6;
    assert!(is_return_address(behind));
    assert!(!is_return_address(image.entry() + 8));
    assert!(!is_return_address(behind + 0x10_0000));
}
