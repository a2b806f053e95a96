//! Who may know whom: the floors of the kernel model, and no large circles of files.

use fsglass_tests::drivers::repository;
use fsglass_tests::floors::{Crate, Module};
use std::fs;

/// The modules of `ntbox-kernel`, the lowest first. docs/architecture.md draws the same.
const FLOORS: [&str; 10] = [
    "nt",
    "host",
    "pe_image",
    "verifier",
    "pool",
    "processor",
    "etw",
    "io_manager",
    "user",
    "exports",
];

/// Files that may know each other in a circle without a word about it.
const SMALL: usize = 3;

/// Larger circles that there are: the crate, a file of the circle, its size, and why it is one. None may grow, and
/// one that has shrunk is to be made smaller here.
const LARGER: [Circle; 1] = [("wdm", "pool", 4, PARTS)];

/// Crate, a file of the circle, how many there are, and why.
type Circle = (&'static str, &'static str, usize, &'static str);

/// A module hands on what its parts have, and has what they share.
const PARTS: &str = "a module and its parts";

fn crates() -> Vec<(String, Crate)> {
    let root = repository();
    let mut sources = vec![("fsglass".to_owned(), root.join("src"))];
    let folders = fs::read_dir(root.join("crates")).expect("the crates");
    for folder in folders.map(|folder| folder.expect("a crate").path()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        sources.push((name.into_owned(), folder.join("src")));
    }
    sources.push(("tests".to_owned(), root.join("tests/src")));
    sources.sort();
    sources
        .into_iter()
        .filter(|(_, source)| source.is_dir())
        .map(|(name, source)| (name, Crate::read(&source)))
        .collect()
}

fn path(module: &Module) -> String {
    match module.join("::") {
        root if root.is_empty() => "the crate's root".to_owned(),
        path => path,
    }
}

#[test]
fn every_arrow_in_the_kernel_model_goes_down() {
    let kernel = Crate::read(&repository().join("crates/ntbox-kernel/src"));
    assert!(kernel.uses.len() > 100, "the crate was not found");
    for floor in FLOORS {
        let there = kernel.uses.keys().any(|module| module[..] == [floor]);
        assert!(there, "there is no {floor}");
    }
    let upwards = kernel.upwards(&FLOORS);
    assert!(
        upwards.is_empty(),
        "who needs something of a floor above is handed it: {upwards:#?}"
    );
}

#[test]
fn no_circle_of_files_grows() {
    let mut wrong = Vec::new();
    let mut met = vec![false; LARGER.len()];
    for (name, read) in crates() {
        for circle in read.circles() {
            let files: Vec<_> = circle.iter().map(path).collect();
            let known = LARGER.iter().position(|(of, file, _, _)| {
                *of == name && files.iter().any(|known| known == file)
            });
            let most = known.map_or(SMALL, |known| LARGER[known].2);
            if let Some(known) = known {
                met[known] = true;
            }
            let shrunk = known.is_some() && files.len() < most;
            if files.len() > most || shrunk {
                let what = if shrunk { "has shrunk to" } else { "is of" };
                let why = known.map_or("", |known| LARGER[known].3);
                wrong.push(format!(
                    "{name}: a circle {what} {} files, {most} are allowed ({why}): {}",
                    files.len(),
                    files.join(", ")
                ));
            }
        }
    }
    for (known, _) in LARGER.iter().zip(met).filter(|(_, met)| !met) {
        wrong.push(format!("{}: the circle of {} is gone", known.0, known.1));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A crate of three files in a circle, one of which looks up.
#[test]
fn an_arrow_upwards_and_a_circle_are_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect(name);
    write("lib.rs", "pub mod low;\npub mod high;\npub mod middle;\n");
    write(
        "low.rs",
        "use crate::middle::{self, Thing};\npub fn of() {}\n",
    );
    write("middle.rs", "use super::high;\npub struct Thing;\n");
    write(
        "high.rs",
        "use crate::low::of;\n#[cfg(test)]\nmod tests { use crate::top; }\npub fn f() { crate::middle::g() }\n",
    );
    let read = Crate::read(folder.path());
    assert_eq!(
        read.upwards(&["low", "middle", "high"]),
        ["low names middle"]
    );
    assert_eq!(read.upwards(&["middle", "low", "high"]), [""; 0]);
    assert_eq!(
        read.upwards(&["high", "low", "middle"]),
        ["high names low", "high names middle", "low names middle"]
    );
    let circles: Vec<Vec<String>> = read
        .circles()
        .iter()
        .map(|circle| circle.iter().map(path).collect())
        .collect();
    assert_eq!(circles, [["high", "low", "middle"]]);
}
