//! The network redirector `\Device\HostRedirector`.
//!
//! Its one device serves all its volumes, and is a registered file system
//! itself: filters attach to it when they are told of it. `\??\X:` leads to
//! `\Device\HostRedirector\;X:\box\share`, so a create arrives with the rest of
//! that path in front of the file's; names are queried as `\box\share\…`. Opens
//! without a volume's prefix open the redirector.

#![expect(unsafe_code, reason = "a native driver")]

use super::context::Mounted;
use super::{names, volume_devices};
use ntbox_kernel::io_manager::{device as devices, driver as drivers, namespace, registration};
use ntbox_kernel::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, FILE_DEVICE_NETWORK_FILE_SYSTEM, FILE_REMOTE_DEVICE, NTSTATUS,
    STATUS_BAD_NETWORK_NAME,
};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Name of the driver object.
pub const DRIVER_NAME: &str = r"\FileSystem\HostRedirector";
/// Name of its device.
pub const DEVICE_NAME: &str = r"\Device\HostRedirector";
/// Server and share, in front of every path.
const SHARE: &str = r"\box\share";

static DEVICE: OnceLock<usize> = OnceLock::new();
static VOLUMES: Mutex<Vec<(char, &'static Mounted)>> = Mutex::new(Vec::new());

/// In front of the names of its files.
pub(super) fn prefix() -> Vec<u16> {
    SHARE.encode_utf16().collect()
}

/// Creates the driver, whose routines `configure` fills in, with its device and registers it. Idempotent.
pub(super) fn start(configure: fn(&mut DRIVER_OBJECT)) {
    DEVICE.get_or_init(|| {
        let driver = drivers::create_native(DRIVER_NAME, configure);
        let (bytes, kind) = (
            volume_devices::extension_bytes(),
            FILE_DEVICE_NETWORK_FILE_SYSTEM,
        );
        // SAFETY: the driver object lives as long as the process.
        let device = unsafe {
            devices::create(
                driver,
                bytes,
                Some(DEVICE_NAME),
                kind,
                FILE_REMOTE_DEVICE,
                false,
            )
        };
        let Ok(device) = device else { return 0 };
        // SAFETY: a new device.
        unsafe { devices::finish_initializing(device) };
        // SAFETY: the device lives as long as the process.
        unsafe { registration::register_file_system(device) };
        device as usize
    });
}

/// Whether `device` is the redirector's.
pub(super) fn is(device: *mut DEVICE_OBJECT) -> bool {
    DEVICE
        .get()
        .is_some_and(|redirector| *redirector == device as usize)
}

/// Serves a volume under `\??\X:`.
///
/// # Panics
/// If the drive letter is taken.
pub(super) fn add(letter: char, mounted: &'static Mounted) {
    let letter = letter.to_ascii_uppercase();
    VOLUMES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((letter, mounted));
    let (link, target) = (
        format!(r"\??\{letter}:"),
        format!(r"{DEVICE_NAME}\;{letter}:{SHARE}"),
    );
    if let Err(status) = namespace::insert_symbolic_link(&link, &target) {
        panic!("{link}: {}", ntbox_kernel::nt::Status(status));
    }
}

/// The volume that a name on the redirector's device is on, and the units in front of its path;
/// none for a name that means the redirector.
///
/// # Errors
/// `STATUS_BAD_NETWORK_NAME`: no such volume or share.
pub(super) fn find(name: &[u16]) -> Result<Option<(&'static Mounted, usize)>, NTSTATUS> {
    let connection: Vec<u16> = r"\;".encode_utf16().collect();
    let Some(rest) = name.strip_prefix(connection.as_slice()) else {
        return if name.is_empty() {
            Ok(None)
        } else {
            Err(STATUS_BAD_NETWORK_NAME)
        };
    };
    let (Some(letter), Some(rest)) = (rest.first(), rest.get(1..)) else {
        return Err(STATUS_BAD_NETWORK_NAME);
    };
    let share: Vec<u16> = format!(":{SHARE}").encode_utf16().collect();
    let fits = rest
        .get(..share.len())
        .is_some_and(|start| names::equal(start, &share));
    let ends = rest
        .get(share.len())
        .is_none_or(|unit| *unit == names::BACKSLASH);
    let volumes = VOLUMES.lock().unwrap_or_else(PoisonError::into_inner);
    // The latest: a letter may be used again.
    let found = volumes
        .iter()
        .rev()
        .find(|(known, _)| u32::from(*known) == u32::from(ntbox_kernel::nt::case::upcase(*letter)));
    match found {
        Some((_, mounted)) if fits && ends => {
            Ok(Some((mounted, connection.len() + 1 + share.len())))
        }
        _ => Err(STATUS_BAD_NETWORK_NAME),
    }
}
