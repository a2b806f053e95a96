//! Extra create parameters (ECPs): what drivers give each other along with an open.
//!
//! A parameter is a block of the driver that made it, known by what lies behind its header; a list is a block too.
//! Which list goes with which create is kept here. With the create goes its list, and all that is in it.
//!
//! Left out: lists that an open brings along (`IoCreateFileEx`), and that a list is kept when a create is reparsed.
//!
//! Source: `FsRtlAllocateExtraCreateParameterList`, `FsRtlSetEcpListIntoIrp` and their like in the DDI reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "parameters and lists are blocks that drivers hold by pointer"
)]

use super::checks;
use crate::nt::{IRP, NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND, STATUS_SUCCESS};
use crate::pool::{self, Kind};
use crate::processor::driver_code::entering;
use crate::verifier::{self, rules};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use windows_sys::core::GUID;

/// `FSRTL_EXTRA_CREATE_PARAMETER_CLEANUP_CALLBACK`: the parameter and its type.
pub type Cleanup = unsafe extern "win64" fn(*mut c_void, *const GUID);

/// In front of each parameter.
#[repr(C, align(16))]
struct Header {
    /// The next one of the list, or null.
    next: *mut Header,
    /// The list that it is in, or null.
    list: *mut List,
    kind: GUID,
    bytes: u32,
    acknowledged: bool,
    cleanup: Option<Cleanup>,
}

/// `ECP_LIST`.
#[repr(C, align(16))]
pub struct List {
    first: *mut Header,
}

const LIST_TAG: u32 = u32::from_le_bytes(*b"Ecpl");

/// The lists of creates that are under way.
/// The list that goes with a create.
struct Carried {
    list: usize,
    /// Who has sent the create keeps it.
    is_lent: bool,
}

static OF_CREATES: LazyLock<Mutex<HashMap<usize, Carried>>> = LazyLock::new(Mutex::default);

fn of_creates() -> MutexGuard<'static, HashMap<usize, Carried>> {
    OF_CREATES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn header_of(parameter: *mut c_void) -> *mut Header {
    parameter.wrapping_byte_sub(size_of::<Header>()).cast()
}

fn parameter_of(header: *mut Header) -> *mut c_void {
    header.wrapping_add(1).cast()
}

fn same(one: &GUID, other: &GUID) -> bool {
    (one.data1, one.data2, one.data3, one.data4)
        == (other.data1, other.data2, other.data3, other.data4)
}

/// A parameter of `bytes` zeros, or null. Below `DISPATCH_LEVEL`.
pub fn new_parameter(
    pool: Kind,
    kind: GUID,
    bytes: u32,
    cleanup: Option<Cleanup>,
    tag: u32,
    site: usize,
) -> *mut c_void {
    let all = size_of::<Header>() + bytes as usize;
    let header: *mut Header = pool::allocate(pool, all, tag, site).cast();
    if header.is_null() {
        return null_mut();
    }
    // SAFETY: a new block of that size.
    unsafe {
        header.cast::<u8>().write_bytes(0, all);
        header.write(Header {
            next: null_mut(),
            list: null_mut(),
            kind,
            bytes,
            acknowledged: false,
            cleanup,
        });
    }
    parameter_of(header)
}

/// Frees a parameter that is in no list; its maker's callback sees it once more.
///
/// # Safety
/// It came from [`new_parameter`], and nobody uses it any more.
pub unsafe fn free_parameter(parameter: *mut c_void, site: usize) {
    let header = header_of(parameter);
    // SAFETY: contract.
    let list = unsafe { (*header).list };
    if !list.is_null() && verifier::checks() {
        checks::report(
            &rules::PARAMETER_IN_LIST,
            format!(
                "the extra create parameter {parameter:p} is freed while it is in the list {list:p}"
            ),
            null_mut(),
            vec![("freed by", site)],
        );
    }
    // SAFETY: contract.
    unsafe {
        if let Some(cleanup) = (*header).cleanup {
            entering(cleanup)(parameter, &raw const (*header).kind);
        }
        pool::free(header.cast(), None, site);
    }
}

/// An empty list, or null.
pub fn new_list(site: usize) -> *mut List {
    let list: *mut List = pool::allocate(Kind::Paged, size_of::<List>(), LIST_TAG, site).cast();
    if !list.is_null() {
        // SAFETY: a new block of that size.
        unsafe { list.write(List { first: null_mut() }) };
    }
    list
}

/// Frees a list with all that is in it.
///
/// # Safety
/// It came from [`new_list`], and nobody uses it any more.
pub unsafe fn free_list(list: *mut List, site: usize) {
    // SAFETY: contract.
    unsafe {
        while !(*list).first.is_null() {
            let header = (*list).first;
            (*list).first = (*header).next;
            (*header).list = null_mut();
            free_parameter(parameter_of(header), site);
        }
        pool::free(list.cast(), None, site);
    }
}

/// The pointer of the list that leads to the parameter of this kind, or to null at the end.
unsafe fn place(list: *mut List, kind: &GUID) -> *mut *mut Header {
    // SAFETY: contract of the callers: a list of parameters that are alive.
    unsafe {
        let mut place = &raw mut (*list).first;
        while !(*place).is_null() && !same(&(**place).kind, kind) {
            place = &raw mut (**place).next;
        }
        place
    }
}

/// Adds a parameter at the end.
///
/// # Errors (as NTSTATUS)
/// `STATUS_INVALID_PARAMETER` if the list has one of its kind.
///
/// # Safety
/// Both are alive, and the parameter is in no list.
pub unsafe fn insert(list: *mut List, parameter: *mut c_void) -> NTSTATUS {
    let header = header_of(parameter);
    // SAFETY: contract.
    unsafe {
        let place = place(list, &(*header).kind);
        if !(*place).is_null() {
            return STATUS_INVALID_PARAMETER;
        }
        (*header).next = null_mut();
        (*header).list = list;
        place.write(header);
    }
    STATUS_SUCCESS
}

/// The parameter of a kind and its bytes.
///
/// # Errors
/// `STATUS_NOT_FOUND`.
///
/// # Safety
/// The list is alive.
pub unsafe fn find(list: *mut List, kind: &GUID) -> Result<(*mut c_void, u32), NTSTATUS> {
    // SAFETY: contract.
    unsafe {
        let header = *place(list, kind);
        if header.is_null() {
            return Err(STATUS_NOT_FOUND);
        }
        Ok((parameter_of(header), (*header).bytes))
    }
}

/// Takes the parameter of a kind out of the list.
///
/// # Errors
/// `STATUS_NOT_FOUND`.
///
/// # Safety
/// The list is alive.
pub unsafe fn remove(list: *mut List, kind: &GUID) -> Result<(*mut c_void, u32), NTSTATUS> {
    // SAFETY: contract.
    unsafe {
        let found = find(list, kind)?;
        let place = place(list, kind);
        let header = *place;
        place.write((*header).next);
        (*header).list = null_mut();
        Ok(found)
    }
}

/// The parameter behind `current`, or the first for null: itself, its kind and its bytes.
///
/// # Errors
/// `STATUS_NOT_FOUND` at the end.
///
/// # Safety
/// Both are alive, and `current` is in the list.
pub unsafe fn next(
    list: *mut List,
    current: *mut c_void,
) -> Result<(*mut c_void, GUID, u32), NTSTATUS> {
    // SAFETY: contract.
    unsafe {
        let header = if current.is_null() {
            (*list).first
        } else {
            (*header_of(current)).next
        };
        if header.is_null() {
            return Err(STATUS_NOT_FOUND);
        }
        Ok((parameter_of(header), (*header).kind, (*header).bytes))
    }
}

/// Notes that somebody has made use of the parameter.
///
/// # Safety
/// It is alive.
pub unsafe fn acknowledge(parameter: *mut c_void) {
    // SAFETY: contract.
    unsafe { (*header_of(parameter)).acknowledged = true };
}

/// True after [`acknowledge`].
///
/// # Safety
/// It is alive.
pub unsafe fn is_acknowledged(parameter: *mut c_void) -> bool {
    // SAFETY: contract.
    unsafe { (*header_of(parameter)).acknowledged }
}

/// The list that goes with a create, or null.
pub fn of_create(irp: *const IRP) -> *mut List {
    let list = of_creates().get(&irp.addr()).map(|carried| carried.list);
    std::ptr::with_exposed_provenance_mut(list.unwrap_or(0))
}

/// Has `list` go with a create that has none yet, and stay its owner's (`IO_DRIVER_CREATE_CONTEXT`).
pub fn lend_to_create(irp: *const IRP, list: *mut List) {
    let carried = Carried {
        list: list.expose_provenance(),
        is_lent: true,
    };
    of_creates().insert(irp.addr(), carried);
}

/// Has `list` go with a create. False if one does.
pub fn give_to_create(irp: *const IRP, list: *mut List) -> bool {
    let mut creates = of_creates();
    let free = !creates.contains_key(&irp.addr());
    if free {
        let carried = Carried {
            list: list.expose_provenance(),
            is_lent: false,
        };
        creates.insert(irp.addr(), carried);
    }
    free
}

/// The create is over: its list goes.
pub(super) fn create_ended(irp: *const IRP) {
    let carried = of_creates().remove(&irp.addr());
    if let Some(carried) = carried.filter(|carried| !carried.is_lent) {
        // SAFETY: given to the create by who had it, and nobody looks at it when that is over.
        unsafe { free_list(std::ptr::with_exposed_provenance_mut(carried.list), 0) };
    }
}
