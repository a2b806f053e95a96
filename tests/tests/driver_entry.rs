//! DriverEntry: every failure half-way is undone, and what the registry says is understood.

use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::machine::{Device, Machine, UNLOADABLE, load, stack_above, try_load, unload};
use fsglass_tests::own_process::in_own_process;
use ntbox::etw;
use ntbox::exports;
use ntbox::io_manager::driver::{LoadError, SettingValue, UnloadRefused};
use ntbox::io_manager::namespace;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{STATUS_INSUFFICIENT_RESOURCES, STATUS_OBJECT_NAME_COLLISION};
use ntbox::pool::failure;

/// Every device that DriverEntry attaches to is bare again, and its own device, link and provider are gone.
fn assert_untouched(volumes: &[fsglass_tests::machine::Volume], when: &str) {
    for volume in volumes {
        assert_eq!(volume.stack().len(), 1, "{when}: {:?}", volume.stack());
    }
    for name in [
        r"\HostFs",
        r"\HostFsCd",
        r"\Device\HostRedirector",
        r"\Device\RawDisk",
        r"\Device\RawCdRom",
    ] {
        let Some(device) = Device::named(name) else {
            panic!("{name} stays")
        };
        assert_eq!(stack_above(device), [device], "{when}");
    }
    assert!(
        Device::named(r"\Device\fsglass").is_none(),
        "{when}: the control device was left"
    );
    assert!(
        Device::named(r"\DosDevices\fsglass").is_none(),
        "{when}: its link was left"
    );
    assert_eq!(etw::registered(), 0, "{when}: a provider was left");
}

/// A11, L2, P2: with each allocation in DriverEntry failing once, the driver either does not start, with
/// STATUS_INSUFFICIENT_RESOURCES and nothing left behind, or starts and can be unloaded; whatever
/// it leaves is a violation that ends the run.
#[test]
fn each_allocation_that_fails_is_undone() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = machine.mounted(('C'..='E').map(|letter| (letter, VolumeKind::Disk)));
        let (mut refused, mut started, mut unregistered) = (0, 0, 0);
        for number in 1.. {
            failure::fail_nth(number);
            let result = try_load(path, UNLOADABLE);
            let failed = failure::failed();
            failure::fail_nth(u64::MAX);
            let when = failed.clone().unwrap_or_else(|| "no failure".to_owned());
            match result {
                Ok(driver) => {
                    started += 1;
                    let in_etw = when.contains("wdm::etw") && etw::registered() == 0;
                    unregistered += usize::from(in_etw);
                    unload(driver);
                }
                Err(LoadError::EntryFailed(status)) => {
                    assert_eq!(status, STATUS_INSUFFICIENT_RESOURCES, "{when}");
                    refused += 1;
                }
                Err(error) => panic!("{when}: {error}"),
            }
            assert_untouched(&volumes, &when);
            if failed.is_none() {
                break;
            }
        }
        assert!(
            refused >= 2,
            "the control device and the registration allocate: {refused} refusals"
        );
        assert!(
            started >= 2,
            "an attachment that fails leaves its device unfiltered: {started} starts"
        );
        assert_eq!(
            unregistered, 2,
            "registering with ETW and setting the provider's traits allocate"
        );
    });
}

/// A11: a name of the control device that is taken refuses the start, and nothing is left.
#[test]
fn a_name_that_is_taken_is_undone() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = [machine.volume('C', VolumeKind::Disk, MountTiming::Before)];
        volumes[0].mount();
        for (name, target) in [
            (r"\Device\fsglass", r"\Device\Null"),
            (r"\DosDevices\fsglass", r"\Device\Somewhere"),
        ] {
            assert!(
                namespace::insert_symbolic_link(name, target).is_ok(),
                "{name} is free"
            );
            match try_load(path, UNLOADABLE) {
                Err(LoadError::EntryFailed(status)) => {
                    assert_eq!(status, STATUS_OBJECT_NAME_COLLISION, "{name}")
                }
                Err(error) => panic!("{name}: {error}"),
                Ok(_) => panic!("the driver started although {name} is taken"),
            }
            assert!(
                namespace::remove_symbolic_link(name).is_ok(),
                "{name} is not the driver's to remove"
            );
            assert_untouched(&volumes, name);
        }
        unload(load(path, UNLOADABLE));
    });
}

/// Feature 15: a setting that cannot be understood has its default, and the driver starts.
#[test]
fn a_bad_setting_has_its_default() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let value = SettingValue::Text("yes".to_owned());
        let loaded = exports::load(path, "fsglass", &[("AllowUnload".to_owned(), value)]);
        let driver = loaded.unwrap_or_else(|error| panic!("a string for a number: {error}"));
        assert!(
            matches!(driver.unload(), Err((_, UnloadRefused::NoUnloadRoutine))),
            "0 is the default"
        );
    });
}

/// Feature 15: so has a number out of range.
#[test]
fn a_setting_out_of_range_has_its_default() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let driver = load(path, &[("AllowUnload", 2)]);
        assert!(
            matches!(driver.unload(), Err((_, UnloadRefused::NoUnloadRoutine))),
            "0 is the default"
        );
    });
}

/// Feature 15: `DebugLevel` decides what is printed at the debugger.
#[test]
fn the_debug_level_decides_what_is_printed() {
    let driver = drivers::fsglass(Profile::Release).display().to_string();
    let problem = "fsglass: The setting AttachRaw is not a number from 0 to 1, or cannot be read \
                   (status 0xC000000D). It counts as 1.\n";
    let detail = "fsglass: attached to \\Device\\HarddiskVolume1\n";
    for (level, problems, details) in [("0", false, false), ("1", true, false), ("2", true, true)] {
        let setting = format!("DebugLevel={level}");
        let mut arguments = vec!["run", "--driver", &driver, "--ops", "10"];
        arguments.extend(["--setting", &setting, "--setting", "AttachRaw=2"]);
        let ended = ntbox(arguments);
        ended.expect_code(0);
        let printed = [problem, detail].map(|text| ended.output.contains(text));
        assert_eq!(printed, [problems, details], "{level}: {}", ended.output);
    }
}
