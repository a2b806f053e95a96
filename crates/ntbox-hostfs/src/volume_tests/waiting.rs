//! Locks, change notification, controls, dismount.

use super::*;
use crate::notify::{Class, change};
use crate::record::Fields;

#[test]
fn locks_guard_data_and_wait() {
    let fixture = new();
    fixture.make(r"\f", b"0123456789abcdef");
    let one = fixture.open(r"\f", FILE_OPEN, 0);
    let two = fixture.open(r"\f", FILE_OPEN, 0);
    assert!(fixture.volume.has_no_locks(one));
    assert_eq!(fixture.lock(one, 0, true, None), done(STATUS_SUCCESS));
    assert!(!fixture.volume.has_no_locks(two));
    assert_eq!(fixture.read(two, 9, 1), Err(STATUS_FILE_LOCK_CONFLICT));
    assert_eq!(fixture.write(two, 0, b"x"), (STATUS_FILE_LOCK_CONFLICT, 0));
    assert_eq!(fixture.read(two, 10, 1).unwrap(), b"a");
    assert_eq!(
        fixture.lock(two, 5, true, None),
        done(STATUS_LOCK_NOT_GRANTED)
    );
    assert_eq!(fixture.lock(two, 5, true, Some(5)), Outcome::Waiting);
    let (status, finished) =
        effects(|effects| fixture.volume.unlock_single(one, 1, 0, (0, 10), effects));
    assert_eq!((status, finished.len()), (STATUS_SUCCESS, 1));
    assert_eq!(
        (finished[0].ticket, finished[0].status),
        (Ticket(5), STATUS_SUCCESS)
    );
    assert_eq!(fixture.lock(one, 5, false, Some(6)), Outcome::Waiting);
    let finished = fixture.close(two);
    assert_eq!(
        (finished[0].ticket, finished[0].status),
        (Ticket(6), STATUS_SUCCESS)
    );
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(
        fixture.lock(root, 0, true, None),
        done(STATUS_INVALID_PARAMETER)
    );
}

#[test]
fn a_wait_cancelled_before_it_is_armed_is_over() {
    let fixture = new();
    fixture.make(r"\f", b"");
    let one = fixture.open(r"\f", FILE_OPEN, 0);
    let two = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.lock(one, 0, true, None);
    let request = LockRequest {
        offset: 0,
        length: 1,
        process: 1,
        key: 0,
        exclusive: true,
        fail_immediately: false,
    };
    assert_eq!(
        fixture.volume.lock(two, &request, Ticket(1), &|| false),
        done(STATUS_CANCELLED)
    );
    assert!(!fixture.volume.remove_waiting(two, Ticket(1)));
    assert_eq!(fixture.lock(two, 0, true, Some(2)), Outcome::Waiting);
    assert!(fixture.volume.remove_waiting(two, Ticket(2)));
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(
        fixture
            .volume
            .notify(root, (1, false), Class::Plain, 100, Ticket(3), &|| false),
        done(STATUS_CANCELLED)
    );
    assert_eq!(
        fixture
            .volume
            .notify(root, (1, false), Class::Plain, 100, Ticket(4), &|| true),
        Outcome::Waiting
    );
    assert!(fixture.volume.remove_waiting(root, Ticket(4)));
}

#[test]
fn changes_reach_the_watches() {
    let fixture = new();
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let watch = |ticket| {
        assert_eq!(
            fixture.volume.notify(
                root,
                (0xFFF, true),
                Class::Plain,
                200,
                Ticket(ticket),
                &|| true
            ),
            Outcome::Waiting
        );
    };
    /// Actions and names of the records.
    fn seen(finished: &[Finish]) -> Vec<(u8, String)> {
        let mut data = finished
            .first()
            .expect("a request is completed")
            .data
            .as_slice();
        let mut seen = Vec::new();
        loop {
            let name: Vec<u16> = data[12..12 + usize::from(data[8])]
                .chunks(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect();
            seen.push((data[4], String::from_utf16(&name).unwrap()));
            match usize::from(data[0]) {
                0 => return seen,
                next => data = &data[next..],
            }
        }
    }
    watch(1);
    let (created, finished) = effects(|effects| {
        fixture
            .volume
            .create(&request(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE), effects)
    });
    assert_eq!(seen(&finished), [(1, "d".into())]);
    fixture.close(created.unwrap().open);
    watch(2);
    let (created, finished) = effects(|effects| {
        fixture
            .volume
            .create(&request(r"\d\f", FILE_CREATE, 0), effects)
    });
    assert_eq!(seen(&finished), [(1, r"d\f".into())]);
    let f = created.unwrap().open;
    watch(3);
    fixture.write(f, 0, b"x");
    let finished = fixture.close(f);
    assert_eq!(seen(&finished), [(3, r"d\f".into())]);
    watch(4);
    let f = fixture.open(r"\d\f", FILE_OPEN, 0);
    let rename = |directory, name: &str| {
        let target = Target {
            directory,
            name: wide(name),
            flags: 0,
        };
        effects(|effects| fixture.volume.rename(f, &target, effects)).1
    };
    assert_eq!(
        seen(&rename(None, "g")),
        [(4, r"d\f".into()), (5, r"d\g".into())]
    );
    watch(5);
    assert_eq!(
        seen(&rename(Some(root), "h")),
        [(2, r"d\g".into()), (1, "h".into())]
    );
    watch(6);
    fixture.set(f, FileDispositionInformation, &[1]);
    assert_eq!(seen(&fixture.close(f)), [(2, "h".into())]);
    watch(7);
    let finished = fixture.close(root);
    assert_eq!(
        (finished[0].ticket, finished[0].status),
        (Ticket(7), STATUS_NOTIFY_CLEANUP)
    );
}

/// What `FILE_NOTIFY_EXTENDED_INFORMATION` tells: action and name, attributes, size, and the two ids.
type Told = (u8, String, u32, i64, [u64; 2]);

fn told(finished: &[Finish]) -> Vec<Told> {
    let mut data = finished.first().expect("it is told").data.as_slice();
    let mut seen = Vec::new();
    loop {
        let fields = Fields(data);
        let id = |at| fields.long(at).unwrap().cast_unsigned();
        let name = fields.units(84, fields.int(80).unwrap() as usize).unwrap();
        seen.push((
            data[4],
            String::from_utf16(&name).unwrap(),
            fields.int(56).unwrap(),
            fields.long(48).unwrap(),
            [id(64), id(72)],
        ));
        match fields.int(0).unwrap() as usize {
            0 => return seen,
            next => data = &data[next..],
        }
    }
}

/// An entry is told as it is when the change is, whatever it is when somebody asks.
#[test]
fn entries_are_told_as_they_are_when_they_change() {
    let fixture = new();
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let d = fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE);
    let id = |open| {
        let bytes = fixture.query(open, FileInternalInformation, 8).unwrap();
        u64::from_le_bytes(bytes.try_into().unwrap())
    };
    let (in_root, in_d) = (id(root), id(d));
    let ask = |ticket, class| {
        let asked = (change::VALID, true);
        let waits = || true;
        fixture
            .volume
            .notify(root, asked, class, 1000, Ticket(ticket), &waits)
    };
    // The first request fixes the class.
    assert_eq!(ask(1, Class::Extended), Outcome::Waiting);
    let create = Request {
        attributes: attribute::HIDDEN,
        ..request(r"\d\f", FILE_CREATE, 0)
    };
    let (created, finished) = effects(|effects| fixture.volume.create(&create, effects));
    let f = created.unwrap().open;
    let file = id(f);
    let own = |action, name: &str, attributes, size, parent| {
        let attributes = attribute::ARCHIVE | attributes;
        (action, name.to_owned(), attributes, size, [file, parent])
    };
    assert_eq!(
        told(&finished),
        [own(1, r"d\f", attribute::HIDDEN, 0, in_d)]
    );
    // What happens meanwhile is kept as it was then.
    fixture.write(f, 0, b"12345");
    assert_eq!(fixture.link(f, Some(root), "g", 0), STATUS_SUCCESS);
    fixture.write(f, 0, b"123456789");
    assert_eq!(fixture.set_attributes(f, 0x1), STATUS_SUCCESS);
    assert_eq!(fixture.rename(f, Some(root), "h", 0), STATUS_SUCCESS);
    fixture.close(f);
    let Outcome::Done(STATUS_SUCCESS, data) = ask(2, Class::Plain) else {
        panic!()
    };
    let kept = Finish {
        ticket: Ticket(2),
        status: STATUS_SUCCESS,
        data,
        information: None,
        again: false,
    };
    let changed = (
        attribute::READONLY,
        attribute::READONLY | attribute::ARCHIVE,
    );
    let renamed = |action, name: &str, attributes, parent| {
        (action, name.to_owned(), attributes, 9, [file, parent])
    };
    assert_eq!(
        told(&[kept]),
        [
            own(1, "g", attribute::HIDDEN, 5, in_root),
            renamed(3, r"d\f", changed.0, in_d),
            renamed(2, r"d\f", changed.1, in_d),
            renamed(1, "h", changed.1, in_root),
            renamed(3, "h", changed.1, in_root),
        ]
    );
    // What goes is told as it was.
    assert_eq!(ask(3, Class::Full), Outcome::Waiting);
    let to_delete = Request {
        desired: access::DELETE | access::WRITE_ATTRIBUTES,
        ..request(r"\g", FILE_OPEN, 0)
    };
    let g = fixture.try_open(&to_delete).unwrap().open;
    fixture.set_attributes(g, 0x80);
    fixture.set(g, FileDispositionInformation, &[1]);
    assert_eq!(ask(4, Class::Extended), Outcome::Waiting);
    let finished = fixture.close(g);
    let gone = (2, "g".to_owned(), attribute::NORMAL, 9, [file, in_root]);
    assert_eq!(told(&finished), [gone]);
}

#[test]
fn watches_end_with_their_directory() {
    let fixture = new();
    let one = fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE);
    let two = fixture.open(r"\d", FILE_OPEN, 0);
    assert_eq!(
        fixture
            .volume
            .notify(two, (1, false), Class::Plain, 100, Ticket(1), &|| true),
        Outcome::Waiting
    );
    // POSIX semantics: the directory goes while the watch still has a handle on it.
    assert_eq!(
        fixture.set(one, FileDispositionInformationEx, &3_u32.to_le_bytes()),
        STATUS_SUCCESS
    );
    let finished = fixture.close(one);
    assert_eq!(finished[0].status, STATUS_DELETE_PENDING);
    assert_eq!(
        fixture
            .volume
            .notify(two, (0, false), Class::Plain, 100, Ticket(2), &|| true),
        done(STATUS_INVALID_PARAMETER)
    );
    fixture.make(r"\f", b"");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(
        fixture
            .volume
            .notify(file, (1, false), Class::Plain, 100, Ticket(3), &|| true),
        done(STATUS_INVALID_PARAMETER)
    );
}

#[test]
fn controls_of_files_and_volumes() {
    let fixture = new();
    fixture.make(r"\f", b"");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let control =
        |open, code| effects(|effects| fixture.volume.control(open, code, &mut [9; 8], effects)).0;
    assert_eq!(
        control(file, code::FSCTL_IS_VOLUME_MOUNTED),
        (STATUS_SUCCESS, 0)
    );
    assert_eq!(
        control(file, code::FSCTL_GET_COMPRESSION),
        (STATUS_SUCCESS, 2)
    );
    assert_eq!(control(file, 0x9_FFFF), (STATUS_INVALID_DEVICE_REQUEST, 0));
    assert_eq!(
        control(file, code::FSCTL_LOCK_VOLUME),
        (STATUS_INVALID_PARAMETER, 0)
    );
    let volume = fixture.open("", FILE_OPEN, 0);
    assert_eq!(
        control(volume, code::FSCTL_LOCK_VOLUME),
        (STATUS_ACCESS_DENIED, 0)
    );
    assert_eq!(
        control(volume, code::FSCTL_UNLOCK_VOLUME),
        (STATUS_NOT_LOCKED, 0)
    );
    fixture.close(file);
    assert_eq!(
        control(volume, code::FSCTL_LOCK_VOLUME),
        (STATUS_SUCCESS, 0)
    );
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_ACCESS_DENIED);
    fixture.close(volume);
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_SUCCESS);
}

#[test]
fn a_dismounted_volume_serves_nobody() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let other = fixture.open(r"\f", FILE_OPEN, 0);
    let root = fixture.open(r"\", FILE_OPEN, 0);
    fixture.lock(file, 0, true, None);
    fixture.lock(other, 0, true, Some(1));
    fixture
        .volume
        .notify(root, (1, false), Class::Plain, 100, Ticket(2), &|| true);
    fixture.set(file, FileDispositionInformation, &[1]);
    let (first, finished) = effects(|effects| fixture.volume.dismount(effects));
    assert!(first);
    let mut ended: Vec<_> = finished
        .iter()
        .map(|finish| (finish.ticket.0, finish.status))
        .collect();
    ended.sort_unstable();
    assert_eq!(ended.last(), Some(&(2, STATUS_VOLUME_DISMOUNTED)));
    assert_eq!(ended.len(), 2);
    assert!(!effects(|effects| fixture.volume.dismount(effects)).0);
    assert_eq!(fixture.read(file, 0, 1), Err(STATUS_VOLUME_DISMOUNTED));
    assert_eq!(
        fixture.status(r"\f", FILE_OPEN, 0),
        STATUS_VOLUME_DISMOUNTED
    );
    for open in [file, other, root] {
        fixture.close(open);
    }
    assert_eq!(fixture.volume.open_count(), 0);
    assert!(fixture.host("f").exists());
}
