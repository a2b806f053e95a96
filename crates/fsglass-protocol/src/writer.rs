//! Writes the list of volumes.

use crate::sheet::{Sheet, SheetRecord};
use crate::version::VERSION;
use crate::volumes::{NO_DEVICE, VolumeRecord, VolumesHeader};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros};

/// Writes records one behind the other, as long as they fit whole, and counts them all.
pub struct VolumesWriter<'b>(Sheet<'b>);

impl<'b> VolumesWriter<'b> {
    /// Into `buffer`; `None` if it has no room for the header.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Option<Self> {
        Sheet::new(buffer, size_of::<VolumesHeader>()).map(Self)
    }

    /// Begins the record of what is called `name`.
    pub fn record(&mut self, name: &[u16]) -> RecordWriter<'_, 'b> {
        let mut record = RecordWriter {
            record: self.0.record(),
            fixed: VolumeRecord::new_zeroed(),
        };
        record.fixed.own = U16::new(NO_DEVICE);
        record.record.skip(size_of::<VolumeRecord>());
        record.fixed.name_units = U16::new(record.record.units(name));
        record
    }

    /// Writes the header: the bytes written, and whether every record is among them.
    pub fn finish(self) -> (usize, bool) {
        let header = VolumesHeader {
            version: U32::new(VERSION),
            count: U32::new(self.0.count),
            total: U32::new(self.0.total),
            bytes: U32::new(self.0.needed()),
        };
        self.0.finish(&header)
    }
}

/// A record that is being written.
pub struct RecordWriter<'w, 'b> {
    record: SheetRecord<'w, 'b>,
    fixed: VolumeRecord,
}

impl RecordWriter<'_, '_> {
    /// Adds the next device of the stack, downwards, by the name of its driver; `own`: it is the
    /// filter's own.
    pub fn device(&mut self, driver: &[u16], own: bool) {
        let place = self.fixed.devices.get();
        if own {
            self.fixed.own = U16::new(place);
        }
        self.fixed.devices = U16::new(place.saturating_add(1));
        let units = u16::try_from(driver.len()).unwrap_or(u16::MAX);
        self.record.put(&units.to_le_bytes());
        self.record.units(driver);
    }

    /// Ends the record; `fill` sets its fields, but for those that the writer knows.
    pub fn finish(mut self, fill: impl FnOnce(&mut VolumeRecord)) {
        fill(&mut self.fixed);
        self.fixed.size = U32::new(self.record.size());
        self.record.put_at(0, &self.fixed);
        self.record.finish();
    }
}

impl VolumesHeader {
    /// The header of an answer, if there is one.
    #[must_use]
    pub fn of(answer: &[u8]) -> Option<(&Self, &[u8])> {
        Self::ref_from_prefix(answer).ok()
    }
}
