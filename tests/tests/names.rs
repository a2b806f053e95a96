//! The names of files in traces: what the file system calls them, and when it is asked.

use fsglass_protocol::trace::{MAXIMUM_PATH, flags, wanted};
use fsglass_protocol::{Operation, TraceStart};
use fsglass_tests::client::{Client, Traced, everything};
use fsglass_tests::machine::{Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{How, Probe, Request, within_a_file_system};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::io_manager::witness;
use ntbox::nt::unicode::OwnedUnicodeString;
use ntbox::nt::{
    APC_LEVEL, FILE_DIRECTORY_FILE, FILE_OBJECT, FILE_OPEN_IF, FILE_SYNCHRONOUS_IO_NONALERT,
    FO_CLEANUP_COMPLETE, FO_STREAM_FILE, FO_SYNCHRONOUS_IO, FO_VOLUME_OPEN,
    FileInternalInformation, STATUS_PENDING, STATUS_REPARSE, STATUS_SUCCESS,
};
use ntbox::pool::failure;
use ntbox::user::{CreateParameters, Mapping, PAGE, Writer, access, create_file};

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

/// A file is called what its file system calls it, from its create on; one that was open before, from the first
/// request on in which that can be found out. The close knows it without asking.
#[test]
fn files_have_names() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let early = volume.create("\\early");
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        assert!(early.flush().is_success());
        let _information = early.query_information(FileInternalInformation, 8);
        assert!(early.flush().is_success());
        let directory =
            volume.create_with("\\Dir", FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT);
        let file = volume.create("\\dir\\FILE");
        assert!(file.flush().is_success());
        drop((file, early, directory));
        let traced = client.drain_trace();
        assert_eq!(
            names_of(&traced, Operation::CREATE),
            [("\\Dir", 0), ("\\Dir\\FILE", 0)]
        );
        assert_eq!(
            names_of(&traced, Operation::FLUSH_BUFFERS),
            [
                ("", flags::NAME_UNKNOWN),
                ("\\early", 0),
                ("\\Dir\\FILE", 0)
            ]
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

/// What is mapped is read and written when its handle is closed, and is called what it was; the file is closed when
/// its view ends.
#[test]
fn a_mapped_file_has_its_name_until_it_is_closed() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let file = volume.create("\\Mapped");
        assert!(file.write(Some(0), &[1; PAGE]).is_success());
        assert!(file.flush().is_success());
        let (mapped, view) = file.map(Mapping::Writable);
        assert!(mapped.is_success(), "{mapped:?}");
        drop(file);
        let view = view.expect("it is mapped");
        let mut expected = vec![Operation::PAGING_WRITE, Operation::CLEANUP];
        assert!(view.page_in(0).is_success());
        expected.push(Operation::PAGING_READ);
        for writer in Writer::OF_VIEWS {
            assert!(view.page_out(0, &[2; PAGE], writer).is_success());
            expected.push(Operation::PAGING_WRITE);
        }
        assert!(view.unmap().is_success());
        expected.push(Operation::CLOSE);
        let mut traced = client.drain_trace().requests;
        traced.sort_by_key(|(record, _)| record.started.get());
        let of_interest = traced.iter().filter(|(record, _)| {
            let is = |operation: &Operation| operation.number() == record.operation;
            expected.iter().any(is)
        });
        let seen: Vec<(u8, &str)> = of_interest
            .map(|(record, name)| (record.operation, &**name))
            .collect();
        let expected: Vec<(u8, &str)> = expected
            .iter()
            .map(|operation| (operation.number(), "\\Mapped"))
            .collect();
        assert_eq!(seen, expected);
        drop(client);
        unload(driver);
    });
}

/// O2, O4: with the setting for that, no file system is asked. A file is called what it was opened by.
#[test]
fn names_are_not_asked_for() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let early = volume.create("\\Early");
        let driver = load(path, &[("AllowUnload", 1), ("AskNames", 0)]);
        let client = traces_names_like("");
        assert_eq!(client.settings().memory.asks_names.get(), 0);
        witness::begin();
        let file = volume.create("\\EARLY");
        for file in [&file, &early] {
            let _information = file.query_information(FileInternalInformation, 8);
        }
        // The directory that it goes to is opened by the name that it gets there.
        for to in ["\\moved", "\\dir\\moved"] {
            drop(volume.create_with("\\dir", FILE_DIRECTORY_FILE));
            let renamed = file.set_information(10, &rename_to(&volume.name(to)));
            assert!(renamed.is_success(), "{renamed:?}");
        }
        drop((file, early));
        let asked = witness::end_with_direct();
        assert!(asked.iter().all(|arrival| !arrival.direct), "{asked:#?}");
        let traced = client.drain_trace();
        let as_opened = ("\\EARLY", flags::NAME_AS_OPENED);
        let creates = ["\\EARLY", "\\dir", "\\", "\\dir", "\\dir"];
        assert_eq!(
            names_of(&traced, Operation::CREATE),
            creates.map(|name| (name, flags::NAME_AS_OPENED))
        );
        assert_eq!(
            names_of(&traced, Operation::QUERY_INFORMATION),
            [as_opened, ("", flags::NAME_UNKNOWN)]
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

/// O3: after a rename, names of files on the volume are old until they are asked for again; then a file and the
/// others that were opened by its name have the new one.
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
        let renamed = first.set_information(10, &rename_to("new"));
        assert!(renamed.is_success(), "{renamed:?}");
        for file in [&first, &other] {
            assert!(file.flush().is_success());
            let _information = file.query_information(FileInternalInformation, 8);
            assert!(file.flush().is_success());
        }
        drop((first, second, other));
        let traced = client.drain_trace();
        assert_eq!(
            names_of(&traced, Operation::SET_INFORMATION),
            [("\\old", 0)]
        );
        let old = flags::NAME_OLD;
        assert_eq!(
            names_of(&traced, Operation::FLUSH_BUFFERS),
            [
                ("\\old", old),
                ("\\new", 0),
                ("\\older", old),
                ("\\older", 0)
            ]
        );
        assert_eq!(
            names_of(&traced, Operation::CLOSE),
            [("\\new", 0), ("\\old", old), ("\\older", 0)]
        );
        drop(client);
        unload(driver);
    });
}

/// O3: a file that was opened by its short name is called by that, as its file system does. When it is taken away, the
/// name is old until it is asked for again.
#[test]
fn files_that_were_opened_by_a_short_name_are_called_so() {
    const SHORT_NAME: i32 = 40;
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let long = volume.create("\\Long name");
        let short = |name: &str| {
            let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let length = u32::try_from(units.len()).unwrap_or(0).to_le_bytes();
            let mut information = [&length[..], &units].concat();
            information.resize(information.len().max(8), 0);
            long.set_information(SHORT_NAME, &information)
        };
        assert!(short("LONGNA~1").is_success());
        let other = volume.create("\\longna~1");
        assert!(other.flush().is_success());
        assert!(short("").is_success());
        assert!(other.flush().is_success());
        let _information = other.query_information(FileInternalInformation, 8);
        assert!(other.flush().is_success());
        drop((long, other));
        let traced = client.drain_trace();
        assert_eq!(
            names_of(&traced, Operation::CREATE),
            [("\\Long name", 0), ("\\LONGNA~1", 0)]
        );
        assert_eq!(
            names_of(&traced, Operation::FLUSH_BUFFERS),
            [
                ("\\LONGNA~1", 0),
                ("\\LONGNA~1", flags::NAME_OLD),
                ("\\Long name", 0)
            ]
        );
        drop(client);
        unload(driver);
    });
}

/// C9, O3: nobody is kept waiting for a rename, which may stay below for long: for an oplock to be broken, say. Names
/// are old when it has been done.
#[test]
fn a_rename_is_not_waited_for() {
    /// FILE_DEVICE_NETWORK_FILE_SYSTEM.
    const NETWORK: u32 = 0x14;
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register_as(NETWORK);
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let mut file = FILE_OBJECT::default();
        let rename = Request {
            parameters: [0, 10, 0, 0],
            file_object: &raw mut file as usize,
            by_a_program: true,
            irp_flags: 4,
            ..Request::new(Operation::SET_INFORMATION.number())
        };
        for how in [How::Later, How::LaterAtDispatch, How::WhenCancelled] {
            probe.answer(how, STATUS_SUCCESS, 0);
            let sent = rename.start(probe.device().top());
            assert_eq!(sent.returned(), STATUS_PENDING, "{how:?}");
            if how == How::WhenCancelled {
                assert!(sent.cancel());
            }
            assert!(sent.wait().pending_returned, "{how:?}");
        }
        drop(client);
        unload(driver);
    });
}

/// O3: renames that pass without memory to observe them make names old all the same (P2).
#[test]
fn a_rename_passes_without_memory_to_observe_it() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let file = volume.create("\\name0");
        let mut failed = 0;
        for number in 1..=6 {
            let new = format!("name{number}");
            failure::fail_nth(number);
            let renamed = file.set_information(10, &rename_to(&new));
            failed += usize::from(failure::failed().is_some());
            failure::fail_nth(u64::MAX);
            assert!(renamed.is_success(), "{renamed:?}");
            let _information = file.query_information(FileInternalInformation, 8);
            assert!(file.flush().is_success());
            let traced = client.drain_trace();
            let expected = format!("\\{new}");
            assert_eq!(
                names_of(&traced, Operation::FLUSH_BUFFERS).last(),
                Some(&(&*expected, 0))
            );
        }
        assert!(failed > 0, "what a trace keeps of a request is allocated");
        drop((file, client));
        unload(driver);
    });
}

/// O4: the driver asks where the sender waits and holds nothing: in few requests, and never about what is no open
/// file. Its question is of the thread in which it is asked.
#[test]
fn file_systems_are_asked_where_that_is_safe() {
    const NETWORK: u32 = 0x14;
    const SYNCHRONOUS_API: u32 = 4;
    const PAGING: u32 = 0x2 | 0x40;
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register_as(NETWORK);
        let driver = load(path, UNLOADABLE);
        let client = traces_names_like("");
        let text = OwnedUnicodeString::new("\\name");
        let mut asked = Vec::new();
        let mut send =
            |what: &'static str, major: Operation, file_flags, change: fn(&mut Request)| {
                let mut file = Box::new(FILE_OBJECT {
                    FileName: text.as_unicode(),
                    Flags: file_flags,
                    ..FILE_OBJECT::default()
                });
                let mut request = Request {
                    file_object: &raw mut *file as usize,
                    by_a_program: true,
                    irp_flags: SYNCHRONOUS_API,
                    ..Request::new(major.number())
                };
                change(&mut request);
                let _before = probe.seen();
                let _answered = request.send(probe.device().top());
                let questions: Vec<_> = probe
                    .seen()
                    .into_iter()
                    .filter(|seen| seen.major == 5 && seen.parameters[1] == 9)
                    .collect();
                let all = questions.iter().all(|question| question.is_of_this_thread);
                assert!(all, "{what}: {questions:?}");
                if !questions.is_empty() {
                    asked.push(what);
                }
                // The driver forgets what was there.
                let _closed = Request {
                    major: Operation::CLOSE.number(),
                    ..request
                }
                .send(probe.device().top());
            };
        let plain: fn(&mut Request) = |_| ();
        let kernel: fn(&mut Request) = |request| request.by_a_program = false;
        let asynchronous: fn(&mut Request) = |request| request.irp_flags = 0;
        send("create", Operation::CREATE, 0, plain);
        send("create of the kernel", Operation::CREATE, 0, kernel);
        send("read", Operation::READ, 0, plain);
        send(
            "read of a synchronous file",
            Operation::READ,
            FO_SYNCHRONOUS_IO,
            asynchronous,
        );
        send("write", Operation::WRITE, 0, plain);
        send("query", Operation::QUERY_INFORMATION, 0, plain);
        send("directory", Operation::DIRECTORY_CONTROL, 0, plain);
        // None of these.
        send("read of the kernel", Operation::READ, 0, kernel);
        send(
            "read that nobody waits for",
            Operation::READ,
            0,
            asynchronous,
        );
        send(
            "paging read",
            Operation::READ,
            FO_SYNCHRONOUS_IO,
            |request| {
                request.irp_flags = PAGING;
            },
        );
        send("read at APC_LEVEL", Operation::READ, 0, |request| {
            request.irql = APC_LEVEL
        });
        for (what, flags) in [
            ("read of a stream file object", FO_STREAM_FILE),
            ("read of a volume", FO_VOLUME_OPEN),
            ("read after the cleanup", FO_CLEANUP_COMPLETE),
        ] {
            send(what, Operation::READ, flags, plain);
        }
        for (what, major) in [
            ("set information", Operation::SET_INFORMATION),
            ("flush", Operation::FLUSH_BUFFERS),
            ("lock", Operation::LOCK_CONTROL),
            ("file system control", Operation::FILE_SYSTEM_CONTROL),
            ("cleanup", Operation::CLEANUP),
        ] {
            send(what, major, 0, plain);
        }
        within_a_file_system(|| {
            send("read within a file system", Operation::READ, 0, plain);
            send("create within a file system", Operation::CREATE, 0, plain);
        });
        probe.answer(How::Now, STATUS_REPARSE, 0);
        send("create that opens nothing", Operation::CREATE, 0, plain);
        let expected = [
            "create",
            "create of the kernel",
            "read",
            "read of a synchronous file",
            "write",
            "query",
            "directory",
        ];
        assert_eq!(asked, expected);
        drop(client);
        unload(driver);
    });
}

/// O1: there is a bound, which is a setting. A file that is opened beyond it takes the place of an older one, which is
/// asked about again when that is safe.
#[test]
fn names_give_way_to_newer_ones() {
    const MOST: u32 = 64;
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, &[("AllowUnload", 1), ("Names", MOST)]);
        let client = traces_names_like("");
        let name = |number: usize| format!("\\file{number}");
        let files: Vec<_> = (0..300)
            .map(|number| volume.create(&name(number)))
            .collect();
        let memory = client.settings().memory;
        assert_eq!(memory.most_files.get(), MOST);
        assert!((1..=MOST).contains(&memory.files.get()), "{memory:?}");
        assert_eq!(memory.files.get() + memory.forgotten_names.get(), 300);
        drop(client.drain_trace());
        for file in [&files[0], &files[299]] {
            assert!(file.flush().is_success());
        }
        let _information = files[0].query_information(FileInternalInformation, 8);
        let traced = client.drain_trace();
        assert_eq!(
            names_of(&traced, Operation::FLUSH_BUFFERS),
            [("", flags::NAME_UNKNOWN), (&*name(299), 0)]
        );
        assert_eq!(
            names_of(&traced, Operation::QUERY_INFORMATION),
            [(&*name(0), 0)]
        );
        drop(client);
        let client = Client::open();
        assert_eq!(
            client.settings().memory.names.get(),
            0,
            "nobody wants names"
        );
        drop((files, client));
        unload(driver);
    });
}

/// A file that is opened relative to a directory, or by its id, has the name that the file system gives.
#[test]
fn files_that_are_opened_otherwise_have_names() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        for asks in [1, 0] {
            let driver = load(path, &[("AllowUnload", 1), ("AskNames", asks)]);
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
            let id = file.query_information(FileInternalInformation, 8).data;
            let id = id.try_into().map_or(0, u64::from_le_bytes);
            let root = volume.name("\\");
            let by_id = CreateParameters::new(&root)
                .by_id(id)
                .access(access::READ | access::WRITE);
            let Some(again) = create_file(&by_id).file else {
                panic!("{id:#x} is not opened")
            };
            drop((again, file, directory));
            let traced = client.drain_trace();
            let creates = names_of(&traced, Operation::CREATE);
            let (opened, unknown) = (flags::NAME_AS_OPENED, flags::NAME_UNKNOWN);
            let expected = match asks {
                1 => [("\\dir", 0), ("\\dir\\relative", 0), ("\\dir\\relative", 0)],
                _ => [
                    ("\\dir", opened),
                    ("\\dir\\relative", opened),
                    ("", unknown),
                ],
            };
            assert_eq!(creates, expected);
            drop(client);
            unload(driver);
        }
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
        let _information = file.query_information(FileInternalInformation, 8);
        assert!(file.flush().is_success());
        let traced = client.drain_trace();
        let cut = &whole[whole.len() + "\\file1".len() - MAXIMUM_PATH..];
        let cut = cut.to_owned() + "\\file1";
        let after = cut.replace("file1", "file2");
        let directory = &whole[whole.len() - MAXIMUM_PATH..];
        let names = names_of(&traced, Operation::CREATE);
        assert_eq!(
            names[5..],
            [(&*cut, flags::NAME_CUT), (directory, flags::NAME_CUT)]
        );
        assert_eq!(
            names_of(&traced, Operation::FLUSH_BUFFERS),
            [(&*cut, flags::NAME_CUT), (&*after, flags::NAME_CUT)]
        );
        drop((file, directories, client));
        unload(driver);
    });
}
