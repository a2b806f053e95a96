//! Requests that a driver makes itself, and what it may do with those that it has not made.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { IrpLife;
    POWER_REQUEST_ASKED = {
        name: "RequestedPowerIrp",
        code: "0xC4/4100B",
        checks: "PoRequestPowerIrp is asked for the address of another request than IRP_MN_WAIT_WAKE: it may be gone by then",
        source: "devtest/wdm-requestedpowerirp",
        detected_by: "the Irp parameter of PoRequestPowerIrp, for IRP_MN_QUERY_POWER and IRP_MN_SET_POWER",
        should: "give NULL for Irp, and learn of the end in the completion routine of the request",
        proof: BadDriver("power-request-asked"),
    };
    FREED_FOREIGN = {
        name: "IoBuildFsdFree",
        code: "DDI compliance",
        checks: "IoFreeIrp is called for a request that another driver, or the I/O manager, has made",
        source: "devtest/wdm-iobuildfsdfree",
        detected_by: "IoFreeIrp: who has allocated or built the request, against who frees it",
        should: "free the requests of IoAllocateIrp and IoBuildAsynchronousFsdRequest that the driver itself has made, and complete those that it is given",
        proof: BadDriver("foreign-request-freed"),
    };
    REUSED_FOREIGN = {
        name: "IoReuseIrp2",
        code: "DDI compliance",
        checks: "IoReuseIrp is called for a request that another driver, or the I/O manager, has made",
        source: "devtest/wdm-ioreuseirp2",
        detected_by: "IoReuseIrp: who has allocated or built the request, against who uses it again",
        should: "use requests again that the driver itself has allocated with IoAllocateIrp",
        proof: BadDriver("foreign-request-reused"),
    };
    BUILT_WITHOUT_ROUTINE = {
        name: "IoBuildFsdForward",
        code: "DDI compliance",
        checks: "A request of IoBuildAsynchronousFsdRequest is sent without a completion routine",
        source: "devtest/wdm-iobuildfsdforward",
        detected_by: "IoCallDriver: how the request was made, and what its first location asks for",
        should: "set a completion routine that frees the request and returns STATUS_MORE_PROCESSING_REQUIRED",
        proof: BadDriver("built-without-routine"),
    };
    EVENT_OF_REQUEST_SET = {
        name: "IoBuildDeviceIoControlSetEvent",
        code: "DDI compliance",
        checks: "A driver signals the event that it gave to IoBuildDeviceIoControlRequest or IoBuildSynchronousFsdRequest, while \
                 the request is on its way: who waits goes on before the I/O manager has written the status",
        source: "devtest/wdm-iobuilddeviceiocontrolsetevent",
        detected_by: "KeSetEvent: the event against those of the requests that are sent and not gone",
        should: "leave the event to the I/O manager; a completion routine that is to wake somebody gets another one",
        proof: BadDriver("event-of-request-set"),
    };
    SENT_AT_APC_LEVEL = {
        name: "SentAtApcLevel",
        code: "0xC9/302",
        checks: "A request in the list of its thread is sent at APC_LEVEL: the APC that ends it cannot run, and who waits for it waits for ever",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the IRQL, and how the request was made",
        should: "send requests of IoBuildSynchronousFsdRequest and IoBuildDeviceIoControlRequest at PASSIVE_LEVEL: outside of fast mutexes",
        proof: BadDriver("sent-at-apc-level"),
    };
    FSD_BUFFER_INVALID = {
        name: "IoBuildFsdInvalidBuffer",
        code: "0xC9/08",
        checks: "IoBuildAsynchronousFsdRequest or IoBuildSynchronousFsdRequest is given a buffer that is not there, which it copies or locks",
        source: page::IO_VIOLATION,
        detected_by: "the call: each page of the buffer",
        should: "give a buffer that lives until the request is completed",
        proof: BadDriver("built-with-freed-buffer"),
    };
    CONTROL_BUFFER_INVALID = {
        name: "IoBuildDeviceControlInvalidBuffer",
        code: "0xC9/09",
        checks: "IoBuildDeviceIoControlRequest is given a buffer that is not there, which it copies or locks",
        source: page::IO_VIOLATION,
        detected_by: "the call: each page of the buffers that the method of the code looks at",
        should: "give buffers that live until the request is completed",
        proof: BadDriver("control-with-freed-buffer"),
    };
    CREATE_FOR_CLOSED = {
        name: "CreateForClosedFile",
        code: "0xC9/0F",
        checks: "A driver sends a create for a file object that is closed, or whose open was cancelled",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the flags of the file object of a create",
        should: "open the file again with a file object of its own (IoCreateFileSpecifyDeviceObjectHint)",
        proof: BadDriver("create-for-closed-file"),
    };
    CANCEL_NOT_LOOKED_AT = {
        name: "IrpCancelField",
        code: "DDI compliance",
        checks: "A dispatch routine sets a cancel routine in a request that was cancelled before, and pends it: nobody cancels it any more",
        source: "devtest/wdm-irpcancelfield",
        detected_by: "return of the dispatch routine with STATUS_PENDING: Cancel and CancelRoutine of the request, which is with its \
                      driver, under the cancel spin lock",
        should: "look at Irp->Cancel after IoSetCancelRoutine; if it is set, take the routine back and complete the request with STATUS_CANCELLED",
        proof: BadDriver("cancel-not-looked-at"),
    };
    CANCEL_ROUTINE_SET_BELOW = {
        name: "CancelRoutineSetWhileBelow",
        code: "0xC9/229",
        checks: "A driver sets a cancel routine in a request that a lower driver has, in the place of that driver's",
        source: page::IO_VIOLATION,
        detected_by: "return of the dispatch routine: whose the cancel routine is, and which driver has the request",
        should: "set a cancel routine only in a request that the driver has and keeps; cancel one that is below with IoCancelIrp",
        proof: BadDriver("cancel-routine-set-below"),
    };
    WRITE_BUFFER_CHANGED = {
        name: "WriteBufferChanged",
        code: "0xC4/1010",
        checks: "A driver changes the contents of the buffer that a program writes from, which the program, or another thread, still uses",
        source: page::VIOLATION,
        detected_by: "each IoCallDriver for a write, and its completion: the buffer of the caller against what it held when the write was issued",
        should: "put what is to be written instead into a buffer of its own, with an MDL of its own in the request, and take both back when \
                 the request comes back",
        proof: BadDriver("write-buffer-changed"),
    };
}
