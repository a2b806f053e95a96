use super::*;
use crate::waiting::Finish;
use ntbox_kernel::nt::STATUS_SUCCESS;

const OWNER: OpenId = OpenId(1);
const OTHER: OpenId = OpenId(2);
const OPEN: Operation = Operation::Create {
    to_none: false,
    collides: false,
};
const OVERWRITE: Operation = Operation::Create {
    to_none: true,
    collides: true,
};

fn with<R>(operation: impl FnOnce(&mut Effects<'_>) -> R) -> (R, Vec<Finish>) {
    let mut effects = Effects::new(&|_| true);
    let result = operation(&mut effects);
    (result, effects.into_finished())
}

fn ask(table: &mut Table, control: Control, who: OpenId, ticket: usize) -> (Answer, Vec<Finish>) {
    with(|effects| table.control(control, who, false, Ticket(ticket), effects))
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
        let (answer, _) = with(|effects| table.control(request, OWNER, true, Ticket(1), effects));
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
    ];
    for (kind, expected) in [
        (Kind::LevelOne, [two, none, two, none, none, none, 0]),
        (Kind::Batch, [two, none, two, none, none, none, none]),
        (Kind::Filter, [0, none, 0, none, 0, none, none]),
        (Kind::LevelTwo, [0, none, 0, none, none, none, 0]),
    ] {
        for (operation, expected) in operations.into_iter().zip(expected) {
            let mut table = granted(kind);
            assert_eq!(table.allows(OTHER, operation), expected == 0);
            let (checked, finished) = with(|effects| table.check(Some(OTHER), operation, effects));
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
                let own = with(|effects| table.check(Some(OWNER), operation, effects));
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
    with(|effects| table.check(None, OPEN, effects));
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
    let (checked, finished) = with(|effects| table.check(Some(OTHER), Operation::Write, effects));
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
        with(|effects| table.check(None, OPEN, effects));
        if second {
            with(|effects| table.check(None, OVERWRITE, effects));
        }
        let (answer, _) = ask(&mut table, control, OWNER, 5);
        assert_eq!(answer, Answer::Done(STATUS_SUCCESS), "{control:?}");
        assert!(table.is_empty());
    }
}

#[test]
fn a_pending_close_holds_what_waits_until_the_close() {
    let mut table = granted(Kind::Batch);
    with(|effects| table.check(None, OPEN, effects));
    table.wait(Ticket(9), None);
    let (answer, finished) = ask(&mut table, Control::ClosePending, OWNER, 5);
    assert_eq!((answer, finished.len()), (Answer::Done(STATUS_SUCCESS), 0));
    let ((), finished) = with(|effects| table.cleanup(OTHER, effects));
    assert!(finished.is_empty());
    let ((), finished) = with(|effects| table.cleanup(OWNER, effects));
    assert_eq!(ends(&finished), [(9, 0, 0, true)]);
    assert!(table.is_empty());
}

#[test]
fn closing_ends_what_the_handle_holds_and_waits_for() {
    let mut table = granted(Kind::LevelTwo);
    ask(&mut table, Control::Request(Kind::LevelTwo), OTHER, 2);
    let ((), finished) = with(|effects| table.cleanup(OTHER, effects));
    assert_eq!(finished[0].ticket, Ticket(2));
    assert_eq!(finished.len(), 1);
    let mut table = granted(Kind::Filter);
    with(|effects| table.check(Some(OTHER), Operation::Write, effects));
    table.wait(Ticket(9), Some(OTHER));
    let ((), finished) = with(|effects| table.cleanup(OTHER, effects));
    assert_eq!(ends(&finished), [(9, 0, 0, true)]);
    let ((), finished) = with(|effects| table.end(effects));
    assert!(finished.is_empty() && table.is_empty());
}

#[test]
fn a_cancelled_request_takes_its_oplock_along() {
    let mut table = granted(Kind::Batch);
    // Its cancel routine has been called: it cannot be claimed, and nobody will acknowledge.
    let mut effects = Effects::new(&|_| false);
    assert_eq!(table.check(None, OPEN, &mut effects), Checked::Free);
    assert!(table.remove_waiting(Ticket(1)));
    assert!(!table.remove_waiting(Ticket(1)));
    assert!(table.is_empty());
    let mut table = granted(Kind::LevelOne);
    with(|effects| table.check(None, OPEN, effects));
    table.wait(Ticket(9), None);
    assert!(table.remove_waiting(Ticket(9)));
    let (_, finished) = ask(&mut table, Control::Acknowledge, OWNER, 5);
    assert!(finished.is_empty());
    assert!(table.remove_waiting(Ticket(5)) && table.is_empty());
}

#[test]
fn other_controls_are_no_business_of_oplocks() {
    assert_eq!(Control::of(code::FSCTL_GET_COMPRESSION), None);
    assert_eq!(
        Control::of(code::FSCTL_REQUEST_FILTER_OPLOCK),
        Some(Control::Request(Kind::Filter))
    );
}
