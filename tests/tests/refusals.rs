//! What Windows keeps legacy filters off: recorded where an administrator looks, and all else goes on (A10).

use fsglass_tests::event_log::{code, entries, strings_of};
use fsglass_tests::machine::{Device, Machine, UNLOADABLE, Volume, load, try_load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::Probe;
use ntbox::io_manager::driver::{LoadError, SettingValue};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::io_manager::{legacy_filters, settings};
use ntbox::nt::{DO_DAX_VOLUME, DO_DEVICE_INITIALIZING, STATUS_ACCESS_DENIED};
use ntbox::pool::failure;
use std::time::Duration;

const NO_SUCH_DEVICE: &str = "0xC000000E";

fn block_legacy_filters(value: u32) {
    let value = SettingValue::Dword(value);
    settings::set(legacy_filters::KEY, legacy_filters::VALUE, value);
}

fn works(volume: &Volume) {
    let file = volume.create("\\file");
    assert!(file.write(Some(0), b"data").is_success());
    assert_eq!(&*file.read(Some(0), 4).data, b"data");
}

/// A10: a direct access volume stays unfiltered and is named; the others are filtered, and it works.
#[test]
fn a_direct_access_volume_is_reported() {
    in_own_process(|path| {
        let machine = Machine::start();
        let [before, direct, after] = [
            ('C', MountTiming::Before),
            ('D', MountTiming::Before),
            ('E', MountTiming::After),
        ]
        .map(|(letter, mount)| machine.volume(letter, VolumeKind::Disk, mount));
        before.mount();
        direct.mount();
        let Some(device) = direct.mounted_device() else {
            panic!("it is mounted")
        };
        device.set_flags(DO_DAX_VOLUME);
        let driver = load(path, UNLOADABLE);
        after.mount();
        assert_eq!(before.attachments(&driver), 1);
        assert_eq!(direct.attachments(&driver), 0);
        assert_eq!(after.attachments(&driver), 1);
        for volume in [&before, &direct, &after] {
            works(volume);
        }
        assert_eq!(
            strings_of(code::ATTACH_REFUSED_DIRECT_ACCESS),
            [[r"\Device\HarddiskVolume2", NO_SUCH_DEVICE]]
        );
        assert_eq!(entries().len(), 1, "{:?}", entries());
        unload(driver);
    });
}

/// A10: where legacy filters are blocked the driver does not start, says at which step, and leaves
/// nothing behind; without the setting it starts.
#[test]
fn a_load_that_is_blocked_is_reported() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        volume.mount();
        block_legacy_filters(1);
        let result = try_load(path, UNLOADABLE);
        assert!(
            matches!(result, Err(LoadError::EntryFailed(STATUS_ACCESS_DENIED))),
            "{result:?}"
        );
        assert_eq!(
            strings_of(code::LOAD_REFUSED),
            [["asking for file systems", "0xC0000022"]]
        );
        let [entry] = &entries()[..] else {
            panic!("{:?}", entries())
        };
        assert_eq!(entry.final_status, STATUS_ACCESS_DENIED);
        assert!(entry.driver.ends_with("fsglass"), "{}", entry.driver);
        assert_eq!(volume.stack().len(), 1);
        assert!(Device::named(r"\Device\fsglass").is_none());
        block_legacy_filters(0);
        unload(load(path, UNLOADABLE));
        assert_eq!(entries().len(), 1, "{:?}", entries());
    });
}

/// A10, A11: blocked after the driver has started: what is mounted from then on stays unfiltered and
/// is named, with the reason; what is filtered already stays so. The devices that could not be
/// attached are gone.
#[test]
fn an_attachment_that_is_blocked_is_reported() {
    in_own_process(|path| {
        let machine = Machine::start();
        let before = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        before.mount();
        let driver = load(path, UNLOADABLE);
        let devices = Device::all_of(&driver).len();
        block_legacy_filters(1);
        let after = machine.volume('D', VolumeKind::Disk, MountTiming::Async);
        after.mount();
        let probe = Probe::register();
        // A file system that comes later is attached to by a work item.
        machine.settle();
        assert_eq!(before.attachments(&driver), 1);
        assert_eq!(after.attachments(&driver), 0);
        works(&before);
        works(&after);
        assert_eq!(
            strings_of(code::ATTACH_BLOCKED),
            [
                [r"\Device\HarddiskVolume2", NO_SUCH_DEVICE],
                [r"\Probe", NO_SUCH_DEVICE]
            ]
        );
        assert!(!probe.device().top().belongs_to(&driver));
        assert_eq!(Device::all_of(&driver).len(), devices);
        unload(driver);
    });
}

/// L1: strings that are too long for an entry are cut off, the last ones first, and each keeps its end:
/// ntbox reports one that does not.
#[test]
fn a_string_that_is_too_long_is_cut_off() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, UNLOADABLE);
        block_legacy_filters(1);
        // A character of two code units, of which there is room for one: the next string has it.
        let name = format!("\\{}\u{1F50D}{}", "n".repeat(92), "n".repeat(100));
        let _probe = Probe::register_named(&name);
        machine.settle();
        let fits = format!(r"\{}", "n".repeat(92));
        assert_eq!(strings_of(code::ATTACH_BLOCKED), [[&*fits, "0"]]);
        unload(driver);
    });
}

/// A10, P2: an attachment that fails for want of memory is reported as such, and the volume works.
/// A mount that could not be watched at all fails as a whole, and can be tried again.
#[test]
fn an_attachment_that_fails_is_reported() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, UNLOADABLE);
        let (mut refused, mut watched) = (0, false);
        for (number, letter) in (1..).zip('C'..='Z') {
            let volume = machine.volume(letter, VolumeKind::Disk, MountTiming::After);
            failure::fail_nth(number);
            let opened = volume.open("\\", |open| open);
            let failed = failure::failed();
            failure::fail_nth(u64::MAX);
            let mounted = opened.outcome.is_success();
            drop(opened);
            works(&volume);
            if mounted && volume.attachments(&driver) == 0 {
                refused += 1;
                let reported = strings_of(code::ATTACH_REFUSED);
                let last = reported.last().map(|strings| &strings[..]);
                let name = format!(r"\Device\HarddiskVolume{number}");
                assert_eq!(
                    last,
                    Some(&[name, "0xC000009A".to_owned()][..]),
                    "{failed:?}"
                );
            } else {
                assert_eq!(volume.attachments(&driver), 1, "{failed:?}");
            }
            watched |= failed.is_none();
        }
        assert!(refused > 0 && watched, "{refused} refused");
        assert_eq!(strings_of(code::ATTACH_REFUSED).len(), refused);
        unload(driver);
    });
}

/// A3: a stack whose top is another filter that is still initializing is tried again, and is no
/// refusal.
#[test]
fn another_filter_that_initializes_is_waited_for() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        volume.mount();
        let Some(device) = volume.mounted_device() else {
            panic!("it is mounted")
        };
        device.set_flags(DO_DEVICE_INITIALIZING);
        let driver = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                device.clear_flags(DO_DEVICE_INITIALIZING);
            });
            load(path, UNLOADABLE)
        });
        assert_eq!(volume.attachments(&driver), 1);
        assert_eq!(entries().len(), 0, "{:?}", entries());
        unload(driver);
    });
}
