//! Windows' native file calls: an open names one entry of an open directory.
//!
//! The Win32 functions take paths. `NtCreateFile` with a `RootDirectory` is what
//! `openat` is on Linux, and so are renames and links with one.

#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Win32::Foundation::{
    NTSTATUS, RtlNtStatusToDosError, STATUS_BUFFER_OVERFLOW, STATUS_FILE_IS_A_DIRECTORY,
    STATUS_NO_MORE_FILES, STATUS_NO_SUCH_FILE, UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem as win32;
use windows_sys::Win32::System::IO::{DeviceIoControl, IO_STATUS_BLOCK};
use windows_sys::Win32::System::Ioctl::FSCTL_GET_REPARSE_POINT;

/// How an entry is opened.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// `FILE_*` rights; `SYNCHRONIZE` is added.
    pub access: u32,
    /// It is made, and must not be there.
    pub create: bool,
    /// `FILE_DIRECTORY_FILE`, `FILE_NON_DIRECTORY_FILE`, or 0 for either.
    pub kind: u32,
}

/// Opens the entry `name` of `directory`; of an empty name, the directory once more. A reparse
/// point is opened as itself. Others may do with the entry what they like meanwhile.
pub fn open(
    directory: BorrowedHandle<'_>,
    name: &[u16],
    wanted: Wanted,
) -> io::Result<OwnedHandle> {
    let text = text(name)?;
    let attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: directory.as_raw_handle(),
        ObjectName: &raw const text,
        ..OBJECT_ATTRIBUTES::default()
    };
    let mut handle = std::ptr::null_mut();
    let mut block = IO_STATUS_BLOCK::default();
    let disposition = if wanted.create {
        wdk::FILE_CREATE
    } else {
        wdk::FILE_OPEN
    };
    // SAFETY: everything that is pointed to outlives the call, which changes nothing but the
    // handle and the block.
    let status = unsafe {
        wdk::NtCreateFile(
            &raw mut handle,
            wanted.access | win32::SYNCHRONIZE,
            &raw const attributes,
            &raw mut block,
            std::ptr::null(),
            win32::FILE_ATTRIBUTE_NORMAL,
            win32::FILE_SHARE_READ | win32::FILE_SHARE_WRITE | win32::FILE_SHARE_DELETE,
            disposition,
            wanted.kind | wdk::FILE_OPEN_REPARSE_POINT | wdk::FILE_SYNCHRONOUS_IO_NONALERT,
            std::ptr::null(),
            0,
        )
    };
    check(status)?;
    // SAFETY: a new handle, which nobody else knows.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn text(name: &[u16]) -> io::Result<UNICODE_STRING> {
    let bytes = u16::try_from(size_of_val(name)).map_err(|_| io::ErrorKind::InvalidFilename)?;
    Ok(UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: name.as_ptr().cast_mut(),
    })
}

/// Has a call write a value, whose size it is told; what ends with a name may not fit all.
fn written<T: Default>(
    call: impl FnOnce(*mut IO_STATUS_BLOCK, *mut c_void, u32) -> NTSTATUS,
) -> io::Result<T> {
    let mut value = T::default();
    let mut block = IO_STATUS_BLOCK::default();
    let status = call(
        &raw mut block,
        (&raw mut value).cast(),
        size_of::<T>() as u32,
    );
    if status != STATUS_BUFFER_OVERFLOW {
        check(status)?;
    }
    Ok(value)
}

/// A piece of information of fixed size; of one that ends with a name, without it.
///
/// # Safety
/// `T` is the layout of what the class returns.
pub unsafe fn query<T: Default>(
    file: BorrowedHandle<'_>,
    class: wdk::FILE_INFORMATION_CLASS,
) -> io::Result<T> {
    let handle = file.as_raw_handle();
    // SAFETY: an open handle, and room of the length that is given.
    written(|block, room, bytes| unsafe {
        wdk::NtQueryInformationFile(handle, block, room, bytes, class)
    })
}

/// As [`query`], of the volume that the file is on.
///
/// # Safety
/// As there.
pub unsafe fn query_volume<T: Default>(
    file: BorrowedHandle<'_>,
    class: wdk::FS_INFORMATION_CLASS,
) -> io::Result<T> {
    let handle = file.as_raw_handle();
    // SAFETY: an open handle, and room of the length that is given.
    written(|block, room, bytes| unsafe {
        wdk::NtQueryVolumeInformationFile(handle, block, room, bytes, class)
    })
}

/// Sets information whose layout is that of `class`.
pub fn set<T>(
    file: BorrowedHandle<'_>,
    class: wdk::FILE_INFORMATION_CLASS,
    value: &T,
) -> io::Result<()> {
    // SAFETY: a value is readable as long as it is.
    unsafe { set_bytes(file, class, (&raw const *value).cast(), size_of::<T>()) }
}

/// # Safety
/// There are that many readable bytes.
unsafe fn set_bytes(
    file: BorrowedHandle<'_>,
    class: wdk::FILE_INFORMATION_CLASS,
    from: *const u8,
    bytes: usize,
) -> io::Result<()> {
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: an open handle; contract of the function. A value that is not of the class is refused.
    let status = unsafe {
        wdk::NtSetInformationFile(
            file.as_raw_handle(),
            &raw mut block,
            from.cast(),
            bytes as u32,
            class,
        )
    };
    check(status)
}

/// Gives the file the name `name` in `directory`: instead of its own with
/// `FileRenameInformation` and `FileRenameInformationEx`, beside it with `FileLinkInformation`.
/// `flags` are the latter's `FILE_RENAME_*`; classes without flags take
/// `FILE_RENAME_REPLACE_IF_EXISTS`, which is where they have `ReplaceIfExists`.
pub fn set_name(
    file: BorrowedHandle<'_>,
    class: wdk::FILE_INFORMATION_CLASS,
    directory: BorrowedHandle<'_>,
    name: &[u16],
    flags: u32,
) -> io::Result<()> {
    // The layouts of the classes are the same, with the name at the end.
    type Information = wdk::FILE_RENAME_INFORMATION;
    let bytes = size_of::<Information>() + size_of_val(name);
    let mut buffer = vec![0_u64; bytes.div_ceil(8)];
    let information: *mut Information = buffer.as_mut_ptr().cast();
    let header = Information {
        Anonymous: wdk::FILE_RENAME_INFORMATION_0 { Flags: flags },
        RootDirectory: directory.as_raw_handle(),
        FileNameLength: size_of_val(name) as u32,
        FileName: [0],
    };
    // SAFETY: the buffer has room for the header and is aligned for it.
    unsafe { information.write(header) };
    // SAFETY: a place in the buffer.
    let place = unsafe { &raw mut (*information).FileName }.cast::<u16>();
    // SAFETY: the buffer has room for the name behind the header.
    unsafe { place.copy_from_nonoverlapping(name.as_ptr(), name.len()) };
    // SAFETY: the buffer has that many bytes.
    unsafe { set_bytes(file, class, information.cast(), bytes) }
}

/// Names in a directory, without `.` and `..`; with `only`, of the entry that is looked for by that
/// name, as it is written.
pub fn names(directory: BorrowedHandle<'_>, only: Option<&[u16]>) -> io::Result<Vec<Vec<u16>>> {
    // A handle of its own: the position in the directory belongs to the file object.
    let wanted = Wanted {
        access: win32::FILE_LIST_DIRECTORY,
        create: false,
        kind: wdk::FILE_DIRECTORY_FILE,
    };
    let own = open(directory, &[], wanted)?;
    let only = only.map(text).transpose()?;
    let mut buffer = vec![0_u64; 8192];
    let mut names = Vec::new();
    loop {
        let mut block = IO_STATUS_BLOCK::default();
        // SAFETY: an open handle, and room of the length that is given.
        let status = unsafe {
            wdk::NtQueryDirectoryFile(
                own.as_raw_handle(),
                std::ptr::null_mut(),
                None,
                std::ptr::null(),
                &raw mut block,
                buffer.as_mut_ptr().cast(),
                size_of_val(&*buffer) as u32,
                wdk::FileNamesInformation,
                false,
                only.as_ref()
                    .map_or(std::ptr::null(), |only| &raw const *only),
                false,
            )
        };
        if matches!(status, STATUS_NO_MORE_FILES | STATUS_NO_SUCH_FILE) {
            return Ok(names);
        }
        check(status)?;
        // SAFETY: the system has put entries there.
        unsafe { collect(&buffer, &mut names) };
    }
}

/// # Safety
/// The buffer holds a list of `FILE_NAMES_INFORMATION`.
unsafe fn collect(buffer: &[u64], names: &mut Vec<Vec<u16>>) {
    const HEADER: usize = std::mem::offset_of!(wdk::FILE_NAMES_INFORMATION, FileName);
    let mut at = 0;
    loop {
        // SAFETY: contract of the function; entries are aligned to eight bytes, here and below.
        let entry = unsafe { buffer.as_ptr().byte_add(at) }.cast::<wdk::FILE_NAMES_INFORMATION>();
        // SAFETY: as above.
        let next = unsafe { (*entry).NextEntryOffset };
        // SAFETY: as above.
        let bytes = unsafe { (*entry).FileNameLength };
        // SAFETY: the name lies behind the header.
        let first = unsafe { entry.byte_add(HEADER) }.cast::<u16>();
        // SAFETY: as above.
        let name = unsafe { std::slice::from_raw_parts(first, bytes as usize / 2) };
        if !is_dots(name) {
            names.push(name.to_vec());
        }
        if next == 0 {
            return;
        }
        at += next as usize;
    }
}

/// `.` or `..`.
pub fn is_dots(name: &[u16]) -> bool {
    matches!(name, [0x2E] | [0x2E, 0x2E])
}

/// What a reparse point holds.
pub fn reparse_data(file: BorrowedHandle<'_>) -> io::Result<Vec<u8>> {
    let mut data = vec![0_u8; win32::MAXIMUM_REPARSE_DATA_BUFFER_SIZE as usize];
    let mut returned = 0;
    // SAFETY: an open handle, and room of the length that is given.
    let done = unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            FSCTL_GET_REPARSE_POINT,
            std::ptr::null(),
            0,
            data.as_mut_ptr().cast(),
            data.len() as u32,
            &raw mut returned,
            std::ptr::null_mut(),
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    data.truncate(returned as usize);
    Ok(data)
}

fn check(status: NTSTATUS) -> io::Result<()> {
    match status {
        0.. => Ok(()),
        // Win32 has no code of its own for it.
        STATUS_FILE_IS_A_DIRECTORY => Err(io::ErrorKind::IsADirectory.into()),
        _ => {
            // SAFETY: a table is looked up.
            let code = unsafe { RtlNtStatusToDosError(status) };
            Err(io::Error::from_raw_os_error(code as i32))
        }
    }
}
