//! What a program does, as values: each operation means something whatever was done before it, so
//! that any of them can be left out of a program. How they are drawn is in [`super::generate`].

use crate::user::Writer;

/// Handles that a thread can have open.
pub const SLOTS: u8 = 6;

/// Names in a thread's directory. Some are directories in one moment and files in another; two
/// differ in case alone, in two directories; two are streams. The last ones
/// may be short names.
pub const NAMES: [&str; 15] = [
    "a", "b", "c", "A", "d1", "d2", r"d1\a", r"d1\b", r"d2\c", "e.txt", "a:s", "d1:s", r"d1\A",
    "A~1", r"D~1\a",
];

/// Bytes of a block: transfers begin and end at blocks.
pub const BLOCK: u32 = 4096;

/// A name on one of the volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Volume 0 is the thread's own; the threads share the others.
    pub volume: u8,
    /// Index in [`NAMES`].
    pub name: u8,
}

/// An open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create {
    /// Where the handle goes; one that is there is closed first.
    pub slot: u8,
    /// What is opened.
    pub at: Name,
    /// The name is relative to the thread's directory.
    pub relative: bool,
    /// `FILE_OPEN`, ….
    pub disposition: u32,
    /// Create options.
    pub options: u32,
    /// Rights asked for.
    pub access: u32,
    /// `FILE_SHARE_*`.
    pub share: u32,
    /// `FILE_ATTRIBUTE_*`.
    pub attributes: u32,
    /// Events are passed with the calls of a synchronous handle, too.
    pub events: bool,
}

/// A transfer among several that are outstanding at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// A write.
    pub write: bool,
    /// Its block.
    pub block: u8,
    /// It is cancelled at once.
    pub cancel: bool,
}

/// Bytes that are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    /// First block.
    pub block: u8,
    /// Blocks.
    pub blocks: u8,
}

/// Which oplock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OplockKind {
    /// `FSCTL_REQUEST_OPLOCK_LEVEL_1`.
    LevelOne,
    /// `FSCTL_REQUEST_OPLOCK_LEVEL_2`.
    LevelTwo,
    /// `FSCTL_REQUEST_BATCH_OPLOCK`.
    Batch,
    /// `FSCTL_REQUEST_FILTER_OPLOCK`.
    Filter,
    /// `FSCTL_REQUEST_OPLOCK` for these `OPLOCK_LEVEL_CACHE_*`.
    Caching(u32),
}

/// How another thread opens the file that has an oplock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// For reading.
    Read,
    /// For reading and writing.
    Write,
    /// For reading and writing, shared with nobody who reads.
    Colliding,
    /// To be overwritten.
    Overwrite,
    /// For reading and writing, without waiting for the end of a break.
    DoNotWait,
    /// For reading and writing, and to have an oplock: nothing is to break.
    RequiringOplock,
}

/// What the other thread does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Nothing.
    Nothing,
    /// A read.
    Read,
    /// A write.
    Write,
    /// A new end of file.
    End,
    /// A lock.
    Lock,
    /// Another name.
    Rename,
    /// Deletion, which is taken back.
    Delete,
}

/// What the owner of an oplock answers to a break; one of Windows 7 in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `FSCTL_OPLOCK_BREAK_ACKNOWLEDGE`.
    Acknowledge,
    /// `FSCTL_OPLOCK_BREAK_ACK_NO_2`.
    NoLevelTwo,
    /// `FSCTL_OPBATCH_ACK_CLOSE_PENDING`, then it closes.
    ClosePending,
    /// It closes.
    Close,
}

/// How the device under a volume is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is asked whether it may go, and stays.
    Ask,
    /// The same without the thread's directory, which is open: it goes, if nothing else is.
    TakeOut,
    /// It is pulled; handles on it stay open.
    Pull,
}

/// What becomes of the medium in a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// It is put in again.
    Same,
    /// Another one is put in meanwhile.
    Other,
    /// The drive is empty meanwhile.
    Nothing,
}

/// An operation. Those on a slot do nothing if it has no handle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "what a field is stands with its operation")]
pub enum Operation {
    /// Opens or creates.
    Create(Create),
    /// Closes the handle; what is outstanding on it ends and is waited for.
    Close { slot: u8 },
    /// Reads at an offset, or at the current position.
    Read {
        slot: u8,
        offset: Option<i64>,
        length: u32,
    },
    /// Writes, always this byte.
    Write {
        slot: u8,
        offset: Option<i64>,
        length: u32,
        byte: u8,
    },
    /// Several transfers at the same time; they end in any order and are waited for in theirs.
    Overlap { slot: u8, parts: Vec<Part> },
    /// A transfer that the file system holds until it is cancelled.
    Hold { slot: u8, write: bool },
    /// Locks a range; on an asynchronous handle it may stay outstanding.
    Lock {
        slot: u8,
        range: Locked,
        exclusive: bool,
        wait: bool,
    },
    /// Unlocks a range.
    Unlock { slot: u8, range: Locked },
    /// Watches a directory, told by records of a class, or of that of the first watch by its handle; stays outstanding.
    Watch {
        slot: u8,
        filter: u32,
        tree: bool,
        class: i32,
    },
    /// Cancels one of the outstanding requests and waits for it.
    Cancel { which: u8 },
    /// Cancels all requests of the thread on the handle.
    CancelAll { slot: u8 },
    /// Queries information.
    Query { slot: u8, class: i32, length: u32 },
    /// Queries a file's attributes by its name.
    QueryName { at: Name },
    /// Queries volume information.
    QueryVolume { slot: u8, class: i32 },
    /// Queries the security descriptor.
    QuerySecurity { slot: u8 },
    /// Queries extended attributes, or sets one, of as many bytes.
    ExtendedAttributes { slot: u8, set: Option<u16> },
    /// Queries the quotas of the volume, or sets them.
    Quota { slot: u8, set: bool },
    /// Sets the label of the volume again.
    Label { slot: u8 },
    /// Sets the end of the file, or its allocation.
    SetEnd { slot: u8, class: i32, size: i64 },
    /// Has a directory tell names apart by case, or not.
    TellCase { slot: u8, on: bool },
    /// Sets the short name of a file or directory, or takes it away.
    ShortName { slot: u8, name: &'static str },
    /// Makes a file sparse, takes room of blocks away, or asks which have it.
    Room {
        slot: u8,
        draw: u8,
        block: u8,
        blocks: u8,
    },
    /// Sets attributes.
    SetAttributes { slot: u8, attributes: u32 },
    /// Sets the position.
    SetPosition { slot: u8, position: i64 },
    /// Renames the file under its open handle, or gives it another name, with `FILE_RENAME_*` flags.
    Rename {
        slot: u8,
        to: Name,
        link: bool,
        flags: u32,
    },
    /// Makes the file a symbolic link, or the directory a mount point, opens what it leads to, and makes it an ordinary
    /// one again.
    Follow { at: Name, to: Name, mount: bool },
    /// Lets the file be deleted when it is closed, or not.
    Delete { slot: u8, delete: bool },
    /// Lists a directory.
    List {
        slot: u8,
        class: i32,
        pattern: Option<&'static str>,
        restart: bool,
        single: bool,
    },
    /// Flushes.
    Flush { slot: u8 },
    /// A file-system control, or a device control.
    Control { slot: u8, code: u32, device: bool },
    /// Maps the file; the view outlives the handle, until another file is mapped in the slot.
    Map { slot: u8, writable: bool },
    /// Ends the view of the slot.
    Unmap { slot: u8 },
    /// Reads a page of the view, if the slot has one, or of the cache.
    PageIn { slot: u8, page: u8 },
    /// Reads or writes in the pages of the cache, as a file server does: full of a byte, if it writes.
    ByMdl {
        slot: u8,
        block: u8,
        blocks: u8,
        write: Option<u8>,
    },
    /// Has a page written that is full of `byte`, as one of the view, if the slot has one, or of the cache.
    PageOut {
        slot: u8,
        page: u8,
        byte: u8,
        writer: Writer,
    },
    /// Asks for an oplock, which another thread may break.
    Oplock {
        at: Name,
        kind: OplockKind,
        opening: Opening,
        touch: Touch,
        answer: Answer,
    },
    /// Dismounts the thread's own volume; handles on it stay open.
    Dismount { lock: bool },
    /// Removes the device under the thread's own volume, and puts it in again.
    Remove { how: Removal },
    /// Takes the medium of the thread's own volume out, and puts it in again; handles on it stay open.
    Exchange { how: Exchange },
}
