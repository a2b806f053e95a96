//! The machine that a scenario runs on: ntbox's kernel in this process.
//!
//! One per process ([`crate::own_process`]). File systems and volumes are
//! ntbox's own; the driver is the real one. Anything that cannot be set up ends
//! the scenario by a panic, which its parent reports.

#![expect(
    unsafe_code,
    reason = "kernel objects are looked at by pointer; nothing takes them away meanwhile"
)]

mod device;

pub use device::{Device, Kept, ask_about, device_of, stack_above};

use ntbox::file_system::adversary::{self, Mix};
use ntbox::host::file::Temporary;
use ntbox::io_manager::driver::{LoadError, Loaded, SettingValue};
use ntbox::io_manager::storage::{self, MountTiming, VolumeDescription, VolumeKind};
use ntbox::io_manager::{mount, raw, recognizer};
use ntbox::nt::{
    DEVICE_OBJECT, FILE_DIRECTORY_FILE, FILE_OPEN_IF, FILE_SYNCHRONOUS_IO_NONALERT, Status, VPB,
};
use ntbox::processor::work;
use ntbox::user::{CreateParameters, File, Opened, access, create_file};
use ntbox::{exports, file_system, verifier};
use std::path::Path;

/// The machine.
pub struct Machine {
    directory: Temporary,
}

impl Machine {
    /// Starts the kernel's own drivers. Every request is completed at once ([`Machine::adverse`]).
    #[must_use]
    pub fn start() -> Self {
        verifier::configure(verifier::Configuration::default());
        raw::start();
        recognizer::start(file_system::start);
        file_system::start();
        adversary::configure(0, Mix::quiet());
        Self {
            directory: Temporary::new()
                .unwrap_or_else(|error| panic!("no temporary directory: {error}")),
        }
    }

    /// From now on requests pend, complete elsewhere and at DISPATCH_LEVEL, as `seed` says.
    pub fn adverse(&self, seed: u64) {
        adversary::configure(
            seed,
            Mix {
                fail: 0,
                fail_with: Vec::new(),
                ..Mix::default()
            },
        );
    }

    /// From now on requests are treated as `mix` says.
    pub fn treat(&self, mix: Mix) {
        adversary::configure(1, mix);
    }

    /// A volume on an empty host directory. It is mounted on its first open.
    #[must_use]
    pub fn volume(&self, letter: char, kind: VolumeKind, mount: MountTiming) -> Volume {
        self.create_volume(letter, kind, mount, false)
    }

    /// Volumes of these letters and kinds, mounted.
    #[must_use]
    pub fn mounted(&self, volumes: impl IntoIterator<Item = (char, VolumeKind)>) -> Vec<Volume> {
        let created = volumes
            .into_iter()
            .map(|(letter, kind)| self.volume(letter, kind, MountTiming::Before));
        let volumes: Vec<_> = created.collect();
        for volume in &volumes {
            volume.mount();
        }
        volumes
    }

    /// A disk volume whose file system is loaded when a recognizer asks for it (A7).
    #[must_use]
    pub fn recognized_volume(&self, letter: char) -> Volume {
        self.create_volume(letter, VolumeKind::Disk, MountTiming::After, true)
    }

    fn create_volume(
        &self,
        letter: char,
        kind: VolumeKind,
        mount: MountTiming,
        recognized: bool,
    ) -> Volume {
        // The last component is the volume's label: the same for all, so that they can be compared.
        let host_directory = self
            .directory
            .path()
            .join(letter.to_string())
            .join("volume");
        std::fs::create_dir_all(&host_directory)
            .unwrap_or_else(|error| panic!("{}: {error}", host_directory.display()));
        let description = VolumeDescription {
            letter,
            host_directory,
            kind,
            mount,
            recognized,
        };
        let storage = if kind == VolumeKind::Network {
            file_system::add_network_volume(description.clone());
            None
        } else {
            Some(storage::create(description.clone()))
        };
        Volume {
            description,
            storage: storage.map(Storage),
        }
    }

    /// Waits until nothing is under way in the kernel.
    pub fn settle(&self) {
        adversary::drain();
        work::drain();
    }
}

/// Loads the driver with values of its `Parameters` key.
///
/// # Panics
/// If it does not load.
#[must_use]
pub fn load(driver: &Path, settings: &[(&str, u32)]) -> Loaded {
    try_load(driver, settings)
        .unwrap_or_else(|error| panic!("{} does not load: {error}", driver.display()))
}

/// As [`load`].
///
/// # Errors
/// Why it does not load.
pub fn try_load(driver: &Path, settings: &[(&str, u32)]) -> Result<Loaded, LoadError> {
    load_as(driver, "fsglass", settings)
}

/// Loads the driver as the service of that name: an image can run as several.
///
/// # Errors
/// As [`try_load`].
pub fn load_as(
    driver: &Path,
    service: &str,
    settings: &[(&str, u32)],
) -> Result<Loaded, LoadError> {
    let settings: Vec<(String, SettingValue)> = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), SettingValue::Dword(*value)))
        .collect();
    load_with(driver, service, &settings)
}

/// Loads the driver with settings of any type.
///
/// # Errors
/// As [`try_load`].
pub fn load_with(
    driver: &Path,
    service: &str,
    settings: &[(String, SettingValue)],
) -> Result<Loaded, LoadError> {
    exports::load(driver, service, settings)
}

/// The setting with which the driver can be unloaded.
pub const UNLOADABLE: &[(&str, u32)] = &[("AllowUnload", 1)];

/// The setting with which it stays, also where the registry still holds [`UNLOADABLE`].
pub const STAYING: &[(&str, u32)] = &[("AllowUnload", 0)];

/// Unloads a driver that can be.
///
/// # Panics
/// If it is refused.
pub fn unload(driver: Loaded) {
    if let Err((_, refusal)) = driver.unload() {
        panic!("the driver cannot be unloaded: {refusal}");
    }
}

/// A storage device, which stays for as long as the process.
#[derive(Clone, Copy, Debug)]
struct Storage(*mut DEVICE_OBJECT);

// SAFETY: a device object may be used from any thread.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

/// A volume of the machine.
#[derive(Clone, Debug)]
pub struct Volume {
    description: VolumeDescription,
    storage: Option<Storage>,
}

impl Volume {
    /// The host directory with its files.
    #[must_use]
    pub fn host_directory(&self) -> &Path {
        &self.description.host_directory
    }

    /// The NT name of a file: `\??\C:` and `path`, which begins with a backslash.
    #[must_use]
    pub fn name(&self, path: &str) -> String {
        format!("\\??\\{}:{path}", self.description.letter)
    }

    /// Opens `path` with changes to the usual parameters.
    #[must_use]
    pub fn open(
        &self,
        path: &str,
        change: impl FnOnce(CreateParameters<'_>) -> CreateParameters<'_>,
    ) -> Opened {
        create_file(&change(CreateParameters::new(&self.name(path))))
    }

    /// Creates or opens the file `path` for reading and writing, synchronously.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn create(&self, path: &str) -> File {
        self.create_with(path, FILE_SYNCHRONOUS_IO_NONALERT)
    }

    /// As [`Volume::create`], with all create options.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn create_with(&self, path: &str, options: u32) -> File {
        let all = access::READ | access::WRITE | access::DELETE;
        let opened = self.open(path, |open| {
            open.access(all).disposition(FILE_OPEN_IF).options(options)
        });
        self.opened(path, opened)
    }

    /// Opens the root directory.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn root(&self) -> File {
        let opened = self.open("\\", |open| {
            open.options(FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT)
        });
        self.opened("\\", opened)
    }

    fn opened(&self, path: &str, opened: Opened) -> File {
        let status = opened.outcome.status();
        opened
            .file
            .unwrap_or_else(|| panic!("{} cannot be opened: {status}", self.name(path)))
    }

    /// Mounts it, by opening its root directory.
    pub fn mount(&self) {
        drop(self.root());
    }

    /// Its device stack, the top first. It is mounted if it was not.
    #[must_use]
    pub fn stack(&self) -> Vec<Device> {
        stack_above(device_of(&self.root()))
    }

    /// How often `driver` is in its stack.
    #[must_use]
    pub fn attachments(&self, driver: &Loaded) -> usize {
        self.stack()
            .iter()
            .filter(|device| device.belongs_to(driver))
            .count()
    }

    /// Dismounts it.
    ///
    /// # Panics
    /// For a network volume, which has nothing to dismount.
    pub fn dismount(&self) -> Status {
        let storage = self
            .storage
            .unwrap_or_else(|| panic!("a network volume is not dismounted"));
        // SAFETY: a storage device of the box, which stays.
        Status(unsafe { file_system::dismount(storage.0) })
    }

    /// Parameters of IRP_MN_MOUNT_VOLUME for it: the VPB and the device to mount.
    ///
    /// # Panics
    /// For a network volume, which is not mounted.
    #[must_use]
    pub fn mount_parameters(&self) -> [usize; 4] {
        let storage = self
            .storage
            .unwrap_or_else(|| panic!("a network volume is not mounted"));
        // SAFETY: as in `dismount`.
        let vpb = unsafe { (*storage.0).Vpb };
        [vpb as usize, storage.0 as usize, 0, 0]
    }

    /// What the file system has mounted on it, as the VPB says.
    #[must_use]
    pub fn mounted_device(&self) -> Option<Device> {
        let [vpb, ..] = self.mount_parameters();
        // SAFETY: a storage device has its VPB.
        let device = unsafe { (*(vpb as *const VPB)).DeviceObject };
        // SAFETY: a mounted volume device stays while the scenario looks at it.
        (!device.is_null()).then(|| unsafe { Device::from_raw(device) })
    }

    /// Whether a file system has it mounted.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        // SAFETY: as in `dismount`.
        self.storage
            .is_some_and(|storage| unsafe { mount::is_mounted(storage.0) })
    }

    /// References to its storage device: none may be left behind.
    #[must_use]
    pub fn storage_references(&self) -> i64 {
        // SAFETY: as in `dismount`.
        self.storage
            .map_or(0, |storage| unsafe { storage::references(storage.0) })
    }
}
