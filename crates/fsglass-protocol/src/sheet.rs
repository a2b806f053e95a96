//! A buffer that is filled with records, and may be too small for them.

use zerocopy::{Immutable, IntoBytes};

/// Takes records one behind the other, as long as they fit whole, and counts them all.
pub(crate) struct Sheet<'b> {
    buffer: &'b mut [u8],
    /// Bytes of whole records written, the header included.
    filled: usize,
    /// Bytes that everything so far would have.
    needed: usize,
    /// Records written.
    pub(crate) count: u32,
    /// Records seen.
    pub(crate) total: u32,
}

impl<'b> Sheet<'b> {
    /// Over `buffer`, with room for a header in front; `None` if that does not fit.
    pub(crate) fn new(buffer: &'b mut [u8], header: usize) -> Option<Self> {
        (buffer.len() >= header).then_some(Self {
            buffer,
            filled: header,
            needed: header,
            count: 0,
            total: 0,
        })
    }

    /// Begins a record.
    pub(crate) fn record(&mut self) -> SheetRecord<'_, 'b> {
        let start = self.needed;
        SheetRecord {
            fits: start == self.filled,
            start,
            end: start,
            sheet: self,
        }
    }

    /// Bytes that all records have, the header included.
    pub(crate) fn needed(&self) -> u32 {
        u32::try_from(self.needed).unwrap_or(u32::MAX)
    }

    /// Writes the header: the bytes written, and whether every record is among them.
    pub(crate) fn finish(self, header: &(impl IntoBytes + Immutable)) -> (usize, bool) {
        // There is room for it: `new` has looked.
        let _written = header.write_to_prefix(self.buffer);
        (self.filled, self.count == self.total)
    }
}

/// A record that is being written.
pub(crate) struct SheetRecord<'w, 'b> {
    sheet: &'w mut Sheet<'b>,
    start: usize,
    end: usize,
    fits: bool,
}

impl SheetRecord<'_, '_> {
    /// Makes room for `bytes` bytes: where they begin in the record.
    pub(crate) fn skip(&mut self, bytes: usize) -> usize {
        let at = self.end;
        self.end = at.saturating_add(bytes);
        self.fits &= self.end <= self.sheet.buffer.len();
        at - self.start
    }

    /// Adds `value`.
    pub(crate) fn put(&mut self, value: &(impl IntoBytes + Immutable)) {
        let at = self.skip(size_of_val(value));
        self.put_at(at, value);
    }

    /// Writes `value` where room was made for it.
    pub(crate) fn put_at(&mut self, at: usize, value: &(impl IntoBytes + Immutable)) {
        if self.fits
            && let Some(place) = self.sheet.buffer.get_mut(self.start + at..)
        {
            let _fits = value.write_to_prefix(place);
        }
    }

    /// Adds code units, and returns how many: what no record can count is left out.
    pub(crate) fn units(&mut self, units: &[u16]) -> u16 {
        let counted = u16::try_from(units.len()).unwrap_or(u16::MAX);
        for unit in units.iter().take(usize::from(counted)) {
            self.put(&unit.to_le_bytes());
        }
        counted
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.end - self.start).unwrap_or(u32::MAX)
    }

    /// Ends the record.
    pub(crate) fn finish(self) {
        self.sheet.needed = self.end;
        self.sheet.total = self.sheet.total.saturating_add(1);
        if self.fits {
            self.sheet.filled = self.end;
            self.sheet.count += 1;
        }
    }
}
