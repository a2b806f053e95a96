//! The PnP manager asks a volume's stack whether its device may go, and says that it is gone: the driver passes it on,
//! and goes with the volume.

use fsglass_protocol::Operation;
use fsglass_tests::client::{Client, Counted};
use fsglass_tests::machine::{Device, Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use ntbox::io_manager::driver::Loaded;
use ntbox::io_manager::pnp::Step;
use ntbox::io_manager::storage::VolumeKind;
use ntbox::nt::{
    IRP_MJ_PNP, NTSTATUS, STATUS_ACCESS_DENIED, STATUS_DEVICE_DOES_NOT_EXIST, STATUS_NOT_SUPPORTED,
    STATUS_SUCCESS, STATUS_VOLUME_DISMOUNTED, Status,
};
use ntbox::user::{ask_what_nobody_knows, plug_and_play};

/// A disk, whose file system lets the volume go with the removal, and one whose file system does so with the query.
const KINDS: [(char, VolumeKind); 2] = [('C', VolumeKind::Disk), ('E', VolumeKind::Removable)];

#[track_caller]
fn ends(volume: &Volume, step: Step, status: NTSTATUS) {
    let outcome = plug_and_play(&volume.name(""), step);
    assert_eq!(outcome.status(), Status(status), "{step:?}");
}

#[track_caller]
fn is_refused(volume: &Volume, status: NTSTATUS) {
    let opened = volume.open("\\", |open| open);
    assert_eq!(opened.outcome.status(), Status(status));
}

/// The filter devices that there are, when nothing is under way any more.
fn devices(machine: &Machine, driver: &Loaded) -> usize {
    machine.settle();
    Device::all_of(driver).len()
}

/// A9: who is asked whether the volume may go loses its filter device before the request comes back, where the file system
/// dismounts at once; and is attached again when it stays, or has come back.
#[test]
fn a_device_that_goes_takes_the_filter_device_along() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = machine.mounted(KINDS);
        for seed in 0..6 {
            round(
                &machine,
                seed,
                &volumes,
                path,
                |driver, volume, at_query| {
                    let mounted = devices(&machine, driver);
                    let file = volume.create("\\kept");
                    ends(volume, Step::Query, STATUS_ACCESS_DENIED);
                    assert_eq!(volume.attachments(driver), 1, "it is in use");
                    assert!(file.write(Some(0), b"kept").is_success());
                    drop(file);

                    ends(volume, Step::Query, STATUS_SUCCESS);
                    let left = mounted - usize::from(at_query);
                    assert_eq!(devices(&machine, driver), left);
                    ends(volume, Step::Cancel, STATUS_SUCCESS);
                    assert_eq!(volume.attachments(driver), 1, "it stays");

                    ends(volume, Step::Query, STATUS_SUCCESS);
                    ends(volume, Step::Remove, STATUS_SUCCESS);
                    assert_eq!(devices(&machine, driver), mounted - 1);
                    is_refused(volume, STATUS_DEVICE_DOES_NOT_EXIST);
                    ends(volume, Step::Arrive, STATUS_SUCCESS);
                    assert_eq!(volume.attachments(driver), 1, "it is there again");
                    assert_eq!(devices(&machine, driver), mounted);
                },
            );
        }
    });
}

/// A9: open files of a device that was pulled keep the filter device, and their requests pass it, also when the device
/// has come back and has another one.
#[test]
fn files_of_a_device_that_was_pulled_keep_the_filter_device() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = machine.mounted(KINDS);
        for seed in 0..6 {
            round(&machine, seed, &volumes, path, |driver, volume, _| {
                let mounted = devices(&machine, driver);
                let file = volume.create("\\kept");
                ends(volume, Step::Surprise, STATUS_SUCCESS);
                assert_eq!(devices(&machine, driver), mounted, "the file is open");
                assert_eq!(file.read(Some(0), 4).status, STATUS_VOLUME_DISMOUNTED);
                is_refused(volume, STATUS_DEVICE_DOES_NOT_EXIST);
                ends(volume, Step::Arrive, STATUS_SUCCESS);
                assert_eq!(volume.attachments(driver), 1);
                assert_eq!(devices(&machine, driver), mounted + 1);
                assert_eq!(file.read(Some(0), 4).status, STATUS_VOLUME_DISMOUNTED);
                drop(file);
                assert_eq!(devices(&machine, driver), mounted);

                // Nothing is open: the filter device goes while the request is below it.
                ends(volume, Step::Surprise, STATUS_SUCCESS);
                assert_eq!(devices(&machine, driver), mounted - 1);
                ends(volume, Step::Arrive, STATUS_SUCCESS);
                volume.mount();
            });
        }
    });
}

/// The driver is loaded, `look` sees each volume with it, and whether that goes with the query; then it is unloaded.
fn round(
    machine: &Machine,
    seed: u64,
    volumes: &[Volume],
    path: &std::path::Path,
    look: impl Fn(&Loaded, &Volume, bool),
) {
    if seed > 0 {
        machine.adverse(seed);
    }
    let driver = load(path, UNLOADABLE);
    for (volume, (_, kind)) in volumes.iter().zip(KINDS) {
        look(&driver, volume, kind == VolumeKind::Removable);
    }
    unload(driver);
    for volume in volumes {
        assert_eq!(volume.stack().len(), 1);
    }
}

/// A12: a device goes, with and without open files, while the driver is being unloaded.
#[test]
fn a_device_goes_during_the_unload() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = machine.mounted(KINDS);
        machine.adverse(3);
        for open in [false, true, false, true] {
            for volume in &volumes {
                let driver = load(path, UNLOADABLE);
                let file = open.then(|| volume.create("\\kept"));
                std::thread::scope(|scope| {
                    let name = volume.name("");
                    let pulled = scope.spawn(move || plug_and_play(&name, Step::Surprise).status);
                    unload(driver);
                    assert!(matches!(pulled.join(), Ok(STATUS_SUCCESS)));
                });
                drop(file);
                machine.settle();
                ends(volume, Step::Arrive, STATUS_SUCCESS);
                assert_eq!(volume.stack().len(), 1);
            }
        }
    });
}

/// O2: what the PnP manager has asked is counted, and the volume is the same one before and after.
#[test]
fn requests_of_the_pnp_manager_are_counted() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = machine.mounted(KINDS);
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.observe(true), STATUS_SUCCESS);
        for volume in &volumes {
            let file = volume.create("\\kept");
            assert_eq!(file.target_device().status, STATUS_SUCCESS);
            let unknown = ask_what_nobody_knows(&volume.name(""));
            assert_eq!(unknown.status, STATUS_NOT_SUPPORTED);
            ends(volume, Step::Query, STATUS_ACCESS_DENIED);
            ends(volume, Step::Surprise, STATUS_SUCCESS);
            ends(volume, Step::Arrive, STATUS_SUCCESS);
            volume.mount();
        }
        machine.settle();
        let counted: Vec<Counted> = client.statistics();
        // The device that the file lies on, what nobody knows, the query, its end, and that the device is gone.
        let of_pnp = |volume: &Counted| {
            let operation = Operation::from_number(IRP_MJ_PNP as u8)?;
            let (record, _) = volume.operations.get(&operation)?;
            Some((record.completed.get(), record.errors.get()))
        };
        let asked: Vec<_> = counted.iter().filter_map(of_pnp).collect();
        assert_eq!(asked, [(5, 2), (5, 2)], "{counted:#?}");
        drop(client);
        unload(driver);
    });
}
