//! What was asked of a file system: a request, by its major function, or a call of fast I/O.

/// A major function or an entry of the fast I/O table, as one number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Operation(u8);

/// Where the entries of fast I/O begin.
const FAST: u8 = 32;

/// The major functions, by their codes.
const MAJORS: [&str; 28] = [
    "CREATE",
    "CREATE_NAMED_PIPE",
    "CLOSE",
    "READ",
    "WRITE",
    "QUERY_INFORMATION",
    "SET_INFORMATION",
    "QUERY_EA",
    "SET_EA",
    "FLUSH_BUFFERS",
    "QUERY_VOLUME_INFORMATION",
    "SET_VOLUME_INFORMATION",
    "DIRECTORY_CONTROL",
    "FILE_SYSTEM_CONTROL",
    "DEVICE_CONTROL",
    "INTERNAL_DEVICE_CONTROL",
    "SHUTDOWN",
    "LOCK_CONTROL",
    "CLEANUP",
    "CREATE_MAILSLOT",
    "QUERY_SECURITY",
    "SET_SECURITY",
    "POWER",
    "SYSTEM_CONTROL",
    "DEVICE_CHANGE",
    "QUERY_QUOTA",
    "SET_QUOTA",
    "PNP",
];

/// The entries of fast I/O that can be observed, in the order of the table.
const ENTRIES: [&str; 20] = [
    "fast CHECK_IF_POSSIBLE",
    "fast READ",
    "fast WRITE",
    "fast QUERY_BASIC_INFO",
    "fast QUERY_STANDARD_INFO",
    "fast LOCK",
    "fast UNLOCK_SINGLE",
    "fast UNLOCK_ALL",
    "fast UNLOCK_ALL_BY_KEY",
    "fast DEVICE_CONTROL",
    "fast QUERY_NETWORK_OPEN_INFO",
    "fast MDL_READ",
    "fast MDL_READ_COMPLETE",
    "fast PREPARE_MDL_WRITE",
    "fast MDL_WRITE_COMPLETE",
    "fast READ_COMPRESSED",
    "fast WRITE_COMPRESSED",
    "fast MDL_READ_COMPLETE_COMPRESSED",
    "fast MDL_WRITE_COMPLETE_COMPRESSED",
    "fast QUERY_OPEN",
];

/// Defines the constants of the entries of fast I/O.
macro_rules! entries {
    ($($name:ident = $entry:literal, $what:literal;)*) => { $(
        #[doc = concat!("`", $what, "`.")]
        pub const $name: Self = Self(FAST + $entry);
    )* };
}

impl Operation {
    /// One more than the greatest number.
    pub const COUNT: usize = FAST as usize + ENTRIES.len();

    /// IRP_MJ_CREATE.
    pub const CREATE: Self = Self(0);
    /// IRP_MJ_CLOSE.
    pub const CLOSE: Self = Self(2);
    /// IRP_MJ_READ.
    pub const READ: Self = Self(3);
    /// IRP_MJ_WRITE.
    pub const WRITE: Self = Self(4);
    /// IRP_MJ_QUERY_INFORMATION.
    pub const QUERY_INFORMATION: Self = Self(5);
    /// IRP_MJ_SET_INFORMATION.
    pub const SET_INFORMATION: Self = Self(6);
    /// IRP_MJ_FLUSH_BUFFERS.
    pub const FLUSH_BUFFERS: Self = Self(9);
    /// IRP_MJ_QUERY_VOLUME_INFORMATION.
    pub const QUERY_VOLUME_INFORMATION: Self = Self(10);
    /// IRP_MJ_SET_VOLUME_INFORMATION.
    pub const SET_VOLUME_INFORMATION: Self = Self(11);
    /// IRP_MJ_DIRECTORY_CONTROL.
    pub const DIRECTORY_CONTROL: Self = Self(12);
    /// IRP_MJ_FILE_SYSTEM_CONTROL.
    pub const FILE_SYSTEM_CONTROL: Self = Self(13);
    /// IRP_MJ_DEVICE_CONTROL.
    pub const DEVICE_CONTROL: Self = Self(14);
    /// IRP_MJ_LOCK_CONTROL.
    pub const LOCK_CONTROL: Self = Self(17);
    /// IRP_MJ_CLEANUP.
    pub const CLEANUP: Self = Self(18);

    entries! {
        FAST_CHECK_IF_POSSIBLE = 0, "FastIoCheckIfPossible";
        FAST_READ = 1, "FastIoRead";
        FAST_WRITE = 2, "FastIoWrite";
        FAST_QUERY_BASIC_INFO = 3, "FastIoQueryBasicInfo";
        FAST_QUERY_STANDARD_INFO = 4, "FastIoQueryStandardInfo";
        FAST_LOCK = 5, "FastIoLock";
        FAST_UNLOCK_SINGLE = 6, "FastIoUnlockSingle";
        FAST_UNLOCK_ALL = 7, "FastIoUnlockAll";
        FAST_UNLOCK_ALL_BY_KEY = 8, "FastIoUnlockAllByKey";
        FAST_DEVICE_CONTROL = 9, "FastIoDeviceControl";
        FAST_QUERY_NETWORK_OPEN_INFO = 10, "FastIoQueryNetworkOpenInfo";
        FAST_MDL_READ = 11, "MdlRead";
        FAST_MDL_READ_COMPLETE = 12, "MdlReadComplete";
        FAST_PREPARE_MDL_WRITE = 13, "PrepareMdlWrite";
        FAST_MDL_WRITE_COMPLETE = 14, "MdlWriteComplete";
        FAST_READ_COMPRESSED = 15, "FastIoReadCompressed";
        FAST_WRITE_COMPRESSED = 16, "FastIoWriteCompressed";
        FAST_MDL_READ_COMPLETE_COMPRESSED = 17, "MdlReadCompleteCompressed";
        FAST_MDL_WRITE_COMPLETE_COMPRESSED = 18, "MdlWriteCompleteCompressed";
        FAST_QUERY_OPEN = 19, "FastIoQueryOpen";
    }

    /// The operation of that number, if there is one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        let is_major = (number as usize) < MAJORS.len();
        let is_entry = number >= FAST && (number as usize) < Self::COUNT;
        if is_major || is_entry {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The entry of fast I/O at that place among those that are observed.
    #[must_use]
    pub const fn from_fast_io(place: u8) -> Option<Self> {
        match FAST.checked_add(place) {
            Some(number) => Self::from_number(number),
            None => None,
        }
    }

    /// Its number: the major function code, or 32 and the place of the entry among those that are
    /// observed.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether it is a call of fast I/O.
    #[must_use]
    pub const fn is_fast(self) -> bool {
        self.0 >= FAST
    }

    /// Whether its information is a number of bytes that were transferred.
    #[must_use]
    pub const fn transfers(self) -> bool {
        matches!(
            self,
            Self::READ
                | Self::WRITE
                | Self::FAST_READ
                | Self::FAST_WRITE
                | Self::FAST_MDL_READ
                | Self::FAST_PREPARE_MDL_WRITE
                | Self::FAST_READ_COMPRESSED
                | Self::FAST_WRITE_COMPRESSED
        )
    }

    /// What people know it by: `READ`, `fast READ`.
    #[must_use]
    pub fn name(self) -> &'static str {
        let names: &[&str] = if self.is_fast() { &ENTRIES } else { &MAJORS };
        let place = if self.is_fast() {
            self.0 - FAST
        } else {
            self.0
        };
        names.get(usize::from(place)).copied().unwrap_or("unknown")
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).filter_map(Self::from_number)
    }
}
