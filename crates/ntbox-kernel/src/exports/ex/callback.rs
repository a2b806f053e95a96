//! Callback objects ([`callback`]).

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::references;
use crate::nt::{
    NTSTATUS, OBJECT_ATTRIBUTES, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
    STATUS_UNSUCCESSFUL, unicode,
};
use crate::pool::failure;
use crate::processor::{callback, given, irql};
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::ptr::null_mut;

/// `ExCreateCallback`.
pub unsafe extern "win64" fn create(
    opened: *mut *mut c_void,
    attributes: *const OBJECT_ATTRIBUTES,
    create: u8,
    multiple: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("ExCreateCallback", caller);
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver's attributes.
    let name = unsafe { attributes.as_ref() }.map(|attributes| attributes.ObjectName);
    let Some(name) = name.filter(|name| !name.is_null()) else {
        return STATUS_UNSUCCESSFUL;
    };
    // SAFETY: the driver's string.
    let name = unsafe { unicode::to_string(name) };
    match callback::open(&name, create != 0, multiple != 0) {
        Ok(object) => {
            // SAFETY: it was referenced for the driver.
            unsafe { references::taken(object, caller) };
            // SAFETY: the driver's pointer.
            unsafe { opened.write(object) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// `ExRegisterCallback`: null where the object takes one routine, and has it.
pub unsafe extern "win64" fn register(
    object: *mut c_void,
    routine: *const c_void,
    context: *mut c_void,
    caller: usize,
) -> *mut c_void {
    irql::require("ExRegisterCallback", caller);
    given::remember(routine.addr(), "ExRegisterCallback", caller);
    if failure::should_fail(caller) {
        return null_mut();
    }
    // SAFETY: the driver's callback object.
    unsafe { callback::register(object, routine.addr(), context.expose_provenance()) }
}

/// `ExUnregisterCallback`.
pub unsafe extern "win64" fn unregister(cookie: *mut c_void, caller: usize) {
    irql::require("ExUnregisterCallback", caller);
    if !callback::unregister(cookie.addr()) {
        violation(
            &rules::BAD_FREE,
            format!("ExUnregisterCallback was called for {cookie:p}, which is no registration"),
            &[("called at", caller)],
        );
    }
}

/// `ExNotifyCallback`.
pub unsafe extern "win64" fn notify(
    object: *mut c_void,
    first: *mut c_void,
    second: *mut c_void,
    caller: usize,
) {
    irql::require("ExNotifyCallback", caller);
    // SAFETY: the driver's object, and arguments for those who registered with it.
    unsafe { callback::notify(object, first, second) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::unicode::OwnedUnicodeString;
    use crate::nt::{STATUS_OBJECT_NAME_NOT_FOUND, UNICODE_STRING};
    use crate::processor::{lifetime, object};
    use crate::verifier::capture;
    use std::ptr::without_provenance_mut;
    use std::sync::Mutex;

    static CALLS: Mutex<Vec<[usize; 3]>> = Mutex::new(Vec::new());

    unsafe extern "win64" fn called(context: *mut c_void, first: *mut c_void, second: *mut c_void) {
        let call = [context.addr(), first.addr(), second.addr()];
        CALLS.lock().expect("no panic").push(call);
    }

    fn open(name: &str, make: u8, multiple: u8) -> Result<*mut c_void, NTSTATUS> {
        let name = OwnedUnicodeString::new(name);
        let mut name: UNICODE_STRING = name.as_unicode();
        let attributes = OBJECT_ATTRIBUTES {
            ObjectName: &raw mut name,
            ..OBJECT_ATTRIBUTES::default()
        };
        let mut object = null_mut();
        // SAFETY: structures of this test.
        match unsafe { create(&raw mut object, &raw const attributes, make, multiple, 0) } {
            STATUS_SUCCESS => Ok(object),
            status => Err(status),
        }
    }

    #[test]
    fn routines_are_called_in_their_order_until_they_are_unregistered() {
        let name = r"\Callback\OfATest";
        assert_eq!(open(name, 0, 0), Err(STATUS_OBJECT_NAME_NOT_FOUND));
        assert_eq!(open("", 1, 0), Err(STATUS_UNSUCCESSFUL));
        let object = open(name, 1, 1).expect("a new object");
        assert_eq!(open(r"\callback\ofatest", 0, 0), Ok(object));
        let id = |value: usize| without_provenance_mut::<c_void>(value);
        let routine = called as *const c_void;
        let add = |object, context| {
            // SAFETY: a live object.
            unsafe { register(object, routine, id(context), 0) }
        };
        let [one, two] = [add(object, 1), add(object, 2)];
        assert!(!one.is_null() && !two.is_null());
        // SAFETY: as above.
        unsafe { notify(object, id(7), id(8), 0) };
        let ((), found) = capture(|| {
            // SAFETY: registered above, and then not any more.
            unsafe { unregister(one, 0) };
            // SAFETY: as above.
            unsafe { unregister(one, 0) };
        });
        assert_eq!(found[0].rule, &rules::BAD_FREE);
        // SAFETY: as above.
        unsafe { notify(object, id(9), id(9), 0) };
        let calls = CALLS.lock().expect("no panic").clone();
        assert_eq!(calls, [[1, 7, 8], [2, 7, 8], [2, 9, 9]]);
        let code = routine.addr()..routine.addr() + 1;
        assert_eq!(crate::processor::outstanding(&code).len(), 1);
        // SAFETY: as above.
        unsafe { unregister(two, 0) };
        assert!(crate::processor::outstanding(&code).is_empty());
        // SAFETY: the two references of the opens.
        unsafe { lifetime::dereference(object) };
        // SAFETY: as above.
        assert_eq!(unsafe { object::pointer_count(object) }, 1);
        // SAFETY: as above.
        unsafe { lifetime::dereference(object) };
        assert_eq!(open(name, 0, 0), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    }

    #[test]
    fn an_object_of_one_routine_takes_no_other() {
        let object = open(r"\Callback\OfOne", 1, 0).expect("a new object");
        let routine = called as *const c_void;
        // SAFETY: a live object, here and below.
        let one = unsafe { register(object, routine, null_mut(), 0) };
        // SAFETY: as above.
        let other = unsafe { register(object, routine, null_mut(), 0) };
        assert!(!one.is_null() && other.is_null());
        // SAFETY: as above.
        unsafe { unregister(one, 0) };
        // SAFETY: as above.
        unsafe { lifetime::dereference(object) };
    }
}
