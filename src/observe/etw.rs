//! The provider `fsglass`: the records of a trace as ETW events.
//!
//! | keyword | wants |
//! |---|---|
//! | 1 | requests and calls of fast I/O |
//! | 2 | the names of their files too |
//!
//! The id is the one that tools make of the name, so that `*fsglass` finds it.

use super::observation::Observation;
use fsglass_protocol::trace;
use wdm::etw::{
    self, Event, EventMetadata, FieldType, Provider, ProviderTraits, Value, Wanted,
    event_metadata_length, provider_traits_length,
};
use wdm::unicode;
use zerocopy::little_endian::U16;

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

/// Writes what came back, after so many units of 100 ns. IRQL: ≤ DISPATCH_LEVEL.
#[inline(never)]
pub fn write(observation: &mut Observation, hundreds: u64, names: bool) {
    let volume = observation
        .volume
        .as_ref()
        .map_or(unicode!(""), |volume| volume.name());
    let told = &mut observation.told;
    told.duration = hundreds.into();
    // A text has its length in bytes in front; none is longer than that can say.
    let length = |bytes: usize| U16::new(u16::try_from(bytes).unwrap_or(u16::MAX));
    told.volume_length = length(size_of_val(volume.units()));
    let flags = told.flags;
    let name: &[u16] = if names {
        observation.named.units()
    } else {
        told.flags = (flags.get() & !trace::flags::OF_NAMES).into();
        &[]
    };
    let operation = observation.subject.operation.name().as_bytes();
    let (operation_length, name_length) = (length(operation.len()), length(size_of_val(name)));
    etw::write(
        &REQUEST,
        [
            Value::of(&operation_length),
            Value::of(operation),
            Value::of(&*told),
            Value::of(volume.units()),
            Value::of(&name_length),
            Value::of(name),
        ],
    );
    told.flags = flags;
}
