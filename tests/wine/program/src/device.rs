//! Devices opened by name, and requests that are under way on them.

#![expect(unsafe_code, reason = "overlapped requests have no safe interface")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::ptr::{null, null_mut};

use windows_sys::Wdk::Storage::FileSystem::{FileFsSizeInformation, NtQueryVolumeInformationFile};
use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_IO_PENDING, HANDLE, RtlNtStatusToDosError,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_OVERLAPPED, ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{
    CancelIo, CancelIoEx, DeviceIoControl, GetOverlappedResult, IO_STATUS_BLOCK, OVERLAPPED,
};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, WaitForSingleObject};

/// FILE_FS_SIZE_INFORMATION.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Size {
    /// Allocation units of the volume.
    pub units: i64,
    /// Those that are free.
    pub free_units: i64,
    /// Sectors of an allocation unit.
    pub sectors: u32,
    /// Bytes of a sector.
    pub bytes: u32,
}

/// An open device.
pub struct Device(File);

impl Device {
    /// Opens `path`; requests wait until they are completed.
    pub fn open(path: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self(file))
    }

    /// Opens `path` for requests that go on while the program does.
    pub fn open_overlapped(path: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = options.custom_flags(FILE_FLAG_OVERLAPPED).open(path)?;
        Ok(Self(file))
    }

    /// The file, for what the standard library can do with it.
    pub fn file(&self) -> &File {
        &self.0
    }

    fn handle(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    /// Sends a control request and waits for its output, of at most `room` bytes.
    pub fn control(&self, code: u32, input: &[u8], room: usize) -> io::Result<Vec<u8>> {
        let mut output = vec![0; room];
        let mut length = 0;
        // SAFETY: both buffers are valid for the lengths given with them until the call returns,
        // which on a handle that is not overlapped is when the request is completed.
        let success = unsafe {
            DeviceIoControl(
                self.handle(),
                code,
                input.as_ptr().cast(),
                input.len() as u32,
                output.as_mut_ptr().cast(),
                output.len() as u32,
                &raw mut length,
                null_mut(),
            )
        };
        if success == 0 {
            return Err(io::Error::last_os_error());
        }
        output.truncate(length as usize);
        Ok(output)
    }

    /// Asks for the size of the volume.
    pub fn size(&self) -> io::Result<Size> {
        let mut size = Size::default();
        let mut result = IO_STATUS_BLOCK::default();
        // SAFETY: the structure has the layout of the class and its length is given; the handle
        // is not overlapped, so the request is completed when the call returns.
        let status = unsafe {
            NtQueryVolumeInformationFile(
                self.handle(),
                &raw mut result,
                (&raw mut size).cast(),
                size_of::<Size>() as u32,
                FileFsSizeInformation,
            )
        };
        if status < 0 {
            // SAFETY: takes and returns a number.
            let code = unsafe { RtlNtStatusToDosError(status) };
            return Err(io::Error::from_raw_os_error(code as i32));
        }
        Ok(size)
    }

    /// Starts to read `length` bytes.
    pub fn start_read(&self, offset: u64, length: usize) -> io::Result<Pending<'_>> {
        let mut pending = Pending::new(self, offset, vec![0; length])?;
        // SAFETY: buffer, event and OVERLAPPED belong to `pending`, which keeps them, and does
        // not move them, until the request is completed.
        let success = unsafe {
            ReadFile(
                self.handle(),
                pending.buffer.as_mut_ptr(),
                length as u32,
                null_mut(),
                &raw mut *pending.overlapped,
            )
        };
        pending.started(success)
    }

    /// Starts to write `bytes`.
    pub fn start_write(&self, offset: u64, bytes: Vec<u8>) -> io::Result<Pending<'_>> {
        let mut pending = Pending::new(self, offset, bytes)?;
        // SAFETY: as in `start_read`.
        let success = unsafe {
            WriteFile(
                self.handle(),
                pending.buffer.as_ptr(),
                pending.buffer.len() as u32,
                null_mut(),
                &raw mut *pending.overlapped,
            )
        };
        pending.started(success)
    }

    /// Cancels all requests that this thread has started on the device.
    pub fn cancel_all(&self) -> io::Result<()> {
        // SAFETY: an open handle.
        succeeded(unsafe { CancelIo(self.handle()) })
    }
}

/// A request that was started. It is to be waited for: the buffers live as long as it.
pub struct Pending<'d> {
    device: &'d Device,
    overlapped: Box<OVERLAPPED>,
    buffer: Vec<u8>,
    complete: bool,
}

impl<'d> Pending<'d> {
    fn new(device: &'d Device, offset: u64, buffer: Vec<u8>) -> io::Result<Self> {
        // SAFETY: no attributes, no name; a manual-reset event, not signalled.
        let event = unsafe { CreateEventW(null(), 1, 0, null()) };
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        let mut overlapped = Box::new(OVERLAPPED::default());
        overlapped.hEvent = event;
        overlapped.Anonymous.Anonymous.Offset = offset as u32;
        overlapped.Anonymous.Anonymous.OffsetHigh = (offset >> 32) as u32;
        Ok(Self {
            device,
            overlapped,
            buffer,
            complete: true,
        })
    }

    /// Takes note of what the call that starts the request returned.
    fn started(mut self, success: i32) -> io::Result<Self> {
        if success == 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(ERROR_IO_PENDING as i32) {
                return Err(error);
            }
        }
        self.complete = false;
        Ok(self)
    }

    /// Waits until the request is completed: what was read or written.
    pub fn wait(mut self) -> io::Result<Vec<u8>> {
        let length = self.wait_in_place()?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.truncate(length);
        Ok(buffer)
    }

    fn wait_in_place(&mut self) -> io::Result<usize> {
        let mut length = 0;
        // By the event alone, as a program with many requests waits: the result may be there
        // although nobody has signalled it.
        // SAFETY: the event of this request.
        unsafe { WaitForSingleObject(self.overlapped.hEvent, INFINITE) };
        // SAFETY: the OVERLAPPED of a request on this handle, which is completed.
        let success = unsafe {
            GetOverlappedResult(
                self.device.handle(),
                &raw const *self.overlapped,
                &raw mut length,
                0,
            )
        };
        self.complete = true;
        succeeded(success).map(|()| length as usize)
    }

    /// Cancels this request.
    pub fn cancel(&self) -> io::Result<()> {
        // SAFETY: the OVERLAPPED of a request on this handle.
        succeeded(unsafe { CancelIoEx(self.device.handle(), &raw const *self.overlapped) })
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.complete {
            let _ended_in_either_case = self.cancel();
            let _ended_in_either_case = self.wait_in_place();
        }
        // SAFETY: the event of this request, which is completed.
        unsafe { CloseHandle(self.overlapped.hEvent) };
    }
}

fn succeeded(success: i32) -> io::Result<()> {
    if success == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
