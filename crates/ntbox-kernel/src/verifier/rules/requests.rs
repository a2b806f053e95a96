//! Requests at the routines of the I/O manager: what is sent where, and what their owners do with them.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { IrpLife;
    WRONG_REQUEST_TYPE = {
        name: "WrongRequestType",
        code: "0xC9/03",
        checks: "IoCallDriver is called with something that is no request",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: Type",
        should: "pass a request that IoAllocateIrp, IoBuildXxxRequest or the dispatch routine gave",
        proof: BadDriver("wrong-request-type"),
    };
    WRONG_DEVICE_TYPE = {
        name: "WrongDeviceType",
        code: "0xC9/04",
        checks: "IoCallDriver is called with something that is no device object",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: Type of the device object",
        should: "pass the device object that IoAttachDeviceToDeviceStackSafe returned",
        proof: BadDriver("wrong-device-type"),
    };
    NO_DEVICE = {
        name: "NullDevicePassed",
        code: "0xC9/204",
        checks: "IoCallDriver is called without a device object",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: a device object of null",
        should: "check that the attach succeeded before a request is passed on",
        proof: BadDriver("null-device"),
    };
    DEVICE_SKIPPED = {
        name: "DeviceSkipped",
        code: "0xC9/211",
        checks: "A request is passed to a device further down than the one that the driver is attached to",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the devices below the caller's",
        should: "pass requests to the device object that IoAttachDeviceToDeviceStackSafe returned",
        proof: BadDriver("device-skipped"),
    };
    CANCEL_ROUTINE_AT_CALL = {
        name: "CancelRoutineAtIoCallDriver",
        code: "0xC9/203",
        checks: "A request is passed on while its cancel routine is set",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: CancelRoutine",
        should: "call IoSetCancelRoutine(Irp, NULL) before IoCallDriver",
        proof: BadDriver("cancel-routine-at-call"),
    };
    SIGNALLED_EVENT = {
        name: "SignalledEventInRequest",
        code: "0xC9/307",
        checks: "A request is sent with an event that is signalled, and STATUS_PENDING is returned for it",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the state of the event before, the status after",
        should: "initialize the event unsignalled, or clear it, before the request is sent: the wait for it ends at once",
        proof: BadDriver("event-signalled-before"),
    };
    STACK_STATUS_BLOCK = {
        name: "StatusBlockOnReturnedStack",
        code: "0xC9/0C",
        checks: "A routine returns while a request is pending whose status block lies on its stack",
        source: page::IO_VIOLATION,
        detected_by: "return of the dispatch routine, completion: UserIosb against the kernel stack of the request's thread",
        should: "after a wait that has timed out, cancel the request and wait until it has completed",
        proof: BadDriver("stack-status-block-left"),
    };
    STACK_EVENT = {
        name: "EventOnReturnedStack",
        code: "0xC9/0D",
        checks: "A routine returns while a request is pending whose event lies on its stack",
        source: page::IO_VIOLATION,
        detected_by: "return of the dispatch routine, completion: UserEvent against the kernel stack of the request's thread",
        should: "after a wait that has timed out, cancel the request and wait until it has completed",
        proof: BadDriver("stack-event-left"),
    };
    ILLEGAL_STATUS = {
        name: "IllegalStatusReturned",
        code: "0xC9/225",
        checks: "A dispatch routine returns the status -1",
        source: page::IO_VIOLATION,
        detected_by: "return of the dispatch routine",
        should: "give the status a value on every way to the end of the dispatch routine",
        proof: BadDriver("illegal-status-returned"),
    };
    COMPLETED_UNSENT = {
        name: "IoAllocateComplete",
        code: "0xC9/239",
        checks: "IoCompleteRequest is called for a request that was never sent to a driver",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest: the drivers that were entered with the request",
        should: "free a request of one's own with IoFreeIrp",
        proof: BadDriver("complete-unsent"),
    };
    THREADED_REQUEST_FREED = {
        name: "ThreadedRequestFreed",
        code: "0xC9/02, 0xC9/20C",
        checks: "IoFreeIrp is called for a request that is in the list of its thread",
        source: page::IO_VIOLATION,
        detected_by: "IoFreeIrp: a request of IoBuildSynchronousFsdRequest or IoBuildDeviceIoControlRequest",
        should: "let the I/O manager free such a request when it completes, or use IoBuildAsynchronousFsdRequest",
        proof: BadDriver("threaded-request-freed"),
    };
    FREED_IN_USE = {
        name: "RequestFreedInUse",
        code: "0xC9/20B, 0xC9/20A",
        checks: "IoFreeIrp is called for a request that a driver still has",
        source: page::IO_VIOLATION,
        detected_by: "IoFreeIrp: the drivers that hold the request",
        should: "free a request in its completion routine, or after that has stopped it",
        proof: BadDriver("request-freed-in-use"),
    };
    REUSED_IN_USE = {
        name: "RequestReusedInUse",
        code: "0xC9/310",
        checks: "IoReuseIrp or IoInitializeIrp is called for a request that a driver still has",
        source: page::IO_VIOLATION,
        detected_by: "IoReuseIrp, IoInitializeIrp: the drivers that hold the request",
        should: "use a request again after its completion routine has stopped it",
        proof: BadDriver("request-reused-in-use"),
    };
    REUSED_BUILT = {
        name: "IoReuseIrp",
        code: "0xC9/311",
        checks: "IoReuseIrp is called for a request of IoBuildXxxRequest or IoMakeAssociatedIrp",
        source: page::IO_VIOLATION,
        detected_by: "IoReuseIrp: how the request was made",
        should: "use requests of IoAllocateIrp again only, and build a new one otherwise",
        proof: BadDriver("built-request-reused"),
    };
    INITIALIZED_WITH_QUOTA = {
        name: "AllocatedRequestInitialized",
        code: "0xC9/20D",
        checks: "IoInitializeIrp is called for a request of IoAllocateIrp that quota was charged for",
        source: page::IO_VIOLATION,
        detected_by: "IoInitializeIrp: how the request was made",
        should: "use a request again with IoReuseIrp; IoInitializeIrp is for memory of the driver's own",
        proof: BadDriver("charged-request-initialized"),
    };
    INITIALIZED_ALLOCATED = {
        name: "AllocatedRequestInitialized",
        code: "0xC9/238",
        checks: "IoInitializeIrp is called for a request of IoAllocateIrp",
        source: page::IO_VIOLATION,
        detected_by: "IoInitializeIrp: how the request was made",
        should: "use a request again with IoReuseIrp; IoInitializeIrp is for memory of the driver's own",
        proof: BadDriver("allocated-request-initialized"),
    };
    BUFFER_NOT_RESTORED = {
        name: "RequestBufferNotRestored",
        code: "0x76 PROCESS_HAS_LOCKED_PAGES",
        checks: "A request comes back to who sent it with another MdlAddress, SystemBuffer or UserBuffer, which a driver has put there on its way down: the I/O manager frees the wrong one, and nobody unlocks the pages of the first",
        source: "kernel/using-mdls",
        detected_by: "IoCallDriver and the end of completion: the fields of requests that the I/O manager has sent",
        should: "keep what a request had where its buffer is exchanged, and put it back in the completion routine, or before the request is completed",
        proof: BadDriver("buffer-not-restored"),
    };
    ENDING_CHANGED = {
        name: "RequestEndingChanged",
        code: "documented",
        checks: "A request comes back to who sent it with another UserIosb, UserEvent, UserApcRoutine or UserApcContext: its sender waits for what never comes, or is told of something that he has not asked for",
        source: "ddi/wdm/ns-wdm-_irp",
        detected_by: "IoCallDriver and the end of completion: the fields of requests that the I/O manager has sent",
        should: "leave them to who has made the request; for an ending of its own a driver sends a request of its own",
        proof: BadDriver("apc-context-changed"),
    };
}
