//! Devices that are taken out, pulled and put in, under every choice of the adversary.

use super::*;
use ntbox_kernel::io_manager::pnp::{self, Step};
use ntbox_kernel::user::{ask_what_nobody_knows, plug_and_play};

/// A removable disk and a fixed one, each with its letter.
fn devices() -> [(&'static str, usize); 2] {
    static DEVICES: OnceLock<[(&str, usize); 2]> = OnceLock::new();
    *DEVICES.get_or_init(|| {
        crate::start();
        let new = |letter, kind| {
            let folder = tempfile::tempdir().unwrap().keep();
            storage::create(description(letter, &folder, kind, MountTiming::After)) as usize
        };
        [
            (r"\??\U:", new('U', VolumeKind::Removable)),
            (r"\??\V:", new('V', VolumeKind::Disk)),
        ]
    })
}

fn is_mounted(device: usize) -> bool {
    // SAFETY: a storage device of these tests.
    unsafe { mount::is_mounted(device as *mut DEVICE_OBJECT) }
}

fn references(device: usize) -> i64 {
    // SAFETY: a storage device of these tests.
    unsafe { storage::references(device as *mut DEVICE_OBJECT) }
}

#[track_caller]
fn ends(name: &str, step: Step, status: NTSTATUS) {
    let outcome = plug_and_play(name, step);
    assert_eq!(outcome.status(), Status(status), "{step:?} of {name}");
}

/// Opens a file of the volume, with `x` in it.
fn file_on(name: &str) -> Result<File, NTSTATUS> {
    let file = open_with(&format!(r"{name}\file"), RIGHTS, FILE_OPEN_IF, SYNCHRONOUS)?;
    succeeded(file.write(Some(0), b"x"));
    Ok(file)
}

/// With every mix, on both devices: `look` gets the drive letter, the device, and whether its volume goes at the query.
fn on_each(look: impl Fn(&str, usize, bool)) {
    for mix in mixes() {
        let (_alone, _) = turn(mix);
        for (name, device) in devices() {
            let before = references(device);
            look(name, device, name.contains('U'));
            adversary::drain();
            work::drain();
            assert_eq!(references(device), before, "{name}");
        }
        settle(Mix::quiet());
    }
}

#[test]
fn an_open_file_keeps_its_device() {
    on_each(|name, device, _| {
        let file = file_on(name).unwrap();
        ends(name, Step::Query, STATUS_ACCESS_DENIED);
        ends(name, Step::Cancel, STATUS_INVALID_DEVICE_STATE);
        assert!(is_mounted(device));
        assert_eq!(succeeded(file.read(Some(0), 1)).data, b"x");
        drop(file_on(name).unwrap());
    });
}

#[test]
fn a_view_keeps_it_as_well() {
    on_each(|name, _, _| {
        let file = file_on(name).unwrap();
        let (outcome, view) = file.map(ntbox_kernel::user::Mapping::ReadOnly);
        succeeded(outcome);
        drop(file);
        ends(name, Step::Query, STATUS_ACCESS_DENIED);
        drop(view);
        ends(name, Step::Query, STATUS_SUCCESS);
        ends(name, Step::Cancel, STATUS_SUCCESS);
    });
}

#[test]
fn a_device_that_may_go_may_stay_as_well() {
    on_each(|name, device, at_query| {
        drop(file_on(name).unwrap());
        ends(name, Step::Query, STATUS_SUCCESS);
        assert_eq!(is_mounted(device), !at_query);
        let refused = if at_query {
            STATUS_DEVICE_DOES_NOT_EXIST
        } else {
            STATUS_ACCESS_DENIED
        };
        assert_eq!(file_on(name).err(), Some(refused));
        ends(name, Step::Query, STATUS_INVALID_DEVICE_STATE);
        ends(name, Step::Cancel, STATUS_SUCCESS);
        drop(file_on(name).unwrap());
    });
}

/// The file system no longer counts it, but the PnP manager does.
#[test]
fn a_file_of_a_volume_that_was_dismounted_keeps_the_device() {
    on_each(|name, device, _| {
        let file = file_on(name).unwrap();
        // SAFETY: a storage device of these tests.
        let dismounted = unsafe { crate::dismount(device as *mut DEVICE_OBJECT) };
        assert_eq!(dismounted, STATUS_SUCCESS);
        drop(file_on(name).unwrap());
        ends(name, Step::Query, STATUS_PLUGPLAY_QUERY_VETOED);
        drop(file);
        ends(name, Step::Query, STATUS_SUCCESS);
        ends(name, Step::Cancel, STATUS_SUCCESS);
    });
}

#[test]
fn a_device_that_is_taken_out_comes_back() {
    on_each(|name, device, _| {
        drop(file_on(name).unwrap());
        ends(name, Step::Remove, STATUS_INVALID_DEVICE_STATE);
        ends(name, Step::Query, STATUS_SUCCESS);
        ends(name, Step::Remove, STATUS_SUCCESS);
        assert!(!is_mounted(device));
        assert_eq!(file_on(name).err(), Some(STATUS_DEVICE_DOES_NOT_EXIST));
        // The device itself, on which nothing is mounted for that.
        let device = open_with(
            name,
            FILE_READ_ATTRIBUTES | SYNCHRONIZE,
            FILE_OPEN,
            SYNCHRONOUS,
        );
        assert_eq!(device.err(), Some(STATUS_DEVICE_DOES_NOT_EXIST));
        ends(name, Step::Arrive, STATUS_SUCCESS);
        ends(name, Step::Arrive, STATUS_INVALID_DEVICE_STATE);
        let file = open(&format!(r"{name}\file"), FILE_OPEN, SYNCHRONOUS);
        assert_eq!(succeeded(file.read(Some(0), 2)).data, b"x");
    });
}

#[test]
fn a_device_that_is_pulled_leaves_its_files_behind() {
    on_each(|name, device, _| {
        let file = file_on(name).unwrap();
        let volume = open(name, FILE_OPEN, SYNCHRONOUS);
        // SAFETY: a file that is open on it keeps the VPB.
        let vpb = file_object(&file).Vpb;
        ends(name, Step::Surprise, STATUS_SUCCESS);
        assert!(!is_mounted(device));
        for outcome in [
            file.read(Some(0), 1),
            file.write(Some(0), b"y"),
            file.query_information(FileStandardInformation, 24),
        ] {
            assert_eq!(outcome.status, STATUS_VOLUME_DISMOUNTED);
        }
        // IOCTL_STORAGE_CHECK_VERIFY2, which is the storage device's.
        let verified = volume.device_control(0x2D_0800, &[], 0);
        assert_eq!(verified.status, STATUS_DEVICE_DOES_NOT_EXIST);
        assert_eq!(file_on(name).err(), Some(STATUS_DEVICE_DOES_NOT_EXIST));
        ends(name, Step::Remove, STATUS_INVALID_DEVICE_STATE);
        // SAFETY: the files are open.
        assert!(!unsafe { (*vpb).DeviceObject }.is_null());
        drop((file, volume));
        ends(name, Step::Remove, STATUS_SUCCESS);
        ends(name, Step::Arrive, STATUS_SUCCESS);
        let file = open(&format!(r"{name}\file"), FILE_OPEN, SYNCHRONOUS);
        assert_eq!(succeeded(file.read(Some(0), 2)).data, b"x");
    });
}

/// It is put in again at once.
#[test]
fn files_of_a_device_that_was_pulled_do_not_come_back_with_it() {
    on_each(|name, _, _| {
        let old = file_on(name).unwrap();
        ends(name, Step::Surprise, STATUS_SUCCESS);
        ends(name, Step::Arrive, STATUS_SUCCESS);
        let new = file_on(name).unwrap();
        assert_eq!(old.read(Some(0), 1).status, STATUS_VOLUME_DISMOUNTED);
        assert_eq!(succeeded(new.read(Some(0), 1)).data, b"x");
    });
}

/// The only notice of a device that could not be started again ("this is the first warning", in FASTFAT's words).
#[test]
fn a_removal_that_nobody_has_asked_for_finds_open_files() {
    on_each(|name, device, _| {
        let file = file_on(name).unwrap();
        let storage = device as *mut DEVICE_OBJECT;
        // SAFETY: a storage device of these tests.
        let status = unsafe { pnp::send(storage, IRP_MN_REMOVE_DEVICE) };
        assert_eq!((status, is_mounted(device)), (STATUS_SUCCESS, false));
        assert_eq!(file.read(Some(0), 1).status, STATUS_VOLUME_DISMOUNTED);
        drop(file);
        // SAFETY: as above.
        let status = unsafe { pnp::send(storage, IRP_MN_START_DEVICE) };
        assert_eq!(status, STATUS_SUCCESS);
        drop(file_on(name).unwrap());
    });
}

#[test]
fn what_the_file_system_does_not_know_is_the_storage_devices_affair() {
    on_each(|name, _, _| {
        let file = file_on(name).unwrap();
        assert_eq!(ask_what_nobody_knows(name).status, STATUS_NOT_SUPPORTED);
        assert_eq!(file.target_device().status, STATUS_SUCCESS);
    });
    let (_alone, _) = turn(Mix::quiet());
    let file = open(r"\??\N:\x", FILE_CREATE, SYNCHRONOUS | FILE_DELETE_ON_CLOSE);
    assert_eq!(file.target_device().status, STATUS_INVALID_PARAMETER);
    ends(r"\??\N:", Step::Query, STATUS_NO_SUCH_DEVICE);
}
