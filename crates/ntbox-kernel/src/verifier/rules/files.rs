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
    OBJECT_REFERENCE_LEFT = {
        name: "ObjectReferenceLeft",
        code: "documented",
        checks: "A reference to a process, thread, token or another object is not given back, so that the object is never \
                 deleted",
        source: "kernel/life-cycle-of-an-object",
        detected_by: "after DriverUnload: references of ObReferenceObjectByHandle and its like, PsLookupProcessByProcessId, \
                      PsLookupThreadByThreadId, PsReferencePrimaryToken and SeCaptureSubjectContext, less those given back",
        should: "call ObDereferenceObject for each reference, PsDereferencePrimaryToken for a token, and \
                 SeReleaseSubjectContext for a captured context",
        proof: BadDriver("process-reference-left"),
    };
    REFERENCE_BY_POINTER = {
        name: "ReferenceByPointer",
        code: "0x18 REFERENCE_BY_POINTER",
        checks: "A driver gives back a reference to a file, process or thread object that no driver has taken",
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
    TOP_LEVEL_FOLLOWED = {
        name: "TopLevelIrpFollowed",
        code: "documented",
        checks: "A driver takes the top-level IRP of its thread for a request: it may be a flag, or what the file system \
                 likes",
        source: "ddi/wdm/nf-wdm-iogettoplevelirp",
        detected_by: "the fault handler: in requests of the cache manager and the file system, the value that \
                      IoGetTopLevelIrp has returned leads to where nobody may look",
        should: "compare what IoGetTopLevelIrp returns with NULL, and give it back to IoSetTopLevelIrp; nothing else",
        proof: BadDriver("top-level-irp-followed"),
    };
    PAGE_FILE_PATH = {
        name: "PageFilePath",
        code: "documented",
        checks: "A driver calls, for a page file, a routine that may not be called at DISPATCH_LEVEL: it may wait for a page \
                 that is read by this request",
        source: "ifs/constraints-on-dispatch-routines",
        detected_by: "the routine, called in a dispatch routine of a request for a page file, or in a completion routine of \
                      its thread",
        should: "ask FsRtlIsPagingFile, or leave such requests alone: pass them on, and touch and call nothing that is paged",
        proof: BadDriver("page-file-waits"),
    };
    MDL_NOT_COMPLETED = {
        name: "MdlNotCompleted",
        code: "documented",
        checks: "The completion of a read or write by MDL does not come to the file system, whose pages stay locked",
        source: "ifs/flt-parameters-for-irp-mj-mdl-read-complete",
        detected_by: "return of MdlReadComplete and MdlWriteComplete with TRUE, and completion of a request with \
                      IRP_MN_COMPLETE_MDL: the pages of the cache that were lent by the list are still out",
        should: "pass MdlReadComplete, MdlWriteComplete and requests with IRP_MN_COMPLETE_MDL on for each list that came \
                 from below",
        proof: BadDriver("mdl-not-completed"),
    };
    BEYOND_CACHED_FILE = {
        name: "BeyondCachedFile",
        code: "documented",
        checks: "A driver reads or writes in the cache what lies behind the end of the cached file",
        source: "ddi/ntifs/nf-ntifs-cccopyread",
        detected_by: "CcCopyRead, CcFastCopyRead, CcCopyWrite, CcFastCopyWrite, CcMdlRead, CcPrepareMdlWrite and \
                      CcZeroData: offset and length against the size that CcInitializeCacheMap or CcSetFileSizes was given",
        should: "end reads at the end of the file, and call CcSetFileSizes before writes that extend it",
        proof: BadDriver("cached-read-beyond"),
    };
    FILE_NAME_USED = {
        name: "FileNameUsedAfterCreate",
        code: "documented",
        checks: "A driver reads FileName of a file object when the file system has begun with IRP_MJ_CREATE (in the \
                 completion routine too), and it is the file system's to change and to free",
        source: "ddi/wdm/ns-wdm-_file_object",
        detected_by: "the fault handler: when the file system has opened the file, FileName.Buffer leads to where nobody may look",
        should: "copy the name in the dispatch routine of IRP_MJ_CREATE, before the request is passed on, or ask for it \
                 with IRP_MJ_QUERY_INFORMATION or ObQueryNameString",
        proof: BadDriver("file-name-used"),
    };
    RELATED_FILE_USED = {
        name: "RelatedFileObjectUsedAfterCreate",
        code: "documented",
        checks: "A driver follows RelatedFileObject after IRP_MJ_CREATE, when that file may be closed",
        source: "ddi/wdm/ns-wdm-_file_object",
        detected_by: "the fault handler: when a create has been completed, RelatedFileObject leads to where nobody may look",
        should: "use RelatedFileObject in the dispatch routine of IRP_MJ_CREATE alone",
        proof: BadDriver("related-file-used"),
    };
    STACK_FILE_REFERENCED = {
        name: "StackFileObjectReferenced",
        code: "documented",
        checks: "A driver references the file object of a query-open, which lies on the stack of whoever asks and is gone \
                 with the call",
        source: "ifs/flt-parameters-for-irp-mj-network-query-open",
        detected_by: "ObReferenceObject and its like, ObOpenObjectByPointer: the file object of FastIoQueryOpen",
        should: "neither reference the file object of FastIoQueryOpen nor keep its address",
        proof: BadDriver("stack-file-referenced"),
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
