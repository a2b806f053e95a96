//! Loading: what DriverEntry sets up, and takes down again if a later step fails (A11).
//!
//! Source: "Writing a DriverEntry Routine".

#![expect(unsafe_code, reason = "the driver object is the I/O manager's")]

use super::filter::Filter;
use super::state::Driver;
use crate::device::ControlDevice;
use crate::etw::Provider;
use crate::event_log;
use crate::irql::Passive;
use crate::registry::Key;
use crate::slot::DRIVER;
use crate::status::Status;
use crate::unicode::UnicodeStr;
use crate::{dispatch, fast_io, file_systems, fs_filter, sessions, unload};
use wdk_sys::{DRIVER_OBJECT, IRP_MJ_FILE_SYSTEM_CONTROL, NTSTATUS, UNICODE_STRING};

/// The driver object that DriverEntry is given.
pub type DriverObject = DRIVER_OBJECT;
/// The registry path that DriverEntry is given.
pub type RegistryPath = UNICODE_STRING;
/// What DriverEntry returns.
pub type RawStatus = NTSTATUS;

/// What DriverEntry is given. It owns what is set up until the driver runs, and takes it down again if it
/// does not (A11).
pub struct Start<F: Filter> {
    object: *mut DRIVER_OBJECT,
    registry_path: *mut UNICODE_STRING,
    control: Option<ControlDevice<F>>,
    /// There is a control device, or was one.
    created: bool,
    runs: bool,
}

impl<F: Filter> Start<F> {
    /// Where the driver's entries of the event log come from. IRQL: any.
    #[must_use]
    pub const fn event_log(&self) -> event_log::Source<'_> {
        // SAFETY: this is the driver's object, in its DriverEntry.
        unsafe { event_log::Source::new(self.object) }
    }

    /// The key of the service in which its parameters are.
    ///
    /// Errors: those of IoOpenDriverRegistryKey, such as STATUS_OBJECT_NAME_NOT_FOUND.
    ///
    /// Rests on IoOpenDriverRegistryKey: "The IoOpenDriverRegistryKey routine returns a handle to a
    /// driver-specific registry key for a particular driver."
    pub fn parameters<'l>(&self, level: &'l mut Passive) -> Result<Key<'l>, Status> {
        // SAFETY: this is the driver's object, in its DriverEntry, which a system thread calls.
        unsafe { Key::parameters(self.object, level) }
    }

    /// Creates the control device with the driver's state in it (A1), and sets the dispatch
    /// routine of every major function (D1) and the fast I/O table. If `can_unload`, the driver has DriverUnload
    /// when it runs.
    ///
    /// It is called after the service: `\Device\` and `\DosDevices\` and what the registry path ends with.
    /// Two services can run one driver image, each with a control device of its own.
    ///
    /// Errors: those of the control device; STATUS_OBJECT_NAME_COLLISION if there is one already, or there was.
    ///
    /// Rests on IoCreateDevice: "The IoCreateDevice routine creates a device object for use by a driver."
    /// Rests on IoCreateSymbolicLink: "The IoCreateSymbolicLink routine sets up a symbolic link between a
    /// device object name and a user-visible name for the device."
    pub fn create_control_device(
        &mut self,
        filter: F,
        can_unload: bool,
        level: &mut Passive,
    ) -> Result<(), Status> {
        // Once: requests for one that is gone may still be inside, where they are counted.
        if self.created {
            return Err(Status::OBJECT_NAME_COLLISION);
        }
        // SAFETY: the I/O manager's string is valid for the time of DriverEntry.
        let service = unsafe { UnicodeStr::from_raw(self.registry_path) }.last_component();
        // SAFETY: this is the driver's object, in its DriverEntry; there is no other control device, and was none.
        let control =
            unsafe { ControlDevice::create(self.object, service, filter, can_unload, level) }?;
        self.created = true;
        self.control = Some(control);
        // SAFETY: as above; no request can arrive before a device is attached or published.
        let object = unsafe { &mut *self.object };
        object.MajorFunction = [Some(dispatch::dispatch::<F>); _];
        object.MajorFunction[IRP_MJ_FILE_SYSTEM_CONTROL as usize] =
            Some(dispatch::dispatch_file_system_control::<F>);
        object.FastIoDispatch = fast_io::table::<F>();
        Ok(())
    }

    /// Registers the FsFilter callbacks (F3). The system drops them with the driver object.
    ///
    /// Errors: the status of FsRtlRegisterFileSystemFilterCallbacks.
    ///
    /// Rests on FsRtlRegisterFileSystemFilterCallbacks: "File system filter drivers and file systems call the
    /// FsRtlRegisterFileSystemFilterCallbacks routine to register notification callback routines to be invoked
    /// when the underlying file system performs certain operations."
    pub fn register_file_system_filter_callbacks(
        &self,
        _level: &mut Passive,
    ) -> Result<(), Status> {
        // SAFETY: this is the driver's object.
        unsafe { fs_filter::register::<F>(self.object) }
    }

    /// Opens the control device and asks to be told of every file system, those already
    /// registered included (A4). The last step that can fail: its callbacks attach, and from here on the
    /// driver runs whatever DriverEntry says.
    ///
    /// Errors: the status of IoRegisterFsRegistrationChange; the control device is gone then.
    /// STATUS_INVALID_DEVICE_STATE if there is none.
    ///
    /// Rests on IoRegisterFsRegistrationChange: "The IoRegisterFsRegistrationChange routine registers a file
    /// system filter driver's notification routine to be called whenever a file system registers or unregisters
    /// itself as an active file system."
    pub fn run(&mut self, _level: &mut Passive) -> Result<&Driver<F>, Status> {
        let control = self.control.take().ok_or(Status::INVALID_DEVICE_STATE)?;
        // SAFETY: this is the driver's object; the callback looks into the slot, which
        // `create_control_device` has filled.
        unsafe { file_systems::register::<F>(self.object) }?;
        self.runs = true;
        control.publish();
        // SAFETY: the filter of `start`, in DriverEntry.
        let driver = unsafe { DRIVER.get::<F>() }.ok_or(Status::INVALID_DEVICE_STATE)?;
        let unload = driver.can_unload().then_some(unload::unload::<F> as _);
        // SAFETY: this is the driver's object, in its DriverEntry; nobody else looks at this member before that
        // has returned.
        unsafe { (*self.object).DriverUnload = unload };
        Ok(driver)
    }

    /// Registers a driver that runs as a provider of ETW events: [`Filter::etw_changed`] is told what
    /// sessions want, from within this already. The registration ends before the driver's state does.
    ///
    /// Errors: those of EtwRegister and EtwSetInformation, such as STATUS_NO_MEMORY; the filter is told that
    /// nobody wants anything. STATUS_INVALID_DEVICE_STATE if the driver does not run, or has a provider.
    ///
    /// Rests on EtwRegister: "The EtwRegister function registers the event provider and must be called before a
    /// provider can start tracing."
    pub fn register_etw(
        &mut self,
        provider: &'static Provider,
        level: &mut Passive,
    ) -> Result<(), Status> {
        // SAFETY: the filter of `start`, in DriverEntry.
        let driver = unsafe { DRIVER.get::<F>() }.filter(|_| self.runs);
        sessions::register(driver.ok_or(Status::INVALID_DEVICE_STATE)?, provider, level)
    }
}

/// Calls `body` as DriverEntry and returns its status: success if the driver runs.
///
/// # Safety
/// Called from DriverEntry with its own arguments, once, and so for one filter in an image.
pub unsafe fn start<F: Filter>(
    object: *mut DRIVER_OBJECT,
    registry_path: *mut UNICODE_STRING,
    body: impl FnOnce(&mut Start<F>, &mut Passive) -> Result<(), Status>,
) -> NTSTATUS {
    // SAFETY: DriverEntry runs at PASSIVE_LEVEL in a system thread.
    let mut level = unsafe { Passive::assume() };
    let mut start = Start {
        object,
        registry_path,
        control: None,
        created: false,
        runs: false,
    };
    let result = body(&mut start, &mut level);
    if start.runs {
        return Status::SUCCESS.0;
    }
    drop(start);
    // SAFETY: the driver's own object; nothing refers to the table any more.
    unsafe { (*object).FastIoDispatch = core::ptr::null_mut() };
    result.err().unwrap_or(Status::INVALID_DEVICE_STATE).0
}
