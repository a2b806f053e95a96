//! Reads the list of volumes. Nothing in an answer is believed before it was checked.

use crate::version::VERSION;
use crate::volumes::{Kind, NO_DEVICE, Reason, VolumeRecord, VolumesHeader};
use zerocopy::FromBytes;
use zerocopy::little_endian::U16;

/// An answer that does not keep to the layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// Code units in an answer.
#[derive(Clone, Copy, Debug)]
pub struct Units<'b>(&'b [U16]);

impl<'b> Units<'b> {
    pub(crate) const fn new(units: &'b [U16]) -> Self {
        Self(units)
    }

    /// The code units.
    pub fn iter(self) -> impl Iterator<Item = u16> + 'b {
        self.0.iter().map(|unit| unit.get())
    }
}

/// The answer to [`crate::code::VOLUMES`].
#[derive(Clone, Copy)]
pub struct Volumes<'b> {
    header: &'b VolumesHeader,
    records: &'b [u8],
}

impl<'b> Volumes<'b> {
    /// Over what the driver wrote.
    ///
    /// # Errors
    /// If that has no header of this version.
    pub fn parse(answer: &'b [u8]) -> Result<Self, Malformed> {
        let (header, records) = VolumesHeader::of(answer).ok_or(Malformed)?;
        if header.version.get() != VERSION {
            return Err(Malformed);
        }
        Ok(Self { header, records })
    }

    /// Bytes that the whole list has.
    #[must_use]
    pub fn bytes_needed(&self) -> usize {
        self.header.bytes.get() as usize
    }

    /// Whether every record is in this answer.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.header.count == self.header.total
    }

    /// The records. The first that is malformed is the last.
    pub fn iter(&self) -> impl Iterator<Item = Result<Volume<'b>, Malformed>> + use<'b> {
        records(self.records, self.header.count.get(), Volume::split)
    }
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Volume<'b> {
    fixed: &'b VolumeRecord,
    kind: Kind,
    reason: Reason,
    name: &'b [U16],
    devices: &'b [u8],
}

/// As many records as an answer says that it has, each taken from the front by `split`. The first that is malformed
/// is the last.
pub(crate) fn records<'b, R, F>(
    mut rest: &'b [u8],
    mut left: u32,
    split: F,
) -> impl Iterator<Item = Result<R, Malformed>> + use<'b, R, F>
where
    F: Fn(&'b [u8]) -> Result<(R, &'b [u8]), Malformed>,
{
    core::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let record = split(rest);
        match record {
            Ok((_, after)) => rest = after,
            Err(_) => left = 0,
        }
        Some(record.map(|(record, _)| record))
    })
}

/// A counted string at the front, and what follows it.
fn counted(bytes: &[u8]) -> Result<(&[U16], &[u8]), Malformed> {
    let (count, rest) = U16::ref_from_prefix(bytes).map_err(|_| Malformed)?;
    units(rest, count.get())
}

pub(crate) fn units(bytes: &[u8], count: u16) -> Result<(&[U16], &[u8]), Malformed> {
    <[U16]>::ref_from_prefix_with_elems(bytes, usize::from(count)).map_err(|_| Malformed)
}

impl<'b> Volume<'b> {
    fn split(bytes: &'b [u8]) -> Result<(Self, &'b [u8]), Malformed> {
        let (fixed, _) = VolumeRecord::ref_from_prefix(bytes).map_err(|_| Malformed)?;
        let size = fixed.size.get() as usize;
        let (record, after) = bytes.split_at_checked(size).ok_or(Malformed)?;
        let rest = record.get(size_of::<VolumeRecord>()..).ok_or(Malformed)?;
        let (name, devices) = units(rest, fixed.name_units.get())?;
        let mut rest = devices;
        for _ in 0..fixed.devices.get() {
            rest = counted(rest)?.1;
        }
        let own = fixed.own.get();
        if !rest.is_empty() || (own != NO_DEVICE && own >= fixed.devices.get()) {
            return Err(Malformed);
        }
        let volume = Self {
            fixed,
            kind: Kind::from_byte(fixed.kind).ok_or(Malformed)?,
            reason: Reason::from_byte(fixed.reason).ok_or(Malformed)?,
            name,
            devices,
        };
        Ok((volume, after))
    }

    /// What the record is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is filtered, or why not.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// One of [`crate::class`].
    #[must_use]
    pub fn class(&self) -> u8 {
        self.fixed.class
    }

    /// The FILE_DEVICE_* type.
    #[must_use]
    pub fn device_type(&self) -> u32 {
        self.fixed.device_type.get()
    }

    /// The NTSTATUS of a refusal, or 0.
    #[must_use]
    pub fn status(&self) -> u32 {
        self.fixed.status.get()
    }

    /// Since when, in 100 ns since 1601; `None` where that is not known.
    #[must_use]
    pub fn since(&self) -> Option<u64> {
        let since = self.fixed.since.get();
        (since != 0).then_some(since)
    }

    /// The name of the device.
    #[must_use]
    pub fn name(&self) -> Units<'b> {
        Units(self.name)
    }

    /// The place of the filter's device in [`Volume::stack`].
    #[must_use]
    pub fn own(&self) -> Option<usize> {
        let own = self.fixed.own.get();
        (own != NO_DEVICE).then_some(usize::from(own))
    }

    /// The drivers of the stack, the top first.
    pub fn stack(&self) -> impl Iterator<Item = Units<'b>> + use<'b> {
        let mut rest = self.devices;
        core::iter::from_fn(move || {
            let (name, after) = counted(rest).ok()?;
            rest = after;
            Some(Units(name))
        })
    }
}
