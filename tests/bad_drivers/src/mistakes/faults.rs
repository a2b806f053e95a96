//! What stops the processor: memory that is not there, code that is none, a bug check, an assertion.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use core::hint::black_box;
use wdk_sys::{
    IRP_MJ_QUERY_INFORMATION, NTSTATUS, PDEVICE_OBJECT, PIRP, POOL_FLAG_NON_PAGED, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadF");

/// Lies in a section that is not writable.
static CONSTANT: [u32; 4] = [1, 2, 3, 4];

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::PageFault => Some(read_nothing),
        Mistake::PageFaultAtDispatch => Some(read_nothing_at_dispatch),
        Mistake::ReadOnlyWritten => Some(write_constant),
        Mistake::DataExecuted => Some(call_data),
        Mistake::BugCheck => Some(give_up),
        Mistake::AssertionFailed => Some(assert_nothing),
        Mistake::StackUsedUp => Some(use_stack_up),
        Mistake::BadInstruction => Some(execute_nothing),
        Mistake::MisalignedAccess => Some(read_between),
        _ => None,
    }
}

/// An address where nothing is, which the compiler does not know.
fn nowhere() -> *const u32 {
    black_box(0x1000 as *const u32)
}

unsafe extern "C" fn read_nothing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    nowhere().read_volatile(); // MISTAKE: page-fault
    dispatch(device, irp)
}

unsafe extern "C" fn read_nothing_at_dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut lock = 0;
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut lock);
    nowhere().read_volatile(); // MISTAKE: page-fault-at-dispatch
    ntddk::KeReleaseSpinLock(&raw mut lock, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn write_constant(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let constant = black_box(CONSTANT.as_ptr().cast_mut());
    constant.write_volatile(5); // MISTAKE: read-only-written
    dispatch(device, irp)
}

unsafe extern "C" fn call_data(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let block = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, TAG);
    if !block.is_null() {
        let code: unsafe extern "C" fn() = core::mem::transmute(black_box(block));
        code();
        ntddk::ExFreePoolWithTag(block, TAG);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn give_up(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !irp.is_null() {
        ntddk::KeBugCheckEx(0xE2, 1, 2, 3, 4); // MISTAKE: bug-check
    }
    dispatch(device, irp)
}

unsafe extern "C" fn assert_nothing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !irp.is_null() {
        let text = c"Irp == NULL".as_ptr().cast_mut();
        let file = c"faults.rs".as_ptr().cast_mut();
        ntddk::RtlAssert(text.cast(), file.cast(), line!(), core::ptr::null_mut()); // MISTAKE: assertion-failed
    }
    dispatch(device, irp)
}

unsafe extern "C" fn use_stack_up(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    descend(black_box(1 << 30));
    dispatch(device, irp)
}

/// Goes as deep as it is told, with a name of the largest size on the stack each time.
#[inline(never)]
fn descend(levels: u32) -> u32 {
    let name = black_box([0_u16; 260]);
    if levels == 0 {
        return u32::from(name[0]);
    }
    descend(levels - 1) + u32::from(black_box(name)[1])
}

unsafe extern "C" fn execute_nothing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !irp.is_null() {
        core::arch::asm!("ud2"); // MISTAKE: bad-instruction
    }
    dispatch(device, irp)
}

/// What the instruction takes at multiples of 16.
#[repr(align(16))]
struct Aligned([u8; 32]);

/// Takes a part of a block for all of it.
unsafe extern "C" fn read_between(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let block = Aligned([0; 32]);
    let from = black_box(block.0.as_ptr().add(8));
    core::arch::asm!("movaps {0}, [{1}]", out(xmm_reg) _, in(reg) from, options(nostack, readonly)); // MISTAKE: misaligned-access
    dispatch(device, irp)
}
