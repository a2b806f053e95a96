//! What a filter may do by the rules, and a program notices all the same: for the check that
//! transparency is checked. Chosen by the registry value `Opaque`.

use crate::filter::{
    DispatchRoutine, dispatch, enter, leave, pass_and_wait, pass_through, pass_with,
};
use crate::kernel::{complete, complete_as_is, current_location, mark_pending};
use core::ffi::c_void;
use wdk_sys::{
    FILE_DELETE_ON_CLOSE, IRP_MJ_CREATE, IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_READ,
    IRP_MN_QUERY_DIRECTORY, NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_ACCESS_DENIED, STATUS_SUCCESS,
};

/// What a program notices.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Opaque {
    /// Whole blocks that were read are a byte short.
    Information,
    /// Listings are waited for: they never pend.
    Synchronous,
    /// Nothing is opened to be deleted on close.
    Create,
    /// Reads are waited for: they never pend.
    Reads,
}

impl Opaque {
    /// By the value of the setting.
    pub fn by_name(is: impl Fn(&str) -> bool) -> Option<Self> {
        let names = [
            ("information", Self::Information),
            ("synchronous", Self::Synchronous),
            ("create", Self::Create),
            ("reads", Self::Reads),
        ];
        names
            .into_iter()
            .find(|(name, _)| is(name))
            .map(|(_, opaque)| opaque)
    }

    /// The dispatch routine that does it, for the major function it is done with.
    pub fn routine(self, major: u32) -> Option<DispatchRoutine> {
        match (self, major) {
            (Self::Information, IRP_MJ_READ) => Some(shorten),
            (Self::Synchronous, IRP_MJ_DIRECTORY_CONTROL) => Some(wait_for_listing),
            (Self::Create, IRP_MJ_CREATE) => Some(refuse),
            (Self::Reads, IRP_MJ_READ) => Some(wait),
            _ => None,
        }
    }
}

unsafe extern "C" fn shorten(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, shortened, core::ptr::null_mut());
    leave();
    status
}

unsafe extern "C" fn shortened(_device: PDEVICE_OBJECT, irp: PIRP, _: *mut c_void) -> NTSTATUS {
    let read = (*irp).IoStatus.Information;
    if read != 0 && read.is_multiple_of(512) {
        (*irp).IoStatus.Information -= 1;
    }
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    leave();
    STATUS_SUCCESS
}

unsafe extern "C" fn wait_for_listing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let minor = u32::from((*current_location(irp)).MinorFunction);
    if minor != IRP_MN_QUERY_DIRECTORY {
        return dispatch(device, irp);
    }
    wait(device, irp)
}

/// Completes the request when it has come back.
pub unsafe extern "C" fn wait(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_and_wait(device, irp);
    complete_as_is(irp);
    leave();
    status
}

unsafe extern "C" fn refuse(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let options = (*current_location(irp)).Parameters.Create.Options;
    let status = if options & FILE_DELETE_ON_CLOSE != 0 {
        complete(irp, STATUS_ACCESS_DENIED)
    } else {
        pass_through(device, irp)
    };
    leave();
    status
}
