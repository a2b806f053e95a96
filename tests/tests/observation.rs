//! Statistics and traces: what is counted and recorded, for whom, and for how long.

use fsglass_protocol::trace::{MAXIMUM_PATH, TraceHeader, flags, ring, wanted};
use fsglass_protocol::{Operation, OperationRecord, TraceRecord, TraceStart};
use fsglass_tests::client::{Client, Counted, Traced, everything};
use fsglass_tests::machine::{Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{Probe, Request};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{
    IRP_MJ_READ, STATUS_BUFFER_TOO_SMALL, STATUS_CANCELLED, STATUS_INVALID_DEVICE_STATE,
    STATUS_SUCCESS, STATUS_TOO_MANY_SESSIONS,
};
use ntbox::processor::{suspension, work};
use ntbox::workload::bench::count;

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
    drop(file);
    // The lazy writer writes it, and the file is closed then.
    work::drain();
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

/// Nothing is counted until a client wants it, and no longer when the last of them is gone; then it begins
/// anew.
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
        assert!(volume_of(&first).operations.is_empty());
        assert_eq!(first.observe(true), STATUS_SUCCESS);
        use_file(&volume, 4);
        assert_eq!(reads(&first), 4);
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
        // Its device is still there, with the requests that may be inside.
        assert_eq!(client.detach(C), STATUS_SUCCESS);
        assert!(!volume_of(&client).attached);
    });
}

/// Both ways to ask for changes in a directory are told with what they wait for.
#[test]
fn notifications_are_told_with_their_filter() {
    const NOTIFY: [u8; 2] = [2, 3];
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
        for minor in NOTIFY {
            let request = Request {
                minor,
                parameters: [48, 0x155, 7, 0],
                ..Request::new(Operation::DIRECTORY_CONTROL.number())
            };
            let _answered = request.send(probe.device().top());
        }
        let traced = client.drain_trace();
        let told = traced.requests.iter();
        let told: Vec<_> = told
            .map(|(record, _)| (record.minor, record.parameters.map(|value| value.get())))
            .collect();
        assert_eq!(told, NOTIFY.map(|minor| (minor, [0x155, 48])));
        drop(client);
        unload(driver);
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
            .filter(|record| record.operation != Operation::PAGING_WRITE.number())
            .filter(|record| {
                Operation::from_number(record.operation)
                    .is_none_or(|operation| operation.name() != "paging SET_INFORMATION")
            })
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

/// O2: any number of requests may read one trace at the same time: each record goes to one of them, whole.
#[test]
fn requests_that_read_at_once_share_what_there_is() {
    /// Reads until it is told to stop: the requests that were in the answers.
    fn read(client: &Client) -> Traced {
        let mut traced = Traced::default();
        loop {
            let outcome = client.read_trace(SMALL).wait();
            if outcome.status != STATUS_SUCCESS {
                return traced;
            }
            traced.add(&outcome);
        }
    }
    /// Bytes of a reading, so that there are many of them.
    const SMALL: u32 = 1 << 12;
    const TIMES: usize = 1_000;
    /// Traces, because two threads seldom meet at one record.
    const TRACES: usize = 10;
    in_own_process(|path| {
        // What one processor of many does fits into its ring.
        let large = TraceStart {
            ring_bytes: (32 << 20).into(),
            ..everything()
        };
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        for _ in 0..TRACES {
            assert_eq!(client.start_trace(large, "", ""), STATUS_SUCCESS);
            use_file(&volume, TIMES as u64);

            let found = std::thread::scope(|scope| {
                let (ended, first) = std::sync::mpsc::channel();
                let client = &client;
                let readers = [(); 3].map(|()| {
                    let ended = ended.clone();
                    scope.spawn(move || {
                        let found = read(client);
                        ended.send(()).expect("somebody waits for it");
                        found
                    })
                });
                // One waits for more, another one is refused for that.
                first.recv().expect("a reader ends");
                assert_eq!(client.stop_trace(), STATUS_SUCCESS);
                readers.map(|reader| reader.join().expect("a reader ends in peace"))
            });
            let requests = found.iter().flat_map(|found| &found.requests);
            let done: Vec<_> = requests
                .filter(|(record, _)| record.flags.get() & flags::DECLINED == 0)
                .map(|(record, _)| {
                    Operation::from_number(record.operation).map_or("?", Operation::name)
                })
                .map(|name| name.trim_start_matches("fast "))
                .collect();
            let of = |wanted| done.iter().filter(|name| **name == wanted).count();

            assert!(found.iter().all(|found| found.lost == 0), "none is lost");
            assert_eq!((of("WRITE"), of("READ")), (TIMES, TIMES));
        }
        drop(client);
        unload(driver);
    });
}

/// O2: who writes a record is not suspended meanwhile: nobody reads a ring beyond a record that is being written.
#[test]
fn who_writes_a_record_is_not_suspended() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
        let send = || {
            Request::new(IRP_MJ_READ as u8)
                .send(probe.device().top())
                .status
        };
        let send = || assert_eq!(send(), STATUS_SUCCESS);
        let counted = count::of_each_driver(&(0..0), send);
        let counted = counted.unwrap_or_else(|error| panic!("{error}"));
        let calls = counted.into_iter().flat_map(|(_, work)| work.calls);
        let traced: Vec<_> = calls
            .filter(|(name, _)| name.contains("CriticalRegion"))
            .collect();
        let once = ["KeEnterCriticalRegion", "KeLeaveCriticalRegion"].map(|name| (name.into(), 1));
        assert_eq!(traced, once);
        assert_eq!(client.drain_trace().requests.len(), 1);
        drop(client);
        unload(driver);
    });
}

/// O2, D7: threads that are suspended while they look at the traces leave no door for whoever reads: he is told to come
/// again, and not that the trace has ended, and nothing is counted as lost for it. What finds no door on its way back is.
#[test]
fn a_trace_that_many_look_at_goes_on() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
        let top = probe.device().top();
        let send = || Request::new(IRP_MJ_READ as u8).send(top).status;
        let read = || {
            let outcome = client.read_trace(BUFFER).wait();
            (outcome.status, outcome.information)
        };
        let inside = std::thread::scope(|scope| {
            let threads = std::iter::repeat_with(|| suspension::before_region(scope, send));
            let suspended: Vec<_> = threads.take_while(|thread| thread.stands()).collect();
            for _ in 0..3 {
                assert_eq!(read(), (STATUS_SUCCESS, 0));
            }
            let inside = suspended.len();
            for thread in suspended {
                assert_eq!(thread.resume(), STATUS_SUCCESS);
            }
            inside
        });
        assert!(inside > 1, "{inside} doors");
        let traced = client.drain_trace();
        assert_eq!((traced.requests.len(), traced.lost), (inside, 1));
        drop(client);
        unload(driver);
    });
}

/// D7: an answer goes no further than the caller's buffer, and what does not fit into it comes with the next.
#[test]
fn an_answer_fits_into_its_buffer() {
    /// Bytes with which any record fits.
    const LEAST: u32 =
        (size_of::<TraceHeader>() + size_of::<TraceRecord>() + 2 * MAXIMUM_PATH + 8) as u32;
    const TIMES: u64 = 200;
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine);
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
        use_file(&volume, TIMES);
        for small in [0, 1, 39, LEAST - 1] {
            let refused = client.read_trace(small).wait();
            assert_eq!(refused.status, STATUS_BUFFER_TOO_SMALL, "{small}");
            assert_eq!(refused.information, 0, "{small}");
        }
        let mut traced = Traced::default();
        for room in (LEAST..LEAST + 64).step_by(7) {
            let outcome = client.read_trace(room).wait();
            assert!(outcome.information <= room as usize, "{room}: {outcome:?}");
            assert!(outcome.information > room as usize / 2, "{room}");
            traced.add(&outcome);
        }
        traced.requests.extend(client.drain_trace().requests);
        let of = |fast, plain| {
            let done = traced.requests.iter().filter(|(record, _)| {
                let operation = Operation::from_number(record.operation);
                let taken = record.flags.get() & flags::DECLINED == 0;
                taken && [Some(fast), Some(plain)].contains(&operation)
            });
            done.count() as u64
        };
        assert_eq!(of(Operation::FAST_WRITE, Operation::WRITE), TIMES);
        assert_eq!(of(Operation::FAST_READ, Operation::READ), TIMES);
        drop(client);
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
        let all = ninth.drain_trace();
        assert_eq!(all.lost, 0);
        let traced: Vec<_> = clients.iter().map(Client::drain_trace).collect();
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
