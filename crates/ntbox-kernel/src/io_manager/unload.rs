//! Unloading a driver, and the checks of what it leaves behind.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the driver's code is called, then taken away"
)]

use super::database::UNLOAD_PENDING;
use super::device_checks::Forgot;
use super::driver::{self, Loaded, UnloadRefused};
use super::own_request_checks::Made;
use super::{
    checks, device, device_checks, irp, mdl, namespace, references, registration, running, timer,
    unload_safe, work_item,
};
use crate::etw;
use crate::nt::irp::control;
use crate::nt::routines::DriverRoutines;
use crate::nt::{DRIVER_OBJECT, DRVO_UNLOAD_INVOKED, IRP, IrpExt, PASSIVE_LEVEL};
use crate::pe_image::Image;
use crate::pool;
use crate::processor::driver_code::entering;
use crate::processor::object;
use crate::processor::thread::Regions;
use crate::processor::{self, handle, irql, points};
use crate::verifier::{self, rules};
use std::time::{Duration, Instant};

/// How long the references of work items and guarded completion routines are
/// waited for: they go as soon as the routines have returned.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a device may be attached and still initializing.
const ATTACHING: Duration = Duration::from_secs(1);

/// See [`Loaded::unload`].
pub(super) fn unload(loaded: Loaded) -> Result<(), (Loaded, UnloadRefused)> {
    let driver = loaded.driver;
    // SAFETY: the driver is loaded; its routines are callable.
    unsafe {
        let Some(routine) = (*driver).unload() else {
            return Err((loaded, UnloadRefused::NoUnloadRoutine));
        };
        let devices = device::devices_of(driver);
        let in_use = devices.iter().find(|device| {
            (***device).ReferenceCount != 0 || !device::attached(**device).is_null()
        });
        if let Some(device) = in_use {
            let device = device::describe(*device);
            return Err((loaded, UnloadRefused::InUse(device)));
        }
        // Another thread may be attaching one at this moment.
        wait_while(
            || !device_checks::initializing(driver).is_empty(),
            ATTACHING,
        );
        device::check_initializing(driver);
        for device in device::devices_of(driver) {
            (*(*device).DeviceObjectExtension).ExtensionFlags |= UNLOAD_PENDING;
        }
        (*driver).Flags |= DRVO_UNLOAD_INVOKED;
        entering(routine)(driver);
        let level = irql::current();
        if level != PASSIVE_LEVEL {
            checks::report(
                &rules::IRQL_CHANGED_BY_DISPATCH,
                format!(
                    "DriverUnload of {} returned at IRQL {level}",
                    loaded.service
                ),
                std::ptr::null_mut(),
                vec![("DriverUnload", routine as usize)],
            );
            irql::restore(PASSIVE_LEVEL);
        }
        let regions = Regions::default();
        checks::same_regions(
            regions,
            "DriverUnload",
            routine as usize,
            std::ptr::null_mut(),
        );
    }
    take_away(&loaded);
    Ok(())
}

/// DriverEntry failed: the driver has undone what it did, and its image goes.
pub(super) fn undo_failed_entry(loaded: Loaded) {
    take_away(&loaded);
}

fn take_away(loaded: &Loaded) {
    let driver = loaded.driver;
    check_references(loaded);
    wait_for_references(driver);
    check_threads(loaded);
    check_processor(loaded);
    check_leftovers(loaded);
    driver::forget(driver);
    pool::active::image_is_unloaded(loaded.image);
    loaded.image.unload();
    // SAFETY: nothing of the driver runs any more; its devices, if any are left, keep the object.
    unsafe { driver::drop_object(driver) };
}

/// Reports what can still call into the image.
fn check_references(loaded: &Loaded) {
    let image = loaded.image;
    if registration::is_listening(loaded.driver) {
        outstanding(
            loaded,
            "its file-system registration callback is still registered".into(),
            Vec::new(),
        );
    }
    // SAFETY: the driver object is alive.
    for device in unsafe { device::devices_of(loaded.driver) } {
        if timer::running(device) {
            outstanding(
                loaded,
                "the timer of one of its devices is still running".into(),
                Vec::new(),
            );
        }
    }
    // The report must not run while the table of live requests is locked.
    let mut found = Vec::new();
    irp::for_each_live(|irp, _| {
        // SAFETY: the request is alive during the visit.
        if let Some(what) = unsafe { way_into(irp, image) } {
            found.push(what);
        }
    });
    for (what, site) in found {
        outstanding(loaded, what.to_owned(), vec![("routine", site)]);
    }
}

/// Reports threads that are in a routine of the driver, into which they return.
fn check_threads(loaded: &Loaded) {
    for (what, routine) in running::inside(loaded.image) {
        outstanding(
            loaded,
            format!("a thread is in {what}"),
            vec![("routine", routine)],
        );
    }
}

/// Reports work items, DPCs, timers and threads that nothing keeps the image for.
fn check_processor(loaded: &Loaded) {
    let start = loaded.image.base();
    for (what, site) in processor::outstanding(&(start..start + loaded.image.size())) {
        outstanding(loaded, what.to_owned(), vec![("routine", site)]);
    }
}

fn outstanding(loaded: &Loaded, what: String, mut sites: Vec<(&'static str, usize)>) {
    // SAFETY: the driver object is alive until `drop_object`.
    let flags = unsafe { (*loaded.driver).Flags };
    let service = &loaded.service;
    let message = if flags & DRVO_UNLOAD_INVOKED != 0 {
        format!("{service} was unloaded while {what}")
    } else {
        sites.push(("DriverEntry", loaded.image.entry()));
        format!("DriverEntry of {service} has failed, so that it goes, while {what}")
    };
    checks::report(
        &rules::UNLOADED_WITH_REQUESTS,
        message,
        std::ptr::null_mut(),
        sites,
    );
}

/// A routine in `image` that completion or cancellation of the request would call.
///
/// # Safety
/// `irp` is alive. Its locations may change meanwhile: they are only compared.
unsafe fn way_into(irp: *mut IRP, image: &Image) -> Option<(&'static str, usize)> {
    // SAFETY: contract.
    unsafe {
        let cancel = (*irp).CancelRoutine.map_or(0, |routine| routine as usize);
        if image.contains(cancel) {
            return Some(("a request has its cancel routine", cancel));
        }
        let lowest = (*irp).CurrentLocation.max(1);
        for number in lowest..=(*irp).StackCount {
            let location = irp.location(number);
            let routine = (*location)
                .CompletionRoutine
                .map_or(0, |routine| routine as usize);
            let invoked = (*location).Control
                & (control::INVOKE_ON_SUCCESS
                    | control::INVOKE_ON_ERROR
                    | control::INVOKE_ON_CANCEL);
            if invoked != 0 && image.contains(routine) {
                return Some(("a request in flight has its completion routine", routine));
            }
        }
    }
    None
}

/// A driver object stays while work items or completion routines set by
/// IoSetCompletionRoutineEx hold a device or the driver, and while the system
/// holds a deleted device that it is about to call.
fn wait_for_references(driver: *mut DRIVER_OBJECT) {
    let referenced = || {
        // SAFETY: the driver object is alive until `drop_object`.
        let references = unsafe { object::pointer_count(driver.cast()) };
        work_item::outstanding(driver) != 0
            || unload_safe::outstanding(driver) != 0
            || references > expected_references(driver)
    };
    wait_while(referenced, PATIENCE);
}

/// Waits for what other threads are doing.
fn wait_while(busy: impl Fn() -> bool, patience: Duration) {
    let end = Instant::now() + patience;
    while busy() && Instant::now() < end {
        points::waits();
        std::thread::sleep(Duration::from_millis(1));
    }
    points::goes_on();
}

fn check_leftovers(loaded: &Loaded) {
    let driver = loaded.driver;
    let queued = work_item::outstanding(driver);
    let held = unload_safe::outstanding(driver);
    if queued != 0 || held != 0 {
        outstanding(
            loaded,
            format!("{queued} of its work items and {held} of its completion routines had not run"),
            Vec::new(),
        );
    }
    // SAFETY: the driver object is alive; so are the devices in its list.
    for device in unsafe { device::devices_of(driver) } {
        let what = format!("was left behind by {}", loaded.service);
        // SAFETY: as above.
        unsafe {
            device_checks::report(
                &rules::DEVICE_LEFT_AT_UNLOAD,
                device,
                &what,
                Forgot::Unloading,
            );
        }
    }
    if !verifier::checks() {
        return;
    }
    let mut own = Vec::new();
    irp::for_each_live(|irp, site| {
        // SAFETY: the request is alive during the visit.
        let threaded = unsafe { irp::made(irp) } == Some(Made::Threaded);
        // SAFETY: as above.
        let (at, count) = unsafe { ((*irp).CurrentLocation, (*irp).StackCount) };
        // One that was sent, and is its thread's, is freed by completion.
        let is_its_own = !threaded || at > count;
        if is_its_own && loaded.image.contains(site) {
            own.push((irp as usize, site));
        }
    });
    for (irp, site) in own {
        let message = format!("{} left the request {irp:#x} allocated", loaded.service);
        checks::report(
            &rules::LEAK_AT_UNLOAD,
            message,
            std::ptr::null_mut(),
            vec![("allocated by", site)],
        );
    }
    for (list, site) in mdl::locked_by(loaded.image) {
        checks::report(
            &rules::LOCKED_PAGES_LEFT,
            format!(
                "{} left the pages of the MDL {list:#x} locked",
                loaded.service
            ),
            std::ptr::null_mut(),
            vec![("locked by", site)],
        );
    }
    // Without tracking nothing is known, so that nothing is found.
    for leak in pool::leaks_of(loaded.image) {
        let tag = String::from_utf8_lossy(&leak.tag.to_le_bytes()).into_owned();
        checks::report(
            &rules::LEAK_AT_UNLOAD,
            format!(
                "{} left {} bytes with tag '{tag}' at {:#x} allocated by {}",
                loaded.service,
                leak.bytes,
                leak.address,
                leak.by(),
            ),
            std::ptr::null_mut(),
            leak.sites,
        );
    }
    for site in etw::take_left_by(loaded.image) {
        checks::report(
            &rules::ETW_PROVIDER_LEFT,
            format!("{} left a provider registered with ETW", loaded.service),
            std::ptr::null_mut(),
            vec![("registered by", site)],
        );
    }
    references::check(loaded.image, &loaded.service);
    for (link, site) in namespace::links_left_by(loaded.image) {
        checks::report(
            &rules::SYMBOLIC_LINK_LEFT,
            format!("{} left the symbolic link {link}", loaded.service),
            std::ptr::null_mut(),
            vec![("made by", site)],
        );
    }
    for (handle, site) in handle::left_by(loaded.image) {
        checks::report(
            &rules::HANDLE_LEFT,
            format!("{} left the handle {handle:#x} open", loaded.service),
            std::ptr::null_mut(),
            vec![("opened by", site)],
        );
    }
    // Dangling references to deleted devices keep the driver object.
    // SAFETY: the driver object is alive until `drop_object`.
    let references = unsafe { object::pointer_count(driver.cast()) };
    if references > expected_references(driver) {
        checks::report(
            &rules::DEVICE_LEFT_AT_UNLOAD,
            format!(
                "{} is still referenced by {} deleted device(s) or itself",
                loaded.service,
                references - expected_references(driver)
            ),
            std::ptr::null_mut(),
            vec![],
        );
    }
}

/// One of the creation, one of the name, one for each device in its list.
fn expected_references(driver: *mut DRIVER_OBJECT) -> i64 {
    // SAFETY: the driver object is alive until `drop_object`.
    let devices = unsafe { device::devices_of(driver) };
    2 + devices.len() as i64 + i64::from(registration::is_listening(driver))
}
