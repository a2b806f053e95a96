//! IRP_MJ_QUERY_EA and IRP_MJ_SET_EA, and the list that a create brings along.
//!
//! The attributes of a file are kept with what else the host cannot hold. Sources: "FileFullEaInformation" and
//! "FileEaInformation" of [MS-FSA] (statuses, bound, what a change does beside), [MS-FSCC] for names, `ZwQueryEaFile`
//! for what is asked how; FASTFAT's published source for what they leave open: asking by names or by an index, and
//! a create with attributes by one who says that it knows none.

use super::attribute_list::{Attribute, asked, copy, set};
use super::create::Request;
use super::notify::{Action, Change, change};
use super::overlay::{Overlay, new_attributes};
use super::volume::{OpenId, State, Volume, attribute};
use super::waiting::{Effects, Reply};
use ntbox_kernel::host::file::{Metadata, now};
use ntbox_kernel::nt::{
    FILE_NO_EA_KNOWLEDGE, NTSTATUS, STATUS_ACCESS_DENIED, STATUS_INVALID_PARAMETER,
    STATUS_MEDIA_WRITE_PROTECTED, STATUS_NO_EAS_ON_FILE, STATUS_NO_MORE_EAS,
    STATUS_NONEXISTENT_EA_ENTRY, STATUS_SUCCESS,
};

/// What a query asks for.
#[derive(Clone, Debug, Default)]
pub struct EaQuery {
    /// A list of `FILE_GET_EA_INFORMATION`; empty for all.
    pub names: Vec<u8>,
    /// `SL_INDEX_SPECIFIED`: the first one, counted from 1.
    pub index: Option<u32>,
    /// `SL_RETURN_SINGLE_ENTRY`.
    pub single: bool,
    /// `SL_RESTART_SCAN`.
    pub restart: bool,
}

impl Volume {
    /// Answers a query of the attributes of the open file into `buffer`.
    pub fn query_ea(&self, id: OpenId, query: &EaQuery, buffer: &mut [u8]) -> Reply {
        self.try_query_ea(id, query, buffer)
            .unwrap_or_else(|status| (status, 0))
    }

    fn try_query_ea(
        &self,
        id: OpenId,
        query: &EaQuery,
        buffer: &mut [u8],
    ) -> Result<Reply, NTSTATUS> {
        let mut state = self.state();
        state.usable(id)?;
        let metadata = state.metadata_of_file(id)?;
        let overlay = state.overlays.of(&metadata).cloned().unwrap_or_default();
        let all = overlay.extended_attributes;
        if !query.names.is_empty() {
            // One that is not there has no value.
            let mut found = asked(&query.names).map_err(|(status, _)| status)?;
            for name in &mut found {
                if let Some(there) = all.iter().find(|there| there.name == name.name) {
                    name.clone_from(there);
                }
            }
            return Ok(copy(&found, query.single, buffer).1);
        }
        let open = state.opens.get_mut(&id).ok_or(STATUS_INVALID_PARAMETER)?;
        let first = match query.index {
            Some(index) if index as usize == all.len() + 1 => return Err(STATUS_NO_MORE_EAS),
            Some(index) => (index as usize)
                .checked_sub(1)
                .filter(|first| *first < all.len())
                .ok_or(STATUS_NONEXISTENT_EA_ENTRY)?,
            None if all.is_empty() => return Err(STATUS_NO_EAS_ON_FILE),
            None if query.restart => 0,
            None => open.next_extended_attribute,
        };
        let rest = all.get(first..).filter(|rest| !rest.is_empty());
        let (count, reply) = copy(rest.ok_or(STATUS_NO_MORE_EAS)?, query.single, buffer);
        open.next_extended_attribute = first + count;
        Ok(reply)
    }

    /// Sets attributes of the open file; `Information` is the offset of the entry that is wrong.
    pub fn set_ea(&self, id: OpenId, list: &[u8], effects: &mut Effects<'_>) -> Reply {
        self.try_set_ea(id, list, effects)
            .err()
            .unwrap_or((STATUS_SUCCESS, 0))
    }

    fn try_set_ea(
        &self,
        id: OpenId,
        list: &[u8],
        effects: &mut Effects<'_>,
    ) -> Result<(), (NTSTATUS, usize)> {
        let plain = |status| (status, 0);
        if self.description.read_only {
            return Err(plain(STATUS_MEDIA_WRITE_PROTECTED));
        }
        let mut state = self.state();
        state.usable(id).map_err(plain)?;
        let metadata = state.metadata_of_file(id).map_err(plain)?;
        let overlay = state.overlays.of(&metadata).cloned().unwrap_or_default();
        let new = set(&overlay.extended_attributes, list)?;
        let attributes = state.attributes(&metadata) & attribute::SETTABLE;
        state.overlays.change(&metadata, |overlay| {
            overlay.extended_attributes = new;
            overlay.changed = Some((now(), metadata.changed));
            let archive = attributes | new_attributes(metadata.kind);
            overlay.set_attributes(metadata.kind, archive);
        });
        let path = state.link_of(id).map_err(plain)?.components.clone();
        let changed = Change {
            path,
            action: Action::Modified,
            filter: change::EA,
            entry: state.entry_of(id),
        };
        state.report(&[changed], effects);
        Ok(())
    }
}

impl State {
    /// State of the file of an open, which has names and attributes.
    fn metadata_of_file(&self, id: OpenId) -> Result<Metadata, NTSTATUS> {
        let metadata = self.whole_of(id)?.metadata()?;
        metadata.ok_or(STATUS_INVALID_PARAMETER)
    }
    /// Whether one may open a file who says that it knows no extended attributes.
    pub(super) fn check_ea_knowledge(
        &self,
        request: &Request,
        file: &Metadata,
    ) -> Result<(), NTSTATUS> {
        let of = |overlay: &Overlay| overlay.extended_attributes.iter().any(Attribute::needed);
        let needed = self.overlays.of(file).is_some_and(of);
        match needed && request.has(FILE_NO_EA_KNOWLEDGE) {
            true => Err(STATUS_ACCESS_DENIED),
            false => Ok(()),
        }
    }
}

impl Request {
    /// The attributes of the file that it makes, or makes anew.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn extended_attributes(&self) -> Result<Vec<Attribute>, NTSTATUS> {
        if !self.extended_attributes.is_empty() && self.has(FILE_NO_EA_KNOWLEDGE) {
            return Err(STATUS_ACCESS_DENIED);
        }
        set(&[], &self.extended_attributes).map_err(|(status, _)| status)
    }
}
