//! What `ntbox mount` is told.

use crate::command::shared::SharedOptions;
use clap::Args;
use std::path::PathBuf;

/// Options of `ntbox mount`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
DIR is the disk C: of the box, mounted before the drivers are loaded. What programs do at MOUNTPOINT goes through
the drivers to DIR; until it ends, DIR is changed there alone. It ends with Ctrl-C, SIGTERM, or `umount MOUNTPOINT`;
while a program has files open at it, with the last of them, and at once when it is asked again. Then the report is
printed. Needs FUSE (/dev/fuse) and the rights of root.

Owner, group, mode and device of a file are kept as the Windows Subsystem for Linux does, in extended attributes;
links and special files are its reparse points. A file without them is its owner's who owns MOUNTPOINT.

Examples:
  ntbox mount --driver fsglass.sys /srv/files /mnt
  ntbox mount --driver fsglass.sys --setting AllowUnload=1 --verify standard,force-pending /srv/files /mnt
  ntbox mount --driver fsglass.sys --client 127.0.0.1:7777 /srv/files /mnt
  ntbox mount --bare /srv/files /mnt")]
pub struct MountOptions {
    /// The box and its drivers.
    #[command(flatten)]
    pub shared: SharedOptions,
    /// Threads that serve programs, which wait for the requests that they send
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub threads: u32,
    /// Directory of the host that the volume shows
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Where it is served: an empty directory outside of DIR
    #[arg(value_name = "MOUNTPOINT")]
    pub mount_point: PathBuf,
}
