//! Handles, objects, and the names by which they are asked for.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { PoolAndLocks;
    NULL_HANDLE = {
        name: "NullHandle",
        code: "0xC4/F5",
        checks: "ObReferenceObjectByHandle is called with a handle of null",
        source: page::VIOLATION,
        detected_by: "ObReferenceObjectByHandle: the handle",
        should: "check that a handle was given before it is used",
        proof: BadDriver("null-handle"),
    };
    USER_HANDLE = {
        name: "UserHandleInKernelMode",
        code: "0xC4/F6",
        checks: "ObReferenceObjectByHandle is called in kernel mode with a handle of the program that the thread belongs to, which \
                 the program can close and open again meanwhile",
        source: page::VIOLATION,
        detected_by: "ObReferenceObjectByHandle: the mode, the handle and the process of the thread",
        should: "open handles with OBJ_KERNEL_HANDLE, and refer to a program's handle with UserMode",
        proof: BadDriver("user-handle-in-kernel-mode"),
    };
    BAD_HANDLE = {
        name: "BadHandle",
        code: "0xC4/3C",
        checks: "ObReferenceObjectByHandle is called in kernel mode with a kernel handle that is of nothing",
        source: page::VIOLATION,
        detected_by: "ObReferenceObjectByHandle: the handle against those that are open",
        should: "do not use a handle after ZwClose, or one that no routine has given",
        proof: BadDriver("closed-handle-referenced"),
    };
    INVALID_KERNEL_HANDLE = {
        name: "InvalidKernelHandle",
        code: "0x93 INVALID_KERNEL_HANDLE",
        checks: "A kernel handle is closed that is of nothing",
        source: "debugger/bug-check-0x93--invalid-kernel-handle",
        detected_by: "ZwClose, ObCloseHandle: the handle against those that are open",
        should: "close each handle once",
        proof: BadDriver("handle-closed-twice"),
    };
    KERNEL_HANDLE_AS_USER = {
        name: "KernelHandleAsUser",
        code: "0xC4/F7",
        checks: "ObReferenceObjectByHandle is called with UserMode for a kernel handle, in a thread of the system",
        source: page::VIOLATION,
        detected_by: "ObReferenceObjectByHandle: the mode, the handle and the thread",
        should: "refer to a kernel handle with KernelMode",
        proof: BadDriver("kernel-handle-as-user"),
    };
    MALFORMED_STRING = {
        name: "MalformedString",
        code: "0xC4/E4",
        checks: "A Zw routine is given a UNICODE_STRING whose length is odd or more than its maximum, or that has characters and no buffer",
        source: page::VIOLATION,
        detected_by: "the Zw routines: the strings of names",
        should: "set the lengths with RtlInitUnicodeString, in bytes",
        proof: BadDriver("malformed-string"),
    };
    KEY_ENDED = {
        name: "ZwRegistryOpen",
        code: "0xC4/DDI",
        checks: "A handle of ZwOpenKey, ZwOpenKeyEx or IoOpenDriverRegistryKey is used or closed after ZwClose, or used after ZwDeleteKey",
        source: "devtest/wdm-zwregistryopen",
        detected_by: "the registry routines: what became of the handle",
        should: "use and close the handle of a key before ZwClose, and only close it after ZwDeleteKey",
        proof: BadDriver("key-used-after-close"),
    };
    CREATED_KEY_ENDED = {
        name: "ZwRegistryCreate",
        code: "0xC4/DDI",
        checks: "A handle of ZwCreateKey is used or closed after ZwClose, or used after ZwDeleteKey",
        source: "devtest/wdm-zwregistrycreate",
        detected_by: "the registry routines: what became of the handle",
        should: "use and close the handle of a key before ZwClose, and only close it after ZwDeleteKey",
        proof: BadDriver("created-key-used-after-delete"),
    };
    OBJECT_GONE = {
        name: "ObjectGone",
        code: "0xC4/3F",
        checks: "A reference is taken to an object, or given back, that has none: it was deleted",
        source: page::VIOLATION,
        detected_by: "ObReferenceObject, ObDereferenceObject: the object against those that were deleted",
        should: "give back each reference once, and touch an object only while one is held",
        proof: BadDriver("object-dereferenced-after-last"),
    };
    BAD_OBJECT_HEADER = {
        name: "BadObjectHeader",
        code: "0x189 BAD_OBJECT_HEADER",
        checks: "A reference is taken or given back to what is no object",
        source: "debugger/bug-check-0x189--bad-object-header",
        detected_by: "ObReferenceObject, ObDereferenceObject: what lies in front of the address",
        should: "take references to objects of the object manager alone; a driver counts those to its own structures itself",
        proof: BadDriver("block-referenced-as-object"),
    };
    USER_ADDRESS = {
        name: "UserAddressInKernel",
        code: "0xC4/E0",
        checks: "A dispatcher object or a work item is used that lies in memory of a program, which can change it and go away with it",
        source: page::VIOLATION,
        detected_by: "the routines that initialize, wait and queue: the address against the buffers that programs have passed",
        should: "keep what the kernel uses in pool or in the device extension",
        proof: BadDriver("event-in-program-memory"),
    };
    USER_ADDRESS_IN_REQUEST = {
        name: "UserAddressInKernelRequest",
        code: "0xC4/E2",
        checks: "A request of the driver itself, whose RequestorMode is KernelMode, has the buffer or the status block of a program",
        source: page::VIOLATION,
        detected_by: "IoCallDriver: Irp->UserBuffer and Irp->UserIosb against the buffers that programs have passed",
        should: "lock the pages of the program with an MDL, or copy; or set RequestorMode to that of the request which the buffer came with",
        proof: BadDriver("kernel-request-with-program-memory"),
    };
    ZW_USER_ADDRESS = {
        name: "UserAddressInZwCall",
        code: "0xC4/E3",
        checks: "A Zw routine, which trusts its caller, is given the address of a buffer of a program",
        source: page::VIOLATION,
        detected_by: "the Zw routines: the buffers and status blocks against the buffers that programs have passed",
        should: "give Zw routines memory of the kernel, and copy from or to the program inside a try block",
        proof: BadDriver("program-memory-given-to-zw"),
    };
}
