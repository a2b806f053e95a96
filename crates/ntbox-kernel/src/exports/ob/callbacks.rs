//! `ObRegisterCallbacks` and its end ([`handle_callbacks`]).
//!
//! Left out: desktops, of which there are none.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{
    NTSTATUS, OB_CALLBACK_REGISTRATION, OB_FLT_REGISTRATION_VERSION, OB_OPERATION_HANDLE_CREATE,
    OB_OPERATION_HANDLE_DUPLICATE, OB_OPERATION_REGISTRATION, STATUS_ACCESS_DENIED,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, unicode,
};
use crate::pe_image::{self, Image};
use crate::pool::failure;
use crate::processor::handle_callbacks::{self, Operation};
use crate::processor::object::{Kind, ObjectType};
use crate::processor::{given, irql};
use crate::verifier::{rules, violation};
use std::ffi::c_void;

/// `STATUS_FLT_INSTANCE_ALTITUDE_COLLISION`.
const ALTITUDE_COLLISION: NTSTATUS = 0xC01C_0011_u32.cast_signed();
const OPERATIONS: u32 = OB_OPERATION_HANDLE_CREATE | OB_OPERATION_HANDLE_DUPLICATE;

/// What one entry of the driver's asks for, if it can be asked for.
fn operation(entry: &OB_OPERATION_REGISTRATION) -> Option<Operation> {
    let object_type = entry.ObjectType.cast::<*const ObjectType>();
    // SAFETY: null, or the address of a variable as PsProcessType is one.
    let object_type = unsafe { object_type.as_ref() }?;
    // SAFETY: what such a variable points to, or null.
    let kind = unsafe { object_type.as_ref() }?.kind;
    let before = entry.PreOperation.map_or(0, |routine| routine as usize);
    let behind = entry.PostOperation.map_or(0, |routine| routine as usize);
    let is_right = matches!(kind, Kind::Process | Kind::Thread)
        && entry.Operations != 0
        && entry.Operations & !OPERATIONS == 0
        && (before, behind) != (0, 0);
    is_right.then_some(Operation {
        kind,
        operations: entry.Operations,
        before,
        behind,
    })
}

/// `ObRegisterCallbacks`, of an image that Windows has checked when it was loaded.
pub unsafe extern "win64" fn register(
    registration: *const OB_CALLBACK_REGISTRATION,
    cookie: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    let ddi = "ObRegisterCallbacks";
    irql::require(ddi, caller);
    // SAFETY: the driver's structure.
    let registration = unsafe { &*registration };
    let count = registration.OperationRegistrationCount;
    if u32::from(registration.Version) != OB_FLT_REGISTRATION_VERSION || count == 0 {
        return STATUS_INVALID_PARAMETER;
    }
    let first = registration.OperationRegistration;
    // SAFETY: the driver's entries, as many as it says.
    let entries = unsafe { std::slice::from_raw_parts(first, count.into()) };
    let operations: Option<Vec<Operation>> = entries.iter().map(operation).collect();
    let Some(operations) = operations else {
        return STATUS_INVALID_PARAMETER;
    };
    let is_checked =
        |routine| pe_image::image_at(routine).is_none_or(Image::is_checked_for_integrity);
    let all_are_checked = operations
        .iter()
        .all(|operation| is_checked(operation.before) && is_checked(operation.behind));
    if !all_are_checked {
        return STATUS_ACCESS_DENIED;
    }
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for operation in &operations {
        given::remember(operation.before, ddi, caller);
        given::remember(operation.behind, ddi, caller);
    }
    // SAFETY: the driver's string.
    let altitude = unsafe { unicode::to_string(&raw const registration.Altitude) };
    let context = registration.RegistrationContext.expose_provenance();
    let Some(new) = handle_callbacks::add(altitude, context, operations) else {
        return ALTITUDE_COLLISION;
    };
    // SAFETY: the driver's pointer.
    unsafe { cookie.write(std::ptr::without_provenance_mut(new)) };
    STATUS_SUCCESS
}

/// `ObUnRegisterCallbacks`.
pub unsafe extern "win64" fn unregister(cookie: *mut c_void, caller: usize) {
    irql::require("ObUnRegisterCallbacks", caller);
    if !handle_callbacks::remove(cookie.addr()) {
        violation(
            &rules::BAD_FREE,
            format!("ObUnRegisterCallbacks was called for {cookie:p}, which is no registration"),
            &[("called at", caller)],
        );
    }
}

/// `ObGetFilterVersion`.
pub unsafe extern "win64" fn version() -> u16 {
    OB_FLT_REGISTRATION_VERSION as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::unicode::OwnedUnicodeString;
    use crate::nt::{
        OB_POST_OPERATION_INFORMATION, OB_PRE_OPERATION_INFORMATION, POB_POST_OPERATION_CALLBACK,
        POB_PRE_OPERATION_CALLBACK,
    };
    use crate::pe_image::test_image::{TEXT, TestImage};
    use crate::processor::handle_callbacks::open_handle;
    use crate::processor::object::{ObjectType, object_type};
    use crate::processor::{handle, thread};
    use crate::verifier::capture;
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicU32, Ordering};

    static SEEN: AtomicU32 = AtomicU32::new(0);

    /// Takes PROCESS_TERMINATE and SYNCHRONIZE away, of which only the first can be, and adds another.
    unsafe extern "win64" fn before(
        context: *mut c_void,
        information: *mut OB_PRE_OPERATION_INFORMATION,
    ) -> i32 {
        // SAFETY: what the caller passes.
        let information = unsafe { &mut *information };
        // SAFETY: as above.
        let parameters = unsafe { &mut *information.Parameters };
        // SAFETY: of a create.
        let create = unsafe { &mut parameters.CreateHandleInformation };
        create.DesiredAccess = (create.DesiredAccess & !0x10_0001) | 0x400;
        information.CallContext = context;
        0
    }

    unsafe extern "win64" fn behind(
        context: *mut c_void,
        information: *mut OB_POST_OPERATION_INFORMATION,
    ) {
        // SAFETY: what the caller passes.
        let information = unsafe { &*information };
        assert_eq!(information.CallContext, context);
        // SAFETY: as above.
        let parameters = unsafe { &*information.Parameters };
        // SAFETY: of a create.
        let granted = unsafe { parameters.CreateHandleInformation }.GrantedAccess;
        SEEN.store(granted, Ordering::Relaxed);
    }

    #[test]
    fn a_handle_has_the_rights_that_are_left() {
        let altitude = OwnedUnicodeString::new("370020.3");
        let process_type: *const ObjectType = object_type(Kind::Process);
        // SAFETY: a routine is a pointer whatever its type.
        let before = unsafe {
            std::mem::transmute::<*const (), POB_PRE_OPERATION_CALLBACK>(before as *const ())
        };
        // SAFETY: as above.
        let behind = unsafe {
            std::mem::transmute::<*const (), POB_POST_OPERATION_CALLBACK>(behind as *const ())
        };
        let mut entry = OB_OPERATION_REGISTRATION {
            ObjectType: (&raw const process_type).cast_mut().cast(),
            Operations: OB_OPERATION_HANDLE_CREATE,
            PreOperation: before,
            PostOperation: behind,
        };
        let mut registration = OB_CALLBACK_REGISTRATION {
            Version: 0x100,
            OperationRegistrationCount: 1,
            Altitude: altitude.as_unicode(),
            RegistrationContext: std::ptr::without_provenance_mut(5),
            OperationRegistration: &raw mut entry,
        };
        let mut cookie = null_mut();
        let mut register_it = |registration: &OB_CALLBACK_REGISTRATION| {
            // SAFETY: structures of this test.
            unsafe { register(registration, &raw mut cookie, 0) }
        };
        registration.Version = 0x200;
        assert_eq!(register_it(&registration), STATUS_INVALID_PARAMETER);
        registration.Version = 0x100;
        assert_eq!(register_it(&registration), STATUS_SUCCESS);
        assert_eq!(register_it(&registration), ALTITUDE_COLLISION);

        let open = || {
            let process = thread::current().process();
            // SAFETY: the process stays.
            let opened = unsafe { open_handle(process, 0x10_0009, true) };
            let access = handle::access_of_handle(opened);
            handle::close_handle(opened);
            access
        };
        assert_eq!(open(), Ok(0x10_0008));
        assert_eq!(SEEN.load(Ordering::Relaxed), 0x10_0008);
        let ((), found) = capture(|| {
            // SAFETY: registered above, and not any more.
            unsafe { unregister(cookie, 0) };
            assert_eq!(open(), Ok(0x10_0009));
            // SAFETY: as above.
            unsafe { unregister(cookie, 0) };
        });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].rule, &rules::BAD_FREE);
    }

    #[test]
    fn an_image_that_is_not_checked_registers_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let register_of = |name: &str, dll_characteristics| {
            let image = TestImage {
                dll_characteristics,
                ..TestImage::default()
            };
            let file = image.write(&folder, name);
            let image = pe_image::load(&file, &|_, _| None).expect("the image is right");
            let routine = image.base() + TEXT as usize;
            let thread_type: *const ObjectType = object_type(Kind::Thread);
            // SAFETY: a routine is a pointer whatever its type. It is not called: no thread begins here.
            let behind =
                unsafe { std::mem::transmute::<usize, POB_POST_OPERATION_CALLBACK>(routine) };
            let mut entry = OB_OPERATION_REGISTRATION {
                ObjectType: (&raw const thread_type).cast_mut().cast(),
                Operations: OB_OPERATION_HANDLE_DUPLICATE,
                PreOperation: None,
                PostOperation: behind,
            };
            let altitude = OwnedUnicodeString::new("370040");
            let registration = OB_CALLBACK_REGISTRATION {
                Version: 0x100,
                OperationRegistrationCount: 1,
                Altitude: altitude.as_unicode(),
                RegistrationContext: null_mut(),
                OperationRegistration: &raw mut entry,
            };
            let mut cookie = null_mut();
            // SAFETY: structures of this test.
            let status = unsafe { register(&raw const registration, &raw mut cookie, 0) };
            if status == STATUS_SUCCESS {
                // SAFETY: registered above.
                unsafe { unregister(cookie, 0) };
            }
            status
        };
        assert_eq!(register_of("unseen.sys", 0x160), STATUS_ACCESS_DENIED);
        assert_eq!(register_of("seen.sys", 0x1E0), STATUS_SUCCESS);
    }
}
