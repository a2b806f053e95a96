//! A request in a form that can be told.
//!
//! Reports are made when something is wrong, so nothing is trusted: every
//! structure is copied with a check first.

#![expect(unsafe_code, reason = "kernel structures are copied by address")]

use super::history::{self, Event, History};
use super::{irp, stack, storage, unload_safe};
use crate::host::memory::{try_read, try_read_as};
use crate::nt::irp::control;
use crate::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, FILE_OBJECT, IO_STACK_LOCATION, IRP, IrpExt, Status,
    UNICODE_STRING,
};
use crate::pe_image::describe_code;
use crate::verifier::request::{Happened, Location, Request, State};
use crate::verifier::{major_name, minor_name};

/// Describes a request that should be alive; none if its memory is not readable.
pub fn of_live(irp: *mut IRP) -> Option<Request> {
    // SAFETY: integers and raw pointers only.
    let copy = unsafe { try_read_as::<IRP>(irp as usize) }?;
    let count = copy.StackCount.clamp(0, 64);
    let locations: Vec<(i8, IO_STACK_LOCATION)> = (1..=count)
        .rev()
        .filter_map(|number| {
            // SAFETY: only the address is made here.
            let at = unsafe { irp.location(number) };
            // SAFETY: integers and raw pointers only.
            let location = unsafe { try_read_as(at as usize) };
            location.map(|location| (number, location))
        })
        .collect();
    let current = copy.CurrentLocation;
    // The location that says what is asked: the current one, or the highest in use.
    let telling = locations
        .iter()
        .find(|(number, _)| *number == current)
        .filter(|(_, location)| !location.DeviceObject.is_null())
        .or_else(|| {
            locations
                .iter()
                .find(|(_, location)| !location.DeviceObject.is_null())
        })
        .or(locations.first());
    let function = telling.map_or_else(
        || "no stack location".to_owned(),
        |(_, location)| function_text(location.MajorFunction, location.MinorFunction),
    );
    let file = telling
        .map(|(_, location)| location.FileObject)
        .filter(|file| !file.is_null());
    // SAFETY: a union of which every member is a pointer or an integer.
    let original = unsafe { copy.Tail.Overlay.OriginalFileObject };
    let file = file.or((!original.is_null()).then_some(original));
    // SAFETY: as above.
    let status = unsafe { copy.IoStatus.Anonymous.Status };
    // SAFETY: the IRP was just readable; what lies in front of it is the box's.
    let (events, forgotten) = unsafe { irp::history(irp) }
        .map(History::snapshot)
        .unwrap_or_default();
    Some(Request {
        address: format!("{irp:p}"),
        function,
        volume: file.and_then(volume_of),
        file: file.and_then(name_of_file),
        flags: flags_of(copy.Flags),
        state: Some(State {
            status: Status(status).to_string(),
            pending_returned: copy.PendingReturned,
            cancelled: copy.Cancel,
            current_location: current,
            stack_count: copy.StackCount,
        }),
        locations: locations
            .iter()
            .map(|(number, location)| describe(*number, current, location))
            .collect(),
        history: events.into_iter().map(happened).collect(),
        forgotten,
    })
}

/// Describes the freed request that lay at `address`.
pub fn of_freed(address: usize) -> Option<Request> {
    let retired = history::retired_at(address)?;
    Some(Request {
        address: format!("0x{:x}", retired.irp),
        function: function_text(retired.function.0, retired.function.1),
        volume: Some(retired.file)
            .filter(|file| !file.is_null())
            .and_then(volume_of),
        file: Some(retired.file)
            .filter(|file| !file.is_null())
            .and_then(name_of_file),
        flags: flags_of(retired.flags),
        state: None,
        locations: vec![],
        history: retired.events.into_iter().map(happened).collect(),
        forgotten: retired.forgotten,
    })
}

fn function_text(major: u8, minor: u8) -> String {
    match minor_name(major, minor) {
        Some(minor) => format!("{}/{minor}", major_name(major)),
        None if minor != 0 => format!("{}/0x{minor:02X}", major_name(major)),
        None => major_name(major).to_owned(),
    }
}

fn describe(number: i8, current: i8, location: &IO_STACK_LOCATION) -> Location {
    let flags = [
        (control::PENDING_RETURNED, "pending"),
        (control::ERROR_RETURNED, "error returned"),
        (control::INVOKE_ON_SUCCESS, "on success"),
        (control::INVOKE_ON_ERROR, "on error"),
        (control::INVOKE_ON_CANCEL, "on cancel"),
    ];
    let (routine, context) = with_context(if location.Control & stack::ALWAYS != 0 {
        unload_safe::routine_to_tell(location)
    } else {
        // What an earlier use of the location has left.
        (0, 0)
    });
    Location {
        number,
        current: number == current,
        function: function_text(location.MajorFunction, location.MinorFunction),
        device: name_of_device(location.DeviceObject).unwrap_or_else(|| "none".into()),
        control: flags
            .iter()
            .filter(|(bit, _)| location.Control & bit != 0)
            .map(|(_, text)| *text)
            .collect(),
        completion_routine: routine,
        context,
    }
}

/// Routine and context in words; none without a routine.
fn with_context((routine, context): (usize, usize)) -> (Option<String>, Option<String>) {
    if routine == 0 {
        return (None, None);
    }
    (Some(describe_code(routine)), Some(format!("0x{context:x}")))
}

/// `IRP_…` flags. Those that stand for two things are told by what they mean for a read or write.
fn flags_of(flags: u32) -> Vec<&'static str> {
    let names = [
        (0x001, "IRP_NOCACHE"),
        (0x002, "IRP_PAGING_IO"),
        (0x004, "IRP_SYNCHRONOUS_API"),
        (0x008, "IRP_ASSOCIATED_IRP"),
        (0x010, "IRP_BUFFERED_IO"),
        (0x020, "IRP_DEALLOCATE_BUFFER"),
        (0x040, "IRP_INPUT_OPERATION"),
        (0x080, "IRP_CREATE_OPERATION"),
        (0x100, "IRP_READ_OPERATION"),
        (0x200, "IRP_WRITE_OPERATION"),
        (0x400, "IRP_CLOSE_OPERATION"),
        (0x800, "IRP_DEFER_IO_COMPLETION"),
    ];
    names
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, name)| *name)
        .collect()
}

fn happened(event: Event) -> Happened {
    let (completion_routine, context) = with_context(event.routine);
    Happened {
        completion_routine,
        context,
        what: event.kind.text(),
        device: name_of_device(event.device),
        location: event.kind.has_location().then_some(event.location),
        pending: event.pending,
        status: event
            .kind
            .has_status()
            .then(|| Status(event.status).to_string()),
        place: describe_code(event.site),
        thread: event.thread,
        irql: event.irql,
    }
}

/// The name of the driver that made the device: filter devices have no own one.
fn name_of_device(device: *mut DEVICE_OBJECT) -> Option<String> {
    if device.is_null() {
        return None;
    }
    let name = || {
        // SAFETY: integers and raw pointers only.
        let device = unsafe { try_read_as::<DEVICE_OBJECT>(device as usize) }?;
        // SAFETY: as above; function pointers are nullable and not called.
        let driver = unsafe { try_read_as::<DRIVER_OBJECT>(device.DriverObject as usize) }?;
        text_of(&driver.DriverName)
    };
    Some(name().unwrap_or_else(|| format!("device {device:p}")))
}

pub(super) fn text_of(string: &UNICODE_STRING) -> Option<String> {
    let mut bytes = vec![0; usize::from(string.Length & !1)];
    if bytes.is_empty() || !try_read(string.Buffer as usize, &mut bytes) {
        return None;
    }
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    Some(String::from_utf16_lossy(&units))
}

fn name_of_file(file: *mut FILE_OBJECT) -> Option<String> {
    // SAFETY: integers and raw pointers only.
    let object = unsafe { try_read_as::<FILE_OBJECT>(file as usize) }?;
    // SAFETY: as above; the box keeps the name there.
    let kept = unsafe { try_read_as::<UNICODE_STRING>(object.FileObjectExtension as usize) };
    if let Some(name) = kept.and_then(|kept| text_of(&kept)) {
        return Some(name);
    }
    let name = text_of(&object.FileName)?;
    if name.starts_with('\\')
        || object.RelatedFileObject.is_null()
        || object.RelatedFileObject == file
    {
        return Some(name);
    }
    // SAFETY: as above.
    let related = unsafe { try_read_as::<FILE_OBJECT>(object.RelatedFileObject as usize) }?;
    Some(format!(
        r"{}\{name}",
        text_of(&related.FileName).unwrap_or_default()
    ))
}

fn volume_of(file: *mut FILE_OBJECT) -> Option<String> {
    // SAFETY: integers and raw pointers only.
    let object = unsafe { try_read_as::<FILE_OBJECT>(file as usize) }?;
    // SAFETY: as above; a file object keeps the device it was opened on.
    unsafe { try_read_as::<DEVICE_OBJECT>(object.DeviceObject as usize) }?;
    // SAFETY: the device object is readable.
    let description = unsafe { storage::description_of(object.DeviceObject) };
    match description {
        Some(description) => Some(format!("{}:", description.letter)),
        None => name_of_device(object.DeviceObject),
    }
}

#[cfg(test)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a request is filled in field by field"
)]
mod tests {
    use super::*;
    use crate::nt;
    use crate::nt::unicode::OwnedUnicodeString;

    /// A request of two locations in plain memory.
    fn new_irp() -> (Vec<u64>, *mut IRP) {
        let mut memory = vec![0_u64; nt::irp::size_of_irp(2).div_ceil(8)];
        let irp: *mut IRP = memory.as_mut_ptr().cast();
        // SAFETY: the memory is large enough and zero, which is a valid IRP.
        unsafe { (*irp).StackCount = 2 };
        (memory, irp)
    }

    #[test]
    fn memory_that_is_not_there_tells_nothing() {
        assert!(of_live(0x10 as *mut IRP).is_none());
        assert!(of_freed(0x10).is_none());
    }

    #[test]
    fn a_live_request_is_told_from_its_fields() {
        let name = OwnedUnicodeString::new(r"\FileSystem\Test");
        let path = OwnedUnicodeString::new(r"dir\file.txt");
        let related = OwnedUnicodeString::new(r"\top");
        let (_memory, irp) = new_irp();
        // SAFETY: zero is a valid value of these structures.
        let (mut driver, mut device, mut file, mut parent): (
            DRIVER_OBJECT,
            DEVICE_OBJECT,
            FILE_OBJECT,
            FILE_OBJECT,
        ) = unsafe { std::mem::zeroed() };
        driver.DriverName = name.as_unicode();
        device.DriverObject = &raw mut driver;
        file.FileName = path.as_unicode();
        parent.FileName = related.as_unicode();
        file.RelatedFileObject = &raw mut parent;
        // SAFETY: the IRP and its two locations lie in `_memory`.
        unsafe {
            (*irp).CurrentLocation = 2;
            (*irp).PendingReturned = true;
            (*irp).IoStatus.Anonymous.Status = nt::STATUS_CANCELLED;
            let location = irp.location(2);
            (*location).MajorFunction = nt::IRP_MJ_DIRECTORY_CONTROL as u8;
            (*location).MinorFunction = 2;
            (*location).Control = control::PENDING_RETURNED | control::INVOKE_ON_ERROR;
            (*location).DeviceObject = &raw mut device;
            (*location).FileObject = &raw mut file;
        }
        let request = of_live(irp).unwrap();
        assert_eq!(
            request.function,
            "IRP_MJ_DIRECTORY_CONTROL/IRP_MN_NOTIFY_CHANGE_DIRECTORY"
        );
        assert_eq!(request.file.as_deref(), Some(r"\top\dir\file.txt"));
        assert_eq!(request.volume, None, "the file object has no device");
        let state = request.state.unwrap();
        assert_eq!(
            (
                state.status.as_str(),
                state.pending_returned,
                state.current_location
            ),
            ("STATUS_CANCELLED", true, 2)
        );
        let numbers: Vec<(i8, bool)> = request
            .locations
            .iter()
            .map(|l| (l.number, l.current))
            .collect();
        assert_eq!(numbers, [(2, true), (1, false)]);
        assert_eq!(request.locations[0].device, r"\FileSystem\Test");
        assert_eq!(request.locations[0].control, ["pending", "on error"]);
        assert_eq!(request.locations[1].device, "none");
    }
}
