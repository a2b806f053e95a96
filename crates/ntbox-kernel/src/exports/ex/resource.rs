//! `ERESOURCE`: recursive shared/exclusive locks.
//!
//! The structure is opaque to drivers; its state is kept in a table by address.
//! Owners are told apart by thread object, as `ExGetCurrentResourceThread` does.
//! Waiting exclusive requests come before new shared ones, except where a routine
//! says otherwise.
//!
//! Source: "Introduction to ERESOURCE Routines" in the kernel architecture guide;
//! bug checks 0xC4/37, 38, D2 and 0xE3.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::exports::resident;
use crate::nt::{APC_LEVEL, ERESOURCE, NTSTATUS, STATUS_SUCCESS};
use crate::pool::active;
use crate::processor::{irql, lock_order, parking, thread};
use crate::verifier::options::{self, Options};
use crate::verifier::{Rule, rules, violation};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

type Resource = *mut ERESOURCE;
/// What the lock is called in reports.
const KIND: &str = lock_order::RESOURCE;
/// `ERESOURCE_THREAD`.
type Owner = usize;

#[derive(Default)]
struct State {
    exclusive: Option<(Owner, u32)>,
    shared: HashMap<Owner, u32>,
    exclusive_waiters: u32,
    shared_waiters: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Exclusive,
    Shared,
    SharedStarveExclusive,
    SharedWaitForExclusive,
}

impl State {
    /// Takes the resource for `me`, if that is possible now.
    fn take(&mut self, me: Owner, mode: Mode) -> bool {
        if let Some((owner, count)) = &mut self.exclusive {
            let mine = *owner == me;
            *count += u32::from(mine);
            return mine;
        }
        let granted = match mode {
            Mode::Exclusive => self.shared.is_empty(),
            Mode::Shared => self.exclusive_waiters == 0 || self.shared.contains_key(&me),
            Mode::SharedStarveExclusive => true,
            Mode::SharedWaitForExclusive => self.exclusive_waiters == 0,
        };
        if granted && mode == Mode::Exclusive {
            self.exclusive = Some((me, 1));
        } else if granted {
            *self.shared.entry(me).or_default() += 1;
        }
        granted
    }
    /// Gives one acquire of `owner` back; false if it has none.
    fn give(&mut self, owner: Owner) -> bool {
        if let Some((holder, count)) = &mut self.exclusive {
            if *holder != owner {
                return false;
            }
            *count -= 1;
            if *count == 0 {
                self.exclusive = None;
            }
            return true;
        }
        let Some(count) = self.shared.get_mut(&owner) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.shared.remove(&owner);
        }
        true
    }
    fn waiters(&mut self, mode: Mode) -> &mut u32 {
        if mode == Mode::Exclusive {
            &mut self.exclusive_waiters
        } else {
            &mut self.shared_waiters
        }
    }
}

fn table() -> MutexGuard<'static, HashMap<usize, State>> {
    static TABLE: LazyLock<Mutex<HashMap<usize, State>>> = LazyLock::new(Mutex::default);
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<R>(resource: Resource, f: impl FnOnce(&mut State) -> R) -> R {
    f(table().entry(resource.addr()).or_default())
}

fn me() -> Owner {
    thread::current().object().addr()
}

/// True if this thread owns the resource.
fn is_mine(resource: usize) -> bool {
    let me = me();
    let is_mine = |state: &State| match state.exclusive {
        Some((owner, _)) => owner == me,
        None => state.shared.contains_key(&me),
    };
    table().get(&resource).is_some_and(is_mine)
}

/// One that was initialized and not deleted.
static RESOURCE: active::Kind = active::Kind {
    what: KIND,
    begun: "initialized",
    freed: Some(&rules::ACTIVE_RESOURCE_FREED),
    twice: Some(&rules::RESOURCE_INITIALIZED_TWICE),
    missing: Some(&rules::RESOURCE_NOT_INITIALIZED),
    forget: |address| {
        table().remove(&address);
    },
};

/// `ExInitializeResourceLite`.
pub unsafe extern "win64" fn initialize(resource: Resource, caller: usize) -> NTSTATUS {
    let ddi = "ExInitializeResourceLite";
    irql::require(ddi, caller);
    resident::object(ddi, resource.addr(), caller);
    check_alignment(ddi, resource, caller);
    RESOURCE.begin(resource.addr(), caller);
    // SAFETY: the driver passes the memory of a resource.
    unsafe { reset(resource) };
    STATUS_SUCCESS
}

/// `ExReinitializeResourceLite`: of one that there is.
pub unsafe extern "win64" fn reinitialize(resource: Resource, caller: usize) -> NTSTATUS {
    let ddi = "ExReinitializeResourceLite";
    irql::require(ddi, caller);
    check_initialized(ddi, resource, caller);
    // SAFETY: the driver passes the memory of a resource.
    unsafe { reset(resource) };
    STATUS_SUCCESS
}

/// # Safety
/// `resource` points to the memory of a resource.
unsafe fn reset(resource: Resource) {
    // SAFETY: contract of the function.
    unsafe { resource.cast::<u8>().write_bytes(0, size_of::<ERESOURCE>()) };
    with(resource, |state| *state = State::default());
    lock_order::forget(resource.addr(), size_of::<ERESOURCE>());
}

fn check_initialized(ddi: &'static str, resource: Resource, caller: usize) {
    if options::on(Options::DDI) && !RESOURCE.is_active(resource.addr()) {
        RESOURCE.is_missing(ddi, resource.addr(), caller);
    }
}

fn check_alignment(ddi: &'static str, resource: Resource, caller: usize) {
    if !resource.is_aligned() {
        violation(
            &rules::RESOURCE_ALIGNMENT,
            format!("{ddi} was called for {resource:p}, at which no pointer may lie"),
            &[("called at", caller)],
        );
    }
}

/// `ExDeleteResourceLite`.
pub unsafe extern "win64" fn delete(resource: Resource, caller: usize) -> NTSTATUS {
    irql::require("ExDeleteResourceLite", caller);
    if !RESOURCE.end(resource.addr()) {
        RESOURCE.is_missing("ExDeleteResourceLite", resource.addr(), caller);
    }
    let owned = with(resource, |state| {
        let old = std::mem::take(state);
        old.exclusive.is_some() || !old.shared.is_empty()
    });
    if owned {
        violation(
            &rules::RESOURCE_DELETED_OWNED,
            format!("resource {resource:p} was deleted while it is owned"),
            &[("deleted at", caller)],
        );
    }
    STATUS_SUCCESS
}

fn check_apcs(rule: &'static Rule, ddi: &'static str, caller: usize) {
    if irql::current() < APC_LEVEL && !thread::apcs_disabled() && !thread::current().is_system() {
        violation(
            rule,
            format!("{ddi} was called with normal kernel APCs enabled"),
            &[("called at", caller)],
        );
    }
}

fn acquire(ddi: &'static str, resource: Resource, mode: Mode, wait: bool, caller: usize) -> u8 {
    irql::require(ddi, caller);
    check_alignment(ddi, resource, caller);
    check_initialized(ddi, resource, caller);
    check_apcs(&rules::RESOURCE_APCS_ENABLED, ddi, caller);
    lock_order::ask_of_kept(KIND, is_mine);
    let me = me();
    let kept = if mode == Mode::Exclusive {
        lock_order::Mode::Exclusive
    } else {
        lock_order::Mode::Shared
    };
    if wait {
        lock_order::acquiring(resource.addr(), KIND, kept, caller);
    }
    if with(resource, |state| state.take(me, mode)) {
        lock_order::acquired(resource.addr(), KIND, kept, caller);
        return 1;
    }
    if !wait {
        return 0;
    }
    if mode == Mode::Exclusive && with(resource, |state| state.shared.contains_key(&me)) {
        lock_order::self_deadlock(resource.addr(), KIND, caller);
    }
    with(resource, |state| *state.waiters(mode) += 1);
    parking::wait_until(resource.addr(), caller, || {
        with(resource, |state| {
            *state.waiters(mode) -= 1;
            let taken = state.take(me, mode);
            *state.waiters(mode) += u32::from(!taken);
            taken
        })
    });
    lock_order::acquired(resource.addr(), KIND, kept, caller);
    1
}

/// `ExAcquireResourceExclusiveLite`.
pub unsafe extern "win64" fn acquire_exclusive(resource: Resource, wait: u8, caller: usize) -> u8 {
    acquire(
        "ExAcquireResourceExclusiveLite",
        resource,
        Mode::Exclusive,
        wait != 0,
        caller,
    )
}

/// `ExAcquireResourceSharedLite`.
pub unsafe extern "win64" fn acquire_shared(resource: Resource, wait: u8, caller: usize) -> u8 {
    acquire(
        "ExAcquireResourceSharedLite",
        resource,
        Mode::Shared,
        wait != 0,
        caller,
    )
}

/// `ExAcquireSharedStarveExclusive`.
pub unsafe extern "win64" fn acquire_shared_starve_exclusive(
    resource: Resource,
    wait: u8,
    caller: usize,
) -> u8 {
    acquire(
        "ExAcquireSharedStarveExclusive",
        resource,
        Mode::SharedStarveExclusive,
        wait != 0,
        caller,
    )
}

/// `ExAcquireSharedWaitForExclusive`.
pub unsafe extern "win64" fn acquire_shared_wait_for_exclusive(
    resource: Resource,
    wait: u8,
    caller: usize,
) -> u8 {
    acquire(
        "ExAcquireSharedWaitForExclusive",
        resource,
        Mode::SharedWaitForExclusive,
        wait != 0,
        caller,
    )
}

/// `ExEnterCriticalRegionAndAcquireResourceExclusive`: returns the thread's Win32
/// data, of which threads of the box have none.
pub unsafe extern "win64" fn enter_and_acquire_exclusive(
    resource: Resource,
    caller: usize,
) -> *mut c_void {
    thread::enter_critical_region();
    acquire(
        "ExEnterCriticalRegionAndAcquireResourceExclusive",
        resource,
        Mode::Exclusive,
        true,
        caller,
    );
    std::ptr::null_mut()
}

/// `ExEnterCriticalRegionAndAcquireResourceShared`: as the exclusive one.
pub unsafe extern "win64" fn enter_and_acquire_shared(
    resource: Resource,
    caller: usize,
) -> *mut c_void {
    thread::enter_critical_region();
    acquire(
        "ExEnterCriticalRegionAndAcquireResourceShared",
        resource,
        Mode::Shared,
        true,
        caller,
    );
    std::ptr::null_mut()
}

fn release_of(ddi: &'static str, resource: Resource, owner: Owner, caller: usize) {
    irql::require(ddi, caller);
    check_apcs(&rules::RESOURCE_RELEASED_WITH_APCS, ddi, caller);
    lock_order::released(resource.addr());
    if with(resource, |state| state.give(owner)) {
        parking::wake(resource.addr());
        return;
    }
    violation(
        &rules::RESOURCE_NOT_OWNED,
        format!("{ddi}: resource {resource:p} is not owned by that thread"),
        &[("released at", caller)],
    );
}

/// `ExReleaseResourceLite`.
pub unsafe extern "win64" fn release(resource: Resource, caller: usize) {
    release_of("ExReleaseResourceLite", resource, me(), caller);
}

/// `ExReleaseResourceForThreadLite`.
pub unsafe extern "win64" fn release_for_thread(resource: Resource, owner: Owner, caller: usize) {
    release_of("ExReleaseResourceForThreadLite", resource, owner, caller);
}

/// `ExReleaseResourceAndLeaveCriticalRegion`.
pub unsafe extern "win64" fn release_and_leave(resource: Resource, caller: usize) {
    release_of(
        "ExReleaseResourceAndLeaveCriticalRegion",
        resource,
        me(),
        caller,
    );
    thread::leave_critical_region_for(caller);
}

/// `ExConvertExclusiveToSharedLite`.
pub unsafe extern "win64" fn convert_exclusive_to_shared(resource: Resource, caller: usize) {
    irql::require("ExConvertExclusiveToSharedLite", caller);
    let me = me();
    let converted = with(resource, |state| match state.exclusive {
        Some((owner, count)) if owner == me => {
            state.exclusive = None;
            state.shared.insert(me, count);
            true
        }
        _ => false,
    });
    if converted {
        parking::wake(resource.addr());
        return;
    }
    violation(
        &rules::RESOURCE_NOT_OWNED,
        format!("ExConvertExclusiveToSharedLite: resource {resource:p} is not owned exclusively"),
        &[("called at", caller)],
    );
}

/// `ExIsResourceAcquiredExclusiveLite`.
pub unsafe extern "win64" fn is_acquired_exclusive(resource: Resource) -> u8 {
    irql::require("ExIsResourceAcquiredExclusiveLite", 0);
    let me = me();
    with(resource, |state| {
        u8::from(state.exclusive.is_some_and(|(owner, _)| owner == me))
    })
}

/// `ExIsResourceAcquiredSharedLite`: acquires of this thread, of either kind.
pub unsafe extern "win64" fn is_acquired_shared(resource: Resource) -> u32 {
    irql::require("ExIsResourceAcquiredSharedLite", 0);
    let me = me();
    with(resource, |state| match state.exclusive {
        Some((owner, count)) if owner == me => count,
        _ => state.shared.get(&me).copied().unwrap_or_default(),
    })
}

/// `ExGetExclusiveWaiterCount`.
pub unsafe extern "win64" fn exclusive_waiters(resource: Resource) -> u32 {
    irql::require("ExGetExclusiveWaiterCount", 0);
    with(resource, |state| state.exclusive_waiters)
}

/// `ExGetSharedWaiterCount`.
pub unsafe extern "win64" fn shared_waiters(resource: Resource) -> u32 {
    irql::require("ExGetSharedWaiterCount", 0);
    with(resource, |state| state.shared_waiters)
}

#[cfg(test)]
#[path = "resource_tests.rs"]
mod tests;
