use super::*;
use crate::waiting::Finish;
use ntbox_kernel::nt::{FILE_OPLOCK_BROKEN_TO_LEVEL_2, FILE_OPLOCK_BROKEN_TO_NONE, STATUS_SUCCESS};

const OWNER: Who = who(1);
const OTHER: Who = who(2);
const OPEN: Operation = Operation::Create {
    to_none: false,
    collides: false,
    violates: None,
};
const OVERWRITE: Operation = Operation::Create {
    to_none: true,
    collides: true,
    violates: None,
};
/// A create that has no open yet.
const NOBODY: Who = Who {
    open: None,
    key: None,
};

const fn who(open: u64) -> Who {
    Who {
        open: Some(OpenId(open)),
        key: None,
    }
}

const fn with_key(open: u64, key: u8) -> Who {
    Who {
        open: Some(OpenId(open)),
        key: Some([key; 16]),
    }
}

fn with<R>(operation: impl FnOnce(&mut Effects<'_>) -> R) -> (R, Vec<Finish>) {
    let mut effects = Effects::new(&|_| true);
    let result = operation(&mut effects);
    (result, effects.into_finished())
}

fn ask(table: &mut Table, control: Control, who: Who, ticket: usize) -> (Answer, Vec<Finish>) {
    with(|effects| table.control(control, who, true, Ticket(ticket), effects))
}

fn granted(kind: Kind) -> Table {
    let mut table = Table::default();
    let answer = ask(&mut table, Control::Request(kind), OWNER, 1);
    assert_eq!(answer, (Answer::Outstanding, Vec::new()));
    table
}

/// `(ticket, status, information, again)`
fn ends(finished: &[Finish]) -> Vec<(usize, NTSTATUS, usize, bool)> {
    finished
        .iter()
        .map(|finish| {
            let information = finish.information.unwrap_or(finish.data.len());
            (finish.ticket.0, finish.status, information, finish.again)
        })
        .collect()
}

#[test]
fn exclusive_oplocks_are_for_one_handle_alone() {
    for kind in [Kind::LevelOne, Kind::Batch, Kind::Filter] {
        let mut table = Table::default();
        let request = Control::Request(kind);
        let (answer, _) = with(|effects| table.control(request, OWNER, false, Ticket(1), effects));
        assert_eq!(answer, Answer::Done(STATUS_OPLOCK_NOT_GRANTED));
        assert!(table.is_empty());
        let mut table = granted(kind);
        for again in [kind, Kind::LevelTwo] {
            let (answer, _) = ask(&mut table, Control::Request(again), OWNER, 2);
            assert_eq!(answer, Answer::Done(STATUS_OPLOCK_NOT_GRANTED));
        }
    }
}

#[test]
fn level_two_is_shared_and_gives_way_to_an_exclusive_one() {
    let mut table = granted(Kind::LevelTwo);
    assert_eq!(
        ask(&mut table, Control::Request(Kind::LevelTwo), OTHER, 2).0,
        Answer::Outstanding
    );
    let (answer, finished) = ask(&mut table, Control::Request(Kind::Batch), OWNER, 3);
    assert_eq!(answer, Answer::Outstanding);
    let none = FILE_OPLOCK_BROKEN_TO_NONE as usize;
    assert_eq!(
        ends(&finished),
        [
            (1, STATUS_SUCCESS, none, false),
            (2, STATUS_SUCCESS, none, false)
        ]
    );
}

/// What breaks what, to which level; 0 for what does not.
#[test]
fn operations_break_as_the_tables_say() {
    let two = FILE_OPLOCK_BROKEN_TO_LEVEL_2 as usize;
    let none = FILE_OPLOCK_BROKEN_TO_NONE as usize;
    let operations = [
        OPEN,
        OVERWRITE,
        Operation::Read,
        Operation::Write,
        Operation::Lock,
        Operation::Size,
        Operation::Rename,
        Operation::Delete,
    ];
    for (kind, expected) in [
        (Kind::LevelOne, [two, none, two, none, none, none, 0, 0]),
        (Kind::Batch, [two, none, two, none, none, none, none, 0]),
        (Kind::Filter, [0, none, 0, none, 0, none, none, 0]),
        (Kind::LevelTwo, [0, none, 0, none, none, none, 0, 0]),
    ] {
        for (operation, expected) in operations.into_iter().zip(expected) {
            let mut table = granted(kind);
            assert_eq!(table.allows(OTHER, operation), expected == 0);
            let (checked, finished) = with(|effects| table.check(OTHER, operation, effects));
            let found = finished.first().and_then(|finish| finish.information);
            assert_eq!(found.unwrap_or(0), expected, "{kind:?} {operation:?}");
            let waits = expected != 0 && kind != Kind::LevelTwo;
            assert_eq!(
                checked == Checked::Breaking,
                waits,
                "{kind:?} {operation:?}"
            );
            // The owner of an exclusive oplock does not break it.
            if kind != Kind::LevelTwo {
                let mut table = granted(kind);
                assert!(table.allows(OWNER, operation));
                let own = with(|effects| table.check(OWNER, operation, effects));
                assert_eq!(own, (Checked::Free, Vec::new()));
            }
        }
    }
}

#[test]
fn what_waits_goes_on_after_the_acknowledgment() {
    let mut table = granted(Kind::LevelOne);
    let unexpected = ask(&mut table, Control::Acknowledge, OWNER, 5).0;
    assert_eq!(unexpected, Answer::Done(STATUS_INVALID_OPLOCK_PROTOCOL));
    with(|effects| table.check(NOBODY, OPEN, effects));
    table.wait(Ticket(9), None);
    let (answer, _) = ask(&mut table, Control::Notify, OTHER, 8);
    assert_eq!(answer, Answer::Outstanding);
    let foreign = ask(&mut table, Control::Acknowledge, OTHER, 5).0;
    assert_eq!(foreign, Answer::Done(STATUS_INVALID_OPLOCK_PROTOCOL));
    // Level 2 is accepted: the acknowledgment itself is now the oplock's request.
    let (answer, finished) = ask(&mut table, Control::Acknowledge, OWNER, 5);
    assert_eq!(answer, Answer::Outstanding);
    assert_eq!(
        ends(&finished),
        [(9, 0, 0, true), (8, STATUS_SUCCESS, 0, false)]
    );
    assert!(!table.allows(OTHER, Operation::Write));
    let (checked, finished) = with(|effects| table.check(OTHER, Operation::Write, effects));
    assert_eq!((checked, finished[0].ticket), (Checked::Free, Ticket(5)));
    assert!(table.is_empty());
}

#[test]
fn level_two_can_be_refused_and_lost_to_a_second_break() {
    for (second, control) in [
        (false, Control::AcknowledgeWithoutLevelTwo),
        (true, Control::Acknowledge),
        (false, Control::ClosePending),
    ] {
        let mut table = granted(Kind::LevelOne);
        with(|effects| table.check(NOBODY, OPEN, effects));
        if second {
            with(|effects| table.check(NOBODY, OVERWRITE, effects));
        }
        let (answer, _) = ask(&mut table, control, OWNER, 5);
        assert_eq!(answer, Answer::Done(STATUS_SUCCESS), "{control:?}");
        assert!(table.is_empty());
    }
}

#[test]
fn a_pending_close_holds_what_waits_until_the_close() {
    let mut table = granted(Kind::Batch);
    with(|effects| table.check(NOBODY, OPEN, effects));
    table.wait(Ticket(9), None);
    let (answer, finished) = ask(&mut table, Control::ClosePending, OWNER, 5);
    assert_eq!((answer, finished.len()), (Answer::Done(STATUS_SUCCESS), 0));
    let ((), finished) = with(|effects| table.cleanup(OpenId(2), effects));
    assert!(finished.is_empty());
    let ((), finished) = with(|effects| table.cleanup(OpenId(1), effects));
    assert_eq!(ends(&finished), [(9, 0, 0, true)]);
    assert!(table.is_empty());
}

#[test]
fn closing_ends_what_the_handle_holds_and_waits_for() {
    let mut table = granted(Kind::LevelTwo);
    ask(&mut table, Control::Request(Kind::LevelTwo), OTHER, 2);
    let ((), finished) = with(|effects| table.cleanup(OpenId(2), effects));
    assert_eq!(finished[0].ticket, Ticket(2));
    assert_eq!(finished.len(), 1);
    let mut table = granted(Kind::Filter);
    with(|effects| table.check(OTHER, Operation::Write, effects));
    table.wait(Ticket(9), OTHER.open);
    let ((), finished) = with(|effects| table.cleanup(OpenId(2), effects));
    assert_eq!(ends(&finished), [(9, 0, 0, true)]);
    let ((), finished) = with(|effects| table.end(effects));
    assert!(finished.is_empty() && table.is_empty());
}

#[test]
fn a_cancelled_request_takes_its_oplock_along() {
    let mut table = granted(Kind::Batch);
    // Its cancel routine has been called: it cannot be claimed, and nobody will acknowledge.
    let mut effects = Effects::new(&|_| false);
    assert_eq!(table.check(NOBODY, OPEN, &mut effects), Checked::Free);
    assert!(table.remove_waiting(Ticket(1)));
    assert!(!table.remove_waiting(Ticket(1)));
    assert!(table.is_empty());
    let mut table = granted(Kind::LevelOne);
    with(|effects| table.check(NOBODY, OPEN, effects));
    table.wait(Ticket(9), None);
    assert!(table.remove_waiting(Ticket(9)));
    let (_, finished) = ask(&mut table, Control::Acknowledge, OWNER, 5);
    assert!(finished.is_empty());
    assert!(table.remove_waiting(Ticket(5)) && table.is_empty());
}

#[test]
fn other_controls_are_no_business_of_oplocks() {
    assert_eq!(Control::of(code::FSCTL_GET_COMPRESSION, &[], 0), None);
    assert_eq!(
        Control::of(code::FSCTL_REQUEST_FILTER_OPLOCK, &[], 0),
        Some(Ok(Control::Request(Kind::Filter)))
    );
}

#[test]
fn a_request_of_windows_7_is_checked() {
    let input = |version: u16, length: u16, level: u32, flags: u32| {
        let head = u32::from(version) | u32::from(length) << 16;
        [head, level, flags].map(u32::to_le_bytes).concat()
    };
    let asked = |input: &[u8], room| {
        Control::of(code::FSCTL_REQUEST_OPLOCK, input, room).expect("about oplocks")
    };
    for (level, flags, expected) in [
        (3, 1, Ok(Control::Request(Kind::Caching(Cache::RH)))),
        (7, 1, Ok(Control::Request(Kind::Caching(Cache::RWH)))),
        (1, 2, Ok(Control::Keep(Cache::R))),
        (0, 2, Ok(Control::Keep(Cache::NONE))),
        (0, 6, Ok(Control::KeepUntilClosed)),
        (0, 1, Err(STATUS_INVALID_PARAMETER)),
        (2, 1, Err(STATUS_INVALID_PARAMETER)),
        (4, 2, Err(STATUS_INVALID_PARAMETER)),
        (1, 3, Err(STATUS_INVALID_PARAMETER)),
        (1, 0, Err(STATUS_INVALID_PARAMETER)),
    ] {
        assert_eq!(
            asked(&input(1, 12, level, flags), 24),
            expected,
            "{level} {flags}"
        );
    }
    let right = input(1, 12, 1, 1);
    assert_eq!(asked(&right[..11], 24), Err(STATUS_BUFFER_TOO_SMALL));
    assert_eq!(asked(&right, 23), Err(STATUS_BUFFER_TOO_SMALL));
    assert_eq!(
        asked(&input(2, 12, 1, 1), 24),
        Err(STATUS_INVALID_PARAMETER)
    );
}

fn caching(cache: Cache) -> Control {
    Control::Request(Kind::Caching(cache))
}

/// Original and new level, and flags, of a request for an oplock of Windows 7 that has ended.
fn told(finish: &Finish) -> [u32; 3] {
    assert_eq!((finish.data.len(), finish.information), (OUTPUT, None));
    let int = |at: usize| u32::from_le_bytes(finish.data[at..at + 4].try_into().unwrap());
    assert_eq!(int(0), 1 | 24 << 16);
    [int(4), int(8), int(12)]
}

/// What is granted beside what: refused, granted, or granted in the place of the first, to the same owner.
#[test]
fn those_of_windows_7_are_granted_as_the_table_says() {
    const NO: (u8, u8) = (0, 0);
    let kinds = [
        Kind::LevelTwo,
        Kind::Caching(Cache::R),
        Kind::Caching(Cache::RH),
        Kind::Caching(Cache::RW),
        Kind::Caching(Cache::RWH),
        Kind::Batch,
    ];
    // For each that is held, in rows, and asked for: by another owner, and by one with the same key.
    let table = [
        [(1, 1), (1, 1), NO, NO, NO, (2, 2)],
        [(1, 1), (1, 2), (1, 2), (0, 2), (0, 2), NO],
        [NO, (1, 0), (1, 2), NO, (0, 2), NO],
        [NO, NO, NO, (0, 2), (0, 2), NO],
        [NO, NO, NO, NO, (0, 2), NO],
        [NO, NO, NO, NO, NO, NO],
    ];
    for (held, row) in kinds.into_iter().zip(table) {
        for (wanted, expected) in kinds.into_iter().zip(row) {
            for (second, expected) in [(who(2), expected.0), (with_key(2, 5), expected.1)] {
                let mut table = Table::default();
                ask(&mut table, Control::Request(held), with_key(1, 5), 1);
                let (answer, finished) = ask(&mut table, Control::Request(wanted), second, 2);
                let found = match (answer, finished.first()) {
                    (Answer::Done(STATUS_OPLOCK_NOT_GRANTED), None) => 0,
                    (Answer::Outstanding, None) => 1,
                    (Answer::Outstanding, Some(ended)) => {
                        let switched = matches!(wanted, Kind::Caching(_));
                        let status = if switched {
                            STATUS_OPLOCK_SWITCHED_TO_NEW_HANDLE
                        } else {
                            STATUS_SUCCESS
                        };
                        assert_eq!((ended.ticket, ended.status), (Ticket(1), status));
                        2
                    }
                    other => panic!("{other:?}"),
                };
                assert_eq!(found, expected, "{held:?} {wanted:?} {second:?}");
            }
        }
    }
    let mut table = Table::default();
    for cache in [Cache::RW, Cache::RWH] {
        let alone = with(|effects| table.control(caching(cache), OWNER, false, Ticket(1), effects));
        assert_eq!(alone.0, Answer::Done(STATUS_OPLOCK_NOT_GRANTED));
    }
    let shared =
        with(|effects| table.control(caching(Cache::RH), OWNER, false, Ticket(1), effects));
    assert_eq!(shared.0, Answer::Outstanding);
}

/// What breaks what to which level, and whether it waits; no level for what does not.
#[test]
fn those_of_windows_7_break_as_the_tables_say() {
    let violating = |to_none| Operation::Create {
        to_none,
        collides: true,
        violates: Some(Modes {
            access: 2,
            share: 1,
        }),
    };
    let operations = [
        OPEN,
        violating(false),
        OVERWRITE,
        violating(true),
        Operation::Read,
        Operation::Write,
        Operation::Lock,
        Operation::Size,
        Operation::Rename,
        Operation::Delete,
    ];
    const STAYS: Option<(u32, bool)> = None;
    let waits = |level| Some((level, true));
    let goes_on = |level| Some((level, false));
    let none = goes_on(0);
    for (cache, expected) in [
        (
            Cache::R,
            [
                STAYS, STAYS, none, none, STAYS, none, none, none, STAYS, STAYS,
            ],
        ),
        (
            Cache::RH,
            [
                STAYS,
                waits(1),
                none,
                waits(0),
                STAYS,
                none,
                none,
                none,
                waits(1),
                waits(1),
            ],
        ),
        (
            Cache::RW,
            [
                waits(1),
                waits(1),
                waits(0),
                waits(0),
                waits(1),
                waits(0),
                waits(0),
                waits(0),
                STAYS,
                STAYS,
            ],
        ),
        (
            Cache::RWH,
            [
                waits(3),
                waits(5),
                waits(0),
                waits(0),
                waits(3),
                waits(0),
                none,
                waits(0),
                waits(5),
                waits(5),
            ],
        ),
    ] {
        for (operation, expected) in operations.into_iter().zip(expected) {
            let held = || {
                let mut table = Table::default();
                ask(&mut table, caching(cache), with_key(1, 5), 1);
                table
            };
            let mut table = held();
            assert_eq!(table.allows(OTHER, operation), expected.is_none());
            let (checked, finished) = with(|effects| table.check(OTHER, operation, effects));
            let found = finished.first().map(|finish| {
                let [from, to, flags] = told(finish);
                assert_eq!(from, cache.flags());
                assert_eq!(flags & 1 != 0, cache != Cache::R, "{cache:?} {operation:?}");
                let violation = operation == violating(true) || operation == violating(false);
                assert_eq!(flags & 2 != 0, violation && cache.keeps_handle());
                (to, checked == Checked::Breaking)
            });
            assert_eq!(found, expected, "{cache:?} {operation:?}");
            assert_eq!(table.is_empty(), cache == Cache::R && expected.is_some());
            // Neither its owner nor who has the same key breaks it.
            for same in [with_key(1, 9), with_key(2, 5)] {
                let own = with(|effects| held().check(same, operation, effects));
                assert_eq!(own, (Checked::Free, Vec::new()));
            }
        }
    }
}

#[test]
fn an_acknowledgment_keeps_what_the_break_has_left() {
    let mut table = Table::default();
    ask(&mut table, caching(Cache::RWH), OWNER, 1);
    let early = ask(&mut table, Control::Keep(Cache::R), OWNER, 5).0;
    assert_eq!(early, Answer::Done(STATUS_INVALID_OPLOCK_PROTOCOL));
    with(|effects| table.check(NOBODY, OPEN, effects));
    table.wait(Ticket(9), None);
    for control in [
        Control::Acknowledge,
        Control::Keep(Cache::RW),
        Control::ClosePending,
    ] {
        let wrong = ask(&mut table, control, OWNER, 5).0;
        assert_eq!(
            wrong,
            Answer::Done(STATUS_INVALID_OPLOCK_PROTOCOL),
            "{control:?}"
        );
    }
    assert_eq!(
        ask(&mut table, caching(Cache::R), OTHER, 6).0,
        Answer::Done(STATUS_OPLOCK_NOT_GRANTED)
    );
    let (answer, finished) = ask(&mut table, Control::Keep(Cache::RH), OWNER, 5);
    assert_eq!(answer, Answer::Outstanding);
    assert_eq!(ends(&finished), [(9, 0, 0, true)]);
    // Now it is a Read-Handle oplock: a write goes on at once, and is acknowledged all the same.
    let (checked, finished) = with(|effects| table.check(OTHER, Operation::Write, effects));
    assert_eq!((checked, told(&finished[0])), (Checked::Free, [3, 0, 1]));
    assert!(!table.is_empty());
    let (answer, _) = ask(&mut table, Control::Keep(Cache::NONE), OWNER, 6);
    assert_eq!(answer, Answer::Done(STATUS_SUCCESS));
    assert!(table.is_empty());
}

#[test]
fn several_have_to_let_go_of_their_handles() {
    let mut table = Table::default();
    for (owner, ticket) in [(OWNER, 1), (OTHER, 2)] {
        ask(&mut table, caching(Cache::RH), owner, ticket);
    }
    let (checked, finished) = with(|effects| table.check(who(3), Operation::Rename, effects));
    assert_eq!((checked, finished.len()), (Checked::Breaking, 2));
    table.wait(Ticket(9), Some(OpenId(3)));
    let (_, finished) = ask(&mut table, Control::Keep(Cache::R), OWNER, 5);
    // It looks again, and waits for the other one.
    assert_eq!(ends(&finished), [(9, 0, 0, true)]);
    let (checked, finished) = with(|effects| table.check(who(3), Operation::Rename, effects));
    assert_eq!((checked, finished.len()), (Checked::Breaking, 0));
    table.wait(Ticket(9), Some(OpenId(3)));
    let answer = ask(&mut table, Control::KeepUntilClosed, OTHER, 6).0;
    assert_eq!(answer, Answer::Done(STATUS_SUCCESS));
    let ((), finished) = with(|effects| table.cleanup(OpenId(2), effects));
    assert_eq!(ends(&finished), [(9, 0, 0, true)]);
    let checked = with(|effects| table.check(who(3), Operation::Rename, effects)).0;
    assert_eq!(checked, Checked::Free);
    // What is closed breaks to nothing, which nobody acknowledges.
    let ((), finished) = with(|effects| table.cleanup(OpenId(1), effects));
    assert_eq!(told(&finished[0]), [1, 0, 0]);
    assert!(table.is_empty());
}
