//! Lists of extended attributes: `FILE_FULL_EA_INFORMATION` and `FILE_GET_EA_INFORMATION`.
//!
//! Source: DDI of the two, and of `IoCheckEaBufferValidity` for what makes a list one.

use super::metadata::{FILE_FULL_EA_INFORMATION, FILE_GET_EA_INFORMATION};
use std::mem::offset_of;

/// How the entries of a list are laid out.
#[derive(Debug)]
pub struct Layout {
    /// Where the length of the name is, a byte.
    name_length: usize,
    /// Where the length of the value is, two bytes; `None` without values.
    value_length: Option<usize>,
    /// Where the name begins.
    name: usize,
}

/// Entries with values, as they are set and returned.
pub const FULL: Layout = Layout {
    name_length: offset_of!(FILE_FULL_EA_INFORMATION, EaNameLength),
    value_length: Some(offset_of!(FILE_FULL_EA_INFORMATION, EaValueLength)),
    name: offset_of!(FILE_FULL_EA_INFORMATION, EaName),
};

/// Names alone, as they are asked for.
pub const ASKED: Layout = Layout {
    name_length: offset_of!(FILE_GET_EA_INFORMATION, EaNameLength),
    value_length: None,
    name: offset_of!(FILE_GET_EA_INFORMATION, EaName),
};

impl Layout {
    /// Bytes from the entry that `list` begins with to the next, 0 in the last one; `None` if it is not whole, or not
    /// well formed.
    fn next(&self, list: &[u8]) -> Option<usize> {
        let next = u32::from_le_bytes(list.get(..4)?.try_into().ok()?) as usize;
        let name_length = usize::from(*list.get(self.name_length)?);
        let value_length = match self.value_length {
            Some(at) => u16::from_le_bytes(list.get(at..at + 2)?.try_into().ok()?).into(),
            None => 0,
        };
        let terminator = self.name + name_length;
        let end = terminator + 1 + value_length;
        let entry = list.get(..end)?;
        let ends_well = entry[self.name..].iter().position(|byte| *byte == 0) == Some(name_length);
        let goes_on = next == 0 || next.is_multiple_of(4) && next >= end;
        (ends_well && goes_on).then_some(next)
    }
}

/// `IoCheckEaBufferValidity`: that `list` is one of such entries, none of which reaches out of it.
///
/// # Errors
/// The offset in bytes of the first entry that is wrong.
pub fn check(list: &[u8], layout: &Layout) -> Result<(), usize> {
    let mut at = 0;
    loop {
        let rest = list.get(at..).unwrap_or_default();
        match layout.next(rest).ok_or(at)? {
            0 => return Ok(()),
            next => at += next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of this layout, each behind the one before it, at four bytes.
    fn list(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut list = Vec::new();
        for (place, (name, value)) in entries.iter().enumerate() {
            let mut entry = vec![0; 4];
            entry.extend([0, name.len() as u8]);
            entry.extend((value.len() as u16).to_le_bytes());
            entry.extend(name.bytes().chain([0]).chain(value.iter().copied()));
            if place + 1 < entries.len() {
                entry.resize(entry.len().next_multiple_of(4), 0);
                let next = (entry.len() as u32).to_le_bytes();
                entry[..4].copy_from_slice(&next);
            }
            list.extend(entry);
        }
        list
    }

    #[test]
    fn a_list_is_one_up_to_its_last_byte() {
        let good = list(&[("ONE", b"1"), ("TWO", &[7; 300]), ("", b"")]);
        assert_eq!(check(&good, &FULL), Ok(()));
        let last = good.len() - 9;
        assert_eq!(check(&good[..good.len() - 1], &FULL), Err(last));
        assert_eq!(check(&[], &FULL), Err(0));
        let names = [4 + 4, 0, 0, 0, 1, b'A', 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(check(&names, &ASKED), Ok(()));
    }

    #[test]
    fn the_entry_that_is_wrong_is_told() {
        let good = list(&[("ONE", b"1"), ("TWO", b"22")]);
        let second = 16;
        for (at, byte, wrong) in [
            (0, 15, 0),              // the next one is not at four bytes,
            (0, 8, 0),               // lies in this one,
            (0, 252, 252),           // or is not there;
            (second, 4, second),     // an entry that goes on within itself;
            (5, 2, 0),               // a name without a terminator,
            (second + 8, 0, second), // or with one too many;
            (second + 6, 3, second), // a value that does not end here.
        ] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(check(&bad, &FULL), Err(wrong), "byte {at} is {byte}");
        }
    }
}
