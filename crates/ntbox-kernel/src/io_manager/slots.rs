//! Where drivers put the routines that the system calls: their driver objects, and their tables of fast I/O.

#![expect(unsafe_code, reason = "driver objects are copied by address")]

use super::description;
use super::driver::drivers;
use crate::host::memory::{try_read_as, try_read_usize};
use crate::nt::{DRIVER_OBJECT, fast_io};
use crate::verifier::{Slot, major_name};

/// The slot that holds `routine`. Nothing that a driver can have spoiled is trusted.
pub fn slot_of(routine: usize) -> Option<Slot> {
    if routine == 0 {
        return None;
    }
    drivers().into_iter().find_map(|driver| {
        // SAFETY: integers, and pointers that may be null.
        let copy = unsafe { try_read_as::<DRIVER_OBJECT>(driver.addr()) }?;
        let entry = entry_with(&copy, routine)?;
        let name = description::text_of(&copy.DriverName).unwrap_or_default();
        Some(Slot {
            name: format!("{entry} of {name}"),
            driver_entry: copy.DriverInit.map_or(0, |routine| routine as usize),
        })
    })
}

fn entry_with(driver: &DRIVER_OBJECT, routine: usize) -> Option<&'static str> {
    let dispatch = driver.MajorFunction.iter();
    let major = dispatch
        .zip(0..)
        .find(|(slot, _)| slot.is_some_and(|slot| slot as usize == routine));
    if let Some((_, major)) = major {
        return Some(major_name(major));
    }
    if driver
        .DriverUnload
        .is_some_and(|unload| unload as usize == routine)
    {
        return Some("DriverUnload");
    }
    let table = driver.FastIoDispatch.addr();
    let bytes = try_read_usize(table)? as u32 as usize;
    let entries = (1..bytes / size_of::<usize>()).zip(fast_io::ENTRIES);
    entries
        .into_iter()
        .find(|(index, _)| try_read_usize(table + index * size_of::<usize>()) == Some(routine))
        .map(|(_, name)| name)
}
