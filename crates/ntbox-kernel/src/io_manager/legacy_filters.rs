//! What Windows keeps legacy file-system filters off.
//!
//! - `IoBlockLegacyFsFilters` = 1 under `Control\Session Manager\I/O System`: they are "blocked from
//!   loading or attaching to storage volumes". The page does not say which routine refuses with
//!   which status. Here IoRegisterFsRegistrationChange fails with STATUS_ACCESS_DENIED, so that a
//!   filter does not load, and IoAttachDeviceToDeviceStackSafe with the one error it has. Windows
//!   reads the value when it starts; here it counts at once.
//! - A direct access (DAX) volume, whose device has `DO_DAX_VOLUME`: "legacy file system filter
//!   drivers can't attach".
//!
//! Source: "Blocking legacy file system filter drivers".

#![expect(unsafe_code, reason = "device objects are looked at by pointer")]

use super::settings;
use super::settings::SettingValue;
use crate::nt::{
    DEVICE_OBJECT, DO_DAX_VOLUME, FILE_DEVICE_CD_ROM_FILE_SYSTEM, FILE_DEVICE_DISK_FILE_SYSTEM,
    FILE_DEVICE_NETWORK_FILE_SYSTEM,
};

/// The key of the setting.
pub const KEY: &str =
    r"\Registry\Machine\System\CurrentControlSet\Control\Session Manager\I/O System";
/// The setting.
pub const VALUE: &str = "IoBlockLegacyFsFilters";

/// Whether legacy filters are blocked.
pub fn are_blocked() -> bool {
    matches!(settings::get(KEY, VALUE), Some(SettingValue::Dword(value)) if value != 0)
}

/// Whether no filter can attach above `top`, the top of a stack.
///
/// # Safety
/// The device is alive.
pub(super) unsafe fn are_kept_off(top: *mut DEVICE_OBJECT) -> bool {
    // SAFETY: contract.
    let top = unsafe { &*top };
    let of_a_file_system = matches!(
        top.DeviceType,
        FILE_DEVICE_DISK_FILE_SYSTEM
            | FILE_DEVICE_CD_ROM_FILE_SYSTEM
            | FILE_DEVICE_NETWORK_FILE_SYSTEM
    );
    of_a_file_system && (top.Flags & DO_DAX_VOLUME != 0 || are_blocked())
}
