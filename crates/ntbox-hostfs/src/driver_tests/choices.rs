//! The same session under every choice of the adversary.

use super::*;
use ntbox_kernel::user::extended_attributes::EaQuery;
use ntbox_kernel::user::{OpenRequest, nt_close, nt_create_file};

/// What a program does to files, and what it sees: the same under every choice.
fn session(root: &str) -> Vec<(NTSTATUS, usize, Vec<u8>)> {
    let mut seen = Vec::new();
    let mut note = |outcome: Outcome| {
        seen.push((outcome.status, outcome.information, outcome.data.clone()));
        outcome
    };
    let path = |name: &str| format!(r"{root}\{name}");
    drop(open(
        &path("dir"),
        FILE_CREATE,
        FILE_DIRECTORY_FILE | SYNCHRONOUS,
    ));
    let file = open(&path(r"dir\file"), FILE_CREATE, SYNCHRONOUS);
    note(file.write(None, b"hello "));
    note(file.write(None, b"world"));
    note(file.read(None, 4));
    note(file.read(Some(3), 100));
    note(file.read(None, 4));
    note(file.set_information(FilePositionInformation, &6_i64.to_le_bytes()));
    note(file.read(None, 100));
    note(file.query_information(FileStandardInformation, 24));
    note(file.query_information(FileStandardInformation, 23));
    note(file.query_information(FileNameInformation, 300));
    note(file.query_information(FileNameInformation, 12));
    note(file.set_information(FileEndOfFileInformation, &5_i64.to_le_bytes()));
    note(file.flush());
    let list = [0, 0, 0, 0, 0, 1, 2, 0, b'A', 0, 5, 6];
    note(file.set_ea(&list));
    let names = [0, 0, 0, 0, 1, b'a', 0];
    let by_name = EaQuery {
        names: &names,
        ..EaQuery::default()
    };
    assert_eq!(note(file.query_ea(&by_name, 100)).data, list);
    let second = EaQuery {
        index: Some(2),
        ..EaQuery::default()
    };
    let none = note(file.query_ea(&second, 100));
    assert_eq!(none.status, STATUS_NO_MORE_EAS);
    note(file.set_ea(&[0, 0, 0, 0, 0, 1, 0, 0, b'*', 0]));
    note(file.query_ea(&EaQuery::default(), 100));
    note(file.query_ea(&EaQuery::default(), 100));
    stream(&path(r"dir\file"), &file, &mut note);
    let range = Range {
        offset: 0,
        length: 2,
        key: 0,
    };
    note(file.lock(range, true, true));
    let other = open(&path(r"DIR\FILE"), FILE_OPEN, SYNCHRONOUS);
    note(other.read(Some(0), 5));
    note(other.read(Some(2), 5));
    note(other.lock(range, true, false));
    note(file.unlock(range));
    note(file.unlock(range));
    note(other.read(Some(0), 5));
    note(other.fs_control(FSCTL_REQUEST_OPLOCK_LEVEL_1, &[], 0));
    note(other.device_control(0x7_0000, &[], 0));
    note(other.query_volume(FileFsAttributeInformation, 64));
    let directory = open(&path("dir"), FILE_OPEN, FILE_DIRECTORY_FILE | SYNCHRONOUS);
    note(directory.query_directory(FileNamesInformation, 100, None, false, true));
    note(directory.query_directory(FileNamesInformation, 100, None, false, false));
    note(directory.query_directory(FileNamesInformation, 100, None, false, false));
    note(directory.query_directory(FileNamesInformation, 100, None, true, false));
    note(directory.query_directory(999, 100, None, true, false));
    note(file.set_information(FileDispositionInformation, &[1]));
    assert!(file_object(&file).DeletePending);
    note(create_file(&CreateParameters::new(&path(r"dir\file"))).outcome);
    note(file.close());
    note(other.close());
    note(create_file(&CreateParameters::new(&path(r"dir\file"))).outcome);
    note(query_attributes(&path(r"dir\none")));
    note(directory.set_information(FileDispositionInformation, &[1]));
    note(directory.close());
    note(create_file(&CreateParameters::new(&path("dir"))).outcome);
    seen
}

/// What a program does to a stream of the file, which is as it was before.
fn stream(path: &str, file: &File, note: &mut impl FnMut(Outcome) -> Outcome) {
    let name = format!("{path}:s");
    let stream = open(&name, FILE_CREATE, SYNCHRONOUS);
    assert_ne!(file_object(file).FsContext, file_object(&stream).FsContext);
    note(stream.write(None, b"of the stream"));
    assert_eq!(note(stream.read(Some(3), 100)).data, b"the stream");
    note(stream.query_information(FileNameInformation, 300));
    let streams = note(file.query_information(FileStreamInformation, 300));
    assert_eq!(streams.information, 40 + 40);
    let attributes = query_attributes(&name);
    // The end of the stream's data, not of the file's.
    assert_eq!(
        (attributes.status, attributes.data[40]),
        (STATUS_SUCCESS, 13)
    );
    let mut rename = [0; 24];
    rename[16] = 4;
    rename[20..].copy_from_slice(&[b':', 0, b't', 0]);
    let renamed = note(stream.set_information(FileRenameInformation, &rename));
    assert_eq!(renamed.status, STATUS_SUCCESS);
    let gone = note(query_attributes(&name));
    assert_eq!(gone.status, STATUS_OBJECT_NAME_NOT_FOUND);
    note(stream.set_information(FileDispositionInformation, &[1]));
    assert!(file_object(&stream).DeletePending && !file_object(file).DeletePending);
    note(stream.close());
    let streams = note(file.query_information(FileStreamInformation, 300));
    assert_eq!(streams.information, 38);
}

#[test]
fn every_choice_gives_the_same_results() {
    let (_alone, volumes) = turn(Mix::quiet());
    for (root, host) in [
        (r"\??\H:", &volumes.disk.0),
        (r"\??\N:", &volumes.network),
        (r"\??\J:", &volumes.late),
    ] {
        let mut first = None;
        for mix in mixes() {
            settle(mix.clone());
            identity::begin_thread(1);
            let seen = session(root);
            let first = first.get_or_insert_with(|| seen.clone());
            for (index, (seen, first)) in seen.iter().zip(first.iter()).enumerate() {
                assert_eq!(seen, first, "{root} call {index} {mix:?}");
            }
            assert!(std::fs::read_dir(host).unwrap().next().is_none());
        }
    }
    settle(Mix::quiet());
}

#[test]
fn choices_are_really_taken() {
    let (_alone, _) = turn(Mix::quiet());
    let of = |mix: Mix| {
        settle(mix);
        session(r"\??\H:");
        adversary::drain();
        adversary::counts()
    };
    let all = Mix {
        decline_fast_io: 1000,
        ..Mix::quiet()
    };
    let quiet = of(Mix::quiet());
    assert!(
        quiet.now > 25 && quiet.pended() == 0 && quiet.fast_io > 0,
        "{quiet:?}"
    );
    let pended = of(Mix {
        pend: 1000,
        ..all.clone()
    });
    assert!(pended.pend > 20 && pended.fast_io == 0 && pended.fast_io_declined > 5);
    assert!(
        of(Mix {
            pend_at_dispatch: 1000,
            ..all.clone()
        })
        .pend_at_dispatch
            > 15
    );
    assert!(
        of(Mix {
            at_dispatch: 1000,
            ..all.clone()
        })
        .at_dispatch
            > 15
    );
    assert!(
        of(Mix {
            other_thread: 1000,
            ..all
        })
        .other_thread
            > 15
    );
    let majors = adversary::counts_by_major();
    assert!(
        majors
            .iter()
            .any(|(major, counts)| u32::from(*major) == IRP_MJ_READ && counts.requests() > 0)
    );
    settle(Mix::quiet());
}

#[test]
fn failures_hit_only_those_who_allow_them() {
    let mix = Mix {
        fail: 1000,
        fail_with: vec![STATUS_IO_DEVICE_ERROR],
        decline_fast_io: 1000,
        ..Mix::quiet()
    };
    let (_alone, volumes) = turn(mix);
    let file = open(r"\??\H:\fails", FILE_CREATE, SYNCHRONOUS);
    identity::allow_failure_of_next();
    assert_eq!(file.write(None, b"x").status, STATUS_IO_DEVICE_ERROR);
    succeeded(file.write(None, b"x"));
    assert_eq!(adversary::counts().failed, 1);
    drop(file);
    std::fs::remove_file(volumes.disk.0.join("fails")).unwrap();
}

#[test]
fn threads_share_a_volume_under_the_adversary() {
    let (_alone, volumes) = turn(Mix::default());
    let threads: Vec<_> = (1..=4_u32)
        .map(|ordinal| {
            thread::spawn("tester", move || {
                identity::begin_thread(ordinal);
                for round in 0..30_u32 {
                    let name = format!(r"\??\H:\t{ordinal}");
                    let file = open(&name, FILE_OVERWRITE_IF, SYNCHRONOUS);
                    let data = vec![ordinal as u8; 100 + round as usize];
                    succeeded(file.write(None, &data));
                    assert_eq!(succeeded(file.read(Some(0), 1000)).data, data);
                    drop(file);
                    let file = open(&name, FILE_OPEN, SYNCHRONOUS | FILE_DELETE_ON_CLOSE);
                    assert_eq!(succeeded(file.read(None, 1000)).data, data);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    settle(Mix::quiet());
    assert!(std::fs::read_dir(&volumes.disk.0).unwrap().next().is_none());
}

#[test]
fn a_create_brings_extended_attributes() {
    let (_alone, _) = turn(Mix::quiet());
    for mix in mixes() {
        settle(mix);
        let list = [0, 0, 0, 0, 0, 1, 1, 0, b'A', 0, 5];
        let create = OpenRequest {
            name: r"\??\H:\with attributes",
            access: RIGHTS,
            disposition: FILE_CREATE,
            options: SYNCHRONOUS | FILE_DELETE_ON_CLOSE,
            extended_attributes: &list,
            ..OpenRequest::default()
        };
        let (handle, _) = nt_create_file(&create).unwrap();
        let again = open(create.name, FILE_OPEN, SYNCHRONOUS);
        assert_eq!(again.query_ea(&EaQuery::default(), 100).data, list);
        drop(again);
        assert_eq!(nt_close(handle), STATUS_SUCCESS);
    }
}
