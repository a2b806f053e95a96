//! What becomes of a create that was answered with STATUS_REPARSE: the name that is opened instead.
//!
//! A driver that has changed `FileName` says `IO_REPARSE`, and that is the name. A file system that has met a reparse
//! point gives its tag and its data, in the request's auxiliary buffer: where a mount point or a symbolic link leads
//! is worked out here, for any other tag no driver above has cared, and the create fails.
//!
//! Sources: DDI of `REPARSE_DATA_BUFFER` and of `FILE_OBJECT`; the symbolic links of the SDK ("Symbolic Links",
//! "Naming a File"); ReactOS for when the buffer is looked at, in the two stages of completion.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests and their auxiliary buffers are shared with drivers by pointer"
)]

use super::{file_name, irp};
use crate::host::memory::try_read;
use crate::nt::{
    FILE_OBJECT, IRP, IRP_CREATE_OPERATION, IrpExt, NTSTATUS, STATUS_IO_REPARSE_DATA_INVALID,
    STATUS_IO_REPARSE_TAG_NOT_HANDLED, STATUS_NAME_TOO_LONG, STATUS_REPARSE, reparse, unicode,
};
use crate::pool;
use crate::processor::object;

const BACKSLASH: u16 = b'\\' as u16;

/// Looks at a create when the last driver is done with it: true if its auxiliary buffer is needed until [`follow`].
///
/// # Safety
/// `irp` has been completed past its top location.
pub(super) unsafe fn keeps_buffer(irp: *mut IRP) -> bool {
    // SAFETY: contract; nobody else has the request.
    let status = unsafe { &mut (*irp).IoStatus };
    // SAFETY: as above; a status block holds a status.
    let reparsed = unsafe { status.Anonymous.Status } == STATUS_REPARSE;
    // SAFETY: as above.
    if !reparsed || unsafe { (*irp).Flags } & IRP_CREATE_OPERATION == 0 {
        return false;
    }
    match status.Information as u32 {
        ..=reparse::RESERVED_RANGE => false,
        reparse::MOUNT_POINT | reparse::SYMBOLIC_LINK => true,
        _ => {
            status.Anonymous.Status = STATUS_IO_REPARSE_TAG_NOT_HANDLED;
            status.Information = 0;
            false
        }
    }
}

/// Puts the name that a reparse point leads to into the file object, where the buffer was kept, and frees that.
///
/// # Safety
/// `irp` was completed past its top and is nobody else's.
pub(super) unsafe fn follow(irp: *mut IRP) {
    // SAFETY: contract.
    unsafe {
        let buffer = std::mem::replace(
            &mut (*irp).Tail.Overlay.AuxiliaryBuffer,
            std::ptr::null_mut(),
        );
        if buffer.is_null() {
            return;
        }
        let named =
            point_at(buffer.addr()).and_then(|data| rename(irp.original_file_object(), &data));
        if let Err(status) = named {
            (*irp).IoStatus.Anonymous.Status = status;
            (*irp).IoStatus.Information = 0;
        }
        pool::free_either(buffer.cast(), irp::completed_by(irp));
    }
}

/// The data of the reparse point at `address`, as long as its header says, which a driver may have written: there may
/// not be so much.
fn point_at(address: usize) -> Result<Vec<u8>, NTSTATUS> {
    let mut data = vec![0; reparse::HEADER];
    let is_there = try_read(address, &mut data);
    let length = reparse::HEADER + reparse::data_length(&data);
    data.resize(length, 0);
    match is_there && try_read(address, &mut data) {
        true => Ok(data),
        false => Err(STATUS_IO_REPARSE_DATA_INVALID),
    }
}

/// # Safety
/// `file` is the file object of a create that is over.
unsafe fn rename(file: *mut FILE_OBJECT, data: &[u8]) -> Result<(), NTSTATUS> {
    // SAFETY: contract.
    let name = unsafe { unicode::units(&raw const (*file).FileName) };
    // SAFETY: a file object keeps its device.
    let device = unsafe { object::name_of((*file).DeviceObject.cast()) };
    let device: Vec<u16> = device.unwrap_or_default().encode_utf16().collect();
    let new = leads_to(&device, name, data)?;
    // SAFETY: contract; the name is in a block of its own, which nobody else uses.
    unsafe { file_name::put(file, &new) };
    Ok(())
}

/// The whole name that is meant by `name` on `device`, of which the reparse point `data` is on the way.
fn leads_to(device: &[u16], name: &[u16], data: &[u8]) -> Result<Vec<u16>, NTSTATUS> {
    /// Units that a name has at most.
    const LONGEST: usize = 0x7FFE;
    let (target, relative) = reparse::substitute(data).ok_or(STATUS_IO_REPARSE_DATA_INVALID)?;
    let parsed = name.len().checked_sub(reparse::unparsed(data) / 2);
    let (parsed, rest) = parsed
        .and_then(|parsed| name.split_at_checked(parsed))
        .ok_or(STATUS_IO_REPARSE_DATA_INVALID)?;
    let mut new = match (relative, target.first() == Some(&BACKSLASH)) {
        (false, _) => target,
        (true, true) => [device, &target].concat(),
        (true, false) => [device, &beside(parsed, &target)].concat(),
    };
    if new.last() == Some(&BACKSLASH) && rest.first() == Some(&BACKSLASH) {
        new.pop();
    }
    new.extend_from_slice(rest);
    if new.len() > LONGEST {
        return Err(STATUS_NAME_TOO_LONG);
    }
    Ok(new)
}

/// The path `target` as it is meant in the directory of `link`, without `.` and `..`.
fn beside(link: &[u16], target: &[u16]) -> Vec<u16> {
    const DOT: u16 = b'.' as u16;
    let parts = |path: &[u16]| -> Vec<Vec<u16>> {
        let parts = path.split(|unit| *unit == BACKSLASH);
        parts
            .filter(|part| !part.is_empty())
            .map(<[u16]>::to_vec)
            .collect()
    };
    let mut path = parts(link);
    path.pop();
    for part in parts(target) {
        match part.as_slice() {
            [DOT] => {}
            [DOT, DOT] => drop(path.pop()),
            _ => path.push(part),
        }
    }
    let path = path
        .into_iter()
        .flat_map(|part| [vec![BACKSLASH], part].concat());
    let path: Vec<u16> = path.collect();
    if path.is_empty() {
        vec![BACKSLASH]
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn leads(tag: u32, target: &str, relative: bool, name: &str, unparsed: usize) -> String {
        let mut data = reparse::leading_to(tag, &wide(target), relative);
        data[reparse::UNPARSED].copy_from_slice(&(2 * unparsed as u16).to_le_bytes());
        let new = leads_to(&wide(r"\Device\V"), &wide(name), &data);
        String::from_utf16(&new.expect("a name")).expect("text")
    }

    #[test]
    fn a_name_goes_on_where_the_point_leads() {
        let link = reparse::SYMBOLIC_LINK;
        for (tag, target, relative, name, unparsed, expected) in [
            (
                reparse::MOUNT_POINT,
                r"\??\D:\",
                false,
                r"\m\a",
                2,
                r"\??\D:\a",
            ),
            (
                reparse::MOUNT_POINT,
                r"\??\D:\x",
                false,
                r"\m",
                0,
                r"\??\D:\x",
            ),
            (link, r"\??\D:\x", false, r"\d\l\a\", 3, r"\??\D:\x\a\"),
            (link, r"\x", true, r"\d\l\a", 2, r"\Device\V\x\a"),
            (link, "x", true, r"\d\l\a", 2, r"\Device\V\d\x\a"),
            (link, r"..\.\y\z", true, r"\d\e\l", 0, r"\Device\V\d\y\z"),
            (link, r"..\..\..", true, r"\d\l\a", 2, r"\Device\V\a"),
        ] {
            assert_eq!(leads(tag, target, relative, name, unparsed), expected);
        }
    }

    #[test]
    fn a_point_that_is_longer_than_its_block_is_an_error() {
        let point = reparse::leading_to(reparse::MOUNT_POINT, &wide("x"), false);
        let block = pool::allocate_for_box(point.len());
        let write = |data: &[u8]| {
            // SAFETY: a block of that size.
            unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), block.cast(), data.len()) };
        };
        write(&point);
        assert_eq!(point_at(block.addr()), Ok(point.clone()));
        let mut longer = point;
        longer[4..6].copy_from_slice(&0xFFF0_u16.to_le_bytes());
        write(&longer);
        assert_eq!(point_at(block.addr()), Err(STATUS_IO_REPARSE_DATA_INVALID));
        assert_eq!(point_at(8), Err(STATUS_IO_REPARSE_DATA_INVALID));
        // SAFETY: the block from above.
        unsafe { pool::free_for_box(block) };
    }

    #[test]
    fn a_name_that_does_not_fit_is_an_error() {
        let mut data = reparse::leading_to(reparse::MOUNT_POINT, &wide("x"), false);
        data[reparse::UNPARSED].copy_from_slice(&8_u16.to_le_bytes());
        let short = leads_to(&[], &wide("abc"), &data);
        assert_eq!(short, Err(STATUS_IO_REPARSE_DATA_INVALID));
        let long = leads_to(&[], &[u16::from(b'a'); 0x8000], &data);
        assert_eq!(long.map(|name| name.len()), Ok(5));
        data[reparse::UNPARSED].copy_from_slice(&0xFFFE_u16.to_le_bytes());
        let long = leads_to(&[], &[u16::from(b'a'); 0x8000], &data);
        assert_eq!(long, Err(STATUS_NAME_TOO_LONG));
    }
}
