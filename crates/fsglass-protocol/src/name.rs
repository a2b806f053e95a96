//! Names of volumes in requests: counted UTF-16, as NT has them.

use crate::request::{Header, Refusal};
use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The most code units in the name of a volume: a longer one is not one that the driver reads.
pub const MAXIMUM_NAME: usize = 240;

/// What stands behind [`Header`] in a request with a name; the name follows.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NamedHeader {
    /// Code units of the name, from 1 to [`MAXIMUM_NAME`].
    pub units: U16,
    /// 0.
    pub reserved: U16,
}

/// The code units of a name, in place.
pub type Name<'b> = &'b [U16];

/// The name behind a header.
pub(crate) fn decode(rest: &[u8]) -> Result<Name<'_>, Refusal> {
    let (header, rest) = NamedHeader::ref_from_prefix(rest).map_err(|_| Refusal::Length)?;
    let units = usize::from(header.units.get());
    if header.reserved != U16::ZERO || units == 0 || units > MAXIMUM_NAME {
        return Err(Refusal::Field);
    }
    <[U16]>::ref_from_bytes_with_elems(rest, units).map_err(|_| Refusal::Length)
}

/// Writes a request with a name into `buffer`, and returns its length; `None` if the name is empty
/// or too long.
#[must_use]
pub fn encode_named(
    name: impl Iterator<Item = u16>,
    buffer: &mut [u8; MAXIMUM_NAMED],
) -> Option<usize> {
    const NAME: usize = size_of::<Header>() + size_of::<NamedHeader>();
    let mut end = NAME;
    for unit in name {
        buffer
            .get_mut(end..end + size_of::<u16>())?
            .copy_from_slice(&unit.to_le_bytes());
        end += size_of::<u16>();
    }
    let units = u16::try_from((end - NAME) / size_of::<u16>()).ok()?;
    let named = NamedHeader {
        units: U16::new(units),
        reserved: U16::ZERO,
    };
    Header::new().write_to_prefix(buffer).ok()?;
    named
        .write_to_prefix(buffer.get_mut(size_of::<Header>()..)?)
        .ok()?;
    (units > 0).then_some(end)
}

/// The most bytes of a request with a name.
pub const MAXIMUM_NAMED: usize =
    size_of::<Header>() + size_of::<NamedHeader>() + MAXIMUM_NAME * size_of::<u16>();
