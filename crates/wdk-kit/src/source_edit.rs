//! Small edits of someone else's source, which notice when it has changed.
//!
//! An edit names a piece of text and how often it occurs. When the count
//! differs, the source is not the one the edit was written for and nothing is
//! changed: a half-applied edit would show up much later, as a compile error in
//! code that nobody here wrote.

use anyhow::{Result, bail};

/// Replaces a piece of text that occurs a known number of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceEdit {
    /// The file, relative to the package.
    pub file: &'static str,
    /// What the edit is for, to be shown when it does not apply.
    pub purpose: &'static str,
    /// The text looked for.
    pub find: &'static str,
    /// What takes its place.
    pub replace: &'static str,
    /// How often `find` occurs.
    pub occurrences: usize,
}

impl SourceEdit {
    /// Applies the edit to the contents of its file.
    ///
    /// # Errors
    /// When the text occurs more or less often than the edit expects.
    pub fn apply(&self, source: &str) -> Result<String> {
        let found = source.matches(self.find).count();
        if found != self.occurrences {
            bail!(
                "{}: expected {} time(s), found {} time(s):\n{}\n({})",
                self.file,
                self.occurrences,
                found,
                indented(self.find),
                self.purpose
            );
        }
        Ok(source.replace(self.find, self.replace))
    }
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDIT: SourceEdit = SourceEdit {
        file: "src/thing.rs",
        purpose: "things are not available here",
        find: "old",
        replace: "new",
        occurrences: 2,
    };

    #[test]
    fn replaces_every_occurrence() {
        assert_eq!(EDIT.apply("old and old").unwrap(), "new and new");
    }

    #[test]
    fn refuses_a_source_in_which_the_text_is_missing() {
        let text = EDIT.apply("only one old").unwrap_err().to_string();
        for part in ["src/thing.rs", "expected 2", "found 1", "not available"] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }

    #[test]
    fn refuses_a_source_in_which_the_text_occurs_too_often() {
        assert!(EDIT.apply("old old old").is_err());
    }
}
