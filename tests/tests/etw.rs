//! The driver as a provider for ETW.

use fsglass_protocol::trace::wanted;
use fsglass_protocol::{Operation, TraceStart};
use fsglass_tests::client::{Client, everything};
use fsglass_tests::machine::{Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::trace_logging::Value::{Number, Text};
use fsglass_tests::trace_logging::{self, id_of_name};
use ntbox::etw::{self, Enabled};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::STATUS_SUCCESS;

const C: &str = r"\Device\HarddiskVolume1";

/// Opens, writes, reads and closes; how often each.
fn use_file(volume: &Volume, times: u64) {
    let file = volume.create("\\file");
    for _ in 0..times {
        assert!(file.write(Some(0), b"data").is_success());
        assert_eq!(&*file.read(Some(0), 4).data, b"data");
    }
    // In this thread, and not by the lazy writer in one of its own.
    assert!(file.flush().is_success());
}

/// L2: a session gets an event for each request, with what the record of a trace has; without one there is
/// none, and after the unload no provider.
#[test]
fn requests_are_events_for_etw() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        volume.mount();
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
        // Level 0 is all of them.
        for (level, keywords, names) in [(4, 1, false), (0, 3, true), (5, 0, true)] {
            enabled(level, keywords);
            use_file(&volume, 2);
            assert!(!volume.open("\\missing", |open| open).outcome.is_success());
            let events = etw::take_events();
            let traced = client.drain_trace();
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
