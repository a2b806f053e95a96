//! IRP_MJ_CREATE: dispositions and options.
//!
//! Where file systems differ, this one does as FAT does (its source is
//! published): an existing directory cannot be overwritten
//! (`STATUS_OBJECT_NAME_COLLISION`), hidden and system files keep their
//! attributes or are not overwritten. FAT has no opens by file id; they do as on NTFS,
//! which knows no file of a wrong id (`STATUS_INVALID_PARAMETER`) and neither
//! deletes nor renames one that was opened so. Security descriptors are stored and shown but grant or deny
//! nothing.

use super::host_status;
use super::names::Path;
use super::opens::enter;
use super::oplocks::Key;
use super::overlay::NamedStream;
use super::share::{SHARE_WRITE, Use, access};
use super::volume::{Link, Object, OpenId, State, VOLUME_FILE, Volume};
use super::waiting::Effects;
use ntbox_kernel::host::file::{Identity, Kind};
use ntbox_kernel::io_manager::sections;
use ntbox_kernel::nt::{
    FILE_CREATE, FILE_DELETE_ON_CLOSE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE, FILE_OPEN,
    FILE_OPEN_IF, FILE_OVERWRITE, FILE_OVERWRITE_IF, FILE_SUPERSEDE, NTSTATUS,
    STATUS_ACCESS_DENIED, STATUS_CANNOT_DELETE, STATUS_DELETE_PENDING, STATUS_FILE_IS_A_DIRECTORY,
    STATUS_INVALID_PARAMETER, STATUS_NOT_A_DIRECTORY, STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_INVALID, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND,
    STATUS_SHARING_VIOLATION,
};

/// What a create asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The name: absolute, or relative to `related`.
    pub name: Vec<u16>,
    /// With `FILE_OPEN_BY_FILE_ID`: the id that stands for the name.
    pub id: Option<u64>,
    /// The open that the name is relative to.
    pub related: Option<OpenId>,
    /// `FILE_OPEN`, `FILE_CREATE`, …
    pub disposition: u32,
    /// `FILE_DIRECTORY_FILE`, …
    pub options: u32,
    /// `FILE_ATTRIBUTE_*` of a new file.
    pub attributes: u32,
    /// `FILE_SHARE_*`.
    pub share: u32,
    /// Access, generic rights included.
    pub desired: u32,
    /// Allocation of a new file.
    pub allocation: i64,
    /// `SL_OPEN_TARGET_DIRECTORY`: the directory that holds the name is meant.
    pub open_target_directory: bool,
    /// `SL_CASE_SENSITIVE`.
    pub case_sensitive: bool,
    /// The memory manager keeps pages in it.
    pub page_file: bool,
    /// Self-relative security descriptor of a new file.
    pub security: Option<Vec<u8>>,
    /// The key of its oplocks (`GUID_ECP_OPLOCK_KEY`, `GUID_ECP_DUAL_OPLOCK_KEY`).
    pub oplock_key: Option<Key>,
    /// A list of extended attributes of a new file (`FILE_FULL_EA_INFORMATION`), or nothing.
    pub extended_attributes: Vec<u8>,
}

/// What was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The volume.
    Volume,
    /// A directory.
    Directory,
    /// A file.
    File,
}

/// A create that succeeded.
#[derive(Clone, Debug)]
pub struct Created {
    /// The open.
    pub open: OpenId,
    /// Its file.
    pub file: Identity,
    /// What it is.
    pub opened: Opened,
    /// `FILE_OPENED`, `FILE_CREATED`, … or, for a target directory, `FILE_EXISTS` or
    /// `FILE_DOES_NOT_EXIST`.
    pub information: usize,
    /// Access that was granted.
    pub granted: u32,
    /// How it shares the file.
    pub shared: Use,
    /// Reads and writes may be tried as fast I/O.
    pub cached: bool,
    /// The memory manager keeps pages in it.
    pub page_file: bool,
    /// Units of the last component, for a target directory.
    pub last_component: usize,
    /// An oplock is breaking that the create did not wait for (`FILE_COMPLETE_IF_OPLOCKED`).
    pub breaks_oplock: bool,
}

/// Values of `IoStatus.Information` after a create.
pub(super) mod result {
    pub const SUPERSEDED: usize = 0;
    pub const OPENED: usize = 1;
    pub const CREATED: usize = 2;
    pub const OVERWRITTEN: usize = 3;
    pub const EXISTS: usize = 4;
    pub const DOES_NOT_EXIST: usize = 5;
}

/// Rights that a read-only volume gives to nobody.
const CHANGES: u32 = access::WRITE_DATA
    | access::APPEND_DATA
    | access::WRITE_EA
    | access::WRITE_ATTRIBUTES
    | access::DELETE
    | access::DELETE_CHILD
    | access::WRITE_DAC
    | access::WRITE_OWNER;

/// Specific rights for generic ones; `MAXIMUM_ALLOWED` gives all but `kept_out`.
fn granted(desired: u32, kept_out: u32) -> u32 {
    let mut rights = desired & 0x01FF_FFFF;
    for (generic, specific) in [
        (access::GENERIC_READ, access::FILE_READ),
        (access::GENERIC_WRITE, access::FILE_WRITE),
        (access::GENERIC_EXECUTE, access::FILE_EXECUTE),
        (access::GENERIC_ALL, access::FILE_ALL),
    ] {
        if desired & generic != 0 {
            rights |= specific;
        }
    }
    if desired & access::MAXIMUM_ALLOWED != 0 {
        rights |= access::FILE_ALL & !kept_out;
    }
    rights
}

impl Request {
    pub(super) fn has(&self, option: u32) -> bool {
        self.options & option != 0
    }
    pub(super) fn overwrites(&self) -> bool {
        matches!(
            self.disposition,
            FILE_SUPERSEDE | FILE_OVERWRITE | FILE_OVERWRITE_IF
        )
    }
    fn check(&self) -> Result<(), NTSTATUS> {
        let directory = self.has(FILE_DIRECTORY_FILE);
        let wrong = self.disposition > FILE_OVERWRITE_IF
            || self.id.is_some() && self.open_target_directory
            || directory && (self.has(FILE_NON_DIRECTORY_FILE) || self.overwrites())
            || self.allocation < 0;
        if wrong {
            Err(STATUS_INVALID_PARAMETER)
        } else {
            Ok(())
        }
    }
}

/// The result of a new open, before it is entered.
pub(super) struct New {
    /// Which file.
    pub file: Identity,
    /// What it is on the host.
    pub object: Object,
    /// The name it was opened by.
    pub link: Link,
    /// What was done.
    pub information: usize,
    /// Access that is granted.
    pub granted: u32,
    /// How it shares.
    pub shared: Use,
    /// An oplock is breaking that the create did not wait for.
    pub breaks_oplock: bool,
    /// What was opened is a named stream.
    pub stream: Option<NewStream>,
    /// The components that were given by short names.
    pub short_names: Vec<(usize, Vec<u16>)>,
}

/// The file of a named stream that is opened.
pub(super) struct NewStream {
    /// Which file.
    pub whole: Identity,
    /// What it is on the host.
    pub whole_object: Object,
    /// The stream in it.
    pub named: NamedStream,
}

impl Volume {
    /// Opens or creates.
    ///
    /// # Errors
    /// The statuses of `NtCreateFile`; `STATUS_PENDING` if it waits, as the request of `effects`;
    /// `STATUS_REPARSE` if the name goes on elsewhere, as `effects` says.
    pub fn create(
        &self,
        request: &Request,
        effects: &mut Effects<'_>,
    ) -> Result<Created, NTSTATUS> {
        request.check()?;
        let mut state = self.state();
        if let Some(status) = state.gone() {
            return Err(status);
        }
        if state.locked_by.is_some() {
            return Err(STATUS_ACCESS_DENIED);
        }
        let (mut path, volume) = self.full_path(&state, request)?;
        let stream = path.stream.clone();
        if stream.is_some() && (path.trailing_backslash || request.open_target_directory) {
            return Err(STATUS_OBJECT_NAME_INVALID);
        }
        let (mut target, mut short_names) = (None, Vec::new());
        if request.open_target_directory {
            let last = path.components.last().ok_or(STATUS_OBJECT_NAME_INVALID)?;
            let resolved = self.resolve(&state, request, &path, false, &mut effects.met)?;
            let found = if resolved.existing.is_some() {
                result::EXISTS
            } else {
                result::DOES_NOT_EXIST
            };
            target = Some((found, last.len()));
            path.components = resolved.components;
            path.components.pop();
            short_names = resolved.short_names;
            path.trailing_backslash = false;
        }
        let mut new = match stream {
            Some(stream) => self.open_stream(&mut state, request, path, &stream, effects)?,
            None if volume => open_volume(&state, request)?,
            None => self.open_whole(&mut state, request, path, effects)?,
        };
        new.short_names.extend(short_names);
        let breaks_oplock = new.breaks_oplock;
        let mut created = enter(&mut state, request, new);
        created.breaks_oplock = breaks_oplock;
        if let Some((found, units)) = target {
            created.information = found;
            created.last_component = units;
        }
        Ok(created)
    }

    /// Opens or creates the file or directory at a path.
    pub(super) fn open_whole(
        &self,
        state: &mut State,
        request: &Request,
        path: Path,
        effects: &mut Effects<'_>,
    ) -> Result<New, NTSTATUS> {
        if path.components.is_empty() {
            return self.open_root(state, request);
        }
        let resolved = self.resolve(state, request, &path, true, &mut effects.met)?;
        let backslash = path.trailing_backslash;
        match resolved.existing {
            Some(_) => self.open_existing(state, request, resolved, backslash, effects),
            None => self.create_new(state, request, resolved, backslash, effects),
        }
    }

    /// State of the file at the name, without opening it (`FastIoQueryOpen`); the statuses
    /// that an open for attributes would give.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn state_at(&self, request: &Request) -> Result<super::volume::FileState, NTSTATUS> {
        request.check()?;
        let state = self.state();
        if let Some(status) = state.gone() {
            return Err(status);
        }
        if state.locked_by.is_some() {
            return Err(STATUS_ACCESS_DENIED);
        }
        let (path, volume) = self.full_path(&state, request)?;
        if volume {
            return Err(STATUS_INVALID_PARAMETER);
        }
        let metadata = if path.components.is_empty() {
            let root = self.tree.root()?;
            root.metadata().map_err(|error| host_status::of(&error))?
        } else {
            let resolved = self.resolve(&state, request, &path, true, &mut None)?;
            let existing = resolved.existing.ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
            refuse_if_going(&state, existing.metadata.identity, &resolved.components)?;
            existing.metadata
        };
        check_kind(
            request,
            metadata.kind == Kind::Directory,
            path.trailing_backslash,
        )?;
        Ok(state.entry_state(&metadata))
    }

    fn open_root(&self, state: &State, request: &Request) -> Result<New, NTSTATUS> {
        if request.disposition == FILE_CREATE || request.overwrites() {
            return Err(STATUS_OBJECT_NAME_COLLISION);
        }
        check_kind(request, true, false)?;
        if request.has(FILE_DELETE_ON_CLOSE) {
            return Err(STATUS_CANNOT_DELETE);
        }
        let root = self.tree.root()?;
        let metadata = root.metadata().map_err(|error| host_status::of(&error))?;
        let granted = self.granted(request, 0)?;
        let shared = share(state, metadata.identity, request, granted, 0)?;
        Ok(New {
            file: metadata.identity,
            object: Object::Directory(root),
            link: Link::new(Vec::new(), None, Default::default()),
            information: result::OPENED,
            granted,
            shared,
            breaks_oplock: false,
            stream: None,
            short_names: Vec::new(),
        })
    }

    /// The whole path that a request means, by a name or an id; true if it means the volume itself.
    fn full_path(&self, state: &State, request: &Request) -> Result<(Path, bool), NTSTATUS> {
        let Some(id) = request.id else {
            return full_path(state, request);
        };
        let path = Path {
            components: self.tree.path_of(id).ok_or(STATUS_INVALID_PARAMETER)?,
            ..Path::default()
        };
        Ok((path, false))
    }

    /// What is granted on this volume.
    pub(super) fn granted(&self, request: &Request, kept_out: u32) -> Result<u32, NTSTATUS> {
        if !self.description.read_only {
            return Ok(granted(request.desired, kept_out));
        }
        let rights = granted(request.desired, CHANGES);
        let refused = rights & CHANGES != 0 || request.has(FILE_DELETE_ON_CLOSE);
        if refused {
            Err(STATUS_ACCESS_DENIED)
        } else {
            Ok(rights)
        }
    }
}

/// The whole path that the name of a request means; true if it means the volume itself.
fn full_path(state: &State, request: &Request) -> Result<(Path, bool), NTSTATUS> {
    let Some(related) = request.related else {
        return match request.name.is_empty() {
            true => Ok((Path::default(), true)),
            false => Ok((Path::absolute(&request.name)?, false)),
        };
    };
    state.usable(related)?;
    let file = state.file_of(related)?;
    let mut path = Path::relative(&request.name)?;
    match file.object {
        Object::Volume if path.components.is_empty() && path.stream.is_none() => {
            return Ok((path, true));
        }
        // Only a directory holds names; any file may be opened again by none.
        Object::File(_) if path.components.is_empty() => {}
        Object::Directory(_) => {}
        _ => return Err(STATUS_OBJECT_PATH_NOT_FOUND),
    }
    let mut components = state.link_of(related)?.components.clone();
    components.append(&mut path.components);
    Ok((Path { components, ..path }, false))
}

/// Directory or file, as the options want it.
pub(super) fn check_kind(
    request: &Request,
    directory: bool,
    trailing_backslash: bool,
) -> Result<(), NTSTATUS> {
    if request.open_target_directory {
        return if directory {
            Ok(())
        } else {
            Err(STATUS_OBJECT_PATH_NOT_FOUND)
        };
    }
    match directory {
        true if request.has(FILE_NON_DIRECTORY_FILE) => Err(STATUS_FILE_IS_A_DIRECTORY),
        false if request.has(FILE_DIRECTORY_FILE) => Err(STATUS_NOT_A_DIRECTORY),
        false if trailing_backslash => Err(STATUS_OBJECT_NAME_INVALID),
        _ => Ok(()),
    }
}

/// Rights to what a file holds.
const USING: u32 =
    access::READ_DATA | access::WRITE_DATA | access::APPEND_DATA | access::EXECUTE | access::DELETE;

/// How a create shares the file, if it may; `more` is access that it needs beside.
pub(super) fn share(
    state: &State,
    file: Identity,
    request: &Request,
    granted: u32,
    more: u32,
) -> Result<Use, NTSTATUS> {
    if let Some(file) = state.files.get(&file) {
        // A view that may be written outlives the handles that are counted.
        let keeps_writers_out = request.share & SHARE_WRITE == 0 && (granted | more) & USING != 0;
        if keeps_writers_out && sections::writable_views(file.sections) != 0 {
            return Err(STATUS_SHARING_VIOLATION);
        }
        file.shares.check(Use::new(granted | more, request.share))?;
    }
    Ok(Use::new(granted, request.share))
}

fn open_volume(state: &State, request: &Request) -> Result<New, NTSTATUS> {
    if !matches!(request.disposition, FILE_OPEN | FILE_OPEN_IF) || request.has(FILE_DELETE_ON_CLOSE)
    {
        return Err(STATUS_ACCESS_DENIED);
    }
    if request.has(FILE_DIRECTORY_FILE) {
        return Err(STATUS_NOT_A_DIRECTORY);
    }
    let granted = granted(request.desired, 0);
    let shared = share(state, VOLUME_FILE, request, granted, 0)?;
    Ok(New {
        file: VOLUME_FILE,
        object: Object::Volume,
        link: Link::new(Vec::new(), None, Default::default()),
        information: result::OPENED,
        granted,
        shared,
        breaks_oplock: false,
        stream: None,
        short_names: Vec::new(),
    })
}

/// A name that is about to go cannot be opened.
pub(super) fn refuse_if_going(
    state: &State,
    file: Identity,
    components: &[Vec<u16>],
) -> Result<(), NTSTATUS> {
    let link = state
        .files
        .get(&file)
        .and_then(|file| file.link_at(components));
    if link.is_some_and(|(_, link)| link.delete_pending) {
        Err(STATUS_DELETE_PENDING)
    } else {
        Ok(())
    }
}
