//! The names of files in traces: what the file system calls them, and when it is asked.

use fsglass_protocol::trace::{MAXIMUM_PATH, flags, wanted};
use fsglass_protocol::{Operation, TraceStart};
use fsglass_tests::client::{Client, Traced, everything};
use fsglass_tests::machine::{Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{How, Probe, Request};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::unicode::OwnedUnicodeString;
use ntbox::nt::{
    FILE_DIRECTORY_FILE, FILE_OBJECT, FILE_OPEN_IF, FILE_SYNCHRONOUS_IO_NONALERT,
    FileInternalInformation, STATUS_REPARSE, STATUS_SUCCESS,
};
use ntbox::pool::failure;
use ntbox::user::{CreateParameters, access, create_file};

fn disk(machine: &Machine) -> Volume {
    let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
    volume.mount();
    volume
}

/// A client that traces with names; of files that are called like `pattern`, if it is not empty.
fn traces_names_like(pattern: &str) -> Client {
    let client = Client::open();
    let named = TraceStart {
        wanted: wanted::NAMES.into(),
        ..everything()
    };
    assert_eq!(client.start_trace(named, "", pattern), STATUS_SUCCESS);
    client
}

/// The names that records of an operation have, with their flags, in order.
fn names_of(traced: &Traced, operation: Operation) -> Vec<(&str, u32)> {
    let records = traced.requests.iter();
    let of_operation = records.filter(|(record, _)| record.operation == operation.number());
    of_operation
        .map(|(record, name)| (&**name, record.flags.get() & flags::OF_NAMES))
        .collect()
}

/// A file is called what its file system calls it, from its first request on; before, what it was opened
/// by. The close knows it without asking.
#[test]
fn files_have_names() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let early = volume.create("\\early");
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        assert!(early.flush().is_success());
        let directory =
            volume.create_with("\\Dir", FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT);
        let file = volume.create("\\dir\\FILE");
        assert!(file.flush().is_success());
        drop((file, early, directory));
        let traced = client.drain_trace();
        assert_eq!(
            names_of(&traced, Operation::CREATE),
            [
                ("\\Dir", flags::NAME_AS_OPENED),
                ("\\dir\\FILE", flags::NAME_AS_OPENED)
            ]
        );
        assert_eq!(
            names_of(&traced, Operation::FLUSH_BUFFERS)[0],
            ("\\early", 0)
        );
        assert_eq!(
            names_of(&traced, Operation::FLUSH_BUFFERS)[1],
            ("\\Dir\\FILE", 0)
        );
        let closes = names_of(&traced, Operation::CLOSE);
        assert!(
            closes.contains(&("\\Dir\\FILE", 0)) && closes.contains(&("\\early", 0)),
            "{closes:?}"
        );
        drop(client);
        unload(driver);
    });
}

/// FILE_RENAME_INFORMATION: into the same directory, under another name.
fn rename_to(name: &str) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = u32::try_from(name.len()).unwrap_or(0).to_le_bytes();
    [&[0; 16][..], &length, &name].concat()
}

/// Right after a rename, a file and the streams of it have their new name, with every handle; so it is
/// with hard links, each of which keeps its own.
#[test]
fn renamed_files_have_their_new_name() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let (first, second, other) = (
            volume.create("\\old"),
            volume.create("\\old"),
            volume.create("\\older"),
        );
        for file in [&first, &second, &other] {
            assert!(file.flush().is_success());
        }
        let renamed = first.set_information(10, &rename_to("new"));
        assert!(renamed.is_success(), "{renamed:?}");
        drop((first, second, other));
        let traced = client.drain_trace();
        assert_eq!(
            names_of(&traced, Operation::SET_INFORMATION),
            [("\\old", 0)]
        );
        assert_eq!(
            names_of(&traced, Operation::CLOSE),
            [("\\new", 0), ("\\new", 0), ("\\older", 0)]
        );
        drop(client);
        unload(driver);
    });
}

/// A rename that cannot be waited for, for want of memory, is done all the same (P2), and asked about later.
#[test]
fn a_rename_passes_without_memory_to_wait_for_it() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let file = volume.create("\\name0");
        assert!(file.flush().is_success());
        let mut failed = 0;
        for number in 1..=6 {
            let new = format!("name{number}");
            failure::fail_nth(number);
            let renamed = file.set_information(10, &rename_to(&new));
            failed += usize::from(failure::failed().is_some());
            failure::fail_nth(u64::MAX);
            assert!(renamed.is_success(), "{renamed:?}");
            assert!(file.flush().is_success());
            let traced = client.drain_trace();
            let expected = format!("\\{new}");
            assert_eq!(
                names_of(&traced, Operation::FLUSH_BUFFERS).last(),
                Some(&(&*expected, 0))
            );
        }
        assert!(failed > 1, "what asks for names allocates");
        drop((file, client));
        unload(driver);
    });
}

/// A file that is opened relative to a directory, or by its id, has the name that the file system gives.
#[test]
fn files_that_are_opened_otherwise_have_names() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let directory =
            volume.create_with("\\dir", FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT);
        let opened = create_file(
            &CreateParameters::new("relative")
                .relative_to(&directory)
                .access(access::READ | access::WRITE)
                .disposition(FILE_OPEN_IF)
                .options(FILE_SYNCHRONOUS_IO_NONALERT),
        );
        let Some(file) = opened.file else {
            panic!("{:?}", opened.outcome)
        };
        assert!(file.flush().is_success());
        let id = file.query_information(FileInternalInformation, 8).data;
        let id = id.try_into().map_or(0, u64::from_le_bytes);
        let root = volume.name("\\");
        let by_id = CreateParameters::new(&root)
            .by_id(id)
            .access(access::READ | access::WRITE);
        let Some(again) = create_file(&by_id).file else {
            panic!("{id:#x} is not opened")
        };
        assert!(again.flush().is_success());
        drop((again, file, directory));
        let traced = client.drain_trace();
        assert_eq!(
            names_of(&traced, Operation::CREATE),
            [
                ("\\dir", flags::NAME_AS_OPENED),
                ("\\dir\\relative", flags::NAME_AS_OPENED),
                ("", flags::NAME_UNKNOWN),
            ]
        );
        let relative = ("\\dir\\relative", 0);
        assert_eq!(names_of(&traced, Operation::FLUSH_BUFFERS), [relative; 2]);
        let closed = names_of(&traced, Operation::CLOSE);
        assert_eq!(closed.iter().filter(|name| **name == relative).count(), 2);
        drop(client);
        unload(driver);
    });
}

/// A create that met a reparse point has opened nothing, and a file object that is used again has nothing of
/// the name that it had before.
#[test]
fn names_are_of_files_that_were_opened() {
    /// FILE_OPEN_BY_FILE_ID.
    const BY_ID: usize = 0x2000;
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let text = OwnedUnicodeString::new("\\name");
        let mut file = FILE_OBJECT {
            FileName: text.as_unicode(),
            ..FILE_OBJECT::default()
        };
        let file_object = &raw mut file as usize;
        let request = |major: Operation, options| Request {
            parameters: [0, options, 0, 0],
            file_object,
            ..Request::new(major.number())
        };
        let mut expected = Vec::new();
        for (status, options, name) in [
            (STATUS_REPARSE, 0, ("", flags::NAME_UNKNOWN)),
            (STATUS_SUCCESS, 0, ("\\name", flags::NAME_AS_OPENED)),
            (STATUS_SUCCESS, BY_ID, ("", flags::NAME_UNKNOWN)),
        ] {
            probe.answer(How::Now, status, 0);
            let _opened = request(Operation::CREATE, options).send(probe.device().top());
            let _read = request(Operation::READ, 0).send(probe.device().top());
            expected.push(name);
        }
        let traced = client.drain_trace();
        assert_eq!(names_of(&traced, Operation::READ), expected);
        drop(client);
        unload(driver);
    });
}

/// Of a name that is too long the end is told, and that it is; also after a rename.
#[test]
fn long_names_are_cut() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let mut whole = String::new();
        let mut directories = Vec::new();
        for letter in ['a', 'b', 'c', 'd', 'e'] {
            whole += "\\";
            whole.extend([letter; 120]);
            let options = FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT;
            directories.push(volume.create_with(&whole, options));
        }
        let file = volume.create(&(whole.clone() + "\\file1"));
        assert!(file.flush().is_success());
        let again = CreateParameters::new("").relative_to(&directories[4]);
        let again = again.options(FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT);
        assert!(create_file(&again).file.is_some());
        let renamed = file.set_information(10, &rename_to("file2"));
        assert!(renamed.is_success(), "{renamed:?}");
        assert!(file.flush().is_success());
        let traced = client.drain_trace();
        let cut = &whole[whole.len() + "\\file1".len() - MAXIMUM_PATH..];
        let cut = cut.to_owned() + "\\file1";
        let after = cut.replace("file1", "file2");
        let as_opened = flags::NAME_AS_OPENED | flags::NAME_CUT;
        let directory = &whole[whole.len() - MAXIMUM_PATH..];
        assert_eq!(
            names_of(&traced, Operation::CREATE)[5..],
            [(&*cut, as_opened), (directory, as_opened)]
        );
        assert_eq!(
            names_of(&traced, Operation::FLUSH_BUFFERS),
            [(&*cut, flags::NAME_CUT), (&*after, flags::NAME_CUT)]
        );
        drop((file, directories, client));
        unload(driver);
    });
}
