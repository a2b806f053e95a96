//! What was asked of a file system: a request, by its major function, a call of fast I/O, or an FsFilter
//! operation.

/// A major function, an entry of the fast I/O table or an FsFilter operation, as one number.
///
/// | number | is |
/// |---|---|
/// | 0 to 27 | a request, by its major function code; paging I/O has numbers of its own |
/// | 32 to 51 | a call of fast I/O, in the order of the table |
/// | 52 to 58 | an FsFilter operation; since version 2 |
/// | 59 to 62 | a request of the memory manager or the cache manager to page memory in or out; since version 2 |
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Operation(u8);

/// Where the entries of fast I/O begin.
const FAST: u8 = 32;

/// Where the FsFilter operations begin: behind the entries of fast I/O.
const FILTER: u8 = FAST + ENTRIES.len() as u8;

/// Where the paging requests begin.
const PAGING: u8 = FILTER + FILTER_OPERATIONS.len() as u8;

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

/// The FsFilter operations: what is asked of a file's stack without a request, around sections, flushes and
/// the modified page writer, and the query by name.
const FILTER_OPERATIONS: [&str; 7] = [
    "ACQUIRE_FOR_SECTION",
    "RELEASE_FOR_SECTION",
    "ACQUIRE_FOR_MOD_WRITE",
    "RELEASE_FOR_MOD_WRITE",
    "ACQUIRE_FOR_CC_FLUSH",
    "RELEASE_FOR_CC_FLUSH",
    "QUERY_OPEN",
];

/// The requests that are told apart when they are paging I/O.
const PAGED: [&str; 4] = [
    "paging READ",
    "paging WRITE",
    "paging QUERY_INFORMATION",
    "paging SET_INFORMATION",
];

/// Defines constants, each with its number counted from `$first`.
macro_rules! counted_from {
    ($first:expr; $($name:ident = $place:literal, $what:literal;)*) => { $(
        #[doc = concat!("`", $what, "`.")]
        pub const $name: Self = Self($first + $place);
    )* };
}

impl Operation {
    /// One more than the greatest number.
    pub const COUNT: usize = PAGING as usize + PAGED.len();

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
    /// IRP_MJ_POWER.
    pub const POWER: Self = Self(22);
    /// IRP_MJ_PNP.
    pub const PNP: Self = Self(27);

    counted_from! {
        FAST;
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

    counted_from! {
        FILTER;
        ACQUIRE_FOR_SECTION = 0, "FS_FILTER_ACQUIRE_FOR_SECTION_SYNCHRONIZATION";
        RELEASE_FOR_SECTION = 1, "FS_FILTER_RELEASE_FOR_SECTION_SYNCHRONIZATION";
        ACQUIRE_FOR_MOD_WRITE = 2, "FS_FILTER_ACQUIRE_FOR_MOD_WRITE";
        RELEASE_FOR_MOD_WRITE = 3, "FS_FILTER_RELEASE_FOR_MOD_WRITE";
        ACQUIRE_FOR_CC_FLUSH = 4, "FS_FILTER_ACQUIRE_FOR_CC_FLUSH";
        RELEASE_FOR_CC_FLUSH = 5, "FS_FILTER_RELEASE_FOR_CC_FLUSH";
        QUERY_OPEN = 6, "FS_FILTER_QUERY_OPEN";
    }

    counted_from! {
        PAGING;
        PAGING_READ = 0, "IRP_MJ_READ to page memory in";
        PAGING_WRITE = 1, "IRP_MJ_WRITE to page memory out";
        PAGING_QUERY_INFORMATION = 2, "IRP_MJ_QUERY_INFORMATION with IRP_PAGING_IO";
        PAGING_SET_INFORMATION = 3, "IRP_MJ_SET_INFORMATION with IRP_PAGING_IO";
    }

    /// The operation of that number, if there is one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        let is_major = (number as usize) < MAJORS.len();
        let is_other = number >= FAST && (number as usize) < Self::COUNT;
        if is_major || is_other {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The request with that major function code; `paging` if it is paging I/O.
    #[must_use]
    pub const fn of_request(major: u8, paging: bool) -> Option<Self> {
        if major as usize >= MAJORS.len() {
            return None;
        }
        Some(match Self(major) {
            Self::READ if paging => Self::PAGING_READ,
            Self::WRITE if paging => Self::PAGING_WRITE,
            Self::QUERY_INFORMATION if paging => Self::PAGING_QUERY_INFORMATION,
            Self::SET_INFORMATION if paging => Self::PAGING_SET_INFORMATION,
            request => request,
        })
    }

    /// The entry of fast I/O at that place among those that are observed; behind them, the FsFilter
    /// operations.
    #[must_use]
    pub const fn from_call(place: u8) -> Option<Self> {
        match FAST.checked_add(place) {
            Some(number) if number < PAGING => Some(Self(number)),
            _ => None,
        }
    }

    /// Where the FsFilter operations begin among the calls ([`Operation::from_call`]).
    pub const FIRST_FILTER_CALL: u8 = FILTER - FAST;

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether it is a call of fast I/O.
    #[must_use]
    pub const fn is_fast(self) -> bool {
        self.0 >= FAST && self.0 < FILTER
    }

    /// Whether it is an FsFilter operation.
    #[must_use]
    pub const fn is_filter(self) -> bool {
        self.0 >= FILTER && self.0 < PAGING
    }

    /// The same without regard to paging: `READ` for `paging READ`.
    #[must_use]
    pub const fn plain(self) -> Self {
        match self {
            Self::PAGING_READ => Self::READ,
            Self::PAGING_WRITE => Self::WRITE,
            Self::PAGING_QUERY_INFORMATION => Self::QUERY_INFORMATION,
            Self::PAGING_SET_INFORMATION => Self::SET_INFORMATION,
            other => other,
        }
    }

    /// Whether its information is a number of bytes that were transferred.
    #[must_use]
    pub const fn transfers(self) -> bool {
        matches!(
            self.plain(),
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

    /// What people know it by: `READ`, `paging READ`, `fast READ`.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = |names: &'static [&'static str], first: u8| {
            let place = self.0.checked_sub(first)?;
            names.get(usize::from(place)).copied()
        };
        known(&MAJORS, 0)
            .or_else(|| known(&ENTRIES, FAST))
            .or_else(|| known(&FILTER_OPERATIONS, FILTER))
            .or_else(|| known(&PAGED, PAGING))
            .unwrap_or("unknown")
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).filter_map(Self::from_number)
    }
}
