//! Statistics and the trace: what is written is read, and what is wrong is refused.

use crate::trace::{self, MAXIMUM_START, Record, encode_start, flags, ring, wanted};
use crate::*;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, IntoBytes};

/// Two volumes, of which the first has two operations.
fn statistics(buffer: &mut [u8]) -> (usize, bool) {
    let mut writer = StatisticsWriter::new(buffer).unwrap();
    let mut volume = writer.record(&[b'C'.into()]);
    let counted = OperationRecord {
        started: U64::new(5),
        ..OperationRecord::default()
    };
    volume.operation(Operation::READ, counted, [(3, 4), (90, 1)].into_iter());
    volume.operation(Operation::FAST_READ, counted, [].into_iter());
    volume.finish(|fixed| fixed.volume = U32::new(7));
    writer.record(&[]).finish(|_| ());
    writer.finish(|header| header.frequency = U64::new(10_000_000))
}

#[test]
fn statistics_that_are_written_are_read() {
    let mut buffer = [0; 512];
    let (written, complete) = statistics(&mut buffer);
    assert!(complete);
    let read = Statistics::parse(&buffer[..written]).unwrap();
    assert_eq!(read.header.bytes.get() as usize, written);
    assert_eq!(read.header.frequency.get(), 10_000_000);
    let mut volumes = read.iter().map(Result::unwrap);
    let first = volumes.next().unwrap();
    assert_eq!(first.fixed.volume.get(), 7);
    assert!(first.name().iter().eq([u16::from(b'C')]));
    let mut operations = first.operations();
    let (operation, counted, buckets) = operations.next().unwrap();
    assert_eq!((operation, counted.started.get()), (Operation::READ, 5));
    let buckets = buckets
        .iter()
        .map(|one| (one.bucket.get(), one.count.get()));
    assert!(buckets.eq([(3, 4), (90, 1)]));
    assert_eq!(operations.next().unwrap().0, Operation::FAST_READ);
    assert!(operations.next().is_none());
    assert!(volumes.next().unwrap().operations().next().is_none());
    assert!(volumes.next().is_none());
}

/// With any length the volumes that fit are whole, and nothing behind the end is touched.
#[test]
fn a_short_buffer_has_whole_volumes() {
    let mut buffer = [0; 512];
    let (whole, _) = statistics(&mut buffer);
    for length in size_of::<StatisticsHeader>()..whole {
        let mut buffer = [0xAA; 512];
        let (written, complete) = statistics(&mut buffer[..length]);
        assert!(!complete && written <= length);
        let read = Statistics::parse(&buffer[..written]).unwrap();
        assert_eq!(read.header.bytes.get() as usize, whole);
        assert!(read.iter().all(|volume| volume.is_ok()));
        assert!(buffer[length..].iter().all(|byte| *byte == 0xAA));
    }
}

/// Whatever bytes are flipped, reading ends, and says that it is malformed or has a volume.
#[test]
fn malformed_statistics_are_told() {
    let mut sound = [0; 512];
    let (written, _) = statistics(&mut sound);
    let mut told = 0;
    for at in 0..written {
        let mut buffer = sound;
        buffer[at] ^= 0xFF;
        match Statistics::parse(&buffer[..written]) {
            Ok(read) => told += read.iter().take(9).filter(Result::is_err).count(),
            Err(Malformed) => told += 1,
        }
    }
    assert!(told > 20, "{told}");
}

fn start() -> TraceStart {
    TraceStart {
        wanted: U32::new(wanted::NAMES),
        ..TraceStart::new_zeroed()
    }
}

fn decoded(fixed: TraceStart, volume: &[u16], pattern: &[u16]) -> Result<usize, Refusal> {
    let mut buffer = [0; MAXIMUM_START];
    let length = encode_start(fixed, volume, pattern, &mut buffer).unwrap();
    match Request::decode(code::TRACE_START, &buffer[..length])? {
        Request::TraceStart(filter) => {
            assert!(
                filter
                    .volume
                    .iter()
                    .map(|unit| unit.get())
                    .eq(volume.iter().copied())
            );
            assert!(
                filter
                    .pattern
                    .iter()
                    .map(|unit| unit.get())
                    .eq(pattern.iter().copied())
            );
            Ok(length)
        }
        _ => panic!("another request"),
    }
}

#[test]
fn a_trace_that_makes_no_sense_is_refused() {
    assert_eq!(decoded(start(), &[1, 2], &[3]), Ok(4 + 36 + 6));
    let wrong: [fn(&mut TraceStart); 6] = [
        |fixed| fixed.ring_bytes = U32::new(ring::LEAST + 1),
        |fixed| fixed.ring_bytes = U32::new(ring::LEAST / 2),
        |fixed| fixed.ring_bytes = U32::new(ring::GREATEST * 2),
        |fixed| fixed.wanted = U32::new(wanted::ALL + 1),
        |fixed| fixed.wanted = U32::new(0),
        |fixed| fixed.reserved = U32::new(1),
    ];
    for (number, wrong) in wrong.into_iter().enumerate() {
        let mut fixed = start();
        wrong(&mut fixed);
        assert_eq!(decoded(fixed, &[], &[3]), Err(Refusal::Field), "{number}");
    }
    let mut buffer = [0; MAXIMUM_START];
    let length = encode_start(start(), &[1], &[2], &mut buffer).unwrap();
    for wrong in (0..length).chain([length + 1]) {
        let decoded = Request::decode(code::TRACE_START, &buffer[..wrong]);
        assert!(matches!(decoded, Err(Refusal::Length)), "{wrong}");
    }
    assert!(encode_start(start(), &[0; 241], &[], &mut buffer).is_none());
}

#[test]
fn records_of_a_trace_are_read() {
    const SIZE: usize = 80 + 8;
    let record = TraceRecord {
        size: U16::new(SIZE as u16),
        kind: trace::record::COMPLETED,
        operation: Operation::WRITE.number(),
        name_units: U16::new(2),
        flags: U32::new(flags::PENDED),
        ..TraceRecord::default()
    };
    let mut bytes = [0; SIZE + 1];
    record.write_to_prefix(&mut bytes).unwrap();
    bytes[80] = b'a';
    bytes[82] = b'b';
    let (read, after) = Record::split(&bytes).unwrap();
    assert_eq!(after.len(), 1);
    match read {
        Record::Completed(fixed, name) => {
            assert_eq!(*fixed, record);
            assert!(name.iter().eq([u16::from(b'a'), u16::from(b'b')]));
        }
        Record::Volume(..) => panic!("a request"),
    }
    for (at, wrong) in [(0, 200), (0, 1), (2, 9), (3, 30), (6, 5)] {
        let mut bytes = bytes;
        bytes[at] = wrong;
        assert!(Record::split(&bytes).is_err(), "{at}");
    }
}

#[test]
fn operations_are_numbered_and_named() {
    let mut all = 0;
    for operation in Operation::all() {
        assert_eq!(Operation::from_number(operation.number()), Some(operation));
        assert_ne!(operation.name(), "unknown");
        let mut others = Operation::all().filter(|other| *other != operation);
        assert!(others.all(|other| other.name() != operation.name()));
        assert_eq!(operation.is_fast(), operation.name().starts_with("fast "));
        all += 1;
    }
    assert_eq!(all, 28 + 20 + 7 + 4);
    assert_eq!(
        Operation::PAGING_SET_INFORMATION.number() as usize + 1,
        Operation::COUNT
    );
    // Numbers of version 1, which are in files.
    assert_eq!(
        [
            Operation::READ,
            Operation::FAST_READ,
            Operation::FAST_QUERY_OPEN
        ]
        .map(Operation::number),
        [3, 33, 51]
    );
    const { assert!(Operation::COUNT <= 64, "a mask has a bit for each") };
}

#[test]
fn paging_requests_and_calls_are_told_apart() {
    for major in 0..=u8::MAX {
        let plain = Operation::of_request(major, false);
        assert_eq!(plain, Operation::from_number(major).filter(|_| major < 28));
        let paging = Operation::of_request(major, true);
        assert_eq!(paging.map(Operation::plain), plain);
        assert_eq!(paging != plain, [3, 4, 5, 6].contains(&major), "{major}");
    }
    assert!(Operation::PAGING_WRITE.transfers() && !Operation::PAGING_SET_INFORMATION.transfers());
    let filter = Operation::FIRST_FILTER_CALL;
    assert_eq!(
        Operation::from_call(filter - 1),
        Some(Operation::FAST_QUERY_OPEN)
    );
    assert_eq!(
        Operation::from_call(filter),
        Some(Operation::ACQUIRE_FOR_SECTION)
    );
    assert_eq!(
        Operation::from_call(filter + 6),
        Some(Operation::QUERY_OPEN)
    );
    assert!(Operation::from_call(filter + 7).is_none());
}

/// An answer of version 1, as files have it, is read; one of a version to come is not.
#[test]
fn answers_of_the_version_before_are_read() {
    for (version, known) in [
        (0, false),
        (OLDEST_TRACE, true),
        (VERSION, true),
        (VERSION + 1, false),
    ] {
        let mut header = TraceHeader::new_zeroed();
        header.version = U32::new(version);
        assert_eq!(Trace::parse(header.as_bytes()).is_ok(), known, "{version}");
    }
}
