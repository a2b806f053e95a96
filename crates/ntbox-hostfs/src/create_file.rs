//! The two ways of IRP_MJ_CREATE: a file that is there, and one that is not.

use super::create::{New, Request, check_kind, refuse_if_going, result, share};
use super::host_status;
use super::notify::{Action, Change, change};
use super::resolve::{Existing, Resolved};
use super::share::{Use, access};
use super::volume::{FileNode, Link, Object, State, Stream, Volume, attribute};
use super::waiting::Effects;
use ntbox_kernel::host::file::{Identity, Kind, Metadata};
use ntbox_kernel::io_manager::sections;
use ntbox_kernel::nt::{
    FILE_CREATE, FILE_DELETE_ON_CLOSE, FILE_DIRECTORY_FILE, FILE_OPEN, FILE_OVERWRITE,
    FILE_SUPERSEDE, NTSTATUS, STATUS_ACCESS_DENIED, STATUS_CANNOT_DELETE, STATUS_DELETE_PENDING,
    STATUS_MEDIA_WRITE_PROTECTED, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_INVALID,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SHARING_VIOLATION, STATUS_USER_MAPPED_FILE,
};
use ntbox_kernel::user::cache;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Volume {
    /// Creates what is not there.
    pub(super) fn create_new(
        &self,
        state: &mut State,
        request: &Request,
        resolved: Resolved,
        trailing_backslash: bool,
        effects: &mut Effects<'_>,
    ) -> Result<New, NTSTATUS> {
        if matches!(request.disposition, FILE_OPEN | FILE_OVERWRITE) {
            return Err(STATUS_OBJECT_NAME_NOT_FOUND);
        }
        if self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        let directory = request.has(FILE_DIRECTORY_FILE);
        if trailing_backslash && !directory {
            return Err(STATUS_OBJECT_NAME_INVALID);
        }
        let wanted = request.attributes & attribute::SETTABLE;
        if request.has(FILE_DELETE_ON_CLOSE) && wanted & attribute::READONLY != 0 {
            return Err(STATUS_CANNOT_DELETE);
        }
        let extended = request.extended_attributes()?;
        let parent = resolved
            .parent
            .metadata()
            .map_err(|error| host_status::of(&error))?;
        if state
            .files
            .get(&parent.identity)
            .is_some_and(FileNode::is_going)
        {
            return Err(STATUS_DELETE_PENDING);
        }
        let map = |error: &std::io::Error| host_status::of(error);
        let (object, metadata) = if directory {
            let new = resolved
                .parent
                .create_directory(&resolved.name)
                .map_err(|error| map(&error))?;
            let metadata = new.metadata().map_err(|error| map(&error))?;
            (Object::Directory(Arc::new(new)), metadata)
        } else {
            let file = resolved
                .parent
                .create_file(&resolved.name)
                .map_err(|error| map(&error))?;
            let metadata = file.metadata().map_err(|error| map(&error))?;
            (Object::File(Arc::new(Stream::new(file, false))), metadata)
        };
        let attributes = match directory {
            true => wanted & !attribute::TEMPORARY,
            false => wanted | attribute::ARCHIVE,
        };
        // The host may use the number of a deleted file again.
        state.overlays.forget(metadata.identity);
        let case_sensitive = directory && state.tells_case(&parent);
        state.overlays.change(&metadata, |overlay| {
            overlay.set_attributes(metadata.kind, attributes);
            overlay.case_sensitive = case_sensitive;
            overlay.security.clone_from(&request.security);
            overlay.extended_attributes = extended;
        });
        let filter = if directory {
            change::DIR_NAME
        } else {
            change::FILE_NAME
        };
        let added = Change {
            path: resolved.components.clone(),
            action: Action::Added,
            filter,
            entry: state.entry(&metadata, Some(&resolved.parent)),
        };
        state.report(&[added], effects);
        let granted = self.granted(request, 0)?;
        Ok(New {
            file: metadata.identity,
            object,
            link: Link::new(resolved.components, Some(resolved.parent), resolved.name),
            information: result::CREATED,
            granted,
            shared: Use::new(granted, request.share),
            breaks_oplock: false,
            stream: None,
            short_names: resolved.short_names,
        })
    }

    /// Opens what is there, or overwrites it.
    pub(super) fn open_existing(
        &self,
        state: &mut State,
        request: &Request,
        resolved: Resolved,
        trailing_backslash: bool,
        effects: &mut Effects<'_>,
    ) -> Result<New, NTSTATUS> {
        let Resolved {
            components,
            parent,
            name,
            existing,
            short_names,
        } = resolved;
        let Existing {
            metadata,
            directory,
            name: object_name,
        } = existing.ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
        let is_directory = metadata.kind == Kind::Directory;
        refuse_if_going(state, metadata.identity, &components)?;
        if request.disposition == FILE_CREATE && !request.open_target_directory {
            return Err(STATUS_OBJECT_NAME_COLLISION);
        }
        check_kind(request, is_directory, trailing_backslash)?;
        if is_directory && request.overwrites() && !request.open_target_directory {
            return Err(STATUS_OBJECT_NAME_COLLISION);
        }
        state.check_ea_knowledge(request, &metadata)?;
        let attributes = state.attributes(&metadata);
        let read_only = attributes & attribute::READONLY != 0;
        let overwrites = request.overwrites() && !is_directory;
        if overwrites && self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        let kept_out = if read_only && !is_directory {
            access::WRITE_DATA | access::APPEND_DATA
        } else {
            0
        };
        let granted = self.granted(request, kept_out)?;
        let mut more = 0;
        if overwrites {
            let kept = attributes & (attribute::HIDDEN | attribute::SYSTEM);
            if read_only || kept & !request.attributes != 0 {
                return Err(STATUS_ACCESS_DENIED);
            }
            more = access::WRITE_DATA
                | if request.disposition == FILE_SUPERSEDE {
                    access::DELETE
                } else {
                    0
                };
        }
        let writes = (granted | more) & (access::WRITE_DATA | access::APPEND_DATA) != 0;
        if writes && read_only && !is_directory {
            return Err(STATUS_ACCESS_DENIED);
        }
        if request.has(FILE_DELETE_ON_CLOSE) && read_only {
            return Err(STATUS_CANNOT_DELETE);
        }
        let rights = granted | more;
        let file = metadata.identity;
        let mut breaks_oplock = false;
        if overwrites && granted & access::DELETE != 0 {
            let streams = state.with_streams(file).into_iter();
            let others = streams.filter(|stream| *stream != file);
            breaks_oplock = state.break_oplocks_of_others(others, request, rights, effects)?;
        }
        if overwrites || rights & access::DELETE != 0 {
            state.check_streams_shared(&metadata)?;
        }
        let access = (granted, more);
        let (shared, breaks) = share_and_break(state, file, request, access, overwrites, effects)?;
        breaks_oplock |= breaks;
        state.check_views(metadata.identity, writes, request)?;
        let object = match state.files.get(&metadata.identity) {
            Some(file) => file.object.clone(),
            None if is_directory && object_name.is_empty() => Object::Directory(directory),
            None if is_directory => {
                let opened = directory
                    .open_directory(&object_name)
                    .map_err(|error| host_status::of(&error))?;
                Object::Directory(Arc::new(opened))
            }
            None => {
                let file = directory
                    .open_file(&object_name, !self.description.read_only)
                    .map_err(|error| host_status::of(&error))?;
                let is_sparse = state.sparse(&metadata).is_some();
                Object::File(Arc::new(Stream::new(file, is_sparse)))
            }
        };
        if let Object::File(stream) = &object
            && writes
            && !stream.file.is_writable()
        {
            return Err(STATUS_ACCESS_DENIED);
        }
        let mut information = result::OPENED;
        if overwrites {
            overwrite(state, request, &metadata, attributes, &object)?;
            state.remove_streams(&metadata, (&components, &parent), effects);
            let filter = change::ATTRIBUTES | change::SIZE | change::LAST_WRITE;
            let made_anew = object.metadata()?.unwrap_or(metadata);
            let changed = Change {
                path: components.clone(),
                action: Action::Modified,
                filter,
                entry: state.entry(&made_anew, Some(&parent)),
            };
            state.report(&[changed], effects);
            let superseded = request.disposition == FILE_SUPERSEDE;
            information = if superseded {
                result::SUPERSEDED
            } else {
                result::OVERWRITTEN
            };
        }
        let link = Link::new(components, Some(parent), name);
        Ok(New {
            file: metadata.identity,
            object,
            link,
            information,
            granted,
            shared,
            breaks_oplock,
            stream: None,
            short_names,
        })
    }
}

/// Breaks the oplocks of what is there that the open breaks, and checks that its sharing fits; with the access that is
/// granted, and more that it needs beside. How it shares, and whether a break is under way.
pub(super) fn share_and_break(
    state: &mut State,
    file: Identity,
    request: &Request,
    (granted, more): (u32, u32),
    overwrites: bool,
    effects: &mut Effects<'_>,
) -> Result<(Use, bool), NTSTATUS> {
    let break_oplock = |state: &mut State, violates: bool, effects: &mut Effects<'_>| {
        let rights = granted | more;
        state.break_oplock_for_open(file, request, rights, overwrites, violates, effects)
    };
    // Batch and filter oplocks break before sharing is looked at: their owner may step back.
    let node = state.files.get(&file);
    let early = node.is_some_and(|file| file.oplocks.is_batch_or_filter());
    let mut breaks_oplock = early && break_oplock(state, false, effects)?;
    let shared = match share(state, file, request, granted, more) {
        // Who keeps a handle open that he does not need may close it.
        Err(STATUS_SHARING_VIOLATION) if state.keeps_handle(file) => {
            break_oplock(state, true, effects)?;
            share(state, file, request, granted, more)?
        }
        shared => shared?,
    };
    breaks_oplock |= !early && break_oplock(state, false, effects)?;
    Ok((shared, breaks_oplock))
}

impl State {
    /// Whether what others have mapped of a file lets it be opened so: to write, to delete, to begin anew.
    pub(super) fn check_views(
        &self,
        file: Identity,
        writes: bool,
        request: &Request,
    ) -> Result<(), NTSTATUS> {
        let Some(sections) = self.files.get(&file).map(|node| node.sections) else {
            return Ok(());
        };
        if sections::is_run(sections) {
            if request.has(FILE_DELETE_ON_CLOSE) {
                return Err(STATUS_CANNOT_DELETE);
            }
            if writes {
                return Err(STATUS_SHARING_VIOLATION);
            }
        }
        match request.overwrites() && sections::is_mapped(sections) {
            true => Err(STATUS_USER_MAPPED_FILE),
            false => Ok(()),
        }
    }
}

fn overwrite(
    state: &mut State,
    request: &Request,
    metadata: &Metadata,
    attributes: u32,
    object: &Object,
) -> Result<(), NTSTATUS> {
    let extended = request.extended_attributes()?;
    if let Object::File(stream) = object {
        let _alone = stream.size_guard.write();
        stream.sparse.store(false, Ordering::Relaxed);
        stream
            .file
            .set_size(0)
            .map_err(|error| host_status::of(&error))?;
        if let Some(open) = state.files.get(&metadata.identity) {
            cache::set_size(open.sections, 0);
        }
    }
    let kept = if request.disposition == FILE_SUPERSEDE {
        0
    } else {
        attributes
    };
    let new = kept | request.attributes | attribute::ARCHIVE;
    state.overlays.change(metadata, |overlay| {
        overlay.set_attributes(metadata.kind, new);
        overlay.reparse.clear();
        overlay.sparse = None;
        if request.disposition == FILE_SUPERSEDE && request.security.is_some() {
            overlay.security.clone_from(&request.security);
        }
        overlay.extended_attributes = extended;
    });
    if let Some(file) = state.files.get_mut(&metadata.identity) {
        file.reserved = 0;
    }
    Ok(())
}

impl FileNode {
    /// Every open name of it is about to go.
    fn is_going(&self) -> bool {
        !self.links.is_empty()
            && self
                .links
                .values()
                .all(|link| link.delete_pending || link.removed)
    }
}
