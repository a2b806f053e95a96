//! A legacy file-system filter that breaks exactly one rule, chosen in the registry.
//!
//! Each check of a verifier needs a driver that breaks its rule and one that
//! does not. This is both: without the registry value `Parameters\Mistake` it
//! is a correct pass-through filter that attaches to file systems and volumes
//! and can be unloaded; with it, it makes the mistake of that name
//! ([`mistakes::Mistake`]) and no other.
//!
//! It is written on the raw bindings, as C drivers are: nothing here is
//! prevented by types, so every mistake of a C driver can be made. It is a
//! subject of tests, never an example.
//!
//! | module | holds |
//! |---|---|
//! | [`filter`] | dispatch routine, pass-through, mounting |
//! | [`attachments`] | attaching, enumerating, detaching, unloading |
//! | [`settings`] | the registry values |
//! | [`mistakes`] | the mistakes, one file per family of rules |
//! | [`opaque`] | what breaks no rule, and is noticed all the same |
//! | [`right`] | what looks like a mistake and is none |
//! | [`spoil`] | what fsglass would answer with a mistake of its own |
//! | [`stuck`] | what never comes to its end |
//! | [`kernel`] | the inline routines of `wdm.h` |

#![no_std]
#![expect(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    reason = "stands for a driver written in C, where nothing is checked; every function is raw"
)]

extern crate wdk_panic;

mod attachments;
mod filter;
mod kernel;
mod mistakes;
mod opaque;
mod right;
mod settings;
mod spoil;
mod stuck;

use core::sync::atomic::{AtomicPtr, Ordering};
use wdk_sys::{
    DRIVER_OBJECT, FAST_IO_DISPATCH, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_PNP, IRP_MJ_READ, NTSTATUS,
    PUNICODE_STRING, STATUS_SUCCESS, STATUS_UNSUCCESSFUL, UNICODE_STRING, ntddk,
};

/// The fast I/O table: a filter must be told when the device below goes away, and have what NT calls without looking.
/// The other entries are missing, so that every operation comes as a request; where nothing but the cost matters, the
/// two that are measured are there.
static mut FAST_IO: FAST_IO_DISPATCH = FAST_IO_DISPATCH {
    SizeOfFastIoDispatch: size_of::<FAST_IO_DISPATCH>() as u32,
    FastIoDetachDevice: Some(attachments::fast_io_detach_device),
    FastIoCheckIfPossible: None,
    FastIoRead: Some(filter::decline),
    FastIoWrite: Some(filter::decline),
    FastIoQueryBasicInfo: None,
    FastIoQueryStandardInfo: None,
    FastIoLock: None,
    FastIoUnlockSingle: None,
    FastIoUnlockAll: None,
    FastIoUnlockAllByKey: None,
    FastIoDeviceControl: None,
    AcquireFileForNtCreateSection: None,
    ReleaseFileForNtCreateSection: None,
    FastIoQueryNetworkOpenInfo: None,
    AcquireForModWrite: None,
    MdlRead: None,
    MdlReadComplete: None,
    PrepareMdlWrite: None,
    MdlWriteComplete: None,
    FastIoReadCompressed: None,
    FastIoWriteCompressed: None,
    MdlReadCompleteCompressed: None,
    MdlWriteCompleteCompressed: None,
    FastIoQueryOpen: None,
    ReleaseForModWrite: None,
    AcquireForCcFlush: None,
    ReleaseForCcFlush: None,
};

/// What DriverEntry was given.
static REGISTRY_PATH: AtomicPtr<UNICODE_STRING> = AtomicPtr::new(core::ptr::null_mut());

/// The entry point of the image.
///
/// # Safety
/// Called once by the I/O manager, at PASSIVE_LEVEL, with the driver's own object.
#[unsafe(export_name = "DriverEntry")]
unsafe extern "system" fn driver_entry(
    driver: *mut DRIVER_OBJECT,
    registry_path: PUNICODE_STRING,
) -> NTSTATUS {
    let mistake = match settings::mistake(registry_path) {
        Ok(mistake) => mistake,
        Err(status) => return status,
    };
    mistakes::CHOSEN.store(mistake as u32, Ordering::Relaxed);
    let plain = match settings::pass_through(registry_path) {
        Ok(plain) => plain,
        Err(status) => return status,
    };
    let opaque = match settings::opaque(registry_path) {
        Ok(opaque) => opaque,
        Err(status) => return status,
    };
    let right = match settings::right(registry_path) {
        Ok(right) => right,
        Err(status) => return status,
    };
    let spoil = match settings::spoil(registry_path) {
        Ok(spoil) => spoil,
        Err(status) => return status,
    };
    let stuck = match settings::stuck(registry_path) {
        Ok(stuck) => stuck,
        Err(status) => return status,
    };
    if let Some(stuck) = stuck {
        stuck::at_entry(stuck);
    }

    right::NOTIFIES.store(
        right == Some(right::Right::NotifyRoutines),
        Ordering::Relaxed,
    );
    let registered = mistakes::register(mistake, right == Some(right::Right::NotifyRoutines));
    if registered != STATUS_SUCCESS {
        return registered;
    }
    mistakes::remove_lock_at_entry();
    if mistake == mistakes::Mistake::EntryReturnsInCriticalRegion {
        ntddk::KeEnterCriticalRegion();
    }
    attachments::initialize();
    for (major, routine) in (0..).zip(&mut (*driver).MajorFunction) {
        if mistake == mistakes::Mistake::DispatchRoutineMissing && major == IRP_MJ_PNP {
            continue;
        }
        let mounts = major == IRP_MJ_FILE_SYSTEM_CONTROL;
        let correct = plain.filter(|_| !mounts).unwrap_or(filter::dispatch);
        let correct = opaque
            .and_then(|opaque| opaque.routine(major))
            .unwrap_or(correct);
        let correct = right
            .and_then(|right| right.routine(major))
            .unwrap_or(correct);
        let correct = spoil
            .and_then(|spoil| spoil.routine(major))
            .unwrap_or(correct);
        let correct = stuck
            .and_then(|stuck| stuck.routine(major))
            .unwrap_or(correct);
        *routine = Some(mistakes::routine(mistake, major).unwrap_or(correct));
    }
    if mistake == mistakes::Mistake::DispatchRoutineWild {
        (*driver).MajorFunction[IRP_MJ_READ as usize] = mistakes::wild();
    }
    if plain.is_none() {
        (*driver).DriverUnload = Some(driver_unload);
    } else {
        FAST_IO.FastIoRead = Some(filter::fast_io_read);
        FAST_IO.FastIoQueryStandardInfo = Some(filter::fast_io_query_standard_info);
    }
    if mistake == mistakes::Mistake::FastIoMissing {
        FAST_IO.FastIoRead = None;
    }
    if mistake == mistakes::Mistake::FastIoRoutineWild {
        FAST_IO.FastIoRead = mistakes::wild();
    }
    if mistake == mistakes::Mistake::MdlNotCompleted {
        FAST_IO.MdlReadComplete = Some(mistakes::answer_mdl_read);
    }
    REGISTRY_PATH.store(registry_path, Ordering::Relaxed);
    if let Some(query) = mistakes::fast_io_query(mistake) {
        FAST_IO.FastIoQueryStandardInfo = Some(query);
    }
    FAST_IO.FastIoQueryOpen =
        mistakes::query_open(mistake, right == Some(right::Right::FileObjects));
    (*driver).FastIoDispatch = &raw mut FAST_IO;
    attachments::DRIVER.store(driver, Ordering::Relaxed);
    if let Some(right) = right {
        let status = right.begin(driver);
        if status != STATUS_SUCCESS {
            return status;
        }
    }
    if let Some(spoil) = spoil {
        // Nothing else is filtered.
        return spoil::attach(spoil);
    }
    let status =
        ntddk::IoRegisterFsRegistrationChange(driver, Some(attachments::file_system_changed));
    if mistake == mistakes::Mistake::EntryFailsAttached {
        return STATUS_UNSUCCESSFUL;
    }
    if status == STATUS_SUCCESS {
        mistakes::link_at_entry();
    }
    status
}

/// DriverUnload: nothing new, out of every stack, wait for what is inside, delete (A12).
///
/// # Safety
/// Called once by the I/O manager, at PASSIVE_LEVEL.
unsafe extern "C" fn driver_unload(driver: *mut DRIVER_OBJECT) {
    stuck::at_unload();
    if mistakes::is(mistakes::Mistake::RegistryPathKept) {
        let path = REGISTRY_PATH.load(Ordering::Relaxed);
        (&raw const (*path).Length).read_volatile(); // MISTAKE: registry-path-kept
    }
    ntddk::IoUnregisterFsRegistrationChange(driver, Some(attachments::file_system_changed));
    mistakes::unregister(right::NOTIFIES.load(Ordering::Relaxed));
    attachments::detach_all();
    if mistakes::is(mistakes::Mistake::UnloadSleeps) {
        kernel::sleep(5000);
    } else if !mistakes::is(mistakes::Mistake::ReferenceUnloadWithRequestOut) {
        filter::wait_until_unused();
    }
    attachments::delete_all();
    mistakes::remove_lock_at_unload();
    mistakes::link_at_unload();
    mistakes::at_unload();
}
