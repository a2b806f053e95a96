//! IRP_MJ_SET_INFORMATION: positions and names besides what [`super::set`] knows.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are read by pointer"
)]
#![expect(
    non_upper_case_globals,
    reason = "the DDI's information classes are matched by name"
)]

use super::context;
use super::oplocks::Operation;
use super::record::Fields;
use super::rename::Target;
use super::request::Request;
use ntbox_kernel::nt::stack_location::SetFile;
use ntbox_kernel::nt::{
    FileAllocationInformation, FileDispositionInformation, FileDispositionInformationEx,
    FileEndOfFileInformation, FileLinkInformation, FileLinkInformationEx, FilePositionInformation,
    FileRenameInformation, FileRenameInformationEx, FileShortNameInformation,
    FileValidDataLengthInformation, NTSTATUS, STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INVALID_PARAMETER, STATUS_NOT_SAME_DEVICE, STATUS_SUCCESS, unicode,
};

/// What a class sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    /// The position, which is the file object's.
    Position,
    /// A name: a new one beside, or instead of, the old.
    Name {
        /// Beside.
        link: bool,
        /// The buffer starts with flags (the Ex classes).
        extended: bool,
    },
    /// Anything else.
    Other,
}

/// What `class` sets.
fn of(class: i32) -> Setting {
    match class {
        FilePositionInformation => Setting::Position,
        FileRenameInformation => Setting::Name {
            link: false,
            extended: false,
        },
        FileRenameInformationEx => Setting::Name {
            link: false,
            extended: true,
        },
        FileLinkInformation => Setting::Name {
            link: true,
            extended: false,
        },
        FileLinkInformationEx => Setting::Name {
            link: true,
            extended: true,
        },
        _ => Setting::Other,
    }
}

/// The operation by which setting `class` to this breaks oplocks of the file itself, if it does.
pub fn breaks_oplock(class: i32, buffer: &[u8]) -> Option<Operation> {
    // FILE_DISPOSITION_DELETE is the lowest bit of the flags.
    let first = buffer.first().copied().unwrap_or(0);
    match class {
        FileDispositionInformation => (first != 0).then_some(Operation::Delete),
        FileDispositionInformationEx => (first & 1 != 0).then_some(Operation::Delete),
        FileEndOfFileInformation | FileAllocationInformation | FileValidDataLengthInformation => {
            Some(Operation::Size)
        }
        FileShortNameInformation => Some(Operation::Rename),
        _ => matches!(of(class), Setting::Name { link: false, .. }).then_some(Operation::Rename),
    }
}

/// Sets information; an `Err` is the status as well. `STATUS_PENDING`: the request waits.
///
/// # Errors
/// The statuses of the class.
pub fn set(request: &Request, parameters: &SetFile, buffer: &[u8]) -> Result<NTSTATUS, NTSTATUS> {
    let (volume, open, class) = (
        &request.mounted.volume,
        request.open,
        parameters.FileInformationClass,
    );
    match of(class) {
        Setting::Position => {
            volume.state().usable(open)?;
            let position = Fields(buffer).long(0).ok_or(STATUS_INFO_LENGTH_MISMATCH)?;
            if position < 0 {
                return Err(STATUS_INVALID_PARAMETER);
            }
            request.move_to(position);
            Ok(STATUS_SUCCESS)
        }
        Setting::Name { link, extended } => {
            let target = target(request, parameters, buffer, extended)?;
            // What it replaces, or what lies below, may have an oplock.
            Ok(request.with_turn(|effects| match link {
                true => volume.link(open, &target, effects),
                false => volume.rename(open, &target, effects),
            }))
        }
        Setting::Other => {
            // SAFETY: the member of this class.
            let advance_only = unsafe { parameters.Tail.Rename.AdvanceOnly } != 0;
            let advance_only = advance_only && class == FileEndOfFileInformation;
            // What lies below a directory that gets a short name may have an oplock.
            let status = request.with_turn(|effects| {
                volume.set_information(open, class, advance_only, buffer, effects)
            });
            if status == STATUS_SUCCESS {
                note_disposition(request, class);
            }
            Ok(status)
        }
    }
}

/// `FILE_OBJECT.DeletePending` follows the name's state.
fn note_disposition(request: &Request, class: i32) {
    if class == FileDispositionInformation || class == FileDispositionInformationEx {
        let pending = request
            .mounted
            .volume
            .state()
            .is_going(request.open)
            .is_ok_and(|going| going);
        // SAFETY: a request's file object is alive.
        unsafe { (*request.file).DeletePending = pending };
    }
}

/// Where a rename or link goes: the target directory's file object names it, or the buffer.
fn target(
    request: &Request,
    parameters: &SetFile,
    buffer: &[u8],
    extended: bool,
) -> Result<Target, NTSTATUS> {
    let fields = Fields(buffer);
    let flags = match extended {
        true => fields.int(0).ok_or(STATUS_INFO_LENGTH_MISMATCH)?,
        false => u32::from(fields.byte(0).ok_or(STATUS_INFO_LENGTH_MISMATCH)? != 0),
    };
    let length = fields.int(16).ok_or(STATUS_INFO_LENGTH_MISMATCH)?;
    let name = fields
        .units(20, length as usize)
        .ok_or(STATUS_INFO_LENGTH_MISMATCH)?;
    if parameters.FileObject.is_null() {
        return Ok(Target {
            directory: None,
            name,
            flags,
        });
    }
    // SAFETY: the originator's open of the target directory.
    let (mounted, directory) =
        unsafe { context::of_file(parameters.FileObject) }.ok_or(STATUS_INVALID_PARAMETER)?;
    if !std::ptr::eq(mounted, request.mounted) {
        return Err(STATUS_NOT_SAME_DEVICE);
    }
    // SAFETY: the create of the target directory left the last component as its name.
    let name = unsafe { unicode::units(&raw const (*parameters.FileObject).FileName) }.to_vec();
    Ok(Target {
        directory: Some(directory),
        name,
        flags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Breaking Oplocks" has one page for renames, short names and links; a link breaks those of what it replaces alone.
    #[test]
    fn names_break_oplocks_of_the_file() {
        let rename = Some(Operation::Rename);
        assert_eq!(breaks_oplock(FileRenameInformation, &[]), rename);
        assert_eq!(breaks_oplock(FileShortNameInformation, &[]), rename);
        assert_eq!(breaks_oplock(FileLinkInformation, &[]), None);
        assert_eq!(breaks_oplock(FilePositionInformation, &[]), None);
    }
}
