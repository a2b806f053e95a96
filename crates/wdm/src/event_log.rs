//! Entries of the system event log: where an administrator looks.
//!
//! An entry is a code, whose text is in the message table of the driver's
//! image, and strings that stand for `%2`, `%3` … in that text; `%1` is the
//! driver's name, which the I/O manager puts in.
//!
//! Wraps `IoAllocateErrorLogEntry` and `IoWriteErrorLogEntry`.
//! Source: "Writing to the System Event Log".

#![expect(unsafe_code, reason = "an entry is filled in by pointer")]

use crate::status::Status;
use core::fmt::{Arguments, Write};
use core::marker::PhantomData;
use core::mem::offset_of;
use wdk_sys::{DRIVER_OBJECT, IO_ERROR_LOG_PACKET, ntddk};

/// ERROR_LOG_MAXIMUM_SIZE on 64-bit Windows, in bytes.
const MAXIMUM_SIZE: usize = 152;
/// Where the strings begin: in the place of the dump data, of which there is none.
const STRINGS: usize = offset_of!(IO_ERROR_LOG_PACKET, DumpData);
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

    /// Writes an entry. Strings that do not fit are cut off, the last ones first.
    /// IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; there is no entry then.
    pub fn write(
        self,
        code: u32,
        final_status: Status,
        strings: &[Arguments<'_>],
    ) -> Result<(), Status> {
        let mut text = Strings::new();
        for string in strings {
            text.add(*string);
        }
        let units = text.units();
        let bytes = STRINGS + size_of_val(units);
        // SAFETY: the driver object is alive; the size is at most the greatest allowed, and at
        // least that of the structure's fields that are written below.
        let entry = unsafe { ntddk::IoAllocateErrorLogEntry(self.driver.cast(), bytes as u8) };
        if entry.is_null() {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        let packet: *mut IO_ERROR_LOG_PACKET = entry.cast();
        // SAFETY: a new entry, zeroed by the DDI, that reaches to the dump data.
        unsafe { (*packet).ErrorCode = code.cast_signed() };
        // SAFETY: as above.
        unsafe { (*packet).FinalStatus = final_status.0 };
        // SAFETY: as above.
        unsafe { (*packet).NumberOfStrings = strings.len() as u16 };
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
struct Strings {
    units: [u16; ROOM],
    length: usize,
}

impl Strings {
    const fn new() -> Self {
        let units = [0; ROOM];
        Self { units, length: 0 }
    }

    fn add(&mut self, text: Arguments<'_>) {
        let _cut_off_where_it_does_not_fit = self.write_fmt(text);
        // There is always room for the terminator: `write_char` leaves it.
        self.length = (self.length + 1).min(ROOM);
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
            Some(place) if end < ROOM => {
                place.copy_from_slice(encoded);
                self.length = end;
                Ok(())
            }
            _ => Err(core::fmt::Error),
        }
    }
}
