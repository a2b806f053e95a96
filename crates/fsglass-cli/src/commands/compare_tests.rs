//! `replay --group-by`, `replay --trace-events` and `compare` on saved traces.

use super::tests::ran;
use super::trace_tests::saved;
use crate::error::Exit;
use crate::system::pretended::Pretended;
use serde_json::Value;

fn json(line: &[&str]) -> Vec<Value> {
    let (exit, text) = ran(&Pretended::default(), &[line, &["--json"]].concat());
    assert_eq!(exit, Ok(Exit::Done), "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn requests_are_counted_together() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    saved(&[], &file);
    let path = file.to_str().unwrap();
    let rows = json(&["replay", path, "--group-by", "operation"]);
    let what = |row: &Value| {
        (
            row["group"].as_str().unwrap().to_owned(),
            row["requests"].as_u64(),
        )
    };
    assert_eq!(what(&rows[0]), ("CREATE".to_owned(), Some(1)));
    assert_eq!(what(&rows[1]), ("READ".to_owned(), Some(3)));
    assert_eq!(
        (&rows[0]["failed"], &rows[0]["total_us"]),
        (&1.into(), &90.0.into())
    );
    assert_eq!(
        (&rows[1]["bytes"], &rows[1]["max_us"]),
        (&(3 * 512).into(), &4.0.into())
    );
    let rows = json(&["replay", path, "--group-by", "path", "--count", "1"]);
    assert_eq!(what(&rows[0]), (r"C: \dir\read.txt".to_owned(), Some(1)));
    assert_eq!(rows.len(), 1);

    let (_, text) = ran(
        &Pretended::default(),
        &["replay", path, "--group-by", "status"],
    );
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines[0],
        "STATUS REQUESTS BYTES TIME P50 P99 MAX PENDED FAILED"
    );
    assert_eq!(
        lines[1],
        "OBJECT_NAME_NOT_FOUND 1 0 B 90.0 µs 90.0 µs 90.0 µs 90.0 µs 0 1"
    );
    let (_, text) = ran(
        &Pretended::default(),
        &["replay", path, "--group-by", "volume", "--csv"],
    );
    assert!(
        text.starts_with("group,requests,bytes,") && text.contains("\nC:,4,"),
        "{text}"
    );
}

#[test]
fn a_trace_is_drawn_by_others() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    saved(&[], &file);
    let path = file.to_str().unwrap();
    let events = |more: &[&str]| -> Vec<Value> {
        let line = [&["replay", path, "--trace-events"], more].concat();
        let (exit, text) = ran(&Pretended::default(), &line);
        assert_eq!(exit, Ok(Exit::Done), "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let names: Vec<Value> = events(&[])
        .iter()
        .map(|event| event["name"].clone())
        .collect();
    assert_eq!(names, ["READ", "CREATE", "READ", "READ"]);
    assert_eq!(
        events(&["--failures"])[0]["args"]["status"],
        "OBJECT_NAME_NOT_FOUND"
    );
    assert_eq!(events(&["--count", "2"]).len(), 2);
    assert!(events(&["--process", "5"]).is_empty());
}

#[test]
fn two_traces_are_compared() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| directory.path().join(name));
    saved(&[], &first);
    saved(&["--count", "1"], &second);
    let [first, second] = [&first, &second].map(|path| path.to_str().unwrap());
    let rows = json(&["compare", first, second]);
    assert_eq!(rows[0]["group"], "CREATE");
    assert_eq!(
        (&rows[0]["first_requests"], &rows[0]["second_requests"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        (&rows[0]["p50_ratio"], &rows[0]["second_p50_us"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&rows[1]["p50_ratio"], &rows[1]["first_requests"]),
        (&1.0.into(), &3.into())
    );
    let (_, text) = ran(
        &Pretended::default(),
        &["compare", first, second, "--group-by", "extension"],
    );
    let line = text.lines().nth(1).unwrap();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(line, "(none) 1 0 90.0 µs - - 90.0 µs - - 1 0");
    // What the second alone has comes last.
    let rows = json(&["compare", second, first]);
    assert_eq!(rows[1]["group"], "CREATE");
    let nothing = ran(
        &Pretended::default(),
        &["compare", first, "/nowhere/at/all"],
    );
    assert_eq!(nothing.0, Err(Exit::Failed));
}

/// What has enough after some bytes.
struct Head(usize);

impl std::io::Write for Head {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_may_leave() {
    use crate::arguments::CommandLine;
    use clap::Parser;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    saved(&[], &file);
    let path = file.to_str().unwrap();
    for line in [
        &["compare", path, path][..],
        &["compare", path, path, "--csv"],
        &["replay", path, "--group-by", "path", "--json"],
        &["replay", path],
        &["replay", path, "--trace-events"],
    ] {
        let line = CommandLine::try_parse_from([&["fsglass"], line].concat()).unwrap();
        let ended = super::run(&line, &Pretended::default(), &mut Head(10));
        assert_eq!(ended.unwrap(), Exit::Done);
    }
}
