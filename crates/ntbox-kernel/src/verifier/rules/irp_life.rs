//! Life of a request: completed once, by one, and not touched by anyone else.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { IrpLife;
    COMPLETED_TWICE = {
        name: "DoubleCompletion",
        code: "0x44 MULTIPLE_IRP_COMPLETE_REQUESTS",
        checks: "A request is completed a second time",
        source: "debugger/bug-check-0x44--multiple-irp-complete-requests",
        detected_by: "IoCompleteRequest: the request is being completed, is finished, or was freed",
        should: "complete each request exactly once",
        proof: BadDriver("complete-twice"),
    };
    INFORMATION_TOO_LARGE = {
        name: "InformationTooLarge",
        code: "0xC9/312",
        checks: "A request succeeds with more bytes in IoStatus.Information than the buffer holds that it was sent with",
        source: "kernel/errors-in-buffered-i-o",
        detected_by: "IoCompleteRequest, and after each completion routine: Information against the length in the stack location",
        should: "set Information to the bytes that are in the buffer, which are never more than the length in the stack location",
        proof: BadDriver("information-too-large"),
    };
    ASSOCIATED_OF_ASSOCIATED = {
        name: "AssociatedOfAssociated",
        code: "documented",
        checks: "IoMakeAssociatedIrp is called for a request that is an associated one itself",
        source: "kernel/creating-irps-for-lower-level-drivers",
        detected_by: "IoMakeAssociatedIrp: the flags of the master",
        should: "make associated requests in the highest driver of a stack alone, for requests that come to it from above; allocate others with IoAllocateIrp",
        proof: BadDriver("associated-of-associated"),
    };
    MASTER_COMPLETED = {
        name: "MasterIrpCompleted",
        code: "documented",
        checks: "A driver completes a master, and an associated request of it goes on to the I/O manager, which counts it for the master",
        source: "ntddk/nf-ntddk-iomakeassociatedirp",
        detected_by: "the second stage of completion of an associated request: whether its master has been completed",
        should: "leave the master to the I/O manager, which completes it with the last of its associated requests, or stop each of them in a completion routine, complete the master, and free them",
        proof: BadDriver("master-irp-completed"),
    };
    MASTER_COUNT = {
        name: "MasterIrpCount",
        code: "documented",
        checks: "More associated requests come back to the I/O manager than AssociatedIrp.IrpCount of their master says",
        source: "ntddk/nf-ntddk-iomakeassociatedirp",
        detected_by: "the second stage of completion of an associated request: IrpCount of its master",
        should: "set AssociatedIrp.IrpCount of the master to the number of associated requests before the first of them is sent",
        proof: BadDriver("master-irp-count"),
    };
    MASTER_OVERWRITTEN = {
        name: "MasterIrpOverwritten",
        code: "documented",
        checks: "An associated request completes with something else in AssociatedIrp.MasterIrp than the master that it was made for",
        source: "ntddk/nf-ntddk-iomakeassociatedirp",
        detected_by: "the second stage of completion: AssociatedIrp.MasterIrp against what IoMakeAssociatedIrp was given",
        should: "leave AssociatedIrp alone in an associated request: SystemBuffer and IrpCount lie in the same place; hand buffers on by MdlAddress or UserBuffer",
        proof: BadDriver("master-irp-overwritten"),
    };
    NO_MORE_STACK_LOCATIONS = {
        name: "NoMoreStackLocations",
        code: "0x35 NO_MORE_IRP_STACK_LOCATIONS",
        checks: "A request is sent on with fewer stack locations than the device below needs",
        source: "debugger/bug-check-0x35--no-more-irp-stack-locations",
        detected_by: "IoCallDriver: CurrentLocation against StackSize of the device",
        should: "allocate the request with the StackSize of the device it is sent to; copy or skip the location once per call",
        proof: BadDriver("no-stack-location"),
    };
    STACK_LOCATIONS_RUN_OUT = {
        name: "StackLocationsRunOut",
        code: "0xC9/208",
        checks: "A request is about to run out of stack locations: it has some left, but fewer than the device below needs",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: CurrentLocation against StackSize of the device",
        should: "send a request to the stack that it was allocated for, with its StackSize",
        proof: BadDriver("stack-size-of-the-wrong-device"),
    };
    STACK_LOCATION_WRONG = {
        name: "StackLocationNotCopied",
        code: "0xC9/212",
        checks: "A request is passed on with a stack location that was not made from the driver's own, or with its location pointers in disagreement",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: major function, file object and pointer of the next location against the driver's own",
        should: "call IoCopyCurrentIrpStackLocationToNext or IoSkipCurrentIrpStackLocation before IoCallDriver",
        proof: BadDriver("location-not-copied"),
    };
    CONTROL_NOT_ZEROED = {
        name: "ControlFieldNotZeroed",
        code: "0xC9/206",
        checks: "A request is passed on with SL_PENDING_RETURNED or SL_ERROR_RETURNED in the next stack location",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: Control of a location that no driver has entered",
        should: "use IoCopyCurrentIrpStackLocationToNext, which clears Control, not a copy of the whole structure",
        proof: BadDriver("control-field-copied"),
    };
    ROUTINE_COPIED = {
        name: "UpperCompletionRoutineCopied",
        code: "0xC9/207",
        checks: "A request is passed on with the completion routine that the driver above has set",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: routine and context of the next location against the driver's own",
        should: "use IoCopyCurrentIrpStackLocationToNext, which leaves the completion routine out, not a copy of the whole structure",
        proof: BadDriver("completion-routine-copied"),
    };
    ROUTINE_OVERWRITTEN = {
        name: "CompletionRoutineOverwritten",
        code: "documented",
        checks: "A driver skips its stack location and then sets a completion routine, which overwrites that of the driver above",
        source: "ddi/wdm/nf-wdm-ioskipcurrentirpstacklocation",
        detected_by: "IoCallDriver: routine, context and invoke flags of a skipped location, against those that it was entered with",
        should: "call IoCopyCurrentIrpStackLocationToNext, not IoSkipCurrentIrpStackLocation, where a completion routine is set",
        proof: BadDriver("skipped-and-routine-set"),
    };
    COPIED_WITHOUT_ROUTINE = {
        name: "CopiedWithoutCompletionRoutine",
        code: "0xC9/21C",
        checks: "A stack location is copied unchanged, the request is not marked pending, and no completion routine is set",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the next location against the driver's own, and its invoke flags",
        should: "call IoSkipCurrentIrpStackLocation when nothing of the location changes and no completion routine is set",
        proof: BadDriver("copied-without-routine"),
    };
    FORWARDED_WHILE_BELOW = {
        name: "ForwardedWhileOwnedBelow",
        code: "0xC9/205",
        checks: "A driver passes a request on that a lower driver still has",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the caller's image against the driver that was entered last",
        should: "after IoCallDriver has returned STATUS_PENDING, leave the request alone until its completion routine is called",
        proof: BadDriver("forward-while-below"),
    };
    COMPLETED_WHILE_BELOW = {
        name: "CompletedWhileOwnedBelow",
        code: "0xC9/209",
        checks: "A driver completes a request that a lower driver still has, outside of the dispatch routine that passed it on",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest: the caller's image against the driver that was entered last",
        should: "complete a request only after its completion routine has stopped it, or cancel it with IoCancelIrp",
        proof: BadDriver("complete-while-below"),
    };
    TOUCHED_AFTER_CALL = {
        name: "TouchedAfterIoCallDriver",
        code: "documented",
        checks: "A driver touches a request that it has passed on, and that has not come back to it",
        source: "kernel/passing-irps-down-the-driver-stack",
        detected_by: "the thread is followed from the return of IoCallDriver until its dispatch routine returns: each access against the driver that has the request (--verify fence)",
        should: "copy what is needed before IoCallDriver, or let the completion routine stop completion and wait for it",
        proof: BadDriver("touch-irp-while-below"),
    };
    TOUCHED_AFTER_COMPLETION = {
        name: "TouchedAfterIoCompleteRequest",
        code: "documented",
        checks: "A driver touches a request that it has completed, and that is still there",
        source: "ddi/wdm/nf-wdm-iocompleterequest",
        detected_by: "the thread is followed from the return of IoCompleteRequest until its dispatch routine returns (--verify fence)",
        should: "copy what is needed, such as the status to return, before IoCompleteRequest",
        proof: BadDriver("touch-irp-after-completion"),
    };
    TOUCHED_AFTER_QUEUEING = {
        name: "TouchedAfterQueueing",
        code: "documented",
        checks: "A dispatch routine touches a request that it has marked pending and given to a worker, which has sent or completed it",
        source: "ddi/wdm/nf-wdm-iomarkirppending",
        detected_by: "IoQueueWorkItem and IoQueueWorkItemEx: the thread is followed from there until its dispatch routine \
                      returns (--verify fence)",
        should: "copy what is needed before the request is queued, and return STATUS_PENDING",
        proof: BadDriver("touch-irp-after-queueing"),
    };
    COMPLETED_AS_PENDING = {
        name: "CompletedAsPending",
        code: "0xC9/06",
        checks: "A request is completed with STATUS_PENDING or -1",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest: IoStatus.Status",
        should: "set IoStatus.Status to the final status before IoCompleteRequest",
        proof: BadDriver("complete-as-pending"),
    };
    CANCEL_ROUTINE_SET = {
        name: "CancelRoutineNotCleared",
        code: "0xC9/07",
        checks: "A request is completed while its cancel routine is set",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest: CancelRoutine",
        should: "call IoSetCancelRoutine(Irp, NULL) before IoCompleteRequest",
        proof: BadDriver("cancel-routine-left"),
    };
    CANCEL_LOCK_KEPT = {
        name: "CancelSpinLock",
        code: "DDI compliance",
        checks: "A cancel routine returns with the cancel spin lock",
        source: "devtest/wdm-cancelspinlock",
        detected_by: "IoCancelIrp: the owner of the lock after the cancel routine",
        should: "call IoReleaseCancelSpinLock(Irp->CancelIrql) in every cancel routine",
        proof: BadDriver("cancel-lock-kept"),
    };
    NEITHER_COMPLETED_NOR_FORWARDED = {
        name: "NeitherCompletedNorForwarded",
        code: "0xC9/226",
        checks: "A dispatch routine returns a final status and has neither completed the request nor passed it on",
        source: page::IO_VIOLATION,
        detected_by: "return of the dispatch routine: the request stands at its location and was not sent below",
        should: "complete the request, pass it on, or mark it pending",
        proof: BadDriver("forget-request"),
    };
    OWN_REQUEST_NOT_STOPPED = {
        name: "OwnRequestNotStopped",
        code: "0x7E SYSTEM_THREAD_EXCEPTION_NOT_HANDLED",
        checks: "A driver's own request, of no thread, is completed past its top stack location",
        source: "kernel/using-iocompletion-routines",
        detected_by: "second stage of completion: the request has no originating thread",
        should: "free a request that the driver allocated in its completion routine and return \
                 STATUS_MORE_PROCESSING_REQUIRED",
        proof: BadDriver("own-request-not-stopped"),
    };
    OWN_REQUEST_OF_THREAD = {
        name: "OwnRequestWithThreadNotStopped",
        code: "documented",
        checks: "A driver's own request, in which it has set a thread, is completed past its top stack location",
        source: "kernel/implementing-an-iocompletion-routine",
        detected_by: "second stage of completion: a request of IoAllocateIrp or IoBuildAsynchronousFsdRequest with Tail.Overlay.Thread",
        should: "free the request with IoFreeIrp in its completion routine, and return STATUS_MORE_PROCESSING_REQUIRED: \
                 a thread in it makes it no request of the I/O manager's",
        proof: BadDriver("own-request-with-thread"),
    };
    NO_ROUTINE = {
        name: "NoCompletionRoutine",
        code: "0xD1 DRIVER_IRQL_NOT_LESS_OR_EQUAL",
        checks: "A stack location asks for a completion routine and has none",
        source: "ddi/wdm/nf-wdm-iosetcompletionroutine",
        detected_by: "completion: invoke flags without a routine",
        should: "pass FALSE for all three invoke flags when no completion routine is set",
        proof: BadDriver("invoke-flags-without-routine"),
    };
    COMPLETION_STATUS = {
        name: "CompletionRoutineStatus",
        code: "documented",
        checks: "A completion routine returns neither STATUS_CONTINUE_COMPLETION nor STATUS_MORE_PROCESSING_REQUIRED",
        source: page::COMPLETION_ROUTINES,
        detected_by: "return of the completion routine",
        should: "return STATUS_CONTINUE_COMPLETION or STATUS_MORE_PROCESSING_REQUIRED",
        proof: BadDriver("wrong-completion-status"),
    };
}
