//! Byte-range locks, change notification, file-system controls and dismount of a volume.

use super::locks::{self, Asked, Lock, Owner, Range};
use super::notify::{Class, Watch, change};
use super::volume::{Object, OpenId, Volume};
use super::waiting::{Arm, Effects, Outcome, Ticket};
use ntbox_kernel::nt::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_BUFFER_TOO_SMALL, STATUS_CANCELLED,
    STATUS_DELETE_PENDING, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER,
    STATUS_NOT_LOCKED, STATUS_NOTIFY_CLEANUP, STATUS_SUCCESS, STATUS_VOLUME_DISMOUNTED,
};
use windows_sys::Win32::System::Ioctl as code;

/// Who has locked a volume that is asked whether it may go: no open has this number.
const PLUG_AND_PLAY: OpenId = OpenId(0);

/// A request for a byte-range lock.
#[derive(Clone, Copy, Debug)]
pub struct LockRequest {
    /// First byte.
    pub offset: i64,
    /// Number of bytes.
    pub length: i64,
    /// The caller's process.
    pub process: usize,
    /// The caller's key.
    pub key: u32,
    /// Exclusive or shared.
    pub exclusive: bool,
    /// Do not wait.
    pub fail_immediately: bool,
}

impl Volume {
    /// Locks a range, now or when it becomes free.
    pub fn lock(&self, id: OpenId, request: &LockRequest, ticket: Ticket, arm: Arm<'_>) -> Outcome {
        let done = |status| Outcome::Done(status, Vec::new());
        let range = match Range::new(request.offset as u64, request.length as u64) {
            Ok(range) => range,
            Err(status) => return done(status),
        };
        let owner = Owner {
            file: id.0,
            process: request.process,
            key: request.key,
        };
        let mut state = self.state();
        if let Err(status) = state.usable(id) {
            return done(status);
        }
        let Ok(file) = state.file_of_mut(id) else {
            return done(STATUS_INVALID_PARAMETER);
        };
        if !matches!(file.object, Object::File(_)) {
            return done(STATUS_INVALID_PARAMETER);
        }
        let lock = Lock {
            owner,
            range,
            exclusive: request.exclusive,
        };
        match file
            .locks
            .lock(lock, (!request.fail_immediately).then_some(ticket))
        {
            Asked::Granted => done(STATUS_SUCCESS),
            Asked::Refused(status) => done(status),
            Asked::Queued if arm() => Outcome::Waiting,
            Asked::Queued => {
                file.locks.remove_waiting(ticket);
                done(STATUS_CANCELLED)
            }
        }
    }

    /// Gives one lock back.
    pub fn unlock_single(
        &self,
        id: OpenId,
        process: usize,
        key: u32,
        range: (i64, i64),
        effects: &mut Effects<'_>,
    ) -> NTSTATUS {
        let range = Range {
            offset: range.0 as u64,
            length: range.1 as u64,
        };
        self.unlock(id, effects, |table| {
            table.unlock_single(
                Owner {
                    file: id.0,
                    process,
                    key,
                },
                range,
            )
        })
    }

    /// Gives back all locks of the file object in the process, of one key if given.
    pub fn unlock_all(
        &self,
        id: OpenId,
        process: usize,
        key: Option<u32>,
        effects: &mut Effects<'_>,
    ) -> NTSTATUS {
        self.unlock(id, effects, |table| table.unlock_all(id.0, process, key))
    }

    fn unlock(
        &self,
        id: OpenId,
        effects: &mut Effects<'_>,
        unlock: impl FnOnce(&mut locks::Table) -> NTSTATUS,
    ) -> NTSTATUS {
        let mut state = self.state();
        if let Err(status) = state.usable(id) {
            return status;
        }
        match state.file_of_mut(id) {
            Ok(file) if matches!(file.object, Object::File(_)) => {
                let status = unlock(&mut file.locks);
                locks::grant(&mut file.locks, effects);
                status
            }
            _ => STATUS_INVALID_PARAMETER,
        }
    }

    /// Waits for a change below a directory. What is watched, and of which class the records are, the first request of
    /// an open says.
    pub fn notify(
        &self,
        id: OpenId,
        (filter, tree): (u32, bool),
        class: Class,
        length: usize,
        ticket: Ticket,
        arm: Arm<'_>,
    ) -> Outcome {
        let done = |status| Outcome::Done(status, Vec::new());
        let mut state = self.state();
        if let Some(status) = state.gone() {
            return done(status);
        }
        if state.opens.get(&id).is_some_and(|open| open.cleaned_up) {
            return done(STATUS_NOTIFY_CLEANUP);
        }
        let (Ok(file), Ok(link)) = (state.file_of(id), state.link_of(id)) else {
            return done(STATUS_INVALID_PARAMETER);
        };
        if !file.is_directory() || filter & change::VALID == 0 || filter & !change::VALID != 0 {
            return done(STATUS_INVALID_PARAMETER);
        }
        if link.delete_pending {
            return done(STATUS_DELETE_PENDING);
        }
        let Some(open) = state.opens.get_mut(&id) else {
            return done(STATUS_INVALID_PARAMETER);
        };
        let watch = open
            .watch
            .get_or_insert_with(|| Watch::new(filter, tree, class, length));
        match watch.request(ticket, length) {
            Outcome::Waiting if !arm() => {
                watch.remove_waiting(ticket);
                done(STATUS_CANCELLED)
            }
            outcome => outcome,
        }
    }

    /// A file-system control by a program. The output goes into `buffer`, which holds the input.
    ///
    /// Oplocks and reparse points have routines of their own ([`oplock`](Self::oplock),
    /// [`reparse_control`](Self::reparse_control)); what it does not know is
    /// `STATUS_INVALID_DEVICE_REQUEST`.
    pub fn control(
        &self,
        id: OpenId,
        control: u32,
        output: &mut [u8],
        effects: &mut Effects<'_>,
    ) -> (NTSTATUS, usize) {
        let mut state = self.state();
        let is_volume = state
            .file_of(id)
            .is_ok_and(|file| matches!(file.object, Object::Volume));
        if control == code::FSCTL_IS_VOLUME_MOUNTED {
            return (state.gone().unwrap_or(STATUS_SUCCESS), 0);
        }
        if let Err(status) = state.usable(id) {
            return (status, 0);
        }
        let local = self.description.prefix.is_empty();
        let status = match control {
            // A share is its server's to lock.
            code::FSCTL_LOCK_VOLUME | code::FSCTL_UNLOCK_VOLUME | code::FSCTL_DISMOUNT_VOLUME
                if !local =>
            {
                STATUS_INVALID_DEVICE_REQUEST
            }
            code::FSCTL_LOCK_VOLUME if is_volume => {
                let others = state
                    .opens
                    .iter()
                    .any(|(other, open)| *other != id && !open.cleaned_up);
                if others || state.locked_by.is_some() {
                    STATUS_ACCESS_DENIED
                } else {
                    state.locked_by = Some(id);
                    STATUS_SUCCESS
                }
            }
            code::FSCTL_UNLOCK_VOLUME if is_volume => {
                if state.locked_by == Some(id) {
                    state.locked_by = None;
                    STATUS_SUCCESS
                } else {
                    STATUS_NOT_LOCKED
                }
            }
            code::FSCTL_DISMOUNT_VOLUME if is_volume => {
                drop(state);
                self.dismount(effects);
                STATUS_SUCCESS
            }
            code::FSCTL_LOCK_VOLUME | code::FSCTL_UNLOCK_VOLUME | code::FSCTL_DISMOUNT_VOLUME => {
                STATUS_INVALID_PARAMETER
            }
            code::FSCTL_IS_VOLUME_DIRTY if is_volume => return zero(output, 4),
            code::FSCTL_GET_COMPRESSION if !is_volume => return zero(output, 2),
            code::FSCTL_ALLOW_EXTENDED_DASD_IO if is_volume => STATUS_SUCCESS,
            _ => STATUS_INVALID_DEVICE_REQUEST,
        };
        (status, 0)
    }

    /// Whether a handle of the volume, or of anything on it, is open.
    pub(super) fn has_handles(&self) -> bool {
        let state = self.state();
        state.opens.values().any(|open| !open.cleaned_up)
    }

    /// Locks the volume for the PnP manager, unless anything is open on it, or it is locked.
    pub(super) fn may_go(&self) -> bool {
        let mut state = self.state();
        let free = state.opens.is_empty() && state.locked_by.is_none() && !state.dismounted;
        if free {
            state.locked_by = Some(PLUG_AND_PLAY);
        }
        free
    }

    /// Unlocks it again, if the PnP manager has it locked.
    pub(super) fn may_stay(&self) {
        let mut state = self.state();
        if state.locked_by == Some(PLUG_AND_PLAY) {
            state.locked_by = None;
        }
    }

    /// Takes the volume away from its opens: everything but cleanup and close fails from now on.
    /// False if it was away already.
    pub fn dismount(&self, effects: &mut Effects<'_>) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        if std::mem::replace(&mut state.dismounted, true) {
            return false;
        }
        state.locked_by = None;
        for open in state.opens.values_mut() {
            open.scan = None;
            if let Some(watch) = open.watch.as_mut() {
                watch.end(STATUS_VOLUME_DISMOUNTED, effects);
            }
        }
        for (id, open) in &state.opens {
            if let Some(file) = state.files.get_mut(&open.file) {
                locks::release(&mut file.locks, id.0, STATUS_VOLUME_DISMOUNTED, effects);
                file.oplocks.end(effects);
            }
        }
        state.overlays.close();
        self.tree.close();
        true
    }
}

fn zero(output: &mut [u8], length: usize) -> (NTSTATUS, usize) {
    match output.get_mut(..length) {
        Some(room) => {
            room.fill(0);
            (STATUS_SUCCESS, length)
        }
        None => (STATUS_BUFFER_TOO_SMALL, 0),
    }
}
