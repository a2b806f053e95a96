//! What the output of `cargo test` says, line by line.

use std::collections::BTreeMap;
use std::time::Duration;

/// Counts of all suites so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub suites: usize,
    pub passed: usize,
    pub failed: Vec<String>,
    /// How many were skipped, by the reason that they give.
    pub skipped: BTreeMap<String, usize>,
}

/// A suite that runs.
#[derive(Debug, Default)]
struct Suite {
    name: String,
    begun: Duration,
    /// Tests that it says it has; none before it does, or where it is no harness of Rust's.
    tests: Option<usize>,
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
    /// What it printed, for the case that it fails.
    output: Vec<String>,
}

/// Reads lines of cargo and of the suites that it runs, and says what is to be shown.
#[derive(Debug, Default)]
pub struct Reader {
    pub totals: Totals,
    suite: Option<Suite>,
    compiled: usize,
}

impl Reader {
    /// Takes a line that came `now` after the beginning, and gives the lines to show for it.
    pub fn line(&mut self, line: &str, now: Duration) -> Vec<String> {
        if let Some(name) = suite_of(line) {
            let shown = self.end(now);
            self.compiled = 0;
            self.suite = Some(Suite {
                name,
                begun: now,
                ..Suite::default()
            });
            return shown;
        }
        let Some(suite) = &mut self.suite else {
            return self.outside(line);
        };
        if let Some(tests) = number_in(line, "running ", " test") {
            suite.tests = Some(suite.tests.unwrap_or(0) + tests);
            return vec![];
        }
        if suite.tests.is_none() {
            // A program of its own, which tells what it does.
            return match line {
                "" => vec![],
                _ if line.contains(": ok") => {
                    suite.passed += 1;
                    vec![format!("           {line}")]
                }
                _ if ends_suites(line) => {
                    // Only cargo knows how it ended: what it tries may fail as it is meant to.
                    if line.starts_with("error: ") {
                        suite.failed.push("it ended with an error".to_owned());
                    }
                    let mut shown = self.end(now);
                    shown.extend(self.outside(line));
                    shown
                }
                _ => vec![format!("           {line}")],
            };
        }
        suite.output.push(line.to_owned());
        if let Some(test) = line.strip_prefix("test ")
            && let Some((name, result)) = test.split_once(" ... ")
        {
            suite.take(name, result, &mut self.totals.skipped);
        }
        if line.starts_with("test result: ") {
            return self.end(now);
        }
        vec![]
    }

    /// What is going on, when no line has come for a while.
    pub fn waiting(&self, now: Duration) -> String {
        match &self.suite {
            Some(suite) => {
                let done = suite.passed + suite.failed.len() + suite.skipped;
                let of = suite
                    .tests
                    .map_or(String::new(), |tests| format!(" of {tests}"));
                format!(
                    "  {:>6}   … {}: {done}{of} tests so far",
                    clock(now.saturating_sub(suite.begun)),
                    suite.name
                )
            }
            None if self.compiled > 0 => {
                format!("           … compiling, {} crates so far", self.compiled)
            }
            None => "           …".to_owned(),
        }
    }

    /// Ends the suite that runs, if any, at the end of the output.
    pub fn end(&mut self, now: Duration) -> Vec<String> {
        let Some(suite) = self.suite.take() else {
            return vec![];
        };
        if suite.tests == Some(0) {
            return vec![];
        }
        let time = clock(now.saturating_sub(suite.begun));
        self.totals.suites += 1;
        self.totals.passed += suite.passed;
        let incomplete = suite
            .tests
            .is_some_and(|tests| suite.passed + suite.failed.len() + suite.skipped < tests);
        if suite.failed.is_empty() && !incomplete {
            let skipped = match suite.skipped {
                0 => String::new(),
                skipped => format!(", {skipped} skipped"),
            };
            return vec![format!(
                "  {time:>6}   ok {:>4} passed{skipped}   {}",
                suite.passed, suite.name
            )];
        }
        let mut shown = suite.output;
        shown.push(format!(
            "  {time:>6}   FAILED {}: {} passed, {} failed",
            suite.name,
            suite.passed,
            suite.failed.len()
        ));
        let name = suite.name;
        if suite.failed.is_empty() {
            self.totals.failed.push(format!("{name} (it ended early)"));
        }
        let failed = suite.failed.iter().map(|test| format!("{name}: {test}"));
        self.totals.failed.extend(failed);
        shown
    }

    fn outside(&mut self, line: &str) -> Vec<String> {
        let word = line.trim_start().split(' ').next().unwrap_or("");
        match word {
            // cargo's sum of examples, which are a suite each.
            "all" if line.starts_with("all doctests ran") => vec![],
            "Compiling" | "Checking" => {
                self.compiled += 1;
                vec![]
            }
            "" | "Downloaded" | "Downloading" | "Updating" | "Locking" | "Blocking" | "Adding" => {
                vec![]
            }
            "Finished" => {
                self.compiled = 0;
                vec![]
            }
            "[cargo-make]" => match line.split_once("Execute Command: ") {
                Some((_, command)) => vec![command.replace('"', "")],
                None => vec![],
            },
            _ => vec![line.to_owned()],
        }
    }
}

impl Suite {
    fn take(&mut self, name: &str, result: &str, reasons: &mut BTreeMap<String, usize>) {
        if result == "ok" {
            self.passed += 1;
        } else if let Some(reason) = result.strip_prefix("ignored") {
            self.skipped += 1;
            let reason = reason.trim_start_matches(", ");
            let reason = if reason.is_empty() {
                "no reason given"
            } else {
                reason
            };
            *reasons.entry(reason.to_owned()).or_default() += 1;
        } else if result.starts_with("FAILED") {
            self.failed.push(name.to_owned());
        }
    }
}

impl Totals {
    /// The one line at the end.
    pub fn summary(&self, time: Duration) -> String {
        let skipped: usize = self.skipped.values().sum();
        let reasons: Vec<_> = self
            .skipped
            .iter()
            .map(|(reason, tests)| format!("{tests}: {reason}"))
            .collect();
        let reasons = match reasons.join("; ") {
            none if none.is_empty() => none,
            some => format!(" ({some})"),
        };
        format!(
            "{} suites, {} tests: {} passed, {} failed, {skipped} skipped{reasons}, {} seconds",
            self.suites,
            self.passed + self.failed.len() + skipped,
            self.passed,
            self.failed.len(),
            time.as_secs()
        )
    }
}

/// The name of the suite that cargo says it runs now.
fn suite_of(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name}, examples"));
    }
    let (source, program) = line
        .strip_prefix("Running ")?
        .strip_suffix(')')?
        .split_once(" (")?;
    // `deps/name-0123456789abcdef`: the name of the package is in no other place.
    let file = program.rsplit(['/', '\\']).next()?;
    let name = file
        .rsplit_once('-')
        .map_or(file, |(name, _)| name)
        .replace('_', "-");
    Some(match source.strip_prefix("unittests ") {
        Some("src/lib.rs" | "src/main.rs") => format!("{name}, unit tests"),
        Some(source) => format!("{name}, unit tests of {source}"),
        None => name,
    })
}

/// What cargo says behind the last suite of its own, or cargo-make behind cargo.
fn ends_suites(line: &str) -> bool {
    line.starts_with("[cargo-make]")
        || line.starts_with("error: ")
        || line.trim_start().starts_with("Compiling ")
        || line.trim_start().starts_with("Finished ")
}

fn number_in(line: &str, before: &str, behind: &str) -> Option<usize> {
    let rest = line.strip_prefix(before)?;
    rest.split_once(behind)?.0.parse().ok()
}

/// Minutes and seconds.
pub fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut Reader, lines: &str) -> Vec<String> {
        let now = Duration::from_secs(61);
        let lines = lines.lines();
        lines.flat_map(|line| reader.line(line, now)).collect()
    }

    #[test]
    fn a_suite_is_a_line() {
        let mut reader = Reader::default();
        let shown = read(
            &mut reader,
            "   Compiling one v0.1.0\n    Finished `test` profile\n     Running unittests src/lib.rs (target/debug/deps/ntbox_kernel-0123456789abcdef)\n\nrunning 3 tests\ntest a::b ... ok\ntest c ... ignored, it is long\ntest d ... ok\n\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(
            shown,
            ["    0:00   ok    2 passed, 1 skipped   ntbox-kernel, unit tests"]
        );
        assert_eq!(
            reader.totals.summary(Duration::from_secs(75)),
            "1 suites, 3 tests: 2 passed, 0 failed, 1 skipped (1: it is long), 75 seconds"
        );
    }

    #[test]
    fn a_suite_that_fails_shows_all_that_it_printed() {
        let mut reader = Reader::default();
        let shown = read(
            &mut reader,
            "     Running tests/names.rs (target/debug/deps/names-0123456789abcdef)\n\nrunning 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\nit is wrong\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\n",
        );
        assert!(shown.contains(&"it is wrong".to_owned()), "{shown:?}");
        assert_eq!(reader.totals.failed, ["names: b"]);
        assert_eq!(reader.totals.passed, 1);
    }

    #[test]
    fn a_suite_that_ends_early_has_failed() {
        let mut reader = Reader::default();
        read(
            &mut reader,
            "     Running tests/names.rs (target/debug/deps/names-0123456789abcdef)\n\nrunning 2 tests\ntest a ... ok\n",
        );
        let shown = reader.end(Duration::from_secs(70));
        assert!(shown.last().is_some_and(|line| line.contains("FAILED")));
        assert_eq!(reader.totals.failed, ["names (it ended early)"]);
    }

    #[test]
    fn a_suite_without_a_harness_tells_for_itself() {
        let mut reader = Reader::default();
        let shown = read(
            &mut reader,
            "     Running tests/wine.rs (target/debug/deps/wine-0123456789abcdef)\nwine: used: ok\n[cargo-make] INFO - Build Done in 1.00 seconds.\n",
        );
        assert_eq!(
            shown.first().map(|line| line.trim()),
            Some("wine: used: ok")
        );
        assert_eq!((reader.totals.suites, reader.totals.passed), (1, 1));
    }

    #[test]
    fn a_suite_without_a_harness_fails_when_cargo_says_so() {
        let lines = "     Running tests/wine.rs (target/debug/deps/wine-0123456789abcdef)\nwine: a mistake: FAILED: as it is meant to\nwine: used: ok\n";
        let mut reader = Reader::default();
        read(&mut reader, lines);
        read(
            &mut reader,
            "[cargo-make] INFO - Build Done in 1.00 seconds.\n",
        );
        assert_eq!((reader.totals.failed.len(), reader.totals.passed), (0, 1));
        let mut reader = Reader::default();
        read(&mut reader, lines);
        let error = "error: test failed, to rerun pass `-p fsglass-wine --test wine`\n";
        assert!(read(&mut reader, error).contains(&error.trim().to_owned()));
        assert_eq!(reader.totals.failed, ["wine: it ended with an error"]);
    }

    #[test]
    fn other_lines_are_passed_on() {
        let mut reader = Reader::default();
        let shown = read(
            &mut reader,
            "[cargo-make] INFO - Execute Command: \"cargo\" \"test\"\nwdk-kit: building fsglass\nerror: it does not compile\n",
        );
        assert_eq!(
            shown,
            [
                "cargo test",
                "wdk-kit: building fsglass",
                "error: it does not compile"
            ]
        );
    }
}
