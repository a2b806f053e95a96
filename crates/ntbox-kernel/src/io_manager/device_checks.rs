//! What the checks look at in device objects, and what they remember of them:
//! who created and attached a device.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "device objects are shared with drivers by pointer"
)]

use super::attachment::lower;
use super::checks;
use super::database::{database, describe};
use super::device::fast_io_of;
use crate::nt::routines::DriverRoutines;
use crate::nt::{
    DEVICE_OBJECT, DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO, DRIVER_OBJECT,
    FAST_IO_DISPATCH, IRP_MJ_PNP, MAJOR_FUNCTION_COUNT, fast_io,
};
use crate::verifier::{self, Rule, rules};
use std::collections::HashMap;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// In `ExtensionFlags`: what the device copies from the one below was looked at.
const CHECKED: u32 = 0x4000_0000;

/// What is known of devices by their address.
#[derive(Default)]
struct Known {
    /// Who called IoCreateDevice.
    created: HashMap<usize, usize>,
    /// Who attached the device, which is where it should get what it has from the one below.
    attached: HashMap<usize, usize>,
}

fn known() -> MutexGuard<'static, Known> {
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `site` has created the device.
pub fn created(device: *mut DEVICE_OBJECT, site: usize) {
    known().created.insert(device as usize, site);
}

/// `site` has attached the device to another.
pub fn attached(device: *mut DEVICE_OBJECT, site: usize) {
    known().attached.insert(device as usize, site);
}

/// The device is gone.
pub(super) fn forget(device: *mut DEVICE_OBJECT) {
    let mut known = known();
    known.created.remove(&(device as usize));
    known.attached.remove(&(device as usize));
}

/// Where a driver should have done what it has not.
#[derive(Clone, Copy)]
pub(super) enum Forgot {
    /// Where it created the device.
    Creating,
    /// Where it attached the device.
    Attaching,
    /// In DriverEntry.
    Starting,
    /// In DriverUnload.
    Unloading,
}

/// Reports about a device, with who has forgotten something, and who created it.
///
/// # Safety
/// `device` is alive.
pub(super) unsafe fn report(
    rule: &'static Rule,
    device: *mut DEVICE_OBJECT,
    what: &str,
    forgot: Forgot,
) {
    // SAFETY: contract; a device keeps its driver.
    let driver = unsafe { &*(*device).DriverObject };
    let (created, attached) = {
        let known = known();
        let of = |who: &HashMap<usize, usize>| who.get(&(device as usize)).copied().unwrap_or(0);
        (of(&known.created), of(&known.attached))
    };
    let who = match forgot {
        Forgot::Creating => None,
        Forgot::Attaching => Some(("attached by", attached)),
        Forgot::Starting => Some((
            "DriverEntry",
            driver.DriverInit.map_or(0, |routine| routine as usize),
        )),
        Forgot::Unloading => Some((
            "DriverUnload",
            driver.unload().map_or(0, |routine| routine as usize),
        )),
    };
    // SAFETY: contract.
    let message = format!("{} {what}", unsafe { describe(device) });
    let sites = who.into_iter().chain([("created by", created)]).collect();
    checks::report(rule, message, null_mut(), sites);
}

/// Reports what an attached device should have from the one below and does not have. Looked at
/// once, before the first request after its driver has finished it.
///
/// # Safety
/// `device` is alive.
pub(super) unsafe fn check_attached(device: *mut DEVICE_OBJECT) {
    // SAFETY: contract.
    unsafe {
        let flags = AtomicU32::from_ptr(&raw mut (*(*device).DeviceObjectExtension).ExtensionFlags);
        if flags.load(Ordering::Relaxed) & CHECKED != 0
            || (*device).Flags & DO_DEVICE_INITIALIZING != 0
        {
            return;
        }
        let below = lower(device);
        if flags.fetch_or(CHECKED, Ordering::Relaxed) & CHECKED != 0 {
            return;
        }
        let how = DO_BUFFERED_IO | DO_DIRECT_IO;
        if (*device).Flags & how == how {
            let what = "has both DO_BUFFERED_IO and DO_DIRECT_IO";
            report(
                &rules::BOTH_BUFFERING_FLAGS,
                device,
                what,
                Forgot::Attaching,
            );
        }
        if below.is_null() {
            return;
        }
        let missing = missing_routines((*device).DriverObject, (*below).DriverObject);
        if !missing.is_empty() {
            let what = format!("has no dispatch routine for {}", missing.join(", "));
            report(
                &rules::DISPATCH_ROUTINE_MISSING,
                device,
                &what,
                Forgot::Starting,
            );
        }
        let missing = missing_fast_io(device, below);
        if !missing.is_empty() {
            let what = format!(
                "has no {} in its driver's fast I/O table, which {} has",
                missing.join(" and no "),
                describe(below)
            );
            report(&rules::FAST_IO_MISSING, device, &what, Forgot::Starting);
        }
        if (*below).Flags & how & !(*device).Flags != 0 {
            let names = [
                (DO_BUFFERED_IO, "DO_BUFFERED_IO"),
                (DO_DIRECT_IO, "DO_DIRECT_IO"),
            ];
            let lacks = |bit: u32| (*below).Flags & bit != 0 && (*device).Flags & bit == 0;
            let missing: Vec<_> = names
                .iter()
                .filter(|(bit, _)| lacks(*bit))
                .map(|(_, name)| *name)
                .collect();
            let what = format!(
                "lacks {}, which {} has",
                missing.join(" and "),
                describe(below)
            );
            report(&rules::FLAGS_NOT_COPIED, device, &what, Forgot::Attaching);
        }
        if (*device).DeviceType != (*below).DeviceType {
            let what = format!(
                "has device type 0x{:X}, {} has 0x{:X}",
                (*device).DeviceType,
                describe(below),
                (*below).DeviceType
            );
            report(
                &rules::DEVICE_TYPE_NOT_COPIED,
                device,
                &what,
                Forgot::Creating,
            );
        }
    }
}

/// The major functions that a driver has no routine for, and should have: those of the driver
/// below, and IRP_MJ_PNP, which is sent to every stack.
///
/// # Safety
/// Both drivers are alive.
unsafe fn missing_routines(
    own: *mut DRIVER_OBJECT,
    below: *mut DRIVER_OBJECT,
) -> Vec<&'static str> {
    let nothing = super::call::invalid_device_request as *const () as usize;
    // SAFETY: contract.
    let routine = |driver: *mut DRIVER_OBJECT, major: u8| unsafe {
        (*driver)
            .dispatch(major)
            .map_or(nothing, |routine| routine as usize)
    };
    let is_missing = |major: &u8| {
        let is_required = u32::from(*major) == IRP_MJ_PNP || routine(below, *major) != nothing;
        is_required && routine(own, *major) == nothing
    };
    let majors = 0..MAJOR_FUNCTION_COUNT as u8;
    majors
        .filter(is_missing)
        .map(verifier::major_name)
        .collect()
}

/// The fast I/O routines that NT calls for a cached file without a look whether there are any, of
/// those that the driver below has.
///
/// # Safety
/// Both devices are alive.
unsafe fn missing_fast_io(own: *mut DEVICE_OBJECT, below: *mut DEVICE_OBJECT) -> Vec<&'static str> {
    type Select = fn(&FAST_IO_DISPATCH) -> Option<fast_io::ReadWrite>;
    let entries: [(&str, Select); 2] = [
        ("FastIoRead", |table| table.FastIoRead),
        ("FastIoWrite", |table| table.FastIoWrite),
    ];
    let is_missing = |select| {
        // SAFETY: contract.
        unsafe { fast_io_of(own, select).is_none() && fast_io_of(below, select).is_some() }
    };
    let missing = entries.iter().filter(|(_, select)| is_missing(*select));
    missing.map(|(name, _)| *name).collect()
}

/// The devices of the driver that are attached and still initializing.
///
/// # Safety
/// `driver` is alive.
pub unsafe fn initializing(driver: *mut DRIVER_OBJECT) -> Vec<*mut DEVICE_OBJECT> {
    let _database = database();
    let mut found = Vec::new();
    // SAFETY: contract; lists and links are locked, so that both are of one moment.
    unsafe {
        let mut next = (*driver).DeviceObject;
        while !next.is_null() {
            let attached = !(*(*next).DeviceObjectExtension).AttachedTo.is_null();
            if attached && (*next).Flags & DO_DEVICE_INITIALIZING != 0 {
                found.push(next);
            }
            next = (*next).NextDevice;
        }
    }
    found
}

/// Reports every device of the driver that is attached and still initializing.
/// For moments when the driver is not just attaching one: the end of a run.
///
/// # Safety
/// `driver` is alive.
pub unsafe fn check_initializing(driver: *mut DRIVER_OBJECT) {
    if !verifier::checks() {
        return;
    }
    // SAFETY: contract.
    unsafe {
        for device in initializing(driver) {
            let what = format!(
                "is attached to {} and still initializing",
                describe(lower(device))
            );
            report(
                &rules::INITIALIZING_FLAG_LEFT,
                device,
                &what,
                Forgot::Attaching,
            );
        }
    }
}
