//! Named streams of files and directories (`file:stream`).
//!
//! A stream has data, sharing, locks and oplocks of its own; its data is a file of the host beside the record of the
//! file ([`overlays`](super::overlays)). All else is the file's: names, times, attributes, security. Sources: "File
//! Streams" of the Windows documentation, and [MS-FSA] "Open of an Existing File", "Server Requests Closing an Open",
//! "FileDispositionInformation" and "Algorithm for Performing Stream Rename".

use super::create::{New, NewStream, Request, result};
use super::create_file::share_and_break;
use super::host_status;
use super::names::{self, Path};
use super::notify::{Action, Change, Entry, change};
use super::overlay::{NamedStream, Overlay};
use super::record::Record;
use super::rename::{REPLACE, Target};
use super::share::{SHARE_DELETE, SHARE_READ, SHARE_WRITE, Use, access};
use super::volume::{
    CLUSTER, FileNode, Object, OpenId, State, Stream, StreamOf, Volume, attribute,
};
use super::waiting::{Effects, Reply};
use ntbox_kernel::host::file::{Directory, Identity, Kind, Metadata};
use ntbox_kernel::nt::{
    FILE_CREATE, FILE_DELETE_ON_CLOSE, FILE_DIRECTORY_FILE, FILE_NO_EA_KNOWLEDGE,
    FILE_NON_DIRECTORY_FILE, FILE_OPEN, FILE_OPEN_IF, FILE_OVERWRITE, FILE_SUPERSEDE, NTSTATUS,
    STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW, STATUS_DELETE_PENDING,
    STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_PARAMETER, STATUS_MEDIA_WRITE_PROTECTED,
    STATUS_NOT_A_DIRECTORY, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_SUCCESS,
};
use ntbox_kernel::user::cache;
use std::sync::Arc;

/// What a stream that may be deleted has to be shared for.
const DELETES: Use = Use {
    read: false,
    write: false,
    delete: true,
    share_read: true,
    share_write: true,
    share_delete: true,
};

/// A create of a stream, when its file is open.
struct Wanted<'a> {
    request: &'a Request,
    whole: New,
    /// State of the file on the host.
    metadata: Metadata,
    granted: u32,
    /// The file is read-only, and not new.
    read_only: bool,
}

impl Volume {
    /// Opens or creates the stream `name` of the file at `path`, and the file if it makes it; without a name, its data.
    pub(super) fn open_stream(
        &self,
        state: &mut State,
        request: &Request,
        path: Path,
        name: &[u16],
        effects: &mut Effects<'_>,
    ) -> Result<New, NTSTATUS> {
        if request.has(FILE_DIRECTORY_FILE) {
            return Err(STATUS_NOT_A_DIRECTORY);
        }
        if name.is_empty() {
            let options = request.options | FILE_NON_DIRECTORY_FILE;
            let data = Request {
                options,
                ..request.clone()
            };
            return self.open_whole(state, &data, path, effects);
        }
        // What ends with the handle is the stream, and the root has one that may.
        let (kept, root) = (
            FILE_NON_DIRECTORY_FILE | FILE_NO_EA_KNOWLEDGE,
            path.components.is_empty(),
        );
        let not_the_files = if root {
            kept | FILE_DELETE_ON_CLOSE
        } else {
            kept
        };
        let creates = !matches!(request.disposition, FILE_OPEN | FILE_OVERWRITE);
        let of_file = Request {
            disposition: if creates { FILE_OPEN_IF } else { FILE_OPEN },
            options: request.options & !not_the_files,
            desired: access::READ_ATTRIBUTES,
            share: SHARE_READ | SHARE_WRITE | SHARE_DELETE,
            allocation: 0,
            ..request.clone()
        };
        let whole = self.open_whole(state, &of_file, path, effects)?;
        let metadata = whole.object.metadata()?.ok_or(STATUS_INVALID_PARAMETER)?;
        let read_only = state.attributes(&metadata) & attribute::READONLY != 0
            && metadata.kind != Kind::Directory
            && whole.information != result::CREATED;
        let kept_out = match read_only {
            true => access::WRITE_DATA | access::APPEND_DATA,
            false => 0,
        };
        let wanted = Wanted {
            request,
            whole,
            metadata,
            granted: self.granted(request, kept_out)?,
            read_only,
        };
        let found = state.overlays.of(&metadata);
        let found = found.and_then(|overlay| find(overlay, name, request.case_sensitive));
        match found.cloned() {
            Some(_) if request.disposition == FILE_CREATE => Err(STATUS_OBJECT_NAME_COLLISION),
            Some(named) => self.open_existing_stream(state, wanted, named, effects),
            None if !creates => Err(STATUS_OBJECT_NAME_NOT_FOUND),
            None => self.create_stream(state, wanted, name, effects),
        }
    }

    fn create_stream(
        &self,
        state: &mut State,
        wanted: Wanted<'_>,
        name: &[u16],
        effects: &mut Effects<'_>,
    ) -> Result<New, NTSTATUS> {
        if self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        if wanted.read_only {
            return Err(STATUS_ACCESS_DENIED);
        }
        let made = state.overlays.create_stream(&wanted.metadata, name);
        let (named, file) = match made {
            Ok(made) => made,
            Err(error) => {
                if wanted.whole.information == result::CREATED {
                    state.take_back(&wanted.whole, effects);
                }
                return Err(host_status::of(&error));
            }
        };
        let path = wanted.whole.link.components.clone();
        let entry = state.entry(&wanted.metadata, wanted.whole.link.parent.as_ref());
        state.report_stream((path, entry), &named.name, Action::AddedStream, effects);
        let shared = Use::new(wanted.granted, wanted.request.share);
        let object = Object::File(Arc::new(Stream::new(file, false)));
        wanted.into_new(named, object, result::CREATED, (shared, false))
    }

    fn open_existing_stream(
        &self,
        state: &mut State,
        wanted: Wanted<'_>,
        named: NamedStream,
        effects: &mut Effects<'_>,
    ) -> Result<New, NTSTATUS> {
        let (request, number) = (wanted.request, named.number);
        let failed = |error: std::io::Error| host_status::of(&error);
        let data = state.overlays.stream_metadata(&wanted.metadata, number);
        let identity = data.map_err(failed)?.identity;
        if state.stream(identity).is_some_and(|of| of.delete_pending) {
            return Err(STATUS_DELETE_PENDING);
        }
        let overwrites = request.overwrites();
        if overwrites && self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        let more = match request.disposition {
            FILE_SUPERSEDE => access::WRITE_DATA | access::DELETE,
            _ if overwrites => access::WRITE_DATA,
            _ => 0,
        };
        let granted = wanted.granted;
        let writes = (granted | more) & (access::WRITE_DATA | access::APPEND_DATA) != 0;
        if writes && wanted.read_only {
            return Err(STATUS_ACCESS_DENIED);
        }
        let rights = (granted, more);
        let mut breaks = false;
        if overwrites && request.share & SHARE_DELETE == 0 {
            let whole = Some(wanted.whole.file);
            breaks = state.break_oplocks_of_others(whole, request, granted | more, effects)?;
        }
        let mut shared = share_and_break(state, identity, request, rights, overwrites, effects)?;
        shared.1 |= breaks;
        state.check_views(identity, writes, request)?;
        let object = match state.files.get(&identity) {
            Some(open) => open.object.clone(),
            None => {
                let write = !self.description.read_only;
                let data = state.overlays.open_stream(&wanted.metadata, number, write);
                Object::File(Arc::new(Stream::new(data.map_err(failed)?, false)))
            }
        };
        let Object::File(stream) = &object else {
            return Err(STATUS_INVALID_PARAMETER);
        };
        if writes && !stream.file.is_writable() {
            return Err(STATUS_ACCESS_DENIED);
        }
        let mut information = result::OPENED;
        if overwrites {
            let _alone = stream.size_guard.write();
            stream.file.set_size(0).map_err(failed)?;
            if let Some(open) = state.files.get_mut(&identity) {
                open.reserved = 0;
                cache::set_size(open.sections, 0);
            }
            let path = names::with_stream(wanted.whole.link.components.clone(), &named.name);
            let changed = Change {
                path,
                action: Action::ModifiedStream,
                filter: change::STREAM_SIZE | change::STREAM_WRITE,
                entry: state.entry(&wanted.metadata, wanted.whole.link.parent.as_ref()),
            };
            state.report(&[changed], effects);
            information = match request.disposition {
                FILE_SUPERSEDE => result::SUPERSEDED,
                _ => result::OVERWRITTEN,
            };
        }
        wanted.into_new(named, object.clone(), information, shared)
    }

    /// The streams of an open file (`FILE_STREAM_INFORMATION`): of a file also that without a name.
    pub(super) fn streams(&self, id: OpenId, buffer: &mut [u8]) -> Result<Reply, NTSTATUS> {
        /// `sizeof` the structure, and what is in front of its name.
        const LEAST: usize = 32;
        const HEAD: usize = 24;
        let state = self.state();
        let metadata = state.whole_of(id)?.metadata()?;
        let metadata = metadata.ok_or(STATUS_INVALID_PARAMETER)?;
        let mut entries: Vec<(Vec<u16>, u64, u64)> = Vec::new();
        if metadata.kind != Kind::Directory {
            let allocation = state.file_state(&metadata).allocation;
            entries.push((Vec::new(), metadata.size, allocation.cast_unsigned()));
        }
        let named = state.overlays.of(&metadata);
        for named in named.into_iter().flat_map(|overlay| &overlay.streams) {
            let Ok(data) = state.overlays.stream_metadata(&metadata, named.number) else {
                continue;
            };
            let reserved = state
                .files
                .get(&data.identity)
                .map_or(0, |open| open.reserved);
            let allocation = data.size.next_multiple_of(CLUSTER).max(reserved);
            entries.push((named.name.clone(), data.size, allocation));
        }
        if buffer.len() < LEAST {
            return Ok((STATUS_INFO_LENGTH_MISMATCH, 0));
        }
        let (mut end, mut last) = (0, None);
        for (name, size, allocation) in entries {
            let name: Vec<u16> = [vec![names::COLON], name]
                .concat()
                .into_iter()
                .chain(":$DATA".encode_utf16())
                .collect();
            let record = Record::new()
                .int([0, (name.len() * 2) as u32])
                .long([size as i64, allocation as i64])
                .units(&name);
            let start = usize::next_multiple_of(end, 8);
            let room = buffer.get_mut(start..).unwrap_or_default();
            let first = last.is_none();
            let (status, length) = record.cut(room, HEAD, HEAD);
            if status != STATUS_SUCCESS {
                // Only the first one is cut off.
                let end = if first { length } else { end };
                return Ok((STATUS_BUFFER_OVERFLOW, end));
            }
            if let Some(next) = last.and_then(|last: usize| buffer.get_mut(last..last + 4)) {
                let distance = (start - last.unwrap_or(start)) as u32;
                next.copy_from_slice(&distance.to_le_bytes());
            }
            last = Some(start);
            end = start + length;
        }
        Ok((STATUS_SUCCESS, end))
    }
}

impl Wanted<'_> {
    fn into_new(
        self,
        named: NamedStream,
        object: Object,
        information: usize,
        (shared, breaks_oplock): (Use, bool),
    ) -> Result<New, NTSTATUS> {
        let file = object.metadata()?.ok_or(STATUS_INVALID_PARAMETER)?.identity;
        Ok(New {
            file,
            object,
            link: self.whole.link,
            information,
            granted: self.granted,
            shared,
            breaks_oplock,
            stream: Some(NewStream {
                whole: self.whole.file,
                whole_object: self.whole.object,
                named,
            }),
            short_names: self.whole.short_names,
        })
    }
}

/// The stream of that name.
fn find<'a>(overlay: &'a Overlay, name: &[u16], case_sensitive: bool) -> Option<&'a NamedStream> {
    overlay.streams.iter().find(|stream| match case_sensitive {
        true => stream.name == name,
        false => names::equal(&stream.name, name),
    })
}

impl State {
    /// A file that was made for a stream goes with it.
    fn take_back(&mut self, whole: &New, effects: &mut Effects<'_>) {
        let link = &whole.link;
        let file = whole.object.metadata().ok().flatten();
        let entry = file.and_then(|file| self.entry(&file, link.parent.as_ref()));
        let gone = link
            .parent
            .as_ref()
            .is_some_and(|parent| parent.remove_file(&link.name).is_ok());
        if gone {
            self.overlays.forget(whole.file);
            let gone = Change {
                path: link.components.clone(),
                action: Action::Removed,
                filter: change::FILE_NAME,
                entry,
            };
            self.report(&[gone], effects);
        }
    }

    fn stream(&self, file: Identity) -> Option<&StreamOf> {
        self.files.get(&file)?.stream.as_ref()
    }

    /// A file and its open streams.
    pub(super) fn with_streams(&self, file: Identity) -> Vec<Identity> {
        let of = |node: &FileNode| node.stream.as_ref().is_some_and(|of| of.whole == file);
        let nodes = self.files.iter().filter(|(_, node)| of(node));
        let streams = nodes.map(|(identity, _)| *identity);
        std::iter::once(file).chain(streams).collect()
    }

    /// The open streams of a file.
    fn open_streams(&mut self, file: &Metadata) -> impl Iterator<Item = &mut FileNode> {
        let has_some = self
            .overlays
            .of(file)
            .is_some_and(|overlay| !overlay.streams.is_empty());
        let of = move |stream: &StreamOf| stream.whole == file.identity;
        let nodes = has_some.then(|| self.files.values_mut());
        let open = nodes.into_iter().flatten();
        open.filter(move |node| node.stream.as_ref().is_some_and(of))
    }

    /// Whether all open streams of a file are shared with one who may delete it.
    pub(super) fn check_streams_shared(&mut self, file: &Metadata) -> Result<(), NTSTATUS> {
        self.open_streams(file)
            .try_for_each(|node| node.shares.check(DELETES))
    }

    /// The file is made anew: its streams go, those that are open with their last handle.
    pub(super) fn remove_streams(
        &mut self,
        file: &Metadata,
        (path, parent): (&[Vec<u16>], &Arc<Directory>),
        effects: &mut Effects<'_>,
    ) {
        let overlay = self.overlays.of(file);
        let all = overlay.map_or(Vec::new(), |overlay| overlay.streams.clone());
        let mut open = Vec::new();
        for stream in self
            .open_streams(file)
            .filter_map(|node| node.stream.as_mut())
        {
            if stream.handles != 0 {
                stream.delete_pending = true;
                open.push(stream.named.number);
            }
        }
        for named in all {
            if !open.contains(&named.number)
                && self.overlays.remove_stream(file, named.number).is_ok()
            {
                let entry = self.entry(file, Some(parent));
                let at = (path.to_vec(), entry);
                self.report_stream(at, &named.name, Action::RemovedStream, effects);
            }
        }
    }

    /// The stream that `id` has opened goes.
    pub(super) fn remove_open_stream(&mut self, id: OpenId, effects: &mut Effects<'_>) {
        let path = self.link_of(id).map(|link| link.components.clone());
        let metadata = self.whole_of(id).and_then(FileNode::metadata);
        let node = self.file_of(id);
        let (Ok(path), Ok(Some(metadata)), Ok(node)) = (path, metadata, node) else {
            return;
        };
        let Some(named) = node.stream.as_ref().map(|stream| stream.named.clone()) else {
            return;
        };
        let gone = self.overlays.remove_stream(&metadata, named.number).is_ok();
        if let Ok(node) = self.file_of_mut(id)
            && let Some(stream) = node.stream.as_mut()
        {
            (stream.removed, stream.delete_pending) = (gone, gone);
        }
        if gone {
            let at = (path, self.entry_of(id));
            self.report_stream(at, &named.name, Action::RemovedStream, effects);
        }
    }

    /// Gives the stream that `id` has opened another name.
    pub(super) fn rename_stream(
        &mut self,
        id: OpenId,
        target: &Target,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        let invalid = STATUS_INVALID_PARAMETER;
        let (file, name) = names::split_stream(&target.name).map_err(|_| invalid)?;
        let name = name.filter(|name| !name.is_empty()).ok_or(invalid)?;
        // From and to the data without a name is not modelled.
        let old = self
            .file_of(id)?
            .stream
            .as_ref()
            .ok_or(invalid)?
            .named
            .clone();
        if !file.is_empty() || target.directory.is_some() {
            return Err(invalid);
        }
        let link = self.link_of(id)?;
        if self.is_going(id)? || link.delete_pending || link.removed {
            return Err(STATUS_DELETE_PENDING);
        }
        let path = link.components.clone();
        let metadata = self.whole_of(id)?.metadata()?.ok_or(invalid)?;
        let overlay = self.overlays.of(&metadata).ok_or(invalid)?;
        let there = find(overlay, &name, false).filter(|there| there.number != old.number);
        let replaced = there.cloned();
        if let Some(replaced) = &replaced {
            if target.flags & REPLACE == 0 {
                return Err(STATUS_OBJECT_NAME_COLLISION);
            }
            let mut streams = self
                .open_streams(&metadata)
                .filter_map(|node| node.stream.as_ref());
            if streams.any(|open| open.named.number == replaced.number && open.handles != 0) {
                return Err(STATUS_ACCESS_DENIED);
            }
        }
        let number = replaced.as_ref().map(|replaced| replaced.number);
        self.overlays
            .rename_stream(&metadata, old.number, &name, number)
            .map_err(|error| host_status::of(&error))?;
        if let Some(stream) = self.file_of_mut(id)?.stream.as_mut() {
            stream.named.name.clone_from(&name);
        }
        let gone = replaced
            .map(|replaced| replaced.name)
            .into_iter()
            .chain([old.name]);
        let entry = self.entry_of(id);
        for gone in gone {
            let at = (path.clone(), entry);
            self.report_stream(at, &gone, Action::RemovedStream, effects);
        }
        self.report_stream((path, entry), &name, Action::AddedStream, effects);
        Ok(())
    }

    /// Tells that a stream of the file at a path has come or gone.
    fn report_stream(
        &mut self,
        (path, entry): (Vec<Vec<u16>>, Option<Entry>),
        name: &[u16],
        action: Action,
        effects: &mut Effects<'_>,
    ) {
        let changed = Change {
            path: names::with_stream(path, name),
            action,
            filter: change::STREAM_NAME,
            entry,
        };
        self.report(&[changed], effects);
    }

    /// Tells that the data that `id` has opened has changed, by the bits of a file.
    pub(super) fn report_data(&mut self, id: OpenId, filter: u32, effects: &mut Effects<'_>) {
        let (Ok(link), Ok(node)) = (self.link_of(id), self.file_of(id)) else {
            return;
        };
        let path = link.components.clone();
        let entry = self.entry_of(id);
        let changed = match &node.stream {
            None => Change {
                path,
                action: Action::Modified,
                filter,
                entry,
            },
            Some(stream) => {
                let of_stream = [
                    (change::SIZE, change::STREAM_SIZE),
                    (change::LAST_WRITE, change::STREAM_WRITE),
                ];
                let bits = of_stream.iter().filter(|(file, _)| filter & file != 0);
                Change {
                    path: names::with_stream(path, &stream.named.name),
                    action: Action::ModifiedStream,
                    filter: bits.fold(0, |all, (_, stream)| all | stream),
                    entry,
                }
            }
        };
        self.report(&[changed], effects);
    }
}
