//! Machines that lack something, and the registry of a Windows where all is well.

use super::*;
use crate::commands::tests::ran;
use crate::system::pretended::Pretended;
use crate::system::{DriveLetter, Filter};

/// A machine on which all is as it should be, before Windows 11.
fn sound() -> Facts {
    Facts {
        administrator: true,
        build: Some(19_045),
        code_integrity: Some(0x3),
        secure_boot: Some(false),
        installed: true,
        running: true,
        allow_unload: Some(1),
        ..Facts::default()
    }
}

/// The subjects that are not as they should be, with their grades.
fn troubles(facts: &Facts) -> Vec<(&'static str, Grade)> {
    let findings = judge(facts).into_iter();
    let bad = findings.filter(|finding| finding.grade != Grade::Good);
    bad.map(|finding| (finding.subject, finding.grade))
        .collect()
}

#[test]
fn a_sound_machine_has_no_trouble() {
    assert_eq!(troubles(&sound()), []);
}

#[test]
fn each_trouble_is_found_alone() {
    type Case = (fn(&mut Facts), &'static str, Grade);
    let cases: [Case; 14] = [
        (|facts| facts.administrator = false, "rights", Grade::Note),
        (
            |facts| facts.wine = Some("8.0".to_owned()),
            "system",
            Grade::Note,
        ),
        (
            |facts| facts.build = Some(19_040),
            "system",
            Grade::Obstacle,
        ),
        (|facts| facts.build = None, "system", Grade::Note),
        (|facts| facts.build = Some(22_000), "BypassIO", Grade::Note),
        (
            |facts| facts.code_integrity = Some(0x1),
            "test signing",
            Grade::Obstacle,
        ),
        (
            |facts| facts.code_integrity = None,
            "test signing",
            Grade::Note,
        ),
        (
            |facts| facts.code_integrity = Some(0x403),
            "memory integrity",
            Grade::Note,
        ),
        (
            |facts| facts.memory_integrity_configured = true,
            "memory integrity",
            Grade::Note,
        ),
        (
            |facts| facts.secure_boot = Some(true),
            "Secure Boot",
            Grade::Obstacle,
        ),
        (
            |facts| facts.block_legacy_filters = Some(1),
            "legacy filters",
            Grade::Obstacle,
        ),
        (
            |facts| facts.direct_access = vec!["D:".to_owned()],
            "DAX volumes",
            Grade::Note,
        ),
        (
            |facts| facts.legacy_filters = vec!["old".to_owned()],
            "other filters",
            Grade::Note,
        ),
        (
            |facts| facts.allow_unload = None,
            "AllowUnload",
            Grade::Note,
        ),
    ];
    for (change, subject, grade) in cases {
        let mut facts = sound();
        change(&mut facts);
        assert_eq!(troubles(&facts), [(subject, grade)], "{facts:?}");
    }
    let facts = Facts {
        running: false,
        ..sound()
    };
    assert_eq!(troubles(&facts), [("driver", Grade::Note)]);
}

#[test]
fn wine_needs_no_test_signing() {
    let facts = Facts {
        wine: Some("8.0".to_owned()),
        code_integrity: Some(1),
        ..sound()
    };
    assert_eq!(troubles(&facts), [("system", Grade::Note)]);
}

#[test]
fn what_is_wrong_says_what_to_do() {
    let facts = Facts {
        code_integrity: Some(1),
        secure_boot: Some(true),
        block_legacy_filters: Some(1),
        build: Some(1),
        ..Facts::default()
    };
    for finding in judge(&facts) {
        if finding.grade == Grade::Obstacle {
            assert!(finding.remedy.is_some(), "{finding:?}");
        }
    }
}

#[test]
fn the_facts_are_those_of_the_registry() {
    let key = |name: &str| format!(r"{SERVICES}\{name}");
    let mut system = Pretended::default()
        .text(
            r"SOFTWARE\Microsoft\Windows NT\CurrentVersion",
            "CurrentBuildNumber",
            "22631",
        )
        .number(
            r"SYSTEM\CurrentControlSet\Control\SecureBoot\State",
            "UEFISecureBootEnabled",
            1,
        )
        .number(
            r"SYSTEM\CurrentControlSet\Control\Session Manager\I/O System",
            "IoBlockLegacyFsFilters",
            1,
        )
        .text(&key("mini"), "Group", "FSFilter Anti-Virus")
        .number(&key(r"mini\Instances"), "x", 1)
        .text(&key("newer"), "Group", "FSFilter Anti-Virus")
        .number(&key(r"newer\Parameters\Instances"), "x", 1)
        .text(&key("old"), "Group", "FSFilter Activity Monitor")
        .text(&key("fsglass"), "Group", "FSFilter Activity Monitor")
        .text(&key("disk"), "Group", "SCSI Class");
    let letter = |letter: &str| DriveLetter {
        letter: letter.to_owned(),
        device: String::new(),
    };
    system.letters = vec![(letter("C:"), false), (letter("D:"), true)];
    let facts = look(&system, "fsglass");
    assert_eq!(facts.build, Some(22_631));
    assert_eq!(facts.secure_boot, Some(true));
    assert_eq!(facts.block_legacy_filters, Some(1));
    assert_eq!(facts.legacy_filters, ["old"]);
    assert_eq!(facts.direct_access, ["D:"]);
    assert_eq!(ran(&system, &["doctor"]).0, Ok(Exit::Found));
    let (_, text) = ran(&system, &["doctor", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["facts"]["secure_boot"], true);
}

/// The file-system filters of a Windows 11 on which nobody has installed anything, with the groups of their
/// altitudes. Written from the documentation ("Allocated filter altitudes", "Load order groups and altitudes
/// for minifilter drivers"), not read from a machine.
const WINDOWS_11: &[(&str, &str)] = &[
    ("applockerfltr", "FSFilter Content Screener"),
    ("bindflt", "FSFilter Top"),
    ("CldFlt", "FSFilter HSM"),
    ("FileCrypt", "FSFilter Encryption"),
    ("FileInfo", "FSFilter Bottom"),
    ("FltMgr", "FSFilter Infrastructure"),
    ("luafv", "FSFilter Virtualization"),
    ("MsSecFlt", "FSFilter Activity Monitor"),
    ("npsvctrig", "FSFilter Bottom"),
    ("storqosflt", "FSFilter Quota Management"),
    ("UCPD", "FSFilter Activity Monitor"),
    ("wcifs", "FSFilter HSM"),
    ("WdFilter", "FSFilter Anti-Virus"),
    ("Wof", "FSFilter Bottom"),
];

/// File systems and drivers of volumes, which are in other groups.
const NO_FILTERS: &[(&str, &str)] = &[
    ("disk", "SCSI Class"),
    ("fastfat", "Boot File System"),
    ("Fs_Rec", "Boot File System"),
    ("mrxsmb", "Network"),
    ("Ntfs", "Boot File System"),
    ("rdyboost", "PnP Filter"),
];

/// The registry of that Windows. Filters have their instances where they always had them, or where isolated
/// packages have them.
fn clean() -> Pretended {
    let mut system = Pretended::default();
    for (place, (name, group)) in WINDOWS_11.iter().chain(NO_FILTERS).enumerate() {
        let key = format!(r"{SERVICES}\{name}");
        system = system.text(&key, "Group", group);
        let parameters = if place % 2 == 0 { r"\Parameters" } else { "" };
        if group.starts_with("FSFilter") && *name != "FltMgr" {
            let key = format!(r"{key}{parameters}\Instances");
            system = system.text(&key, "DefaultInstance", "one");
        }
    }
    system
}

#[test]
fn a_clean_windows_has_no_legacy_filter() {
    assert_eq!(legacy_filters(&clean(), "fsglass"), [""; 0]);
}

#[test]
fn legacy_filters_are_found_among_those_of_windows() {
    let key = |name: &str| format!(r"{SERVICES}\{name}");
    let mut system = clean()
        .text(&key("sfilter"), "Group", "FSFilter Activity Monitor")
        .text(&key("fsglass"), "Group", "FSFilter Activity Monitor")
        .text(&key("oldav"), "Group", "fsfilter anti-virus")
        .text(&key("odd"), "Group", "FSFilter Top")
        .number(&key(r"odd\Parameters"), "Level", 1);
    assert_eq!(
        legacy_filters(&system, "fsglass"),
        ["odd", "oldav", "sfilter"]
    );
    // What Windows itself says counts: one that is in no group, and one that is a minifilter after all.
    let filter = |name: &str, is_legacy| Filter {
        name: name.to_owned(),
        is_legacy,
    };
    system.filters = vec![
        filter("WdFilter", false),
        filter("fsglass", true),
        filter("hidden", true),
        filter("Odd", false),
        filter("oldav", true),
    ];
    let found = legacy_filters(&system, "fsglass");
    assert_eq!(found, ["hidden", "oldav", "sfilter"]);
}
