//! What is filtered (A8), and the settings that change it (feature 15).

use fsglass_tests::drivers::repository;
use fsglass_tests::event_log::{code, strings_of};
use fsglass_tests::machine::{
    Device, Machine, Volume, load, load_as, load_with, stack_above, unload,
};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::Probe;
use ntbox::io_manager::driver::{Loaded, SettingValue};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::FILE_DEVICE_DFS_FILE_SYSTEM;
use std::collections::BTreeMap;
use std::path::Path;

/// What a setting decides: the control devices, and the volumes of the machine by their letters.
struct Decided {
    setting: &'static str,
    by_default: bool,
    devices: &'static [&'static str],
    volumes: &'static str,
}

const DECISIONS: [Decided; 5] = [
    Decided {
        setting: "AttachDisk",
        by_default: true,
        devices: &[r"\HostFs"],
        volumes: "CDEF",
    },
    Decided {
        setting: "AttachCdRom",
        by_default: true,
        devices: &[r"\HostFsCd"],
        volumes: "RS",
    },
    Decided {
        setting: "AttachNetwork",
        by_default: true,
        devices: &[r"\Device\HostRedirector"],
        volumes: "N",
    },
    Decided {
        setting: "AttachRaw",
        by_default: true,
        devices: &[r"\Device\RawDisk", r"\Device\RawCdRom"],
        volumes: "",
    },
    Decided {
        setting: "AttachShadowCopies",
        by_default: false,
        devices: &[],
        volumes: "XY",
    },
];

/// A volume of each sort that is mounted before the driver is loaded, and one that is mounted after.
fn volumes(machine: &Machine) -> BTreeMap<char, Volume> {
    let sorts = [
        ('C', VolumeKind::Disk, MountTiming::Before),
        ('D', VolumeKind::Disk, MountTiming::After),
        ('E', VolumeKind::Removable, MountTiming::Before),
        ('F', VolumeKind::Removable, MountTiming::Async),
        ('N', VolumeKind::Network, MountTiming::Before),
        ('R', VolumeKind::CdRom, MountTiming::Before),
        ('S', VolumeKind::CdRom, MountTiming::After),
        ('X', VolumeKind::ShadowCopy, MountTiming::Before),
        ('Y', VolumeKind::ShadowCopy, MountTiming::After),
    ];
    let volumes = sorts.map(|(letter, kind, mount)| {
        let volume = machine.volume(letter, kind, mount);
        if mount == MountTiming::Before {
            volume.mount();
        }
        (letter, volume)
    });
    volumes.into_iter().collect()
}

fn attachments_above(name: &str, driver: &Loaded) -> usize {
    let device = Device::named(name).unwrap_or_else(|| panic!("there is no device {name}"));
    let stack = stack_above(device);
    stack
        .iter()
        .filter(|device| device.belongs_to(driver))
        .count()
}

/// Everything is filtered once or not at all, as the settings say.
fn check(driver: &Loaded, volumes: &BTreeMap<char, Volume>, changed: &[(&str, u32)]) {
    for decided in &DECISIONS {
        let given = changed.iter().find(|(name, _)| *name == decided.setting);
        let expected = given.map_or(decided.by_default, |(_, value)| *value == 1);
        for name in decided.devices {
            let count = attachments_above(name, driver);
            assert_eq!(count, usize::from(expected), "{name} with {changed:?}");
        }
        for letter in decided.volumes.chars() {
            let volume = &volumes[&letter];
            // Without its control device the mount is not seen, and no volume attached.
            let disk = changed.contains(&("AttachDisk", 0));
            let expected = expected && !(decided.setting == "AttachShadowCopies" && disk);
            assert_eq!(
                volume.attachments(driver),
                usize::from(expected),
                "{letter} with {changed:?}: {:?}",
                volume.stack()
            );
        }
    }
}

/// A8: with no setting, everything but shadow copies and the distributed file system is filtered.
#[test]
fn the_default_policy() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = volumes(&machine);
        let driver = load(path, &[]);
        check(&driver, &volumes, &[]);
    });
}

/// A8: each setting turns round what it decides, and nothing else.
#[test]
fn each_setting_decides_what_it_says() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = volumes(&machine);
        for decided in &DECISIONS {
            let changed = [
                (decided.setting, u32::from(!decided.by_default)),
                ("AllowUnload", 1),
            ];
            // A service of its own: the registry keeps the values of another one.
            let driver =
                load_as(path, decided.setting, &changed).unwrap_or_else(|error| panic!("{error}"));
            check(&driver, &volumes, &changed);
            unload(driver);
        }
    });
}

/// A8: nothing at all is filtered with every setting 0, and the driver still loads and unloads.
#[test]
fn nothing_need_be_filtered() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = volumes(&machine);
        let mut changed: Vec<_> = DECISIONS
            .iter()
            .map(|decided| (decided.setting, 0))
            .collect();
        changed.push(("AllowUnload", 1));
        let driver = load(path, &changed);
        check(&driver, &volumes, &changed);
        assert_eq!(Device::all_of(&driver).len(), 1, "the control device alone");
        unload(driver);
    });
}

/// A8: a device of the distributed file system is left alone, unless the setting says otherwise.
#[test]
fn the_distributed_file_system_is_left_alone() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register_as(FILE_DEVICE_DFS_FILE_SYSTEM);
        for (settings, height) in [
            (&[("AllowUnload", 1)][..], 1),
            (&[("AllowUnload", 1), ("AttachDfs", 1)], 2),
            (&[("AllowUnload", 1), ("AttachDfs", 0)], 1),
        ] {
            let driver = load(path, settings);
            // Not in one of the system's lists: it reports itself.
            probe.unregister();
            probe.register_again();
            let stack = stack_above(probe.device());
            assert_eq!(stack.len(), height, "{settings:?}: {stack:?}");
            unload(driver);
        }
    });
}

/// A8: the multiple UNC provider, which stands for all redirectors, is filtered as they are.
#[test]
fn the_multiple_unc_provider_is_a_redirector() {
    in_own_process(|path| {
        const FILE_DEVICE_MULTI_UNC_PROVIDER: u32 = 0x10;
        let _machine = Machine::start();
        let driver = load(path, &[]);
        let probe = Probe::register_as(FILE_DEVICE_MULTI_UNC_PROVIDER);
        assert!(probe.device().top().belongs_to(&driver));
        assert_eq!(
            probe.device().top().device_type(),
            FILE_DEVICE_MULTI_UNC_PROVIDER
        );
    });
}

/// A device of a type that is no file system's is left alone.
#[test]
fn what_is_no_file_system_is_left_alone() {
    in_own_process(|path| {
        const FILE_DEVICE_TAPE_FILE_SYSTEM: u32 = 0x20;
        let _machine = Machine::start();
        let _driver = load(path, &[]);
        let probe = Probe::register_as(FILE_DEVICE_TAPE_FILE_SYSTEM);
        assert_eq!(stack_above(probe.device()), [probe.device()]);
    });
}

/// The rows of the table of settings in a file: name, greatest value, default.
fn table(file: &Path) -> BTreeMap<String, (u32, u32)> {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, name, largest, default, ..] = cells[..]
            && let (Ok(largest), Ok(default)) = (largest.parse(), default.parse())
        {
            rows.insert(name.trim_matches('`').to_owned(), (largest, default));
        }
    }
    rows
}

/// The values that the INF writes.
fn inf_values() -> BTreeMap<String, u32> {
    let file = repository().join("inf/fsglass.inx");
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let values = text.lines().filter_map(|line| {
        let mut fields = line.strip_prefix("HKR,Parameters,")?.split(',');
        let name = fields.next()?.to_owned();
        assert_eq!(
            fields.next(),
            Some("0x00010003"),
            "{name} is a REG_DWORD that keeps what is there"
        );
        Some((name, fields.next()?.trim().parse().ok()?))
    });
    values.collect()
}

/// Feature 15: the table in the source, the one in the documentation and the INF say the same.
#[test]
fn there_is_one_table_of_settings() {
    let source = std::fs::read_to_string(repository().join("src/settings.rs"))
        .unwrap_or_else(|error| panic!("{error}"));
    let comments: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .collect();
    let scratch = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("{error}"));
    std::fs::write(scratch.path(), comments.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    let source = table(scratch.path());
    assert!(source.len() >= 8, "{source:?}");
    assert_eq!(source, table(&repository().join("docs/settings.md")));
    let defaults: BTreeMap<String, u32> = source
        .iter()
        .map(|(name, (_, default))| (name.clone(), *default))
        .collect();
    assert_eq!(inf_values(), defaults);
}

/// Feature 15: a value that is too large, and one of another type, is reported by its name and has
/// its default; the largest one is not.
#[test]
fn bad_values_are_reported_and_ignored() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = volumes(&machine);
        let table = table(&repository().join("docs/settings.md"));
        let settings = |value: &dyn Fn(u32) -> SettingValue| -> Vec<(String, SettingValue)> {
            table
                .iter()
                .map(|(name, (largest, _))| (name.clone(), value(*largest)))
                .collect()
        };
        let too_large = settings(&|largest| SettingValue::Dword(largest + 1));
        let texts = settings(&|_| SettingValue::Text("1".to_owned()));
        let largest = settings(&SettingValue::Dword);
        for (round, values) in [too_large, texts].into_iter().enumerate() {
            // A driver that stays for ever; the next one lies on it.
            let driver = load_with(path, &format!("fsglass{round}"), &values)
                .unwrap_or_else(|error| panic!("{error}"));
            check(&driver, &volumes, &[]);
            let reported = strings_of(code::SETTING_IGNORED);
            let reported = &reported[round * table.len()..];
            assert_eq!(reported.len(), table.len());
            for (name, (largest, default)) in &table {
                let entry = reported.iter().find(|strings| strings[0] == *name);
                let Some([_, limit, _status, used]) = entry.map(|strings| &strings[..]) else {
                    panic!("{name} is not reported: {reported:?}")
                };
                assert_eq!((limit, used), (&largest.to_string(), &default.to_string()));
            }
        }
        let before = strings_of(code::SETTING_IGNORED).len();
        let driver = load_with(path, "fsglass", &largest).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(strings_of(code::SETTING_IGNORED).len(), before);
        unload(driver);
    });
}
