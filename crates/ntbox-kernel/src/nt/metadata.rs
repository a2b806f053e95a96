//! What of `windows-sys` the box uses as it is: the floor that the other files here stand on.

#![allow(
    ambiguous_glob_reexports,
    clippy::allow_attributes,
    reason = "windows-sys repeats a few names between its modules; those the box uses are unambiguous"
)]

pub use windows_sys::Wdk::Foundation::*;
pub use windows_sys::Wdk::Storage::FileSystem::*;
pub use windows_sys::Wdk::System::SystemServices::*;
pub use windows_sys::Win32::Foundation::*;
pub use windows_sys::Win32::Storage::FileSystem::{
    FILE_DEVICE_CD_ROM, FILE_DEVICE_DISK, FILE_DEVICE_TAPE,
};
pub use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
pub use windows_sys::Win32::System::Ioctl::*;
pub use windows_sys::Win32::System::Kernel::*;
