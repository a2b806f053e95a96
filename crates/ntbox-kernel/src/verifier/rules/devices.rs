//! Device objects, their stacks, what is left of a driver, and what it logs.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

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
        proof: BadDriver("detached-twice"),
    };
    DELETED_TWICE = {
        name: "DeletedTwice",
        code: "0xC9/240",
        checks: "IoDeleteDevice for a device that was deleted",
        source: page::IO_VIOLATION,
        detected_by: "IoDeleteDevice: the device is being deleted already",
        should: "delete each device object once",
        proof: BadDriver("deleted-twice"),
    };
    FLAGS_NOT_COPIED = {
        name: "BufferingFlagsNotCopied",
        code: "0xC9/244",
        checks: "An attached device lacks DO_BUFFERED_IO or DO_DIRECT_IO of the device below",
        source: page::IO_VIOLATION,
        detected_by: "the first request to the device after DO_DEVICE_INITIALIZING is cleared: its flags against those below",
        should: "copy DO_BUFFERED_IO and DO_DIRECT_IO from the device that is attached to",
        proof: BadDriver("flags-not-copied"),
    };
    BOTH_BUFFERING_FLAGS = {
        name: "BufferedAndDirect",
        code: "0xC9/245",
        checks: "A device has both DO_BUFFERED_IO and DO_DIRECT_IO",
        source: page::IO_VIOLATION,
        detected_by: "the first request to the device after DO_DEVICE_INITIALIZING is cleared: its flags",
        should: "set one of the two flags, the one of the device below",
        proof: BadDriver("buffered-and-direct"),
    };
    DISPATCH_ROUTINE_MISSING = {
        name: "DispatchRoutineMissing",
        code: "0xC9/21F",
        checks: "A driver is attached above another one and has no dispatch routine for a major function that the other one \
                 handles, or for IRP_MJ_PNP",
        source: page::IO_VIOLATION,
        detected_by: "the first request to the device after DO_DEVICE_INITIALIZING is cleared: the dispatch tables of both drivers",
        should: "fill every slot of MajorFunction with a routine that passes requests on",
        proof: BadDriver("dispatch-routine-missing"),
    };
    FAST_IO_MISSING = {
        name: "FastIoMissing",
        code: "documented",
        checks: "A driver is attached above one that has FastIoRead or FastIoWrite, and has none: the I/O manager calls them for a \
                 cached file without looking whether they are there",
        source: "ifs/irps-are-different-from-fast-i-o",
        detected_by: "the first request to the device after DO_DEVICE_INITIALIZING is cleared: the fast I/O tables of both drivers",
        should: "fill the table with routines that call those below, or return FALSE",
        proof: BadDriver("fast-io-missing"),
    };
    DEVICE_TYPE_NOT_COPIED = {
        name: "DeviceTypeNotCopied",
        code: "0xC9/246",
        checks: "An attached device has another DeviceType than the device below",
        source: page::IO_VIOLATION,
        detected_by: "the first request to the device after DO_DEVICE_INITIALIZING is cleared: its type against the one below",
        should: "create the filter device with the DeviceType of the device that it will be attached to",
        proof: BadDriver("device-type-not-copied"),
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
        name: "DeviceLeftAtUnload",
        code: "documented",
        checks: "A device object is left, or something keeps the driver object, when DriverUnload has returned",
        source: "ifs/loading-and-unloading",
        detected_by: "after DriverUnload: the driver's devices, and the references to its driver object",
        should: "detach and delete every device object before DriverUnload returns",
        proof: BadDriver("device-left-at-unload"),
    };
    REFERENCE_LEFT = {
        name: "DanglingDeviceObjectReference",
        code: "DDI compliance",
        checks: "A reference to a device object that a routine of the I/O manager returned is not given back",
        source: "devtest/wdm-danglingdeviceobjectreference",
        detected_by: "after DriverUnload: references by IoGetAttachedDeviceReference and its like, less ObDereferenceObject",
        should: "call ObDereferenceObject for each device object that was returned with a reference",
        proof: BadDriver("device-reference-left"),
    };
    MOUNTED_NOTHING = {
        name: "MountedNothing",
        code: "documented",
        checks: "A driver completes IRP_MN_MOUNT_VOLUME with success, and no file system has mounted the volume: the DeviceObject of \
                 its VPB, which the I/O manager uses then, is null",
        source: "ifs/irp-mj-file-system-control",
        detected_by: "IoCompleteRequest, and after each completion routine, of a mount that did not come from below with success: \
                      the VPB of the storage device",
        should: "pass the mount on, and complete it with the status that it came back with; refuse it with an error",
        proof: BadDriver("mounted-nothing"),
    };
    HANDLE_LEFT = {
        name: "HandleLeftAtUnload",
        code: "documented",
        checks: "A kernel handle that a driver has opened is open when DriverUnload has returned",
        source: "ddi/ntifs/nf-ntifs-ntclose",
        detected_by: "after DriverUnload: handles with OBJ_KERNEL_HANDLE, by who opened them",
        should: "call ZwClose for each handle that a ZwCreateXxx or ZwOpenXxx routine, ObOpenObjectByPointer or \
                 PsCreateSystemThread gave",
        proof: BadDriver("handle-left"),
    };
    SYMBOLIC_LINK_LEFT = {
        name: "SymbolicLinkLeftAtUnload",
        code: "documented",
        checks: "A symbolic link that a driver has made is there when DriverUnload has returned",
        source: "kernel/releasing-driver-allocated-resources",
        detected_by: "after DriverUnload: links of IoCreateSymbolicLink, less those of IoDeleteSymbolicLink",
        should: "call IoDeleteSymbolicLink for each symbolic link in DriverUnload, and where DriverEntry fails",
        proof: BadDriver("symbolic-link-left"),
    };
    COMPLETION_ROUTINE_REFUSED = {
        name: "IoSetCompletionRoutineExCheck",
        code: "DDI compliance",
        checks: "IoSetCompletionRoutineEx fails, and the request is passed on without a completion routine",
        source: "devtest/wdm-iosetcompletionroutineexcheck",
        detected_by: "IoCallDriver: the routine was refused for the next location",
        should: "check what IoSetCompletionRoutineEx returns, and complete the request when it fails",
        proof: BadDriver("completion-routine-unchecked"),
    };
    REFUSED_AND_PASSED_ON = {
        name: "IoSetCompletionExCompleteIrp",
        code: "0xC4/4100F",
        checks: "IoSetCompletionRoutineEx fails, and the driver, which has seen that, passes the request on in another way: \
                 its location skipped, or with a routine of IoSetCompletionRoutine",
        source: "devtest/wdm-iosetcompletionexcompleteirp",
        detected_by: "IoCallDriver: a routine was refused since the request was last passed on or completed",
        should: "complete the request when IoSetCompletionRoutineEx fails, or never call it: IoSetCompletionRoutine cannot \
                 fail, and the driver waits for its requests before it is unloaded",
        proof: BadDriver("completion-routine-refused"),
    };
    COMPLETION_ROUTINE_DEVICE = {
        name: "IoSetCompletionRoutineExCheckDeviceObject",
        code: "DDI compliance",
        checks: "IoSetCompletionRoutineEx is called with a device object of another driver",
        source: "devtest/wdm-iosetcompletionroutineexcheckdeviceobject",
        detected_by: "IoSetCompletionRoutineEx: the driver of the device against the caller's image",
        should: "pass the driver's own device object, which keeps the driver loaded",
        proof: BadDriver("completion-routine-for-lower-device"),
    };
    PLAIN_COMPLETION_ROUTINE = {
        name: "IoSetCompletionRoutineNonPnpDriver",
        code: "static analysis",
        checks: "A driver that is no PnP driver sets completion routines with IoSetCompletionRoutine",
        source: "devtest/wdm-iosetcompletionroutinenonpnpdriver",
        detected_by: "IoCallDriver: a routine that does not keep its driver, which has no AddDevice. Microsoft checks it in source code \
                      alone, and a driver that waits for its routines is correct: it is reported when --verify names it",
        should: "set completion routines with IoSetCompletionRoutineEx, or wait for each to return before DriverUnload does",
        proof: BadDriver("completion-routine-plain"),
    };
    UNLOADED_WITH_REQUESTS = {
        name: "UnloadedWithPendingOperations",
        code: "0xCE DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS",
        checks: "A driver is unloaded while a request, callback, work item, timer or thread can still reach its code",
        source: "debugger/bug-check-0xce--driver-unloaded-without-cancelling-pending-operations",
        detected_by: "after DriverUnload: everything that holds an address of the image, and each thread in one of its dispatch or \
                      completion routines; later, a jump into it",
        should: "wait until nobody is in the driver, and no request, work item or timer can enter it, before DriverUnload returns",
        proof: BadDriver("timer-left-at-unload"),
    };
    REMOVE_LOCK_PAIRING = {
        name: "RemoveLockCheck",
        code: "DDI compliance",
        checks: "A remove lock is released more often than acquired, or waited for by a driver that has not acquired it",
        source: "devtest/wdm-removelockcheck",
        detected_by: "IoReleaseRemoveLock and IoReleaseRemoveLockAndWait: the count of the lock",
        should: "pair each successful IoAcquireRemoveLock with one IoReleaseRemoveLock, the last one with \
                 IoReleaseRemoveLockAndWait",
        proof: BadDriver("remove-lock-released-twice"),
    };
    REMOVE_LOCK_TAG = {
        name: "RemoveLockTag",
        code: "0xC4/D5",
        checks: "A remove lock is released with a tag that it was not acquired with",
        source: page::VIOLATION,
        detected_by: "IoReleaseRemoveLock and IoReleaseRemoveLockAndWait: the tags of the acquisitions that are not released",
        should: "release a remove lock with the tag that it was acquired with",
        proof: BadDriver("remove-lock-tag"),
    };
    REMOVE_LOCK_AGAIN = {
        name: "RemoveLockInitializedAgain",
        code: "0xC4/D7",
        checks: "A remove lock is initialized a second time, while other threads may acquire it",
        source: page::VIOLATION,
        detected_by: "IoInitializeRemoveLock: the locks that were initialized, and whether the memory is as that has left it",
        should: "initialize a remove lock once, with the device extension that it lies in",
        proof: BadDriver("remove-lock-initialized-twice"),
    };
    REMOVE_LOCK_KEPT = {
        name: "RemoveLockRelease2",
        code: "DDI compliance",
        checks: "A dispatch routine has acquired a remove lock for its request, which is held when nobody is left who would release it",
        source: "devtest/wdm-removelockrelease2",
        detected_by: "return of the dispatch routine: a final status, or a request passed on without a completion routine; return of \
                      the completion routine: the acquisitions for the request",
        should: "call IoReleaseRemoveLock in the completion routine, or before the dispatch routine returns where there is none",
        proof: BadDriver("remove-lock-kept"),
    };
    REMOVE_LOCK_FORWARD = {
        name: "RemoveLockForward",
        code: "DDI compliance",
        checks: "A dispatch routine acquires the remove lock of its device for its request, and passes the request on when it \
                 has released the lock",
        source: "devtest/wdm-removelockforward",
        detected_by: "IoCallDriver: the acquisitions for the request of locks that lie in the extension of the device",
        should: "release the remove lock in the completion routine, or after IoCallDriver has returned",
        proof: BadDriver("remove-lock-released-early"),
    };
    TIMER_AGAIN = {
        name: "DeviceTimerInitializedAgain",
        code: "0xC9/0A",
        checks: "IoInitializeTimer is called for a device whose timer is initialized",
        source: page::IO_VIOLATION,
        detected_by: "IoInitializeTimer: the devices that have a timer",
        should: "initialize the timer of a device once, when the device is created",
        proof: BadDriver("device-timer-initialized-twice"),
    };
    ERROR_LOG_ENTRY = {
        name: "ErrorLogEntry",
        code: "documented",
        checks: "An entry of the event log has an impossible size, or data or strings that do not lie in it whole",
        source: "ddi/wdm/ns-wdm-_io_error_log_packet",
        detected_by: "IoAllocateErrorLogEntry: the size, 48 to 240 bytes; IoWriteErrorLogEntry: DumpDataSize, StringOffset, and as many terminators as NumberOfStrings",
        should: "count the strings whose terminators lie in the entry, and ask for no more than ERROR_LOG_MAXIMUM_SIZE",
        proof: BadDriver("log-strings-cut-off"),
    };
    ETW_PROVIDER_LEFT = {
        name: "EtwProviderLeft",
        code: "0xC4/DD",
        checks: "A driver is unloaded while a provider of its is registered with ETW",
        source: page::VIOLATION,
        detected_by: "after DriverUnload: registrations by calls from the image",
        should: "call EtwUnregister for each registration before DriverUnload returns",
        proof: BadDriver("provider-left-at-unload"),
    };
    ETW_HANDLE = {
        name: "EtwHandle",
        code: "0xC4/DC",
        checks: "EtwUnregister for a handle that is of no registration",
        source: page::VIOLATION,
        detected_by: "EtwUnregister: the registrations",
        should: "call EtwUnregister once for each handle of EtwRegister",
        proof: BadDriver("provider-unregistered-twice"),
    };
}
