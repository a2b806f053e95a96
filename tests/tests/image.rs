//! The image itself, before any of it runs.
//!
//! `fsglass.sys` passes every check of the audit, in both profiles; a copy of
//! it that is wrong in one place fails the check for that place and no other.

use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::event_log::MESSAGES;
use fsglass_tests::image_audit::{
    Doctored, Expected, Finding, ImportList, audit, checks, message_table,
};
use object::pe::IMAGE_FILE_MACHINE_AMD64;
use std::path::Path;
use wdk_kit::introduced::KNOWN;

/// The oldest Windows that the driver promises to run on; docs/building.md and the INF say the same.
const OLDEST_WINDOWS: &str = "Windows 10 version 2004";

fn import_list() -> ImportList {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("imports.txt");
    let text = std::fs::read_to_string(&path).expect("tests/imports.txt is part of the repository");
    text.parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Calls `body` with what an image of that profile is held against.
fn expecting<R>(profile: Profile, body: impl FnOnce(&Expected<'_>) -> R) -> R {
    let pdb = drivers::fsglass(profile).with_extension("pdb");
    let pdb = std::fs::read(&pdb)
        .unwrap_or_else(|error| panic!("{}: {error}; `./dev build` puts it there", pdb.display()));
    body(&Expected {
        machine: IMAGE_FILE_MACHINE_AMD64,
        imports: &import_list(),
        // One version for the whole workspace.
        version: env!("CARGO_PKG_VERSION"),
        pdb: &pdb,
    })
}

/// Everything wrong with `image`, if it stood in the place of `fsglass.sys` of that profile.
fn findings(image: &[u8], profile: Profile) -> Vec<Finding> {
    expecting(profile, |expected| audit(image, expected))
}

fn image(profile: Profile) -> Vec<u8> {
    let path = drivers::fsglass(profile);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A10: the texts of the event log are in the image, where the event viewer looks for them.
#[test]
fn each_message_has_its_text_in_the_image() {
    for profile in Profile::ALL {
        let found = expecting(profile, |expected| message_table(&image(profile), expected));
        let sources = MESSAGES
            .iter()
            .map(|(code, text)| (*code, (*text).to_owned()));
        assert_eq!(found, Ok(sources.collect()));
    }
}

/// P1: nothing pageable but INIT; and what the loader, HVCI and the linker's defaults ask for.
#[test]
fn the_image_passes_the_audit() {
    for profile in Profile::ALL {
        let findings = findings(&image(profile), profile);
        let told: Vec<String> = findings
            .iter()
            .map(|Finding { rule, found }| format!("not true: {rule}: {found}"))
            .collect();
        assert!(
            told.is_empty(),
            "{}\n{}\nA new import goes into tests/imports.txt after a look at its page in the DDI reference; \
             link settings are in build.rs.",
            drivers::fsglass(profile).display(),
            told.join("\n")
        );
    }
}

/// P3: there is no panic in the shipped image, reachable or not. A panic ends in KeBugCheckEx, and
/// the image does not import it; the debug build does, for its overflow checks.
#[test]
fn the_shipped_image_cannot_panic() {
    let imports_bug_check = |profile| {
        let image = image(profile);
        let name = b"KeBugCheckEx\0";
        image.windows(name.len()).any(|bytes| bytes == name)
    };
    assert!(!imports_bug_check(Profile::Release), "something can panic");
    assert!(imports_bug_check(Profile::Debug));
}

/// The list of imports is what the audit rests on; its newest entry is the oldest Windows that
/// loads the driver.
#[test]
fn the_list_of_imports_keeps_the_promise_about_old_windows() {
    let list = import_list();
    let oldest = list.oldest_windows().expect("the list is not empty");
    let newest = list
        .entries()
        .iter()
        .filter(|entry| entry.introduced == oldest);
    assert!(
        oldest <= OLDEST_WINDOWS.parse().expect("a version"),
        "the driver promises {OLDEST_WINDOWS}, but needs {oldest} for {:?}",
        newest.map(|entry| &*entry.name).collect::<Vec<_>>()
    );
}

/// What is wrong with a copy, and the rule that it breaks.
type Doctor = (&'static str, &'static str, fn(&mut Doctored));

const MACHINE: &str = "it is for the processor that it was built for";
/// What the reviewed list says of routines since Windows 7, the kit knows too: it holds INFs to it.
#[test]
fn the_kit_knows_which_windows_has_the_imports() {
    for routine in import_list().entries() {
        let since_windows_7 = routine.introduced.numbers() >= (6, 1, 0);
        let known = KNOWN.find(&routine.name);
        assert!(
            known.is_some() || !since_windows_7,
            "{routine:?} is unknown"
        );
        assert!(
            known.is_none_or(|known| known == routine),
            "{known:?}, {routine:?}"
        );
    }
}

const IMPORTED_NAMES: &str = "it imports only reviewed names (tests/imports.txt)";
const MITIGATIONS: &str = "no-execute, random addresses, also above 4 GB, signature enforced";
const PAGEABLE: &str = "nothing is pageable or discardable but INIT and what only the loader reads";
const DIRECTORIES: &str =
    "it has no thread-local storage, delayed or bound imports, or managed code";
const EXPORTS: &str = "it exports nothing but its entry point and what wdk-sys has for linkers";
const PROGRAM_DATABASE: &str = "it names the PDB beside it, without a path";
const RELOCATABLE: &str = "it is a WDM driver image that can be relocated";
const WRITE_OR_EXECUTE: &str = "no section is both writable and executable";

const DOCTORS: &[Doctor] = &[
    ("for 32 bits", "it is a PE32+ image", |it| {
        it.optional_header(0, &0x10B_u16.to_le_bytes())
    }),
    ("for ARM64", MACHINE, |it| {
        it.file_header(0, &0xAA64_u16.to_le_bytes())
    }),
    ("a console program", "its subsystem is native", |it| {
        it.optional_header(68, &3_u16.to_le_bytes())
    }),
    ("no relocations", RELOCATABLE, |it| it.directory(5, 0, 0)),
    ("relocations stripped", RELOCATABLE, |it| {
        it.file_header(18, &0x23_u16.to_le_bytes())
    }),
    ("executable data", MITIGATIONS, |it| {
        it.clear_dll_characteristics(0x0100)
    }),
    ("fixed address", MITIGATIONS, |it| {
        it.clear_dll_characteristics(0x0040)
    }),
    ("below 4 GB", MITIGATIONS, |it| {
        it.clear_dll_characteristics(0x0020)
    }),
    ("signature not enforced", MITIGATIONS, |it| {
        it.clear_dll_characteristics(0x0080)
    }),
    (
        "imports from a program's library",
        "it imports from ntoskrnl.exe and hal.dll only",
        |it| {
            it.replace(b"ntoskrnl.exe\0", b"kernel32.dll\0");
        },
    ),
    ("an unknown import", IMPORTED_NAMES, |it| {
        it.replace(b"KeWaitForSingleObject\0", b"KeWaitForSinglyObject\0");
    }),
    ("an import by number", IMPORTED_NAMES, |it| {
        // The descriptor's first word points to the lookup table; the top bit means a number.
        let descriptor = it.file_offset(".rdata", it.directory_address(1));
        let table = it.word(descriptor);
        it.put(
            it.file_offset(".rdata", table),
            &(1 << 63 | 7_u64).to_le_bytes(),
        );
    }),
    ("writable code", WRITE_OR_EXECUTE, |it| {
        it.set_section_characteristics(".text", 0x8000_0000)
    }),
    ("executable data section", WRITE_OR_EXECUTE, |it| {
        it.set_section_characteristics(".data", 0x2000_0000)
    }),
    (
        "sections that share pages",
        "sections are aligned to pages",
        |it| {
            it.optional_header(32, &0x200_u32.to_le_bytes());
        },
    ),
    ("pageable code", PAGEABLE, |it| {
        it.rename_section(".text", "PAGEtext")
    }),
    ("discardable constants", PAGEABLE, |it| {
        it.set_section_characteristics(".rdata", 0x0200_0000)
    }),
    (
        "an entry point that stays",
        "its entry point is code in INIT",
        |it| {
            let (text, _) = it.section_start(".text");
            it.optional_header(16, &text.to_le_bytes());
        },
    ),
    ("an export without a name", EXPORTS, |it| export(it, None)),
    ("an export that no linker asks for", EXPORTS, |it| {
        export(it, Some(b"__CxxFrameHandler5\0"))
    }),
    ("thread-local storage", DIRECTORIES, |it| {
        it.directory(9, 0x1000, 40)
    }),
    ("bound imports", DIRECTORIES, |it| {
        it.directory(11, 0x1000, 40)
    }),
    ("delayed imports", DIRECTORIES, |it| {
        it.directory(13, 0x1000, 40)
    }),
    ("managed code", DIRECTORIES, |it| {
        it.directory(14, 0x1000, 40)
    }),
    (
        "another version",
        "its version resource names the package's version",
        |it| {
            let fixed = it.find(&0xFEEF_04BD_u32.to_le_bytes());
            it.put(fixed + 8, &0x0063_0063_u32.to_le_bytes());
        },
    ),
    ("a PDB of another build", PROGRAM_DATABASE, |it| {
        let entry = it.find(b"RSDS");
        it.put(entry + 4, b"another identity");
    }),
    ("a PDB by its path", PROGRAM_DATABASE, |it| {
        it.replace(b"fsglass.pdb\0", b"f/g/ass.pdb\0")
    }),
];

/// Puts an export directory over the code, with one function behind it.
fn export(it: &mut Doctored, name: Option<&[u8]>) {
    const SIZE: u32 = 96;
    let (text, raw) = it.section_start(".text");
    let mut directory = [0_u32; 14];
    // Functions and their addresses, which lie behind these words; names and theirs.
    (directory[5], directory[7]) = (1, text + 40);
    directory[10] = text + SIZE;
    if let Some(name) = name {
        (directory[6], directory[8], directory[9]) = (1, text + 44, text + 48);
        (directory[11], directory[12]) = (text + 56, 0);
        it.put(raw + 56, name);
    }
    it.put(raw, &directory.map(u32::to_le_bytes).concat());
    it.directory(0, text, SIZE);
}

/// rustc exports them on Windows.
#[test]
fn what_wdk_sys_has_for_linkers_may_be_exported() {
    let good = image(Profile::Release);
    for name in [
        "__CxxFrameHandler3",
        "__CxxFrameHandler4",
        "__GSHandlerCheck_EH4",
        "_fltused",
    ] {
        let mut copy = Doctored::new(&good);
        export(&mut copy, Some(format!("{name}\0").as_bytes()));
        let found = findings(&copy.finish(), Profile::Release);
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}

/// The audit itself: every doctored copy is refused for what is wrong with it, and for nothing else.
#[test]
#[cfg_attr(
    windows,
    ignore = "one that has exports breaks a check more: Linux's are doctored"
)]
fn each_doctored_image_is_refused_by_its_own_check() {
    for profile in Profile::ALL {
        let good = image(profile);
        for (what, rule, doctor) in DOCTORS {
            let mut copy = Doctored::new(&good);
            doctor(&mut copy);
            let found: Vec<&str> = findings(&copy.finish(), profile)
                .iter()
                .map(|finding| finding.rule)
                .collect();
            assert_eq!(found, [*rule], "an image with {what} ({profile:?})");
        }
        let found = findings(&Doctored::new(&good).finish_with_wrong_checksum(), profile);
        assert_eq!(
            found.iter().map(|finding| finding.rule).collect::<Vec<_>>(),
            ["its checksum is right"]
        );
    }
}

/// The audit itself: there is no check that nothing was tried on.
#[test]
fn each_check_has_a_doctored_image() {
    for check in checks() {
        let tried = DOCTORS.iter().any(|(_, rule, _)| *rule == check.rule)
            || check.rule == "its checksum is right";
        assert!(
            tried,
            "no doctored image breaks the rule {:?}; add one to DOCTORS",
            check.rule
        );
    }
}

/// The audit itself: what is no image at all, or is cut off, is refused and not read beyond its end.
#[test]
fn what_is_no_image_is_refused() {
    let good = image(Profile::Release);
    for length in [
        0,
        2,
        0x3C,
        0x40,
        0x200,
        0x400,
        good.len() / 2,
        good.len() - 1,
    ] {
        assert!(
            !findings(good.get(..length).unwrap_or(&good), Profile::Release).is_empty(),
            "{length} bytes"
        );
    }
}
