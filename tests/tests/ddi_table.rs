//! docs/ddi.md: the kernel's routines, and where the layer has them.
//!
//! The table is held against `tests/imports.txt`, against the source of the layer, and against the
//! documentation of its public items, which has the sentence of the page that each rests on.

use fsglass_tests::drivers::repository;
use fsglass_tests::sources::Sources;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use wdk_kit::files;

/// Files of the layer whose public items rest on no page: data structures of our own.
const OWN: &[&str] = &[
    "driver/keeps.rs",
    "lib.rs",
    "list.rs",
    "pool/arc.rs",
    "pool/once.rs",
    "pool/slice.rs",
    "sync/guest.rs",
];

/// A row.
#[derive(Clone, Debug)]
struct Routine {
    inline: bool,
    kind: String,
    /// Paths below `wdm`.
    items: Vec<String>,
    files: BTreeSet<String>,
    since: String,
    irql: String,
    sentence: Option<String>,
}

fn read(path: &str) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code spans of a cell.
fn spans(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn row(line: &str) -> Option<(String, Routine)> {
    let cells: Vec<_> = line.strip_prefix("| ")?.split(" | ").collect();
    let [name, place, called, since, irql, page] = cells.as_slice() else {
        panic!("not six cells: {line}");
    };
    if *name == "routine" {
        return None;
    }
    let (inline, place) = match place.strip_prefix("inline, ") {
        Some(place) => (true, place),
        None => (false, *place),
    };
    let kind = place.split(':').next().unwrap_or(place).to_owned();
    let page = page.strip_suffix(" |").expect("the end of a row");
    let quoted = page
        .strip_prefix('"')
        .and_then(|page| page.strip_suffix('"'));
    let routine = Routine {
        inline,
        kind,
        items: spans(place).collect(),
        files: spans(called).collect(),
        since: (*since).to_owned(),
        irql: (*irql).to_owned(),
        sentence: quoted.map(str::to_owned),
    };
    Some(((*name).to_owned(), routine))
}

fn table() -> BTreeMap<String, Routine> {
    let text = read("docs/ddi.md");
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    let table: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(table.len(), rows.len(), "a routine is there twice");
    table
}

/// The files of the layer, by their paths below its source.
fn layer() -> BTreeMap<String, String> {
    let root = repository().join("crates/wdm/src");
    let read = |file: &Path| {
        let name = file.strip_prefix(&root).expect("a path below");
        let name = name.to_string_lossy().replace('\\', "/");
        (name, files::read_text(file).expect("a source file"))
    };
    let all = files::below(&root).expect("the layer");
    all.iter().map(|file| read(file)).collect()
}

/// The names behind `ntddk::` or `fn` of an extern block in a text.
fn called(text: &str) -> BTreeSet<String> {
    let name = |rest: &str| -> String {
        rest.chars()
            .take_while(|letter| letter.is_ascii_alphanumeric())
            .collect()
    };
    let mut names: BTreeSet<_> = text.split("ntddk::").skip(1).map(name).collect();
    for block in text.split("unsafe extern \"C\" {").skip(1) {
        let block = block.split("\n}").next().unwrap_or(block);
        names.extend(block.split("fn ").skip(1).map(name));
    }
    names.remove("");
    names
}

/// A documentation's text without its lines' beginnings.
fn unwrapped(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("///").trim());
    lines.collect::<Vec<_>>().join(" ")
}

/// The names, and the Windows that has them, are those that the driver imports; what is inline is in no image.
#[test]
fn it_has_what_the_driver_imports() {
    let imports = read("tests/imports.txt");
    let imports: BTreeMap<_, _> = imports
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, since)| (name.to_owned(), since.trim().to_owned()))
        .collect();
    let table = table();
    let listed: BTreeMap<_, _> = table
        .iter()
        .filter(|(_, routine)| !routine.inline)
        .map(|(name, routine)| (name.clone(), routine.since.clone()))
        .collect();
    assert_eq!(listed, imports);
    for (name, routine) in &table {
        assert!(!routine.irql.is_empty(), "{name} has no IRQL");
        assert!(
            routine.sentence.is_some() || name.starts_with("mem"),
            "{name} has no sentence"
        );
    }
}

#[test]
fn it_says_where_the_layer_calls_each() {
    let table = table();
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in layer() {
        for name in called(&text) {
            calls.entry(name).or_default().insert(file.clone());
        }
    }
    for (name, routine) in &table {
        let found = calls.remove(name).unwrap_or_default();
        if routine.inline {
            let raw = read("crates/wdm/src/irp/raw.rs");
            assert!(raw.contains(&format!("/// `{name}`")) || raw.contains(&format!("`{name}`")));
            assert!(found.is_empty(), "{name} is no inline routine");
            continue;
        }
        assert_eq!(found, routine.files, "{name}");
        let kind = match (routine.items.is_empty(), found.is_empty()) {
            (false, false) => "wrapped",
            (true, false) => "inside",
            _ => "raw",
        };
        assert_eq!(routine.kind, kind, "{name}");
    }
    assert!(calls.is_empty(), "not in docs/ddi.md: {calls:?}");
}

/// Whoever reads the documentation of a public item finds the sentence that it rests on.
#[test]
fn each_public_item_has_the_sentence_of_its_page() {
    let sources = Sources::of_driver();
    let table = table();
    for (name, routine) in &table {
        for item in &routine.items {
            let item = sources
                .find(&format!("wdm::{item}"))
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let sentence = routine.sentence.as_deref().expect("a sentence");
            let expected = format!("Rests on {name}: \"{sentence}\"");
            let text = unwrapped(&item.text);
            assert!(
                text.contains(&expected),
                "{}: {expected}",
                item.file.display()
            );
        }
    }
    for (path, item) in sources.public_functions("wdm::") {
        let text = unwrapped(&item.text);
        for name in called(&item.text) {
            let expected = format!("Rests on {name}: ");
            assert!(text.contains(&expected), "{path} does not say: {expected}");
        }
    }
}

/// A file with public items says what it wraps, or where its rules come from.
#[test]
fn each_file_of_public_items_names_its_source() {
    let public = [
        "pub fn ",
        "pub const fn ",
        "pub struct ",
        "pub enum ",
        "pub trait ",
    ];
    for (file, text) in layer() {
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if file == "docs_rs.rs" || !has(&public) {
            continue;
        }
        let named = has(&["Source:", "Wraps ", "Rests on "]);
        assert_eq!(named, !OWN.contains(&&*file), "{file}");
    }
}
