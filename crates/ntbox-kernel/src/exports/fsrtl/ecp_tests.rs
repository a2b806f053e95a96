//! Parameters and lists, and what becomes of them with their create.

#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a row of calls on local structures"
)]

use super::*;
use crate::exports::test_device;
use crate::host::pageable;
use crate::io_manager::complete;
use crate::nt::{DEVICE_OBJECT, DISPATCH_LEVEL, FILE_SYNCHRONOUS_IO_NONALERT, STATUS_NOT_FOUND};
use crate::user::{CreateParameters, create_file};
use crate::verifier::capture;
use std::sync::atomic::{AtomicU32, Ordering};

const ONE: GUID = GUID::from_u128(1);
const TWO: GUID = GUID::from_u128(2);

fn new_list() -> *mut List {
    let mut list = null_mut();
    // SAFETY: a local variable.
    let status = unsafe { allocate_list(0, &raw mut list, 0) };
    assert_eq!(status, STATUS_SUCCESS);
    list
}

fn new_parameter(kind: &GUID, cleanup: Option<Cleanup>) -> *mut c_void {
    let mut parameter = null_mut();
    // SAFETY: locals.
    let status = unsafe { allocate(kind, 8, NONPAGED, cleanup, 7, &raw mut parameter, 0) };
    assert_eq!(status, STATUS_SUCCESS);
    parameter
}

/// Of either pool, as the list says; the list is to be deleted, and outlived by what came of it.
#[test]
fn a_lookaside_list_gives_parameters() {
    let (list, mut lookaside) = (new_list(), Box::<Lookaside>::new_zeroed());
    let at = lookaside.as_mut_ptr();
    for (flags, bytes) in [(NONPAGED, 8), (0, 100)] {
        let mut parameter = null_mut();
        // SAFETY: memory of a list, and locals.
        unsafe {
            initialize_lookaside(at, flags, 64, 7, 0);
            let status = allocate_from_lookaside(&ONE, bytes, 0, None, at, &raw mut parameter, 0);
            assert_eq!(status, STATUS_SUCCESS);
            delete_lookaside(at, flags, 0);
        }
        let is_paged = pageable::may_be_out(parameter.addr());
        assert_eq!(is_paged, flags != NONPAGED);
        // SAFETY: the list and its parameter.
        unsafe {
            assert_eq!(insert(list, parameter, 0), STATUS_SUCCESS);
            assert_eq!(search(list, &ONE), (STATUS_SUCCESS, parameter, bytes));
            let mut out = null_mut();
            remove(list, &ONE, &raw mut out, null_mut(), 0);
            free(out, 0);
        }
    }
    // SAFETY: deleted above.
    let (_, found) = capture(|| unsafe { delete_lookaside(at, 0, 0) });
    assert_eq!(found.len(), 1);
    // SAFETY: its parameters are gone.
    unsafe { free_list(list, 0) };
}

/// Status, parameter and bytes of a search.
fn search(list: *mut List, kind: &GUID) -> (NTSTATUS, *mut c_void, u32) {
    let (mut at, mut bytes) = (null_mut(), 7);
    // SAFETY: a list of this test, and locals.
    let status = unsafe { find(list, kind, &raw mut at, &raw mut bytes, 0) };
    (status, at, bytes)
}

static CLEANED: AtomicU32 = AtomicU32::new(0);

unsafe extern "win64" fn clean(_: *mut c_void, kind: *const GUID) {
    // SAFETY: as the box calls it.
    CLEANED.fetch_add(unsafe { (*kind).data4[7] }.into(), Ordering::AcqRel);
}

unsafe extern "win64" fn clean_hundred(_: *mut c_void, _: *const GUID) {
    CLEANED.fetch_add(100, Ordering::AcqRel);
}

#[test]
fn a_list_has_one_parameter_of_a_kind() {
    let (list, first, second) = (
        new_list(),
        new_parameter(&ONE, None),
        new_parameter(&TWO, None),
    );
    // SAFETY: a list and parameters of this test, here and below.
    unsafe {
        assert_eq!(insert(list, first, 0), STATUS_SUCCESS);
        assert_eq!(insert(list, second, 0), STATUS_SUCCESS);
    }
    let again = new_parameter(&ONE, None);
    // SAFETY: as above.
    assert_eq!(unsafe { insert(list, again, 0) }, STATUS_INVALID_PARAMETER);
    assert_eq!(search(list, &TWO), (STATUS_SUCCESS, second, 8));
    let mut seen = Vec::new();
    let (mut current, mut kind) = (null_mut(), GUID::default());
    // SAFETY: as above, and locals.
    while unsafe {
        next(
            list,
            current,
            &raw mut kind,
            &raw mut current,
            null_mut(),
            0,
        )
    } == STATUS_SUCCESS
    {
        seen.push((current, kind.data4[7]));
    }
    assert_eq!(seen, [(first, 1), (second, 2)]);
    // SAFETY: as above.
    unsafe {
        acknowledge(first, 0);
        assert_eq!(
            [is_acknowledged(first, 0), is_acknowledged(second, 0)],
            [1, 0]
        );
        let mut out = null_mut();
        assert_eq!(
            remove(list, &ONE, &raw mut out, null_mut(), 0),
            STATUS_SUCCESS
        );
        assert_eq!(out, first);
    }
    assert_eq!(search(list, &ONE), (STATUS_NOT_FOUND, null_mut(), 0));
    let (_, found) = capture(|| {
        let _level = irql::raised_to(DISPATCH_LEVEL);
        // SAFETY: as above; it is of nonpaged pool.
        unsafe { is_acknowledged(again, 0) }
    });
    assert_eq!(found.len(), 1);
    // SAFETY: each is freed once.
    unsafe {
        free(first, 0);
        free(again, 0);
        free_list(list, 0);
    }
}

/// Gives its create a list with a parameter, which goes with it.
unsafe extern "win64" fn dispatch(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    let mut list = null_mut();
    // SAFETY: a dispatch routine gets a live request with its location.
    unsafe {
        if is_create(irp) {
            assert_eq!(get_from_irp(irp, &raw mut list, 0), STATUS_SUCCESS);
            assert!(list.is_null());
            let list = new_list();
            insert(list, new_parameter(&TWO, Some(clean_hundred)), 0);
            assert_eq!(set_into_irp(irp, list, 0), STATUS_SUCCESS);
            assert_eq!(set_into_irp(irp, list, 0), STATUS_INVALID_PARAMETER_3);
            let mut given = null_mut();
            get_from_irp(irp, &raw mut given, 0);
            assert_eq!(given, list);
            assert_eq!(CLEANED.load(Ordering::Acquire), 3);
        } else {
            assert_eq!(
                get_from_irp(irp, &raw mut list, 0),
                STATUS_INVALID_PARAMETER
            );
            assert_eq!(set_into_irp(irp, list, 0), STATUS_INVALID_PARAMETER_2);
        }
        complete::finish(irp, STATUS_SUCCESS, 0)
    }
}

#[test]
fn a_list_goes_with_its_create() {
    // SAFETY: a parameter and a list of this test, freed once.
    unsafe {
        free(new_parameter(&ONE, Some(clean)), 0);
        let list = new_list();
        insert(list, new_parameter(&TWO, Some(clean)), 0);
        free_list(list, 0);
    }
    assert_eq!(CLEANED.load(Ordering::Acquire), 3, "one and two");
    let driver = test_device::driver(r"\Driver\EcpTest", dispatch);
    test_device::device(driver, Some(r"\Device\EcpTest"));
    let parameters =
        CreateParameters::new(r"\Device\EcpTest\x").options(FILE_SYNCHRONOUS_IO_NONALERT);
    let opened = create_file(&parameters);
    assert_eq!(opened.outcome.status, STATUS_SUCCESS);
    assert_eq!(
        CLEANED.load(Ordering::Acquire),
        103,
        "what the create had is gone"
    );
    drop(opened.file);
}
