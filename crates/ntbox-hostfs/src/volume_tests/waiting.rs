//! Locks, change notification, controls, dismount.

use super::*;

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
            .notify(root, 1, false, 100, Ticket(3), &|| false),
        done(STATUS_CANCELLED)
    );
    assert_eq!(
        fixture
            .volume
            .notify(root, 1, false, 100, Ticket(4), &|| true),
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
            fixture
                .volume
                .notify(root, 0xFFF, true, 200, Ticket(ticket), &|| true),
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

#[test]
fn watches_end_with_their_directory() {
    let fixture = new();
    let one = fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE);
    let two = fixture.open(r"\d", FILE_OPEN, 0);
    assert_eq!(
        fixture
            .volume
            .notify(two, 1, false, 100, Ticket(1), &|| true),
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
            .notify(two, 0, false, 100, Ticket(2), &|| true),
        done(STATUS_INVALID_PARAMETER)
    );
    fixture.make(r"\f", b"");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(
        fixture
            .volume
            .notify(file, 1, false, 100, Ticket(3), &|| true),
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
        .notify(root, 1, false, 100, Ticket(2), &|| true);
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
