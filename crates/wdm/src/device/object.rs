//! `DEVICE_OBJECT`s of any driver, and counted references to them.
//!
//! Wraps `ObfReferenceObject`, `IoGetAttachedDeviceReference`,
//! `IoGetDeviceAttachmentBaseRef`,
//! `IoGetLowerDeviceObject`, `IoGetDiskDeviceObject`,
//! `IoEnumerateDeviceObjectList` and the volume parameter block.

#![expect(unsafe_code, reason = "device objects belong to the I/O manager")]

use super::name::NameBuffer;
use crate::irql::Passive;
use crate::pool;
use crate::status::Status;
use crate::unicode::UnicodeStr;
use core::cell::UnsafeCell;
use core::ops::Deref;
use core::ptr::NonNull;
use wdk_sys::{
    DEVICE_OBJECT, DRIVER_OBJECT, FILE_DEVICE_CD_ROM, FILE_DEVICE_CD_ROM_FILE_SYSTEM,
    FILE_DEVICE_DFS, FILE_DEVICE_DFS_FILE_SYSTEM, FILE_DEVICE_DFS_VOLUME, FILE_DEVICE_DISK,
    FILE_DEVICE_DISK_FILE_SYSTEM, FILE_DEVICE_FILE_SYSTEM, FILE_DEVICE_MAILSLOT,
    FILE_DEVICE_MULTI_UNC_PROVIDER, FILE_DEVICE_NAMED_PIPE, FILE_DEVICE_NETWORK_FILE_SYSTEM,
    FILE_DEVICE_TAPE, FILE_DEVICE_TAPE_FILE_SYSTEM, FILE_DEVICE_VIRTUAL_DISK, ntddk,
};

/// A device object that outlives the borrow.
#[repr(transparent)]
pub struct DeviceObject(UnsafeCell<DEVICE_OBJECT>);

/// What a device object belongs to, as far as a file-system filter asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceKind {
    /// A file system on disks.
    DiskFileSystem,
    /// A file system on CD or DVD media.
    CdRomFileSystem,
    /// A network redirector, or the multiple UNC provider, which stands for all of them.
    NetworkFileSystem,
    /// A device of the distributed file system.
    DistributedFileSystem,
    /// Anything else, by its FILE_DEVICE_* value.
    Other(u32),
}

impl DeviceObject {
    /// # Safety
    /// `raw` is not null and points to a device object that outlives `'a`.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut DEVICE_OBJECT) -> &'a Self {
        // SAFETY: contract of the function; the type is transparent over the structure.
        unsafe { &*raw.cast() }
    }

    /// The pointer, for a DDI.
    pub(crate) const fn raw(&self) -> *mut DEVICE_OBJECT {
        self.0.get()
    }

    /// The driver that created the device.
    pub(crate) fn driver(&self) -> *mut DRIVER_OBJECT {
        // SAFETY: a live device object; the field does not change after creation.
        unsafe { (*self.raw()).DriverObject }
    }

    /// DO_* flags at this moment. IRQL: any.
    #[must_use]
    pub fn flags(&self) -> u32 {
        // SAFETY: a live device object; only the place is computed.
        let flags = unsafe { &raw const (*self.raw()).Flags };
        // SAFETY: a word that others may write meanwhile; either value is true at some moment.
        unsafe { flags.read_volatile() }
    }

    /// Whether it is a volume whose files programs map directly (DAX): the system keeps legacy
    /// filters off it (A10). IRQL: any.
    #[must_use]
    pub fn is_direct_access_volume(&self) -> bool {
        /// From `wdm.h`; not in every version of the bindings.
        const DO_DAX_VOLUME: u32 = 0x1000_0000;
        self.flags() & DO_DAX_VOLUME != 0
    }

    /// FILE_* characteristics. IRQL: any.
    #[must_use]
    pub fn characteristics(&self) -> u32 {
        // SAFETY: a live device object; only the place is computed.
        let characteristics = unsafe { &raw const (*self.raw()).Characteristics };
        // SAFETY: as in `flags`.
        unsafe { characteristics.read_volatile() }
    }

    /// Stack locations that a request to this device needs. IRQL: any.
    pub(crate) fn stack_size(&self) -> i8 {
        // SAFETY: a live device object; the field changes only while the device attaches.
        unsafe { (*self.raw()).StackSize }
    }

    /// The FILE_DEVICE_* type. IRQL: any.
    #[must_use]
    pub fn device_type(&self) -> u32 {
        // SAFETY: a live device object; the field does not change after creation.
        unsafe { (*self.raw()).DeviceType }
    }

    /// The type, classified. IRQL: any.
    #[must_use]
    pub fn kind(&self) -> DeviceKind {
        match self.device_type() {
            FILE_DEVICE_DISK_FILE_SYSTEM => DeviceKind::DiskFileSystem,
            FILE_DEVICE_CD_ROM_FILE_SYSTEM => DeviceKind::CdRomFileSystem,
            FILE_DEVICE_NETWORK_FILE_SYSTEM | FILE_DEVICE_MULTI_UNC_PROVIDER => {
                DeviceKind::NetworkFileSystem
            }
            FILE_DEVICE_DFS | FILE_DEVICE_DFS_FILE_SYSTEM | FILE_DEVICE_DFS_VOLUME => {
                DeviceKind::DistributedFileSystem
            }
            other => DeviceKind::Other(other),
        }
    }

    /// Whether it is of a type that file systems give their devices. IRQL: any.
    pub(crate) fn is_of_a_file_system(&self) -> bool {
        match self.kind() {
            DeviceKind::Other(other) => matches!(
                other,
                FILE_DEVICE_FILE_SYSTEM
                    | FILE_DEVICE_TAPE_FILE_SYSTEM
                    | FILE_DEVICE_NAMED_PIPE
                    | FILE_DEVICE_MAILSLOT
            ),
            _ => true,
        }
    }

    /// Whether it is of a type on which volumes are mounted. IRQL: any.
    pub(crate) fn is_storage(&self) -> bool {
        matches!(
            self.device_type(),
            FILE_DEVICE_DISK | FILE_DEVICE_CD_ROM | FILE_DEVICE_TAPE | FILE_DEVICE_VIRTUAL_DISK
        )
    }

    /// Whether both are the same device.
    #[must_use]
    pub fn is(&self, other: &DeviceObject) -> bool {
        core::ptr::eq(self, other)
    }

    /// A counted reference. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Rests on ObfReferenceObject: "The ObfReferenceObject routine increments the reference count to the given
    /// object."
    #[must_use]
    pub fn reference(&self) -> DeviceReference {
        // SAFETY: a live device object.
        unsafe { ntddk::ObfReferenceObject(self.raw().cast()) };
        // SAFETY: the reference was taken in the line above.
        unsafe { DeviceReference::adopt(self.raw()) }
    }

    /// The top of the stack that this device is in (IoGetAttachedDeviceReference).
    ///
    /// Rests on IoGetAttachedDeviceReference: "The IoGetAttachedDeviceReference routine returns a pointer to
    /// the highest level device object in a driver stack and increments the reference count on that object."
    #[must_use]
    pub fn top_of_stack(&self, _level: &mut Passive) -> DeviceReference {
        // SAFETY: a live device object.
        let top = unsafe { ntddk::IoGetAttachedDeviceReference(self.raw()) };
        // SAFETY: the DDI references what it returns, which is at least this device.
        unsafe { DeviceReference::adopt(top) }
    }

    /// The device below in the stack (IoGetLowerDeviceObject), if any.
    ///
    /// Rests on IoGetLowerDeviceObject: "The IoGetLowerDeviceObject routine returns a pointer to the
    /// next-lower-level device object on the driver stack."
    #[must_use]
    pub fn lower(&self, _level: &mut Passive) -> Option<DeviceReference> {
        // SAFETY: a live device object.
        let lower = unsafe { ntddk::IoGetLowerDeviceObject(self.raw()) };
        // SAFETY: the DDI references what it returns.
        (!lower.is_null()).then(|| unsafe { DeviceReference::adopt(lower) })
    }

    /// The bottom of the stack that this device is in (IoGetDeviceAttachmentBaseRef): of a
    /// file-system stack, the file system's own device.
    ///
    /// Rests on IoGetDeviceAttachmentBaseRef: "The IoGetDeviceAttachmentBaseRef routine returns a pointer to
    /// the lowest-level device object in a file system or device driver stack."
    #[must_use]
    pub fn base_of_stack(&self, _level: &mut Passive) -> DeviceReference {
        // SAFETY: a live device object.
        let base = unsafe { ntddk::IoGetDeviceAttachmentBaseRef(self.raw()) };
        // SAFETY: the DDI references what it returns, which is at least this device.
        unsafe { DeviceReference::adopt(base) }
    }

    /// The storage device that a volume device is mounted on (IoGetDiskDeviceObject).
    ///
    /// Errors: STATUS_INVALID_PARAMETER (no volume), STATUS_VOLUME_DISMOUNTED.
    ///
    /// Rests on IoGetDiskDeviceObject: "The IoGetDiskDeviceObject routine retrieves a pointer to the disk
    /// device object associated with a given file system volume device object."
    pub fn storage_device(&self, _level: &mut Passive) -> Result<DeviceReference, Status> {
        let mut storage = core::ptr::null_mut();
        // SAFETY: a live device object, and a place for the result.
        Status(unsafe { ntddk::IoGetDiskDeviceObject(self.raw(), &raw mut storage) })
            .into_result()?;
        // SAFETY: on success the DDI returns a referenced device.
        Ok(unsafe { DeviceReference::adopt(storage) })
    }

    /// The volume device of a mount on this storage device. The I/O manager has the storage device locked until the
    /// request has been resumed, so that the volume device stays; it says that it is mounted (VPB_MOUNTED) only
    /// afterwards. At any other time the VPB may name a device that is gone: [`DeviceObject::has_volume`] is for that.
    ///
    /// The VPB is read under its spin lock: a volume may be dismounted, or the VPB be
    /// replaced, at any time (A6). IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Rests on IoAcquireVpbSpinLock: "The IoAcquireVpbSpinLock routine acquires the Volume Parameter Block
    /// (VPB) spin lock."
    /// Rests on IoReleaseVpbSpinLock: "The IoReleaseVpbSpinLock routine releases the Volume Parameter Block
    /// (VPB) spin lock."
    ///
    /// # Safety
    /// The mount has succeeded and come back to this driver, which has not resumed it.
    pub(crate) unsafe fn volume_of_mount(&self) -> Option<DeviceReference> {
        self.with_volume(|volume| {
            (!volume.is_null()).then(|| {
                // SAFETY: contract of the function; and one that is mounted stays while the lock is held.
                unsafe { DeviceObject::from_raw(volume) }.reference()
            })
        })
    }

    /// Whether `volume` is mounted on this storage device now, or being mounted. Asked at any time: the VPB's device
    /// is compared, and not touched. IRQL: ≤ DISPATCH_LEVEL.
    #[must_use]
    pub fn has_volume(&self, volume: &Self) -> bool {
        self.with_volume(|there| there == volume.raw())
    }

    /// Calls `body` with the VPB's device, which may be null, under the VPB spin lock. That is let go before anything
    /// else is done (D6, D9).
    fn with_volume<R>(&self, body: impl FnOnce(*mut DEVICE_OBJECT) -> R) -> R {
        let mut irql = 0;
        // SAFETY: released below on every path.
        unsafe { ntddk::IoAcquireVpbSpinLock(&raw mut irql) };
        // SAFETY: a live device object; the VPB pointer changes only under the lock.
        let vpb = unsafe { (*self.raw()).Vpb };
        let volume = if vpb.is_null() {
            core::ptr::null_mut()
        } else {
            // SAFETY: the VPB of a live device is valid while the lock is held.
            unsafe { (*vpb).DeviceObject }
        };
        let result = body(volume);
        // SAFETY: pairs with the acquire above.
        unsafe { ntddk::IoReleaseVpbSpinLock(irql) };
        result
    }

    /// The name of the driver of this device, such as `\FileSystem\Fs_Rec`; `None` if it has a very
    /// long one.
    #[must_use]
    pub fn driver_name<'b>(
        &self,
        buffer: &'b mut NameBuffer,
        level: &mut Passive,
    ) -> Option<UnicodeStr<'b>> {
        // SAFETY: the driver object lives as long as this device of it.
        unsafe { buffer.query(self.driver().cast(), level) }
    }

    /// Whether the driver of this device has the given name.
    #[must_use]
    pub fn driver_is_named(&self, name: UnicodeStr<'_>, level: &mut Passive) -> bool {
        let mut buffer = NameBuffer::new();
        let found = self.driver_name(&mut buffer, level);
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    }

    /// The name of the device; `None` if it has none, as volume devices, or a very long one.
    ///
    /// Rests on ObQueryNameString: "The ObQueryNameString routine supplies the name, if there is one, of a
    /// given object to which the caller has a pointer."
    #[must_use]
    pub fn name<'b>(
        &self,
        buffer: &'b mut NameBuffer,
        level: &mut Passive,
    ) -> Option<UnicodeStr<'b>> {
        // SAFETY: a live device object.
        unsafe { buffer.query(self.raw().cast(), level) }
    }

    /// All devices of this device's driver, referenced (IoEnumerateDeviceObjectList).
    ///
    /// The count may grow between asking and reading: then the list is made larger and read
    /// again (A5). Errors: STATUS_INSUFFICIENT_RESOURCES.
    ///
    /// Rests on IoEnumerateDeviceObjectList: "The IoEnumerateDeviceObjectList routine enumerates a driver's
    /// device object list."
    pub fn devices_of_driver(&self, level: &mut Passive) -> Result<DeviceList, Status> {
        // SAFETY: the driver object lives as long as this device of it.
        unsafe { DeviceList::of(self.driver(), level) }
    }
}

/// A counted reference to a device object.
pub struct DeviceReference(NonNull<DEVICE_OBJECT>);

// SAFETY: the count is atomic, and a device object may be used from any thread.
unsafe impl Send for DeviceReference {}
// SAFETY: as above.
unsafe impl Sync for DeviceReference {}

impl DeviceReference {
    /// # Safety
    /// `raw` is a device object, and the caller hands over one reference to it.
    pub(crate) unsafe fn adopt(raw: *mut DEVICE_OBJECT) -> Self {
        // SAFETY: contract of the function.
        Self(unsafe { NonNull::new_unchecked(raw) })
    }
}

impl Deref for DeviceReference {
    type Target = DeviceObject;
    fn deref(&self) -> &DeviceObject {
        // SAFETY: the reference keeps the object alive.
        unsafe { DeviceObject::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for DeviceReference {
    fn drop(&mut self) {
        // SAFETY: gives back the reference that this value owns. IRQL: ≤ DISPATCH_LEVEL.
        unsafe { ntddk::ObfDereferenceObject(self.0.as_ptr().cast()) };
    }
}

/// The devices of one driver at one moment, each referenced.
///
/// # Invariants
/// `list` holds `filled` referenced devices at its start and comes from the pool.
pub struct DeviceList {
    list: NonNull<*mut DEVICE_OBJECT>,
    filled: usize,
}

impl DeviceList {
    /// # Safety
    /// `driver` is a live driver object.
    pub(crate) unsafe fn of(
        driver: *mut DRIVER_OBJECT,
        _level: &mut Passive,
    ) -> Result<Self, Status> {
        /// Devices that may appear between asking for the count and reading the list.
        const SLACK: u32 = 8;
        let mut actual = 0;
        // SAFETY: a null list of no bytes asks for the count alone.
        let _buffer_too_small = unsafe {
            ntddk::IoEnumerateDeviceObjectList(driver, core::ptr::null_mut(), 0, &raw mut actual)
        };
        loop {
            let capacity = actual + SLACK;
            let bytes = capacity as usize * size_of::<*mut DEVICE_OBJECT>();
            let list: NonNull<*mut DEVICE_OBJECT> = pool::allocate(bytes)?.cast();
            // SAFETY: the list has room for `bytes` bytes.
            let status = Status(unsafe {
                ntddk::IoEnumerateDeviceObjectList(
                    driver,
                    list.as_ptr(),
                    bytes as u32,
                    &raw mut actual,
                )
            });
            let capacity = actual.min(capacity) as usize;
            // SAFETY: the list was zeroed when it was allocated, and has room for `capacity`.
            let entries = unsafe { core::slice::from_raw_parts(list.as_ptr(), capacity) };
            // INVARIANT: what the DDI filled in is referenced, also when the list was too small
            // for all of it; the rest is null.
            let filled = entries
                .iter()
                .take_while(|device| !device.is_null())
                .count();
            let devices = Self { list, filled };
            if status != Status::BUFFER_TOO_SMALL {
                return status.into_result().map(|()| devices);
            }
        }
    }

    /// The devices, in the order of the driver's list (newest first).
    pub fn iter(&self) -> impl Iterator<Item = &DeviceObject> {
        // SAFETY: invariant of the type.
        let entries = unsafe { core::slice::from_raw_parts(self.list.as_ptr(), self.filled) };
        // SAFETY: invariant of the type: each entry is a referenced device.
        entries
            .iter()
            .map(|&device| unsafe { DeviceObject::from_raw(device) })
    }
}

impl Drop for DeviceList {
    fn drop(&mut self) {
        for device in self.iter() {
            // SAFETY: gives back the reference that the list owns, once.
            unsafe { ntddk::ObfDereferenceObject(device.raw().cast()) };
        }
        // SAFETY: invariant of the type; not used afterwards.
        unsafe { pool::free(self.list.cast()) }
    }
}
