//! NTSTATUS as a type.
//!
//! Source: "Defining New NTSTATUS Values" and `ntstatus.h`. Conversion to and
//! from the raw value happens only at the boundary of this crate.

use wdk_sys::{self as sys, NTSTATUS};

/// An NTSTATUS value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Status(pub(crate) NTSTATUS);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:ident;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self(sys::$value);)*
        }
    };
}

statuses! {
    /// The operation succeeded. As the result of a completion routine: continue completion (C7).
    SUCCESS = STATUS_SUCCESS;
    /// As the result of a completion routine: completion stops here (C8).
    MORE_PROCESSING_REQUIRED = STATUS_MORE_PROCESSING_REQUIRED;
    /// The request makes no sense for this device.
    INVALID_DEVICE_REQUEST = STATUS_INVALID_DEVICE_REQUEST;
    /// An argument is out of range.
    INVALID_PARAMETER = STATUS_INVALID_PARAMETER;
    /// Memory for the operation could not be allocated (P2).
    INSUFFICIENT_RESOURCES = STATUS_INSUFFICIENT_RESOURCES;
    /// The device does not exist, is still initializing or is being deleted (A3).
    NO_SUCH_DEVICE = STATUS_NO_SUCH_DEVICE;
    /// The medium cannot be written.
    MEDIA_WRITE_PROTECTED = STATUS_MEDIA_WRITE_PROTECTED;
    /// The request was cancelled.
    CANCELLED = STATUS_CANCELLED;
    /// The device is not in a state in which it can be asked for this.
    INVALID_DEVICE_STATE = STATUS_INVALID_DEVICE_STATE;
    /// There are as many as there can be.
    TOO_MANY_SESSIONS = STATUS_TOO_MANY_SESSIONS;
    /// A name was not found.
    OBJECT_NAME_NOT_FOUND = STATUS_OBJECT_NAME_NOT_FOUND;
    /// A name is longer than a counted string can be.
    NAME_TOO_LONG = STATUS_NAME_TOO_LONG;
    /// A registry value has another type than expected.
    OBJECT_TYPE_MISMATCH = STATUS_OBJECT_TYPE_MISMATCH;
    /// The buffer cannot hold the result.
    BUFFER_TOO_SMALL = STATUS_BUFFER_TOO_SMALL;
    /// The buffer holds a part of the result: a warning, with which the part is copied.
    BUFFER_OVERFLOW = STATUS_BUFFER_OVERFLOW;
    /// An input has not the length that belongs to it.
    INFO_LENGTH_MISMATCH = STATUS_INFO_LENGTH_MISMATCH;
    /// Two parties speak different versions.
    REVISION_MISMATCH = STATUS_REVISION_MISMATCH;
    /// Something of that name is there already.
    OBJECT_NAME_COLLISION = STATUS_OBJECT_NAME_COLLISION;
    /// A create has met a reparse point: nothing was opened, and another create follows.
    REPARSE = STATUS_REPARSE;
    /// What was looked for is not there.
    NOT_FOUND = STATUS_NOT_FOUND;
    /// Somebody else uses the device.
    DEVICE_BUSY = STATUS_DEVICE_BUSY;
    /// The file system named in IRP_MN_LOAD_FILE_SYSTEM is there already (A7).
    IMAGE_ALREADY_LOADED = STATUS_IMAGE_ALREADY_LOADED;
    /// The driver is going away and accepts no new work.
    DELETE_PENDING = STATUS_DELETE_PENDING;
}

impl Status {
    /// The request is not finished; it completes later (D4). No result that a filter could complete with (D5).
    pub(crate) const PENDING: Self = Self(sys::STATUS_PENDING);

    /// `NT_SUCCESS`: success and informational severities.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// `NT_ERROR`: the severity of an error. IRQL: any.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.bits() >> 30 == 3
    }

    /// Itself if it is an error, STATUS_INVALID_DEVICE_REQUEST otherwise.
    pub(crate) const fn or_invalid_request(self) -> Self {
        if self.is_error() {
            self
        } else {
            Self::INVALID_DEVICE_REQUEST
        }
    }

    /// The value as printed in headers and bug checks.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// `Ok` for success severities, the status as error otherwise.
    pub(crate) const fn into_result(self) -> Result<(), Self> {
        if self.is_success() { Ok(()) } else { Err(self) }
    }
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "0x{:08X}", self.bits())
    }
}
