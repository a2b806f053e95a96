//! The sessions of ETW that listen to the driver's provider: what they want is told to the filter.

#![expect(unsafe_code, reason = "the callback is called by ETW")]

use crate::driver::filter::Filter;
use crate::driver::state::Driver;
use crate::etw::{self, Provider, Wanted};
use crate::irql::Passive;
use crate::slot::DRIVER;
use crate::status::Status;
use core::ffi::c_void;
use wdk_sys::GUID;

/// [`crate::driver::Start::register_etw`] (L2).
pub(crate) fn register<F: Filter>(
    driver: &Driver<F>,
    provider: &'static Provider,
    level: &mut Passive,
) -> Result<(), Status> {
    // A session may have been told of meanwhile.
    let in_vain = || F::etw_changed(driver, Wanted::NOTHING, level);
    // SAFETY: the callback finds the driver's state in its image, which the state leaves after the registration.
    unsafe { etw::register(provider, changed::<F>, in_vain) }
}

/// # Safety
/// An ETWENABLECALLBACK, called at PASSIVE_LEVEL.
unsafe extern "C" fn changed<F: Filter>(
    _source: *const GUID,
    control: u32,
    level: u8,
    any: u64,
    _all: u64,
    _filter: *mut wdk_sys::EVENT_FILTER_DESCRIPTOR,
    _context: *mut c_void,
) {
    /// EVENT_CONTROL_CODE_DISABLE_PROVIDER, EVENT_CONTROL_CODE_ENABLE_PROVIDER.
    const DISABLE: u32 = 0;
    const ENABLE: u32 = 1;
    if control > ENABLE {
        return;
    }
    let wanted = Wanted {
        enabled: control != DISABLE,
        level,
        keywords: any,
    };
    // SAFETY: contract of the function.
    let mut passive = unsafe { Passive::assume() };
    // SAFETY: the filter of the driver that has registered, in its callback.
    if let Some(driver) = unsafe { DRIVER.get::<F>() } {
        F::etw_changed(driver, wanted, &mut passive);
    }
}
