//! The book: `docs`, and the READMEs.
//!
//! Each page is in the table of contents, each link leads somewhere, the examples in Rust are those that are
//! compiled elsewhere, those in C compile, and what ntbox reports in a page it reports.

use fsglass_tests::book::{blocks, broken_links, links, read, stands_in, tables_without_head};
use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile, repository};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use wdk_kit::files;

/// The most lines that README.md may have.
const README_LINES: usize = 200;

/// The pages in `docs`, by their paths in the repository.
fn pages() -> Vec<String> {
    let all = files::below(&repository().join("docs")).expect("docs");
    let pages = all
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "md"));
    pages.map(|file| in_repository(file)).collect()
}

fn in_repository(file: &Path) -> String {
    let path = file.strip_prefix(repository()).expect("a path below");
    path.to_string_lossy().replace('\\', "/")
}

/// The pages, and the READMEs of the repository and of its crates.
fn everything() -> Vec<String> {
    let mut all = pages();
    all.push("README.md".to_owned());
    let crates = fs::read_dir(repository().join("crates")).expect("crates");
    let readmes = crates.flatten().map(|entry| entry.path().join("README.md"));
    all.extend(
        readmes
            .filter(|file| file.exists())
            .map(|file| in_repository(&file)),
    );
    all
}

#[test]
fn each_page_is_in_the_table_of_contents() {
    let summary = read("docs/SUMMARY.md");
    let listed: Vec<_> = links(&summary)
        .iter()
        .map(|link| format!("docs/{link}"))
        .collect();
    let expected: BTreeSet<_> = pages()
        .into_iter()
        .filter(|page| page != "docs/SUMMARY.md")
        .collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(listed.len(), expected.len(), "a page is listed twice");
}

#[test]
fn no_link_leads_nowhere() {
    let broken: Vec<_> = everything()
        .iter()
        .flat_map(|page| broken_links(page, &read(page)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_table_has_a_head() {
    for page in everything() {
        let headless = tables_without_head(&read(&page));
        assert!(headless.is_empty(), "{page}: {}", headless.join("\n"));
    }
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines");
}

/// Examples that say which file they are of are parts of it: those are compiled and run by other suites.
#[test]
fn the_examples_are_what_is_compiled() {
    let mut found = 0;
    for page in everything() {
        for block in blocks(&read(&page)) {
            let file = block
                .comment
                .as_deref()
                .and_then(|comment| comment.strip_prefix("of "));
            if let Some(file) = file {
                assert!(
                    stands_in(&block.text, &read(file)),
                    "{page}: not in {file}:\n{}",
                    block.text
                );
                found += 1;
            } else {
                let loose = page.starts_with("docs/completion/") && block.language == "rust";
                assert!(!loose, "{page}: nobody compiles\n{}", block.text);
            }
        }
    }
    assert!(found >= 8, "{found} examples");
}

/// The parts in C of each page are one file, and have no warning.
#[cfg(unix)]
#[test]
fn the_examples_in_c_compile() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut compiled = 0;
    for page in pages() {
        let blocks = blocks(&read(&page))
            .into_iter()
            .filter(|block| block.language == "c");
        let parts: Vec<_> = blocks.map(|block| block.text).collect();
        if parts.is_empty() {
            continue;
        }
        let file = directory.path().join("page.c");
        fs::write(&file, format!("#include <ntifs.h>\n{}\n", parts.join("\n"))).expect("a file");
        let output = std::process::Command::new("x86_64-w64-mingw32-gcc")
            .args([
                "-fsyntax-only",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-Wno-unused-function",
            ])
            .args(["-isystem", "/usr/x86_64-w64-mingw32/include/ddk"])
            .arg(&file)
            .output()
            .expect("the compiler that `wdk-kit setup --programs` installs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{page}:\n{errors}");
        compiled += 1;
    }
    assert_eq!(compiled, 5, "pages with C");
}

/// A report without the middle, which has addresses, events in the order in which they came, and calls on a stack, among
/// which an earlier one's may lie, and without which thread it was (the lazy writer may come before the program): what
/// is wrong and where, and what to do.
fn stable(report: &str) -> Vec<&str> {
    let wrong = report
        .lines()
        .take_while(|line| !line.starts_with("  calls on ") && !line.starts_with("  thread "));
    let advice = report
        .lines()
        .skip_while(|line| !line.starts_with("  what to do: "));
    let advice = advice.take_while(|line| !line.starts_with("  the same again: "));
    let of_any_thread = |line| str::rsplit_once(line, " by thread ").map_or(line, |(what, _)| what);
    wrong.chain(advice).map(of_any_thread).collect()
}

/// The report as a page shows it: the command without the folders of the machine.
fn for_the_page(report: &str) -> String {
    let line = |line: &str| match line.split_once("the same again: ") {
        Some((indented, command)) => {
            let words = command
                .split(' ')
                .map(|word| word.rsplit('/').next().unwrap_or(word));
            format!(
                "{indented}the same again: {}",
                words.collect::<Vec<_>>().join(" ")
            )
        }
        None => line.trim_end().to_owned(),
    };
    report.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// With `FSGLASS_BLESS=1` the pages are written instead.
#[test]
fn the_reports_are_what_ntbox_reports() {
    let driver = drivers::bad_drivers(Profile::Release).display().to_string();
    let mut shown = 0;
    for page in pages() {
        let mut text = read(&page);
        for block in blocks(&text.clone()) {
            let comment = block.comment.as_deref().unwrap_or_default();
            let Some(mistake) = comment.strip_prefix("reported: ") else {
                continue;
            };
            shown += 1;
            let setting = format!("Mistake={mistake}");
            let run = ["run", "--driver", &driver, "--setting", &setting];
            let ended = ntbox(
                run.iter()
                    .copied()
                    .chain(["--ops", "200", "--threads", "1"]),
            );
            ended.expect_code(1);
            if std::env::var_os("FSGLASS_BLESS").is_some() {
                let fresh = format!("{}\n```\n", for_the_page(&ended.output));
                text = text.replace(&format!("{}\n```\n", block.text), &fresh);
                fs::write(repository().join(&page), &text).expect("the page");
            } else {
                let shown = stable(&block.text);
                assert!(shown.len() > 3, "{page}: {mistake}: {shown:?}");
                let reported = stable(&ended.output);
                assert_eq!(
                    shown, reported,
                    "{page}: {mistake}; FSGLASS_BLESS=1 writes it anew"
                );
            }
        }
    }
    assert_eq!(shown, 7, "reports");
}
