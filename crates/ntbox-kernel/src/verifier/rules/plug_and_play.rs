//! Requests of the PnP manager, and those that drivers send in its way.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { Devices;
    PNP_STATUS_UNSET = {
        name: "PnpStatusNotInitialized",
        code: "0xC9/20E",
        checks: "A driver sends IRP_MJ_PNP with another status than STATUS_NOT_SUPPORTED",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: IoStatus.Status of a request that no driver has had",
        should: "set Irp->IoStatus.Status to STATUS_NOT_SUPPORTED before IoCallDriver: what nobody handles comes back with it",
        proof: BadDriver("pnp-status-not-initialized"),
    };
    PNP_CAPABILITIES_UNSET = {
        name: "PnpCapabilitiesNotInitialized",
        code: "0xC9/233",
        checks: "A driver sends IRP_MN_QUERY_CAPABILITIES without the version, the size, an Address or a UINumber of -1 in the \
                 structure that is to be filled in (0xC9/233 to 236)",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: DEVICE_CAPABILITIES",
        should: "zero the structure, set Size, Version to 1, and Address and UINumber to -1",
        proof: BadDriver("pnp-capabilities-not-initialized"),
    };
    PNP_RESERVED = {
        name: "PnpRequestReserved",
        code: "0xC9/237",
        checks: "A driver sends a request that only the PnP manager sends",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the minor functions of IRP_MJ_PNP of which their pages say that drivers must not send them",
        should: "ask the PnP manager (IoRequestDeviceEject, IoInvalidateDeviceState), or dismount the volume",
        proof: BadDriver("pnp-request-reserved"),
    };
    PNP_FAILED_PASSED_ON = {
        name: "FailedPnpPassedOn",
        code: "0xC9/215",
        checks: "IRP_MJ_PNP is passed on with the status of a failure",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: IoStatus.Status, an error other than STATUS_NOT_SUPPORTED",
        should: "complete a request that the driver fails, and do not pass it on",
        proof: BadDriver("pnp-failed-passed-on"),
    };
    PNP_STATUS_CONVERTED = {
        name: "PnpStatusConverted",
        code: "0xC9/216",
        checks: "The status of IRP_MJ_PNP, which another driver has set, is changed to STATUS_NOT_SUPPORTED",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver, IoCompleteRequest and the return of the completion routine: IoStatus.Status against what the \
                      request came with",
        should: "fail a request with another status: this one says that no driver has handled it",
        proof: BadDriver("pnp-status-converted"),
    };
    PNP_UNKNOWN_STATUS = {
        name: "PnpUnknownStatusChanged",
        code: "0xC9/213",
        checks: "A driver changes the status of a request that it does not understand",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver and the return of the completion routine, of IRP_MJ_PNP with a minor function that is not \
                      assigned, which the box sends: IoStatus.Status",
        should: "pass on what the driver does not know as it came, also what later versions of Windows send",
        proof: BadDriver("pnp-unknown-status"),
    };
    PNP_UNKNOWN_INFORMATION = {
        name: "PnpUnknownInformationChanged",
        code: "0xC9/214",
        checks: "A driver changes IoStatus.Information of a request that it does not understand",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver, of IRP_MJ_PNP with a minor function that is not assigned: IoStatus.Information",
        should: "pass on what the driver does not know as it came, also what later versions of Windows send",
        proof: BadDriver("pnp-unknown-information"),
    };
    PNP_UNKNOWN_COMPLETED = {
        name: "PnpUnknownCompleted",
        code: "0xC9/22D",
        checks: "A driver completes IRP_MJ_PNP that it does not understand",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest, of IRP_MJ_PNP with a minor function that is not assigned, by a driver that is attached to \
                      another and has not passed it on",
        should: "pass on what the driver does not know, also what later versions of Windows send",
        proof: BadDriver("pnp-unknown-completed"),
    };
    PNP_SUCCESS_KEPT = {
        name: "PnpSuccessNotPassedOn",
        code: "0xC9/22E",
        checks: "A driver that is attached to another completes IRP_MJ_PNP with success, and has not passed it on",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest: the status, the device below, and whether the request was below",
        should: "pass the request on: the file system and the storage device have to know of it",
        proof: BadDriver("pnp-success-kept"),
    };
    PNP_UNTOUCHED = {
        name: "PnpNotPassedOn",
        code: "0xC9/22F",
        checks: "A driver that is attached to another completes IRP_MJ_PNP with STATUS_NOT_SUPPORTED, and has not passed it on",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest: the status, the device below, and whether the request was below",
        should: "pass on what the driver does not handle",
        proof: BadDriver("pnp-not-passed-on"),
    };
    PNP_RELATION_EMPTY = {
        name: "TargetRelationEmpty",
        code: "0xC9/24B",
        checks: "A driver completes IRP_MN_QUERY_DEVICE_RELATIONS for TargetDeviceRelation with success and without a device",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest: IoStatus.Information of a request that was not passed on",
        should: "pass the request on: the driver at the bottom of the storage stack answers it",
        proof: BadDriver("pnp-relation-empty"),
    };
    PNP_REMOVE_FAILED = {
        name: "PnpRemoveFailed",
        code: "0xC9/306",
        checks: "IRP_MN_REMOVE_DEVICE is completed with a failure",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest and the return of the completion routine: IoStatus.Status",
        should: "let the device go: nobody asks any more",
        proof: BadDriver("pnp-remove-failed"),
    };
    PNP_REMOVE = {
        name: "PnpRemove",
        code: "0xC4/43006",
        checks: "IRP_MN_SURPRISE_REMOVAL, IRP_MN_CANCEL_REMOVE_DEVICE or IRP_MN_CANCEL_STOP_DEVICE is completed with a failure",
        source: "devtest/wdm-pnpremove",
        detected_by: "IoCompleteRequest and the return of the completion routine: IoStatus.Status",
        should: "set STATUS_SUCCESS, or leave the status of the drivers below",
        proof: BadDriver("pnp-surprise-failed"),
    };
    DETACHED_IN_SURPRISE = {
        name: "DetachedInSurpriseRemoval",
        code: "0xC9/241",
        checks: "IoDetachDevice in a dispatch or completion routine for IRP_MN_SURPRISE_REMOVAL",
        source: page::IO_VIOLATION,
        detected_by: "IoDetachDevice: the request for which the innermost routine of the driver runs",
        should: "detach from a volume in FastIoDetachDevice: open files keep the volume, and their requests still come",
        proof: BadDriver("detached-in-surprise-removal"),
    };
    DELETED_IN_SURPRISE = {
        name: "DeletedInSurpriseRemoval",
        code: "0xC9/242",
        checks: "IoDeleteDevice in a dispatch or completion routine for IRP_MN_SURPRISE_REMOVAL",
        source: page::IO_VIOLATION,
        detected_by: "IoDeleteDevice: the request for which the innermost routine of the driver runs",
        should: "delete a device on a volume in FastIoDetachDevice: open files keep the volume, and their requests still come",
        proof: BadDriver("deleted-in-surprise-removal"),
    };
}
