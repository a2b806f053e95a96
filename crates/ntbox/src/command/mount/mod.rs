//! `ntbox mount`: a volume of the box as a directory of the host.

pub mod options;
#[cfg(target_os = "linux")]
mod serve;

use super::failure::Failure;
use options::MountOptions;
use std::path::Path;

/// Serves it to the end; true if the run was clean.
#[cfg(target_os = "linux")]
pub fn run(options: &MountOptions) -> Result<bool, Failure> {
    options.shared.check()?;
    serve::run(options)
}

/// Waits for the end of the process that serves a mount, and takes away what it has left.
#[cfg(target_os = "linux")]
pub fn watch(mount_point: &Path, device: u64) -> Result<bool, Failure> {
    ntbox_mount::watch(mount_point, device);
    Ok(true)
}

/// There is no FUSE.
#[cfg(not(target_os = "linux"))]
pub fn run(options: &MountOptions) -> Result<bool, Failure> {
    options.shared.check()?;
    watch(&options.mount_point, 0)
}

/// There is no FUSE.
#[cfg(not(target_os = "linux"))]
pub fn watch(_: &Path, _: u64) -> Result<bool, Failure> {
    Err(Failure::Usage(
        "mount serves by FUSE, which this system does not have: it runs on Linux".to_owned(),
    ))
}
