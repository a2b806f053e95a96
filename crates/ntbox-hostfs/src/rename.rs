//! Renames (`FileRenameInformation`), and what they have in common with [hard links](super::links).
//!
//! As on NTFS, a directory below which anything is open is not renamed, and a
//! file that is open is not replaced, unless `POSIX_SEMANTICS` is asked for:
//! both are `STATUS_ACCESS_DENIED`.

use super::host_status;
use super::names;
use super::notify::{Action, Change, change};
use super::oplocks::Operation;
use super::resolve::Resolved;
use super::volume::{FileNode, Link, Object, OpenId, State, Volume, attribute};
use super::waiting::Effects;
use ntbox_kernel::host::file::{Directory, Identity, Kind, Metadata, Replace};
use ntbox_kernel::io_manager::sections;
use ntbox_kernel::nt::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_DELETE_PENDING, STATUS_INVALID_PARAMETER,
    STATUS_MEDIA_WRITE_PROTECTED, STATUS_NOT_A_DIRECTORY, STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_INVALID, STATUS_OBJECT_PATH_NOT_FOUND, STATUS_SHARING_VIOLATION,
    STATUS_SUCCESS,
};
use std::sync::Arc;

/// `FILE_RENAME_IGNORE_READONLY_ATTRIBUTE` of the Ex classes.
pub const IGNORE_READONLY: u32 = 0x40;
/// `FILE_RENAME_REPLACE_IF_EXISTS`.
pub const REPLACE: u32 = 0x1;
/// `FILE_RENAME_POSIX_SEMANTICS`: what is replaced may be open, and goes on being used by who has it open.
pub const POSIX_SEMANTICS: u32 = 0x2;

/// Where a rename or a new link goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The open directory it goes to; none is the one the file is in.
    pub directory: Option<OpenId>,
    /// The new name, one component.
    pub name: Vec<u16>,
    /// [`REPLACE`], [`POSIX_SEMANTICS`], [`IGNORE_READONLY`].
    pub flags: u32,
}

/// The new place, looked up.
pub(super) struct Place {
    /// The directory that it is in.
    pub directory: Arc<Directory>,
    /// Its path as it was asked for.
    pub components: Vec<Vec<u16>>,
    /// What is there.
    pub resolved: Resolved,
    /// What is there is reached by a link of the host.
    alias: bool,
}

impl Volume {
    /// Gives the open file another name or place.
    pub fn rename(&self, id: OpenId, target: &Target, effects: &mut Effects<'_>) -> NTSTATUS {
        self.try_rename(id, target, effects)
            .err()
            .unwrap_or(STATUS_SUCCESS)
    }

    fn try_rename(
        &self,
        id: OpenId,
        target: &Target,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        if self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        let mut state = self.state();
        state.usable(id)?;
        let is_stream = state.file_of(id)?.stream.is_some();
        if is_stream || target.name.first() == Some(&names::COLON) {
            return state.rename_stream(id, target, effects);
        }
        self.rename_file(&mut state, id, target, effects)
    }

    /// Renames the file, also through a handle of one of its streams.
    pub(super) fn rename_file(
        &self,
        state: &mut State,
        id: OpenId,
        target: &Target,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        if state.usable(id)?.by_id {
            return Err(STATUS_INVALID_PARAMETER);
        }
        let node = state.whole_of(id)?;
        let is_directory = match node.object {
            Object::Volume => return Err(STATUS_INVALID_PARAMETER),
            Object::Directory(_) => true,
            Object::File(_) => false,
        };
        let link = state.link_of(id)?;
        if link.delete_pending || link.removed {
            return Err(STATUS_DELETE_PENDING);
        }
        let Some(parent) = link.parent.clone() else {
            return Err(STATUS_INVALID_PARAMETER);
        };
        let (old_name, old_path) = (link.name.clone(), link.components.clone());
        if is_directory {
            state.close_below(&old_path, id, effects)?;
        }
        let place = self.place(state, id, target)?;
        let new_name = names::to_host(&target.name)?;
        let new_path = place.components.clone();
        if new_path == old_path {
            return Ok(());
        }
        // The same entry under another case is the file itself, not something in the way.
        let itself = place.resolved.components == old_path;
        let replaces = place.resolved.existing.is_some() && !itself;
        if replaces {
            self.check_replacement(state, &place, target, id, effects)?;
        }
        if is_directory && new_path.starts_with(&old_path) {
            return Err(STATUS_ACCESS_DENIED);
        }
        let (from, to) = (parent, Arc::clone(&place.directory));
        let failed = |error: std::io::Error| host_status::of(&error);
        let own = state.usable(id)?.whole;
        let existing = place.replaced().filter(|_| replaces);
        let is_own = existing.is_some_and(|there| there.identity == own);
        let replaced_file = existing.filter(|_| !is_own);
        let there = &place.resolved.name;
        let replaced = place.resolved.existing.as_ref().filter(|_| replaces);
        let replaced = replaced.map(|there| Change {
            path: place.resolved.components.clone(),
            action: Action::Removed,
            filter: change::FILE_NAME,
            entry: state.entry(&there.metadata, Some(&to)),
        });
        match (replaces, is_own) {
            (false, _) => from.rename(&old_name, &to, &new_name, Replace::No),
            // The host takes a rename from one name of a file to another one for nothing to do.
            (true, true) => from.remove_file(&old_name),
            (true, false) => from.rename(&old_name, &to, there, Replace::Yes),
        }
        .map_err(failed)?;
        if replaces && *there != new_name {
            // It has the other case if the host does not let it have this one.
            let _ = to.rename(there, &to, &new_name, Replace::No);
        }
        if replaces && !is_own {
            place.end_names(state);
        }
        state.move_short_names(&old_path, &new_path);
        state.moved(&old_path, &new_path);
        let link = state.link_of_mut(id)?;
        link.parent = Some(Arc::clone(&to));
        link.name = new_name;
        link.components.clone_from(&new_path);
        if let Some(gone) = replaced_file {
            state.forget_replaced(&gone);
        }
        let metadata = state.whole_of(id)?.metadata()?;
        let metadata = metadata.ok_or(STATUS_INVALID_PARAMETER)?;
        if !is_directory {
            let attributes = state.attributes(&metadata) | attribute::ARCHIVE;
            state.set_attributes(&metadata, attributes);
        }
        // What is called otherwise has no short name, and what was replaced no name.
        let old_last = old_path.last().map_or(&[][..], Vec::as_slice);
        state.drop_short_name(&metadata, &from, old_last);
        if let Some(replaced) = replaced {
            state.report(&[replaced], effects);
        }
        report_move(state, &metadata, (old_path, from), (new_path, to), effects);
        Ok(())
    }

    pub(super) fn place(
        &self,
        state: &State,
        id: OpenId,
        target: &Target,
    ) -> Result<Place, NTSTATUS> {
        if target.name.contains(&names::BACKSLASH) {
            return Err(STATUS_OBJECT_NAME_INVALID);
        }
        names::to_host(&target.name)?;
        let (directory, mut components) = match target.directory {
            None => {
                let link = state.link_of(id)?;
                let parent = link.parent.clone().ok_or(STATUS_INVALID_PARAMETER)?;
                let mut components = link.components.clone();
                components.pop();
                (parent, components)
            }
            Some(open) => {
                state.usable(open)?;
                let link = state.link_of(open)?;
                if link.delete_pending || link.removed {
                    return Err(STATUS_DELETE_PENDING);
                }
                match &state.file_of(open)?.object {
                    Object::Directory(directory) => {
                        (Arc::clone(directory), link.components.clone())
                    }
                    Object::File(_) => return Err(STATUS_NOT_A_DIRECTORY),
                    Object::Volume => return Err(STATUS_OBJECT_PATH_NOT_FOUND),
                }
            }
        };
        components.push(target.name.clone());
        let case_sensitive = state.usable(id)?.case_sensitive;
        let lookup = state.lookup(case_sensitive);
        let resolved = self.tree.resolve(&components, &lookup)?;
        let entry = directory.metadata_of(&resolved.name);
        let alias = entry.is_ok_and(|entry| entry.kind == Kind::Link);
        Ok(Place {
            directory,
            components,
            resolved,
            alias,
        })
    }

    /// Whether what lies at the new place may be replaced, and the end of its name if so.
    pub(super) fn check_replacement(
        &self,
        state: &mut State,
        place: &Place,
        target: &Target,
        by: OpenId,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        if target.flags & REPLACE == 0 {
            return Err(STATUS_OBJECT_NAME_COLLISION);
        }
        let Some(existing) = &place.resolved.existing else {
            return Ok(());
        };
        let read_only = state.attributes(&existing.metadata) & attribute::READONLY != 0;
        if existing.metadata.kind == Kind::Directory
            || read_only && target.flags & IGNORE_READONLY == 0
        {
            return Err(STATUS_ACCESS_DENIED);
        }
        let identity = existing.metadata.identity;
        // Who has it open for nothing but an oplock may close it.
        for file in state.with_streams(identity) {
            state.break_oplock(file, by, Operation::Rename, effects)?;
        }
        let Some(node) = state.files.get(&identity) else {
            return Ok(());
        };
        let mut living = node.links.values().filter(|link| !link.removed);
        if living.any(|link| link.handles != 0) {
            if target.flags & POSIX_SEMANTICS == 0 {
                return Err(STATUS_ACCESS_DENIED);
            }
            if !node.shares.lets_delete() {
                return Err(STATUS_SHARING_VIOLATION);
            }
            state.check_streams_shared(&existing.metadata)?;
        } else if target.flags & POSIX_SEMANTICS == 0 && sections::is_mapped(node.sections) {
            // A view of it has outlived the last handle.
            return Err(STATUS_ACCESS_DENIED);
        }
        Ok(())
    }
}

impl Place {
    /// The file that is replaced here, if its entry is no link of the host to it.
    pub(super) fn replaced(&self) -> Option<Metadata> {
        let existing = self.resolved.existing.as_ref().filter(|_| !self.alias)?;
        Some(existing.metadata)
    }

    /// The names by which the file that was replaced is open are gone.
    pub(super) fn end_names(&self, state: &mut State) {
        let Some(existing) = &self.resolved.existing else {
            return;
        };
        if let Some(long) = self.resolved.components.last() {
            state.drop_short_name(&existing.metadata, &self.directory, long);
        }
        let Some(node) = state.files.get_mut(&existing.metadata.identity) else {
            return;
        };
        let replaced = |link: &&mut Link| link.components == self.resolved.components;
        for link in node.links.values_mut().filter(replaced) {
            (link.removed, link.alias) = (true, self.alias);
        }
    }
}

impl State {
    /// A file was replaced. Who has it open still uses it: then it is gone when that ends.
    pub(super) fn forget_replaced(&mut self, file: &Metadata) {
        if file.links <= 1 && !self.files.contains_key(&file.identity) {
            self.overlays.forget(file.identity);
        }
    }

    /// The files strictly below `path` that a handle is open on, and their streams.
    fn open_below(&self, path: &[Vec<u16>]) -> Vec<Identity> {
        let below = |link: &Link| {
            link.handles != 0
                && !link.removed
                && link.components.len() > path.len()
                && link.components.starts_with(path)
        };
        let open = |file: &FileNode| file.links.values().any(below);
        let files = self.files.iter().filter(|(_, file)| open(file));
        files
            .flat_map(|(identity, _)| self.with_streams(*identity))
            .collect()
    }
    /// Has what is open strictly below `path`, which `by` gives another name, closed by who has an oplock of it.
    ///
    /// # Errors
    /// `STATUS_ACCESS_DENIED` if a handle stays open; those of the oplocks.
    pub(super) fn close_below(
        &mut self,
        path: &[Vec<u16>],
        by: OpenId,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        for below in self.open_below(path) {
            self.break_oplock(below, by, Operation::Rename, effects)?;
        }
        match self.open_below(path).is_empty() {
            true => Ok(()),
            false => Err(STATUS_ACCESS_DENIED),
        }
    }
    /// Follows a move in the paths of names below it that are still referenced. What is gone is called what it was.
    fn moved(&mut self, old: &[Vec<u16>], new: &[Vec<u16>]) {
        for link in self
            .files
            .values_mut()
            .flat_map(|file| file.links.values_mut())
            .filter(|link| !link.removed)
        {
            if let Some(rest) = link.components.strip_prefix(old) {
                link.components = [new, rest].concat();
            }
        }
    }
}

/// Within a directory both names are reported together; between two, as gone and come.
fn report_move(
    state: &mut State,
    file: &Metadata,
    (old, from): (Vec<Vec<u16>>, Arc<Directory>),
    (new, to): (Vec<Vec<u16>>, Arc<Directory>),
    effects: &mut Effects<'_>,
) {
    let filter = if file.kind == Kind::Directory {
        change::DIR_NAME
    } else {
        change::FILE_NAME
    };
    let same = old.split_last().map(|(_, way)| way) == new.split_last().map(|(_, way)| way);
    let (gone, come) = if same {
        (Action::RenamedOldName, Action::RenamedNewName)
    } else {
        (Action::Removed, Action::Added)
    };
    let changes = [
        Change {
            path: old,
            action: gone,
            filter,
            entry: state.entry(file, Some(&from)),
        },
        Change {
            path: new,
            action: come,
            filter,
            entry: state.entry(file, Some(&to)),
        },
    ];
    state.report(&changes, effects);
}
