//! Device objects, their stacks, and what is left of a driver.

use super::Proof::BadDriver;
use super::{Proof, page, rules};

rules! { Devices;
    DELETED_WHILE_ATTACHED = {
        name: "DeletedWhileAttached",
        code: "0xC9/201",
        checks: "A device is deleted while it is attached to another",
        source: page::IO_VIOLATION,
        detected_by: "IoDeleteDevice: the device below",
        should: "call IoDetachDevice before IoDeleteDevice",
        proof: BadDriver("deleted-while-attached"),
    };
    DETACHED_TWICE = {
        name: "DetachedTwice",
        code: "0xC9/202",
        checks: "IoDetachDevice for a device that nothing is attached to",
        source: page::IO_VIOLATION,
        detected_by: "IoDetachDevice: the device above",
        should: "call IoDetachDevice once for each successful attach, with the device that was attached to",
        proof: Proof::UnitTest("io_manager/tests/stacks.rs"),
    };
    DELETED_TWICE = {
        name: "DeletedTwice",
        code: "0xC9/240",
        checks: "IoDeleteDevice for a device that was deleted",
        source: page::IO_VIOLATION,
        detected_by: "IoDeleteDevice: the device is being deleted already",
        should: "delete each device object once",
        proof: Proof::UnitTest("io_manager/tests/stacks.rs"),
    };
    INITIALIZING_FLAG_LEFT = {
        name: "DoDeviceInitializing",
        code: "0xC9/243",
        checks: "A device keeps DO_DEVICE_INITIALIZING",
        source: page::IO_VIOLATION,
        detected_by: "after DriverEntry, and before unload: the flags of the driver's devices",
        should: "clear DO_DEVICE_INITIALIZING after the device is attached and ready",
        proof: BadDriver("initializing-flag-left"),
    };
    DEVICE_LEFT_AT_UNLOAD = {
        name: "DanglingDeviceObjectReference",
        code: "DDI compliance",
        checks: "A device object, or a reference to one, is left when DriverUnload has returned",
        source: "devtest/wdm-danglingdeviceobjectreference",
        detected_by: "after DriverUnload: the driver's devices, and the references to its driver object",
        should: "detach and delete every device object before DriverUnload returns",
        proof: BadDriver("device-left-at-unload"),
    };
    UNLOADED_WITH_REQUESTS = {
        name: "UnloadedWithPendingOperations",
        code: "0xCE DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS",
        checks: "A driver is unloaded while a request, callback, work item, timer or thread can still reach its code",
        source: "debugger/bug-check-0xce--driver-unloaded-without-cancelling-pending-operations",
        detected_by: "after DriverUnload: everything that holds an address of the image; later, a jump into it",
        should: "wait until no request, work item or timer can enter the driver before DriverUnload returns",
        proof: Proof::UnitTest("io_manager/unload.rs"),
    };
    REMOVE_LOCK_PAIRING = {
        name: "RemoveLockCheck",
        code: "DDI compliance",
        checks: "A remove lock is released more often than acquired",
        source: "devtest/wdm-removelockcheck",
        detected_by: "IoReleaseRemoveLock: the count of the lock",
        should: "pair each successful IoAcquireRemoveLock with one IoReleaseRemoveLock",
        proof: Proof::UnitTest("exports/io/remove_lock.rs"),
    };
}
