//! Opening: the name is parsed to a device, the device's volume is mounted, and
//! IRP_MJ_CREATE goes to the top of its stack.
//!
//! DDI: `ZwCreateFile`, `IoCreateFileSpecifyDeviceObjectHint`, IRP_MJ_CREATE,
//! `FAST_IO_QUERY_OPEN` and "Opening a file" in the file-system documentation.

#![expect(
    unsafe_code,
    reason = "devices and file objects are shared with drivers by pointer"
)]

mod target;

use super::access::SYNCHRONIZE;
use super::{access, outcome};
use crate::io_manager::ecp;
use crate::io_manager::identity;

use crate::io_manager::file;
use crate::nt::FILE_NETWORK_OPEN_INFORMATION;
use crate::nt::{
    DEVICE_OBJECT, FILE_OPEN, FILE_OPEN_BY_FILE_ID, FILE_SYNCHRONOUS_IO_ALERT,
    FILE_SYNCHRONOUS_IO_NONALERT, FO_HANDLE_CREATED, HANDLE, IO_REMOUNT, IO_STATUS_BLOCK, NTSTATUS,
    STATUS_INVALID_PARAMETER, STATUS_MOUNT_POINT_NOT_RESOLVED, STATUS_REPARSE,
    STATUS_REPARSE_POINT_NOT_RESOLVED, reparse, unicode,
};
use crate::processor::thread;
use crate::processor::{handle, lifetime};
use std::ptr::null_mut;

use target::Target;

/// How often an open is sent on to another name before it fails: there may be 63 reparse points on a path ("Symbolic
/// Links" in the SDK).
const REPARSE_LIMIT: usize = 64;

/// What an open asks for.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest<'a> {
    /// A full name (`\??\C:\a`), or one relative to `root`.
    pub name: &'a str,
    /// Rest of a name from its first surrogate on that has no partner; see [`unicode::text_and_rest`].
    pub rest: &'a [u16],
    /// With `FILE_OPEN_BY_FILE_ID`: the id of the file, which follows the name.
    pub file_id: Option<u64>,
    /// Handle of the file that `name` is relative to, or null.
    pub root: HANDLE,
    /// Rights asked for; generic ones are mapped.
    pub access: u32,
    /// Initial allocation of a new file, in bytes.
    pub allocation_size: i64,
    /// `FILE_ATTRIBUTE_*` of a new file.
    pub attributes: u32,
    /// `FILE_SHARE_*`.
    pub share: u32,
    /// `FILE_OPEN`, `FILE_CREATE`, …
    pub disposition: u32,
    /// `FILE_DIRECTORY_FILE`, `FILE_SYNCHRONOUS_IO_NONALERT`, …
    pub options: u32,
    /// `FILE_FULL_EA_INFORMATION` entries, or empty.
    pub extended_attributes: &'a [u8],
    /// Names differ in case (no `OBJ_CASE_INSENSITIVE`).
    pub case_sensitive: bool,
    /// A kernel handle (`OBJ_KERNEL_HANDLE`).
    pub kernel_handle: bool,
    /// The name's parent directory is opened (`IO_OPEN_TARGET_DIRECTORY`).
    pub open_target_directory: bool,
    /// Access is checked though the caller is kernel code (`IO_FORCE_ACCESS_CHECK`).
    pub force_access_check: bool,
    /// A page file is opened (`NtCreatePagingFile`).
    pub paging_file: bool,
    /// The request begins at this device instead of the top of the stack, or null.
    pub device_hint: *mut DEVICE_OBJECT,
    /// What goes with the create and stays the caller's, or null.
    pub extra_parameters: *mut ecp::List,
}

impl Default for OpenRequest<'_> {
    fn default() -> Self {
        Self {
            name: "",
            rest: &[],
            file_id: None,
            root: null_mut(),
            access: access::READ,
            allocation_size: 0,
            attributes: 0,
            share: 7,
            disposition: FILE_OPEN,
            options: FILE_SYNCHRONOUS_IO_NONALERT,
            extended_attributes: &[],
            case_sensitive: false,
            kernel_handle: false,
            open_target_directory: false,
            force_access_check: false,
            paging_file: false,
            device_hint: null_mut(),
            extra_parameters: null_mut(),
        }
    }
}

/// `NtCreateFile`: the handle and the status block, or the error. An open may pend; the
/// service waits for it, whatever the options say.
pub fn nt_create_file(request: &OpenRequest<'_>) -> Result<(HANDLE, IO_STATUS_BLOCK), NTSTATUS> {
    outcome::begin();
    outcome::note_waits();
    let _identity = identity::begin();
    let synchronous = request.options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT);
    let granted = access::map_generic(request.access);
    if synchronous.count_ones() == 2
        || synchronous != 0 && granted & SYNCHRONIZE == 0
        || request.disposition > 5
    {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let mut name = request.name.to_owned();
    let mut rest = request.rest.to_owned();
    let mut next = *request;
    for _ in 0..REPARSE_LIMIT {
        let target = Target::parse(&name, next.root, granted, next.device_hint)?;
        let asked = OpenRequest {
            rest: &rest,
            ..next
        };
        let (file, iosb) = target.open(&asked, granted)?;
        // SAFETY: the service wrote the block.
        let status = unsafe { iosb.Anonymous.Status };
        if status == STATUS_REPARSE {
            if iosb.Information == IO_REMOUNT as usize {
                // Another volume is mounted now, or the same one still is: the name leads to it.
                // SAFETY: the creation's reference.
                unsafe { lifetime::dereference(file.cast()) };
                continue;
            }
            // The driver, or what a reparse point leads to, is the name to open instead, in the file object.
            // SAFETY: a file object that was not opened.
            let string = unsafe { &raw const (*file).FileName };
            // SAFETY: as above; a valid string was left there.
            let (text, units) = unicode::text_and_rest(unsafe { unicode::units(string) });
            (name, rest) = (text, units.to_vec());
            // SAFETY: the creation's reference.
            unsafe { lifetime::dereference(file.cast()) };
            next.root = null_mut();
            if iosb.Information as u32 > reparse::RESERVED_RANGE {
                // It was the file's, and what follows is a name.
                next.file_id = None;
                next.options &= !FILE_OPEN_BY_FILE_ID;
                if !next.device_hint.is_null() && !target.is_on_volume_of(&name) {
                    return Err(STATUS_MOUNT_POINT_NOT_RESOLVED);
                }
            }
            continue;
        }
        // SAFETY: the create has succeeded.
        unsafe { file::opened(file) };
        // SAFETY: a live file object.
        unsafe { (*file).Flags |= FO_HANDLE_CREATED };
        // SAFETY: as above.
        let handle = unsafe { handle::open_handle(file.cast(), granted, request.kernel_handle) };
        // SAFETY: the handle keeps the object; the creation's reference goes.
        unsafe { lifetime::dereference(file.cast()) };
        return Ok((handle, iosb));
    }
    Err(STATUS_REPARSE_POINT_NOT_RESOLVED)
}

/// `NtQueryFullAttributesFile`: fast query open first; when the stack declines, the file
/// is opened, asked through fast I/O or an IRP, and closed.
pub fn nt_query_full_attributes_file(
    name: &str,
) -> Result<FILE_NETWORK_OPEN_INFORMATION, NTSTATUS> {
    outcome::begin();
    let _identity = identity::begin();
    let granted = access::FILE_READ_ATTRIBUTES;
    let options = crate::nt::FILE_OPEN_REPARSE_POINT;
    let request = OpenRequest {
        name,
        access: granted,
        options,
        ..OpenRequest::default()
    };
    let target = Target::parse(name, null_mut(), granted, null_mut())?;
    if let Some(answer) = target.query_open(&request, granted)? {
        return answer;
    }
    let (handle, _) = nt_create_file(&request)?;
    let mut information = FILE_NETWORK_OPEN_INFORMATION::default();
    let mut iosb = IO_STATUS_BLOCK::default();
    // SAFETY: the structure is as long as the length says.
    let status = unsafe {
        super::nt_query_information_file(
            handle,
            &raw mut iosb,
            (&raw mut information).cast(),
            size_of_val(&information) as u32,
            crate::nt::FileNetworkOpenInformation,
        )
    };
    handle::close_handle(handle);
    thread::deliver_apcs();
    if status < 0 {
        Err(status)
    } else {
        Ok(information)
    }
}
