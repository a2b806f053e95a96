//! Writes the list of volumes into a buffer that may be too small for it.

use crate::VERSION;
use crate::volumes::{NO_DEVICE, VolumeRecord, VolumesHeader};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Writes records one behind the other, as long as they fit whole, and counts them all.
pub struct VolumesWriter<'b> {
    buffer: &'b mut [u8],
    /// Bytes of whole records written, the header included.
    filled: usize,
    /// Bytes that everything so far would have.
    needed: usize,
    count: u32,
    total: u32,
}

impl<'b> VolumesWriter<'b> {
    /// Into `buffer`; `None` if it has no room for the header.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Option<Self> {
        const HEADER: usize = size_of::<VolumesHeader>();
        (buffer.len() >= HEADER).then_some(Self {
            buffer,
            filled: HEADER,
            needed: HEADER,
            count: 0,
            total: 0,
        })
    }

    /// Begins the record of what is called `name`.
    pub fn record(&mut self, name: &[u16]) -> RecordWriter<'_, 'b> {
        let start = self.needed;
        let mut record = RecordWriter {
            fits: start == self.filled,
            end: start,
            start,
            fixed: VolumeRecord::new_zeroed(),
            list: self,
        };
        record.fixed.own = U16::new(NO_DEVICE);
        record.skip(size_of::<VolumeRecord>());
        record.fixed.name_units = record.units(name);
        record
    }

    /// Writes the header: the bytes written, and whether every record is among them.
    pub fn finish(self) -> (usize, bool) {
        let header = VolumesHeader {
            version: U32::new(VERSION),
            count: U32::new(self.count),
            total: U32::new(self.total),
            bytes: U32::new(u32::try_from(self.needed).unwrap_or(u32::MAX)),
        };
        // There is room for it: `new` has looked.
        let _written = header.write_to_prefix(self.buffer);
        (self.filled, self.count == self.total)
    }
}

/// A record that is being written.
pub struct RecordWriter<'w, 'b> {
    list: &'w mut VolumesWriter<'b>,
    start: usize,
    end: usize,
    fits: bool,
    fixed: VolumeRecord,
}

impl RecordWriter<'_, '_> {
    /// Makes room for `bytes` bytes: where they begin, if they fit.
    fn skip(&mut self, bytes: usize) -> Option<usize> {
        let at = self.end;
        self.end = at.saturating_add(bytes);
        self.fits &= self.end <= self.list.buffer.len();
        self.fits.then_some(at)
    }

    /// Adds code units, and returns how many.
    fn units(&mut self, units: &[u16]) -> U16 {
        let counted = u16::try_from(units.len()).unwrap_or(u16::MAX);
        for unit in units.iter().take(usize::from(counted)) {
            self.unit(*unit);
        }
        U16::new(counted)
    }

    fn unit(&mut self, unit: u16) {
        if let Some(at) = self.skip(size_of::<u16>())
            && let Some(place) = self.list.buffer.get_mut(at..at + size_of::<u16>())
        {
            place.copy_from_slice(&unit.to_le_bytes());
        }
    }

    /// Adds the next device of the stack, downwards, by the name of its driver; `own`: it is the
    /// filter's own.
    pub fn device(&mut self, driver: &[u16], own: bool) {
        let place = self.fixed.devices.get();
        if own {
            self.fixed.own = U16::new(place);
        }
        self.fixed.devices = U16::new(place.saturating_add(1));
        self.unit(u16::try_from(driver.len()).unwrap_or(u16::MAX));
        self.units(driver);
    }

    /// Ends the record; `fill` sets its fields, but for those that the writer knows.
    pub fn finish(mut self, fill: impl FnOnce(&mut VolumeRecord)) {
        fill(&mut self.fixed);
        let size = self.end - self.start;
        self.fixed.size = U32::new(u32::try_from(size).unwrap_or(u32::MAX));
        self.list.needed = self.end;
        self.list.total = self.list.total.saturating_add(1);
        if self.fits
            && let Some(place) = self.list.buffer.get_mut(self.start..)
            && self.fixed.write_to_prefix(place).is_ok()
        {
            self.list.filled = self.end;
            self.list.count += 1;
        }
    }
}

impl VolumesHeader {
    /// The header of an answer, if there is one.
    #[must_use]
    pub fn of(answer: &[u8]) -> Option<(&Self, &[u8])> {
        Self::ref_from_prefix(answer).ok()
    }
}
