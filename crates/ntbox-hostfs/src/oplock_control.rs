//! Oplocks of a volume: the controls that ask for them, and the operations that break them.

use super::create::Request;
use super::oplocks::{Answer, Checked, Control, Kind, Operation};
use super::share::{SHARE_READ, access};
use super::volume::{Object, OpenId, State, Volume};
use super::waiting::{Arm, Effects, Outcome, Ticket};
use ntbox_kernel::host::file::Identity;
use ntbox_kernel::nt::{
    FILE_COMPLETE_IF_OPLOCKED, FILE_RESERVE_OPFILTER, NTSTATUS, STATUS_CANCELLED,
    STATUS_INVALID_PARAMETER, STATUS_OPLOCK_NOT_GRANTED, STATUS_PENDING,
};

/// Rights with which an open breaks no oplock.
const HARMLESS: u32 = access::READ_ATTRIBUTES | access::WRITE_ATTRIBUTES | access::SYNCHRONIZE;

/// Rights that do not count as writing for a filter oplock.
const READING: u32 =
    HARMLESS | access::READ_DATA | access::READ_EA | access::EXECUTE | access::READ_CONTROL;

impl Volume {
    /// A control about oplocks, through a handle that is synchronous or not.
    pub fn oplock(
        &self,
        id: OpenId,
        control: Control,
        synchronous: bool,
        ticket: Ticket,
        arm: Arm<'_>,
        effects: &mut Effects<'_>,
    ) -> Outcome {
        let done = |status| Outcome::Done(status, Vec::new());
        let mut state = self.state();
        let file = match state.usable(id) {
            Ok(open) => open.file,
            Err(status) => return done(status),
        };
        let others = state
            .opens
            .iter()
            .any(|(other, open)| *other != id && open.file == file && !open.cleaned_up);
        let Some(node) = state.files.get_mut(&file) else {
            return done(STATUS_INVALID_PARAMETER);
        };
        if !matches!(node.object, Object::File(_)) {
            return done(STATUS_INVALID_PARAMETER);
        }
        if let Control::Request(kind) = control
            && (synchronous || kind == Kind::LevelTwo && !node.locks.is_empty())
        {
            return done(STATUS_OPLOCK_NOT_GRANTED);
        }
        match node.oplocks.control(control, id, others, ticket, effects) {
            Answer::Done(status) => done(status),
            Answer::Outstanding if arm() => Outcome::Waiting,
            Answer::Outstanding => {
                node.oplocks.remove_waiting(ticket);
                done(STATUS_CANCELLED)
            }
        }
    }

    /// Breaks what an operation on an open file breaks.
    ///
    /// # Errors
    /// `STATUS_PENDING`: it waits, as the request of `effects`; `STATUS_CANCELLED`: it would wait,
    /// and was cancelled.
    pub fn break_oplock(
        &self,
        id: OpenId,
        operation: Operation,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        let mut state = self.state();
        // What is wrong with the open is the operation's to say.
        let Ok(file) = state.usable(id).map(|open| open.file) else {
            return Ok(());
        };
        state.break_oplock(file, Some(id), operation, effects)
    }

    /// Whether fast I/O may do this without breaking anything.
    pub fn oplock_allows(&self, id: OpenId, operation: Operation) -> bool {
        self.state()
            .file_of(id)
            .is_ok_and(|file| file.oplocks.allows(id, operation))
    }
}

impl State {
    fn break_oplock(
        &mut self,
        file: Identity,
        who: Option<OpenId>,
        operation: Operation,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        let Some(node) = self.files.get_mut(&file) else {
            return Ok(());
        };
        if node.oplocks.check(who, operation, effects) == Checked::Free {
            return Ok(());
        }
        let Some((ticket, arm)) = effects.waiter() else {
            return Ok(());
        };
        node.oplocks.wait(ticket, who);
        if arm() {
            return Err(STATUS_PENDING);
        }
        node.oplocks.remove_waiting(ticket);
        Err(STATUS_CANCELLED)
    }

    /// Breaks what an open of `file` breaks; true if it goes on though the break is under way.
    pub(super) fn break_oplock_for_open(
        &mut self,
        file: Identity,
        request: &Request,
        rights: u32,
        overwrites: bool,
        effects: &mut Effects<'_>,
    ) -> Result<bool, NTSTATUS> {
        let reserves = request.has(FILE_RESERVE_OPFILTER);
        if rights & !HARMLESS == 0 && !reserves {
            return Ok(false);
        }
        let operation = Operation::Create {
            to_none: overwrites || reserves,
            collides: rights & !READING != 0 && request.share & SHARE_READ == 0,
        };
        if !request.has(FILE_COMPLETE_IF_OPLOCKED) {
            return self
                .break_oplock(file, None, operation, effects)
                .map(|()| false);
        }
        let checked = |node: &mut super::volume::FileNode| {
            node.oplocks.check(None, operation, effects) == Checked::Breaking
        };
        Ok(self.files.get_mut(&file).is_some_and(checked))
    }
}
