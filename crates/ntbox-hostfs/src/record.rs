//! Information records: laid out byte by byte, copied with the length rules of queries.

use super::waiting::Reply;
use ntbox_kernel::nt::{STATUS_BUFFER_OVERFLOW, STATUS_INFO_LENGTH_MISMATCH, STATUS_SUCCESS};

/// A record being laid out; integers are little-endian, as on every NT machine.
#[derive(Debug, Default)]
pub struct Record {
    bytes: Vec<u8>,
}

impl Record {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }
    /// Appends 64-bit values.
    pub fn long(mut self, values: impl IntoIterator<Item = i64>) -> Self {
        self.bytes
            .extend(values.into_iter().flat_map(i64::to_le_bytes));
        self
    }
    /// Appends 32-bit values.
    pub fn int(mut self, values: impl IntoIterator<Item = u32>) -> Self {
        self.bytes
            .extend(values.into_iter().flat_map(u32::to_le_bytes));
        self
    }
    /// Appends bytes.
    pub fn bytes(mut self, values: &[u8]) -> Self {
        self.bytes.extend_from_slice(values);
        self
    }
    /// Appends code units.
    pub fn units(mut self, units: &[u16]) -> Self {
        self.bytes
            .extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        self
    }
    /// Appends zeroes up to `length` bytes in all.
    pub fn pad_to(mut self, length: usize) -> Self {
        self.bytes.resize(self.bytes.len().max(length), 0);
        self
    }
    /// Bytes so far.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }
    /// The record.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
    /// Copies a record of fixed length: too little room is `STATUS_INFO_LENGTH_MISMATCH`.
    pub fn fixed(self, buffer: &mut [u8]) -> Reply {
        match buffer.get_mut(..self.bytes.len()) {
            Some(room) => {
                room.copy_from_slice(&self.bytes);
                (STATUS_SUCCESS, self.bytes.len())
            }
            None => (STATUS_INFO_LENGTH_MISMATCH, 0),
        }
    }
    /// Copies a record whose first `head` bytes must fit; what else does not is cut off, at
    /// a whole code unit, with `STATUS_BUFFER_OVERFLOW`. `least` is the size of the
    /// declared structure, which a caller must provide at least.
    pub fn cut(self, buffer: &mut [u8], head: usize, least: usize) -> Reply {
        if buffer.len() < least.max(head) {
            return (STATUS_INFO_LENGTH_MISMATCH, 0);
        }
        let fits = self.bytes.len() <= buffer.len();
        let count = if fits {
            self.bytes.len()
        } else {
            buffer.len() - (buffer.len() - head) % 2
        };
        if let (Some(room), Some(bytes)) = (buffer.get_mut(..count), self.bytes.get(..count)) {
            room.copy_from_slice(bytes);
        }
        (
            if fits {
                STATUS_SUCCESS
            } else {
                STATUS_BUFFER_OVERFLOW
            },
            count,
        )
    }
}

/// Reads fields of a record that a caller passed; out of bounds is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }
    /// The byte at `offset`.
    pub fn byte(self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }
    /// The 32-bit value at `offset`.
    pub fn int(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }
    /// The 64-bit value at `offset`.
    pub fn long(self, offset: usize) -> Option<i64> {
        self.array(offset).map(i64::from_le_bytes)
    }
    /// `bytes` bytes of code units at `offset`.
    pub fn units(self, offset: usize, bytes: usize) -> Option<Vec<u16>> {
        let bytes = self.0.get(offset..offset.checked_add(bytes)?)?;
        bytes.len().is_multiple_of(2).then(|| {
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|pair: &[u8; 2]| u16::from_le_bytes(*pair))
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_records_fit_or_fail() {
        let mut room = [0xEE; 9];
        assert_eq!(
            Record::new().long([1]).fixed(&mut room),
            (STATUS_SUCCESS, 8)
        );
        assert_eq!(room, [1, 0, 0, 0, 0, 0, 0, 0, 0xEE]);
        assert_eq!(
            Record::new().long([1, 2]).fixed(&mut room),
            (STATUS_INFO_LENGTH_MISMATCH, 0)
        );
    }

    #[test]
    fn names_are_cut_at_whole_units() {
        let record = || Record::new().int([6]).units(&[0x61, 0x62, 0x63]);
        let mut room = [0xEE; 9];
        assert_eq!(record().cut(&mut room, 4, 8), (STATUS_BUFFER_OVERFLOW, 8));
        assert_eq!(room, [6, 0, 0, 0, 0x61, 0, 0x62, 0, 0xEE]);
        assert_eq!(
            record().cut(&mut room[..7], 4, 8),
            (STATUS_INFO_LENGTH_MISMATCH, 0)
        );
        assert_eq!(record().cut(&mut [0; 10], 4, 8), (STATUS_SUCCESS, 10));
    }

    #[test]
    fn fields_stay_inside() {
        let fields = Fields(&[1, 0, 0, 0, 2]);
        assert_eq!(
            (fields.int(0), fields.int(1), fields.int(2)),
            (Some(1), Some(0x0200_0000), None)
        );
        assert_eq!((fields.byte(4), fields.long(0)), (Some(2), None));
        assert_eq!(fields.units(0, 4), Some(vec![1, 0]));
        assert_eq!(
            (fields.units(0, 3), fields.units(usize::MAX, 4)),
            (None, None)
        );
    }
}
