//! File ids in names: with `FILE_OPEN_BY_FILE_ID` the eight bytes of one stand where a name would.

use super::metadata::FILE_OPEN_BY_FILE_ID;

/// How many code units of a name an id takes.
pub const UNITS: usize = 4;

/// The id as units of a name.
pub fn to_units(id: u64) -> [u16; UNITS] {
    [0, 16, 32, 48].map(|shift| (id >> shift) as u16)
}

/// The id in that many units; `None` if it is another number of them.
pub fn of_units(units: &[u16]) -> Option<u64> {
    let units: [u16; UNITS] = units.try_into().ok()?;
    let id = units.into_iter().rev();
    Some(id.fold(0, |id, unit| id << 16 | u64::from(unit)))
}

/// A name that is opened with `options` without the id that ends it, and that.
pub fn name_and_id(name: &[u16], options: u32) -> (&[u16], Option<u64>) {
    let by_id = options & FILE_OPEN_BY_FILE_ID != 0;
    match name.split_last_chunk::<UNITS>() {
        Some((name, id)) if by_id => (name, of_units(id)),
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_units() {
        let id = 0x0123_4567_89AB_D8CD;
        assert_eq!(to_units(id), [0xD8CD, 0x89AB, 0x4567, 0x0123]);
        assert_eq!(of_units(&to_units(id)), Some(id));
        assert_eq!(of_units(&[1, 2, 3]), None);
        let text: Vec<u16> = r"\??\C:\".encode_utf16().collect();
        let name = [&text[..], &to_units(id)].concat();
        let with_id = (&text[..], Some(id));
        assert_eq!(name_and_id(&name, FILE_OPEN_BY_FILE_ID), with_id);
        assert_eq!(name_and_id(&name, 0).1, None);
        assert_eq!(name_and_id(&[1, 2, 3], FILE_OPEN_BY_FILE_ID).1, None);
    }
}
