//! The routines that drivers want to be called when a handle on a process or a thread is opened or duplicated, from the
//! highest altitude down before it is, and upwards when it is there.
//!
//! Source: `ObRegisterCallbacks`, `OB_PRE_CREATE_HANDLE_INFORMATION`, `POB_PRE_OPERATION_CALLBACK` in the DDI reference.

#![expect(
    unsafe_code,
    reason = "routines of drivers get what they may change by pointer"
)]

use super::apc;
use super::driver_code::entering;
use super::object::{self, Kind, ObjectType};
use super::registered::List;
use super::{handle, thread};
use crate::nt::{
    HANDLE, OB_OPERATION_HANDLE_CREATE, OB_OPERATION_HANDLE_DUPLICATE,
    OB_POST_CREATE_HANDLE_INFORMATION, OB_POST_OPERATION_INFORMATION, OB_POST_OPERATION_PARAMETERS,
    OB_PRE_DUPLICATE_HANDLE_INFORMATION, OB_PRE_OPERATION_INFORMATION, OB_PRE_OPERATION_PARAMETERS,
    STATUS_SUCCESS,
};
use std::cmp::Ordering;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr::null_mut;

/// `POB_PRE_OPERATION_CALLBACK`.
type Before = unsafe extern "win64" fn(*mut c_void, *mut OB_PRE_OPERATION_INFORMATION) -> i32;
/// `POB_POST_OPERATION_CALLBACK`.
type Behind = unsafe extern "win64" fn(*mut c_void, *mut OB_POST_OPERATION_INFORMATION);

/// What a driver wants to be called for.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// [`Kind::Process`] or [`Kind::Thread`].
    pub kind: Kind,
    /// `OB_OPERATION_…`.
    pub operations: u32,
    /// The routines, or 0.
    pub before: usize,
    /// As above.
    pub behind: usize,
}

struct Registration {
    altitude: String,
    context: usize,
    operations: Vec<Operation>,
}

/// From the highest altitude down.
static REGISTERED: List<Registration> = List::new();

/// The order of two altitudes, which are decimal numbers with any number of digits.
fn order(one: &str, other: &str) -> Ordering {
    let parts = |altitude: &str| -> (usize, String, String) {
        let (whole, rest) = altitude.split_once('.').unwrap_or((altitude, ""));
        let whole = whole.trim_start_matches('0');
        (
            whole.len(),
            whole.to_owned(),
            rest.trim_end_matches('0').to_owned(),
        )
    };
    parts(one).cmp(&parts(other))
}

/// Registers routines; what to unregister them by, or none where the altitude is taken.
pub fn add(altitude: String, context: usize, operations: Vec<Operation>) -> Option<usize> {
    let wanted = altitude.clone();
    let new = Registration {
        altitude,
        context,
        operations,
    };
    REGISTERED.add(new, |all| {
        let place = all.binary_search_by(|other| order(&wanted, &other.altitude));
        place.err()
    })
}

/// Unregisters routines when nobody is in them any more; false if there are none of that cookie.
pub fn remove(cookie: usize) -> bool {
    REGISTERED.remove(cookie).is_some()
}

/// The rights that a routine may take away; no other ones.
const fn removable(kind: Kind) -> u32 {
    match kind {
        // All rights of processes but to look at them, and SYNCHRONIZE and the like.
        Kind::Process => 0x0BEB,
        Kind::Thread => 0x07B3,
        _ => 0,
    }
}

/// Where a handle comes from that is duplicated.
#[derive(Debug, Clone, Copy)]
pub struct Duplicated {
    /// The process objects.
    pub source: *mut c_void,
    /// As above.
    pub target: *mut c_void,
}

/// [`handle::open_handle`], which routines of drivers may look at, and leave with fewer rights.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn open_handle(object: *mut c_void, access: u32, kernel: bool) -> HANDLE {
    // SAFETY: contract.
    unsafe { open(object, access, kernel, None) }
}

/// As [`open_handle`], for a handle that is another's duplicate if it is said to be.
///
/// # Safety
/// As [`open_handle`].
pub unsafe fn open(
    object: *mut c_void,
    access: u32,
    kernel: bool,
    duplicated: Option<Duplicated>,
) -> HANDLE {
    // SAFETY: contract.
    let kind = unsafe { object::kind_of(object) };
    let Some(kind) = kind.filter(|kind| matches!(kind, Kind::Process | Kind::Thread)) else {
        // SAFETY: contract.
        return unsafe { handle::open_handle(object, access, kernel) };
    };
    let of = match duplicated {
        None => OB_OPERATION_HANDLE_CREATE,
        Some(_) => OB_OPERATION_HANDLE_DUPLICATE,
    };
    let wanted = |operation: &&Operation| operation.kind == kind && operation.operations & of != 0;
    let called =
        REGISTERED.called(|known| known.operations.iter().any(|operation| wanted(&operation)));
    let each = called.iter().flat_map(|known| {
        let operations = known.operations.iter().filter(wanted);
        operations.map(|operation| (&**known, *operation))
    });
    let calls: Vec<(&Registration, Operation)> = each.collect();
    let about = About {
        object,
        kind,
        kernel,
        operation: of,
    };
    apc::enter_critical_region();
    let mut granted = access;
    let mut contexts = Vec::new();
    for (registration, operation) in &calls {
        let context = about.before(registration, *operation, access, &mut granted, duplicated);
        contexts.push(context);
    }
    // SAFETY: contract.
    let opened = unsafe { handle::open_handle(object, granted, kernel) };
    for ((registration, operation), context) in calls.iter().zip(contexts).rev() {
        about.behind(registration, *operation, granted, context);
    }
    apc::leave_critical_region();
    opened
}

/// What is the same in every call.
struct About {
    object: *mut c_void,
    kind: Kind,
    kernel: bool,
    operation: u32,
}

impl About {
    fn object_type(&self) -> isize {
        let object_type: *const ObjectType = object::object_type(self.kind);
        object_type.addr().cast_signed()
    }
    /// Calls the routine of before; what it wants the one of behind to get.
    fn before(
        &self,
        registration: &Registration,
        operation: Operation,
        original: u32,
        granted: &mut u32,
        duplicated: Option<Duplicated>,
    ) -> *mut c_void {
        if operation.before == 0 {
            return null_mut();
        }
        let current = thread::current().process();
        let Duplicated { source, target } = duplicated.unwrap_or(Duplicated {
            source: current,
            target: current,
        });
        // Of a create the first two fields.
        let mut parameters = OB_PRE_OPERATION_PARAMETERS {
            DuplicateHandleInformation: OB_PRE_DUPLICATE_HANDLE_INFORMATION {
                DesiredAccess: *granted,
                OriginalDesiredAccess: original,
                SourceProcess: source,
                TargetProcess: target,
            },
        };
        let mut information = OB_PRE_OPERATION_INFORMATION {
            Operation: self.operation,
            Object: self.object,
            ObjectType: self.object_type(),
            Parameters: &raw mut parameters,
            ..OB_PRE_OPERATION_INFORMATION::default()
        };
        information.Anonymous.Flags = self.kernel.into();
        // SAFETY: the routine that the driver registered for this.
        let routine = unsafe { std::mem::transmute::<usize, Before>(operation.before) };
        let context = std::ptr::with_exposed_provenance_mut(registration.context);
        // SAFETY: as above, with structures that it may write to.
        unsafe { entering(routine)(context, &raw mut information) };
        // SAFETY: either member has the access at its start.
        let left = unsafe { parameters.CreateHandleInformation.DesiredAccess };
        *granted &= left | !removable(self.kind);
        information.CallContext
    }
    fn behind(
        &self,
        registration: &Registration,
        operation: Operation,
        granted: u32,
        context: *mut c_void,
    ) {
        if operation.behind == 0 {
            return;
        }
        let mut parameters = OB_POST_OPERATION_PARAMETERS {
            CreateHandleInformation: OB_POST_CREATE_HANDLE_INFORMATION {
                GrantedAccess: granted,
            },
        };
        let mut information = OB_POST_OPERATION_INFORMATION {
            Operation: self.operation,
            Object: self.object,
            ObjectType: self.object_type(),
            CallContext: context,
            ReturnStatus: STATUS_SUCCESS,
            Parameters: &raw mut parameters,
            ..OB_POST_OPERATION_INFORMATION::default()
        };
        information.Anonymous.Flags = self.kernel.into();
        // SAFETY: the routine that the driver registered for this.
        let routine = unsafe { std::mem::transmute::<usize, Behind>(operation.behind) };
        let context = std::ptr::with_exposed_provenance_mut(registration.context);
        // SAFETY: as above.
        unsafe { entering(routine)(context, &raw mut information) };
    }
}

/// The routines whose code lies in `code`.
pub(super) fn outstanding(code: &Range<usize>) -> Vec<(&'static str, usize)> {
    let all = REGISTERED.called(|_| true);
    let operations = all.iter().flat_map(|known| &known.operations);
    let routines = operations.flat_map(|operation| [operation.before, operation.behind]);
    let ours = routines.filter(|routine| code.contains(routine));
    ours.map(|routine| ("its handle callback is registered", routine))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altitudes_are_numbers() {
        let higher = |one, other| order(one, other) == Ordering::Greater;
        assert!(higher("1000", "999") && higher("20.5", "20.45") && higher("20.1", "20"));
        assert_eq!(order("020.10", "20.1"), Ordering::Equal);
    }

    #[test]
    fn an_altitude_is_taken_once_and_routines_are_outstanding_until_they_are_removed() {
        let code = 0x7200_0000..0x7200_1000;
        let operation = Operation {
            kind: Kind::Thread,
            operations: OB_OPERATION_HANDLE_DUPLICATE,
            before: code.start,
            behind: 0,
        };
        let register = || add("370030".to_owned(), 0, vec![operation]);
        let cookie = register().expect("a free altitude");
        assert_eq!(register(), None);
        assert_eq!(outstanding(&code).len(), 1);
        assert!(remove(cookie) && !remove(cookie));
        assert!(outstanding(&code).is_empty());
    }
}
