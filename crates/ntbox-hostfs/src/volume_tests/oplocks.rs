//! What breaks oplocks of a volume's files, beside the tables of one file.

use super::*;
use crate::oplocks::{Cache, Control, Kind};
use crate::rename::REPLACE;
use crate::share::{SHARE_DELETE, SHARE_READ, SHARE_WRITE};

const OWNER: usize = 1;
const WAITER: usize = 9;

impl Fixture {
    fn ask(&self, open: OpenId, control: Control, ticket: usize) -> Outcome {
        let ask = |effects: &mut Effects<'_>| {
            self.volume
                .oplock(open, control, false, Ticket(ticket), &|| true, effects)
        };
        effects(ask).0
    }
    fn grant(&self, open: OpenId, kind: Kind) {
        let asked = self.ask(open, Control::Request(kind), OWNER);
        assert_eq!(asked, Outcome::Waiting, "{kind:?}");
    }
}

/// An operation that may wait: what it came to, and the tickets that it ended.
fn turn<R>(operation: impl FnOnce(&mut Effects<'_>) -> R) -> (R, Vec<usize>) {
    let mut effects = Effects::new(&|_| true).of_request(Ticket(WAITER), &|| true);
    let result = operation(&mut effects);
    let ended = effects.into_finished();
    (
        result,
        ended.into_iter().map(|finish| finish.ticket.0).collect(),
    )
}

#[test]
fn a_violating_open_waits_for_who_keeps_a_handle() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let unshared = Request {
        share: 0,
        ..request(r"\f", FILE_OPEN, 0)
    };
    let other = request(r"\f", FILE_OPEN, 0);
    let open = |effects: &mut Effects<'_>| fixture.volume.create(&other, effects).map(drop);
    for (cache, closes) in [
        (Cache::RH, false),
        (Cache::RH, true),
        (Cache::RWH, false),
        (Cache::RWH, true),
    ] {
        let owner = fixture.try_open(&unshared).unwrap().open;
        fixture.grant(owner, Kind::Caching(cache));
        assert_eq!(turn(open), (Err(STATUS_PENDING), vec![OWNER]));
        if closes {
            let resumed = fixture.close(owner);
            assert!(resumed[0].again && resumed[0].ticket == Ticket(WAITER));
            assert_eq!(turn(open), (Ok(()), vec![]));
            let opens = fixture.volume.open_count();
            assert_eq!(opens, 1);
            let last = *fixture.volume.state().opens.keys().next().unwrap();
            fixture.close(last);
        } else {
            fixture.ask(owner, Control::Keep(Cache::NONE), 2);
            assert_eq!(turn(open), (Err(STATUS_SHARING_VIOLATION), vec![]));
            fixture.close(owner);
        }
    }
    // One that keeps no handle is not asked.
    let owner = fixture.try_open(&unshared).unwrap().open;
    fixture.grant(owner, Kind::Caching(Cache::RW));
    assert_eq!(turn(open), (Err(STATUS_SHARING_VIOLATION), vec![]));
}

#[test]
fn what_is_replaced_breaks_first() {
    for (kind, ends) in [
        (Kind::Batch, true),
        (Kind::Filter, true),
        (Kind::Caching(Cache::RH), true),
        (Kind::Caching(Cache::RWH), true),
        (Kind::LevelOne, false),
        (Kind::Caching(Cache::RW), false),
    ] {
        for link in [false, true] {
            let fixture = new();
            fixture.make(r"\new", b"new");
            fixture.make(r"\old", b"old");
            let new = fixture.open(r"\new", FILE_OPEN, 0);
            let old = fixture.open(r"\old", FILE_OPEN, 0);
            fixture.grant(old, kind);
            let target = Target {
                directory: None,
                name: wide("old"),
                flags: REPLACE,
            };
            let replace = |effects: &mut Effects<'_>| match link {
                true => fixture.volume.link(new, &target, effects),
                false => fixture.volume.rename(new, &target, effects),
            };
            if !ends {
                assert_eq!(turn(replace), (STATUS_ACCESS_DENIED, vec![]), "{kind:?}");
                continue;
            }
            assert_eq!(turn(replace), (STATUS_PENDING, vec![OWNER]), "{kind:?}");
            // It may be cancelled while it waits, though it waits for the oplock of another file.
            assert!(fixture.volume.remove_waiting(new, Ticket(WAITER)));
            assert_eq!(turn(replace), (STATUS_PENDING, vec![]));
            let resumed = fixture.close(old);
            assert!(resumed[0].again && resumed[0].ticket == Ticket(WAITER));
            assert_eq!(turn(replace), (STATUS_SUCCESS, vec![]), "{kind:?}");
            assert_eq!(std::fs::read(fixture.host("old")).unwrap(), b"new");
        }
    }
}

/// Batch and filter oplocks of other streams, of all that is known of them.
#[test]
fn one_stream_that_begins_anew_breaks_oplocks_of_others() {
    let everything = access::READ_DATA | access::WRITE_DATA | access::DELETE;
    let no_delete = access::READ_DATA | access::WRITE_DATA;
    let all = SHARE_READ | SHARE_WRITE | SHARE_DELETE;
    let kept = SHARE_READ | SHARE_WRITE;
    let (whole, stream) = (r"\f", r"\f:s");
    for (owned, opened, disposition, desired, share, breaks) in [
        // Of the data without a name, by who may delete; what its sharing is is all the same.
        (stream, whole, FILE_OVERWRITE, everything, all, true),
        (stream, whole, FILE_SUPERSEDE, everything, kept, true),
        (stream, whole, FILE_OVERWRITE, everything, SHARE_WRITE, true),
        (stream, whole, FILE_OVERWRITE_IF, no_delete, all, false),
        (stream, whole, FILE_OPEN, everything, all, false),
        // Of a stream, by who shares it with nobody who may delete.
        (whole, stream, FILE_OVERWRITE, no_delete, kept, true),
        (whole, stream, FILE_SUPERSEDE, everything, kept, true),
        (whole, stream, FILE_OVERWRITE, no_delete, SHARE_WRITE, true),
        (whole, stream, FILE_OVERWRITE_IF, everything, all, false),
        (whole, stream, FILE_OPEN, no_delete, kept, false),
    ] {
        for kind in [Kind::Batch, Kind::Filter, Kind::LevelOne] {
            let breaks = match kind {
                Kind::Batch => breaks,
                // It lets others write who let its owner read.
                Kind::Filter => breaks && share & SHARE_READ == 0,
                _ => false,
            };
            let fixture = new();
            fixture.make(whole, b"data");
            let made = fixture.open(stream, FILE_OPEN_IF, 0);
            fixture.close(made);
            let owner = fixture.open(owned, FILE_OPEN, 0);
            fixture.grant(owner, kind);
            let again = Request {
                desired,
                share,
                ..request(opened, disposition, 0)
            };
            let open = |effects: &mut Effects<'_>| fixture.volume.create(&again, effects).map(drop);
            let (status, broken) = turn(open);
            let what = format!("{kind:?} of {owned}, {opened} {disposition} {desired:#x} {share}");
            assert_eq!(broken, if breaks { vec![OWNER] } else { vec![] }, "{what}");
            assert_eq!(status == Err(STATUS_PENDING), breaks, "{what}");
            if breaks {
                fixture.close(owner);
                assert_eq!(turn(open), (Ok(()), vec![]), "{what}");
            }
        }
    }
}

/// Reading, shared with all, breaks no filter oplock; to reserve one does.
#[test]
fn a_reservation_breaks_a_filter_oplock() {
    for (options, breaks) in [(0, false), (FILE_RESERVE_OPFILTER, true)] {
        let fixture = new();
        fixture.make(r"\f", b"");
        let owner = fixture.open(r"\f", FILE_OPEN, 0);
        fixture.grant(owner, Kind::Filter);
        let reader = Request {
            desired: access::READ_DATA,
            ..request(r"\f", FILE_OPEN, options)
        };
        let open = |effects: &mut Effects<'_>| fixture.volume.create(&reader, effects).map(drop);
        let expected = match breaks {
            true => (Err(STATUS_PENDING), vec![OWNER]),
            false => (Ok(()), vec![]),
        };
        assert_eq!(turn(open), expected, "{options:#x}");
    }
}

/// Who wants an oplock with the open is refused rather than that another's breaks, and opens what breaks none.
#[test]
fn an_open_that_requires_an_oplock_breaks_none() {
    let fixture = new();
    fixture.make(r"\f", b"");
    let owner = fixture.open(r"\f", FILE_OPEN, 0);
    let requiring = |desired| Request {
        desired,
        ..request(r"\f", FILE_OPEN, FILE_OPEN_REQUIRING_OPLOCK)
    };
    let refused = (Err(STATUS_CANNOT_BREAK_OPLOCK), vec![]);
    for kind in [Kind::Batch, Kind::LevelOne, Kind::Caching(Cache::RWH)] {
        fixture.grant(owner, kind);
        for (desired, expected) in [
            (access::READ_DATA, refused.clone()),
            (access::READ_ATTRIBUTES, (Ok(()), vec![])),
        ] {
            let request = requiring(desired);
            let mut opened = None;
            let open = |effects: &mut Effects<'_>| {
                let created = fixture.volume.create(&request, effects);
                created.map(|created| opened = Some(created.open))
            };
            assert_eq!(turn(open), expected, "{kind:?}");
            opened.map(|open| fixture.close(open));
        }
        assert!(fixture.volume.remove_waiting(owner, Ticket(OWNER)));
    }
    // Without one there is nothing to break.
    assert!(fixture.try_open(&requiring(access::READ_DATA)).is_ok());
}

#[test]
fn a_directory_waits_for_what_is_open_below_it() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\d\f", b"");
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    let f = fixture.open(r"\d\f", FILE_OPEN, 0);
    fixture.grant(f, Kind::Batch);
    let target = Target {
        directory: None,
        name: wide("e"),
        flags: 0,
    };
    let rename = |effects: &mut Effects<'_>| fixture.volume.rename(d, &target, effects);
    let short_name = |effects: &mut Effects<'_>| {
        let name = [4, 0, 0, 0, b'S', 0, b'1', 0];
        let volume = &fixture.volume;
        volume.set_information(d, FileShortNameInformation, false, &name, effects)
    };
    assert_eq!(turn(short_name), (STATUS_PENDING, vec![OWNER]));
    fixture.close(f);
    assert_eq!(turn(short_name), (STATUS_SUCCESS, vec![]));
    let f = fixture.open(r"\d\f", FILE_OPEN, 0);
    fixture.grant(f, Kind::Batch);
    assert_eq!(turn(rename), (STATUS_PENDING, vec![OWNER]));
    fixture.close(f);
    assert_eq!(turn(rename), (STATUS_SUCCESS, vec![]));
}

#[test]
fn handles_with_the_same_key_are_one_owner() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let keyed = |key| Request {
        oplock_key: Some([key; 16]),
        ..request(r"\f", FILE_OPEN, 0)
    };
    let first = fixture.try_open(&keyed(1)).unwrap().open;
    let second = fixture.try_open(&keyed(1)).unwrap().open;
    let batch = fixture.ask(first, Control::Request(Kind::Batch), 2);
    assert_eq!(batch, done(STATUS_OPLOCK_NOT_GRANTED));
    fixture.grant(first, Kind::Caching(Cache::RWH));
    let touch = |open, operation| {
        let volume = &fixture.volume;
        turn(|effects| volume.break_oplock(open, operation, effects))
    };
    let write = crate::oplocks::Operation::Write;
    assert_eq!(touch(second, write), (Ok(()), vec![]));
    let third = turn(|effects| fixture.volume.create(&keyed(1), effects).map(drop));
    assert_eq!(third, (Ok(()), vec![]));
    let other = turn(|effects| fixture.volume.create(&keyed(2), effects).map(drop));
    assert_eq!(other, (Err(STATUS_PENDING), vec![OWNER]));
}

#[test]
fn directories_have_none() {
    let fixture = new();
    let root = fixture.open(r"\", FILE_OPEN, 0);
    for kind in [Kind::LevelTwo, Kind::Caching(Cache::RH)] {
        let refused = fixture.ask(root, Control::Request(kind), 1);
        assert_eq!(refused, done(STATUS_INVALID_PARAMETER));
    }
    fixture.make(r"\f", b"");
    let f = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.lock(f, 0, true, None);
    for kind in [
        Kind::LevelTwo,
        Kind::Caching(Cache::R),
        Kind::Caching(Cache::RH),
    ] {
        let refused = fixture.ask(f, Control::Request(kind), 1);
        assert_eq!(refused, done(STATUS_OPLOCK_NOT_GRANTED), "{kind:?}");
    }
    fixture.grant(f, Kind::Caching(Cache::RW));
}
