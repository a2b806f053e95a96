//! How the extension of this driver's own devices begins: which kind it is.
//!
//! The I/O manager allocates the extension with the device, zeroed, in nonpaged
//! memory (C4). Both kinds begin with a [`KindCell`].

#![expect(
    unsafe_code,
    reason = "the extension is raw memory behind the device object"
)]

use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::DEVICE_OBJECT;

/// Which of the driver's devices this is (D2).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// A device that is being created: the rest of its extension means nothing yet.
    Unfinished = 0,
    /// The named control device.
    Control = u32::from_le_bytes(*b"Ctrl"),
    /// A filter device of a driver that stays.
    Filter = u32::from_le_bytes(*b"Filt"),
    /// A filter device of a driver that may be unloaded: who is inside is counted. Said here, because a
    /// thread may still be about to call the dispatch routine when the device has been deleted, with a
    /// reference to it, and the driver's state is gone then.
    CountedFilter = u32::from_le_bytes(*b"Cntd"),
}

/// The kind of a device, in the first word of its extension. The I/O manager lists a device as soon as it has
/// created it, with zeros there: whoever looks through the devices of the driver may meet one that another
/// thread is about to finish.
#[repr(transparent)]
pub(crate) struct KindCell(AtomicU32);

impl KindCell {
    /// Of a device whose extension is being written.
    pub(crate) const fn unfinished() -> Self {
        Self(AtomicU32::new(Kind::Unfinished as u32))
    }

    /// The rest of the extension has been written.
    pub(crate) fn finish(&self, kind: Kind) {
        self.0.store(kind as u32, Ordering::Release);
    }

    /// At this moment, with what it says of the rest of the extension.
    fn get(&self) -> Kind {
        Kind::of(self.0.load(Ordering::Acquire))
    }
}

/// Tells the compiler that what calls it is seldom done.
#[cold]
const fn seldom() {}

impl Kind {
    /// In the order of how often they come: almost every request compares once (P4).
    #[inline(always)]
    const fn of(word: u32) -> Self {
        if word == Self::Filter as u32 {
            return Self::Filter;
        }
        seldom();
        match word {
            word if word == Self::CountedFilter as u32 => Self::CountedFilter,
            word if word == Self::Control as u32 => Self::Control,
            _ => Self::Unfinished,
        }
    }
}

/// The extension of a device. IRQL: any.
///
/// # Safety
/// `device` is a live device object whose extension is a `T`, or has room for one.
pub(crate) unsafe fn extension_of<T>(device: *mut DEVICE_OBJECT) -> *mut T {
    // SAFETY: contract of the function.
    unsafe { (*device).DeviceExtension }.cast()
}

/// The kind of one of our devices that a request or a call has reached. IRQL: any.
///
/// # Safety
/// `device` is a device of this driver, and its kind has been written: nobody changes it any more.
pub(crate) unsafe fn kind_of(device: *mut DEVICE_OBJECT) -> Kind {
    // SAFETY: contract of the function.
    let extension = unsafe { extension_of::<u32>(device) };
    // Asked more than once on the way of a request, of which one question remains this way (P4).
    // SAFETY: both extensions begin with the word of a `KindCell`.
    Kind::of(unsafe { extension.read() })
}

/// The kind of one of our devices, which another thread may be about to finish. IRQL: any.
///
/// # Safety
/// `device` is a device of this driver.
pub(crate) unsafe fn kind_of_any(device: *mut DEVICE_OBJECT) -> Kind {
    // SAFETY: contract of the function.
    let extension = unsafe { extension_of::<KindCell>(device) };
    // SAFETY: both extensions begin with it, from the zeros on that the I/O manager has put there.
    unsafe { &*extension }.get()
}
