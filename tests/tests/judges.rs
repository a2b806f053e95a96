//! Test suites and programs that nobody here wrote, on the bare volume and under fsglass in four ways: what the bare
//! volume does not do is a list with reasons, and under drivers every verdict is that of the bare volume.
//!
//! `./dev judges` runs them, each with all it can do; with `FSGLASS_JUDGES=bounded`, as in `./dev test`, they do a part
//! of it, in two minutes. Without the variable they are left out: the judges are not built then.
#![cfg(target_os = "linux")]

use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::judges::{self, Judge, KNOWN, Length, Place, Verdicts};
use fsglass_tests::mounted::{Mounted, is_left_out};
use std::collections::BTreeMap;
use std::fs;

/// The ways in which fsglass is above the volume, as options; `GLASS` is its file.
const WAYS: [(&str, &[&str]); 5] = [
    ("bare", &["--bare"]),
    ("fsglass", &["--driver", "GLASS"]),
    ("fsglass twice", &["--driver", "GLASS", "--driver", "GLASS"]),
    (
        "AllowUnload",
        &["--driver", "GLASS", "--setting", "AllowUnload=1"],
    ),
    (
        "force-pending",
        &["--driver", "GLASS", "--verify", "standard,force-pending"],
    ),
];

/// How much they are to do; none if they are left out.
fn length() -> Option<Length> {
    match std::env::var("FSGLASS_JUDGES").as_deref() {
        Ok("long") => Some(Length::Long),
        Ok("bounded") => Some(Length::Bounded),
        Ok(other) => panic!("FSGLASS_JUDGES is {other}: neither long nor bounded"),
        Err(_) => None,
    }
}

/// The verdicts in one way; the run under drivers reports no mistake.
fn judged(judge: &Judge, length: Length, options: &[&str]) -> Verdicts {
    let driver = drivers::fsglass(Profile::Release).display().to_string();
    let options: Vec<&str> = options
        .iter()
        .map(|option| if *option == "GLASS" { &driver } else { *option })
        .collect();
    let mounted = Mounted::start(&options);
    let directory = mounted.place().join("judged");
    fs::create_dir(&directory).unwrap();
    let verdicts = judge.judge(&Place {
        directory: &directory,
        length,
    });
    mounted.unmount().expect_code(0);
    verdicts
}

/// What has failed, without why.
fn failed(verdicts: &Verdicts) -> Vec<&str> {
    let bad = verdicts
        .iter()
        .filter(|(_, how)| !["ok", "skipped"].contains(&how.as_str()));
    bad.map(|(case, _)| case.as_str()).collect()
}

fn judge(name: &str) {
    if is_left_out() {
        return;
    }
    let Some(length) = length() else {
        println!("skipped: judges run in ./dev test without a filter, and by ./dev judges");
        return;
    };
    let judge = judges::named(name);
    let mut by_way = BTreeMap::new();
    for (way, options) in WAYS {
        by_way.insert(way, judged(judge, length, options));
    }
    let bare = &by_way["bare"];
    let known: Vec<&str> = KNOWN
        .iter()
        .filter(|(of, case, _)| *of == name && bare.contains_key(*case))
        .map(|(_, case, _)| *case)
        .collect();
    assert_eq!(failed(bare), known, "{bare:#?}");
    for (way, verdicts) in &by_way {
        let cases = |verdicts: &Verdicts| verdicts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(cases(verdicts), cases(bare), "{way}");
        assert_eq!(failed(verdicts), failed(bare), "{way}: {verdicts:#?}");
    }
}

#[test]
fn pjdfstest_finds_posix() {
    judge("pjdfstest");
}

#[test]
fn fsx_finds_what_it_wrote() {
    judge("fsx");
}

#[test]
fn fio_finds_its_checksums() {
    judge("fio");
}

#[test]
fn sqlite_keeps_whole_transactions() {
    judge("sqlite3");
}

#[test]
fn git_clones_packs_and_checks() {
    judge("git");
}

#[test]
fn tar_packs_and_unpacks() {
    judge("tar");
}

#[test]
fn rsync_copies_all_of_a_file() {
    judge("rsync");
}

#[test]
fn stressors_find_what_they_expect() {
    judge("stress-ng");
}

#[test]
fn cargo_builds() {
    judge("cargo");
}

/// The list has no entry twice, and each says why.
#[test]
fn known_failures_have_reasons() {
    for (place, (judge, case, reason)) in KNOWN.iter().enumerate() {
        assert_eq!(judges::named(judge).name, *judge);
        assert!(reason.len() > 20, "{judge} {case}");
        let again = KNOWN
            .iter()
            .skip(place + 1)
            .any(|(of, other, _)| (of, other) == (judge, case));
        assert!(!again, "{judge} {case}");
    }
}
