//! One thread of a program: its handles, its outstanding requests, what it has seen.

use super::super::layout::{Mask, masked};
use super::super::progress::Progress;
use super::super::worker::synchronous;
use super::observation::Observation;
use super::operation::{Create, NAMES, Name, Operation, SLOTS};
use crate::file_system::adversary;
use crate::io_manager::identity;
use crate::io_manager::identity::Choice;
use crate::nt::*;
use crate::user::access::{FILE_LIST_DIRECTORY, SYNCHRONIZE};
use crate::user::{CreateParameters, EndBy, File, Mapping, Outcome, Pending, View, create_file};
use std::cell::Cell;
use std::sync::Arc;

/// Outstanding requests of a thread at most.
const OUTSTANDING: usize = 8;

/// How long a thread sleeps between two looks at a request, in 100 ns units.
pub(super) const LOOK: i64 = 200;

/// Number of the operation that makes the thread's directories.
const BEGIN: u32 = 0xFFF_FFF0;
/// Number of the operation that closes everything.
const END: u32 = 0xFFF_FFF1;

/// A thread of a program.
pub struct Runner {
    /// Ordinal, 1-based.
    pub thread: u32,
    /// What it has seen.
    pub seen: Vec<Observation>,
    /// See [`super::Program`].
    pub may_pend: bool,
    /// NT names of its volumes; its own comes first.
    volumes: Vec<String>,
    /// Its directory on each of them, with a backslash before it.
    directory: String,
    roots: Vec<Option<File>>,
    slots: Vec<Option<Open>>,
    /// Of files that were opened in the slots, whether or not they still are.
    views: Vec<Option<View>>,
    outstanding: Vec<Outstanding>,
    number: u32,
    progress: Arc<Progress>,
}

/// A handle.
pub(super) struct Open {
    pub(super) file: File,
    /// The class of its first watch, which tells what all others are told.
    watched_by: Cell<Option<i32>>,
}

impl Open {
    fn new(file: File) -> Self {
        Self {
            file,
            watched_by: Cell::new(None),
        }
    }

    /// The class of its watches, which is `class` if this is the first.
    pub(super) fn class_of_watches(&self, class: i32) -> i32 {
        let first = self.watched_by.get().unwrap_or(class);
        self.watched_by.set(Some(first));
        first
    }
}

/// A request that was not waited for.
struct Outstanding {
    pending: Pending<'static>,
    slot: u8,
    call: String,
    mask: Mask,
    long_lived: bool,
}

impl Runner {
    /// Begins thread `thread` in `directory`, which it makes on all `volumes`.
    pub fn new(
        thread: u32,
        volumes: Vec<String>,
        directory: String,
        progress: Arc<Progress>,
    ) -> Self {
        let mut runner = Self {
            thread,
            seen: Vec::new(),
            may_pend: false,
            roots: Vec::new(),
            slots: (0..SLOTS).map(|_| None).collect(),
            views: (0..SLOTS).map(|_| None).collect(),
            outstanding: Vec::new(),
            volumes,
            directory,
            number: BEGIN,
            progress,
        };
        identity::begin_operation(thread, BEGIN);
        for volume in 0..runner.volumes.len() {
            let root = runner.open_directory(volume, FILE_CREATE);
            runner.roots.push(root);
        }
        runner
    }

    /// Its directory on a volume.
    fn open_directory(&self, volume: usize, disposition: u32) -> Option<File> {
        let path = format!("{}{}", self.volumes[volume], self.directory);
        let parameters = CreateParameters::new(&path)
            .disposition(disposition)
            .access(FILE_LIST_DIRECTORY | SYNCHRONIZE)
            .options(synchronous(FILE_DIRECTORY_FILE));
        // It belongs to no operation: what a filter does to it is not compared.
        identity::script_next(Choice::Now);
        create_file(&parameters).file
    }

    /// Its directory on its own volume, if that could be opened.
    pub(super) fn own_root(&self) -> Option<&File> {
        self.roots.first()?.as_ref()
    }

    /// Closes its directory on its own volume, which may go then.
    pub(super) fn leave_own_volume(&mut self) {
        self.roots[0] = None;
    }

    /// Opens it again.
    pub(super) fn enter_own_volume(&mut self) {
        self.roots[0] = self.open_directory(0, FILE_OPEN_IF);
    }

    /// Carries out operation `number` of the thread.
    pub fn carry_out(&mut self, number: u32, operation: &Operation) {
        self.number = number;
        identity::begin_operation(self.thread, number);
        self.perform(operation);
    }

    /// Ends what is outstanding and closes all handles.
    pub fn end(mut self) -> Vec<Observation> {
        self.number = END;
        identity::begin_operation(self.thread, END);
        while !self.outstanding.is_empty() {
            self.cancel(0);
        }
        for slot in 0..SLOTS {
            self.close(slot);
            self.unmap(slot);
        }
        self.seen
    }

    /// Number of the operation in hand.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Full NT name of a file.
    pub(super) fn path(&self, at: Name) -> String {
        let volume = self.volumes.get(usize::from(at.volume));
        let name = NAMES.get(usize::from(at.name)).copied().unwrap_or_default();
        format!(
            "{}{}\\{name}",
            volume.map_or("", String::as_str),
            self.directory
        )
    }

    /// NT name of the thread's own volume.
    pub(super) fn own_volume(&self) -> &str {
        &self.volumes[0]
    }

    /// The handle in a slot.
    pub(super) fn open(&self, slot: u8) -> Option<&Open> {
        self.slots.get(usize::from(slot))?.as_ref()
    }

    /// Records a call's result.
    pub(super) fn note(&mut self, call: String, outcome: &Outcome, mask: Mask) -> &mut Observation {
        let data = masked(mask, &outcome.data);
        let seen = Observation::new(self.number, call, outcome, &data);
        self.seen.push(seen);
        self.progress.request();
        let last = self.seen.len() - 1;
        &mut self.seen[last]
    }

    /// Makes a call on the handle in a slot, if there is one, and records it. The call may be
    /// failed by injection.
    pub(super) fn call(
        &mut self,
        slot: u8,
        call: &str,
        mask: Mask,
        make: impl FnOnce(&File) -> Outcome,
    ) -> Option<i32> {
        let open = self.open(slot)?;
        identity::allow_failure_of_next();
        let outcome = make(&open.file);
        let position = open.file.position();
        self.note(format!("{call} [{slot}]"), &outcome, mask)
            .position = position;
        Some(outcome.status)
    }

    /// Maps the file in a slot.
    pub(super) fn map(&mut self, slot: u8, writable: bool) {
        self.unmap(slot);
        let Some(open) = self.open(slot) else { return };
        let mapping = match writable {
            true => Mapping::Writable,
            false => Mapping::ReadOnly,
        };
        identity::allow_failure_of_next();
        let (outcome, view) = open.file.map(mapping);
        self.note(format!("map [{slot}]"), &outcome, Mask::None);
        self.views[usize::from(slot)] = view;
    }

    /// Ends the view of a slot, if there is one.
    pub(super) fn unmap(&mut self, slot: u8) {
        if let Some(view) = self.views[usize::from(slot)].take() {
            let outcome = view.unmap();
            self.note(format!("unmap [{slot}]"), &outcome, Mask::None);
        }
    }

    /// Transfers a page of the view of a slot, or else of the handle's file.
    pub(super) fn page(&mut self, slot: u8, call: &str, of_view: impl FnOnce(&View) -> Outcome) {
        let Some(view) = &self.views[usize::from(slot)] else {
            return;
        };
        identity::allow_failure_of_next();
        let outcome = of_view(view);
        self.note(format!("{call} of the view [{slot}]"), &outcome, Mask::None);
    }

    /// Opens a file into a slot.
    pub(super) fn create(&mut self, create: &Create) {
        self.close(create.slot);
        let full = self.path(create.at);
        let root = self
            .roots
            .get(usize::from(create.at.volume))
            .and_then(Option::as_ref);
        let name = match root {
            Some(_) if create.relative => NAMES[usize::from(create.at.name)],
            _ => &full,
        };
        let mut parameters = CreateParameters::new(name)
            .disposition(create.disposition)
            .options(create.options)
            .access(create.access)
            .share(create.share)
            .attributes(create.attributes);
        if let Some(root) = root
            && create.relative
        {
            parameters = parameters.relative_to(root);
        }
        identity::allow_failure_of_next();
        let mut opened = create_file(&parameters);
        self.note(format!("create {}", create.at), &opened.outcome, Mask::None);
        if let Some(file) = opened.file.as_mut() {
            if create.events {
                file.pass_events();
            } else if file.is_asynchronous() {
                // The calls on each slot end in a way of their own.
                let ending = EndBy::ALL[usize::from(create.slot) % EndBy::ALL.len()];
                let ends = file.end_by(ending);
                debug_assert_eq!(ends, Ok(()), "a new file is on no port");
            }
        }
        self.slots[usize::from(create.slot)] = opened.file.map(Open::new);
    }

    /// Closes the handle in a slot, and waits for what was outstanding on it.
    pub(super) fn close(&mut self, slot: u8) {
        let Some(open) = self.slots.get_mut(usize::from(slot)).and_then(Option::take) else {
            return;
        };
        let outcome = open.file.close();
        self.note(format!("close [{slot}]"), &outcome, Mask::None);
        let (ended, rest) = std::mem::take(&mut self.outstanding)
            .into_iter()
            .partition(|request| request.slot == slot);
        self.outstanding = rest;
        for request in Vec::from_iter::<Vec<Outstanding>>(ended) {
            self.finish(request);
        }
    }

    /// Starts a request that may stay outstanding, and waits until it has ended or waits for
    /// something: what the thread does next finds it there.
    pub(super) fn start(
        &mut self,
        slot: u8,
        call: &str,
        mask: Mask,
        long_lived: bool,
        make: impl FnOnce(&File) -> Pending<'_>,
    ) {
        if self.outstanding.len() >= OUTSTANDING {
            self.cancel(0);
        }
        let Some(open) = self.open(slot) else { return };
        identity::allow_failure_of_next();
        identity::announce_next();
        let mut pending = make(&open.file);
        settle(&mut pending);
        let request = Outstanding {
            pending: pending.outlives_handle(),
            slot,
            call: format!("{call} [{slot}]"),
            mask,
            long_lived,
        };
        if request.pending.is_outstanding() {
            self.outstanding.push(request);
        } else {
            self.finish(request);
        }
    }

    /// Cancels an outstanding request and waits for it. Whether cancelling finds it is not
    /// recorded: its completion may be on the way.
    pub(super) fn cancel(&mut self, which: usize) {
        let count = self.outstanding.len();
        if count == 0 {
            return;
        }
        let mut request = self.outstanding.remove(which % count);
        request.pending.cancel();
        self.finish(request);
    }

    fn finish(&mut self, request: Outstanding) {
        let outcome = request.pending.wait();
        self.note(request.call, &outcome, request.mask).long_lived = request.long_lived;
    }
}

/// Waits until a request has ended or waits for something.
pub(super) fn settle(pending: &mut Pending<'_>) {
    let call = identity::last_begun();
    while pending.is_outstanding() && !adversary::has_waited(call) {
        pending.finishes_within(LOOK);
    }
}
