//! Pages that are lent for a write.

use super::*;
use crate::mdl_transfers;
use ntbox_kernel::io_manager::cache_pages;

fn transfer(offset: i64) -> Transfer {
    Transfer {
        offset,
        process: 1,
        ..Transfer::default()
    }
}

#[test]
fn what_was_allowed_when_pages_were_lent_is_written_when_they_come_back() {
    let fixture = new();
    let one = fixture.open(r"\served", FILE_CREATE, 0);
    let two = fixture.open(r"\served", FILE_OPEN, 0);
    let make_room = |length| fixture.volume.make_room(one, &transfer(0), length);
    let lend = || mdl_transfers::prepare(8, make_room);
    let list = lend().expect("pages");
    assert_eq!(fixture.volume.size(one), Some(8));
    cache_pages::write(list, b"written!");
    let locked = fixture.lock(two, 0, true, None);
    assert_eq!(locked, Outcome::Done(STATUS_SUCCESS, Vec::new()));
    assert_eq!(lend(), Err(STATUS_FILE_LOCK_CONFLICT));
    let write = |offset| {
        mdl_transfers::write(offset, false, list, |transfer, bytes| {
            fixture.volume.write(one, transfer, bytes)
        })
    };
    assert_eq!(write(0), Some(STATUS_SUCCESS));
    let file = fixture.folder.path().join("root/served");
    assert_eq!(std::fs::read(file).unwrap(), b"written!");
    // Whoever could not write them still has them to give back.
    assert_eq!(write(-2), Some(STATUS_INVALID_PARAMETER));
    assert!(cache_pages::loan(list).is_some());
    cache_pages::take_back(list);
    assert_eq!(write(0), None);
}
