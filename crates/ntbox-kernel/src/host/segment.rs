//! The segment base of a thread: where `gs:` of the code that runs on it begins.
//!
//! On Linux no program uses `gs`, and each thread has a base of its own. On Windows it is the thread's
//! environment block, which Windows itself reads there: it cannot be lent to drivers.

#![cfg_attr(
    all(any(target_os = "linux", windows), target_arch = "x86_64"),
    expect(unsafe_code, reason = "a system call, and an instruction")
)]

/// Lets `gs:` of this thread begin at `base`, 0 for nowhere. False if the host does not allow that.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub fn set_gs_base(base: usize) -> bool {
    /// `ARCH_SET_GS` of arch_prctl(2).
    const ARCH_SET_GS: i32 = 0x1001;
    // SAFETY: nothing of this process but a driver's code uses the segment.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) == 0 }
}

/// As on Linux.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub fn set_gs_base(_base: usize) -> bool {
    false
}

/// Puts `value` where `gs:[0x28]` of this thread is: the field of a thread's block that Windows leaves to programs.
#[cfg(all(windows, target_arch = "x86_64"))]
pub fn set_pointer(value: usize) {
    // SAFETY: programs may write the field; what loads libraries puts back what it finds there.
    unsafe { std::arch::asm!("mov gs:[0x28], {}", in(reg) value) };
}

/// Elsewhere the box makes the block itself.
#[cfg(not(all(windows, target_arch = "x86_64")))]
pub fn set_pointer(_value: usize) {}
