//! pjdfstest: what POSIX says of each system call about files, some 400 cases.

use super::{Length, Place, Verdicts, program};
use std::fs;

/// Two users that each Debian has, besides root. `tests`, which it asks for otherwise, is on no machine by itself.
const SETTINGS: &str = r#"
[features]
posix_fallocate = {}
utime_now = {}
utimensat = {}
[settings]
naptime = 0.002
allow_remount = false
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
"#;

/// The cases that a short run has: those in which names come and go.
const BOUNDED: &[&str] = &["rename::", "unlink::"];

/// The mount's modes decide who may do what, the cases' times are its.
pub(super) fn run(place: &Place<'_>) -> Verdicts {
    let settings = tempfile::NamedTempFile::new()
        .and_then(|file| fs::write(file.path(), SETTINGS).map(|()| file));
    let settings = settings.unwrap_or_else(|error| panic!("a file: {error}"));
    let mut command = program("pjdfstest");
    command
        .arg("--configuration-file")
        .arg(settings.path())
        .arg("--path")
        .arg(place.directory);
    if place.length == Length::Bounded {
        command.args(BOUNDED);
    }
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let verdicts = cases(&said);
    let summed = said.contains("Summary:");
    assert!(summed && !verdicts.is_empty(), "{command:?}: {output:?}");
    verdicts
}

/// `name   ok|FAILED|skipped`, and lines of why.
fn cases(said: &str) -> Verdicts {
    let mut found = Verdicts::new();
    for line in said.lines() {
        let mut words = line.split_whitespace();
        if let (Some(case), Some(verdict), None) = (words.next(), words.next(), words.next())
            && case.contains("::")
            && ["ok", "FAILED", "skipped"].contains(&verdict)
        {
            found.insert(case.to_owned(), verdict.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_told_from_what_is_said_of_them() {
        let said = "open::a   ok\nrename::b     FAILED\n\tassertion `left == right` failed\n\
                    open::c  skipped\n\topen::d is not ok\nSummary: 1 failed\n";
        let verdicts = cases(said);
        let list: Vec<_> = verdicts
            .iter()
            .map(|(case, how)| format!("{case} {how}"))
            .collect();
        assert_eq!(list, ["open::a ok", "open::c skipped", "rename::b FAILED"]);
    }
}
