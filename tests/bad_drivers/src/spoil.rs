//! Above the control device of fsglass, what that driver would do with a mistake of its own: for the check that
//! its answers are checked. Chosen by the registry value `Spoil`; fsglass must be there before.

use crate::attachments;
use crate::filter::{DispatchRoutine, enter, leave, pass_through, pass_with};
use crate::kernel::{current_location, mark_pending, unicode_literal};
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::{
    FILE_OBJECT, FILE_READ_ATTRIBUTES, IRP_MJ_DEVICE_CONTROL, NTSTATUS, PDEVICE_OBJECT, PIRP,
    POOL_FLAG_NON_PAGED, POOL_FLAG_UNINITIALIZED, STATUS_SUCCESS, ntddk,
};

/// What is spoiled.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Spoil {
    /// The answer to the version request is a byte longer than it is defined.
    Longer = 1,
    /// A field of the settings was never written: it holds what was in the pool.
    Unwritten = 2,
    /// A request of what is observed that is a byte short is taken as whole.
    Length = 3,
}

/// The one that was chosen; 0 for none.
static CHOSEN: AtomicU32 = AtomicU32::new(0);

/// Control codes of fsglass.
const VERSION: u32 = 0xF561_6000;
const SETTINGS: u32 = 0xF561_6004;
const OBSERVE: u32 = 0xF561_A014;

/// Bytes of a request of what is observed.
const OBSERVE_BYTES: u32 = 8;

/// Where the time of the start is in the settings, and its size.
const STARTED: usize = 16;
const STARTED_BYTES: usize = 8;

const TAG: u32 = u32::from_le_bytes(*b"BadS");

impl Spoil {
    /// By the value of the setting.
    pub fn by_name(is: impl Fn(&str) -> bool) -> Option<Self> {
        let names = [
            ("longer", Self::Longer),
            ("unwritten", Self::Unwritten),
            ("length", Self::Length),
        ];
        let found = names.into_iter().find(|(name, _)| is(name));
        found.map(|(_, spoil)| spoil)
    }

    /// The dispatch routine that does it, for the major function it is done with.
    pub fn routine(self, major: u32) -> Option<DispatchRoutine> {
        (major == IRP_MJ_DEVICE_CONTROL).then_some(control as DispatchRoutine)
    }
}

/// Attaches to the control device of fsglass.
pub unsafe fn attach(spoil: Spoil) -> NTSTATUS {
    CHOSEN.store(spoil as u32, Ordering::Relaxed);
    let mut name = unicode_literal!("\\Device\\fsglass");
    let mut file: *mut FILE_OBJECT = core::ptr::null_mut();
    let mut device: PDEVICE_OBJECT = core::ptr::null_mut();
    let status = ntddk::IoGetDeviceObjectPointer(
        &raw mut name,
        FILE_READ_ATTRIBUTES,
        &raw mut file,
        &raw mut device,
    );
    if status == STATUS_SUCCESS {
        attachments::attach(device);
        ntddk::ObfDereferenceObject(file.cast());
    }
    status
}

fn is(spoil: Spoil) -> bool {
    CHOSEN.load(Ordering::Relaxed) == spoil as u32
}

unsafe extern "C" fn control(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let parameters = &raw mut (*current_location(irp)).Parameters.DeviceIoControl;
    let code = (*parameters).IoControlCode;
    if code == OBSERVE && is(Spoil::Length) && (*parameters).InputBufferLength == OBSERVE_BYTES - 1
    {
        (*parameters).InputBufferLength += 1;
    }
    let status = if code == VERSION && is(Spoil::Longer) {
        pass_with(device, irp, lengthen, core::ptr::null_mut())
    } else if code == SETTINGS && is(Spoil::Unwritten) {
        pass_with(device, irp, leave_unwritten, core::ptr::null_mut())
    } else {
        pass_through(device, irp)
    };
    leave();
    status
}

unsafe fn continues(irp: PIRP) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    leave();
    STATUS_SUCCESS
}

unsafe extern "C" fn lengthen(_device: PDEVICE_OBJECT, irp: PIRP, _: *mut c_void) -> NTSTATUS {
    let location = current_location(irp);
    let room = (*location).Parameters.DeviceIoControl.OutputBufferLength;
    let information = &raw mut (*irp).IoStatus.Information;
    if *information != 0 && *information < u64::from(room) {
        *information += 1;
    }
    continues(irp)
}

unsafe extern "C" fn leave_unwritten(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    _: *mut c_void,
) -> NTSTATUS {
    let flags = POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED;
    let memory = ntddk::ExAllocatePool2(flags, STARTED_BYTES as u64, TAG);
    if !memory.is_null() {
        if (*irp).IoStatus.Information != 0 {
            let answer: *mut u8 = (*irp).AssociatedIrp.SystemBuffer.cast();
            core::ptr::copy_nonoverlapping(memory.cast(), answer.add(STARTED), STARTED_BYTES);
        }
        ntddk::ExFreePoolWithTag(memory, TAG);
    }
    continues(irp)
}
