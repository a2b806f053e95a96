//! What each operation calls.

use super::super::layout::{
    Mask, OWNER_GROUP_DACL, basic_information, extended_attribute, label_again, name_information,
    rename_information, room_control, told_of_room,
};
use super::super::media;
use super::super::worker::synchronous;
use super::operation::{BLOCK, Exchange, Locked, Operation, Part, Removal};
use super::runner::{Open, Runner};
use crate::io_manager::identity;
use crate::io_manager::media::Put;
use crate::io_manager::pnp::Step;
use crate::nt::*;
use crate::user::access::{READ, WRITE};
use crate::user::extended_attributes::EaQuery;
use crate::user::locks::Range;
use crate::user::{
    CreateParameters, PAGE, Pending, create_file, exchange_medium, plug_and_play, query_attributes,
};

/// End of the file while transfers overlap: all of their blocks are in it.
const WHOLE: i64 = 16 * BLOCK as i64;

impl Runner {
    pub(super) fn perform(&mut self, operation: &Operation) {
        match *operation {
            Operation::Create(ref create) => self.create(create),
            Operation::Close { slot } => self.close(slot),
            Operation::Read {
                slot,
                offset,
                length,
            } => {
                self.call(slot, "read", Mask::None, |file| file.read(offset, length));
            }
            Operation::Write {
                slot,
                offset,
                length,
                byte,
            } => {
                let data = vec![byte; length as usize];
                self.call(slot, "write", Mask::None, |file| file.write(offset, &data));
            }
            Operation::Overlap { slot, ref parts } => self.overlap(slot, parts),
            Operation::Hold { slot, write } => self.hold(slot, write),
            Operation::Lock {
                slot,
                range,
                exclusive,
                wait,
            } => {
                let wait = wait
                    && self
                        .open(slot)
                        .is_some_and(|open| open.file.is_asynchronous());
                self.start(slot, "lock", Mask::None, false, |file| {
                    file.start_lock(bytes_of(range), !wait, exclusive)
                });
            }
            Operation::Unlock { slot, range } => {
                self.call(slot, "unlock", Mask::None, |file| {
                    file.unlock(bytes_of(range))
                });
            }
            Operation::Watch {
                slot,
                filter,
                tree,
                class,
            } => {
                // A synchronous handle would keep the thread until something changes.
                let open = self.open(slot);
                if let Some(open) = open.filter(|open| open.file.is_asynchronous()) {
                    let class = open.class_of_watches(class);
                    self.start(slot, "watch", Mask::Changes(class), true, |file| {
                        file.start_notify_by(class, filter, tree, 512)
                    });
                }
            }
            Operation::Cancel { which } => self.cancel(which.into()),
            Operation::CancelAll { slot } => {
                self.call(slot, "cancel all", Mask::None, |file| file.cancel_io());
            }
            Operation::Query {
                slot,
                class,
                length,
            } => {
                let mask = if length < 100 {
                    Mask::All
                } else {
                    Mask::File(class)
                };
                self.call(slot, "query information", mask, |file| {
                    file.query_information(class, length)
                });
            }
            Operation::QueryName { at } => {
                let path = self.path(at);
                identity::allow_failure_of_next();
                let outcome = query_attributes(&path);
                let mask = Mask::File(FileNetworkOpenInformation);
                self.note(format!("query attributes of {at}"), &outcome, mask);
            }
            Operation::QueryVolume { slot, class } => {
                self.call(slot, "query volume", Mask::Volume(class), |file| {
                    file.query_volume(class, 256)
                });
            }
            Operation::QuerySecurity { slot } => {
                self.call(slot, "query security", Mask::None, |file| {
                    file.query_security(OWNER_GROUP_DACL, 512)
                });
            }
            Operation::ExtendedAttributes { slot, set } => {
                self.call(slot, "extended attributes", Mask::None, |file| match set {
                    Some(bytes) => file.set_ea(&extended_attribute("ONE", &vec![1; bytes.into()])),
                    None => file.query_ea(&EaQuery::default(), 256),
                });
            }
            Operation::Quota { slot, set } => {
                self.call(slot, "quota", Mask::None, |file| match set {
                    true => file.set_quota(&[0; 64]),
                    false => file.query_quota(256),
                });
            }
            Operation::Label { slot } => {
                self.call(slot, "set label", Mask::None, |file| {
                    let known = file.query_volume(FileFsVolumeInformation, 256);
                    if !known.is_success() {
                        return known;
                    }
                    file.set_volume(FileFsLabelInformation, &label_again(&known.data))
                });
            }
            Operation::SetEnd { slot, class, size } => {
                self.call(slot, "set end", Mask::None, |file| {
                    file.set_information(class, &size.to_le_bytes())
                });
            }
            Operation::ShortName { slot, name } => {
                self.call(slot, "set short name", Mask::None, |file| {
                    file.set_information(FileShortNameInformation, &name_information(name))
                });
            }
            Operation::Room {
                slot,
                draw,
                block,
                blocks,
            } => {
                let offset = i64::from(block) * i64::from(BLOCK);
                let (code, input, room) = room_control(draw, offset, u32::from(blocks) * BLOCK);
                self.call(slot, "room control", Mask::None, |file| {
                    told_of_room(code, file.fs_control(code, &input, room))
                });
            }
            Operation::TellCase { slot, on } => {
                self.call(slot, "set case", Mask::None, |file| {
                    let flags = u32::from(on).to_le_bytes();
                    file.set_information(FileCaseSensitiveInformation, &flags)
                });
            }
            Operation::SetAttributes { slot, attributes } => {
                self.call(slot, "set attributes", Mask::None, |file| {
                    let basic = basic_information(0, 0, 0, 0, attributes);
                    file.set_information(FileBasicInformation, &basic)
                });
            }
            Operation::SetPosition { slot, position } => {
                self.call(slot, "set position", Mask::None, |file| {
                    file.set_information(FilePositionInformation, &position.to_le_bytes())
                });
            }
            Operation::Rename {
                slot,
                to,
                link,
                flags,
            } => {
                let information = rename_information(&self.path(to), flags);
                let class = match (link, flags > FILE_RENAME_REPLACE_IF_EXISTS) {
                    (false, false) => FileRenameInformation,
                    (false, true) => FileRenameInformationEx,
                    (true, false) => FileLinkInformation,
                    (true, true) => FileLinkInformationEx,
                };
                self.call(slot, "rename", Mask::None, |file| {
                    file.set_information(class, &information)
                });
            }
            Operation::Follow { at, to, mount } => self.follow(at, to, mount),
            Operation::Delete { slot, delete } => {
                self.call(slot, "delete", Mask::None, |file| {
                    file.set_information(FileDispositionInformation, &[u8::from(delete)])
                });
            }
            Operation::List {
                slot,
                class,
                pattern,
                restart,
                single,
            } => {
                self.call(slot, "list", Mask::Directory(class), |file| {
                    file.query_directory(class, 1024, pattern, restart, single)
                });
            }
            Operation::Flush { slot } => {
                self.call(slot, "flush", Mask::None, |file| file.flush());
            }
            Operation::Control { slot, code, device } => {
                self.call(slot, "control", Mask::None, |file| match device {
                    true => file.device_control(code, &[], 24),
                    false => file.fs_control(code, &[], 24),
                });
            }
            Operation::Map { slot, writable } => self.map(slot, writable),
            Operation::Unmap { slot } => self.unmap(slot),
            Operation::PageIn { slot, page } => {
                let page = page.into();
                self.page(slot, "page in", |view| view.page_in(page));
            }
            Operation::ByMdl {
                slot,
                block,
                blocks,
                write,
            } => {
                let (offset, length) = (
                    i64::from(block) * i64::from(BLOCK),
                    u32::from(blocks) * BLOCK,
                );
                match write {
                    Some(byte) => self.call(slot, "write by MDL", Mask::None, |file| {
                        file.mdl_write(offset, &vec![byte; length as usize])
                    }),
                    None => self.call(slot, "read by MDL", Mask::None, |file| {
                        file.mdl_read(offset, length)
                    }),
                };
            }
            Operation::PageOut {
                slot,
                page,
                byte,
                writer,
            } => {
                let (page, data) = (page.into(), [byte; PAGE]);
                self.page(slot, "page out", |view| view.page_out(page, &data, writer));
            }
            Operation::Oplock {
                at,
                kind,
                opening,
                touch,
                answer,
            } => {
                self.oplock(at, kind, (opening, touch), answer);
            }
            Operation::Dismount { lock } => self.dismount(lock),
            Operation::Remove { how } => self.remove(how),
            Operation::Exchange { how } => self.exchange(how),
        }
    }

    /// The file is made large enough first: what a transfer does must not depend on whether one
    /// before it has ended.
    fn overlap(&mut self, slot: u8, parts: &[Part]) {
        let Some(open) = self.open(slot) else { return };
        let end = open
            .file
            .set_information(FileEndOfFileInformation, &WHOLE.to_le_bytes());
        let large = end.is_success();
        let mut outcomes = Vec::new();
        if large {
            let transfers: Vec<Pending<'_>> = parts
                .iter()
                .map(|part| {
                    let offset = Some(i64::from(part.block) * i64::from(BLOCK));
                    identity::allow_failure_of_next();
                    let mut transfer = match part.write {
                        true => open
                            .file
                            .start_write(offset, &[part.block + 1; BLOCK as usize]),
                        false => open.file.start_read(offset, BLOCK),
                    };
                    if part.cancel && !self.may_pend {
                        transfer.cancel();
                    }
                    transfer
                })
                .collect();
            outcomes.extend(transfers.into_iter().map(Pending::wait));
        }
        self.note(format!("set end [{slot}]"), &end, Mask::None);
        for (part, outcome) in parts.iter().zip(&outcomes) {
            let what = if part.write { "write" } else { "read" };
            self.note(
                format!("{what} block {} [{slot}]", part.block),
                outcome,
                Mask::None,
            );
        }
    }

    fn hold(&mut self, slot: u8, write: bool) {
        let is_asynchronous = |open: &Open| open.file.is_asynchronous();
        // A driver that waits for it would keep the thread from cancelling it.
        if self.may_pend || !self.open(slot).is_some_and(is_asynchronous) {
            return;
        }
        let call = if write { "held write" } else { "held read" };
        self.start(slot, call, Mask::None, false, |file| {
            identity::hold_next_until_cancelled();
            match write {
                true => file.start_write(Some(0), &[7; BLOCK as usize]),
                false => file.start_read(Some(0), BLOCK),
            }
        });
    }

    fn remove(&mut self, how: Removal) {
        let first = match how {
            Removal::Ask | Removal::TakeOut => Step::Query,
            Removal::Pull => Step::Surprise,
        };
        if how == Removal::TakeOut {
            self.leave_own_volume();
        }
        if self.step(first) == STATUS_SUCCESS {
            if how == Removal::TakeOut {
                self.step(Step::Remove);
            }
            let name = format!("{}\\", self.own_volume());
            let opened = create_file(&CreateParameters::new(&name));
            self.note("open the volume".to_owned(), &opened.outcome, Mask::None);
            let last = match how {
                Removal::Ask => Step::Cancel,
                Removal::TakeOut | Removal::Pull => Step::Arrive,
            };
            self.step(last);
        }
        if how == Removal::TakeOut {
            self.enter_own_volume();
        }
    }

    fn exchange(&mut self, how: Exchange) {
        let other = media::other(self.own_volume());
        match (how, &other) {
            (Exchange::Other, Some(other)) => self.put_in(Put::Other(other)),
            (Exchange::Nothing, _) => self.put_in(Put::Nothing),
            _ => {}
        }
        self.put_in(Put::First);
    }

    fn put_in(&mut self, put: Put<'_>) {
        let outcome = exchange_medium(self.own_volume(), put);
        self.note("exchange the medium".to_owned(), &outcome, Mask::None);
        let name = format!("{}\\", self.own_volume());
        let opened = create_file(&CreateParameters::new(&name));
        self.note("open the volume".to_owned(), &opened.outcome, Mask::None);
        let looked = self
            .own_root()
            .map(|root| root.query_information(FileInternalInformation, 8));
        if let Some(outcome) = looked {
            self.note("look at its directory".to_owned(), &outcome, Mask::All);
        }
    }

    fn step(&mut self, step: Step) -> NTSTATUS {
        let outcome = plug_and_play(self.own_volume(), step);
        self.note(format!("{step:?} of the device"), &outcome, Mask::None);
        outcome.status
    }

    fn dismount(&mut self, lock: bool) {
        let name = self.own_volume().to_owned();
        let parameters = CreateParameters::new(&name)
            .access(READ | WRITE)
            .options(synchronous(0));
        let opened = create_file(&parameters);
        self.note("open the volume".to_owned(), &opened.outcome, Mask::None);
        let Some(volume) = opened.file else { return };
        if lock {
            let outcome = volume.fs_control(FSCTL_LOCK_VOLUME, &[], 0);
            self.note("lock the volume".to_owned(), &outcome, Mask::None);
        }
        for (code, call) in [
            (FSCTL_DISMOUNT_VOLUME, "dismount"),
            (FSCTL_IS_VOLUME_MOUNTED, "is it mounted"),
        ] {
            identity::allow_failure_of_next();
            let outcome = volume.fs_control(code, &[], 0);
            self.note(call.to_owned(), &outcome, Mask::None);
        }
        let outcome = volume.close();
        self.note("close the volume".to_owned(), &outcome, Mask::None);
    }
}

fn bytes_of(range: Locked) -> Range {
    Range {
        offset: i64::from(range.block) * i64::from(BLOCK),
        length: i64::from(range.blocks) * i64::from(BLOCK),
        key: 0,
    }
}
