//! Pending: marked, returned and propagated, or none of the three.

use super::Proof::BadDriver;
use super::{Proof, page, rules};

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
        code: "0xC9/23D",
        checks: "A dispatch routine returns STATUS_PENDING for a request that it neither marked nor passed down",
        source: "devtest/wdm-markirppending2",
        detected_by: "return of the dispatch routine: the mark of its location",
        should: "call IoMarkIrpPending before returning STATUS_PENDING",
        proof: BadDriver("pending-not-marked"),
    };
    MARKED_NOT_PENDING = {
        name: "MarkIrpPending",
        code: "0xC9/23E, 0xC9/24C",
        checks: "A dispatch routine marks the request pending and returns another status",
        source: "devtest/wdm-markirppending",
        detected_by: "where completion has passed the location and the dispatch routine returns: the mark against the status",
        should: "return STATUS_PENDING from the dispatch routine that called IoMarkIrpPending",
        proof: BadDriver("marked-not-pending"),
    };
    LOWER_STATUS_LOST = {
        name: "LowerDriverReturn",
        code: "DDI compliance",
        checks: "A dispatch routine returns a final status while the request that it passed down is still pending",
        source: "devtest/wdm-lowerdriverreturn",
        detected_by: "return of the dispatch routine: the request was sent below and has not come back",
        should: "return what IoCallDriver returned, or wait for the request and complete it",
        proof: Proof::UnitTest("io_manager/tests/wrong.rs"),
    };
}
