//! Requests of plug and play: what is reported of who sends, passes on and completes them.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test fills in requests as drivers do"
)]

use super::drivers::{Behaviour, Stack, extension, originate};
use crate::io_manager::{call, pnp, request};
use crate::nt::{
    IRP, IRP_MJ_PNP, IRP_MN_CANCEL_REMOVE_DEVICE, IRP_MN_QUERY_CAPABILITIES,
    IRP_MN_QUERY_DEVICE_RELATIONS, IRP_MN_QUERY_INTERFACE, IRP_MN_QUERY_REMOVE_DEVICE,
    IRP_MN_REMOVE_DEVICE, IRP_MN_SURPRISE_REMOVAL, IRP_SYNCHRONOUS_API, IrpExt, NTSTATUS,
    STATUS_ACCESS_DENIED, STATUS_NOT_SUPPORTED, STATUS_SUCCESS, TargetDeviceRelation,
};
use crate::verifier::capture;
use std::ptr::{null, null_mut};

/// Where a driver that is none calls from.
const SITE: usize = 1;

fn codes(run: impl FnOnce()) -> Vec<&'static str> {
    let ((), found) = capture(run);
    found.iter().map(|found| found.rule.code).collect()
}

/// What is reported when a filter answers the request with `status` in the place of passing it on.
fn answered(minor: u32, status: NTSTATUS, information: usize) -> Vec<&'static str> {
    let stack = Stack::new(&[Behaviour::Complete, Behaviour::Answer]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    let header = request.irp;
    // SAFETY: a device of the test driver, which has no request.
    let filter = unsafe { extension(stack.top()) };
    (filter.status, filter.information) = (status, information);
    // SAFETY: the request is owned here until it is sent; it came with the status that it is completed with.
    unsafe {
        (*header).IoStatus.Anonymous.Status = status;
        (*header).IoStatus.Information = information;
        let location = &mut *header.next_location();
        location.MajorFunction = IRP_MJ_PNP as u8;
        location.MinorFunction = minor as u8;
        if minor == IRP_MN_QUERY_DEVICE_RELATIONS {
            location.Parameters.QueryDeviceRelations.Type = TargetDeviceRelation;
        }
    }
    codes(|| {
        request.send(stack.top(), 0);
    })
}

#[test]
fn what_is_answered_in_the_place_of_being_passed_on() {
    for (minor, status, expected) in [
        (
            IRP_MN_QUERY_REMOVE_DEVICE,
            STATUS_NOT_SUPPORTED,
            &["0xC9/22F"][..],
        ),
        (IRP_MN_QUERY_REMOVE_DEVICE, STATUS_SUCCESS, &["0xC9/22E"]),
        // A driver may object.
        (IRP_MN_QUERY_REMOVE_DEVICE, STATUS_ACCESS_DENIED, &[]),
        (IRP_MN_REMOVE_DEVICE, STATUS_ACCESS_DENIED, &["0xC9/306"]),
        (
            IRP_MN_SURPRISE_REMOVAL,
            STATUS_ACCESS_DENIED,
            &["0xC4/43006"],
        ),
        (
            IRP_MN_CANCEL_REMOVE_DEVICE,
            STATUS_ACCESS_DENIED,
            &["0xC4/43006"],
        ),
        (IRP_MN_QUERY_DEVICE_RELATIONS, STATUS_SUCCESS, &["0xC9/24B"]),
        (IRP_MN_QUERY_INTERFACE, STATUS_SUCCESS, &[]),
        (pnp::UNASSIGNED, STATUS_SUCCESS, &["0xC9/22D"]),
        (pnp::UNASSIGNED, STATUS_NOT_SUPPORTED, &["0xC9/22D"]),
    ] {
        assert_eq!(
            answered(minor, status, 0),
            expected,
            "{minor:#x} {status:#x}"
        );
    }
    let with_device = answered(IRP_MN_QUERY_DEVICE_RELATIONS, STATUS_SUCCESS, 0x1000);
    assert_eq!(with_device, ["0xC9/22E"]);
}

/// What is reported when a driver sends a request of its own, which it has prepared so.
fn sent(minor: u32, prepare: impl FnOnce(*mut IRP)) -> Vec<&'static str> {
    let stack = Stack::new(&[Behaviour::Complete]);
    let (major, top) = (IRP_MJ_PNP as u8, stack.top());
    // SAFETY: the device is alive, and the I/O manager frees the request.
    unsafe {
        let own = request::build_synchronous_fsd(
            major,
            top,
            null_mut(),
            0,
            null(),
            null_mut(),
            null_mut(),
        );
        (*own).IoStatus.Anonymous.Status = STATUS_NOT_SUPPORTED;
        (*own.next_location()).MinorFunction = minor as u8;
        prepare(own);
        codes(|| {
            call::call_driver(top, own, SITE);
        })
    }
}

#[test]
fn what_drivers_send() {
    let relations = |relation: i32| {
        sent(IRP_MN_QUERY_DEVICE_RELATIONS, |own| {
            // SAFETY: the request is not sent yet.
            unsafe { (*own.next_location()).Parameters.QueryDeviceRelations.Type = relation };
        })
    };
    assert!(relations(TargetDeviceRelation).is_empty());
    // BusRelations.
    assert_eq!(relations(0), ["0xC9/237"]);
    assert_eq!(sent(IRP_MN_REMOVE_DEVICE, |_| ()), ["0xC9/237"]);
    let unset = sent(IRP_MN_QUERY_INTERFACE, |own| {
        // SAFETY: the request is not sent yet.
        unsafe { (*own).IoStatus.Anonymous.Status = STATUS_SUCCESS };
    });
    assert_eq!(unset, ["0xC9/20E"]);
}

#[test]
fn capabilities_are_asked_for_as_they_must_be() {
    let right = [64_u32 | 1 << 16, 0, u32::MAX, u32::MAX];
    let asked = |capabilities: &[u32; 4]| {
        sent(IRP_MN_QUERY_CAPABILITIES, |own| {
            let place = std::ptr::from_ref(capabilities).cast_mut().cast();
            // SAFETY: the request is not sent yet.
            unsafe { (*own.next_location()).Parameters.Others.Argument1 = place };
        })
    };
    assert!(asked(&right).is_empty());
    for (word, wrong) in [(0, 1 << 16), (0, 64), (2, 0), (3, 0)] {
        let mut capabilities = right;
        capabilities[word] = wrong;
        assert_eq!(asked(&capabilities), ["0xC9/233"], "{word}");
    }
    assert_eq!(sent(IRP_MN_QUERY_CAPABILITIES, |_| ()), ["0xC9/233"]);
}
