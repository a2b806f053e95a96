//! `list`: what is filtered since when, and why something is not.

use super::context::Context;
use super::time;
use super::volume::letters_of;
use crate::driver::{Driver, Volume};
use crate::error::{Code, Exit, Result};
use crate::system::DriveLetter;
use crate::table::Table;
use fsglass_protocol::{Reason, class};
use serde::Serialize;

#[derive(Serialize)]
struct Row {
    kind: &'static str,
    name: String,
    letters: Vec<String>,
    class: &'static str,
    device_type: u32,
    filtered: bool,
    reason: Option<String>,
    status: Option<String>,
    since: Option<String>,
    above: Vec<String>,
    below: Vec<String>,
}

/// Shows the list.
pub fn run(context: &mut Context<'_>) -> Result<Exit> {
    let volumes = Driver::open(context.system, context.service)?.volumes()?;
    let letters = context.system.drive_letters();
    let rows: Vec<Row> = volumes
        .iter()
        .map(|volume| Row::new(volume, &letters))
        .collect();
    if context.json {
        context.print_json(&rows)?;
    } else {
        let mut table = Table::new(&["DEVICE", "LETTER", "CLASS", "STATE", "SINCE", "STACK"]);
        for (row, volume) in rows.iter().zip(&volumes) {
            table.row(row.cells(volume));
        }
        write!(context.out, "{table}")?;
    }
    Ok(Exit::Done)
}

impl Row {
    fn new(volume: &Volume, letters: &[DriveLetter]) -> Self {
        let letters = letters_of(&volume.name, letters).into_iter();
        let (above, below) = match volume.own {
            Some(own) => (
                volume.stack.iter().take(own).cloned().collect(),
                volume.stack.iter().skip(own + 1).cloned().collect(),
            ),
            None => (Vec::new(), volume.stack.clone()),
        };
        Self {
            kind: if volume.is_volume {
                "volume"
            } else {
                "file system"
            },
            name: volume.name.clone(),
            letters: letters.map(str::to_owned).collect(),
            class: class_name(volume.class),
            device_type: volume.device_type,
            filtered: volume.reason == Reason::Attached,
            reason: why(volume),
            status: (volume.status != 0).then(|| format!("0x{:08X}", volume.status)),
            since: volume.since.and_then(time::text),
            above,
            below,
        }
    }

    fn cells(&self, volume: &Volume) -> Vec<String> {
        let indent = if volume.is_volume { "  " } else { "" };
        let names = volume.stack.iter().enumerate().map(|(place, driver)| {
            let short = driver.rsplit('\\').next().unwrap_or(driver);
            if volume.own == Some(place) {
                format!("[{short}]")
            } else {
                short.to_owned()
            }
        });
        let name = if self.name.is_empty() {
            "(no name)"
        } else {
            &self.name
        };
        vec![
            format!("{indent}{name}"),
            self.letters.join(" "),
            self.class.to_owned(),
            self.reason.clone().unwrap_or_else(|| "filtered".to_owned()),
            self.since.clone().unwrap_or_default(),
            names.collect::<Vec<_>>().join(" > "),
        ]
    }
}

fn class_name(number: u8) -> &'static str {
    match number {
        class::DISK => "disk",
        class::CD_ROM => "CD-ROM",
        class::NETWORK => "network",
        class::DFS => "DFS",
        class::RAW => "RAW",
        class::SHADOW_COPY => "shadow copy",
        _ => "other",
    }
}

/// The setting that decides about a class.
fn setting(number: u8) -> &'static str {
    match number {
        class::DISK => "AttachDisk",
        class::CD_ROM => "AttachCdRom",
        class::NETWORK => "AttachNetwork",
        class::DFS => "AttachDfs",
        class::RAW => "AttachRaw",
        class::SHADOW_COPY => "AttachShadowCopies",
        _ => "no setting",
    }
}

/// Why it is not filtered; `None` if it is.
fn why(volume: &Volume) -> Option<String> {
    let text = match volume.reason {
        Reason::Attached => return None,
        Reason::Policy => format!("left alone ({} = 0)", setting(volume.class)),
        Reason::Detached => "detached by request".to_owned(),
        Reason::Blocked => "refused: IoBlockLegacyFsFilters".to_owned(),
        Reason::DirectAccess => "refused: direct access (DAX) volume".to_owned(),
        Reason::Refused => format!("refused: {}", Code::Nt(volume.status)),
        Reason::Unknown => "not filtered, reason not known".to_owned(),
    };
    Some(text)
}
