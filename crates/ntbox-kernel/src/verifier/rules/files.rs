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
    VOLUME_REPARSED = {
        name: "VolumeReparsed",
        code: "0xF9 DRIVER_RETURNED_STATUS_REPARSE_FOR_VOLUME_OPEN",
        checks: "A driver answers the open of a volume, a create without a name, with STATUS_REPARSE",
        source: "debugger/bug-check-0xf9--driver-returned-status-reparse-for-volume-open",
        detected_by: "the end of a create: its status, and whether it had a name",
        should: "pass the open of a volume on; return STATUS_REPARSE for creates with a name",
        proof: BadDriver("volume-reparsed"),
    };
    PARAMETER_IN_LIST = {
        name: "ExtraCreateParameterInList",
        code: "0x10C/6 FSRTL_EXTRA_CREATE_PARAMETER_VIOLATION",
        checks: "FsRtlFreeExtraCreateParameter is called for a parameter that is in a list",
        source: "debugger/bug-check-0x10c---fsrtl-extra-create-parameter-violation",
        detected_by: "FsRtlFreeExtraCreateParameter: the list that the parameter is in",
        should: "remove the parameter from its list first, or free the list, which frees what is in it",
        proof: BadDriver("parameter-freed-in-list"),
    };
}
