//! `IO_WORKITEM`: work items that keep their device, and with it its driver.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "work items live in driver memory or in blocks that drivers hold by pointer"
)]

use super::outstanding::Outstanding;
use crate::nt::PASSIVE_LEVEL;
use crate::nt::routines::WorkItemRoutine;
use crate::nt::{DEVICE_OBJECT, DRIVER_OBJECT};
use crate::pool;
use crate::processor::driver_code::entering;
use crate::processor::lifetime;
use crate::processor::object::{self, Kind};
use crate::processor::{irql, work};
use crate::verifier::rules;
use std::ffi::c_void;

/// `IO_WORKITEM`, opaque to drivers.
#[repr(C)]
pub struct WorkItem {
    object: *mut c_void,
    queued: usize,
    reserved: [usize; 6],
}

/// `IO_WORKITEM_ROUTINE_EX`.
pub type RoutineEx = unsafe extern "win64" fn(*mut c_void, *mut c_void, *mut WorkItem);

const TAG: u32 = u32::from_le_bytes(*b"IoWI");
static OUTSTANDING: Outstanding = Outstanding::new();

/// Work items of the driver that are queued or running.
pub(super) fn outstanding(driver: *mut DRIVER_OBJECT) -> usize {
    OUTSTANDING.of(driver)
}

/// `IoAllocateWorkItem`; null when the pool fails.
///
/// # Safety
/// `object` is a live device or driver object.
pub unsafe fn allocate(object: *mut c_void, site: usize) -> *mut WorkItem {
    let item: *mut WorkItem =
        pool::allocate(pool::Kind::NonPaged, size_of::<WorkItem>(), TAG, site).cast();
    if !item.is_null() {
        // SAFETY: the block is large enough and new.
        unsafe { initialize(object, item) };
    }
    item
}

/// `IoInitializeWorkItem`.
///
/// # Safety
/// `item` has [`size_of`] `WorkItem` writable bytes; `object` is a live device or driver object.
pub unsafe fn initialize(object: *mut c_void, item: *mut WorkItem) {
    // SAFETY: contract.
    unsafe {
        item.write(WorkItem {
            object,
            queued: 0,
            reserved: [0; 6],
        })
    };
}

/// `IoFreeWorkItem`.
///
/// # Safety
/// `item` came from [`allocate`] and is not queued.
pub unsafe fn free(item: *mut WorkItem, site: usize) {
    // SAFETY: contract.
    unsafe {
        if (*item).queued != 0 {
            super::checks::report(
                &rules::BAD_FREE,
                "a work item was freed while it is queued".into(),
                std::ptr::null_mut(),
                vec![("freed by", site)],
            );
            return;
        }
        pool::free(item.cast(), Some(TAG), site);
    }
}

/// The routine of a queued item.
#[derive(Clone, Copy)]
pub enum Routine {
    /// `IoQueueWorkItem`: called with the device.
    Device(WorkItemRoutine),
    /// `IoQueueWorkItemEx`: called with the object and the item.
    Extended(RoutineEx),
}

/// `IoQueueWorkItem(Ex)`: the object is referenced until the routine has returned.
/// The item may be queued again, or freed, by its routine.
///
/// # Safety
/// `item` is initialized and not queued; the routine fits its object.
pub unsafe fn queue(item: *mut WorkItem, routine: Routine, context: *mut c_void, site: usize) {
    // SAFETY: contract.
    let (object, driver) = unsafe {
        if (*item).queued != 0 {
            super::checks::report(
                &rules::WORKER_QUEUED_TWICE,
                "a work item was queued while it is queued".into(),
                std::ptr::null_mut(),
                vec![("queued by", site)],
            );
            return;
        }
        (*item).queued = 1;
        let object = (*item).object;
        lifetime::reference(object);
        let driver = match object::kind_of(object) {
            Some(Kind::Device) => (*object.cast::<DEVICE_OBJECT>()).DriverObject,
            _ => object.cast::<DRIVER_OBJECT>(),
        };
        (object as usize, driver as usize)
    };
    OUTSTANDING.count(driver as *mut DRIVER_OBJECT, 1);
    let (item, context) = (item as usize, context as usize);
    work::queue_for(
        site,
        Box::new(move || {
            let (item, context) = (item as *mut WorkItem, context as *mut c_void);
            let object = object as *mut c_void;
            // SAFETY: queued once; the reference taken above keeps object and driver.
            let address = unsafe {
                (*item).queued = 0;
                match routine {
                    Routine::Device(routine) => {
                        entering(routine)(object.cast(), context);
                        routine as usize
                    }
                    Routine::Extended(routine) => {
                        entering(routine)(object, context, item);
                        routine as usize
                    }
                }
            };
            let level = irql::current();
            if level != PASSIVE_LEVEL {
                super::checks::report(
                    &rules::IRQL_CHANGED_BY_COMPLETION,
                    format!("a work item's routine returned at IRQL {level}"),
                    std::ptr::null_mut(),
                    vec![("routine", address)],
                );
                irql::restore(PASSIVE_LEVEL);
            }
            OUTSTANDING.count(driver as *mut DRIVER_OBJECT, -1);
            // SAFETY: the reference taken when it was queued.
            unsafe { lifetime::dereference(object) };
        }),
    );
}
