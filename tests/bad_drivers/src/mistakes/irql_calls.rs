//! Routines that are called while a spin lock is held, though they want a lower IRQL.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use crate::kernel::{
    KeLowerIrql, KfRaiseIrql, current_location, fast_mutex, initialize_event, unicode_literal,
};
use core::ptr::null_mut;
use wdk_sys::{
    DISPATCH_LEVEL, ERESOURCE, IRP_MJ_QUERY_INFORMATION, KEVENT, KIRQL, KSPIN_LOCK, NTSTATUS,
    PDEVICE_OBJECT, PIRP, POOL_FLAG_PAGED, SHARE_ACCESS, UNICODE_STRING, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadC");

/// Guards nothing.
static mut LOCK: KSPIN_LOCK = 0;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::IrqlIoPassive1 => Some(io_passive_1),
        Mistake::IrqlIoPassive2 => Some(io_passive_2),
        Mistake::IrqlIoPassive3 => Some(io_passive_3),
        Mistake::IrqlIoPassive4 => Some(io_passive_4),
        Mistake::IrqlIoPassive5 => Some(io_passive_5),
        Mistake::IrqlIoApcLte => Some(io_apc_lte),
        Mistake::IrqlKeDispatchLte => Some(ke_dispatch_lte),
        Mistake::IrqlKeSetEvent => Some(ke_set_event),
        Mistake::IrqlExApcLte1 => Some(ex_apc_lte_1),
        Mistake::IrqlExApcLte2 => Some(ex_apc_lte_2),
        Mistake::IrqlExApcLte3 => Some(ex_apc_lte_3),
        Mistake::IrqlZwPassive => Some(zw_passive),
        Mistake::IrqlObPassive => Some(ob_passive),
        Mistake::UnicodePrintedAtDispatch => Some(print_unicode),
        _ => None,
    }
}

fn names() -> (UNICODE_STRING, UNICODE_STRING) {
    let link = unicode_literal!("\\DosDevices\\BadDrivers");
    let target = unicode_literal!("\\Device\\Null");
    (link, target)
}

unsafe fn event() -> KEVENT {
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    event
}

unsafe extern "C" fn io_passive_1(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut created = null_mut();
    let driver = (*device).DriverObject;
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::IoCreateDevice(driver, 0, null_mut(), 8, 0, 0, &raw mut created); // MISTAKE: irql-io-passive-1
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn io_passive_2(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let file = (*current_location(irp)).FileObject;
    let mut shared = SHARE_ACCESS::default();
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::IoCheckShareAccess(0, 0, file, &raw mut shared, 0); // MISTAKE: irql-io-passive-2
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn io_passive_3(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut link, mut target) = names();
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::IoCreateSymbolicLink(&raw mut link, &raw mut target); // MISTAKE: irql-io-passive-3
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn io_passive_4(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut link, _) = names();
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::IoDeleteSymbolicLink(&raw mut link); // MISTAKE: irql-io-passive-4
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn io_passive_5(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::IoRegisterShutdownNotification(device); // MISTAKE: irql-io-passive-5
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn io_apc_lte(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    ntddk::IoDeleteDevice(device); // MISTAKE: irql-io-apc-lte
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn ke_dispatch_lte(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut event = event();
    let irql = KfRaiseIrql(DISPATCH_LEVEL as KIRQL + 1);
    let _ = ntddk::KeResetEvent(&raw mut event); // MISTAKE: irql-ke-dispatch-lte
    KeLowerIrql(irql);
    dispatch(device, irp)
}

unsafe extern "C" fn ke_set_event(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut event = event();
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::KeSetEvent(&raw mut event, 0, 1); // MISTAKE: irql-ke-set-event
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn ex_apc_lte_1(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut mutex = fast_mutex();
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    ntddk::ExAcquireFastMutex(&raw mut mutex); // MISTAKE: irql-ex-apc-lte-1
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn ex_apc_lte_2(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let address = core::ptr::without_provenance_mut(0x1000);
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    ntddk::ProbeForRead(address, 1, 1); // MISTAKE: irql-ex-apc-lte-2
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn ex_apc_lte_3(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut memory = core::mem::MaybeUninit::<ERESOURCE>::zeroed();
    let resource = memory.as_mut_ptr();
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::ExAcquireResourceSharedLite(resource, 1); // MISTAKE: irql-ex-apc-lte-3
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn zw_passive(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::ZwClose(null_mut()); // MISTAKE: irql-zw-passive
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn ob_passive(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut object = null_mut();
    let into = &raw mut object;
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::ObReferenceObjectByHandle(null_mut(), 0, null_mut(), 0, into, null_mut()); // MISTAKE: irql-ob-passive
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

/// Has its names in paged pool, which does no harm where Unicode may be printed.
unsafe extern "C" fn print_unicode(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let name = ntddk::ExAllocatePool2(POOL_FLAG_PAGED, 16, TAG);
    if !name.is_null() {
        let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
        let _ = ntddk::DbgPrint(c"bad_drivers: '%ws'\n".as_ptr(), name); // MISTAKE: unicode-printed-at-dispatch
        ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
        ntddk::ExFreePoolWithTag(name, TAG);
    }
    dispatch(device, irp)
}
