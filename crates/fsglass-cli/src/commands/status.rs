//! `status`: whether the driver runs, and how.

use super::context::Context;
use super::time;
use crate::driver::Driver;
use crate::error::{Exit, Result};
use crate::quantity;
use crate::system::Service;
use fsglass_protocol::{Memory, Reason, SettingsReply, VersionReply, attach};
use serde::Serialize;

#[derive(Serialize)]
struct Status {
    service: String,
    installed: bool,
    running: bool,
    state: Option<String>,
    start: Option<String>,
    image: Option<String>,
    driver: Option<Running>,
}

#[derive(Serialize)]
struct Running {
    version: String,
    protocol: [u32; 2],
    started: Option<String>,
    allow_unload: bool,
    debug_level: u32,
    attach: Vec<&'static str>,
    clients: u32,
    forgotten: u32,
    filtered: usize,
    unfiltered: usize,
    memory: Kept,
}

/// What observation keeps in nonpaged memory. Bytes, but for files.
#[derive(Serialize)]
struct Kept {
    statistics: u64,
    traces: u64,
    names: u64,
    most: u64,
    files: u32,
    most_files: u32,
    forgotten_names: u32,
    asks_names: bool,
}

impl Kept {
    fn new(memory: &Memory) -> Self {
        Self {
            statistics: memory.statistics.get(),
            traces: memory.traces.get(),
            names: memory.names.get(),
            most: memory.most.get(),
            files: memory.files.get(),
            most_files: memory.most_files.get(),
            forgotten_names: memory.forgotten_names.get(),
            asks_names: memory.asks_names.get() != 0,
        }
    }

    /// Bytes of each, and of all that there may be.
    fn bytes(&self) -> String {
        let [statistics, traces, names, most] =
            [self.statistics, self.traces, self.names, self.most]
                .map(|bytes| quantity::bytes(bytes as f64));
        format!("statistics {statistics}, traces {traces}, names {names}, of at most {most}")
    }

    /// Files whose names are known.
    fn names(&self) -> String {
        let how = if self.asks_names {
            "asked for"
        } else {
            "as opened only"
        };
        let forgotten = match self.forgotten_names {
            0 => String::new(),
            number => format!(", {number} gave way to others"),
        };
        format!(
            "{how}, {} files of at most {}{forgotten}",
            self.files, self.most_files
        )
    }
}

const CLASSES: [(u32, &str); 6] = [
    (attach::DISK, "disk"),
    (attach::CD_ROM, "CD-ROM"),
    (attach::NETWORK, "network"),
    (attach::DFS, "DFS"),
    (attach::RAW, "RAW"),
    (attach::SHADOW_COPIES, "shadow copies"),
];

/// Shows the state.
pub fn run(context: &mut Context<'_>) -> Result<Exit> {
    let service = context.system.service(context.service)?;
    let running = service.as_ref().is_some_and(|service| service.running);
    let driver = if running {
        let driver = Driver::open(context.system, context.service)?;
        let volumes = driver.volumes()?;
        let filtered = volumes
            .iter()
            .filter(|volume| volume.reason == Reason::Attached)
            .count();
        let counts = (filtered, volumes.len() - filtered);
        Some(Running::new(&driver.version, &driver.settings()?, counts))
    } else {
        None
    };
    let status = Status::new(context.service, service, driver);
    if context.json {
        context.print_json(&status)?;
    } else {
        write!(context.out, "{}", status.text())?;
    }
    Ok(if running {
        Exit::Done
    } else {
        Exit::NotRunning
    })
}

impl Running {
    fn new(
        version: &VersionReply,
        settings: &SettingsReply,
        (filtered, unfiltered): (usize, usize),
    ) -> Self {
        let [major, minor, patch, _] = version.driver.map(|part| part.get());
        let bits = settings.attach.get();
        let classes = CLASSES.iter().filter(|(bit, _)| bits & bit != 0);
        Self {
            version: format!("{major}.{minor}.{patch}"),
            protocol: [version.oldest.get(), version.newest.get()],
            started: time::text(settings.started.get()),
            allow_unload: settings.allow_unload.get() != 0,
            debug_level: settings.debug_level.get(),
            attach: classes.map(|(_, name)| *name).collect(),
            clients: settings.clients.get(),
            forgotten: settings.forgotten.get(),
            filtered,
            unfiltered,
            memory: Kept::new(&settings.memory),
        }
    }
}

impl Status {
    fn new(name: &str, service: Option<Service>, driver: Option<Running>) -> Self {
        Self {
            service: name.to_owned(),
            installed: service.is_some(),
            running: service.as_ref().is_some_and(|service| service.running),
            state: service.as_ref().map(|service| service.state.clone()),
            start: service.as_ref().map(|service| service.start.clone()),
            image: service.map(|service| service.image),
            driver,
        }
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        let mut line = |what: &str, value: &str| lines.push(format!("{what:14}{value}\n"));
        line("service", &self.service);
        let Some(state) = &self.state else {
            line("state", "not installed (`fsglass install`)");
            return lines.concat();
        };
        line("state", state);
        line("start", self.start.as_deref().unwrap_or_default());
        line("image", self.image.as_deref().unwrap_or_default());
        if let Some(driver) = &self.driver {
            line("driver", &driver.version);
            let [oldest, newest] = driver.protocol;
            line("protocol", &format!("{oldest} to {newest}"));
            line("since", driver.started.as_deref().unwrap_or("unknown"));
            line("filters", &driver.attach.join(", "));
            line(
                "AllowUnload",
                if driver.allow_unload {
                    "1: it can be stopped"
                } else {
                    "0"
                },
            );
            line("DebugLevel", &driver.debug_level.to_string());
            line("clients", &driver.clients.to_string());
            line(
                "devices",
                &format!(
                    "{} filtered, {} not (`fsglass list`)",
                    driver.filtered, driver.unfiltered
                ),
            );
            line("memory", &driver.memory.bytes());
            line("names", &driver.memory.names());
            if driver.forgotten != 0 {
                let forgotten = format!("{} for want of memory", driver.forgotten);
                line("not listed", &forgotten);
            }
        }
        lines.concat()
    }
}
