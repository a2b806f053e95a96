//! `stats` on a pretended Windows.

use super::tests::{ran, running, units};
use crate::error::Exit;
use crate::system::pretended::Pretended;
use fsglass_protocol::{Kind, Operation, OperationRecord, StatisticsWriter, code};
use serde_json::Value;

const FIRST: &str = r"\Device\HarddiskVolume1";
const SECOND: &str = r"\Device\HarddiskVolume2";

/// An answer at that time, in seconds, after that many reads on the first volume: half of them take
/// 10 µs, the others 1 ms.
fn answer(seconds: u64, reads: u64, kept: bool) -> (u32, Vec<u8>) {
    let mut buffer = vec![0; 4096];
    let mut writer = StatisticsWriter::new(&mut buffer).unwrap();
    let read = OperationRecord {
        started: (reads + 3).into(),
        completed: reads.into(),
        bytes: (reads * 4096).into(),
        errors: (reads / 10).into(),
        pended: (reads / 4).into(),
        longest: 12_345.into(),
        ..OperationRecord::default()
    };
    for (number, name) in [FIRST, SECOND].into_iter().enumerate() {
        let mut volume = writer.record(&units(name));
        let [short, long] = [100, 10_000].map(fsglass_protocol::histogram::bucket);
        let half = reads / 2;
        let buckets = [(short, half), (long, reads - half)].into_iter();
        volume.operation(Operation::READ, read, buckets);
        if number == 0 {
            let none = OperationRecord::default();
            volume.operation(Operation::WRITE, none, [].into_iter());
        }
        volume.finish(|fixed| {
            fixed.volume = (number as u32 + 1).into();
            fixed.attached = u8::from(number == 0);
            fixed.kind = Kind::Volume as u8;
        });
    }
    let (written, complete) = writer.finish(|header| {
        header.frequency = 10_000_000.into();
        header.now = (seconds * 10_000_000).into();
        header.kept = u32::from(kept).into();
        header.missed = if kept { 0 } else { 9 }.into();
    });
    assert!(complete);
    buffer.truncate(written);
    (0, buffer)
}

/// A driver that gives these answers, then the last of them again.
fn counting(mut answers: Vec<(u32, Vec<u8>)>, patience: u32) -> Pretended {
    let mut system = running();
    system.answers.insert(code::OBSERVE, (0, vec![]));
    let last = answers.last().unwrap().clone();
    system.answers.insert(code::STATISTICS, last);
    answers.reverse();
    system.once.borrow_mut().insert(code::STATISTICS, answers);
    system.patience.set(patience);
    system
}

#[test]
fn totals_are_shown() {
    let system = counting(vec![answer(100, 1000, true)], 0);
    let (exit, text) = ran(&system, &["stats"]);
    assert_eq!(exit, Ok(Exit::Done));
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("2000 requests, 8.19 MB since"),
        "{text}"
    );
    let cells: Vec<&str> = lines[2].split_whitespace().collect();
    let expected = "C: READ 1000 4.10 MB 10.3 µs 1.02 ms 1.23 ms 25.0 % 100 3";
    assert_eq!(cells.join(" "), expected, "{text}");
    assert!(
        lines[3].starts_with(&format!("{SECOND} (detached)")),
        "{text}"
    );
    assert_eq!(lines.len(), 4, "what did not occur is left out: {text}");
    assert!(
        system
            .sent
            .borrow()
            .iter()
            .any(|(code, input)| { *code == code::OBSERVE && input.ends_with(&[1, 0, 0, 0]) }),
        "it asks for counting while it runs"
    );
}

#[test]
fn an_interval_has_what_happened_in_it() {
    let system = counting(
        vec![
            answer(99, 0, false),
            answer(100, 1000, true),
            answer(104, 1800, true),
        ],
        9,
    );
    let (exit, text) = ran(
        &system,
        &["stats", "--interval", "0.02", "--volume", "c:", "--json"],
    );
    assert_eq!(exit, Ok(Exit::Done));
    let sheet: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sheet["seconds"], 4.0);
    let operations = sheet["operations"].as_array().unwrap();
    assert_eq!(operations.len(), 1, "{text}");
    let read = &operations[0];
    for (name, value) in [
        ("requests", 800.0),
        ("requests_per_second", 200.0),
        ("bytes", 3_276_800.0),
        ("errors", 80.0),
        ("pended_share", 0.25),
        ("in_flight", 3.0),
        ("max_us", 1234.5),
        ("p50_us", 10.3),
    ] {
        assert_eq!(read[name].as_f64(), Some(value), "{name}: {text}");
    }
}

#[test]
fn nothing_counted_is_told() {
    let (_, text) = ran(&counting(vec![answer(1, 0, false)], 0), &["stats"]);
    assert!(text.contains("nothing is counted now"), "{text}");
    assert!(text.contains("9 requests were not counted"), "{text}");
    let (_, text) = ran(&counting(vec![answer(1, 0, true)], 0), &["stats"]);
    assert!(
        !text.contains("nothing is counted now") && !text.contains("not counted"),
        "{text}"
    );
}

#[test]
fn csv_has_one_heading() {
    let answers = (0..30).map(|second| answer(second, second * 100, true));
    let system = counting(answers.collect(), 8);
    let line = ["stats", "--watch", "--interval", "0.01", "--csv"];
    let (exit, text) = ran(&system, &line);
    assert_eq!(exit, Ok(Exit::Done));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let column = reader
        .headers()
        .unwrap()
        .iter()
        .position(|name| name == "requests")
        .unwrap();
    let requests: Vec<String> = reader
        .records()
        .map(|record| record.unwrap()[column].to_owned())
        .collect();
    assert!(
        requests.len() >= 4 && requests.iter().all(|number| number == "100"),
        "{text}"
    );
}

/// On a terminal each sheet is drawn over the one before, and nothing is drawn beyond its edges.
#[test]
fn a_terminal_is_drawn_in_place() {
    let answers = || {
        (0..30)
            .map(|second| answer(second, second * 100, true))
            .collect()
    };
    let line = ["stats", "--watch", "--interval", "0.01"];
    let plain = ran(&counting(answers(), 8), &line).1;
    assert!(!plain.contains('\x1b') && plain.contains("\n\n"), "{plain}");
    let system = Pretended {
        terminal: Some((40, 4)),
        ..counting(answers(), 8)
    };
    let drawn = ran(&system, &line).1;
    let frames: Vec<&str> = drawn.split("\x1b[1;1H").skip(1).collect();
    assert!(frames.len() >= 2, "{drawn:?}");
    for frame in frames {
        assert!(frame.lines().count() <= 4, "{frame:?}");
        for line in frame.lines().filter(|line| !line.starts_with('\x1b')) {
            let text = line.strip_suffix("\x1b[K").unwrap_or(line);
            assert!(text.chars().count() <= 40, "{line:?}");
        }
    }
}
