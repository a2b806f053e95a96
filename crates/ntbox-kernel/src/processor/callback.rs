//! Callback objects: routines of drivers that one driver has called, whoever registered them, by a name.
//!
//! Source: `ExCreateCallback` and its like in the DDI reference, "Callback objects" in the kernel architecture guide.

#![expect(
    unsafe_code,
    reason = "objects and routines of drivers are known by pointer"
)]

use super::driver_code::entering;
use super::lifetime;
use super::object::{self, Kind, Procedures};
use super::registered::List;
use crate::nt::{NTSTATUS, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_UNSUCCESSFUL};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// `PCALLBACK_FUNCTION`.
type Routine = unsafe extern "win64" fn(*mut c_void, *mut c_void, *mut c_void);

struct Registration {
    object: usize,
    routine: usize,
    context: usize,
}

static REGISTERED: List<Registration> = List::new();

/// The objects by their names, in upper case, and those of the system.
static NAMED: LazyLock<Mutex<HashMap<String, usize>>> = LazyLock::new(|| {
    let systems = [
        r"\CALLBACK\POWERSTATE",
        r"\CALLBACK\SETSYSTEMTIME",
        r"\CALLBACK\PROCESSORADD",
    ];
    let made = systems.map(|name| (name.to_owned(), new_object(true).expose_provenance()));
    Mutex::new(HashMap::from(made))
});

fn named() -> MutexGuard<'static, HashMap<String, usize>> {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner)
}

static PROCEDURES: Procedures = Procedures {
    closed: None,
    left: None,
    delete: |object| named().retain(|_, known| *known != object.addr()),
};

/// Its body says whether more than one routine can be registered.
fn new_object(multiple: bool) -> *mut c_void {
    let object = object::create_with(Kind::Callback, 16, Some(&PROCEDURES));
    // SAFETY: the body is new, and has a byte.
    unsafe { object.cast::<bool>().write(multiple) };
    object
}

/// The callback object of that name, referenced: one that is there, or a new one if it is to be made.
///
/// # Errors
/// `STATUS_UNSUCCESSFUL` for one without a name, `STATUS_OBJECT_NAME_NOT_FOUND`.
pub fn open(name: &str, create: bool, multiple: bool) -> Result<*mut c_void, NTSTATUS> {
    if name.is_empty() {
        return Err(STATUS_UNSUCCESSFUL);
    }
    let name = name.to_uppercase();
    let mut named = named();
    if let Some(object) = named.get(&name) {
        let object = with_exposed_provenance_mut(*object);
        // SAFETY: it is taken out of the map before it goes.
        unsafe { lifetime::reference(object) };
        return Ok(object);
    }
    if !create {
        return Err(STATUS_OBJECT_NAME_NOT_FOUND);
    }
    let object = new_object(multiple);
    named.insert(name, object.expose_provenance());
    Ok(object)
}

/// Registers a routine; what to unregister it by, or null where the object has one and takes no more.
///
/// # Safety
/// A live callback object.
pub unsafe fn register(object: *mut c_void, routine: usize, context: usize) -> *mut c_void {
    // SAFETY: contract.
    let multiple = unsafe { object.cast::<bool>().read() };
    let new = Registration {
        object: object.expose_provenance(),
        routine,
        context,
    };
    let is_taken = |known: &Registration| known.object == object.addr();
    let cookie = REGISTERED.add(new, |all| {
        let is_free = multiple || !all.iter().any(|known| is_taken(known));
        is_free.then_some(all.len())
    });
    if cookie.is_some() {
        // SAFETY: contract; the registration keeps it.
        unsafe { lifetime::reference(object) };
    }
    cookie.map_or(null_mut(), std::ptr::without_provenance_mut)
}

/// Unregisters a routine when nobody is in it; false for what is no registration.
pub fn unregister(cookie: usize) -> bool {
    let removed = REGISTERED.remove(cookie);
    if let Some(removed) = &removed {
        // SAFETY: the registration's reference.
        unsafe { lifetime::dereference(with_exposed_provenance_mut(removed.object)) };
    }
    removed.is_some()
}

/// Calls the routines of an object in the order of their registration, at the level of the caller.
///
/// # Safety
/// The arguments are what these routines take.
pub unsafe fn notify(object: *mut c_void, first: *mut c_void, second: *mut c_void) {
    let called = REGISTERED.called(|known| known.object == object.addr());
    for known in called.iter() {
        // SAFETY: the routine that was registered.
        let routine = unsafe { std::mem::transmute::<usize, Routine>(known.routine) };
        let context = with_exposed_provenance_mut(known.context);
        // SAFETY: as above, with the arguments that the driver gives.
        unsafe { entering(routine)(context, first, second) };
    }
}

/// The routines whose code lies in `code`.
pub(super) fn outstanding(code: &Range<usize>) -> Vec<(&'static str, usize)> {
    let ours = REGISTERED.called(|known| code.contains(&known.routine));
    ours.iter()
        .map(|known| ("its callback routine is registered", known.routine))
        .collect()
}
