//! Reparse points: `FSCTL_SET_REPARSE_POINT` and its like, and creates that meet one.
//!
//! The data is kept with what else the host cannot hold of a file. A name that leads over a reparse
//! point, or to one that the create does not open itself (`FILE_OPEN_REPARSE_POINT`), is answered
//! with STATUS_REPARSE; where it leads is the I/O manager's to work out. Links of the host are
//! another thing: [`super::resolve`] follows them, and no program sees them.
//!
//! Sources: DDK guide "FSCTL_SET_REPARSE_POINT", "…_EX", "FSCTL_GET_REPARSE_POINT",
//! "FSCTL_DELETE_REPARSE_POINT"; [MS-FSA] 2.1.5.1 for creates and 2.1.5.10 for the controls.

use super::create::Request;
use super::host_status;
use super::names::{self, Path};
use super::notify::{Action, Change, change};
use super::record::Fields;
use super::resolve::Resolved;
use super::share::access;
use super::volume::{Object, OpenId, State, Volume};
use super::waiting::{Effects, Met, Reply};
use ntbox_kernel::host::file::{Metadata, now};
use ntbox_kernel::nt::{
    FILE_OPEN_REPARSE_POINT, FSCTL_DELETE_REPARSE_POINT, FSCTL_GET_REPARSE_POINT,
    FSCTL_SET_REPARSE_POINT, FSCTL_SET_REPARSE_POINT_EX, NTSTATUS, STATUS_ACCESS_DENIED,
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_DIRECTORY_NOT_EMPTY,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_IO_REPARSE_DATA_INVALID,
    STATUS_IO_REPARSE_TAG_INVALID, STATUS_IO_REPARSE_TAG_MISMATCH, STATUS_MEDIA_WRITE_PROTECTED,
    STATUS_NOT_A_DIRECTORY, STATUS_NOT_A_REPARSE_POINT, STATUS_REPARSE_ATTRIBUTE_CONFLICT,
    STATUS_SUCCESS, reparse,
};
use std::cell::Cell;

/// `sizeof(REPARSE_GUID_DATA_BUFFER)`: what an answer that is cut off must have room for.
const LEAST: usize = 28;
/// Bytes of `REPARSE_DATA_BUFFER_EX` in front of the reparse point.
const EXTENDED_HEAD: usize = 32;
/// `REPARSE_DATA_EX_FLAG_GIVEN_TAG_OR_NONE`.
const GIVEN_TAG_OR_NONE: u32 = 1;

/// Whether `control` is about reparse points.
pub fn is_control(control: u32) -> bool {
    matches!(
        control,
        FSCTL_SET_REPARSE_POINT
            | FSCTL_SET_REPARSE_POINT_EX
            | FSCTL_GET_REPARSE_POINT
            | FSCTL_DELETE_REPARSE_POINT
    )
}

impl State {
    /// The data of a file's reparse point, or nothing.
    pub fn reparse_point(&self, file: &Metadata) -> &[u8] {
        let overlay = self.overlays.of(file);
        overlay.map_or(&[], |overlay| overlay.reparse.as_slice())
    }
}

impl Volume {
    /// Resolves a path as far as a reparse point that `request` does not open itself. With `all`
    /// the last component is opened, otherwise only what is in front of it.
    ///
    /// # Errors
    /// `STATUS_REPARSE`, and what was met is noted in `met`; as [`super::resolve::Tree::resolve`].
    pub(super) fn resolve(
        &self,
        state: &State,
        request: &Request,
        path: &Path,
        all: bool,
        met: &mut Option<Met>,
    ) -> Result<Resolved, NTSTATUS> {
        let opens_last = all && !request.has(FILE_OPEN_REPARSE_POINT);
        let last = path.components.len().saturating_sub(1);
        let at = Cell::new(None);
        let stops = |file: &Metadata, component: usize| {
            let stops = !state.reparse_point(file).is_empty() && (component < last || opens_last);
            if stops {
                at.set(Some((*file, component)));
            }
            stops
        };
        let lookup = state.lookup(request.case_sensitive);
        let resolved = self.tree.resolve_until(&path.components, &lookup, &stops);
        if let Some((file, component)) = at.get() {
            let parsed = path.components.get(..=component).unwrap_or_default();
            let name = path.name();
            *met = Some(Met {
                data: state.reparse_point(&file).to_vec(),
                unparsed: name.len().saturating_sub(names::join(parsed).len()),
                name,
            });
        }
        resolved
    }

    /// A file-system control about the reparse point of an open file.
    pub fn reparse_control(
        &self,
        id: OpenId,
        control: u32,
        input: &[u8],
        output: &mut [u8],
        effects: &mut Effects<'_>,
    ) -> Reply {
        let result = match control {
            FSCTL_GET_REPARSE_POINT => self.get_reparse_point(id, output),
            FSCTL_SET_REPARSE_POINT => self.set_reparse_point(id, input, None, effects),
            FSCTL_SET_REPARSE_POINT_EX => match input.split_at_checked(EXTENDED_HEAD) {
                Some((head, input)) => self.set_reparse_point(id, input, Some(head), effects),
                None => Err(STATUS_IO_REPARSE_DATA_INVALID),
            },
            _ => self.delete_reparse_point(id, input, effects),
        };
        result.unwrap_or_else(|status| (status, 0))
    }

    fn get_reparse_point(&self, id: OpenId, output: &mut [u8]) -> Result<Reply, NTSTATUS> {
        let state = self.state();
        state.usable(id)?;
        let file = state.whole_of(id)?.metadata()?;
        let data = file
            .as_ref()
            .map_or(&[][..], |file| state.reparse_point(file));
        if data.is_empty() {
            return Err(STATUS_NOT_A_REPARSE_POINT);
        }
        let fits = data.len().min(output.len());
        if fits < data.len() && fits < LEAST {
            return Ok((STATUS_BUFFER_TOO_SMALL, data.len()));
        }
        if let (Some(room), Some(part)) = (output.get_mut(..fits), data.get(..fits)) {
            room.copy_from_slice(part);
        }
        let whole = fits == data.len();
        Ok((
            if whole {
                STATUS_SUCCESS
            } else {
                STATUS_BUFFER_OVERFLOW
            },
            fits,
        ))
    }

    /// `extended` is what `REPARSE_DATA_BUFFER_EX` has in front.
    fn set_reparse_point(
        &self,
        id: OpenId,
        new: &[u8],
        extended: Option<&[u8]>,
        effects: &mut Effects<'_>,
    ) -> Result<Reply, NTSTATUS> {
        reparse::check(new)?;
        let mut state = self.state();
        self.may_change(&state, id)?;
        let node = state.whole_of(id)?;
        let file = node.metadata()?.ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
        let tag = reparse::tag(new);
        match &node.object {
            Object::Directory(_) if state.link_of(id)?.parent.is_none() => {
                return Err(STATUS_INVALID_PARAMETER);
            }
            Object::Directory(directory) => {
                let names = directory.names().map_err(|error| host_status::of(&error))?;
                if !names.is_empty() {
                    return Err(STATUS_DIRECTORY_NOT_EMPTY);
                }
            }
            Object::File(_) if tag == reparse::MOUNT_POINT => return Err(STATUS_NOT_A_DIRECTORY),
            Object::File(_) if tag == reparse::SYMBOLIC_LINK && file.size != 0 => {
                return Err(STATUS_IO_REPARSE_DATA_INVALID);
            }
            Object::File(_) | Object::Volume => {}
        }
        let old = state.reparse_point(&file);
        match extended {
            Some(head) => matches_expected(old, head)?,
            None if !old.is_empty() => same_owner(old, new)?,
            None => {}
        }
        state.put_reparse_point(id, &file, new.to_vec(), effects)?;
        Ok((STATUS_SUCCESS, 0))
    }

    fn delete_reparse_point(
        &self,
        id: OpenId,
        given: &[u8],
        effects: &mut Effects<'_>,
    ) -> Result<Reply, NTSTATUS> {
        let tag = reparse::tag(given);
        let header = match reparse::has_guid(tag) {
            true => reparse::GUID_HEADER,
            false => reparse::HEADER,
        };
        let known = [header, reparse::GUID_HEADER].contains(&given.len());
        if !known || reparse::data_length(given) != 0 {
            return Err(STATUS_IO_REPARSE_DATA_INVALID);
        }
        if !reparse::is_tag(tag) {
            return Err(STATUS_IO_REPARSE_TAG_INVALID);
        }
        let mut state = self.state();
        self.may_change(&state, id)?;
        let file = state.whole_of(id)?.metadata()?;
        let file = file.ok_or(STATUS_NOT_A_REPARSE_POINT)?;
        let old = state.reparse_point(&file);
        if old.is_empty() {
            return Err(STATUS_NOT_A_REPARSE_POINT);
        }
        same_owner(old, given)?;
        state.put_reparse_point(id, &file, Vec::new(), effects)?;
        Ok((STATUS_SUCCESS, 0))
    }

    /// Whether an open may change the reparse point of its file.
    fn may_change(&self, state: &State, id: OpenId) -> Result<(), NTSTATUS> {
        let open = state.usable(id)?;
        if self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        if open.granted & (access::WRITE_DATA | access::WRITE_ATTRIBUTES) == 0 {
            return Err(STATUS_ACCESS_DENIED);
        }
        Ok(())
    }
}

impl State {
    fn put_reparse_point(
        &mut self,
        id: OpenId,
        file: &Metadata,
        data: Vec<u8>,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        self.overlays.change(file, |overlay| {
            overlay.reparse = data;
            overlay.changed = Some((now(), file.changed));
        });
        let modified = Change {
            path: self.link_of(id)?.components.clone(),
            action: Action::Modified,
            filter: change::ATTRIBUTES,
            entry: self.entry_of(id),
        };
        self.report(&[modified], effects);
        Ok(())
    }
}

/// A reparse point is changed by who has set it.
fn same_owner(old: &[u8], new: &[u8]) -> Result<(), NTSTATUS> {
    if reparse::tag(old) != reparse::tag(new) {
        return Err(STATUS_IO_REPARSE_TAG_MISMATCH);
    }
    if reparse::guid(old) != reparse::guid(new) {
        return Err(STATUS_REPARSE_ATTRIBUTE_CONFLICT);
    }
    Ok(())
}

/// The reparse point that is there is the one that whoever changes it knows.
fn matches_expected(old: &[u8], head: &[u8]) -> Result<(), NTSTATUS> {
    let fields = Fields(head);
    let (flags, tag) = (fields.int(0).unwrap_or(0), fields.int(4).unwrap_or(0));
    if old.is_empty() {
        let may_be_none = tag == 0 || flags & GIVEN_TAG_OR_NONE != 0;
        return if may_be_none {
            Ok(())
        } else {
            Err(STATUS_NOT_A_REPARSE_POINT)
        };
    }
    if reparse::tag(old) != tag {
        return Err(STATUS_IO_REPARSE_TAG_MISMATCH);
    }
    match reparse::guid(old) {
        Some(guid) if head.get(8..24) != Some(guid) => Err(STATUS_REPARSE_ATTRIBUTE_CONFLICT),
        _ => Ok(()),
    }
}
