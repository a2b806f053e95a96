//! The tables of a volume: what is open, by which name, and in what state.

use super::attribute_list;
use super::create::{Created, New, Opened, Request, result};
use super::host_status;
use super::locks;
use super::notify::{Change, Entry, Watch};
use super::oplocks;
use super::overlay::new_attributes;
use super::volume::{
    CLUSTER, FileNode, FileState, Link, Object, Open, OpenId, OpenedBy, State, StreamOf, attribute,
};
use super::waiting::Effects;
use ntbox_kernel::host::file::{Directory, Kind, Metadata};
use ntbox_kernel::nt::{
    FILE_DELETE_ON_CLOSE, FILE_NO_INTERMEDIATE_BUFFERING, NTSTATUS, STATUS_FILE_CLOSED,
    STATUS_INVALID_HANDLE, STATUS_VOLUME_DISMOUNTED, STATUS_WRONG_VOLUME, reparse,
};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

impl State {
    /// A number never given before.
    pub fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
    /// Why nothing can be done with the volume, if so: `STATUS_VOLUME_DISMOUNTED`, or `STATUS_WRONG_VOLUME` while its medium
    /// is not in the drive.
    pub fn gone(&self) -> Option<NTSTATUS> {
        match (self.dismounted, self.absent) {
            (true, _) => Some(STATUS_VOLUME_DISMOUNTED),
            (false, true) => Some(STATUS_WRONG_VOLUME),
            (false, false) => None,
        }
    }
    /// The open, if it may still be used.
    ///
    /// # Errors
    /// As [`gone`](Self::gone); `STATUS_FILE_CLOSED` after cleanup.
    pub fn usable(&self, open: OpenId) -> Result<&Open, NTSTATUS> {
        if let Some(status) = self.gone() {
            return Err(status);
        }
        match self.opens.get(&open) {
            Some(open) if open.cleaned_up => Err(STATUS_FILE_CLOSED),
            Some(open) => Ok(open),
            None => Err(STATUS_INVALID_HANDLE),
        }
    }
    /// The file of an open, in whatever state.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn file_of(&self, open: OpenId) -> Result<&FileNode, NTSTATUS> {
        let open = self.opens.get(&open).ok_or(STATUS_INVALID_HANDLE)?;
        self.files.get(&open.file).ok_or(STATUS_INVALID_HANDLE)
    }
    /// As [`file_of`](Self::file_of), to change it.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn file_of_mut(&mut self, open: OpenId) -> Result<&mut FileNode, NTSTATUS> {
        let open = self.opens.get(&open).ok_or(STATUS_INVALID_HANDLE)?;
        self.files.get_mut(&open.file).ok_or(STATUS_INVALID_HANDLE)
    }
    /// The file of an open, also if it is one of a stream.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn whole_of(&self, open: OpenId) -> Result<&FileNode, NTSTATUS> {
        let open = self.opens.get(&open).ok_or(STATUS_INVALID_HANDLE)?;
        self.files.get(&open.whole).ok_or(STATUS_INVALID_HANDLE)
    }
    /// Whether what an open has opened is to be deleted, or is deleted.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn is_going(&self, open: OpenId) -> Result<bool, NTSTATUS> {
        match &self.file_of(open)?.stream {
            Some(stream) => Ok(stream.delete_pending || stream.removed),
            None => self
                .link_of(open)
                .map(|link| link.delete_pending || link.removed),
        }
    }
    /// The name by which an open was opened.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn link_of(&self, open: OpenId) -> Result<&Link, NTSTATUS> {
        let number = self.opens.get(&open).ok_or(STATUS_INVALID_HANDLE)?.link;
        self.whole_of(open)?
            .links
            .get(&number)
            .ok_or(STATUS_INVALID_HANDLE)
    }
    /// As [`link_of`](Self::link_of), to change it.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn link_of_mut(&mut self, open: OpenId) -> Result<&mut Link, NTSTATUS> {
        let open = self.opens.get(&open).ok_or(STATUS_INVALID_HANDLE)?;
        let file = self.files.get_mut(&open.whole);
        file.and_then(|file| file.links.get_mut(&open.link))
            .ok_or(STATUS_INVALID_HANDLE)
    }
    /// NT attributes of a host file, without `NORMAL`.
    pub fn attributes(&self, metadata: &Metadata) -> u32 {
        let stored = self.overlays.of(metadata);
        let stored = stored.and_then(|overlay| overlay.attributes);
        let directory = match metadata.kind {
            Kind::Directory => attribute::DIRECTORY,
            _ => 0,
        };
        let reparse = match self.reparse_point(metadata) {
            [] => 0,
            _ => attribute::REPARSE_POINT,
        };
        let sparse = match self.sparse(metadata) {
            None => 0,
            Some(_) => attribute::SPARSE_FILE,
        };
        stored.unwrap_or(new_attributes(metadata.kind)) | directory | reparse | sparse
    }
    /// Sets them, as far as a caller may.
    pub fn set_attributes(&mut self, metadata: &Metadata, attributes: u32) {
        self.overlays.change(metadata, |overlay| {
            overlay.set_attributes(metadata.kind, attributes)
        });
    }
    /// State of a directory's entry as NT sees it: of a file that is open, what its handles see.
    pub fn entry_state(&self, metadata: &Metadata) -> FileState {
        let open = self.files.get(&metadata.identity);
        let seen = open.and_then(|file| file.metadata().ok().flatten());
        self.file_state(seen.as_ref().unwrap_or(metadata))
    }
    /// State of a host file as NT sees it. Sizes that are the host's own business (of its
    /// directories, of its blocks) are left out of it.
    pub fn file_state(&self, metadata: &Metadata) -> FileState {
        let overlay = self.overlays.of(metadata);
        let directory = metadata.kind == Kind::Directory;
        let changed = overlay
            .and_then(|overlay| overlay.changed)
            .filter(|(_, host)| *host == metadata.changed)
            .map_or(metadata.changed, |(set, _)| set);
        let size = if directory { 0 } else { metadata.size };
        let node = self.files.get(&metadata.identity);
        let reserved = node.map_or(0, |file| file.reserved);
        let going = |link: &&Link| link.delete_pending && !link.removed;
        let attributes = self.attributes(metadata);
        FileState {
            times: [
                overlay
                    .and_then(|overlay| overlay.created)
                    .unwrap_or(metadata.created),
                metadata.accessed,
                metadata.written,
                changed,
            ],
            allocation: self.allocated(metadata).max(reserved).cast_signed(),
            size: size as i64,
            attributes: if attributes == 0 {
                attribute::NORMAL
            } else {
                attributes
            },
            reparse_tag: reparse::tag(self.reparse_point(metadata)),
            directory,
            links: if directory { 1 } else { metadata.links },
            links_going: node.map_or(0, |node| node.links.values().filter(going).count() as u32),
            index: metadata.identity.number,
            extended_attributes: overlay.map_or(0, |overlay| {
                attribute_list::size(&overlay.extended_attributes)
            }),
        }
    }
    /// What is told of an entry that changes, in the directory `parent`; nothing if no watch of the volume tells it, and
    /// of the root, which is in none.
    pub(super) fn entry(&self, file: &Metadata, parent: Option<&Arc<Directory>>) -> Option<Entry> {
        let mut watches = self.opens.values().filter_map(|open| open.watch.as_ref());
        if !watches.any(Watch::tells_entries) {
            return None;
        }
        let parent = parent?.metadata().ok()?.identity.number;
        let state = self.entry_state(file);
        let [created, accessed, written, changed] = state.times;
        Some(Entry {
            times: [created, written, changed, accessed],
            sizes: [state.allocation, state.size],
            attributes: [state.attributes, state.tag_or_size()],
            ids: [state.index, parent],
        })
    }
    /// As [`entry`](Self::entry), of the name by which `open` was opened.
    pub(super) fn entry_of(&self, open: OpenId) -> Option<Entry> {
        let file = self.whole_of(open).ok()?.metadata().ok()??;
        self.entry(&file, self.link_of(open).ok()?.parent.as_ref())
    }
    /// Tells every watch of the volume of changes that belong together.
    pub fn report(&mut self, changes: &[Change], effects: &mut Effects<'_>) {
        let Self { files, opens, .. } = self;
        for open in opens.values_mut() {
            let Some(watch) = open.watch.as_mut() else {
                continue;
            };
            if let Some(link) = files
                .get(&open.file)
                .and_then(|file| file.links.get(&open.link))
            {
                watch.report(&link.components, changes, effects);
            }
        }
    }
}

impl FileState {
    /// The tag of its reparse point; without one, the bytes of its extended attributes, which records that have one
    /// field for both have there.
    pub(super) fn tag_or_size(&self) -> u32 {
        match self.reparse_tag {
            0 => self.extended_attributes,
            tag => tag,
        }
    }
}

impl Object {
    /// State of it on the host; none for the volume itself.
    ///
    /// # Errors
    /// As the host says.
    pub fn metadata(&self) -> Result<Option<Metadata>, NTSTATUS> {
        match self {
            Self::File(stream) => stream.metadata().map(Some),
            Self::Directory(directory) => directory.metadata().map(Some),
            Self::Volume => Ok(None),
        }
        .map_err(|error| host_status::of(&error))
    }
}

impl FileNode {
    /// State of the file on the host; none for the volume itself.
    ///
    /// # Errors
    /// As the host says.
    pub fn metadata(&self) -> Result<Option<Metadata>, NTSTATUS> {
        self.object.metadata()
    }
    fn new(object: Object) -> Self {
        Self {
            object,
            shares: Default::default(),
            locks: locks::Table::default(),
            oplocks: oplocks::Table::default(),
            links: BTreeMap::new(),
            reserved: 0,
            opens: 0,
            sections: 0,
            stream: None,
        }
    }
    /// The host has no name of it any more.
    pub(super) fn is_gone(&self) -> bool {
        let metadata = self.metadata();
        self.is_directory() || matches!(metadata, Ok(Some(Metadata { links: 0, .. })))
    }
    /// It is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.object, Object::Directory(_))
    }
    /// Its open and living name at `components`.
    pub fn link_at(&self, components: &[Vec<u16>]) -> Option<(u32, &Link)> {
        let mut living = self.links.iter().filter(|(_, link)| !link.removed);
        living
            .find(|(_, link)| link.components == components)
            .map(|(number, link)| (*number, link))
    }
}

/// Enters the open into the volume's tables.
pub(super) fn enter(state: &mut State, request: &Request, new: New) -> Created {
    let open = OpenId(state.next_number());
    let opened_by = new.opened_by(state, request);
    let (whole, whole_object) = match &new.stream {
        Some(stream) => (stream.whole, stream.whole_object.clone()),
        None => (new.file, new.object.clone()),
    };
    let entry = state.files.entry(whole);
    let file = entry.or_insert_with(|| FileNode::new(whole_object));
    file.opens += 1;
    let number = match file.link_at(&new.link.components) {
        Some((number, _)) => number,
        None => {
            let number = file
                .links
                .last_key_value()
                .map_or(0, |(number, _)| number + 1);
            file.links.insert(number, new.link);
            number
        }
    };
    if let Some(link) = file.links.get_mut(&number) {
        link.handles += 1;
        link.opens += 1;
    }
    if let Some(stream) = new.stream {
        let node = state.files.entry(new.file).or_insert_with(|| FileNode {
            stream: Some(StreamOf {
                whole,
                named: stream.named,
                handles: 0,
                delete_pending: false,
                removed: false,
            }),
            ..FileNode::new(new.object.clone())
        });
        node.opens += 1;
        if let Some(stream) = node.stream.as_mut() {
            stream.handles += 1;
        }
    }
    let entry = state.files.entry(new.file);
    let file = entry.or_insert_with(|| FileNode::new(new.object));
    file.shares.add(new.shared);
    let opened = match file.object {
        Object::File(_) => Opened::File,
        Object::Directory(_) => Opened::Directory,
        Object::Volume => Opened::Volume,
    };
    if opened == Opened::File && new.information != result::OPENED {
        file.reserved = u64::try_from(request.allocation)
            .unwrap_or(0)
            .next_multiple_of(CLUSTER);
    }
    let named = !request.open_target_directory && request.id.is_none();
    let delete_on_close = request.has(FILE_DELETE_ON_CLOSE) && named;
    state.opens.insert(
        open,
        Open {
            file: new.file,
            whole,
            link: number,
            shared: new.shared,
            granted: new.granted,
            opened_by,
            oplock_key: request.oplock_key,
            by_id: request.id.is_some(),
            case_sensitive: request.case_sensitive,
            delete_on_close,
            delete_at_cleanup: false,
            cleaned_up: false,
            scan: None,
            watch: None,
            modified: 0,
            next_extended_attribute: 0,
            keep_written: false,
        },
    );
    Created {
        open,
        file: new.file,
        opened,
        information: new.information,
        granted: new.granted,
        shared: new.shared,
        cached: opened == Opened::File && !request.has(FILE_NO_INTERMEDIATE_BUFFERING),
        page_file: request.page_file,
        last_component: 0,
        breaks_oplock: false,
    }
}

impl New {
    /// The short names that it was opened by, among them those of what it is relative to.
    fn opened_by(&self, state: &State, request: &Request) -> Vec<OpenedBy> {
        // By its id, it is relative to nothing: that tells the volume alone.
        let related = request.related.filter(|_| request.id.is_none());
        let related = related.and_then(|related| state.opens.get(&related));
        let inherited = related.map_or(Vec::new(), |open| open.opened_by.clone());
        // Of a target directory, the last component is not on the way.
        let on_the_way = |(at, _): &&(usize, Vec<u16>)| *at < self.link.components.len();
        let own = self.short_names.iter().filter(on_the_way).cloned();
        let own = own.map(|(at, short)| OpenedBy { at, short });
        inherited.into_iter().chain(own).collect()
    }
}

impl Link {
    /// A name that nothing has open yet.
    pub(super) fn new(
        components: Vec<Vec<u16>>,
        parent: Option<Arc<Directory>>,
        name: OsString,
    ) -> Self {
        Self {
            components,
            parent,
            name,
            handles: 0,
            opens: 0,
            delete_pending: false,
            removed: false,
            alias: false,
        }
    }
}
