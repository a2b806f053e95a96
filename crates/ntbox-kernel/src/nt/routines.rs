//! Driver routines in the Windows x64 calling convention.
//!
//! The structures of `windows-sys` declare their function pointers as
//! `extern "system"`, which on a Linux host is another convention. The slots
//! are read and written here, where the type is corrected once.

#![expect(unsafe_code, reason = "raw kernel structures are read in place")]

use super::fast_io::FAST_IO_DISPATCH;
use super::metadata::{
    DEVICE_OBJECT, DRIVER_DISPATCH, DRIVER_OBJECT, IO_STATUS_BLOCK, IRP, NTSTATUS, UNICODE_STRING,
};
use std::ffi::c_void;

/// `DRIVER_DISPATCH`.
pub type DispatchRoutine = unsafe extern "win64" fn(*mut DEVICE_OBJECT, *mut IRP) -> NTSTATUS;
/// `IO_COMPLETION_ROUTINE`.
pub type CompletionRoutine =
    unsafe extern "win64" fn(*mut DEVICE_OBJECT, *mut IRP, *mut c_void) -> NTSTATUS;
/// `DRIVER_CANCEL`.
pub type CancelRoutine = unsafe extern "win64" fn(*mut DEVICE_OBJECT, *mut IRP);
/// `DRIVER_INITIALIZE`.
pub type DriverEntry =
    unsafe extern "win64" fn(*mut DRIVER_OBJECT, *const UNICODE_STRING) -> NTSTATUS;
/// `DRIVER_UNLOAD`.
pub type DriverUnload = unsafe extern "win64" fn(*mut DRIVER_OBJECT);
/// `DRIVER_FS_NOTIFICATION`.
pub type FsNotification = unsafe extern "win64" fn(*mut DEVICE_OBJECT, u8);
/// `IO_WORKITEM_ROUTINE`.
pub type WorkItemRoutine = unsafe extern "win64" fn(*mut DEVICE_OBJECT, *mut c_void);
/// `WORKER_THREAD_ROUTINE`, `KSTART_ROUTINE`: one context argument.
pub type ContextRoutine = unsafe extern "win64" fn(*mut c_void);
/// `PIO_APC_ROUTINE`.
pub type ApcRoutine = unsafe extern "win64" fn(*mut c_void, *mut IO_STATUS_BLOCK, u32);
/// `KDEFERRED_ROUTINE`.
pub type DeferredRoutine =
    unsafe extern "win64" fn(*mut super::metadata::KDPC, *mut c_void, *mut c_void, *mut c_void);

/// The slots of a driver object.
pub trait DriverRoutines {
    /// Dispatch routine of `major`.
    fn dispatch(&self, major: u8) -> Option<DispatchRoutine>;
    /// Sets the dispatch routine of `major`.
    fn set_dispatch(&mut self, major: u8, routine: DispatchRoutine);
    /// `DriverUnload`.
    fn unload(&self) -> Option<DriverUnload>;
    /// The fast I/O table, or null.
    fn fast_io(&self) -> *const FAST_IO_DISPATCH;
    /// Sets the fast I/O table.
    fn set_fast_io(&mut self, table: *const FAST_IO_DISPATCH);
}

impl DriverRoutines for DRIVER_OBJECT {
    fn dispatch(&self, major: u8) -> Option<DispatchRoutine> {
        self.MajorFunction.get(usize::from(major)).and_then(|slot| {
            slot.map(|routine| {
                // SAFETY: a slot only ever holds a routine of this convention: the box and
                // the drivers it loads are its only writers.
                unsafe { std::mem::transmute::<_, DispatchRoutine>(routine) }
            })
        })
    }
    fn set_dispatch(&mut self, major: u8, routine: DispatchRoutine) {
        if let Some(slot) = self.MajorFunction.get_mut(usize::from(major)) {
            // SAFETY: pointer-size function pointers; read back only by `dispatch`.
            *slot = unsafe { std::mem::transmute::<DispatchRoutine, DRIVER_DISPATCH>(routine) };
        }
    }
    fn unload(&self) -> Option<DriverUnload> {
        self.DriverUnload.map(|routine| {
            // SAFETY: as in `dispatch`.
            unsafe { std::mem::transmute::<_, DriverUnload>(routine) }
        })
    }
    fn fast_io(&self) -> *const FAST_IO_DISPATCH {
        self.FastIoDispatch.cast()
    }
    fn set_fast_io(&mut self, table: *const FAST_IO_DISPATCH) {
        self.FastIoDispatch = table.cast_mut().cast();
    }
}
