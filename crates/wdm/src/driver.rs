//! The driver object, the driver's own state, and loading.
//!
//! [`Filter`] is what a filter driver implements. [`start`] is called by its
//! DriverEntry; what it sets up is undone in reverse when a later step fails
//! (A11), because each step is a value that undoes itself when dropped.
//!
//! Source: "Writing a DriverEntry Routine".

#![expect(unsafe_code, reason = "the driver object is the I/O manager's")]

use crate::device::{self, ControlDevice, DeviceObject, DeviceReference, FilterDevice, Kind};
use crate::etw::{self, Provider, Wanted};
use crate::event_log;
use crate::fast_io::FastIoCall;
use crate::irp::{Came, ControlIrp, Disposition, Irp, Lasting};
use crate::irql::{AtMostApc, Passive};
use crate::registry::Key;
use crate::slot::DRIVER;
use crate::status::Status;
use crate::sync::Mutex;
use crate::unicode::UnicodeStr;
use crate::{dispatch, fast_io, file_systems, fs_filter, unload};
use core::sync::atomic::{AtomicBool, Ordering};
use wdk_sys::{DEVICE_OBJECT, DRIVER_OBJECT, IRP_MJ_FILE_SYSTEM_CONTROL, NTSTATUS, UNICODE_STRING};

/// The driver object that DriverEntry is given.
pub type DriverObject = DRIVER_OBJECT;
/// The registry path that DriverEntry is given.
pub type RegistryPath = UNICODE_STRING;
/// What DriverEntry returns.
pub type RawStatus = NTSTATUS;

/// A file-system filter driver.
pub trait Filter: Send + Sync + Sized + 'static {
    /// What the filter keeps with each of its devices, in nonpaged memory.
    type Attachment: Send + Sync + 'static;

    /// What the filter keeps with each handle of its control device, in nonpaged memory.
    type Client: Send + Sync + 'static;

    /// What the filter keeps of a call of fast I/O or an FsFilter operation that it observes, while it is
    /// below.
    type FastIo: Send + 'static;

    /// A request for the device that [`Irp::device`] is attached to.
    fn filter_request<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d>;

    /// IRP_MJ_FILE_SYSTEM_CONTROL, with what brings new devices ([`Irp::file_system_control`]). Apart, so
    /// that no other request pays for that question.
    fn file_system_control<'d>(irp: Irp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d> {
        Self::filter_request(irp, level)
    }

    /// A program opens the control device.
    ///
    /// Errors: the open fails with them.
    fn client_opened(driver: &Driver<Self>, level: &mut AtMostApc) -> Result<Self::Client, Status>;

    /// The last handle of an open has been closed (IRP_MJ_CLEANUP): whatever the client has is
    /// released. Requests of it may still be in progress, so it is dropped only when the last of
    /// them is gone (IRP_MJ_CLOSE).
    fn client_closed(driver: &Driver<Self>, client: &Self::Client, level: &mut AtMostApc);

    /// A request for the control device (D2), but for opening and closing.
    fn control_request<'d>(irp: ControlIrp<'d, Self>, level: &mut AtMostApc) -> Disposition<'d>;

    /// Whether anybody wants to know of calls of fast I/O and FsFilter operations: [`Filter::fast_io_begins`]
    /// is called only then. IRQL: ≤ APC_LEVEL.
    fn observes_fast_io(_driver: &Driver<Self>) -> bool {
        false
    }

    /// A call of fast I/O or an FsFilter operation is about to be passed on: what is kept of it if it is
    /// observed.
    /// IRQL: ≤ APC_LEVEL.
    fn fast_io_begins(
        _device: &FilterDevice<Self>,
        _call: impl FnOnce() -> FastIoCall,
        _level: &mut AtMostApc,
    ) -> Option<Self::FastIo> {
        None
    }

    /// A call of fast I/O that is observed has returned, or the lower driver does not have it.
    fn fast_io_ends(
        _driver: &Driver<Self>,
        _observed: Self::FastIo,
        _came: &Came,
        _level: &mut AtMostApc,
    ) {
    }

    /// What was kept of an FsFilter operation is dropped, because there is no memory to keep it until the
    /// operation has ended. IRQL: ≤ APC_LEVEL.
    fn fast_io_forgotten(_driver: &Driver<Self>, _observed: Self::FastIo) {}

    /// Other ETW sessions listen to the driver's provider, or they want other things.
    fn etw_changed(_driver: &Driver<Self>, _wanted: Wanted, _level: &mut Passive) {}

    /// `device` has been taken out of its stack; requests may still be inside.
    fn detached(_device: &FilterDevice<Self>, _level: &mut Passive) {}

    /// DriverUnload has left every stack, and waits for requests, among them [`Driver::lasting`].
    fn unload_waits(driver: &Driver<Self>, level: &mut Passive);

    /// A file system has registered, or goes away (A4). The I/O manager holds the lock of its list of
    /// file systems meanwhile, without which nothing is mounted: nothing is waited for or opened here.
    fn file_system_changed(
        driver: &Driver<Self>,
        control_device: &DeviceObject,
        active: bool,
        level: &mut Passive,
    );
}

/// The state of a loaded driver. It lives in the extension of its control device.
pub struct Driver<F: Filter> {
    object: *mut DRIVER_OBJECT,
    /// The device in whose extension this lies.
    control_device: *mut DEVICE_OBJECT,
    can_unload: bool,
    unloading: AtomicBool,
    attach_lock: Mutex<()>,
    /// Held by who waits for mounts.
    mounts_lock: Mutex<()>,
    filter: F,
}

// SAFETY: the driver object may be used from any thread; the rest is Sync. It is made by the thread of
// DriverEntry and dropped by that of DriverUnload, and the filter is Send.
unsafe impl<F: Filter> Sync for Driver<F> {}

impl<F: Filter> Driver<F> {
    pub(crate) const fn new(
        object: *mut DRIVER_OBJECT,
        control_device: *mut DEVICE_OBJECT,
        filter: F,
        can_unload: bool,
        attach_lock: Mutex<()>,
        mounts_lock: Mutex<()>,
    ) -> Self {
        let unloading = AtomicBool::new(false);
        Self {
            object,
            control_device,
            can_unload,
            unloading,
            attach_lock,
            mounts_lock,
            filter,
        }
    }

    pub(crate) const fn object(&self) -> *mut DRIVER_OBJECT {
        self.object
    }

    pub(crate) const fn control_device(&self) -> *mut DEVICE_OBJECT {
        self.control_device
    }

    /// Whether DriverUnload exists; decides what each request costs (C15). IRQL: any.
    pub(crate) const fn can_unload(&self) -> bool {
        self.can_unload
    }

    /// Serializes attaching, detaching and looking for what is attached (A5).
    pub(crate) const fn attach_lock(&self) -> &Mutex<()> {
        &self.attach_lock
    }

    /// The filter's own state. IRQL: any.
    #[must_use]
    pub const fn filter(&self) -> &F {
        &self.filter
    }

    /// Whether DriverUnload has begun: nothing new is attached then (A12). IRQL: any.
    #[must_use]
    pub fn is_unloading(&self) -> bool {
        self.unloading.load(Ordering::Acquire)
    }

    pub(crate) fn begin_unloading(&self) {
        self.unloading.store(true, Ordering::Release);
    }

    /// The requests below that may stay there for as long as a program likes, and keep the driver from
    /// being unloaded: how many of each kind there are at this moment. None in a driver that stays.
    /// IRQL: any.
    pub fn lasting(&self) -> impl Iterator<Item = (Lasting, u32)> {
        DRIVER.lasting()
    }

    /// Where the driver's entries of the event log come from. IRQL: any.
    #[must_use]
    pub const fn event_log(&self) -> event_log::Source<'_> {
        // SAFETY: the driver object outlives the driver's state.
        unsafe { event_log::Source::new(self.object) }
    }

    /// Whether it is a filter device of this driver, and is attached: not its control device, which programs
    /// find by name, nor one that was deleted and to which somebody has kept a reference.
    fn is_filter_device(&self, device: &DeviceObject) -> bool {
        if device.driver() != self.object {
            return false;
        }
        // SAFETY: a device of this driver.
        if let Kind::Control | Kind::Unfinished = unsafe { device::kind_of_any(device.raw()) } {
            return false;
        }
        // SAFETY: a filter device, by its kind; what is asked stays readable as long as the reference.
        unsafe { FilterDevice::<F>::from_raw(device.raw()) }.is_attached()
    }

    /// This driver's filter device in the stack of `device`, if there is one.
    fn find_in_stack(&self, device: &DeviceObject, level: &mut Passive) -> Option<DeviceReference> {
        let mut next = Some(device.top_of_stack(level));
        while let Some(current) = next {
            if self.is_filter_device(&current) {
                return Some(current);
            }
            next = current.lower(level);
        }
        None
    }

    /// Whether a filter device of this driver is anywhere in the stack of `device`.
    #[must_use]
    pub fn filters(&self, device: &DeviceObject, level: &mut Passive) -> bool {
        self.find_in_stack(device, level).is_some()
    }

    /// Calls `body` with this driver's filter device in the stack of `device`, if there is one. It
    /// stays where it is until `body` has returned, which attaches and detaches nothing (A5).
    pub fn with_filter_device<R>(
        &self,
        device: &DeviceObject,
        level: &mut Passive,
        body: impl FnOnce(&FilterDevice<F>) -> R,
    ) -> Option<R> {
        self.attach_lock.with(level, |(), level| {
            let ours = self.find_in_stack(device, level)?;
            // SAFETY: a device of this driver that is in another driver's stack is a filter
            // device; under the attach lock nobody takes it down.
            Some(body(unsafe { FilterDevice::from_raw(ours.raw()) }))
        })
    }

    /// Returns when every mount that had begun has ended. What attached to the control device of a
    /// file system before this sees each later one (A5). One thread at a time waits: the I/O manager knows a
    /// registration by its routine, and refuses the same one with STATUS_DEVICE_ALREADY_ATTACHED. Not to be called
    /// where it tells of a file system, because it holds what this waits for.
    ///
    /// Errors: those of IoRegisterFsRegistrationChangeMountAware.
    ///
    /// Rests on IoRegisterFsRegistrationChangeMountAware: "This notification routine is called whenever a file
    /// system registers or unregisters itself as an active file system."
    pub fn wait_for_mounts(&self, level: &mut Passive) -> Result<(), Status> {
        self.mounts_lock.with(level, |(), level| {
            // SAFETY: this is the driver's object, and the lock admits one thread.
            unsafe { file_systems::wait_for_mounts(self.object, level) }
        })
    }

    /// Whether `device` is one of this driver's. IRQL: any.
    #[must_use]
    pub fn owns(&self, device: &DeviceObject) -> bool {
        device.driver() == self.object
    }

    /// Calls `visit` with each filter device of this driver.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub(crate) fn each_filter_device(
        &self,
        level: &mut Passive,
        mut visit: impl FnMut(&FilterDevice<F>, &mut Passive),
    ) -> Result<usize, Status> {
        // SAFETY: the driver object is alive while the driver is.
        let devices = unsafe { device::DeviceList::of(self.object, level) }?;
        let mut visited = 0;
        for object in devices.iter() {
            // SAFETY: a device of this driver.
            if let Kind::Control | Kind::Unfinished = unsafe { device::kind_of_any(object.raw()) } {
                continue;
            }
            // SAFETY: a filter device, by its kind; the list holds a reference.
            visit(unsafe { FilterDevice::from_raw(object.raw()) }, level);
            visited += 1;
        }
        Ok(visited)
    }

    /// Takes this driver's filter device out of the stack of `device`, and leaves it to
    /// DriverUnload to delete: requests may still be inside (A7).
    ///
    /// Rests on IoDetachDevice: "The IoDetachDevice routine releases an attachment between the caller's device
    /// object and a lower driver's device object."
    pub fn detach_from(&self, device: &DeviceObject, level: &mut Passive) {
        self.attach_lock.with(level, |(), level| {
            if let Some(ours) = self.find_in_stack(device, level) {
                // SAFETY: found under the attach lock.
                unsafe { self.take_out(&ours, level) }
            }
        });
    }

    /// As [`Driver::detach_from`], but only from the top: IoDetachDevice cuts the stack above the
    /// device that it is given, so that a filter above ours would lose its requests.
    ///
    /// Errors: STATUS_NOT_FOUND if it is not in the stack, STATUS_DEVICE_BUSY if another filter
    /// lies above it.
    pub fn detach_from_top(
        &self,
        device: &DeviceObject,
        level: &mut Passive,
    ) -> Result<(), Status> {
        self.attach_lock.with(level, |(), level| {
            let ours = self.find_in_stack(device, level).ok_or(Status::NOT_FOUND)?;
            if !ours.top_of_stack(level).is(&ours) {
                return Err(Status::DEVICE_BUSY);
            }
            // SAFETY: found under the attach lock.
            unsafe { self.take_out(&ours, level) };
            Ok(())
        })
    }

    /// # Safety
    /// `ours` is in another driver's stack, and the attach lock is held.
    unsafe fn take_out(&self, ours: &DeviceObject, level: &mut Passive) {
        // SAFETY: a device of this driver that is in another driver's stack is a filter device.
        let ours = unsafe { FilterDevice::<F>::from_raw(ours.raw()) };
        // SAFETY: attached, under the attach lock.
        unsafe { device::detach(ours, level) }
    }
}

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
        etw::register(driver.ok_or(Status::INVALID_DEVICE_STATE)?, provider, level)
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
