//! Entries of the system event log: where an administrator looks.
//!
//! An entry is a code, whose text is in the message table of the driver's
//! image, and strings that stand for `%2`, `%3` … in that text; `%1` is the
//! driver's name, which the I/O manager puts in. An entry has a size between bounds, and counts the strings
//! whose terminators found room in it (L1).
//!
//! Wraps `IoAllocateErrorLogEntry` and `IoWriteErrorLogEntry`.
//! Source: "Writing to the System Event Log", IO_ERROR_LOG_PACKET, IoAllocateErrorLogEntry; the sizes in wdm.h.

#![expect(unsafe_code, reason = "an entry is filled in by pointer")]

use crate::status::Status;
use core::fmt::{Arguments, Write};
use core::marker::PhantomData;
use wdk_sys::{DRIVER_OBJECT, ERROR_LOG_LIMIT_SIZE, IO_ERROR_LOG_PACKET, ntddk};

/// ERROR_LOG_MAXIMUM_SIZE in bytes: on 64-bit Windows the limit itself, since the message that the entry
/// becomes is shorter than any port's.
const MAXIMUM_SIZE: usize = ERROR_LOG_LIMIT_SIZE as usize;
/// Where the strings begin: behind the structure. A shorter entry than that is refused.
const STRINGS: usize = size_of::<IO_ERROR_LOG_PACKET>();
/// Room for the strings and their terminators, in code units.
const ROOM: usize = (MAXIMUM_SIZE - STRINGS) / size_of::<u16>();

/// Whose entries they are: the driver's.
#[derive(Clone, Copy)]
pub struct Source<'d> {
    driver: *mut DRIVER_OBJECT,
    borrow: PhantomData<&'d DRIVER_OBJECT>,
}

impl Source<'_> {
    /// # Safety
    /// `driver` is a driver object that outlives the source.
    pub(crate) const unsafe fn new(driver: *mut DRIVER_OBJECT) -> Self {
        Self {
            driver,
            borrow: PhantomData,
        }
    }

    /// Writes an entry. Strings that do not fit are cut off, the last ones first; each keeps its
    /// terminator, so that none of them is missing in the text.
    /// IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; there is no entry then.
    ///
    /// Rests on IoAllocateErrorLogEntry: "The IoAllocateErrorLogEntry routine allocates an error log entry, and
    /// returns a pointer to the packet that the caller uses to supply information about an I/O error."
    /// Rests on IoWriteErrorLogEntry: "The IoWriteErrorLogEntry routine queues a given error log packet to the
    /// system error logging thread."
    pub fn write(
        self,
        code: u32,
        final_status: Status,
        strings: &[Arguments<'_>],
    ) -> Result<(), Status> {
        let text = Strings::of(strings);
        let units = text.units();
        let bytes = STRINGS + size_of_val(units);
        // SAFETY: the driver object is alive; the size is that of the structure or more, and at most the
        // greatest allowed.
        let entry = unsafe { ntddk::IoAllocateErrorLogEntry(self.driver.cast(), bytes as u8) };
        if entry.is_null() {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        let packet: *mut IO_ERROR_LOG_PACKET = entry.cast();
        // SAFETY: a new entry, zeroed by the DDI, in which the structure lies.
        unsafe { (*packet).ErrorCode = code.cast_signed() };
        // SAFETY: as above.
        unsafe { (*packet).FinalStatus = final_status.0 };
        // SAFETY: as above.
        unsafe { (*packet).NumberOfStrings = text.count };
        // SAFETY: as above.
        unsafe { (*packet).StringOffset = STRINGS as u16 };
        // SAFETY: inside the entry, which has room for the strings from here on.
        let to: *mut u16 = unsafe { entry.byte_add(STRINGS) }.cast();
        // SAFETY: as above; the offset is a multiple of the alignment.
        unsafe { core::ptr::copy_nonoverlapping(units.as_ptr(), to, units.len()) };
        // SAFETY: allocated above, given up here.
        unsafe { ntddk::IoWriteErrorLogEntry(entry) };
        Ok(())
    }
}

/// Terminated strings one behind the other.
///
/// # Invariants
/// `length` is at most [`ROOM`]; `count` of the units before it are terminators, the last of them one.
struct Strings {
    units: [u16; ROOM],
    length: usize,
    count: u16,
    /// Where the text of the string that is added has to end.
    limit: usize,
}

impl Strings {
    fn of(strings: &[Arguments<'_>]) -> Self {
        let mut all = Self {
            units: [0; ROOM],
            length: 0,
            count: 0,
            limit: 0,
        };
        // The first of them; there is no text with more insertions.
        for (string, terminators) in strings.iter().take(ROOM).zip((1..=strings.len()).rev()) {
            all.limit = ROOM.saturating_sub(terminators);
            let _cut_off_where_it_does_not_fit = all.write_fmt(*string);
            // The unit is 0, and there is one: the limit leaves it.
            all.length = (all.length + 1).min(ROOM);
            all.count += 1;
        }
        all
    }

    fn units(&self) -> &[u16] {
        self.units.get(..self.length).unwrap_or(&self.units)
    }
}

impl Write for Strings {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.chars().try_for_each(|char| self.write_char(char))
    }

    fn write_char(&mut self, char: char) -> core::fmt::Result {
        let mut pair = [0; 2];
        let encoded = char.encode_utf16(&mut pair);
        let end = self.length + encoded.len();
        match self.units.get_mut(self.length..end) {
            // A zero in a text would end it, and count as another string.
            Some(place) if end <= self.limit && char != '\0' => {
                place.copy_from_slice(encoded);
                self.length = end;
                Ok(())
            }
            _ => Err(core::fmt::Error),
        }
    }
}
