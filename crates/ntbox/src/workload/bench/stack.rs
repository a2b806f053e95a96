//! The stack that is measured.

#![expect(unsafe_code, reason = "the stack is walked by pointer")]

use crate::io_manager::{device, file};
use crate::nt::{DEVICE_OBJECT, FILE_OBJECT};
use crate::processor::handle;
use crate::user::File;

/// The devices of an open file's stack, the file system's first.
pub struct Stack {
    /// The file.
    pub file: *mut FILE_OBJECT,
    /// Its devices.
    pub devices: Vec<*mut DEVICE_OBJECT>,
}

impl Stack {
    pub fn of(file: &File) -> anyhow::Result<Self> {
        let body = handle::object_of_handle(file.handle())
            .map_err(|_| anyhow::anyhow!("a file without its object"))?;
        let file: *mut FILE_OBJECT = body.cast();
        // SAFETY: the open handle keeps the file.
        let mut device = unsafe { file::base_file_system_device(file) };
        let mut devices = Vec::new();
        while !device.is_null() {
            devices.push(device);
            // SAFETY: the open file keeps its stack.
            device = unsafe { device::attached(device) };
        }
        Ok(Self { file, devices })
    }
}
