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

/// So many files may know each other in a circle: as many as are read together.
const SMALL: usize = 3;

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
fn no_circle_of_files_is_large() {
    let mut large = Vec::new();
    for (name, read) in crates() {
        for circle in read.circles() {
            let files: Vec<_> = circle.iter().map(path).collect();
            if files.len() > SMALL {
                let count = files.len();
                large.push(format!("{name}: {count} files: {}", files.join(", ")));
            }
        }
    }
    assert!(
        large.is_empty(),
        "more than {SMALL} files know each other in a circle:\n{}",
        large.join("\n")
    );
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
