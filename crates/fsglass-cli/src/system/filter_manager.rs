//! What the filter manager tells of filters: FILTER_AGGREGATE_BASIC_INFORMATION, which `fltmc filters` shows.
//!
//! Source: the reference of fltuserstructures.h; the layout is the same for 32 and 64 bits.

use super::Filter;

/// FLTFL_AGGREGATE_INFO_IS_MINIFILTER and FLTFL_AGGREGATE_INFO_IS_LEGACYFILTER.
const MINIFILTER: u32 = 1;
const LEGACY: u32 = 2;

/// Where the lengths and places of names are, behind NextEntryOffset and Flags: of a minifilter after its
/// frame and the number of its instances.
const OF_MINIFILTER: usize = 16;
const OF_LEGACY: usize = 8;

/// The filters in a buffer that the filter manager has filled.
pub fn filters(buffer: &[u8]) -> Vec<Filter> {
    let mut filters = Vec::new();
    let mut rest = buffer;
    while let Some(entry) = Some(rest).filter(|rest| !rest.is_empty()) {
        filters.extend(filter(entry));
        let next = number(entry, 0).unwrap_or(0) as usize;
        rest = entry.get(next..).filter(|_| next != 0).unwrap_or_default();
    }
    filters
}

/// An entry, if it is whole and of a known kind.
fn filter(entry: &[u8]) -> Option<Filter> {
    let (is_legacy, place) = match number(entry, 4)? {
        flags if flags & LEGACY != 0 => (true, OF_LEGACY),
        flags if flags & MINIFILTER != 0 => (false, OF_MINIFILTER),
        _ => return None,
    };
    // A length in bytes, and where the name begins in the entry.
    let length = usize::from(short(entry, place)?);
    let offset = usize::from(short(entry, place + 2)?);
    let name = entry.get(offset..offset + length)?;
    let units: Vec<u16> = name
        .chunks_exact(2)
        .filter_map(|unit| short(unit, 0))
        .collect();
    Some(Filter {
        name: String::from_utf16_lossy(&units),
        is_legacy,
    })
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry with a name, and a length that leads to the next one or is 0.
    fn entry(is_legacy: bool, name: &str, next: u32) -> Vec<u8> {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = (name.len() as u16).to_le_bytes();
        let mut bytes = [next, if is_legacy { LEGACY } else { MINIFILTER }]
            .map(u32::to_le_bytes)
            .concat();
        if is_legacy {
            bytes.extend([length, 12_u16.to_le_bytes()].concat());
        } else {
            // Frame 0, three instances; the altitude is behind the name.
            bytes.extend([0_u32, 3].map(u32::to_le_bytes).concat());
            let altitude = 24 + name.len() as u16;
            bytes.extend([length, 24_u16.to_le_bytes()].concat());
            bytes.extend([2_u16, altitude].map(u16::to_le_bytes).concat());
        }
        bytes.extend(&name);
        bytes.extend(b"1\0");
        bytes
    }

    #[test]
    fn names_and_kinds_are_told() {
        let first = entry(false, "WdFilter", 0);
        let next = first.len() as u32;
        let both = [entry(false, "WdFilter", next), entry(true, "fsglass", 0)].concat();
        let filter = |name: &str, is_legacy| Filter {
            name: name.to_owned(),
            is_legacy,
        };
        assert_eq!(
            filters(&both),
            [filter("WdFilter", false), filter("fsglass", true)]
        );
        assert_eq!(filters(&first), [filter("WdFilter", false)]);
    }

    #[test]
    fn what_is_not_whole_is_left_out() {
        let whole = entry(true, "fsglass", 0);
        // Less than the name.
        for length in 0..whole.len() - 2 {
            assert_eq!(filters(&whole[..length]), []);
        }
        let mut unknown = whole;
        unknown[4] = 0;
        assert_eq!(filters(&unknown), []);
        assert_eq!(filters(&entry(true, "x", u32::MAX)).len(), 1);
    }
}
