//! What looks like a mistake and is none: for the check that no correct driver is accused. Chosen by the registry
//! value `Right`; where there is a mistake like it, the code is beside that.

use crate::attachments::Extension;
use crate::filter::{DispatchRoutine, dispatch, enter, leave, lower, signal};
use crate::kernel::{
    complete, complete_as_is, current_location, initialize_event, next_location,
    set_completion_routine, unicode_literal, wait_for,
};
use crate::{mistakes, opaque};
use core::ptr::null_mut;
use core::sync::atomic::AtomicBool;
use wdk_sys::{
    DRIVER_OBJECT, FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, IRP_MJ_CREATE,
    IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_QUERY_INFORMATION, IRP_MJ_READ, IRP_MN_MOUNT_VOLUME, KEVENT,
    NTSTATUS, PDEVICE_OBJECT, PIRP, POOL_FLAG_NON_PAGED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_SUCCESS, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadR");

/// Whether it is [`Right::NotifyRoutines`], for DriverUnload.
pub static NOTIFIES: AtomicBool = AtomicBool::new(false);

/// What is done right.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// A wait ends before the request has completed, which is cancelled and waited for then.
    StackEvent,
    /// There is a device with a name: the driver cannot be loaded a second time.
    NamedDevice,
    /// Creates are waited for.
    CreateWaits,
    /// A read is carried out by a request of the driver's own.
    OwnRead,
    /// A mount needs memory, and is refused without.
    MountNeedsMemory,
    /// Timers, locks and lists lie in blocks, and are ended before these are freed.
    ActiveObjects,
    /// MDLs are locked, mapped, divided and given back in order.
    Lists,
    /// Keys and other objects are opened, used, and closed once.
    Handles,
    /// Locks are acquired and released by one sort of routines, in order.
    Manners,
    /// Memory of programs is given to the file system alone, in a request of their mode.
    Addresses,
    /// Notify routines of all kinds, which keep a process by a reference.
    NotifyRoutines,
    /// A request waits in a queue, where it can be cancelled.
    CancelSafeQueue,
    /// Names, the directory that they are relative to, the top-level IRP and the file object of a query-open are looked at
    /// where they may be.
    FileObjects,
    /// Requests hold a remove lock.
    RemoveLocks,
    /// Requests of the driver's own are waited for, in every way that there is.
    OwnRequests,
    /// A request that was cancelled is completed where its cancel routine is set.
    Cancelling,
    /// A copy of what a program writes is written.
    Writes,
    /// Requests of the PnP manager are handled, and some sent.
    PlugAndPlay,
    /// Associated requests complete their master, or the driver does.
    Associated,
    /// The directory of a file is opened.
    OpenTargetDirectory,
}

impl Right {
    /// By the value of the setting.
    pub fn by_name(is: impl Fn(&str) -> bool) -> Option<Self> {
        let names = [
            ("stack-event", Self::StackEvent),
            ("named-device", Self::NamedDevice),
            ("create-waits", Self::CreateWaits),
            ("own-read", Self::OwnRead),
            ("mount-needs-memory", Self::MountNeedsMemory),
            ("active-objects", Self::ActiveObjects),
            ("lists", Self::Lists),
            ("handles", Self::Handles),
            ("manners", Self::Manners),
            ("addresses", Self::Addresses),
            ("notify-routines", Self::NotifyRoutines),
            ("cancel-safe-queue", Self::CancelSafeQueue),
            ("file-objects", Self::FileObjects),
            ("remove-locks", Self::RemoveLocks),
            ("own-requests", Self::OwnRequests),
            ("cancelling", Self::Cancelling),
            ("writes", Self::Writes),
            ("plug-and-play", Self::PlugAndPlay),
            ("associated", Self::Associated),
            ("open-target-directory", Self::OpenTargetDirectory),
        ];
        let found = names.into_iter().find(|(name, _)| is(name));
        found.map(|(_, right)| right)
    }

    /// The dispatch routine that does it, for the major function it is done with.
    pub fn routine(self, major: u32) -> Option<DispatchRoutine> {
        match (self, major) {
            (Self::StackEvent, _) => mistakes::stack_memory_right(major),
            (Self::RemoveLocks, _) => mistakes::remove_lock_right(major),
            (Self::OwnRequests, _) => mistakes::own_requests_right(major),
            (Self::Cancelling, _) => mistakes::cancelling_right(major),
            (Self::Writes, _) => mistakes::writes_right(major),
            (Self::PlugAndPlay, _) => mistakes::plug_and_play_right(major),
            (Self::Associated, _) => mistakes::associated_right(major),
            (Self::CreateWaits, IRP_MJ_CREATE) => Some(opaque::wait),
            (Self::CancelSafeQueue, _) => mistakes::queueing_right(major),
            (Self::OwnRead, IRP_MJ_READ) => Some(read_by_own_request),
            (Self::FileObjects, IRP_MJ_CREATE) => Some(mistakes::create_right),
            (Self::FileObjects, IRP_MJ_READ) => Some(mistakes::read_right),
            (Self::MountNeedsMemory, IRP_MJ_FILE_SYSTEM_CONTROL) => Some(mount_with_memory),
            (Self::OpenTargetDirectory, IRP_MJ_QUERY_INFORMATION) => {
                Some(mistakes::open_target_directory)
            }
            (Self::Handles, IRP_MJ_QUERY_INFORMATION) => Some(mistakes::handles_right),
            (Self::Manners, IRP_MJ_QUERY_INFORMATION) => Some(mistakes::manners_right),
            (Self::Addresses, IRP_MJ_QUERY_INFORMATION) => Some(mistakes::addresses_right),
            (Self::Lists, IRP_MJ_QUERY_INFORMATION) => Some(mistakes::lists_right),
            (Self::ActiveObjects, IRP_MJ_QUERY_INFORMATION) => Some(mistakes::active_objects_right),
            _ => None,
        }
    }

    /// In DriverEntry.
    pub unsafe fn begin(self, driver: *mut DRIVER_OBJECT) -> NTSTATUS {
        if self != Self::NamedDevice {
            return STATUS_SUCCESS;
        }
        let mut name = unicode_literal!("\\Device\\BadDrivers");
        let mut device = null_mut();
        // As the others, with an extension that says that it is attached to nothing.
        ntddk::IoCreateDevice(
            driver,
            size_of::<Extension>() as u32,
            &raw mut name,
            FILE_DEVICE_UNKNOWN,
            FILE_DEVICE_SECURE_OPEN,
            0,
            &raw mut device,
        )
    }
}

/// The request below is another one, for the same bytes in the same buffer.
unsafe extern "C" fn read_by_own_request(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let below = lower(device);
    let own = ntddk::IoAllocateIrp((*below).StackSize, 0);
    if own.is_null() {
        leave();
        return complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    }
    let mut came_back = KEVENT::default();
    initialize_event(&raw mut came_back);
    (*own).Flags = (*irp).Flags;
    (*own).RequestorMode = (*irp).RequestorMode;
    (*own).MdlAddress = (*irp).MdlAddress;
    (*own).UserBuffer = (*irp).UserBuffer;
    (*own).AssociatedIrp.SystemBuffer = (*irp).AssociatedIrp.SystemBuffer;
    (*own).Tail.Overlay.Thread = (*irp).Tail.Overlay.Thread;
    (*own).Tail.Overlay.OriginalFileObject = (*irp).Tail.Overlay.OriginalFileObject;
    *next_location(own) = *current_location(irp);
    set_completion_routine(own, signal, (&raw mut came_back).cast());
    let _ = ntddk::IofCallDriver(below, own);
    wait_for(&raw mut came_back);
    (*irp).IoStatus = (*own).IoStatus;
    let status = (*own).IoStatus.__bindgen_anon_1.Status;
    // Where the file system has locked the buffer, the pages are the request's that is completed.
    (*irp).MdlAddress = (*own).MdlAddress;
    (*own).MdlAddress = null_mut();
    ntddk::IoFreeIrp(own);
    complete_as_is(irp);
    leave();
    status
}

/// Blocks that a mount needs: of so many one fails where memory is short.
const NEEDED: usize = 24;

unsafe extern "C" fn mount_with_memory(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let minor = u32::from((*current_location(irp)).MinorFunction);
    if minor != IRP_MN_MOUNT_VOLUME {
        return dispatch(device, irp);
    }
    let mut is_short = false;
    for _ in 0..NEEDED {
        let block = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, 16, TAG);
        if block.is_null() {
            is_short = true;
        } else {
            ntddk::ExFreePoolWithTag(block, TAG);
        }
    }
    if is_short {
        return complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    }
    dispatch(device, irp)
}
