//! Whether a program that waits is to be interrupted.
//!
//! FUSE tells of it by a request of its own, which the library does not hand on. The host's kernel then lets the
//! program wait for its answer, with its signal pending: `/proc` says so.

use std::fs;

/// Whether the thread has a signal that would interrupt what it does, or is not there any more.
pub fn interrupts(thread: u32) -> bool {
    match fs::read_to_string(format!("/proc/{thread}/status")) {
        Ok(status) => is_pending(&status),
        // Of another namespace, which cannot be looked at.
        Err(_) if thread == 0 => false,
        Err(_) => true,
    }
}

fn is_pending(status: &str) -> bool {
    let mask = |name: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
    };
    let [own, all, blocked] = ["SigPnd", "ShdPnd", "SigBlk"].map(|name| mask(name).unwrap_or(0));
    (own | all) & !blocked != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_counts_that_is_pending_and_not_blocked() {
        let status = |own, all, blocked| {
            is_pending(&format!(
                "Name:\tx\nSigPnd:\t{own:016x}\nShdPnd:\t{all:016x}\nSigBlk:\t{blocked:016x}\n"
            ))
        };
        assert!(!status(0, 0, 0));
        assert!(status(1 << 8, 0, 0));
        assert!(status(0, 1 << 14, 0));
        assert!(!status(0, 1 << 14, 1 << 14));
    }

    #[test]
    fn this_thread_has_none() {
        assert!(!interrupts(std::process::id()));
        assert!(!interrupts(0));
        assert!(interrupts(u32::MAX));
    }
}
