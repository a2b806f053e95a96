//! Answers and files: what is written is read, in order, and what is cut is told.

use super::event::{Event, Volume};
use super::file::{Block, Reader, Writer};
use super::print::{Form, Printer};
use super::stream::{Answer, Stream};
use crate::system::DriveLetter;
use fsglass_protocol::trace::{flags, record};
use fsglass_protocol::{Operation, TraceHeader, TraceRecord, VERSION, VolumeNameRecord};
use std::rc::Rc;
use zerocopy::{FromZeros, IntoBytes};

/// The device of every event here.
pub const VOLUME: &str = r"\Device\HarddiskVolume1";

/// 2025-01-01, in 100 ns since 1601.
const TIME: u64 = 133_801_632_000_000_000;

/// Pads with zeros to a multiple of 8, and sets the size.
fn record_of(fixed: &[u8], name: &str) -> Vec<u8> {
    let units = name.encode_utf16().flat_map(u16::to_le_bytes);
    let mut bytes: Vec<u8> = fixed.iter().copied().chain(units).collect();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let size = (bytes.len() as u16).to_le_bytes();
    bytes[..2].copy_from_slice(&size);
    bytes
}

/// The record of a volume.
pub fn volume_record(number: u32, name: &str) -> Vec<u8> {
    let mut fixed = VolumeNameRecord::new_zeroed();
    fixed.kind = record::VOLUME;
    fixed.volume = number.into();
    fixed.name_units = (name.encode_utf16().count() as u16).into();
    record_of(fixed.as_bytes(), name)
}

/// A request that was passed on at one tick and took some; a tick is 100 ns.
pub fn request(started: u64, duration: u64, operation: Operation) -> TraceRecord {
    TraceRecord {
        kind: record::COMPLETED,
        operation: operation.number(),
        volume: 1.into(),
        process: 4096.into(),
        thread: 20.into(),
        information: 512.into(),
        started: started.into(),
        duration: duration.into(),
        file: 0xF11E.into(),
        parameters: [8192.into(), 512.into()],
        ..TraceRecord::default()
    }
}

/// Its record.
pub fn completed(mut fixed: TraceRecord, name: &str) -> Vec<u8> {
    fixed.name_units = (name.encode_utf16().count() as u16).into();
    record_of(fixed.as_bytes(), name)
}

/// An answer at tick `now`.
pub fn answer(now: u64, lost: u64, records: &[Vec<u8>]) -> Vec<u8> {
    let header = TraceHeader {
        version: VERSION.into(),
        count: (records.len() as u32).into(),
        lost: lost.into(),
        frequency: 10_000_000.into(),
        now: now.into(),
        time: (TIME + now).into(),
    };
    [header.as_bytes().to_vec(), records.concat()].concat()
}

/// An event as a stream would give it.
pub fn event(started: u64, duration: u64, operation: Operation) -> Event {
    let volume = Volume {
        name: VOLUME.to_owned(),
        letters: vec!["C:".to_owned()],
    };
    Event {
        record: request(started, duration, operation),
        operation,
        volume: Rc::new(volume),
        name: r"\a file".to_owned(),
        time: TIME + started,
        nanoseconds: duration * 100,
    }
}

fn letters() -> Vec<DriveLetter> {
    vec![DriveLetter {
        letter: "C:".to_owned(),
        device: VOLUME.to_owned(),
    }]
}

fn take(stream: &mut Stream, bytes: &[u8], room: usize) -> Vec<u64> {
    let events = stream.take(Answer { bytes, room }, false).unwrap();
    events.iter().map(Event::completed).collect()
}

/// A millisecond.
const MS: u64 = 10_000;

fn completed_at(milliseconds: u64) -> Vec<u8> {
    completed(request(milliseconds * MS - 1, 1, Operation::READ), "")
}

/// When what is in order after an answer has completed, in milliseconds.
fn in_order(stream: &mut Stream, now: u64, room: usize, records: &[u64]) -> Vec<u64> {
    let records: Vec<_> = records.iter().map(|at| completed_at(*at)).collect();
    let bytes = answer(now * MS, 4, &records);
    let events = take(stream, &bytes, room.max(bytes.len()));
    events.into_iter().map(|at| at / MS).collect()
}

/// Two processors: each one's records are in order, and some come an answer late, or later by a thread that
/// was kept from running.
#[test]
fn events_come_in_the_order_of_their_completion() {
    let mut stream = Stream::running(letters());
    let room = 1 << 20;
    assert!(in_order(&mut stream, 10, room, &[3, 9, 5, 7]).is_empty());
    // Those of the first answer, and one that was made before it.
    assert_eq!(
        in_order(&mut stream, 200, room, &[12, 120, 8]),
        [3, 5, 7, 8, 9]
    );
    // Completed before the answer before, made after it.
    assert_eq!(in_order(&mut stream, 210, room, &[110]), [12, 110]);
    // It had no room: what is missing may be older than what is here.
    assert!(in_order(&mut stream, 340, 0, &[300]).is_empty());
    assert_eq!(in_order(&mut stream, 400, room, &[205]), [120, 205]);
    assert!(stream.holds());
    let rest: Vec<u64> = stream.flush().iter().map(Event::completed).collect();
    assert_eq!(rest, [300 * MS]);
    assert_eq!((stream.arrived(), stream.lost()), (10, 4));
}

/// Of a file, events are held back for as long as there is memory for them.
#[test]
fn saved_events_wait_for_others() {
    let mut stream = Stream::saved();
    let room = 1 << 20;
    assert!(in_order(&mut stream, 10, room, &[9]).is_empty());
    assert!(in_order(&mut stream, 100_000, room, &[99_000]).is_empty());
    assert!(in_order(&mut stream, 200_000, room, &[1]).is_empty());
    let many: Vec<u64> = (200_001..300_000).collect();
    assert_eq!(in_order(&mut stream, 300_000, 1 << 30, &many), [1, 9]);
    assert_eq!(stream.flush().len(), 100_000);
}

#[test]
fn times_and_volumes_are_known() {
    let mut stream = Stream::running(letters());
    let wanted = event(100, 50, Operation::WRITE);
    let records = [
        volume_record(1, VOLUME),
        completed(wanted.record, &wanted.name),
    ];
    let bytes = answer(200, 0, &records);
    take(&mut stream, &bytes, 1 << 20);
    let mut got = stream.flush();
    got[0].record.size = 0.into();
    got[0].record.name_units = 0.into();
    assert_eq!(got, [wanted]);
}

#[test]
fn an_answer_that_makes_no_sense_is_refused() {
    let record = completed(request(1, 1, Operation::READ), "");
    let mut wrong = answer(10, 0, &[record]);
    wrong[size_of::<TraceHeader>() + 2] = 77;
    let answer = Answer {
        bytes: &wrong,
        room: 1 << 20,
    };
    assert!(Stream::saved().take(answer, false).is_err());
    assert_eq!(Stream::saved().take(answer, true).unwrap(), []);
}

/// Wherever a file is cut, what comes before the cut is read, and the end is missing.
#[test]
fn a_file_that_was_cut_is_read_up_to_the_cut() {
    let one = |at: u64| completed(request(at, 1, Operation::READ), r"\name");
    let mut whole = Vec::new();
    let mut writer = Writer::new(&mut whole, 1 << 20, &letters()).unwrap();
    writer
        .answer(&answer(10, 0, &[volume_record(1, VOLUME), one(1), one(2)]))
        .unwrap();
    writer.answer(&answer(20, 0, &[one(3)])).unwrap();
    writer.finish(3, 7).unwrap();
    let mut seen = [0; 4];
    let mut before = 0;
    for cut in 0..=whole.len() {
        let Ok(mut reader) = Reader::new(&whole[..cut]) else {
            assert!(cut < 24, "{cut}");
            continue;
        };
        let mut stream = Stream::saved();
        let mut ended = false;
        while let Some(block) = reader.next_block().unwrap() {
            let (bytes, is_cut) = match block {
                Block::Answer(bytes) => (bytes, false),
                Block::CutAnswer(bytes) => (bytes, true),
                Block::Letters(read) => {
                    assert_eq!(read, letters());
                    continue;
                }
                Block::End(end) => {
                    assert_eq!((end.requests.get(), end.lost.get()), (3, 7));
                    ended = true;
                    break;
                }
            };
            let answer = Answer {
                bytes: &bytes,
                room: reader.room,
            };
            stream.take(answer, is_cut).unwrap();
        }
        assert_eq!(ended, cut == whole.len(), "{cut}");
        let records = stream.arrived() as usize;
        assert!(records >= before);
        before = records;
        seen[records] += 1;
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}

/// Whatever bytes of a file are others, reading it ends, and says that it is damaged or has requests.
#[test]
fn a_damaged_file_does_no_harm() {
    let one = |at: u64| completed(request(at, 1, Operation::READ), r"\name");
    let records: Vec<Vec<u8>> = std::iter::once(volume_record(1, VOLUME))
        .chain((1..20).map(one))
        .collect();
    let mut whole = Vec::new();
    let mut writer = Writer::new(&mut whole, 1 << 20, &letters()).unwrap();
    writer.answer(&answer(30, 0, &records)).unwrap();
    writer.finish(19, 0).unwrap();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut refused = 0;
    for round in 0..500 {
        let mut damaged = whole.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..damaged.len());
            damaged[at] = *random.choice(&[0, 1, 0x7F, 0x80, 0xFF]).unwrap();
        }
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &damaged).unwrap();
        let mut summary = crate::report::Summary::default();
        let mut add = |event| -> std::ops::ControlFlow<()> {
            summary.add(event);
            std::ops::ControlFlow::Continue(())
        };
        let wanted = crate::arguments::Wanted::default();
        let read = crate::commands::events_of(path.path(), &wanted, &mut add);
        refused += usize::from(read.is_err());
        assert!(summary.all.requests <= 19, "seed {seed}, round {round}");
        if round % 50 == 0 {
            let origin = crate::report::page::Origin {
                file: String::new(),
                lost: 0,
                cut: false,
            };
            crate::report::page::page(&summary, &origin).unwrap();
        }
    }
    assert!((25..475).contains(&refused), "{refused} of 500");
}

#[test]
fn what_is_no_trace_is_refused() {
    let mut whole = Vec::new();
    Writer::new(&mut whole, 100, &[])
        .unwrap()
        .finish(0, 0)
        .unwrap();
    assert!(Reader::new(&b"MZ"[..]).is_err());
    for (at, byte, part) in [
        (0, 2, "not a trace"),
        (8, 2, "version 2 of files, and this program reads 1 to 1"),
        (
            12,
            0,
            "version 0 of the protocol, and this program reads 1 to 2",
        ),
        (12, 3, "version 3"),
    ] {
        let mut wrong = whole.clone();
        wrong[at] = byte;
        let error = Reader::new(&wrong[..]).err().unwrap();
        let text = error.explained(&crate::system::pretended::Pretended::default());
        assert!(text.contains(part), "{text}");
    }
}

fn printed(form: Form, events: &[Event]) -> String {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, form);
    for event in events {
        printer.print(event).unwrap();
    }
    printer.flush().unwrap();
    drop(printer);
    String::from_utf8(out).unwrap()
}

#[test]
fn events_are_printed() {
    let mut failed = event(10_000_001, 123, Operation::FAST_READ);
    failed.record.status = 0xC000_0034.into();
    failed.record.flags = (flags::DECLINED | flags::NAME_CUT | flags::NAME_OLD).into();
    failed.record.irql = 2;
    failed.name = "a\u{1b}\",b".to_owned();
    let mut created = event(5, 1, Operation::CREATE);
    created.record.parameters = [0x200_0040.into(), 0x8_0000.into()];
    created.record.information = 2.into();
    let events = [created, failed];
    let text = printed(Form::Text, &events);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("TIME"));
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>().join(" "),
        r"00:00:00.0000005 100 ns 4096:20 CREATE -- SUCCESS C: \a file (disposition CREATE, options NON_DIRECTORY_FILE, access WRITE_OWNER) = CREATED"
    );
    assert!(lines[2].contains("ND  OBJECT_NAME_NOT_FOUND"), "{text}");
    assert!(lines[2].contains("~…a\u{fffd}\",b (offset 8192"), "{text}");

    let json = printed(Form::Json, &events);
    let [first, last] = [0, 1].map(|line| {
        serde_json::from_str::<serde_json::Value>(json.lines().nth(line).unwrap()).unwrap()
    });
    assert_eq!(first["options"], 0x200_0040);
    assert_eq!(
        first["details"],
        "disposition CREATE, options NON_DIRECTORY_FILE, access WRITE_OWNER"
    );
    assert_eq!(first["result"], "CREATED");
    assert_eq!(last["result"], serde_json::Value::Null);
    assert_eq!(last["time"], "2025-01-01T00:00:01.0000001Z");
    assert_eq!(last["status"], "0xC0000034");
    assert_eq!(last["offset"], 8192);
    assert_eq!(last["class"], serde_json::Value::Null);
    assert_eq!(last["name_old"], true);

    let csv = printed(Form::Csv, &events);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let heading = reader.headers().unwrap().clone();
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let name = heading.iter().position(|name| name == "name").unwrap();
    assert_eq!(&records[1][name], "a\u{1b}\",b");
    assert_eq!(records.len(), 2);
}

/// A trace that was saved when the protocol had version 1.
#[test]
fn a_trace_of_version_1_is_read() {
    let mut reader = Reader::new(&include_bytes!("version1.fsgtrace")[..]).unwrap();
    let mut stream = Stream::saved();
    while let Some(block) = reader.next_block().unwrap() {
        match block {
            Block::Answer(bytes) => {
                let room = reader.room;
                let bytes = &bytes;
                stream.take(Answer { bytes, room }, false).unwrap();
            }
            Block::Letters(letters) => letters
                .iter()
                .for_each(|letter| stream.add_letter(letter.clone())),
            Block::End(end) => assert_eq!((end.requests.get(), end.lost.get()), (60, 0)),
            Block::CutAnswer(_) => panic!("it is whole"),
        }
    }
    let events = stream.flush();
    assert_eq!(events.len(), 60);
    let text = printed(Form::Text, &events);
    assert!(text.contains(r"WRITE                        --  SUCCESS                   C: \t1\f1.bin (offset 0, length 9000) = 9000"), "{text}");
    assert!(text.contains("fast QUERY_OPEN"), "{text}");
}
