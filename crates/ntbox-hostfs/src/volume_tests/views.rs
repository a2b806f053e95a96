//! What may not be done to a file that is mapped.

#![expect(unsafe_code, reason = "what is mapped is known by address")]

use super::*;
use crate::oplocks::{Cache, Control, Kind};
use crate::rename::{POSIX_SEMANTICS, REPLACE};
use ntbox_kernel::io_manager::sections::{Mapped, Mapping, map};

const DATA: [Mapping; 2] = [Mapping::ReadOnly, Mapping::Writable];

/// The pointers of a file object, which its volume is told of as in a create.
fn with_pointers(fixture: &Fixture, open: OpenId) -> Box<SECTION_OBJECT_POINTERS> {
    let mut pointers = Box::new(SECTION_OBJECT_POINTERS::default());
    let mut state = fixture.volume.state();
    let file = state.opens[&open].file;
    state.files.get_mut(&file).unwrap().sections = (&raw mut *pointers).addr();
    pointers
}

/// Maps all of it.
fn view(pointers: &mut SECTION_OBJECT_POINTERS, mapping: Mapping, bytes: u64) -> Mapped {
    // SAFETY: they outlive the view in each test.
    unsafe { map(pointers, mapping, bytes) }
}

/// A file of 100 bytes that is mapped, and what is asked of it meanwhile and afterwards.
fn asked(
    mapping: Mapping,
    name: &str,
    ask: impl Fn(&Fixture, OpenId) -> NTSTATUS,
) -> [NTSTATUS; 2] {
    let fixture = new();
    fixture.make(r"\f", &[1; 100]);
    if name.contains(':') {
        fixture.make(name, &[1; 100]);
    }
    let open = fixture.open(name, FILE_OPEN, 0);
    let mut pointers = with_pointers(&fixture, open);
    let mapped = view(&mut pointers, mapping, 100);
    let meanwhile = ask(&fixture, open);
    drop(mapped);
    [meanwhile, ask(&fixture, open)]
}

#[test]
fn what_a_view_shows_is_not_cut_off() {
    for mapping in [DATA[0], DATA[1], Mapping::Image] {
        for name in [r"\f", r"\f:s"] {
            for class in [FileEndOfFileInformation, FileAllocationInformation] {
                let cut = |fixture: &Fixture, open| fixture.set(open, class, &50i64.to_le_bytes());
                let [meanwhile, afterwards] = asked(mapping, name, cut);
                assert_eq!(
                    meanwhile, STATUS_USER_MAPPED_FILE,
                    "{mapping:?} {name} {class}"
                );
                assert_eq!(afterwards, STATUS_SUCCESS, "{mapping:?} {name} {class}");
            }
        }
    }
}

#[test]
fn a_file_that_is_mapped_grows_and_is_not_cut_again() {
    let set = |size: i64| {
        move |fixture: &Fixture, open| {
            fixture.set(open, FileEndOfFileInformation, &size.to_le_bytes())
        }
    };
    for mapping in DATA {
        for size in [100, 101, 5000] {
            assert_eq!(
                asked(mapping, r"\f", set(size)),
                [STATUS_SUCCESS; 2],
                "{size}"
            );
        }
        // Also behind what the view shows.
        let grown_and_cut = |fixture: &Fixture, open| {
            assert_eq!(set(5000)(fixture, open), STATUS_SUCCESS);
            set(200)(fixture, open)
        };
        let expected = [STATUS_USER_MAPPED_FILE, STATUS_SUCCESS];
        assert_eq!(asked(mapping, r"\f", grown_and_cut), expected);
    }
}

#[test]
fn the_valid_data_of_what_a_view_shows_is_not_set() {
    for mapping in DATA {
        let valid = |fixture: &Fixture, open| {
            fixture.set(open, FileValidDataLengthInformation, &100i64.to_le_bytes())
        };
        let expected = [STATUS_USER_MAPPED_FILE, STATUS_SUCCESS];
        assert_eq!(asked(mapping, r"\f", valid), expected, "{mapping:?}");
    }
}

#[test]
fn a_file_that_is_mapped_does_not_begin_anew() {
    for mapping in [DATA[0], DATA[1], Mapping::Image] {
        for name in [r"\f", r"\f:s"] {
            for disposition in [FILE_OVERWRITE, FILE_OVERWRITE_IF, FILE_SUPERSEDE] {
                let again = |fixture: &Fixture, open| {
                    let before = fixture.read(open, 0, 100).map(|data| data.len());
                    let status = fixture.status(name, disposition, 0);
                    assert_eq!(
                        status == STATUS_SUCCESS,
                        fixture.read(open, 0, 100).is_err()
                    );
                    assert_eq!(before, Ok(100));
                    status
                };
                let expected = match mapping {
                    Mapping::Image => STATUS_SHARING_VIOLATION,
                    _ => STATUS_USER_MAPPED_FILE,
                };
                assert_eq!(asked(mapping, name, again), [expected, STATUS_SUCCESS]);
            }
        }
    }
}

#[test]
fn a_program_that_runs_is_not_written() {
    for name in [r"\f", r"\f:s"] {
        let open_to = |desired, options| {
            move |fixture: &Fixture, _| {
                let wanted = Request {
                    desired,
                    ..request(name, FILE_OPEN, options)
                };
                let opened = fixture.try_open(&wanted);
                opened.map_or_else(
                    |status| status,
                    |created| {
                        fixture.close(created.open);
                        STATUS_SUCCESS
                    },
                )
            }
        };
        let write = open_to(access::WRITE_DATA, 0);
        let append = open_to(access::APPEND_DATA, 0);
        let read = open_to(access::READ_DATA, 0);
        let running =
            |ask: &dyn Fn(&Fixture, OpenId) -> NTSTATUS| asked(Mapping::Image, name, ask)[0];
        assert_eq!(running(&write), STATUS_SHARING_VIOLATION);
        assert_eq!(running(&append), STATUS_SHARING_VIOLATION);
        assert_eq!(running(&read), STATUS_SUCCESS);
        let delete = open_to(access::DELETE, FILE_DELETE_ON_CLOSE);
        assert_eq!(running(&delete), STATUS_CANNOT_DELETE);
        assert_eq!(asked(Mapping::Writable, name, write), [STATUS_SUCCESS; 2]);
    }
}

#[test]
fn who_keeps_writers_out_does_not_open_what_a_view_may_write() {
    for (mapping, expected) in [
        (Mapping::ReadOnly, STATUS_SUCCESS),
        (Mapping::Writable, STATUS_SHARING_VIOLATION),
    ] {
        let fixture = new();
        fixture.make(r"\f", &[1; 100]);
        let open = fixture.open(r"\f", FILE_OPEN, 0);
        let mut pointers = with_pointers(&fixture, open);
        let mapped = view(&mut pointers, mapping, 100);
        effects(|effects| fixture.volume.cleanup(open, effects));
        let status = |desired, share| {
            let wanted = Request {
                desired,
                share,
                ..request(r"\f", FILE_OPEN, 0)
            };
            match fixture.try_open(&wanted) {
                Ok(created) => {
                    fixture.close(created.open);
                    STATUS_SUCCESS
                }
                Err(status) => status,
            }
        };
        for using in [access::READ_DATA, access::DELETE, access::EXECUTE] {
            assert_eq!(status(using, 1), expected, "{mapping:?} {using:#x}");
            assert_eq!(status(using, SHARE_ALL), STATUS_SUCCESS);
        }
        assert_eq!(status(access::READ_ATTRIBUTES, 0), STATUS_SUCCESS);
        drop(mapped);
        fixture.volume.close(open);
    }
}

#[test]
fn a_file_that_is_mapped_is_not_deleted() {
    for mapping in [DATA[0], DATA[1], Mapping::Image] {
        for (class, flags) in [
            (FileDispositionInformation, vec![1]),
            (FileDispositionInformationEx, vec![1, 0, 0, 0]),
            (FileDispositionInformationEx, vec![3, 0, 0, 0]),
        ] {
            let delete = |fixture: &Fixture, open| fixture.set(open, class, &flags);
            let expected = [STATUS_CANNOT_DELETE, STATUS_SUCCESS];
            assert_eq!(asked(mapping, r"\f", delete), expected, "{mapping:?}");
        }
    }
}

#[test]
fn a_file_that_is_mapped_after_its_last_handle_is_not_replaced() {
    for (flags, expected) in [
        (REPLACE, STATUS_ACCESS_DENIED),
        (REPLACE | POSIX_SEMANTICS, STATUS_SUCCESS),
    ] {
        let fixture = new();
        fixture.make(r"\f", &[1; 100]);
        fixture.make(r"\new", b"new");
        let open = fixture.open(r"\f", FILE_OPEN, 0);
        let new = fixture.open(r"\new", FILE_OPEN, 0);
        let mut pointers = with_pointers(&fixture, open);
        let mapped = view(&mut pointers, Mapping::ReadOnly, 100);
        effects(|effects| fixture.volume.cleanup(open, effects));
        assert_eq!(fixture.rename(new, None, "f", flags), expected);
        drop(mapped);
        fixture.volume.close(open);
    }
}

#[test]
fn nobody_caches_what_a_view_may_change() {
    for (mapping, cache, refused) in [
        (Mapping::Writable, Cache::R, true),
        (Mapping::Writable, Cache::RH, true),
        (Mapping::Writable, Cache::RWH, true),
        (Mapping::ReadOnly, Cache::R, false),
    ] {
        let fixture = new();
        fixture.make(r"\f", &[1; 100]);
        let open = fixture.open(r"\f", FILE_OPEN, 0);
        let mut pointers = with_pointers(&fixture, open);
        let mapped = view(&mut pointers, mapping, 100);
        let control = Control::Request(Kind::Caching(cache));
        let ask = |effects: &mut Effects<'_>| {
            let arm = || true;
            fixture
                .volume
                .oplock(open, control, false, Ticket(1), &arm, effects)
        };
        let flags = REQUEST_OPLOCK_OUTPUT_FLAG_WRITABLE_SECTION_PRESENT;
        let outcome = effects(ask).0;
        match outcome {
            Outcome::Done(STATUS_CANNOT_GRANT_REQUESTED_OPLOCK, output) if refused => {
                assert_eq!(output.len(), 24);
                assert_eq!(output[12..16], flags.to_le_bytes());
            }
            Outcome::Waiting if !refused => {}
            other => panic!("{mapping:?} {cache:?}: {other:?}"),
        }
        drop(mapped);
    }
}
