//! Short names: a second name that an entry of a directory may have (`FileShortNameInformation`).
//!
//! None is made by itself, as on a volume where that is switched off; yet they may be set, which NTFS refuses there
//! (STATUS_SHORT_NAMES_NOT_ENABLED_ON_VOLUME). An entry is opened by it as by its own name, is listed with it, and is
//! matched by patterns that match it; it goes when the entry gets another name, and with the entry. Who has opened a file
//! by it, or by that of a directory on the way, is told so by `FileNameInformation`, until it is another one or none, and the
//! long names by `FileNormalizedNameInformation`. Nobody asks for the privilege to restore files.
//!
//! Sources: [MS-FSA] 2.1.5.15.13, [MS-FSCC] 2.1.5.2.1 and 2.4.44; `SetFileShortName` of the Win32 documentation.

use super::host_status;
use super::overlay::{Overlay, ShortName, is_short};
use super::record::{Fields, Record};
use super::share::access;
use super::volume::{Object, Open, OpenId, State, Volume};
use super::waiting::{Effects, Reply};
use ntbox_kernel::host::file::{Directory, Kind, Metadata, now};
use ntbox_kernel::nt::case::upcase;
use ntbox_kernel::nt::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_NOT_FOUND,
};

impl State {
    /// The short name of the entry that is called `long` in the directory of that number.
    pub(super) fn short_name(&self, file: &Metadata, parent: u64, long: &[u16]) -> Option<&[u16]> {
        let name = self.overlays.of(file)?.short_name.as_ref()?;
        let is_this = name.parent == parent && name.long == long;
        is_this.then_some(&name.short)
    }

    /// The entry is gone, or is called otherwise: so is its short name.
    pub(super) fn drop_short_name(&mut self, file: &Metadata, parent: &Directory, long: &[u16]) {
        let parent = parent.metadata().map(|parent| parent.identity.number);
        if parent.is_ok_and(|parent| self.short_name(file, parent, long).is_some()) {
            let none = |overlay: &mut Overlay| overlay.short_name = None;
            self.overlays.change(file, none);
        }
    }

    /// The short name of the entry by which `id` was opened.
    fn short_name_of(&self, id: OpenId) -> Result<Option<&[u16]>, NTSTATUS> {
        let link = self.link_of(id)?;
        let file = self.whole_of(id)?.metadata()?;
        let parent = link
            .parent
            .as_ref()
            .and_then(|parent| parent.metadata().ok());
        let (Some(file), Some(parent), Some(long)) = (file, parent, link.components.last()) else {
            return Ok(None);
        };
        Ok(self.short_name(&file, parent.identity.number, long))
    }

    /// The entry at `path` has another short name, or none: who was opened by the old one, there or below, is called so
    /// no more.
    fn forget_short_name(&mut self, path: &[Vec<u16>]) {
        self.move_short_names(path, path);
    }

    /// What was at `old` is at `new`. Who was opened by its short name, there or below, is called so no more; nor, in
    /// another directory, by those of the ones that it lay in.
    pub(super) fn move_short_names(&mut self, old: &[Vec<u16>], new: &[Vec<u16>]) {
        let way = |path: &[Vec<u16>]| path.split_last().map(|(_, way)| way.to_vec());
        let stays = if way(old) == way(new) {
            old.len() - 1
        } else {
            0
        };
        let Self { files, opens, .. } = self;
        for open in opens.values_mut().filter(|open| !open.opened_by.is_empty()) {
            let file = files.get(&open.whole);
            let link = file.and_then(|file| file.links.get(&open.link));
            if link.is_some_and(|link| !link.removed && link.components.starts_with(old)) {
                let gone = stays..old.len();
                open.opened_by.retain(|by| !gone.contains(&by.at));
                let below = open.opened_by.iter_mut().filter(|by| by.at >= old.len());
                below.for_each(|by| by.at = by.at - old.len() + new.len());
            }
        }
    }
}

impl Open {
    /// A path of it, with the short names that it was opened by.
    pub(super) fn as_opened(&self, components: &[Vec<u16>]) -> Vec<Vec<u16>> {
        let mut components = components.to_vec();
        for by in &self.opened_by {
            if let Some(component) = components.get_mut(by.at) {
                component.clone_from(&by.short);
            }
        }
        components
    }
}

impl Volume {
    /// `FileAlternateNameInformation`.
    pub(super) fn alternate_name(&self, id: OpenId, buffer: &mut [u8]) -> Result<Reply, NTSTATUS> {
        let state = self.state();
        let name = state.short_name_of(id)?;
        let name = name.ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
        let record = Record::new().int([(name.len() * 2) as u32]).units(name);
        Ok(record.cut(buffer, 4, 8))
    }

    /// `FileShortNameInformation`: sets the short name of an open file, or takes it away.
    pub(super) fn set_short_name(
        &self,
        id: OpenId,
        fields: Fields<'_>,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        let invalid = STATUS_INVALID_PARAMETER;
        let length = fields.int(0).ok_or(STATUS_INFO_LENGTH_MISMATCH)?;
        let name = fields.units(4, length as usize).ok_or(invalid)?;
        let mut state = self.state();
        let open = state.usable(id)?;
        let (granted, on_close) = (open.granted, open.delete_on_close);
        let refused = open.by_id || open.case_sensitive || !name.is_empty() && !is_short(&name);
        let node = state.file_of(id)?;
        let link = state.link_of(id)?;
        let (Some(parent), Some(long)) = (link.parent.clone(), link.components.last().cloned())
        else {
            return Err(invalid);
        };
        // What a link of the host leads to has its own name.
        let entry = parent.metadata_of(&link.name);
        let is_link = entry.is_ok_and(|entry| entry.kind == Kind::Link);
        if refused || is_link || node.stream.is_some() {
            return Err(invalid);
        }
        let may = granted & (access::WRITE_DATA | access::WRITE_ATTRIBUTES) != 0;
        if !may || on_close || link.delete_pending || link.removed {
            return Err(STATUS_ACCESS_DENIED);
        }
        let below = link.components.clone();
        if matches!(node.object, Object::Directory(_)) {
            state.close_below(&below, id, effects)?;
        }
        let metadata = state.whole_of(id)?.metadata()?.ok_or(invalid)?;
        let old = state.short_name_of(id)?;
        let name: Vec<u16> = name.into_iter().map(upcase).collect();
        if old.unwrap_or_default() == name {
            return Ok(());
        }
        if !name.is_empty() {
            let (_, way) = below.split_last().ok_or(invalid)?;
            let path = [way, std::slice::from_ref(&name)].concat();
            let there = self.tree.resolve(&path, &state.lookup(false))?;
            if there.existing.is_some() {
                return Err(STATUS_OBJECT_NAME_COLLISION);
            }
        }
        let parent = parent.metadata().map_err(|error| host_status::of(&error))?;
        let short_name = (!name.is_empty()).then_some(ShortName {
            parent: parent.identity.number,
            long,
            short: name,
        });
        // Of the names of a file, one has a short name.
        let links = state.whole_of(id)?.links.values();
        let names: Vec<_> = links.map(|link| link.components.clone()).collect();
        for name in names {
            state.forget_short_name(&name);
        }
        state.overlays.change(&metadata, |overlay| {
            overlay.short_name = short_name;
            overlay.changed = Some((now(), metadata.changed));
        });
        Ok(())
    }
}
