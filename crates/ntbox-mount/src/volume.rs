//! The calls on a volume of the box: each is counted, and an error status is an error.

use crate::bytes::Fields;
use crate::errors::Result;
use crate::tally::Tally;
use ntbox_kernel::nt::{
    FILE_OPEN, FILE_OPEN_REPARSE_POINT, FILE_STAT_LX_INFORMATION, FILE_SYNCHRONOUS_IO_NONALERT,
    FileStatLxInformation, STATUS_END_OF_FILE, Status, unicode,
};
use ntbox_kernel::user::access::{FILE_READ_ATTRIBUTES, FILE_READ_EA, SYNCHRONIZE};
use ntbox_kernel::user::locks::Range;
use ntbox_kernel::user::{CreateParameters, File, OpenRequest, Outcome, Pending, create_file};
use std::mem::offset_of;
use std::sync::Arc;

/// `FILE_CREATED` of a create's `Information`.
const CREATED: u32 = 2;

/// What a call gives.
pub type Called<T> = std::result::Result<T, Status>;

/// A volume by its name.
pub struct Volume {
    /// `\??\C:`.
    pub name: Vec<u16>,
    /// How its calls ended.
    pub tally: Arc<Tally>,
}

/// What an open asks for beside the name.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Rights.
    pub access: u32,
    /// `FILE_OPEN`, …
    pub disposition: u32,
    /// `FILE_DIRECTORY_FILE`, …
    pub options: u32,
    /// A list of extended attributes of a new file, or nothing.
    pub extended_attributes: &'a [u8],
    /// Requests of the handle do not wait for each other, and a wait does not keep others.
    pub asynchronous: bool,
}

impl Wanted<'static> {
    /// What is there, with these rights.
    pub fn existing(access: u32) -> Self {
        Self {
            access,
            disposition: FILE_OPEN,
            options: 0,
            extended_attributes: &[],
            asynchronous: false,
        }
    }
    /// What is there, to look at.
    pub fn state() -> Self {
        Self::existing(FILE_READ_ATTRIBUTES | FILE_READ_EA)
    }
}

/// An open file; its handle is closed with it.
pub struct Handle {
    file: Option<File>,
    tally: Arc<Tally>,
    /// It was made by this open.
    pub created: bool,
}

impl Volume {
    /// Opens or creates a file by its full name. Names differ in case, no link is followed, and everybody else may do
    /// with the file what they like, as POSIX has it. The handle is synchronous, as most of Windows' programs have them:
    /// their reads and writes are tried by fast I/O.
    ///
    /// # Errors
    /// As `NtCreateFile`.
    pub fn open(&self, name: &[u16], wanted: &Wanted<'_>) -> Called<Handle> {
        let (text, rest) = unicode::text_and_rest(name);
        let (mut options, mut access) = (wanted.options | FILE_OPEN_REPARSE_POINT, wanted.access);
        if !wanted.asynchronous {
            options |= FILE_SYNCHRONOUS_IO_NONALERT;
            access |= SYNCHRONIZE;
        }
        let opened = create_file(&CreateParameters {
            open: OpenRequest {
                name: &text,
                rest,
                access,
                disposition: wanted.disposition,
                options,
                extended_attributes: wanted.extended_attributes,
                case_sensitive: true,
                ..OpenRequest::default()
            },
            root: None,
        });
        let information = opened.outcome.information as u32;
        checked(&self.tally, opened.outcome)?;
        Ok(Handle {
            file: opened.file,
            tally: Arc::clone(&self.tally),
            created: information == CREATED,
        })
    }
}

fn checked(tally: &Tally, outcome: Outcome) -> Called<Outcome> {
    tally.note(&outcome);
    match Status(outcome.status) {
        status if status.is_error() => Err(status),
        _ => Ok(outcome),
    }
}

impl Handle {
    fn call(&self, call: impl FnOnce(&File) -> Outcome) -> Called<Outcome> {
        match &self.file {
            Some(file) => checked(&self.tally, call(file)),
            // Taken at its end alone.
            None => Err(Status(ntbox_kernel::nt::STATUS_INVALID_HANDLE)),
        }
    }

    /// Bytes at an offset; none behind the end.
    pub fn read(&self, offset: i64, length: u32) -> Called<Vec<u8>> {
        match self.call(|file| file.read(Some(offset), length)) {
            Ok(outcome) => Ok(outcome.data),
            Err(Status(STATUS_END_OF_FILE)) => Ok(Vec::new()),
            Err(status) => Err(status),
        }
    }
    /// Writes at an offset.
    pub fn write(&self, offset: i64, data: &[u8]) -> Called<usize> {
        let outcome = self.call(|file| file.write(Some(offset), data))?;
        Ok(outcome.information)
    }
    /// Flushes.
    pub fn flush(&self) -> Called<()> {
        self.call(File::flush).map(drop)
    }
    /// Information of a class.
    pub fn query(&self, class: i32, length: u32) -> Called<Vec<u8>> {
        let outcome = self.call(|file| file.query_information(class, length))?;
        Ok(outcome.data)
    }
    /// Sets information of a class.
    pub fn set(&self, class: i32, data: &[u8]) -> Called<()> {
        self.call(|file| file.set_information(class, data))
            .map(drop)
    }
    /// Sets extended attributes.
    pub fn set_extended_attributes(&self, list: &[u8]) -> Called<()> {
        self.call(|file| file.set_ea(list)).map(drop)
    }
    /// Information of the volume.
    pub fn query_volume(&self, class: i32, length: u32) -> Called<Vec<u8>> {
        let outcome = self.call(|file| file.query_volume(class, length))?;
        Ok(outcome.data)
    }
    /// A file-system control.
    pub fn control(&self, code: u32, input: &[u8], room: u32) -> Called<Vec<u8>> {
        let outcome = self.call(|file| file.fs_control(code, input, room))?;
        Ok(outcome.data)
    }
    /// Entries of a directory; none at its end.
    pub fn list(&self, class: i32, room: u32, restart: bool) -> Called<Vec<u8>> {
        let outcome = self.call(|file| file.query_directory(class, room, None, restart, false))?;
        Ok(outcome.data)
    }
    /// Locks a range, or is refused.
    pub fn lock(&self, range: Range, exclusive: bool) -> Called<()> {
        self.call(|file| file.lock(range, true, exclusive))
            .map(drop)
    }
    /// Asks for a range and does not wait for it; [`ended`](Self::ended) says what became of it.
    pub fn start_lock(&self, range: Range, exclusive: bool) -> Option<Pending<'_>> {
        let file = self.file.as_ref()?;
        Some(file.start_lock(range, false, exclusive))
    }
    /// What became of a call that was started.
    pub fn ended(&self, outcome: Outcome) -> Called<()> {
        checked(&self.tally, outcome).map(drop)
    }
    /// Gives a range back.
    pub fn unlock(&self, range: Range) -> Called<()> {
        self.call(|file| file.unlock(range)).map(drop)
    }
    /// State of the file.
    pub fn stat(&self) -> Called<Stat> {
        let data = self.query(
            FileStatLxInformation,
            size_of::<FILE_STAT_LX_INFORMATION>() as u32,
        )?;
        Ok(Stat::new(&data))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            self.tally.note(&file.close());
        }
    }
}

/// State of a file, as `FILE_STAT_LX_INFORMATION` tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Its number on the volume.
    pub id: u64,
    /// When it was made.
    pub created: i64,
    /// When it was read, written, changed.
    pub times: [i64; 3],
    /// Bytes that it takes.
    pub allocation: u64,
    /// Bytes of data.
    pub size: u64,
    /// `FILE_ATTRIBUTE_*`.
    pub attributes: u32,
    /// Tag of its reparse point, or zero.
    pub tag: u32,
    /// Names that it has.
    pub links: u32,
    /// Owner, if it was given one.
    pub user: Option<u32>,
    /// Group, if it was given one.
    pub group: Option<u32>,
    /// Mode, if it was given one.
    pub mode: Option<u32>,
    /// Major and minor number.
    pub device: (u32, u32),
}

impl Stat {
    fn new(data: &[u8]) -> Self {
        use ntbox_kernel::nt::{
            LX_FILE_METADATA_HAS_GID, LX_FILE_METADATA_HAS_MODE, LX_FILE_METADATA_HAS_UID,
        };
        macro_rules! at {
            ($field:ident) => {
                offset_of!(FILE_STAT_LX_INFORMATION, $field)
            };
        }
        let fields = Fields(data);
        let flags = fields.int(at!(LxFlags));
        let given = |flag: u32, at: usize| (flags & flag != 0).then(|| fields.int(at));
        Self {
            id: fields.long(at!(FileId)).cast_unsigned(),
            created: fields.long(at!(CreationTime)),
            times: [
                fields.long(at!(LastAccessTime)),
                fields.long(at!(LastWriteTime)),
                fields.long(at!(ChangeTime)),
            ],
            allocation: fields.long(at!(AllocationSize)).cast_unsigned(),
            size: fields.long(at!(EndOfFile)).cast_unsigned(),
            attributes: fields.int(at!(FileAttributes)),
            tag: fields.int(at!(ReparseTag)),
            links: fields.int(at!(NumberOfLinks)),
            user: given(LX_FILE_METADATA_HAS_UID, at!(LxUid)),
            group: given(LX_FILE_METADATA_HAS_GID, at!(LxGid)),
            mode: given(LX_FILE_METADATA_HAS_MODE, at!(LxMode)),
            device: (
                fields.int(at!(LxDeviceIdMajor)),
                fields.int(at!(LxDeviceIdMinor)),
            ),
        }
    }
}

/// An offset as NT has it.
///
/// # Errors
/// EFBIG, or EINVAL.
pub fn offset(offset: u64) -> Result<i64> {
    Ok(i64::try_from(offset).map_err(|_| fuser::Errno::EINVAL)?)
}
