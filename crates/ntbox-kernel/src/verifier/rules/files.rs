//! File objects: opened, closed, and gone when nobody needs them.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { Files;
    FILE_REFERENCE_LEFT = {
        name: "FileObjectReferenceLeft",
        code: "documented",
        checks: "A reference to a file object is not given back, so that IRP_MJ_CLOSE is never sent for it",
        source: "ifs/irp-mj-close",
        detected_by: "after DriverUnload: references of the driver to file objects that have no handle and no other",
        should: "call ObDereferenceObject for each reference to a file object, at IRP_MJ_CLEANUP at the latest",
        proof: BadDriver("file-reference-left"),
    };
    REFERENCE_BY_POINTER = {
        name: "ReferenceByPointer",
        code: "0x18 REFERENCE_BY_POINTER",
        checks: "A driver gives back a reference to a file object that no driver has taken",
        source: "debugger/bug-check-0x18--reference-by-pointer",
        detected_by: "ObDereferenceObject: the references that drivers have taken of the object",
        should: "call ObDereferenceObject once for each reference that was taken; the file object of a request is the \
                 sender's",
        proof: BadDriver("file-dereferenced-twice"),
    };
    CLOSE_FAILED = {
        name: "CloseFailed",
        code: "0xC9/247",
        checks: "A driver fails a cleanup or close: these must not fail",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest, of a request that was not sent below; after each completion routine, of one that \
                      came back with success",
        should: "pass IRP_MJ_CLEANUP and IRP_MJ_CLOSE on, whatever else cannot be done",
        proof: BadDriver("close-failed"),
    };
    CLOSE_NOT_PASSED_ON = {
        name: "CloseNotPassedOn",
        code: "documented",
        checks: "A filter completes a cleanup or close of a file that the file system has open, and does not pass it on",
        source: "ifs/irp-mj-cleanup",
        detected_by: "IoCompleteRequest: a request that was not sent below, at a device that is attached to another; the \
                      create of the file was",
        should: "pass IRP_MJ_CLEANUP and IRP_MJ_CLOSE on for each file whose create was passed on",
        proof: BadDriver("close-not-passed-on"),
    };
    TOP_LEVEL_LEFT = {
        name: "TopLevelIrpLeft",
        code: "documented",
        checks: "A routine returns with another top-level IRP in its thread than it was called with",
        source: "ddi/ntifs/nf-ntifs-iosettoplevelirp",
        detected_by: "return of dispatch and completion routines: IoGetTopLevelIrp before and after",
        should: "remember what IoGetTopLevelIrp returned, and set that again before returning",
        proof: BadDriver("top-level-irp-left"),
    };
}
