//! Pending: marked, returned and propagated, or none of the three.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { Pending;
    PENDING_NOT_PROPAGATED = {
        name: "PendingReturnedNotPropagated",
        code: "0xC9/228",
        checks: "A completion routine continues without marking the request although PendingReturned is set, and its \
                 dispatch routine returned STATUS_PENDING",
        source: page::IO_VIOLATION,
        detected_by: "where completion passes the location and the dispatch routine has returned: the mark against the status",
        should: "call IoMarkIrpPending in the completion routine when Irp->PendingReturned is set",
        proof: BadDriver("pending-not-propagated"),
    };
    PENDING_NOT_MARKED = {
        name: "MarkIrpPending2",
        code: "0xC9/23D, 0xC9/24C",
        checks: "A dispatch routine returns STATUS_PENDING for a request that it neither marked nor passed down",
        source: "devtest/wdm-markirppending2",
        detected_by: "return of the dispatch routine: the mark of its location",
        should: "call IoMarkIrpPending before returning STATUS_PENDING",
        proof: BadDriver("pending-not-marked"),
    };
    MARKED_AFTER_QUEUEING = {
        name: "MarkingQueuedIrps",
        code: "DDI compliance",
        checks: "A dispatch routine gives the request to a worker or a list, and marks it pending afterwards",
        source: "devtest/wdm-markingqueuedirps",
        detected_by: "the queue routines: a context that leads to the unmarked request; return of the dispatch routine: the mark",
        should: "call IoMarkIrpPending before the request can be reached by whoever completes it",
        proof: BadDriver("mark-after-queueing"),
    };
    MARKED_NOT_PENDING = {
        name: "MarkIrpPending",
        code: "0xC9/23E",
        checks: "A dispatch routine marks the request pending and returns another status",
        source: "devtest/wdm-markirppending",
        detected_by: "where completion has passed the location and the dispatch routine returns: the mark against the status",
        should: "return STATUS_PENDING from the dispatch routine that called IoMarkIrpPending",
        proof: BadDriver("marked-not-pending"),
    };
    COMPLETED_AND_PENDING = {
        name: "PendedCompletedRequest",
        code: "DDI compliance",
        checks: "A dispatch routine completes the request unmarked and returns STATUS_PENDING",
        source: "devtest/wdm-pendedcompletedrequest",
        detected_by: "return of the dispatch routine: completion began at its location and in its thread",
        should: "return the status that the request was completed with",
        proof: BadDriver("complete-and-return-pending"),
    };
    COMPLETED_WITHOUT_WAITING = {
        name: "PendedCompletedRequest2",
        code: "0xC9/209",
        checks: "A dispatch routine completes a request for which IoCallDriver has returned STATUS_PENDING, without waiting for it",
        source: "devtest/wdm-pendedcompletedrequest2",
        detected_by: "IoCompleteRequest: the lower driver still has the request",
        should: "wait for the event that the completion routine signals before completing the request",
        proof: BadDriver("complete-without-waiting"),
    };
    MARKED_AND_COMPLETED = {
        name: "PendedCompletedRequest3",
        code: "DDI compliance",
        checks: "A dispatch routine marks the request pending, completes it itself and returns a final status",
        source: "devtest/wdm-pendedcompletedrequest3",
        detected_by: "return of the dispatch routine: completion began at its location, marked, and in its thread",
        should: "return STATUS_PENDING once the request is marked, or complete it without marking it",
        proof: BadDriver("mark-and-complete"),
    };
    SUCCESS_WITHOUT_COMPLETION = {
        name: "IrpProcessingComplete",
        code: "0xC9/226",
        checks: "A dispatch routine returns STATUS_SUCCESS for a request that neither it nor a lower driver has completed",
        source: "devtest/wdm-irpprocessingcomplete",
        detected_by: "return of the dispatch routine: the request stands at its location",
        should: "complete the request before returning STATUS_SUCCESS, or mark it and return STATUS_PENDING",
        proof: BadDriver("success-without-completion"),
    };
    STATUS_INCONSISTENT = {
        name: "CompleteRequestStatusCheck",
        code: "0xC9/224",
        checks: "A dispatch routine completes the request with one status and returns another",
        source: "devtest/wdm-completerequeststatuscheck",
        detected_by: "return of the dispatch routine: IoStatus.Status as completion passed its location",
        should: "return the IoStatus.Status that the request was completed with",
        proof: BadDriver("another-status-returned"),
    };
    MARKED_AND_SIGNALLED = {
        name: "CompletionEventChecking",
        code: "DDI compliance",
        checks: "A completion routine marks the request pending and signals the event that its dispatch routine waits for",
        source: "devtest/wdm-completioneventchecking",
        detected_by: "KeSetEvent in the completion routine: the event lies on the stack of the dispatch routine, and the location was marked",
        should: "do not mark the request in a completion routine that wakes the dispatch routine",
        proof: BadDriver("reference-synchronising-completion-marks"),
    };
    EVENT_NOT_SIGNALLED = {
        name: "SignalEventInCompletion",
        code: "DDI compliance",
        checks: "A completion routine stops completion and does not signal the event that its dispatch routine, or the sender of \
                 the driver's own request, waits for",
        source: "devtest/wdm-signaleventincompletion",
        detected_by: "the dispatch routine, or the sender, waits without an end for an event on its stack, the completion routine has \
                      returned, and nothing of the driver is queued",
        should: "signal the event in the completion routine whenever somebody waits for it",
        proof: BadDriver("event-not-signalled"),
    };
    NOTIFY_MADE_SYNCHRONOUS = {
        name: "NotifyMadeSynchronous",
        code: "documented",
        checks: "A dispatch routine waits for a directory change notification that it has passed down",
        source: page::COMPLETION_ROUTINES,
        detected_by: "KeWaitForSingleObject in the dispatch routine: the request is a notification and still below",
        should: "pass directory change notifications down without waiting for them",
        proof: BadDriver("reference-notify-made-synchronous"),
    };
    OPLOCK_PENDED = {
        name: "OplockRequestPended",
        code: "documented",
        checks: "A filter pends a request for an oplock before passing it down",
        source: page::COMPLETION_ROUTINES,
        detected_by: "return of the dispatch routine: STATUS_PENDING for an oplock request that was not sent below",
        should: "pass oplock requests down in the thread that they came in",
        proof: BadDriver("reference-oplock-request-pended"),
    };
    CONTEXT_ON_STACK = {
        name: "CompletionContextOnStack",
        code: "documented",
        checks: "A dispatch routine returns while the request is below, and its completion routine gets a context on the \
                 stack of that dispatch routine",
        source: "ddi/wdm/nc-wdm-io_completion_routine",
        detected_by: "return of the dispatch routine: the request was not passed back, and the context that it was sent with",
        should: "wait for the completion routine before returning, without a timeout or after IoCancelIrp, or take the \
                 context from nonpaged pool",
        proof: BadDriver("context-on-stack"),
    };
    LOWER_STATUS_LOST = {
        name: "LowerDriverReturn",
        code: "DDI compliance",
        checks: "A dispatch routine returns a final status while the request that it passed down is still pending",
        source: "devtest/wdm-lowerdriverreturn",
        detected_by: "return of the dispatch routine: the request was sent below and has not come back",
        should: "return what IoCallDriver returned, or wait for the request and complete it",
        proof: BadDriver("lower-status-lost"),
    };
}
