use super::*;
use core::mem::offset_of;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

/// Sizes and offsets of version 2: a layout that changes asks for a new version.
#[test]
fn the_layouts_are_those_of_version_2() {
    assert_eq!(VERSION, 2);
    assert_eq!(size_of::<Header>(), 4);
    assert_eq!(
        (size_of::<VersionReply>(), offset_of!(VersionReply, driver)),
        (16, 8)
    );
    assert_eq!(
        (
            size_of::<SettingsReply>(),
            offset_of!(SettingsReply, started),
            offset_of!(SettingsReply, memory),
            offset_of!(Memory, files),
        ),
        (80, 16, 32, 32)
    );
    assert_eq!(
        (size_of::<NamedHeader>(), offset_of!(NamedHeader, reserved)),
        (4, 2)
    );
    assert_eq!(size_of::<VolumesHeader>(), 16);
    assert_eq!(
        (size_of::<VolumeRecord>(), offset_of!(VolumeRecord, since)),
        (32, 16)
    );
    assert_eq!(
        (
            size_of::<StatisticsHeader>(),
            size_of::<StatisticsRecord>(),
            size_of::<OperationRecord>(),
            size_of::<BucketRecord>(),
        ),
        (48, 16, 84, 10)
    );
    assert_eq!(
        (
            size_of::<TraceStart>(),
            size_of::<TraceHeader>(),
            size_of::<TraceRecord>(),
            size_of::<VolumeNameRecord>(),
        ),
        (36, 40, 80, 12)
    );
    // Nothing is aligned, so that no compiler pads.
    assert_eq!(align_of::<SettingsReply>() * align_of::<VolumeRecord>(), 1);
    let codes = [
        0xF561_6000,
        0xF561_6004,
        0xF561_6008,
        0xF561_A00C,
        0xF561_A010,
        0xF561_A014,
        0xF561_6018,
        0xF561_A01C,
        0xF561_6022,
        0xF561_A024,
    ];
    assert_eq!(code::ALL, codes);
}

/// A list of two, and its bytes.
fn list(buffer: &mut [u8]) -> (usize, bool) {
    let mut writer = VolumesWriter::new(buffer).unwrap();
    let mut record = writer.record(&[b'C'.into()]);
    record.device(&[b'f'.into()], true);
    record.device(&[b'n'.into(), b't'.into()], false);
    record.finish(|fixed| fixed.kind = Kind::Volume as u8);
    writer.record(&[]).finish(|fixed| {
        fixed.kind = Kind::FileSystem as u8;
        fixed.reason = Reason::Refused as u8;
        fixed.status = U32::new(0xC000_000E);
    });
    writer.finish()
}

#[test]
fn what_is_written_is_read() {
    let mut buffer = [0xAA; 200];
    let (written, complete) = list(&mut buffer);
    assert!(complete);
    let volumes = Volumes::parse(&buffer[..written]).unwrap();
    assert!(volumes.is_complete() && volumes.bytes_needed() == written);
    let mut records = volumes.iter();
    let first = records.next().unwrap().unwrap();
    assert_eq!(
        (first.kind(), first.reason(), first.own()),
        (Kind::Volume, Reason::Attached, Some(0))
    );
    assert!(first.name().iter().eq([u16::from(b'C')]));
    assert_eq!(
        first
            .stack()
            .map(|driver| driver.iter().count())
            .sum::<usize>(),
        3
    );
    let second = records.next().unwrap().unwrap();
    assert_eq!(
        (second.kind(), second.own(), second.status()),
        (Kind::FileSystem, None, 0xC000_000E)
    );
    assert!(second.stack().next().is_none() && records.next().is_none());
}

/// With any length the records that fit are whole, and the size of all is told.
#[test]
fn a_short_buffer_has_whole_records() {
    let mut buffer = [0; 200];
    let (whole, _) = list(&mut buffer);
    for length in 0..whole {
        let mut buffer = [0xAA; 200];
        let Some(part) = buffer.get_mut(..length) else {
            continue;
        };
        if length < size_of::<VolumesHeader>() {
            assert!(VolumesWriter::new(part).is_none());
            continue;
        }
        let (written, complete) = list(part);
        assert!(!complete && written <= length);
        let volumes = Volumes::parse(&buffer[..written]).unwrap();
        assert_eq!(volumes.bytes_needed(), whole);
        assert!(volumes.iter().all(|record| record.is_ok()));
        assert!(
            buffer[length..].iter().all(|byte| *byte == 0xAA),
            "nothing behind the end"
        );
    }
}

/// An answer with any byte changed, and any part of one, is read without a panic and comes to an
/// end; what does not keep to the layout is told.
#[test]
fn nothing_in_an_answer_is_believed() {
    let mut buffer = [0; 200];
    let (written, _) = list(&mut buffer);
    let read = |bytes: &[u8]| -> Option<bool> {
        let volumes = Volumes::parse(bytes).ok()?;
        let mut sound = true;
        for record in volumes.iter() {
            match record {
                Ok(record) => assert!(record.stack().count() <= 200),
                Err(Malformed) => sound = false,
            }
        }
        Some(sound)
    };
    assert_eq!(read(&buffer[..written]), Some(true));
    for length in 0..written {
        assert_ne!(read(&buffer[..length]), Some(true), "{length} bytes");
    }
    let mut told = 0;
    for place in 0..written {
        for value in [0, 1, 7, 0x7F, 0xFF] {
            let mut changed = buffer;
            changed[place] = value;
            told += usize::from(read(&changed[..written]) != Some(true));
        }
    }
    assert!(told > 50, "{told}");
}

#[test]
fn a_request_with_a_name_is_read_as_it_was_written() {
    let mut buffer = [0; MAXIMUM_NAMED];
    let name = "\\Device\\Ü".encode_utf16();
    let length = encode_named(name.clone(), &mut buffer).unwrap();
    let Ok(Request::Attach(read)) = Request::decode(code::ATTACH, &buffer[..length]) else {
        panic!("not understood")
    };
    assert!(read.iter().map(|unit| unit.get()).eq(name));
    let long = |units| encode_named(core::iter::repeat_n(7, units), &mut [0; MAXIMUM_NAMED]);
    assert_eq!((long(0), long(MAXIMUM_NAME + 1)), (None, None));
    assert_eq!(long(MAXIMUM_NAME), Some(MAXIMUM_NAMED));
}

#[test]
fn the_first_mistake_decides() {
    let refused = |code, input: &[u8]| Request::decode(code, input).err();
    assert_eq!(refused(0, &[0; 4]), Some(Refusal::Code));
    assert_eq!(refused(code::VERSION, &[0]), Some(Refusal::Length));
    assert_eq!(refused(code::SETTINGS, &[1, 0, 0]), Some(Refusal::Length));
    assert_eq!(
        refused(code::SETTINGS, &[VERSION as u8 + 1, 0, 0, 0, 9]),
        Some(Refusal::Version)
    );
    assert_eq!(refused(code::SETTINGS, Header::new().as_bytes()), None);
    assert_eq!(
        refused(code::ATTACH, &[VERSION as u8, 0, 0, 0, 0, 0, 0, 0]),
        Some(Refusal::Field)
    );
}
