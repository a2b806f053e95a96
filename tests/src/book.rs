//! The pages of the book: their links, and the blocks of code and of output in them.

use crate::drivers::repository;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A block between two fences, and the comment right above it: `<!-- of FILE -->`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What follows the opening fence.
    pub language: String,
    /// The text of the comment, if there is one.
    pub comment: Option<String>,
    /// What is between the fences, without the last line's end.
    pub text: String,
}

/// A file of the repository.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn read(path: &str) -> String {
    let file = repository().join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The blocks of a page.
#[must_use]
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut above = "";
    let mut lines: Vec<&str> = Vec::new();
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => {
                let comment = above
                    .strip_prefix("<!-- ")
                    .and_then(|text| text.strip_suffix(" -->"));
                open = Some(Block {
                    language: language.to_owned(),
                    comment: comment.map(str::to_owned),
                    text: String::new(),
                });
                lines.clear();
            }
            (Some(_), Some(block)) => blocks.push(Block {
                text: lines.join("\n"),
                ..block
            }),
            (None, Some(block)) => {
                lines.push(line);
                open = Some(block);
            }
            (None, None) => {}
        }
        above = line;
    }
    blocks
}

/// The page without its blocks, and without what is in code spans.
fn prose(page: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if !inside {
            let outside_of_spans = line.split('`').step_by(2);
            text.extend(outside_of_spans.flat_map(|part| [part, "`"]));
            text.push('\n');
        }
    }
    text
}

/// Where the links of a page go.
#[must_use]
pub fn links(page: &str) -> Vec<String> {
    let text = prose(page);
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// The first lines of tables without a head, which are shown as one line with bars: a row that got apart from its table.
#[must_use]
pub fn tables_without_head(page: &str) -> Vec<String> {
    let text = prose(page);
    let lines: Vec<_> = text.lines().collect();
    let is_row = |at: usize| lines.get(at).is_some_and(|line| line.starts_with('|'));
    let is_rule = |line: &str| line.chars().all(|letter| "|-: `".contains(letter));
    let first = (0..lines.len()).filter(|at| is_row(*at) && (*at == 0 || !is_row(at - 1)));
    let headless = first.filter(|at| !(is_row(at + 1) && is_rule(lines[at + 1])));
    let lines = headless.map(|at| lines[at].trim_end_matches('`'));
    lines.map(str::to_owned).collect()
}

/// The anchors that a page's headings make.
#[must_use]
pub fn anchors(page: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut anchors = BTreeSet::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside;
        }
        if !inside && line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
            anchors.insert(
                kept.map(|letter| if letter == ' ' { '-' } else { letter })
                    .collect(),
            );
        }
    }
    anchors
}

/// A path without `.` and `..`, of a link in `page`.
fn resolved(page: &str, link: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let directory = Path::new(page).parent().unwrap_or(Path::new(""));
    for component in directory.join(link).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

/// What is wrong with the links of a page: files that are not there, headings that are not there.
#[must_use]
pub fn broken_links(page: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for link in links(text) {
        if link.starts_with("https://") {
            continue;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let path = if path.is_empty() {
            PathBuf::from(page)
        } else {
            resolved(page, path)
        };
        let file = repository().join(&path);
        if !file.exists() {
            broken.push(format!("{page}: {link}: there is no {}", path.display()));
        } else if !anchor.is_empty() {
            let target = fs::read_to_string(&file).unwrap_or_default();
            if !anchors(&target).contains(anchor) {
                broken.push(format!("{page}: {link}: no such heading"));
            }
        }
    }
    broken
}

/// Whether a block stands in a text, line by line, be it indented less.
#[must_use]
pub fn stands_in(block: &str, text: &str) -> bool {
    let block: Vec<_> = block.lines().collect();
    let text: Vec<_> = text.lines().collect();
    !block.is_empty() && text.windows(block.len()).any(|window| window == block)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\nSee [that](other.md#b) and [this](#a-page), not `[x](y)`.\n\n\
<!-- of a.rs -->\n```rust\nfn a() {}\n[no](link)\n```\n\n```\n# no heading\n```\n\n## It's `b`, and c\n";

    #[test]
    fn a_page_is_taken_apart() {
        assert_eq!(links(PAGE), ["other.md#b", "#a-page"]);
        let expected = ["a-page", "its-b-and-c"].map(str::to_owned);
        assert_eq!(anchors(PAGE), BTreeSet::from(expected));
        let blocks = blocks(PAGE);
        let [first, second] = blocks.as_slice() else {
            panic!("{blocks:?}");
        };
        assert_eq!(first.language, "rust");
        assert_eq!(first.comment.as_deref(), Some("of a.rs"));
        assert_eq!(first.text, "fn a() {}\n[no](link)");
        assert_eq!((&*second.text, &second.comment), ("# no heading", &None));
    }

    #[test]
    fn a_row_that_is_apart_from_its_table_is_found() {
        let table = "| a | b |\n|---|:--|\n| 1 | 2 |\n";
        assert!(tables_without_head(table).is_empty());
        assert!(tables_without_head(&format!("```\n| no table\n```\n{table}")).is_empty());
        let apart = tables_without_head(&format!("{table}\n| 3 | 4 |\n| 5 | 6 |\n"));
        assert_eq!(apart, ["| 3 | 4 |"]);
    }

    #[test]
    fn broken_links_are_found() {
        let text = "[a](README.md) [b](docs) [c](no.md) [d](README.md#no-such) [e](../x.md)";
        assert_eq!(
            broken_links("README.md", text).len(),
            3,
            "{:?}",
            broken_links("README.md", text)
        );
        assert_eq!(
            broken_links("docs/a.md", "[a](../README.md) [b](a.md)").len(),
            1
        );
    }

    #[test]
    fn a_block_stands_in_a_text_as_a_whole() {
        let text = "fn a() {\n    one();\n    two();\n}\n";
        assert!(stands_in("    one();\n    two();", text));
        assert!(!stands_in("    two();\n    one();", text));
        assert!(!stands_in("one();", text));
        assert!(!stands_in("", text));
    }
}
