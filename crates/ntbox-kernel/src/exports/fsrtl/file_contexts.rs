//! Per-file-object contexts ([`crate::io_manager::file_contexts`]).

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::file_contexts;
use crate::nt::{
    FILE_OBJECT, FSRTL_PER_FILEOBJECT_CONTEXT, NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use crate::processor::irql;
use std::ffi::c_void;

type Context = *mut FSRTL_PER_FILEOBJECT_CONTEXT;

/// `FsRtlInsertPerFileObjectContext`.
///
/// # Safety
/// A live file object or null, and a context that stays until it is taken out.
pub unsafe extern "win64" fn insert(
    file: *mut FILE_OBJECT,
    context: Context,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlInsertPerFileObjectContext", caller);
    if file.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: the filter's context.
    let identified = unsafe { &*context };
    file_contexts::insert(
        file.addr(),
        context,
        identified.OwnerId,
        identified.InstanceId,
    );
    STATUS_SUCCESS
}

/// `FsRtlLookupPerFileObjectContext`: null identifications fit any.
pub unsafe extern "win64" fn lookup(
    file: *mut FILE_OBJECT,
    owner: *const c_void,
    instance: *const c_void,
    caller: usize,
) -> Context {
    irql::require("FsRtlLookupPerFileObjectContext", caller);
    file_contexts::find(file.addr(), owner, instance, false)
}

/// `FsRtlRemovePerFileObjectContext`.
pub unsafe extern "win64" fn remove(
    file: *mut FILE_OBJECT,
    owner: *const c_void,
    instance: *const c_void,
    caller: usize,
) -> Context {
    irql::require("FsRtlRemovePerFileObjectContext", caller);
    file_contexts::find(file.addr(), owner, instance, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports::test_device;
    use crate::io_manager::file;
    use crate::nt::{DEVICE_OBJECT, IRP, STATUS_NOT_SUPPORTED};
    use crate::processor::lifetime;
    use std::ptr::{null, null_mut};

    unsafe extern "win64" fn refuse(_: *mut DEVICE_OBJECT, _: *mut IRP) -> NTSTATUS {
        STATUS_NOT_SUPPORTED
    }

    #[test]
    fn a_context_is_the_file_objects_until_it_is_taken_out() {
        let id = |value: usize| std::ptr::without_provenance_mut::<c_void>(value);
        let [mut one, mut two] = [10, 20].map(|instance| FSRTL_PER_FILEOBJECT_CONTEXT {
            OwnerId: id(1),
            InstanceId: id(instance),
            ..FSRTL_PER_FILEOBJECT_CONTEXT::default()
        });
        let (one, two): (Context, Context) = (&raw mut one, &raw mut two);
        let driver = test_device::driver(r"\Driver\FileContexts", refuse);
        let device = test_device::device(driver, None);
        // SAFETY: the device stays.
        let file = unsafe { file::create(device, &[], 0) };
        let put = |file, context| {
            // SAFETY: the file object and its contexts live as long as they are used, here and below.
            unsafe { insert(file, context, 0) }
        };
        assert_eq!(put(null_mut(), one), STATUS_INVALID_PARAMETER);
        assert_eq!([put(file, one), put(file, two)], [STATUS_SUCCESS; 2]);
        let found = |owner, instance: *mut c_void| {
            // SAFETY: as above.
            unsafe { lookup(file, id(owner), instance, 0) }
        };
        assert_eq!(found(1, id(10)), one);
        assert_eq!(found(1, null_mut()), two);
        assert!(found(2, null_mut()).is_null());
        // SAFETY: as above.
        assert_eq!(unsafe { remove(file, id(1), null(), 0) }, two);
        assert_eq!(found(1, null_mut()), one);
        // SAFETY: the reference that it was created with.
        unsafe { lifetime::dereference(file.cast()) };
        assert!(found(1, null_mut()).is_null());
    }
}
