//! Oplocks of a volume: the controls that ask for them, and the operations that break them.

use super::create::Request;
use super::oplocks::{self, Answer, Checked, Control, Kind, Modes, Operation, Who};
use super::share::{SHARE_READ, access};
use super::volume::{Object, OpenId, State, Volume};
use super::waiting::{Arm, Effects, Outcome, Ticket};
use ntbox_kernel::host::file::Identity;
use ntbox_kernel::io_manager::sections;
use ntbox_kernel::nt::{
    FILE_COMPLETE_IF_OPLOCKED, FILE_OPEN_REQUIRING_OPLOCK, FILE_RESERVE_OPFILTER, NTSTATUS,
    STATUS_CANCELLED, STATUS_CANNOT_BREAK_OPLOCK, STATUS_CANNOT_GRANT_REQUESTED_OPLOCK,
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
        let owner = state.who(id);
        // Those with the same key are no others to an oplock of Windows 7.
        let by_keys = matches!(control, Control::Request(Kind::Caching(_)));
        let alone = !state.opens.iter().any(|(other, open)| {
            let same_key = by_keys && owner.key.is_some() && owner.key == open.oplock_key;
            *other != id && open.file == file && !open.cleaned_up && !same_key
        });
        let Some(node) = state.files.get_mut(&file) else {
            return done(STATUS_INVALID_PARAMETER);
        };
        if !matches!(node.object, Object::File(_)) {
            return done(STATUS_INVALID_PARAMETER);
        }
        if let Control::Request(kind) = control
            && (synchronous || kind.is_shared() && !node.locks.is_empty())
        {
            return done(STATUS_OPLOCK_NOT_GRANTED);
        }
        if by_keys && sections::writable_views(node.sections) != 0 {
            let status = STATUS_CANNOT_GRANT_REQUESTED_OPLOCK;
            return Outcome::Done(status, oplocks::refused_by_view());
        }
        match node.oplocks.control(control, owner, alone, ticket, effects) {
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
        state.break_oplock(file, id, operation, effects)
    }

    /// Whether fast I/O may do this without breaking anything.
    pub fn oplock_allows(&self, id: OpenId, operation: Operation) -> bool {
        let state = self.state();
        let who = state.who(id);
        state
            .file_of(id)
            .is_ok_and(|file| file.oplocks.allows(who, operation))
    }
}

impl State {
    /// An open, as an owner of oplocks.
    pub(super) fn who(&self, id: OpenId) -> Who {
        Who {
            open: Some(id),
            key: self.opens.get(&id).and_then(|open| open.oplock_key),
        }
    }

    /// Whether an oplock keeps a handle of the file open.
    pub(super) fn keeps_handle(&self, file: Identity) -> bool {
        let node = self.files.get(&file);
        node.is_some_and(|node| node.oplocks.keeps_handle())
    }

    /// Takes a request out that waits for the end of a break, of whatever file.
    pub(super) fn remove_waiting_for_oplock(&mut self, ticket: Ticket) -> bool {
        let mut files = self.files.values_mut();
        files.any(|file| file.oplocks.remove_waiting(ticket))
    }

    /// Breaks what an operation of `id` breaks on `file`, its own one or one that it replaces.
    pub(super) fn break_oplock(
        &mut self,
        file: Identity,
        id: OpenId,
        operation: Operation,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        let who = self.who(id);
        self.break_oplock_of(file, who, operation, effects)
    }

    fn break_oplock_of(
        &mut self,
        file: Identity,
        who: Who,
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
        node.oplocks.wait(ticket, who.open);
        if arm() {
            return Err(STATUS_PENDING);
        }
        node.oplocks.remove_waiting(ticket);
        Err(STATUS_CANCELLED)
    }

    /// Breaks what an open of `file` breaks, which others keep it from sharing if it `violates`; true
    /// if it goes on though the break is under way. One that is to have an oplock breaks none.
    pub(super) fn break_oplock_for_open(
        &mut self,
        file: Identity,
        request: &Request,
        rights: u32,
        overwrites: bool,
        violates: bool,
        effects: &mut Effects<'_>,
    ) -> Result<bool, NTSTATUS> {
        let reserves = request.has(FILE_RESERVE_OPFILTER);
        if rights & !HARMLESS == 0 && !reserves {
            return Ok(false);
        }
        let modes = Modes {
            access: rights,
            share: request.share,
        };
        let operation = Operation::Create {
            to_none: overwrites || reserves,
            // A reservation breaks a filter oplock, whatever it is for.
            collides: reserves || rights & !READING != 0 && request.share & SHARE_READ == 0,
            violates: violates.then_some(modes),
        };
        let who = Who {
            open: None,
            key: request.oplock_key,
        };
        let node = self.files.get(&file);
        if request.has(FILE_OPEN_REQUIRING_OPLOCK)
            && node.is_some_and(|node| node.oplocks.would_break(who, operation))
        {
            return Err(STATUS_CANNOT_BREAK_OPLOCK);
        }
        if !request.has(FILE_COMPLETE_IF_OPLOCKED) {
            return self
                .break_oplock_of(file, who, operation, effects)
                .map(|()| false);
        }
        let checked = |node: &mut super::volume::FileNode| {
            node.oplocks.check(who, operation, effects) == Checked::Breaking
        };
        Ok(self.files.get_mut(&file).is_some_and(checked))
    }

    /// An open that begins a stream anew breaks the batch and filter oplocks of these `others` of its file, before
    /// sharing is looked at; as [`break_oplock_for_open`](Self::break_oplock_for_open).
    pub(super) fn break_oplocks_of_others(
        &mut self,
        others: impl IntoIterator<Item = Identity>,
        request: &Request,
        rights: u32,
        effects: &mut Effects<'_>,
    ) -> Result<bool, NTSTATUS> {
        let mut breaks = false;
        for other in others {
            let node = self.files.get(&other);
            if node.is_some_and(|node| node.oplocks.is_batch_or_filter()) {
                breaks |=
                    self.break_oplock_for_open(other, request, rights, true, false, effects)?;
            }
        }
        Ok(breaks)
    }
}
