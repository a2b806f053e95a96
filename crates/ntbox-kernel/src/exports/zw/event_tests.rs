//! Events have handles and names, and are waited for by handle.

use super::super::tests::{close, handle_of, with_name};
use super::*;
use crate::nt::unicode::OwnedUnicodeString;
use crate::nt::{STATUS_ACCESS_DENIED, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_TIMEOUT};

fn create_named(name: &str, access: u32, kind: i32, signaled: u8) -> Result<HANDLE, NTSTATUS> {
    with_name(name, |attributes| {
        // SAFETY: all pointers are to locals.
        handle_of(|handle| unsafe { create(handle, access, attributes, kind, signaled, 0) })
    })
}

fn open_named(name: &str) -> Result<HANDLE, NTSTATUS> {
    with_name(name, |attributes| {
        // SAFETY: all pointers are to locals.
        handle_of(|handle| unsafe { open(handle, EVENT.all, attributes, 0) })
    })
}

fn wait_now(handle: HANDLE) -> NTSTATUS {
    let now = 0;
    // SAFETY: a local variable.
    unsafe { wait(handle, 0, &raw const now, 0) }
}

fn set_it(handle: HANDLE) -> (NTSTATUS, i32) {
    let mut before = 7;
    // SAFETY: a local variable.
    let status = unsafe { set(handle, &raw mut before, 0) };
    (status, before)
}

#[test]
fn a_synchronization_event_lets_one_wait_through() {
    let one = create_named("", EVENT.all, 1, 0).expect("made");
    assert_eq!(wait_now(one), STATUS_TIMEOUT);
    assert_eq!(set_it(one), (STATUS_SUCCESS, 0));
    assert_eq!(set_it(one), (STATUS_SUCCESS, 1));
    assert_eq!(
        [wait_now(one), wait_now(one)],
        [STATUS_SUCCESS, STATUS_TIMEOUT]
    );
    close(one);
    let many = create_named("", EVENT.all, 0, 1).expect("made");
    assert_eq!([wait_now(many), wait_now(many)], [STATUS_SUCCESS; 2]);
    close(many);
    assert_eq!(
        create_named("", EVENT.all, 2, 0),
        Err(STATUS_INVALID_PARAMETER)
    );
}

#[test]
fn what_was_not_granted_is_not_done() {
    let waits = create_named("", SYNCHRONIZE, 0, 0).expect("made");
    assert_eq!(set_it(waits), (STATUS_ACCESS_DENIED, 7));
    let sets = create_named("", MODIFY_STATE, 0, 0).expect("made");
    assert_eq!(wait_now(sets), STATUS_ACCESS_DENIED);
    close(waits);
    close(sets);
    let link = super::super::named::open(Kind::SymbolicLink, "", SYNCHRONIZE, true);
    assert_eq!(wait_now(link), STATUS_OBJECT_TYPE_MISMATCH);
    assert_eq!(set_it(link).0, STATUS_OBJECT_TYPE_MISMATCH);
    close(link);
}

#[test]
fn a_name_is_there_until_the_last_handle_is_closed() {
    let name = r"\BaseNamedObjects\ZwEvent";
    assert_eq!(open_named(name), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    let first = create_named(name, EVENT.all, 0, 0).expect("made");
    assert_eq!(
        create_named(name, EVENT.all, 0, 0),
        Err(STATUS_OBJECT_NAME_COLLISION)
    );
    let second = open_named(name).expect("there");
    close(first);
    set_it(second);
    let third = open_named(name).expect("still there");
    assert_eq!(wait_now(third), STATUS_SUCCESS, "one event");
    close(second);
    close(third);
    assert_eq!(open_named(name), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    assert_eq!(open_named(r"\Device"), Err(STATUS_OBJECT_TYPE_MISMATCH));
}

#[test]
fn a_driver_gets_an_event_of_a_name_made_or_opened() {
    let name = OwnedUnicodeString::new(r"\BaseNamedObjects\IoEvent");
    let name = name.as_unicode();
    let (mut first, mut second) = (null_mut(), null_mut());
    // SAFETY: all pointers are to locals, here and below.
    let event = unsafe { create_synchronization(&raw const name, &raw mut first, 0) };
    assert!(!event.is_null() && handle::is_kernel_handle(first));
    // SAFETY: as above.
    let same = unsafe { create_notification(&raw const name, &raw mut second, 0) };
    assert_eq!(same, event);
    // It is signaled from the start, and of the kind that it was made.
    assert_eq!(
        [wait_now(first), wait_now(second)],
        [STATUS_SUCCESS, STATUS_TIMEOUT]
    );
    close(first);
    close(second);
    let nowhere = OwnedUnicodeString::new(r"\NoWhere\IoEvent");
    let nowhere = nowhere.as_unicode();
    // SAFETY: as above.
    assert!(unsafe { create_notification(&raw const nowhere, &raw mut first, 0) }.is_null());
}
