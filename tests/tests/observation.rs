//! Statistics and traces: what is counted and recorded, for whom, and for how long.

use fsglass_protocol::trace::{flags, ring, wanted};
use fsglass_protocol::{Operation, OperationRecord, TraceStart};
use fsglass_tests::client::{Client, Counted, Traced, everything};
use fsglass_tests::machine::{Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::trace_logging::Value::{Number, Text};
use fsglass_tests::trace_logging::{self, id_of_name};
use ntbox::etw::{self, Enabled};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{
    FILE_DIRECTORY_FILE, FILE_OPEN_IF, FILE_SYNCHRONOUS_IO_NONALERT, STATUS_BUFFER_TOO_SMALL,
    STATUS_CANCELLED, STATUS_INVALID_DEVICE_STATE, STATUS_SUCCESS, STATUS_TOO_MANY_SESSIONS,
};
use ntbox::user::{CreateParameters, access, create_file};

const C: &str = r"\Device\HarddiskVolume1";

/// Bytes of a reading.
const BUFFER: u32 = 1 << 16;

fn disk(machine: &Machine) -> Volume {
    let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
    volume.mount();
    volume
}

/// Opens, writes, reads and closes; how often each.
fn use_file(volume: &Volume, times: u64) {
    let file = volume.create("\\file");
    for _ in 0..times {
        assert!(file.write(Some(0), b"data").is_success());
        assert_eq!(&*file.read(Some(0), 4).data, b"data");
    }
}

fn volume_of(client: &Client) -> Counted {
    let counted = client.statistics();
    let found = counted.iter().find(|volume| volume.name == C).cloned();
    found.unwrap_or_else(|| panic!("{C} is not among {counted:#?}"))
}

/// The sum over an operation and its call of fast I/O that was not declined.
fn sum(counted: &Counted, operations: [Operation; 2], field: fn(&OperationRecord) -> u64) -> u64 {
    let records = operations.map(|operation| counted.operations.get(&operation));
    records
        .into_iter()
        .flatten()
        .map(|(record, _)| field(record))
        .sum()
}

/// Nothing is counted until a client wants it, and no longer when the last of them is gone.
#[test]
fn statistics_are_kept_while_somebody_wants_them() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let (first, second) = (Client::open(), Client::open());
        use_file(&volume, 3);
        assert!(volume_of(&first).operations.is_empty());
        assert_eq!(first.observe(true), STATUS_SUCCESS);
        assert_eq!(first.observe(true), STATUS_SUCCESS);
        assert_eq!(second.observe(true), STATUS_SUCCESS);
        use_file(&volume, 5);
        let reads = |client: &Client| {
            let operations = [Operation::READ, Operation::FAST_READ];
            sum(&volume_of(client), operations, |record| {
                record.completed.get() - record.declined.get()
            })
        };
        assert_eq!(reads(&first), 5);
        assert_eq!(first.observe(false), STATUS_SUCCESS);
        use_file(&volume, 7);
        assert_eq!(reads(&first), 12, "the second still wants them");
        drop(second);
        use_file(&volume, 2);
        assert_eq!(reads(&first), 12);
        drop(first);
        unload(driver);
    });
}

/// The setting keeps them from the start.
#[test]
fn the_setting_keeps_statistics() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let _driver = load(path, &[("Statistics", 1)]);
        use_file(&volume, 4);
        let client = Client::open();
        let counted = volume_of(&client);
        assert!(counted.attached);
        let bytes = |operations| sum(&counted, operations, |record| record.bytes.get());
        assert_eq!(bytes([Operation::WRITE, Operation::FAST_WRITE]), 16);
        assert_eq!(bytes([Operation::READ, Operation::FAST_READ]), 16);
        for (operation, (record, buckets)) in &counted.operations {
            assert_eq!(record.started, record.completed, "{}", operation.name());
            let in_buckets: u64 = buckets.iter().map(|bucket| bucket.count.get()).sum();
            assert_eq!(in_buckets, record.completed.get());
        }
        assert_eq!(counted.operations[&Operation::CLOSE].0.completed.get(), 1);
    });
}

/// A trace has a record of each request, in order; a reader that finds nothing waits for one.
#[test]
fn a_trace_tells_each_request() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
        let waiting = client.read_trace(BUFFER);
        assert!(waiting.is_outstanding());
        use_file(&volume, 2);
        let woken = waiting.wait();
        assert_eq!((woken.status, woken.information), (STATUS_SUCCESS, 0));
        let mut traced = Traced::default();
        traced.add(&client.read_trace(BUFFER).wait());
        assert_eq!(traced.lost, 0);
        let of_file: Vec<_> = traced.requests.iter().map(|(record, _)| record).collect();
        let operations: Vec<_> = of_file
            .iter()
            .filter(|record| record.flags.get() & flags::DECLINED == 0)
            .map(|record| Operation::from_number(record.operation).map_or("?", Operation::name))
            .map(|name| name.trim_start_matches("fast "))
            .collect();
        let expected = [
            "CREATE", "WRITE", "READ", "WRITE", "READ", "CLEANUP", "CLOSE",
        ];
        assert_eq!(operations, expected);
        let numbers: Vec<u32> = of_file.iter().map(|record| record.volume.get()).collect();
        assert!(numbers.iter().all(|number| traced.volumes[number] == C));
        assert!(
            of_file
                .iter()
                .all(|record| record.process != of_file[0].status)
        );
        let write = of_file.iter().find(|record| record.information.get() == 4);
        assert_eq!(
            write.map(|record| record.parameters.map(|field| field.get())),
            Some([0, 4])
        );
        assert_eq!(client.stop_trace(), STATUS_SUCCESS);
        assert_eq!(client.stop_trace(), STATUS_INVALID_DEVICE_STATE);
        drop(client);
        unload(driver);
    });
}

/// Who waits for a record is let go when the trace stops, when the request is cancelled, and when the
/// handle is closed.
#[test]
fn a_reader_that_waits_is_let_go() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        let status = |client: &Client| client.read_trace(BUFFER).wait().status;
        assert_eq!(
            status(&client),
            STATUS_INVALID_DEVICE_STATE,
            "there is no trace"
        );

        assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
        assert_eq!(
            client.start_trace(everything(), "", ""),
            STATUS_INVALID_DEVICE_STATE
        );
        let waiting = client.read_trace(BUFFER);
        assert_eq!(
            status(&client),
            STATUS_INVALID_DEVICE_STATE,
            "one waits already"
        );
        assert_eq!(client.stop_trace(), STATUS_SUCCESS);
        assert_eq!(waiting.wait().status, STATUS_CANCELLED);

        assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
        let mut waiting = client.read_trace(BUFFER);
        waiting.cancel();
        assert_eq!(waiting.wait().status, STATUS_CANCELLED);

        let waiting = client.read_trace(BUFFER).outlives_handle();
        drop(client);
        assert_eq!(waiting.wait().status, STATUS_CANCELLED);
        use_file(&volume, 1);
        unload(driver);
    });
}

/// Each reader has its own filter, and what does not fit is counted.
#[test]
fn each_trace_has_what_it_wants() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let operations = 1 << Operation::CLOSE.number();
        let closes = TraceStart {
            operations: operations.into(),
            ..everything()
        };
        let failures = TraceStart {
            wanted: wanted::FAILURES_ONLY.into(),
            ..everything()
        };
        let small = TraceStart {
            ring_bytes: ring::LEAST.into(),
            ..everything()
        };
        let elsewhere = TraceStart {
            process: 0xFFFF_FFFC.into(),
            ..everything()
        };
        let slow = TraceStart {
            slower_than: u64::MAX.into(),
            ..everything()
        };
        let clients: Vec<_> = [
            (closes, ""),
            (failures, ""),
            (small, ""),
            (elsewhere, ""),
            (slow, ""),
            (everything(), "*9"),
            (everything(), r"\device\*1"),
        ]
        .map(|(fixed, volume)| {
            let client = Client::open();
            assert_eq!(client.start_trace(fixed, volume, ""), STATUS_SUCCESS);
            client
        })
        .into();
        let eighth = Client::open();
        assert_eq!(eighth.start_trace(everything(), "", ""), STATUS_SUCCESS);
        let ninth = Client::open();
        assert_eq!(
            ninth.start_trace(everything(), "", ""),
            STATUS_TOO_MANY_SESSIONS
        );
        assert_eq!(eighth.stop_trace(), STATUS_SUCCESS);
        assert_eq!(ninth.start_trace(everything(), "", ""), STATUS_SUCCESS);

        use_file(&volume, 200);
        assert!(!volume.open("\\missing", |open| open).outcome.is_success());
        let all = drained(&ninth);
        assert_eq!(all.lost, 0);
        let traced: Vec<_> = clients.iter().map(drained).collect();
        let counts: Vec<_> = traced.iter().map(|traced| traced.requests.len()).collect();
        assert_eq!(counts[0], 1);
        let failed = all
            .requests
            .iter()
            .filter(|(record, _)| record.status.get() >> 31 != 0);
        assert_eq!(counts[1], failed.count());
        assert!(counts[1] > 0);
        assert!(traced[2].lost > 0);
        assert_eq!(counts[2] + traced[2].lost as usize, all.requests.len());
        assert_eq!(counts[3..6], [0, 0, 0]);
        assert_eq!(counts[6], all.requests.len());
        let short = ninth.read_trace(100);
        drop(short);
        use_file(&volume, 1);
        assert_eq!(ninth.read_trace(100).wait().status, STATUS_BUFFER_TOO_SMALL);
        drop((clients, eighth, ninth));
        unload(driver);
    });
}

/// All that a trace has, until nothing is left.
fn drained(client: &Client) -> Traced {
    let mut traced = Traced::default();
    loop {
        let mut reading = client.read_trace(BUFFER);
        if reading.is_outstanding() {
            reading.cancel();
            return traced;
        }
        let outcome = reading.wait();
        traced.add(&outcome);
    }
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
        let client = Client::open();
        let named = TraceStart {
            wanted: wanted::NAMES.into(),
            ..everything()
        };
        assert_eq!(client.start_trace(named, "", ""), STATUS_SUCCESS);
        assert!(early.flush().is_success());
        let directory =
            volume.create_with("\\Dir", FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT);
        let file = volume.create("\\dir\\FILE");
        assert!(file.flush().is_success());
        drop((file, early, directory));
        let traced = drained(&client);
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
        let client = Client::open();
        let named = TraceStart {
            wanted: wanted::NAMES.into(),
            ..everything()
        };
        assert_eq!(client.start_trace(named, "", ""), STATUS_SUCCESS);
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
        let traced = drained(&client);
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

/// A file that is opened relative to a directory, or by its id, has the name that the file system gives.
#[test]
fn files_that_are_opened_otherwise_have_names() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        let named = TraceStart {
            wanted: wanted::NAMES.into(),
            ..everything()
        };
        assert_eq!(client.start_trace(named, "", "*relative*"), STATUS_SUCCESS);
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
        drop((file, directory));
        let traced = drained(&client);
        assert_eq!(
            names_of(&traced, Operation::CREATE),
            [("\\dir\\relative", flags::NAME_AS_OPENED)]
        );
        assert_eq!(
            names_of(&traced, Operation::FLUSH_BUFFERS),
            [("\\dir\\relative", 0)]
        );
        drop(client);
        unload(driver);
    });
}

/// A session gets an event for each request, with what the record of a trace has; without one there is
/// none, and after the unload no provider.
#[test]
fn requests_are_events_for_etw() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let provider = id_of_name("fsglass");
        let enabled = |level, keywords| etw::enable(provider, Some(Enabled { level, keywords }));
        let driver = load(path, UNLOADABLE);
        assert_eq!(etw::registered(), 1);
        use_file(&volume, 1);
        enabled(3, 0);
        use_file(&volume, 1);
        assert_eq!(etw::take_events(), [], "nobody wanted them");

        let client = Client::open();
        let named = TraceStart {
            wanted: wanted::NAMES.into(),
            ..everything()
        };
        assert_eq!(client.start_trace(named, "", ""), STATUS_SUCCESS);
        for (keywords, names) in [(1, false), (3, true), (0, true)] {
            enabled(4, keywords);
            use_file(&volume, 2);
            assert!(!volume.open("\\missing", |open| open).outcome.is_success());
            let events = etw::take_events();
            let traced = drained(&client);
            assert_eq!(events.len(), traced.requests.len());
            for (event, (record, name)) in events.iter().zip(&traced.requests) {
                let Some(event) = trace_logging::decode(event) else {
                    panic!("{event:?} does not say what it is")
                };
                assert_eq!((&*event.provider, &*event.name), ("fsglass", "Request"));
                let operation = Operation::from_number(record.operation).map(Operation::name);
                assert_eq!(
                    event.fields["operation"],
                    Text(operation.unwrap_or("?").to_owned())
                );
                assert_eq!(event.fields["status"], Number(record.status.get().into()));
                assert_eq!(
                    event.fields["information"],
                    Number(record.information.get())
                );
                assert_eq!(event.fields["thread"], Number(record.thread.get().into()));
                assert_eq!(event.fields["fileObject"], Number(record.file.get()));
                assert_eq!(
                    event.fields["parameter2"],
                    Number(record.parameters[1].get())
                );
                assert_eq!(event.fields["volume"], Text(C.to_owned()));
                let name = if names { name.clone() } else { String::new() };
                assert_eq!(event.fields["name"], Text(name));
            }
        }
        etw::enable(provider, None);
        use_file(&volume, 1);
        assert_eq!(etw::take_events(), []);
        drop(client);
        unload(driver);
        assert_eq!(etw::registered(), 0);

        // A session that was there before the driver is told when that registers.
        enabled(5, 0);
        let driver = load(path, UNLOADABLE);
        use_file(&volume, 1);
        assert!(!etw::take_events().is_empty());
        unload(driver);
    });
}
