//! Hard links: further names of a file (`FileLinkInformation`, `FileHardLinkInformation`).
//!
//! A name that is replaced follows the rules of a rename ([`super::rename`]). A
//! link that goes where the file has that name already makes no other one: as
//! on NTFS its case becomes the one that is asked for.

use super::host_status;
use super::names;
use super::notify::{Action, Change, change};
use super::record::Record;
use super::rename::{REPLACE, Target};
use super::resolve::FoundLink;
use super::volume::{Object, OpenId, Volume};
use super::waiting::{Effects, Reply};
use ntbox_kernel::host::file::{Kind, Replace};
use ntbox_kernel::nt::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW, STATUS_FILE_IS_A_DIRECTORY,
    STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_PARAMETER, STATUS_MEDIA_WRITE_PROTECTED,
    STATUS_OBJECT_NAME_COLLISION, STATUS_SUCCESS,
};
use std::ffi::OsStr;

/// What a link that replaces a name is called on the host until it does.
const NEW: &str = ".ntbox.new";

impl Volume {
    /// Gives the open file another name beside the one it has.
    pub fn link(&self, id: OpenId, target: &Target, effects: &mut Effects<'_>) -> NTSTATUS {
        self.try_link(id, target, effects)
            .err()
            .unwrap_or(STATUS_SUCCESS)
    }

    fn try_link(
        &self,
        id: OpenId,
        target: &Target,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        if self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        let mut state = self.state();
        let file = state.usable(id)?.whole;
        match state.whole_of(id)?.object {
            Object::Volume => return Err(STATUS_INVALID_PARAMETER),
            Object::Directory(_) => return Err(STATUS_FILE_IS_A_DIRECTORY),
            Object::File(_) => {}
        }
        let link = state.link_of(id)?;
        if link.delete_pending || link.removed {
            return Err(STATUS_ACCESS_DENIED);
        }
        let parent = link.parent.clone().ok_or(STATUS_INVALID_PARAMETER)?;
        let (name, path) = (link.name.clone(), link.components.clone());
        let place = self.place(&state, id, target)?;
        let failed = |error: std::io::Error| host_status::of(&error);
        let (mut replaced, mut last_seen) = (None, None);
        if let Some(existing) = &place.resolved.existing {
            if target.flags & REPLACE == 0 {
                return Err(STATUS_OBJECT_NAME_COLLISION);
            }
            if place.resolved.components == path {
                return self.rename_file(&mut state, id, target, effects);
            }
            if existing.metadata.identity == file && place.resolved.components == place.components {
                return Ok(());
            }
            self.check_replacement(&mut state, &place, target, id, effects)?;
            last_seen = state.entry(&existing.metadata, Some(&place.directory));
            replaced = Some(place.resolved.components.clone());
        }
        let new_name = names::to_host(&target.name)?;
        let to = &place.directory;
        if replaced.is_some() {
            // What is there goes when the new one is made, and not before.
            let (there, new) = (&place.resolved.name, OsStr::new(NEW));
            let _ = to.remove_file(new);
            parent.link(&name, to, new).map_err(failed)?;
            if let Err(error) = to.rename(new, to, there, Replace::Yes) {
                let _ = to.remove_file(new);
                return Err(failed(error));
            }
            // The host takes a rename from one name of a file to another one for nothing to do.
            let _ = to.remove_file(new);
            if *there != new_name {
                // It has the other case if the host does not let it have this one.
                let _ = to.rename(there, to, &new_name, Replace::No);
            }
            let gone = place.replaced();
            if gone.is_none_or(|gone| gone.identity != file) {
                place.end_names(&mut state);
            }
            if let Some(gone) = gone.filter(|gone| gone.identity != file) {
                state.forget_replaced(&gone);
            }
        } else {
            parent.link(&name, to, &new_name).map_err(failed)?;
        }
        let metadata = state.whole_of(id)?.metadata()?;
        let new = metadata.and_then(|file| state.entry(&file, Some(to)));
        let gone = replaced.map(|path| (Action::Removed, path, last_seen));
        let changes = gone
            .into_iter()
            .chain([(Action::Added, place.components, new)]);
        for (action, path, entry) in changes {
            let filter = change::FILE_NAME;
            let change = Change {
                path,
                action,
                filter,
                entry,
            };
            state.report(&[change], effects);
        }
        Ok(())
    }

    /// `FILE_LINKS_INFORMATION`: all names of the file on this volume, each whole or left out.
    pub(super) fn hard_links(&self, id: OpenId, buffer: &mut [u8]) -> Result<Reply, NTSTATUS> {
        let (own, identity, links) = {
            let state = self.state();
            let link = state.link_of(id)?;
            let metadata = state.whole_of(id)?.metadata()?;
            let metadata = metadata.ok_or(STATUS_INVALID_PARAMETER)?;
            let parent = match &link.parent {
                Some(parent) => parent.metadata(),
                None => self.tree.root()?.metadata(),
            };
            let own = FoundLink {
                parent: parent
                    .map_err(|error| host_status::of(&error))?
                    .identity
                    .number,
                path: link.components.clone(),
            };
            let single = metadata.kind == Kind::Directory || link.removed;
            let links = if single { 1 } else { metadata.links };
            (own, metadata.identity, links)
        };
        let found = match links {
            0 | 1 => vec![own],
            links => self.tree.links_of(identity.number, links as usize),
        };
        entries(&found, buffer)
    }
}

/// Lays out as many entries as fit.
fn entries(found: &[FoundLink], buffer: &mut [u8]) -> Result<Reply, NTSTATUS> {
    const HEAD: usize = 8;
    let (mut needed, mut used, mut returned) = (HEAD, HEAD, 0_u32);
    let mut last = None;
    for link in found {
        let name = link.path.last().map_or(&[][..], Vec::as_slice);
        let entry = Record::new()
            .int([0, 0])
            .long([link.parent as i64])
            .int([name.len() as u32])
            .units(name)
            .finish();
        let start = needed.next_multiple_of(8);
        let before = std::mem::replace(&mut needed, start + entry.len());
        let Some(room) = buffer.get_mut(start..needed).filter(|_| before == used) else {
            continue;
        };
        room.copy_from_slice(&entry);
        if let Some(last) = last.replace(start)
            && let Some(next) = buffer.get_mut(last..last + 4)
        {
            next.copy_from_slice(&((start - last) as u32).to_le_bytes());
        }
        (used, returned) = (needed, returned + 1);
    }
    let head = buffer.get_mut(..HEAD).ok_or(STATUS_INFO_LENGTH_MISMATCH)?;
    head.copy_from_slice(&Record::new().int([needed as u32, returned]).finish());
    let status = if used == needed {
        STATUS_SUCCESS
    } else {
        STATUS_BUFFER_OVERFLOW
    };
    Ok((status, used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_whole_or_left_out() {
        let link = |name: &str, parent| FoundLink {
            parent,
            path: vec![name.encode_utf16().collect()],
        };
        let found = [link("abc", 5), link("d", 6)];
        let mut room = [0xEE; 70];
        assert_eq!(entries(&found, &mut room), Ok((STATUS_SUCCESS, 62)));
        assert_eq!((room[0], room[4], room[62]), (62, 2, 0xEE));
        assert_eq!((room[8], room[16], room[24], room[28]), (32, 5, 3, b'a'));
        assert_eq!((room[40], room[48], room[56], room[60]), (0, 6, 1, b'd'));
        assert_eq!(
            entries(&found, &mut room[..61]),
            Ok((STATUS_BUFFER_OVERFLOW, 34))
        );
        assert_eq!((room[0], room[4], room[8]), (62, 1, 0));
        assert_eq!(
            entries(&found, &mut room[..9]),
            Ok((STATUS_BUFFER_OVERFLOW, 8))
        );
        assert_eq!((room[0], room[4]), (62, 0));
        assert_eq!(
            entries(&found, &mut room[..7]),
            Err(STATUS_INFO_LENGTH_MISMATCH)
        );
    }
}
