//! Takes the mount away when the process that serves it has ended without doing so, as one that is killed.
//!
//! A process of its own waits for the end of a pipe that the other one has open, and then looks whether the mount is
//! still there. It has the connection to the host's kernel as well, and answers with EIO whatever programs have asked
//! for and ask for until they have closed what they have open. A kernel before 6.9 does not tell again what was not
//! answered: there the connection ends, and programs get ECONNABORTED.
//!
//! Source: `fuse_in_header`, `fuse_out_header` and FUSE_NOTIFY_RESEND of Linux' `fuse.h`.

#![expect(unsafe_code, reason = "unmounting is a system call")]

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{ErrorKind, Read, Result, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
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
    /// Starts this program with `arguments`, the mount point and its device, which [`watch`] is to get, and the
    /// connection to the host's kernel.
    ///
    /// # Errors
    /// As the host says.
    pub fn start(
        arguments: &[&OsStr],
        mount_point: &Path,
        device: u64,
        connection: impl AsFd,
    ) -> Result<Self> {
        let connection: OwnedFd = connection.as_fd().try_clone_to_owned()?;
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .arg(mount_point)
            .arg(device.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::from(connection))
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
        // It stays for as long as programs have open what they can use no more.
        let _ended = self.process.try_wait();
    }
}

/// Waits for the end of standard input, takes the mount of that device away, and answers for it what comes from
/// standard output, the connection.
pub fn watch(mount_point: &Path, device: u64) {
    let mut nothing = Vec::new();
    let _ended = std::io::stdin().read_to_end(&mut nothing);
    if device_of(mount_point) == Some(device) {
        detach(mount_point);
    }
    // SAFETY: the descriptor is open, and stays so: it is not closed here.
    let mut connection = ManuallyDrop::new(unsafe { File::from_raw_fd(libc::STDOUT_FILENO) });
    if connection.write_all(&answer(NOTIFY_RESEND, 0)).is_ok() {
        refuse_all(&mut connection);
    }
}

/// `FUSE_NOTIFY_RESEND`: what was told and not answered is told again.
const NOTIFY_RESEND: i32 = 7;
/// Bytes of a request, at most: what one writes, and what is in front of it.
const LARGEST: usize = (1 << 20) + (64 << 10);
/// `FUSE_FORGET`, `FUSE_INTERRUPT`, `FUSE_BATCH_FORGET`: nobody waits for an answer.
const UNANSWERED: [u32; 3] = [2, 36, 42];

/// A `fuse_out_header` with nothing behind it.
fn answer(error: i32, number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    let fields = [
        &16_u32.to_ne_bytes()[..],
        &error.to_ne_bytes(),
        &number.to_ne_bytes(),
    ];
    for (byte, field) in bytes.iter_mut().zip(fields.concat()) {
        *byte = field;
    }
    bytes
}

/// What is to be answered to a request: its length and code, and its number behind them.
fn refusal(request: &[u8]) -> Option<[u8; 16]> {
    let code = u32::from_ne_bytes(*request.get(4..)?.first_chunk()?);
    let number = u64::from_ne_bytes(*request.get(8..)?.first_chunk()?);
    (!UNANSWERED.contains(&code)).then(|| answer(-libc::EIO, number))
}

/// Answers until the mount is nobody's any more.
fn refuse_all(connection: &mut File) {
    let mut request = vec![0; LARGEST];
    loop {
        match connection.read(&mut request) {
            Ok(bytes) => {
                let refusal = refusal(request.get(..bytes).unwrap_or_default());
                // One that has been given up meanwhile takes no answer.
                let _taken = refusal.map(|refusal| connection.write_all(&refusal));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Given up before it was told.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(_) => return,
        }
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
    fn what_somebody_waits_for_is_refused() {
        let request = |code: u32| {
            let fields = [
                &40_u32.to_ne_bytes()[..],
                &code.to_ne_bytes(),
                &77_u64.to_ne_bytes(),
            ];
            fields.concat()
        };
        let read = refusal(&request(15)).unwrap();
        assert_eq!(read[..4], 16_u32.to_ne_bytes());
        assert_eq!(read[4..8], (-5_i32).to_ne_bytes());
        assert_eq!(read[8..], 77_u64.to_ne_bytes());
        for code in UNANSWERED {
            assert_eq!(refusal(&request(code)), None);
        }
        assert_eq!(refusal(&[0; 7]), None);
    }

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
