//! Extended attributes and the lists of them: in requests, in replies, in records.
//!
//! [MS-FSCC] "FileFullEaInformation" says what a name is, [MS-FSA] of the same name what is wrong with a list that is
//! set and how much a file may have.

use super::record::Record;
use super::waiting::Reply;
use ntbox_kernel::nt::extended_attributes::{ASKED, FULL, check};
use ntbox_kernel::nt::{
    FILE_NEED_EA, NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL,
    STATUS_EA_LIST_INCONSISTENT, STATUS_EA_TOO_LARGE, STATUS_INVALID_EA_NAME, STATUS_SUCCESS,
};

/// The bytes that the attributes of a file may have, as [`Attribute::bytes`] counts them.
const MOST: usize = 0x1_0000 - 5;

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// `FILE_NEED_EA` or none.
    pub flags: u8,
    /// Its name, in upper case.
    pub name: Vec<u8>,
    /// Its value; empty in a list that takes it away.
    pub value: Vec<u8>,
}

impl Attribute {
    /// Flags, the lengths of name and value, the name with its terminator, the value.
    fn packed(&self) -> Record {
        let length = (self.value.len() as u16).to_le_bytes();
        Record::new()
            .bytes(&[self.flags, self.name.len() as u8])
            .bytes(&length)
            .bytes(&self.name)
            .bytes(&[0])
            .bytes(&self.value)
    }
    /// Bytes that it takes of [`MOST`].
    fn bytes(&self) -> usize {
        5 + self.name.len() + self.value.len()
    }
    /// Who opens the file has to know it.
    pub fn needed(&self) -> bool {
        u32::from(self.flags) & FILE_NEED_EA != 0
    }
}

/// Whether an attribute may be called so.
fn is_name(name: &[u8]) -> bool {
    let allowed = |byte: &u8| *byte >= 0x20 && !br#"\/:*?"<>|,+=[];"#.contains(byte);
    !name.is_empty() && name.len() < 255 && name.iter().all(allowed)
}

/// The entries of a list that is one, each with its offset.
fn entries<'a>(
    list: &'a [u8],
    entry: impl Fn(&'a [u8]) -> Option<Attribute>,
) -> Vec<(usize, Attribute)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((rest, next)) = list
        .get(at..)
        .and_then(|rest| Some((rest, rest.first_chunk()?)))
    {
        let Some(attribute) = entry(rest) else { break };
        found.push((at, attribute));
        match u32::from_le_bytes(*next) as usize {
            0 => break,
            next => at += next,
        }
    }
    found
}

/// The attributes of a list of `FILE_FULL_EA_INFORMATION`, each with its offset.
fn given(list: &[u8]) -> Result<Vec<(usize, Attribute)>, (NTSTATUS, usize)> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    check(list, &FULL).map_err(|wrong| (STATUS_EA_LIST_INCONSISTENT, wrong))?;
    Ok(entries(list, |entry| {
        let (flags, name) = (*entry.get(4)?, usize::from(*entry.get(5)?));
        let value = u16::from_le_bytes(*entry.get(6..)?.first_chunk()?);
        let value_at = 8 + name + 1;
        Some(Attribute {
            flags,
            name: entry.get(8..8 + name)?.to_ascii_uppercase(),
            value: entry.get(value_at..value_at + usize::from(value))?.to_vec(),
        })
    }))
}

/// The names of a list of `FILE_GET_EA_INFORMATION`, as attributes without values.
pub fn asked(list: &[u8]) -> Result<Vec<Attribute>, (NTSTATUS, usize)> {
    check(list, &ASKED).map_err(|wrong| (STATUS_EA_LIST_INCONSISTENT, wrong))?;
    let names = entries(list, |entry| {
        let name = usize::from(*entry.get(4)?);
        Some(Attribute {
            flags: 0,
            name: entry.get(5..5 + name)?.to_ascii_uppercase(),
            value: Vec::new(),
        })
    });
    let mut once: Vec<Attribute> = Vec::new();
    for (at, name) in names {
        if !is_name(&name.name) {
            return Err((STATUS_INVALID_EA_NAME, at));
        }
        if !once.contains(&name) {
            once.push(name);
        }
    }
    Ok(once)
}

/// `attributes` after `list` was set; an error with the offset of the entry that is wrong.
pub fn set(attributes: &[Attribute], list: &[u8]) -> Result<Vec<Attribute>, (NTSTATUS, usize)> {
    let mut new = attributes.to_vec();
    for (at, attribute) in given(list)? {
        if !is_name(&attribute.name) || u32::from(attribute.flags) & !FILE_NEED_EA != 0 {
            return Err((STATUS_INVALID_EA_NAME, at));
        }
        new.retain(|old| old.name != attribute.name);
        if !attribute.value.is_empty() {
            new.push(attribute);
        }
        if new.iter().map(Attribute::bytes).sum::<usize>() > MOST {
            return Err((STATUS_EA_TOO_LARGE, at));
        }
    }
    Ok(new)
}

/// Those of a record.
pub fn unpack(mut bytes: &[u8]) -> Option<Vec<Attribute>> {
    let mut attributes = Vec::new();
    while let [flags, name, low, high, rest @ ..] = bytes {
        let (name, rest) = rest.split_at_checked(usize::from(*name))?;
        let (_, rest) = rest.split_first()?;
        let value = usize::from(u16::from_le_bytes([*low, *high]));
        let (value, rest) = rest.split_at_checked(value)?;
        attributes.push(Attribute {
            flags: *flags,
            name: name.to_vec(),
            value: value.to_vec(),
        });
        bytes = rest;
    }
    bytes.is_empty().then_some(attributes)
}

/// They as a record has them.
pub fn pack(attributes: &[Attribute]) -> Vec<u8> {
    let packed = attributes
        .iter()
        .map(|attribute| attribute.packed().finish());
    packed.collect::<Vec<_>>().concat()
}

/// What the attributes of a file take, as it is told (`FILE_EA_INFORMATION`): with a head, if there are any.
pub fn size(attributes: &[Attribute]) -> u32 {
    match attributes {
        [] => 0,
        some => 4 + some.iter().map(Attribute::bytes).sum::<usize>() as u32,
    }
}

/// Copies whole entries, of `attributes` or its first only; how many, and the reply.
pub fn copy(attributes: &[Attribute], single: bool, buffer: &mut [u8]) -> (usize, Reply) {
    let mut end = 0;
    let mut last: Option<usize> = None;
    let wanted = if single { 1 } else { attributes.len() };
    for (count, attribute) in attributes.iter().take(wanted).enumerate() {
        let record = Record::new().int([0]);
        let record = record.bytes(&attribute.packed().finish()).finish();
        let start = usize::next_multiple_of(end, 4);
        let Some(room) = buffer.get_mut(start..start + record.len()) else {
            return match last {
                Some(_) => (count, (STATUS_BUFFER_OVERFLOW, end)),
                None => (0, (STATUS_BUFFER_TOO_SMALL, 0)),
            };
        };
        room.copy_from_slice(&record);
        if let Some(gap) = buffer.get_mut(end..start) {
            gap.fill(0);
        }
        if let Some(next) = last.and_then(|last| buffer.get_mut(last..last + 4)) {
            let distance = (start - last.unwrap_or(start)) as u32;
            next.copy_from_slice(&distance.to_le_bytes());
        }
        last = Some(start);
        end = start + record.len();
    }
    (wanted, (STATUS_SUCCESS, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["a", "A B", "with.dot", &"n".repeat(254)] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for name in ["", "a:b", "a\\", "a\x1f", "x=y", "[", ";", &"n".repeat(255)] {
            assert!(!is_name(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_record_gives_back_what_was_packed() {
        let attribute = |name: &[u8], value: &[u8]| Attribute {
            flags: 0x80,
            name: name.to_vec(),
            value: value.to_vec(),
        };
        let all = [attribute(b"A", &[0; 300]), attribute(b"BC", &[1])];
        let packed = pack(&all);
        assert_eq!(size(&all) as usize, 4 + packed.len());
        assert_eq!(unpack(&packed).unwrap(), all);
        assert_eq!(unpack(&packed[..packed.len() - 1]), None);
        assert_eq!((size(&[]), unpack(&[])), (0, Some(Vec::new())));
    }
}
