//! `trace` and `replay` on a pretended Windows.

use super::tests::{ran, running};
use crate::error::Exit;
use crate::system::pretended::{Bytes, Pretended};
use crate::trace::tests::{VOLUME, answer, completed, request, volume_record};
use fsglass_protocol::trace::wanted;
use fsglass_protocol::{Header, Operation, TraceStart, code};
use std::path::Path;
use zerocopy::FromBytes;

/// A control that waits until it is cancelled.
const WAITS: u32 = 0x103;

fn read(at: u64) -> Vec<u8> {
    completed(request(at, 40, Operation::READ), r"\dir\read.txt")
}

fn failed(at: u64) -> Vec<u8> {
    let mut request = request(at, 900, Operation::CREATE);
    request.status = 0xC000_0034.into();
    completed(request, r"\dir\missing")
}

/// A driver that gives these answers, then waits.
fn tracing(answers: Vec<Vec<u8>>) -> Pretended {
    let mut system = running();
    for code in [code::TRACE_START, code::TRACE_STOP] {
        system.answers.insert(code, (0, vec![]));
    }
    system.answers.insert(code::TRACE_READ, (WAITS, vec![]));
    let mut answers: Vec<Bytes> = answers.into_iter().map(|answer| (0, answer)).collect();
    answers.reverse();
    system.once.borrow_mut().insert(code::TRACE_READ, answers);
    // Each answer is asked for once, and the one that waits until it was flushed.
    system.patience.set(500);
    system
}

fn answers() -> Vec<Vec<u8>> {
    vec![
        answer(2000, 0, &[volume_record(1, VOLUME), read(10), failed(20)]),
        // A read that has waited.
        vec![],
        answer(3000, 5, &[read(2500), read(2400)]),
    ]
}

fn codes(system: &Pretended) -> Vec<u32> {
    system.sent.borrow().iter().map(|(code, _)| *code).collect()
}

#[test]
fn requests_are_shown_until_interrupted() {
    let system = tracing(answers());
    let (exit, text) = ran(&system, &["trace", "--names"]);
    assert_eq!(exit, Ok(Exit::Done));
    let seen: Vec<&str> = text.lines().skip(1).map(|line| &line[..16]).collect();
    let expected = [
        "00:00:00.0000010",
        "00:00:00.0000020",
        "00:00:00.0002400",
        "00:00:00.0002500",
    ];
    assert_eq!(seen, expected, "{text}");
    assert!(text.contains(r"C: \dir\missing"), "{text}");
    let told = system.done.borrow().join("\n");
    assert!(
        told.contains("4 requests in") && told.contains("5 lost (larger"),
        "{told}"
    );
    assert_eq!(codes(&system).last(), Some(&code::TRACE_STOP));
}

#[test]
fn it_stops_when_there_are_enough() {
    let system = tracing(answers());
    let (exit, text) = ran(&system, &["trace", "--count", "3", "--csv"]);
    assert_eq!(exit, Ok(Exit::Done));
    assert_eq!(text.lines().count(), 1 + 3, "{text}");
    assert!(system.patience.take() > 0, "nobody had to press Ctrl-C");
}

#[test]
fn the_driver_is_asked_for_what_is_wanted() {
    let system = tracing(vec![]);
    let line = "trace --volume c: --process 77 --operation read --operation FAST_WRITE \
                --name *.txt --slower-than 5ms --failures --ring 64k";
    ran(&system, &line.split_whitespace().collect::<Vec<_>>())
        .0
        .unwrap();
    let sent = system.sent.borrow();
    let (_, input) = sent
        .iter()
        .find(|(code, _)| *code == code::TRACE_START)
        .unwrap();
    let rest = &input[size_of::<Header>()..];
    let (start, rest) = TraceStart::read_from_prefix(rest).unwrap();
    assert_eq!(start.process.get(), 77);
    assert_eq!(start.ring_bytes.get(), 64 << 10);
    assert_eq!(start.slower_than.get(), 50_000);
    assert_eq!(start.wanted.get(), wanted::NAMES | wanted::FAILURES_ONLY);
    let bits = [Operation::READ, Operation::FAST_WRITE].map(|one| 1 << one.number());
    assert_eq!(start.operations.get(), bits[0] | bits[1]);
    let text: Vec<u16> = rest
        .chunks(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    assert_eq!(String::from_utf16(&text).unwrap(), format!("{VOLUME}*.txt"));
}

/// What the driver cannot tell is picked here, live as of a file.
#[test]
fn what_the_driver_cannot_tell_is_picked_here() {
    let lines = |line: &[&str]| {
        let system = tracing(answers());
        let (exit, text) = ran(&system, &[&["trace", "--json"], line].concat());
        assert_eq!(exit, Ok(Exit::Done), "{text}");
        let told = system.done.borrow().join("\n");
        let counted = told.contains(&format!("{} requests in", text.lines().count()));
        assert!(counted, "{told}");
        text.lines().count()
    };
    assert_eq!(lines(&["--status", "SUCCESS"]), 3);
    assert_eq!(lines(&["--exclude-name", "*.txt", "--count", "5"]), 1);
    assert_eq!(lines(&["--exclude-process", "4096"]), 0);

    let sent = |line: &str| {
        let system = tracing(vec![]);
        let (exit, _) = ran(&system, &line.split_whitespace().collect::<Vec<_>>());
        exit.unwrap();
        let sent = system.sent.borrow();
        let mut sent = sent.iter();
        let (_, input) = sent.find(|(code, _)| *code == code::TRACE_START).unwrap();
        let (start, rest) = TraceStart::read_from_prefix(&input[size_of::<Header>()..]).unwrap();
        let units = rest
            .chunks(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        (
            start,
            String::from_utf16(&units.collect::<Vec<_>>()).unwrap(),
        )
    };
    let (start, pattern) = sent(r"trace --path \dir\ --exclude-operation read");
    assert_eq!(
        (pattern.as_str(), start.wanted.get()),
        (r"\dir*", wanted::NAMES)
    );
    assert_eq!(start.operations.get() & 1 << Operation::READ.number(), 0);
    assert_ne!(start.operations.get() & 1 << Operation::WRITE.number(), 0);
    let (start, pattern) = sent("trace --exclude-name *.log");
    assert_eq!((pattern.as_str(), start.wanted.get()), ("", wanted::NAMES));
}

#[test]
fn what_the_driver_cannot_tell_is_not_kept_apart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    let path = file.to_str().unwrap();
    for line in [
        &["trace", "--save", path, "--status", "SUCCESS"][..],
        &[
            "trace",
            "--operation",
            "read",
            "--exclude-operation",
            "read",
        ],
    ] {
        let (exit, text) = ran(&tracing(answers()), line);
        assert_eq!(exit, Err(Exit::Usage), "{text}");
    }
    assert!(!file.exists());
}

/// What this program does itself is left out, unless it is asked for.
#[test]
fn the_tracer_is_not_traced() {
    for (line, lines) in [
        (&["trace", "--json"][..], 0),
        (&["trace", "--json", "--with-self"], 4),
    ] {
        let mut system = tracing(answers());
        system.own_process = Some(4096);
        assert_eq!(ran(&system, line).1.lines().count(), lines);
    }
}

#[test]
fn without_wishes_everything_is_asked_for() {
    let system = tracing(vec![]);
    ran(&system, &["trace"]).0.unwrap();
    let sent = system.sent.borrow();
    let (_, input) = sent
        .iter()
        .find(|(code, _)| *code == code::TRACE_START)
        .unwrap();
    let start = TraceStart::read_from_bytes(&input[size_of::<Header>()..]).unwrap();
    assert_eq!(start.wanted.get(), 0);
    for operation in Operation::all() {
        assert_ne!(start.operations.get() & 1 << operation.number(), 0);
    }
}

#[test]
fn a_trace_that_cannot_be_read_is_an_error() {
    let mut system = tracing(vec![]);
    system
        .answers
        .insert(code::TRACE_READ, (0xC000_009D, vec![]));
    let (exit, text) = ran(&system, &["trace"]);
    assert_eq!(exit, Err(Exit::NotRunning));
    assert!(text.contains("0xC000009D"), "{text}");
}

/// Saves a trace, and returns what was told.
pub(super) fn saved(arguments: &[&str], file: &Path) -> String {
    let system = tracing(answers());
    let path = file.to_str().unwrap();
    let line = [&["trace", "--save", path], arguments].concat();
    assert_eq!(ran(&system, &line), (Ok(Exit::Done), String::new()));
    system.done.borrow().join("\n")
}

/// What is shown of a file is what was shown of the driver; the same filters hold.
#[test]
fn a_saved_trace_is_shown_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    let told = saved(&[], &file);
    assert!(
        told.contains("4 requests") && told.contains("5 lost"),
        "{told}"
    );
    let path = file.to_str().unwrap();
    let live = ran(&tracing(answers()), &["trace"]).1;
    let system = Pretended::default();
    assert_eq!(ran(&system, &["replay", path]), (Ok(Exit::Done), live));
    assert!(system.done.borrow()[0].contains("5 records were lost"));
    for (filter, lines) in [
        (&["--failures"][..], 1),
        (&["--operation", "read"], 3),
        (&["--name", "*.TXT"], 3),
        (&["--volume", "C:", "--count", "2"], 2),
        (&["--volume", r"\Device\Other"], 0),
        (&["--slower-than", "50us"], 1),
        (&["--process", "5"], 0),
        (&["--exclude-process", "4096"], 0),
        (&["--path", r"\DIR"], 4),
        (&["--path", r"\dir\mis"], 0),
        (&["--path", r"\dir\missing", "--path", r"\dir\read.txt"], 4),
        (&["--exclude-name", "*.txt"], 1),
        (&["--exclude-operation", "create"], 3),
        (
            &[
                "--status",
                "object_name_not_found",
                "--status",
                "0xC0000043",
            ],
            1,
        ),
        (&["--exclude-status", "STATUS_SUCCESS"], 1),
        (&["--minor", "1"], 0),
    ] {
        let line = [&["replay", path, "--json"], filter].concat();
        let (exit, text) = ran(&Pretended::default(), &line);
        assert_eq!(
            (exit, text.lines().count()),
            (Ok(Exit::Done), lines),
            "{filter:?}"
        );
    }
    let (exit, text) = ran(&Pretended::default(), &["replay", path, "--volume", "Q:"]);
    assert_eq!(exit, Err(Exit::Failed), "{text}");
}

#[test]
fn a_saved_trace_has_no_more_than_was_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    let told = saved(&["--count", "3"], &file);
    assert!(told.contains("3 requests"), "{told}");
    let path = file.to_str().unwrap();
    let (exit, text) = ran(&Pretended::default(), &["replay", path, "--json"]);
    assert_eq!((exit, text.lines().count()), (Ok(Exit::Done), 3));
}

#[test]
fn a_trace_that_was_cut_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    saved(&[], &file);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 40]).unwrap();
    let path = file.to_str().unwrap();
    let system = Pretended::default();
    let (exit, text) = ran(&system, &["replay", path, "--json"]);
    assert_eq!(exit, Ok(Exit::Found));
    assert_eq!(text.lines().count(), 3);
    let told = system.done.borrow().join("\n");
    assert!(told.contains("cut off; it has 3 requests"), "{told}");
    std::fs::write(&file, "something else").unwrap();
    assert_eq!(ran(&system, &["replay", path]).0, Err(Exit::Failed));
}

#[test]
fn a_saved_trace_becomes_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    saved(&[], &file);
    let page = directory.path().join("page.html");
    let (path, output) = (file.to_str().unwrap(), page.to_str().unwrap());
    let system = Pretended::default();
    let line = ["report", path, "-o", output, "--failures"];
    let (exit, text) = ran(&system, &line);
    assert_eq!(exit, Ok(Exit::Done));
    assert!(text.contains("1 requests"), "{text}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(r"C: \dir\missing") && page.contains("OBJECT_NAME_NOT_FOUND"));
    assert!(page.contains("5 records were lost") && !page.contains("read.txt"));
    let nowhere = ["report", path, "-o", "/nowhere/at/all"];
    assert_eq!(ran(&system, &nowhere).0, Err(Exit::Failed));
}

#[test]
fn the_command_line_says_what_there_is() {
    use crate::arguments::CommandLine;
    use clap::Parser;
    for (line, part) in [
        ("fsglass trace --operation rea", "directory-control"),
        ("fsglass trace --ring 5000", "power of two"),
        ("fsglass trace --ring 512M", "16K to 256M"),
        ("fsglass trace --process 0", "1.."),
        ("fsglass trace --status WHATEVER", "SHARING_VIOLATION"),
        ("fsglass replay x --group-by colour", "extension"),
        ("fsglass stats --interval 0", "between"),
        ("fsglass stats --connect 192.0.2.1:1", "loopback"),
    ] {
        let refused = CommandLine::try_parse_from(line.split_whitespace()).unwrap_err();
        assert!(refused.to_string().contains(part), "{line}: {refused}");
    }
}
