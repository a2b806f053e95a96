//! The kinds of oplocks, and what each operation breaks them to.
//!
//! The tables are those of the DDK guide: "Breaking Oplocks", with its page for each major function.

use ntbox_kernel::nt::{
    FILE_OPLOCK_BROKEN_TO_LEVEL_2, FILE_OPLOCK_BROKEN_TO_NONE, NTSTATUS, OPLOCK_LEVEL_CACHE_HANDLE,
    OPLOCK_LEVEL_CACHE_READ, OPLOCK_LEVEL_CACHE_WRITE, STATUS_INVALID_PARAMETER,
};

/// What an oplock of Windows 7 lets its owner cache: reads, writes, the handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache(u32);

impl Cache {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Reads.
    pub const R: Self = Self(OPLOCK_LEVEL_CACHE_READ);
    /// Reads, and the handle.
    pub const RH: Self = Self(OPLOCK_LEVEL_CACHE_READ | OPLOCK_LEVEL_CACHE_HANDLE);
    /// Reads and writes.
    pub const RW: Self = Self(OPLOCK_LEVEL_CACHE_READ | OPLOCK_LEVEL_CACHE_WRITE);
    /// All.
    pub const RWH: Self = Self(Self::RH.0 | Self::RW.0);

    /// Of the flags `OPLOCK_LEVEL_CACHE_*`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for any other combination than those above.
    pub fn new(flags: u32) -> Result<Self, NTSTATUS> {
        let known = [Self::NONE, Self::R, Self::RH, Self::RW, Self::RWH];
        let found = known.into_iter().find(|cache| cache.0 == flags);
        found.ok_or(STATUS_INVALID_PARAMETER)
    }
    /// The flags.
    pub fn flags(self) -> u32 {
        self.0
    }
    /// No more than the other one has.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
    fn has(self, other: u32) -> bool {
        self.0 & other != 0
    }
    /// The handle may be kept open.
    pub fn keeps_handle(self) -> bool {
        self.has(OPLOCK_LEVEL_CACHE_HANDLE)
    }
    /// Nobody else may have one.
    pub fn is_exclusive(self) -> bool {
        self.has(OPLOCK_LEVEL_CACHE_WRITE)
    }
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Exclusive: reads and writes may be cached.
    LevelOne,
    /// Shared: reads may be cached.
    LevelTwo,
    /// Exclusive: the handle may be kept open as well.
    Batch,
    /// Exclusive: its owner steps back before others collide with it.
    Filter,
    /// Of Windows 7.
    Caching(Cache),
}

/// An operation that may break an oplock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An open of a file that is there.
    Create {
        /// It overwrites, supersedes, or reserves a filter oplock.
        to_none: bool,
        /// It asks for more than reading, and the file is not shared for reading.
        collides: bool,
        /// What it asks for and what others do with the file do not go together.
        violates: Option<Modes>,
    },
    /// IRP_MJ_READ.
    Read,
    /// IRP_MJ_WRITE.
    Write,
    /// IRP_MN_LOCK.
    Lock,
    /// A new end of file, allocation or valid data length.
    Size,
    /// Another name, of the file or of a directory above it, or the end of a name that is given to another file.
    Rename,
    /// Deletion.
    Delete,
}

/// Access and sharing of an open that violates those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Access.
    pub access: u32,
    /// `FILE_SHARE_*`.
    pub share: u32,
}

/// What an oplock breaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It is gone.
    None,
    /// Level 2.
    Two,
    /// One of Windows 7.
    Caching(Cache),
}

impl Level {
    /// `IoStatus.Information` of the request for an older oplock that breaks to this.
    pub fn information(self) -> usize {
        let information = match self {
            Self::Two => FILE_OPLOCK_BROKEN_TO_LEVEL_2,
            Self::None | Self::Caching(_) => FILE_OPLOCK_BROKEN_TO_NONE,
        };
        information as usize
    }
    /// What is left after a second break.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Caching(one), Self::Caching(other)) => Self::Caching(Cache(one.0 & other.0)),
            (Self::Two, Self::Two) => Self::Two,
            _ => Self::None,
        }
    }
}

/// What an operation does to an oplock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// What it breaks to.
    pub level: Level,
    /// The operation waits for the owner to acknowledge.
    pub waits: bool,
}

fn breaks(level: Level, waits: bool) -> Option<Break> {
    Some(Break { level, waits })
}

impl Kind {
    /// It can be had beside others.
    pub fn is_shared(self) -> bool {
        match self {
            Self::LevelTwo => true,
            Self::Caching(cache) => !cache.is_exclusive(),
            Self::LevelOne | Self::Batch | Self::Filter => false,
        }
    }
    /// Its owner has to acknowledge a break.
    pub fn is_acknowledged(self) -> bool {
        !matches!(self, Self::LevelTwo | Self::Caching(Cache::R))
    }
    /// `operation` breaks it even if it is its owner's.
    pub fn is_broken_by_owner(self, operation: Operation) -> bool {
        let changes = matches!(
            operation,
            Operation::Write | Operation::Lock | Operation::Size
        );
        self == Self::LevelTwo && changes
    }

    /// What an operation of somebody else does to an oplock of this kind.
    pub fn broken_by(self, operation: Operation) -> Option<Break> {
        match self {
            Self::Caching(cache) => cache.broken_by(operation),
            Self::LevelTwo => match operation {
                Operation::Create { to_none: true, .. }
                | Operation::Write
                | Operation::Lock
                | Operation::Size => breaks(Level::None, false),
                _ => None,
            },
            Self::Filter => match operation {
                Operation::Create { collides, .. } if !collides => None,
                Operation::Read | Operation::Lock | Operation::Delete => None,
                _ => breaks(Level::None, true),
            },
            Self::LevelOne | Self::Batch => match operation {
                Operation::Create { to_none: false, .. } | Operation::Read => {
                    breaks(Level::Two, true)
                }
                Operation::Delete => None,
                Operation::Rename if self == Self::LevelOne => None,
                _ => breaks(Level::None, true),
            },
        }
    }
}

impl Cache {
    fn broken_by(self, operation: Operation) -> Option<Break> {
        let to = |cache, waits| breaks(Level::Caching(cache), waits);
        // Without the right to write it has nothing that would have to be written back first.
        let exclusive = self.is_exclusive();
        match operation {
            Operation::Create {
                to_none: true,
                violates,
                ..
            } => to(
                Self::NONE,
                exclusive || self.keeps_handle() && violates.is_some(),
            ),
            Operation::Create { violates, .. } => match self {
                Self::RH if violates.is_some() => to(Self::R, true),
                Self::RW => to(Self::R, true),
                Self::RWH if violates.is_some() => to(Self::RW, true),
                Self::RWH => to(Self::RH, true),
                _ => None,
            },
            Operation::Read if exclusive => to(Self(self.0 & Self::RH.0), true),
            Operation::Read => None,
            Operation::Write | Operation::Size => to(Self::NONE, exclusive),
            Operation::Lock => to(Self::NONE, self == Self::RW),
            Operation::Rename | Operation::Delete if self.keeps_handle() => {
                to(Self(self.0 & Self::RW.0), true)
            }
            Operation::Rename | Operation::Delete => None,
        }
    }
}
