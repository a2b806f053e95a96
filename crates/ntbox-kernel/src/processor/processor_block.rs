//! What driver code finds at `gs:`: the block of its processor (`KPCR`), with the `KPRCB` in it.
//!
//! Microsoft's headers inline reads of it: the current thread (`KeGetCurrentThread`, `PsGetCurrentThread`),
//! the number of the processor (`KeGetCurrentProcessorNumber`), the block itself (`KeGetPcr`). Each thread is a
//! processor, so each has a block, which begins where its `gs` does. A field that is not modelled holds a value
//! that is no address and tells its offset ([`field_of`]); behind the first page nothing can be read.
//!
//! Behind the block lie the kernel stack of the thread, below which nothing is, and its copy of the page that the
//! kernel shares with programs ([`super::shared_page`]).
//!
//! Linux only: on Windows `gs` belongs to the host ([`crate::host::segment`]), and drivers read what the host
//! has there.

#![expect(unsafe_code, reason = "fields are written by offset")]

use super::time;
use crate::host::memory::{self, Protection};
use crate::host::{PAGE, segment};
use crate::pe_image::crossing;
use std::cell::Cell;
use std::ffi::c_void;

/// Bytes of the block: as much as a `KPCR` has with its `KPRCB`, in whole pages.
const BLOCK: usize = 12 * PAGE;
/// Bytes below the kernel stack in which nothing is: more than the frame of a routine that probes none of it.
pub(super) const GUARD: usize = 16 * PAGE;
/// Where the kernel stack lies, and the copy of the shared page.
const STACK: usize = BLOCK + GUARD;
const SHARED: usize = STACK + crossing::STACK_BYTES;
const BYTES: usize = SHARED + PAGE + GUARD;

/// Where the box keeps what it knows of the thread's calls ([`crossing`]): `LockArray`, which no header reads.
const CROSSING: usize = 0x28;
/// `KPCR`: the user's stack pointer; the block itself; its `KPRCB`; `MajorVersion` and `MinorVersion`.
const USER_STACK: usize = 0x10;
const SELF: usize = 0x18;
const CURRENT_PRCB: usize = 0x20;
const VERSIONS: usize = 0x60;
/// Where the `KPRCB` begins.
const PRCB: usize = 0x180;
/// `KPRCB`: `MxCsr`, `LegacyNumber`, `CurrentThread`, `Number`.
const MXCSR: usize = PRCB;
const LEGACY_NUMBER: usize = PRCB + 0x04;
const CURRENT_THREAD: usize = PRCB + 0x08;
const NUMBER: usize = PRCB + 0x24;
/// `MxCsr` as a processor starts with it.
const MXCSR_DEFAULT: u32 = 0x1F80;

/// What fields hold that are not modelled, with their offset in the low bits: no canonical address.
const NOT_MODELLED: u64 = 0x8000_6773_0000_0000;

thread_local! {
    /// The block of this thread, or 0. Read where it was interrupted.
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// Gives this thread its block, and says where its crossings are.
///
/// # Panics
/// The host has no memory for it.
pub(super) fn install(thread: *mut c_void, number: u32) -> usize {
    // Known from here on, so that the fault handler finds it made.
    time::interrupt_time();
    let base = memory::reserve(BYTES).expect("the host has address space for a kernel stack");
    HERE.set(base);
    for (at, bytes) in [(0, PAGE), (STACK, crossing::STACK_BYTES + PAGE)] {
        // SAFETY: pages of the reservation, which nobody knows yet.
        let done = unsafe { memory::protect(base + at, bytes, Protection::ReadWrite) };
        assert!(done, "the host has no memory for a kernel stack");
    }
    for offset in (0..PAGE).step_by(size_of::<u64>()) {
        write(base + offset, NOT_MODELLED | offset as u64);
    }
    // Below every stack of the kernel, so that a probe of the stack that compares with it touches nothing.
    write(base + USER_STACK, 0_u64);
    write(base + SELF, base);
    write(base + CURRENT_PRCB, base + PRCB);
    write(base + VERSIONS, [1_u16, 1]);
    write(base + MXCSR, MXCSR_DEFAULT);
    write(base + LEGACY_NUMBER, number as u8);
    write(base + CURRENT_THREAD, thread.expose_provenance());
    write(base + NUMBER, number);
    let crossing = if crossing::HAS_KERNEL_STACKS {
        crossing::prepare(base + STACK, base + SHARED)
    } else {
        crossing::prepare(1, usize::MAX)
    };
    write(base + CROSSING, crossing);
    if !segment::set_gs_base(base) {
        segment::set_pointer(crossing);
    }
    crossing
}

/// Writes a field of the block that this thread is making.
fn write<T>(address: usize, value: T) {
    let at: *mut T = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY: inside the first page of the block, at an offset that suits the field.
    unsafe { at.write(value) };
}

/// Takes the block of this thread away, which runs no more driver code.
pub(super) fn remove() {
    let base = HERE.replace(0);
    if base != 0 {
        segment::set_gs_base(0);
        // SAFETY: the reservation of `install`, of which nobody knows any more.
        unsafe { memory::release(base, BYTES) };
    }
}

/// The offset of `address` in the block of this thread.
pub(super) fn offset_of(address: usize) -> Option<usize> {
    let base = HERE.get();
    (base != 0 && (base..base + BLOCK).contains(&address)).then(|| address - base)
}

/// The offset of the field that is not modelled, if `value` was read there.
pub(super) fn field_of(value: u64) -> Option<usize> {
    let offset = value ^ NOT_MODELLED;
    (offset < PAGE as u64).then_some(offset as usize)
}

/// The thread's copy of the shared page; `None` if it has none.
pub(super) fn shared_page() -> Option<*mut u8> {
    let base = HERE.get();
    (base != 0).then(|| std::ptr::with_exposed_provenance_mut(base + SHARED))
}
