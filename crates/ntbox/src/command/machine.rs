//! The machine a command works on: file systems, volumes, drivers.

#![expect(
    unsafe_code,
    reason = "device stacks are walked by pointer for the report"
)]

use super::failure::Failure;
use super::image::ImageFacts;
use super::shared::Stubs;
use super::watchdog::Watchdog;
use ntbox::exports;
use ntbox::file_system;
use ntbox::io_manager::driver::{LoadError, Loaded, SettingValue, UnloadRefused};
use ntbox::io_manager::storage::{self, MountTiming, VolumeDescription, VolumeKind};
use ntbox::io_manager::{device, file, namespace, raw, recognizer};
use ntbox::pe_image::{self, Image, Problem};
use ntbox::processor::time::{self, Hurry};
use ntbox::processor::{handle, stack_use};
use ntbox::user::{CreateParameters, create_file};
use ntbox::verifier::collected;
use ntbox::workload::run::Place;
use ntbox::workload::worker::synchronous;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Starts the kernel's own drivers: RAW, the recognizer, the file systems.
pub fn start() {
    raw::start();
    recognizer::start(file_system::start);
    file_system::start();
}

/// How long a watch is outstanding while drivers are unloaded, in the box's time: longer than a driver sleeps that does
/// not wait for it.
const OUTSTANDING: Duration = Duration::from_secs(60);
/// How much faster than the host's that time passes meanwhile.
const HURRY: u32 = 20;

/// A volume of the machine.
#[derive(Clone, Debug)]
pub struct Volume {
    /// As asked for.
    pub description: VolumeDescription,
}

impl Volume {
    /// Creates the volume. It is mounted on first use.
    pub fn create(description: VolumeDescription) -> Self {
        if description.kind == VolumeKind::Network {
            file_system::add_network_volume(description.clone());
        } else {
            storage::create(description.clone());
        }
        Self { description }
    }

    /// `\??\C:`.
    pub fn name(&self) -> String {
        format!("\\??\\{}:", self.description.letter)
    }

    /// Mounts it by opening its root directory.
    pub fn mount(&self) -> Result<(), Failure> {
        self.with_root(|_| ()).map(drop)
    }

    /// The device stack, top to bottom.
    pub fn stack(&self) -> Vec<String> {
        self.with_root(|handle| {
            let Ok(body) = handle::object_of_handle(handle) else {
                return Vec::new();
            };
            // SAFETY: the open handle keeps the file.
            let base = unsafe { file::base_file_system_device(body.cast()) };
            // SAFETY: an open file keeps its stack.
            let mut at = unsafe { device::top_of_stack(base) };
            let mut names = Vec::new();
            while !at.is_null() {
                // SAFETY: as above.
                names.push(unsafe { device::describe(at) });
                // SAFETY: as above.
                at = unsafe { device::lower(at) };
            }
            names
        })
        .unwrap_or_default()
    }

    fn with_root<R>(&self, look: impl FnOnce(ntbox::nt::HANDLE) -> R) -> Result<R, Failure> {
        let name = format!("{}\\", self.name());
        let opened = create_file(
            &CreateParameters::new(&name).options(synchronous(ntbox::nt::FILE_DIRECTORY_FILE)),
        );
        match opened.file {
            Some(root) => Ok(look(root.handle())),
            None => Err(Failure::Failed(format!(
                "{}: ({}) cannot be opened: {}",
                self.description.letter,
                self.description.host_directory.display(),
                opened.outcome.status()
            ))),
        }
    }

    /// Watches the root directory from another thread until the watch is ended, or [`OUTSTANDING`] has passed:
    /// whoever has not gone by then waits for it. Returns when the request is outstanding.
    pub fn watch(&self) -> Result<Watch, Failure> {
        let name = format!("{}\\", self.name());
        let (ready, is_ready) = mpsc::channel();
        let (end, is_ended) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let options = ntbox::nt::FILE_DIRECTORY_FILE;
            let access = ntbox::user::access::FILE_LIST_DIRECTORY;
            let opened = create_file(&CreateParameters::new(&name).access(access).options(options));
            let Some(root) = opened.file else {
                let _ = ready.send(Err(opened.outcome.status()));
                return;
            };
            let mut watch = root.start_notify(0x17F, true, 1024);
            let _ = ready.send(Ok(()));
            // Nothing is sent: the other end goes, or the time passes.
            let _ = is_ended.recv_timeout(OUTSTANDING / HURRY);
            watch.cancel();
            watch.wait();
        });
        match is_ready.recv() {
            Ok(Ok(())) => Ok(Watch { end, thread }),
            Ok(Err(status)) => Err(Failure::Failed(format!(
                "{}: cannot be watched: {status}",
                self.description.letter
            ))),
            Err(_) => Err(Failure::Failed("a watching thread has ended".to_owned())),
        }
    }

    /// Where a workload works.
    pub fn place(&self, label: String) -> Place {
        Place {
            name: self.name(),
            label,
            kind: self.description.kind,
        }
    }
}

/// A request that is outstanding.
pub struct Watch {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Cancels it, if it is outstanding still, and waits until it has completed.
    pub fn end(self) -> Result<(), Failure> {
        drop(self.end);
        self.thread
            .join()
            .map_err(|_| Failure::Failed("a watching thread has panicked".to_owned()))
    }
}

/// Lets time in the box pass faster while something is outstanding: what sleeps there sleeps no longer than it must.
pub fn hurry() -> Hurry {
    time::hurry(HURRY)
}

/// Checks what the command line says about volumes.
pub fn check_volumes(volumes: &[VolumeDescription]) -> Result<(), Failure> {
    for (place, volume) in volumes.iter().enumerate() {
        if !volume.host_directory.is_dir() {
            return Err(Failure::Usage(format!(
                "--volume {}: {} is not a directory",
                volume.letter,
                volume.host_directory.display()
            )));
        }
        if volumes[..place]
            .iter()
            .any(|other| other.letter == volume.letter)
        {
            return Err(Failure::Usage(format!(
                "--volume {}: the letter is used twice",
                volume.letter
            )));
        }
        let may_change = |volume: &VolumeDescription| {
            !matches!(volume.kind, VolumeKind::CdRom | VolumeKind::ShadowCopy)
        };
        let folder = volume.host_directory.canonicalize().ok();
        let same = volumes[..place].iter().find(|other| {
            may_change(other)
                && may_change(volume)
                && folder == other.host_directory.canonicalize().ok()
        });
        if let Some(other) = same {
            return Err(Failure::Usage(format!(
                "--volume {}: {} is shown by {}: already; what one of them changes the other would not know",
                volume.letter,
                volume.host_directory.display(),
                other.letter
            )));
        }
        if volume.kind == VolumeKind::Network
            && (volume.mount == MountTiming::Async || volume.recognized)
        {
            return Err(Failure::Usage(format!(
                "--volume {}: a network volume has no storage device to mount: no mount=async, no recognized=yes",
                volume.letter
            )));
        }
    }
    Ok(())
}

/// A loaded driver and what its file says.
pub struct LoadedDriver {
    /// The service it was loaded as.
    pub service: String,
    /// The image.
    pub facts: ImageFacts,
    loaded: Loaded,
}

impl LoadedDriver {
    /// The most of the kernel stack that a routine of it has had when it passed a request on, with its name.
    pub fn stack_use(&self) -> Option<(usize, String)> {
        let (bytes, routine) = stack_use::most_of(self.loaded.image())?;
        Some((bytes, pe_image::describe_code(routine)))
    }

    /// True if `image` is this driver's.
    pub fn has_image(&self, image: &Image) -> bool {
        self.loaded.image().base() == image.base()
    }
}

/// How the unloading of a driver went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unloaded {
    /// It was unloaded, and nothing of it was left.
    Gone,
    /// It was unloaded, and so many violations were collected meanwhile, as of what it has left.
    WithViolations(u64),
    /// It has no unload routine: it stays, as on the real system.
    NoUnloadRoutine,
    /// It is still in use though nothing of the run is open: that is a mistake.
    Refused(String),
}

/// Checks that the driver files can be read.
pub fn check_drivers(paths: &[PathBuf]) -> Result<(), Failure> {
    for path in paths {
        if !path.is_file() {
            return Err(Failure::Usage(format!(
                "--driver {}: there is no such file",
                path.display()
            )));
        }
    }
    Ok(())
}

/// What clients are told of the machine.
pub fn of_clients(drivers: &[LoadedDriver], volumes: &[Volume]) -> ntbox_client::Machine {
    let letter = |volume: &Volume| {
        Some(ntbox_client::Letter {
            letter: format!("{}:", volume.description.letter),
            device: namespace::link_target(&volume.name())?,
        })
    };
    ntbox_client::Machine {
        drivers: drivers
            .iter()
            .map(|driver| ntbox_client::DriverFile {
                service: driver.service.clone(),
                file: driver.facts.path.clone(),
            })
            .collect(),
        letters: volumes.iter().filter_map(letter).collect(),
    }
}

/// Has imports that are missing bound to stubs, in the drivers that are loaded from now on.
pub fn add_stubs(stubs: &Stubs) -> Result<(), Failure> {
    let mut all = stubs.stubs.iter();
    all.try_for_each(|(name, status)| exports::stub::add(name, *status))
        .map_err(|error| Failure::Usage(format!("--stub: {error}")))
}

/// What is missing, and what can be done about it.
fn explain(path: &Path, error: &LoadError) -> Failure {
    let missing =
        matches!(error, LoadError::Image(image) if matches!(image.problem, Problem::Unresolved(_)));
    let advice = if missing {
        "\n--stub NAME=STATUS binds a name to a routine that returns the status and does nothing"
    } else {
        ""
    };
    Failure::Failed(format!("{}: {error}{advice}", path.display()))
}

/// Loads the drivers in order; each attaches above the ones before it.
pub fn load(
    paths: &[PathBuf],
    settings: &[(String, SettingValue)],
) -> Result<Vec<LoadedDriver>, Failure> {
    load_beside(paths, settings, &[])
}

/// As [`load`], above drivers that are there already.
pub fn load_beside(
    paths: &[PathBuf],
    settings: &[(String, SettingValue)],
    already: &[LoadedDriver],
) -> Result<Vec<LoadedDriver>, Failure> {
    let mut drivers: Vec<LoadedDriver> = Vec::new();
    for path in paths {
        let facts = ImageFacts::read(path)?;
        let service = service_name(path, |name| {
            let taken = |driver: &LoadedDriver| driver.service == name;
            drivers.iter().chain(already).any(taken)
        });
        let _watchdog = Watchdog::start(&format!("loading {service}"));
        let loaded = exports::load(path, &service, &settings_of(&service, settings))
            .map_err(|error| explain(path, &error))?;
        drivers.push(LoadedDriver {
            service,
            facts,
            loaded,
        });
    }
    let unknown = settings.iter().find_map(|(name, _)| {
        let (service, _) = name.split_once(':')?;
        let known = drivers.iter().any(|driver| driver.service == service);
        (!known).then_some(service)
    });
    if let Some(service) = unknown {
        let services: Vec<&str> = drivers
            .iter()
            .map(|driver| driver.service.as_str())
            .collect();
        return Err(Failure::Usage(format!(
            "--setting {service}:…: there is no such driver (there are {})",
            services.join(", ")
        )));
    }
    Ok(drivers)
}

/// Loads drivers by `load`, whose functions and lines are looked for in these files as well.
pub fn with_symbols(
    files: &[PathBuf],
    load: impl FnOnce() -> Result<Vec<LoadedDriver>, Failure>,
) -> Result<Vec<LoadedDriver>, Failure> {
    for file in files {
        pe_image::add_symbols(file);
    }
    let drivers = load()?;
    if let Some(file) = pe_image::unused_symbols().first() {
        return Err(Failure::Usage(format!(
            "--symbols {}: it has no symbols of these very builds of the drivers",
            file.display()
        )));
    }
    Ok(drivers)
}

/// The settings for all drivers, and those that name this one.
fn settings_of(service: &str, settings: &[(String, SettingValue)]) -> Vec<(String, SettingValue)> {
    settings
        .iter()
        .filter_map(|(name, value)| match name.split_once(':') {
            None => Some((name.clone(), value.clone())),
            Some((named, name)) => (named == service).then(|| (name.to_owned(), value.clone())),
        })
        .collect()
}

/// The file's stem; a number behind it when that service is there already.
fn service_name(path: &Path, taken: impl Fn(&str) -> bool) -> String {
    let stem = path.file_stem().map_or_else(
        || "driver".to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    );
    let mut name = stem.clone();
    let mut number = 2;
    while taken(&name) {
        name = format!("{stem}{number}");
        number += 1;
    }
    name
}

/// Unloads the drivers, the uppermost first. A driver that leaves something behind is a
/// violation, which ends the process.
pub fn unload(drivers: Vec<LoadedDriver>) -> Vec<(String, Unloaded)> {
    let mut outcomes: Vec<(String, Unloaded)> = drivers
        .into_iter()
        .rev()
        .map(|driver| {
            let _watchdog = Watchdog::start(&format!("unloading {}", driver.service));
            let violations = || collected::violations(&collected::so_far());
            let before = violations();
            let outcome = match driver.loaded.unload() {
                Ok(()) => match violations().saturating_sub(before) {
                    0 => Unloaded::Gone,
                    more => Unloaded::WithViolations(more),
                },
                Err((_, UnloadRefused::NoUnloadRoutine)) => Unloaded::NoUnloadRoutine,
                Err((_, refused @ UnloadRefused::InUse(_))) => {
                    Unloaded::Refused(refused.to_string())
                }
            };
            (driver.service, outcome)
        })
        .collect();
    outcomes.reverse();
    outcomes
}

/// The drivers, of what [`unload`] gave, that are in use though nothing is open. What lies below a
/// driver without an unload routine has to stay.
pub fn wrongly_kept(outcomes: &[(String, Unloaded)]) -> Vec<String> {
    outcomes
        .iter()
        .rev()
        .take_while(|(_, outcome)| *outcome != Unloaded::NoUnloadRoutine)
        .filter_map(|(service, outcome)| match outcome {
            Unloaded::Refused(why) => Some(format!("{service} cannot be unloaded: {why}")),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_after_their_files() {
        assert_eq!(
            service_name(Path::new("/a/fsglass.sys"), |_| false),
            "fsglass"
        );
        assert_eq!(
            service_name(Path::new("fsglass.sys"), |name| name == "fsglass"),
            "fsglass2"
        );
    }

    #[test]
    fn what_lies_below_a_driver_that_stays_may_stay() {
        let refused = || ("a".to_owned(), Unloaded::Refused("in use".to_owned()));
        let gone = || ("b".to_owned(), Unloaded::Gone);
        let stays = || ("c".to_owned(), Unloaded::NoUnloadRoutine);
        assert!(wrongly_kept(&[refused(), stays()]).is_empty());
        assert_eq!(wrongly_kept(&[refused(), gone()]).len(), 1);
        assert_eq!(wrongly_kept(&[stays(), refused()]).len(), 1);
    }

    #[test]
    fn a_setting_is_for_all_drivers_or_for_one() {
        let setting = |name: &str, value| (name.to_owned(), SettingValue::Dword(value));
        let all = [setting("A", 1), setting("b:A", 2), setting("c:B", 3)];
        assert_eq!(settings_of("a", &all), [setting("A", 1)]);
        assert_eq!(settings_of("b", &all), [setting("A", 1), setting("A", 2)]);
        assert_eq!(settings_of("c", &all), [setting("A", 1), setting("B", 3)]);
    }

    #[test]
    fn volumes_that_cannot_be_are_refused() {
        let volume = |letter, directory: &str| {
            super::super::parse::parse_volume(&format!("{letter}={directory}")).expect("a volume")
        };
        let refused = |volumes: &[VolumeDescription]| match check_volumes(volumes) {
            Err(Failure::Usage(message)) => message,
            other => panic!("{other:?}"),
        };
        assert!(refused(&[volume('C', "/nowhere/at/all")]).contains("not a directory"));
        assert!(refused(&[volume('C', "/"), volume('C', "/")]).contains("used twice"));
        assert!(refused(&[volume('N', "/,kind=network,mount=async")]).contains("no mount=async"));
        assert!(refused(&[volume('C', "/"), volume('D', "/proc/..")]).contains("is shown by C:"));
        let shadow = volume('D', "/,kind=shadow");
        assert!(check_volumes(&[volume('C', "/"), shadow]).is_ok());
        let other = std::env::temp_dir().display().to_string();
        assert!(check_volumes(&[volume('C', "/"), volume('D', &other)]).is_ok());
    }
}
