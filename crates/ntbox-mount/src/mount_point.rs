//! Whether a directory can be served at a place, and if not, why.

use crate::watcher::device_of;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The device that FUSE is served by.
pub const DEVICE: &str = "/dev/fuse";

/// Why a directory is not mounted.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such device.
    NoFuse,
    /// It may not be opened, or nothing may be mounted.
    NoRights(String),
    /// What is to be served is no directory.
    NoDirectory(PathBuf, String),
    /// Where it is to be served is no directory.
    NoMountPoint(PathBuf, String),
    /// There is something in it.
    NotEmpty(PathBuf),
    /// Something is mounted there.
    Mounted(PathBuf),
    /// The one lies in the other.
    Within(PathBuf, PathBuf),
    /// The host says something else.
    Failed(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFuse => write!(
                f,
                "{DEVICE} is not there: this kernel has no FUSE, or its module is not loaded (modprobe fuse), or a \
                 container was not given the device"
            ),
            Self::NoRights(why) => write!(
                f,
                "{why}: mounting needs the rights of root (CAP_SYS_ADMIN)"
            ),
            Self::NoDirectory(path, why) => write!(f, "DIR {}: {why}", path.display()),
            Self::NoMountPoint(path, why) => write!(f, "MOUNTPOINT {}: {why}", path.display()),
            Self::NotEmpty(path) => write!(
                f,
                "MOUNTPOINT {}: is not empty; what is in it would be hidden",
                path.display()
            ),
            Self::Mounted(path) => write!(
                f,
                "MOUNTPOINT {}: something is mounted there already (umount {0})",
                path.display()
            ),
            Self::Within(inner, outer) => write!(
                f,
                "{} lies in {}: the volume would show itself",
                inner.display(),
                outer.display()
            ),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// Both places as they are on the host, if the one may be served at the other.
///
/// # Errors
/// Why not.
pub fn check(directory: &Path, mount_point: &Path) -> Result<(PathBuf, PathBuf), Refused> {
    let served =
        existing(directory).map_err(|why| Refused::NoDirectory(directory.to_owned(), why))?;
    // A mount whose server is dead cannot be looked at.
    if let Ok(whole) = std::path::absolute(mount_point)
        && device_of(&whole).is_some()
    {
        return Err(Refused::Mounted(mount_point.to_owned()));
    }
    let place =
        existing(mount_point).map_err(|why| Refused::NoMountPoint(mount_point.to_owned(), why))?;
    if device_of(&place).is_some() {
        return Err(Refused::Mounted(mount_point.to_owned()));
    }
    for (inner, outer) in [(&place, &served), (&served, &place)] {
        if inner.starts_with(outer) {
            return Err(Refused::Within(inner.clone(), outer.clone()));
        }
    }
    let mut entries = place
        .read_dir()
        .map_err(|error| Refused::NoMountPoint(mount_point.to_owned(), error.to_string()))?;
    if entries.next().is_some() {
        return Err(Refused::NotEmpty(mount_point.to_owned()));
    }
    check_device(Path::new(DEVICE))?;
    Ok((served, place))
}

fn existing(path: &Path) -> Result<PathBuf, String> {
    let whole = path.canonicalize().map_err(|error| error.to_string())?;
    match whole.is_dir() {
        true => Ok(whole),
        false => Err("is not a directory".to_owned()),
    }
}

fn check_device(device: &Path) -> Result<(), Refused> {
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(device);
    match opened {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Refused::NoFuse),
        // The node of a device that the kernel does not have.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => {
            Err(Refused::NoFuse)
        }
        Err(error) => Err(Refused::NoRights(format!("{}: {error}", device.display()))),
    }
}

/// Why mounting has failed, from what the host says.
pub fn refused(error: &std::io::Error) -> Refused {
    match error.kind() {
        ErrorKind::PermissionDenied => Refused::NoRights(error.to_string()),
        _ => Refused::Failed(format!("cannot mount: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_cannot_be_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let new = |name: &str| {
            let path = base.join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let (served, place) = (new("served"), new("place"));
        let refused = |directory: &Path, mount_point: &Path| check(directory, mount_point).err();
        let missing = base.join("missing");
        assert!(matches!(
            refused(&missing, &place),
            Some(Refused::NoDirectory(..))
        ));
        assert!(matches!(
            refused(&served, &missing),
            Some(Refused::NoMountPoint(..))
        ));
        let file = base.join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(
            refused(&file, &place),
            Some(Refused::NoDirectory(..))
        ));
        let inside = new("served/inside");
        assert!(matches!(
            refused(&served, &inside),
            Some(Refused::Within(..))
        ));
        assert!(matches!(
            refused(&inside, &served),
            Some(Refused::Within(..))
        ));
        assert!(matches!(
            refused(&served, &served),
            Some(Refused::Within(..))
        ));
        new("full/entry");
        assert_eq!(
            refused(&served, &base.join("full")),
            Some(Refused::NotEmpty(base.join("full")))
        );
        let mounted = Path::new("/proc");
        assert_eq!(
            refused(&served, mounted),
            Some(Refused::Mounted(mounted.to_owned()))
        );
    }

    #[test]
    fn a_host_without_fuse_says_so() {
        assert_eq!(
            check_device(Path::new("/no/such/device")),
            Err(Refused::NoFuse)
        );
        assert!(Refused::NoFuse.to_string().contains("modprobe fuse"));
        assert!(
            refused(&ErrorKind::PermissionDenied.into())
                .to_string()
                .contains("rights")
        );
    }
}
