//! Takes the mount away when the process that serves it has been killed: nothing in that one can.
//!
//! A process of its own waits for the end of a pipe that the other one has open, and then looks whether the mount is
//! still there.

#![expect(unsafe_code, reason = "unmounting is a system call")]

use std::ffi::{CString, OsStr};
use std::io::{Read, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A process that watches. It ends when this does, and finds nothing to do then.
pub struct Watcher {
    process: Child,
    pipe: Option<ChildStdin>,
}

impl Watcher {
    /// Starts this program with `arguments`, the mount point and its device, which [`watch`] is to get.
    ///
    /// # Errors
    /// As the host says.
    pub fn start(arguments: &[&OsStr], mount_point: &Path, device: u64) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .arg(mount_point)
            .arg(device.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // A signal from the terminal is for the other one.
            .process_group(0)
            .spawn()?;
        let pipe = process.stdin.take();
        Ok(Self { process, pipe })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ended = self.process.wait();
    }
}

/// Waits for the end of standard input, and takes the mount of that device away.
pub fn watch(mount_point: &Path, device: u64) {
    let mut nothing = Vec::new();
    let _ended = std::io::stdin().read_to_end(&mut nothing);
    if device_of(mount_point) == Some(device) {
        detach(mount_point);
    }
}

/// The device of what is mounted there. Asked of the list of mounts: a file system without a server does not answer.
pub fn device_of(mount_point: &Path) -> Option<u64> {
    let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
    let mut lines = mounts.split(|byte| *byte == b'\n').rev();
    // The last one lies above those before it.
    lines.find_map(|line| device_in(line, mount_point))
}

/// `ID PARENT MAJOR:MINOR ROOT POINT …`, spaces and their like in octal.
fn device_in(line: &[u8], mount_point: &Path) -> Option<u64> {
    let mut fields = line.split(|byte| *byte == b' ');
    let numbers = str::from_utf8(fields.nth(2)?).ok()?;
    let point = unescaped(fields.nth(1)?);
    let (major, minor) = numbers.split_once(':')?;
    let device = libc::makedev(major.parse().ok()?, minor.parse().ok()?);
    (point == mount_point.as_os_str().as_bytes()).then_some(device)
}

fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.first_chunk::<3>().filter(|_| *byte == b'\\');
        let octal = digits.and_then(|digits| str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                text.push(byte);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                text.push(*byte);
                rest = behind;
            }
        }
    }
    text
}

/// Takes a mount away from its place; it ends with the last file that is open on it.
pub fn detach(mount_point: &Path) {
    unmount(mount_point, libc::MNT_DETACH);
}

/// Unmounts if nobody uses it: true if it is gone.
pub fn unmount_if_idle(mount_point: &Path) -> bool {
    unmount(mount_point, 0)
}

fn unmount(mount_point: &Path, flags: i32) -> bool {
    let Ok(path) = CString::new(mount_point.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: a terminated string.
    (unsafe { libc::umount2(path.as_ptr(), flags) }) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_mounts_tells_the_device() {
        let line = br"36 35 0:52 / /mnt/a\040b rw,nosuid - fuse ntbox rw";
        let device = device_in(line, Path::new("/mnt/a b"));
        assert_eq!(device, Some(libc::makedev(0, 52)));
        assert_eq!(device_in(line, Path::new("/mnt/a")), None);
        assert_eq!(device_in(b"", Path::new("/")), None);
        assert!(device_of(Path::new("/proc")).is_some());
    }
}
