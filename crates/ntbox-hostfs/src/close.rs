//! IRP_MJ_CLEANUP and IRP_MJ_CLOSE, and deletion, which the first of them does.

use super::locks;
use super::notify::{Action, Change, change};
use super::volume::{FileNode, Object, OpenId, State, Volume};
use super::waiting::Effects;
use ntbox_kernel::host::file::{Identity, Kind};
use ntbox_kernel::nt::{STATUS_CANCELLED, STATUS_DELETE_PENDING, STATUS_NOTIFY_CLEANUP};

impl Volume {
    /// The last handle of the file object is closed: what it holds is given up, what waits
    /// through it ends, and a file that is to be deleted goes when no other handle is left. Whether nobody can ask for
    /// its data any more.
    pub fn cleanup(&self, id: OpenId, effects: &mut Effects<'_>) -> bool {
        let mut state = self.state();
        let Some(open) = state.opens.get_mut(&id).filter(|open| !open.cleaned_up) else {
            return false;
        };
        open.cleaned_up = true;
        open.scan = None;
        if let Some(watch) = open.watch.as_mut() {
            watch.end(STATUS_NOTIFY_CLEANUP, effects);
        }
        let (file, whole) = (open.file, open.whole);
        let (shared, modified) = (open.shared, open.modified);
        let (delete_on_close, at_once) = (open.delete_on_close, open.delete_at_cleanup);
        if state.locked_by == Some(id) {
            state.locked_by = None;
        }
        let Some(node) = state.files.get_mut(&file) else {
            return false;
        };
        node.shares.remove(shared);
        locks::release(&mut node.locks, id.0, STATUS_CANCELLED, effects);
        node.oplocks.cleanup(id, effects);
        let is_stream = node.stream.is_some();
        let stream_goes = node.stream.as_mut().is_some_and(|stream| {
            stream.handles = stream.handles.saturating_sub(1);
            stream.delete_pending |= delete_on_close;
            stream.delete_pending && !stream.removed && (stream.handles == 0 || at_once)
        });
        let Ok(link) = state.link_of_mut(id) else {
            return false;
        };
        link.handles = link.handles.saturating_sub(1);
        link.delete_pending |= delete_on_close && !is_stream;
        let at_once = at_once && !is_stream;
        let goes = link.delete_pending && !link.removed && (link.handles == 0 || at_once);
        if state.gone().is_some() {
            return true;
        }
        if modified != 0 && !goes && !stream_goes {
            state.report_data(id, modified, effects);
        }
        if modified != 0 {
            state.note_allocation(whole);
        }
        if stream_goes {
            state.remove_open_stream(id, effects);
        }
        if goes {
            remove(&mut state, id, whole, effects);
        }
        state.is_unreachable(id)
    }

    /// The file object is gone.
    pub fn close(&self, id: OpenId) {
        let mut state = self.state();
        let Some(open) = state.opens.remove(&id) else {
            return;
        };
        if open.file != open.whole {
            state.release(open.file);
        }
        let Some(file) = state.files.get_mut(&open.whole) else {
            return;
        };
        let mut removed = false;
        if let Some(link) = file.links.get_mut(&open.link) {
            link.opens = link.opens.saturating_sub(1);
            removed = link.removed && !link.alias;
            if link.opens == 0 {
                file.links.remove(&open.link);
            }
        }
        if !self.description.read_only {
            // It was written, perhaps, by the lazy writer or by a view since its cleanup.
            state.note_allocation(open.whole);
        }
        let last = state.release(open.whole);
        // It may have been replaced while it was open.
        if removed && last.is_some_and(|file| file.is_gone()) {
            state.overlays.forget(open.whole);
        }
    }
}

impl State {
    /// No handle of what `id` has opened is left, and no name of it.
    fn is_unreachable(&self, id: OpenId) -> bool {
        let Ok(node) = self.file_of(id) else {
            return false;
        };
        match &node.stream {
            Some(stream) => stream.removed && stream.handles == 0,
            None => node.is_gone() && node.links.values().all(|link| link.handles == 0),
        }
    }
    /// A file object of it is gone; the node, if it was the last one.
    fn release(&mut self, file: Identity) -> Option<FileNode> {
        let node = self.files.get_mut(&file)?;
        node.opens = node.opens.saturating_sub(1);
        match node.opens {
            0 => self.files.remove(&file),
            _ => None,
        }
    }
}

/// Removes the directory entry of the name by which `id` was opened. A directory that has
/// got an entry meanwhile stays.
fn remove(state: &mut State, id: OpenId, file: Identity, effects: &mut Effects<'_>) {
    let Ok(node) = state.whole_of(id) else { return };
    let directory = matches!(node.object, Object::Directory(_));
    let metadata = node.metadata().ok().flatten();
    let last_seen = state.entry_of(id);
    let Ok(link) = state.link_of_mut(id) else {
        return;
    };
    let Some(parent) = link.parent.clone() else {
        return;
    };
    // The entry may be a link of the host: that is removed as what it is.
    let entry = parent.metadata_of(&link.name).ok();
    let entry_is = |kind| entry.is_some_and(|entry| entry.kind == kind);
    let (entry_is_directory, alias) = (entry_is(Kind::Directory), entry_is(Kind::Link));
    let removed = if entry_is_directory {
        parent.remove_directory(&link.name)
    } else {
        parent.remove_file(&link.name)
    };
    if removed.is_err() {
        link.delete_pending = false;
        return;
    }
    (link.removed, link.alias) = (true, alias);
    let path = link.components.clone();
    if let (Some(metadata), Some(long)) = (&metadata, path.last()) {
        state.drop_short_name(metadata, &parent, long);
    }
    let last = directory || metadata.is_none_or(|metadata| metadata.links <= 1);
    if last && !alias {
        state.overlays.forget(file);
    }
    // Another handle may watch the directory that is gone.
    for open in state.opens.values_mut().filter(|open| open.file == file) {
        if let Some(watch) = open.watch.as_mut() {
            watch.end(STATUS_DELETE_PENDING, effects);
        }
    }
    let filter = if directory {
        change::DIR_NAME
    } else {
        change::FILE_NAME
    };
    state.report(
        &[Change {
            path,
            action: Action::Removed,
            filter,
            entry: last_seen,
        }],
        effects,
    );
}
