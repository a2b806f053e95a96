//! The provider `fsglass`: the records of a trace as ETW events.
//!
//! | keyword | wants |
//! |---|---|
//! | 1 | requests and calls of fast I/O |
//! | 2 | the names of their files too |
//!
//! The id is the one that tools make of the name, so that `*fsglass` finds it.

use super::observation::Completed;
use fsglass_protocol::trace;
use wdm::etw::{
    self, Event, EventMetadata, FieldType, Provider, ProviderTraits, Value, Wanted,
    event_metadata_length, provider_traits_length,
};
use wdm::{time, unicode};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

const NAME: &str = "fsglass";

/// Who writes them. A driver that runs as another service is the same provider.
pub static PROVIDER: Provider = Provider::new(
    wdm::guid(
        0x18b9_aaee,
        0xe508,
        0x5b00,
        [0x29, 0xec, 0xbe, 0xa2, 0xac, 0xb0, 0x6d, 0xee],
    ),
    &TRAITS,
);

static TRAITS: ProviderTraits<{ provider_traits_length(NAME) }> = ProviderTraits::new(NAME);

const REQUESTS: u64 = 1;
const NAMES: u64 = 2;

/// Informational.
const LEVEL: u8 = 4;

const EVENT: &str = "Request";

const FIELDS: &[(&str, FieldType)] = &[
    ("operation", FieldType::Ascii),
    ("minor", FieldType::U8),
    ("status", FieldType::Hex32),
    ("information", FieldType::U64),
    ("duration100ns", FieldType::U64),
    ("flags", FieldType::Hex32),
    ("irpFlags", FieldType::Hex32),
    ("irql", FieldType::U8),
    ("process", FieldType::U32),
    ("thread", FieldType::U32),
    ("fileObject", FieldType::Hex64),
    ("parameter1", FieldType::Hex64),
    ("parameter2", FieldType::Hex64),
    ("volume", FieldType::Text),
    ("name", FieldType::Text),
];

/// From the field behind `operation` to the length of `volume`, as they lie in an event.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Fixed {
    minor: u8,
    status: U32,
    information: U64,
    duration: U64,
    flags: U32,
    irp_flags: U32,
    irql: u8,
    process: U32,
    thread: U32,
    file: U64,
    parameters: [U64; 2],
    volume_length: U16,
}

static REQUEST: Event = Event::new(LEVEL, REQUESTS, &METADATA);

static METADATA: EventMetadata<{ event_metadata_length(EVENT, FIELDS) }> =
    EventMetadata::new(EVENT, FIELDS);

/// Whether sessions want events, and whether with names.
pub const fn wants(wanted: Wanted) -> (bool, bool) {
    let any = wanted.keywords == 0;
    // Level 0 stands for all of them.
    let level = wanted.level == 0 || wanted.level >= LEVEL;
    let requests = wanted.enabled && level && (any || wanted.keywords & REQUESTS != 0);
    (requests, requests && (any || wanted.keywords & NAMES != 0))
}

/// Writes what came back. IRQL: ≤ DISPATCH_LEVEL.
#[inline(never)]
pub fn write(completed: &Completed<'_>, names: bool) {
    let observation = completed.observation;
    let operation = observation.subject.operation.name().as_bytes();
    let volume = observation
        .volume
        .as_ref()
        .map_or(unicode!(""), |volume| volume.name());
    let (name, flags): (&[u16], u32) = if names {
        (observation.named.units(), completed.flags)
    } else {
        (&[], completed.flags & !trace::flags::OF_NAMES)
    };
    // A text has its length in bytes in front; none is longer than that can say.
    let length = |bytes: usize| U16::new(u16::try_from(bytes).unwrap_or(u16::MAX));
    let operation_length = length(operation.len());
    let fixed = Fixed {
        minor: observation.minor,
        status: completed.outcome.status.into(),
        information: completed.outcome.information.into(),
        duration: time::in_100ns(completed.outcome.ticks).into(),
        flags: flags.into(),
        irp_flags: observation.irp_flags.into(),
        irql: completed.irql,
        process: observation.process.into(),
        thread: observation.thread.into(),
        file: observation.file.into(),
        parameters: observation.numbers.map(Into::into),
        volume_length: length(size_of_val(volume.units())),
    };
    let name_length = length(size_of_val(name));
    etw::write(
        &REQUEST,
        [
            Value::of(&operation_length),
            Value::of(operation),
            Value::of(&fixed),
            Value::of(volume.units()),
            Value::of(&name_length),
            Value::of(name),
        ],
    );
}
