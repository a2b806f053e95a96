//! What the driver tells the system's logs: the event log, and ETW.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};
use wdk_sys::{
    GUID, IO_ERROR_LOG_PACKET, IRP_MJ_QUERY_INFORMATION, NTSTATUS, PDEVICE_OBJECT, PIRP, ntddk,
};

/// More than the largest entry, and still what a UCHAR can say.
const TOO_LONG: u8 = 250;
/// The text that every Windows has for it has no further insertions.
const CODE: i32 = 0xC004_0001_u32.cast_signed();
static PROVIDER: GUID = GUID {
    Data1: 0x6261_6421,
    Data2: 1,
    Data3: 1,
    Data4: [0; 8],
};

static REGISTERED: AtomicBool = AtomicBool::new(false);

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::LogEntryTooLong => Some(log_too_much),
        Mistake::LogStringsCutOff => Some(log_cut_off),
        Mistake::ProviderLeftAtUnload => Some(provide),
        Mistake::ProviderUnregisteredTwice => Some(unregister_twice),
        _ => None,
    }
}

unsafe extern "C" fn log_too_much(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let entry = ntddk::IoAllocateErrorLogEntry(device.cast(), TOO_LONG); // MISTAKE: log-entry-too-long
    if !entry.is_null() {
        ntddk::IoFreeErrorLogEntry(entry);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn log_cut_off(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    const TEXT: [u16; 4] = [b'a' as u16, 0, b'b' as u16, b'c' as u16];
    let bytes = size_of::<IO_ERROR_LOG_PACKET>() + size_of_val(&TEXT);
    let entry = ntddk::IoAllocateErrorLogEntry(device.cast(), bytes as u8);
    if !entry.is_null() {
        let packet: *mut IO_ERROR_LOG_PACKET = entry.cast();
        (*packet).ErrorCode = CODE;
        (*packet).NumberOfStrings = 2;
        (*packet).StringOffset = size_of::<IO_ERROR_LOG_PACKET>() as u16;
        packet.add(1).cast::<[u16; 4]>().write(TEXT);
        ntddk::IoWriteErrorLogEntry(entry); // MISTAKE: log-strings-cut-off
    }
    dispatch(device, irp)
}

unsafe extern "C" fn provide(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        let mut handle = 0;
        let _ = ntddk::EtwRegister(&raw const PROVIDER, None, null_mut(), &raw mut handle); // MISTAKE: provider-left-at-unload
    }
    dispatch(device, irp)
}

unsafe extern "C" fn unregister_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut handle = 0;
    if ntddk::EtwRegister(&raw const PROVIDER, None, null_mut(), &raw mut handle) == 0 {
        let _ = ntddk::EtwUnregister(handle);
        let _ = ntddk::EtwUnregister(handle); // MISTAKE: provider-unregistered-twice
    }
    dispatch(device, irp)
}
