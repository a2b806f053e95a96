//! `doctor`: what on this machine keeps the driver from being installed, started or attached.

use super::context::Context;
use super::install;
use crate::error::{Exit, Result};
use crate::system::System;
use serde::Serialize;

/// What was found out, before it is judged.
#[derive(Clone, Debug, Default, Serialize)]
struct Facts {
    administrator: bool,
    wine: Option<String>,
    build: Option<u32>,
    edition: Option<String>,
    code_integrity: Option<u32>,
    memory_integrity_configured: bool,
    secure_boot: Option<bool>,
    block_legacy_filters: Option<u32>,
    direct_access: Vec<String>,
    legacy_filters: Vec<String>,
    installed: bool,
    running: bool,
    allow_unload: Option<u32>,
}

/// How serious it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// The driver cannot work so.
    Obstacle,
}

#[derive(Clone, Debug, Serialize)]
struct Finding {
    subject: &'static str,
    grade: Grade,
    found: String,
    /// What to do; nothing where all is well.
    remedy: Option<&'static str>,
}

/// Looks and judges.
pub fn run(context: &mut Context<'_>) -> Result<Exit> {
    let facts = look(context.system, context.service);
    let findings = judge(&facts);
    if context.json {
        context.print_json(&serde_json::json!({ "facts": facts, "findings": findings }))?;
    } else {
        for finding in &findings {
            let mark = match finding.grade {
                Grade::Good => "ok  ",
                Grade::Note => "note",
                Grade::Obstacle => "STOP",
            };
            writeln!(
                context.out,
                "{mark}  {:18}{}",
                finding.subject, finding.found
            )?;
            if let Some(remedy) = finding.remedy {
                writeln!(context.out, "      {:18}what to do: {remedy}", "")?;
            }
        }
    }
    let obstacle = findings
        .iter()
        .any(|finding| finding.grade == Grade::Obstacle);
    Ok(if obstacle { Exit::Found } else { Exit::Done })
}

fn look(system: &dyn System, service: &str) -> Facts {
    const VERSION: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
    let known = system.service(service).ok().flatten();
    let letters = system.drive_letters().into_iter();
    let number = |key, value| system.registry_number(key, value);
    Facts {
        administrator: system.is_administrator(),
        wine: system.wine(),
        build: system
            .registry_text(VERSION, "CurrentBuildNumber")
            .and_then(|build| build.parse().ok()),
        edition: system.registry_text(VERSION, "ProductName"),
        code_integrity: system.code_integrity(),
        memory_integrity_configured: number(
            r"SYSTEM\CurrentControlSet\Control\DeviceGuard\Scenarios\HypervisorEnforcedCodeIntegrity",
            "Enabled",
        ) == Some(1),
        secure_boot: number(
            r"SYSTEM\CurrentControlSet\Control\SecureBoot\State",
            "UEFISecureBootEnabled",
        )
        .map(|enabled| enabled != 0),
        block_legacy_filters: number(
            r"SYSTEM\CurrentControlSet\Control\Session Manager\I/O System",
            "IoBlockLegacyFsFilters",
        ),
        direct_access: letters
            .map(|letter| letter.letter)
            .filter(|letter| system.is_direct_access(letter))
            .collect(),
        legacy_filters: legacy_filters(system, service),
        installed: known.is_some(),
        running: known.is_some_and(|known| known.running),
        allow_unload: install::setting(system, service, "AllowUnload"),
    }
}

/// Where services are described.
const SERVICES: &str = r"SYSTEM\CurrentControlSet\Services";

/// Filters that are no minifilters: those that the filter manager knows as such, and installed ones that it
/// does not know yet and that have no instances.
fn legacy_filters(system: &dyn System, own: &str) -> Vec<String> {
    let known = system.filters();
    let is_known = |name: &str| {
        known
            .iter()
            .any(|filter| filter.name.eq_ignore_ascii_case(name))
    };
    let running = known.iter().filter(|filter| filter.is_legacy);
    let running = running.map(|filter| filter.name.clone());
    let installed = system.registry_keys(SERVICES).into_iter();
    let installed = installed.filter(|name| !is_known(name) && is_legacy_service(system, name));
    let all = running.chain(installed);
    all.filter(|name| !name.eq_ignore_ascii_case(own)).collect()
}

/// Whether a service is in a filter's load order group and has no instances, as a minifilter has. The
/// group of the filter manager itself is no filter's.
fn is_legacy_service(system: &dyn System, name: &str) -> bool {
    let key = format!(r"{SERVICES}\{name}");
    let group = system.registry_text(&key, "Group").unwrap_or_default();
    let group = group.to_ascii_lowercase();
    if !group.starts_with("fsfilter") || group == "fsfilter infrastructure" {
        return false;
    }
    let has_instances = |key: &str| {
        let mut keys = system.registry_keys(key).into_iter();
        keys.any(|name| name.eq_ignore_ascii_case("Instances"))
    };
    !has_instances(&key) && !has_instances(&format!(r"{key}\Parameters"))
}

/// What the facts mean.
fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |subject, grade, found: String, remedy| {
        findings.push(Finding {
            subject,
            grade,
            found,
            remedy,
        });
    };
    judge_system(facts, &mut say);
    judge_signature(facts, &mut say);
    judge_filters(facts, &mut say);
    judge_bypass(facts, &mut say);
    judge_driver(facts, &mut say);
    findings
}

type Say<'s> = dyn FnMut(&'static str, Grade, String, Option<&'static str>) + 's;

fn judge_system(facts: &Facts, say: &mut Say<'_>) {
    /// Windows 10, version 2004: the first with ExAllocatePool2.
    const OLDEST: u32 = 19_041;
    let edition = facts.edition.as_deref().unwrap_or("Windows");
    match (&facts.wine, facts.build) {
        (Some(version), _) => say(
            "system",
            Grade::Note,
            format!("Wine {version}: no Windows; docs/wine.md tells what it can show"),
            None,
        ),
        (None, Some(build)) if build < OLDEST => say(
            "system",
            Grade::Obstacle,
            format!("{edition}, build {build}: the driver needs build {OLDEST} (Windows 10, 2004)"),
            Some("use a newer Windows"),
        ),
        (None, Some(build)) => say(
            "system",
            Grade::Good,
            format!("{edition}, build {build}"),
            None,
        ),
        (None, None) => say(
            "system",
            Grade::Note,
            "its version cannot be found out".to_owned(),
            Some("run this on the Windows that the driver is for"),
        ),
    }
    if facts.administrator {
        say("rights", Grade::Good, "administrator".to_owned(), None);
    } else {
        say(
            "rights",
            Grade::Note,
            "no administrator: most commands will be refused".to_owned(),
            Some("open a prompt with \"Run as administrator\""),
        );
    }
}

fn judge_signature(facts: &Facts, say: &mut Say<'_>) {
    // CODEINTEGRITY_OPTION_TESTSIGN, CODEINTEGRITY_OPTION_HVCI_KMCI_ENABLED.
    const TEST_SIGNING: u32 = 0x2;
    const MEMORY_INTEGRITY: u32 = 0x400;
    match facts.code_integrity {
        _ if facts.wine.is_some() => {
            let found = "not needed: Wine checks no signatures".to_owned();
            say("test signing", Grade::Good, found, None);
        }
        None => say(
            "test signing",
            Grade::Note,
            "cannot be found out".to_owned(),
            None,
        ),
        Some(options) if options & TEST_SIGNING != 0 => {
            say("test signing", Grade::Good, "on".to_owned(), None);
        }
        Some(_) => say(
            "test signing",
            Grade::Obstacle,
            "off: a driver with a test signature is not loaded".to_owned(),
            Some(
                "`bcdedit /set testsigning on` (Secure Boot must be off), `fsglass certificate \
                 install`, restart; a driver signed by Microsoft needs none of it",
            ),
        ),
    }
    match facts.secure_boot {
        Some(true) => say(
            "Secure Boot",
            Grade::Obstacle,
            "on: test signing cannot be switched on".to_owned(),
            Some("switch it off in the firmware of the test machine (of a VM: in its settings)"),
        ),
        Some(false) => say("Secure Boot", Grade::Good, "off".to_owned(), None),
        None => say(
            "Secure Boot",
            Grade::Good,
            "not there (no UEFI)".to_owned(),
            None,
        ),
    }
    let active = facts
        .code_integrity
        .is_some_and(|options| options & MEMORY_INTEGRITY != 0);
    match (active, facts.memory_integrity_configured) {
        (true, _) => say(
            "memory integrity",
            Grade::Note,
            "on (HVCI): the driver has no writable code and is expected to load, which was not tried"
                .to_owned(),
            Some("if it does not load, switch it off under Windows Security, Device security, Core isolation"),
        ),
        (false, true) => say(
            "memory integrity",
            Grade::Note,
            "off now, on after the next restart".to_owned(),
            None,
        ),
        (false, false) => say("memory integrity", Grade::Good, "off".to_owned(), None),
    }
}

fn judge_filters(facts: &Facts, say: &mut Say<'_>) {
    match facts.block_legacy_filters {
        Some(value) if value != 0 => say(
            "legacy filters",
            Grade::Obstacle,
            format!("IoBlockLegacyFsFilters is {value}: Windows keeps legacy filters off"),
            Some(
                r"set it to 0 under HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\I/O System, and restart",
            ),
        ),
        _ => say("legacy filters", Grade::Good, "allowed".to_owned(), None),
    }
    if facts.direct_access.is_empty() {
        say("DAX volumes", Grade::Good, "none".to_owned(), None);
    } else {
        say(
            "DAX volumes",
            Grade::Note,
            format!(
                "{}: Windows attaches no legacy filter to them",
                facts.direct_access.join(" ")
            ),
            Some("format a volume without /dax to have it filtered"),
        );
    }
    if facts.legacy_filters.is_empty() {
        say(
            "other filters",
            Grade::Good,
            "no other legacy filter is installed".to_owned(),
            None,
        );
    } else {
        say(
            "other filters",
            Grade::Note,
            format!(
                "legacy filters are installed: {}",
                facts.legacy_filters.join(", ")
            ),
            Some(
                "for a first run, use a machine without them: one that lies above keeps ours from being detached",
            ),
        );
    }
}

/// BypassIO: reads that take a way without IRPs, from the I/O manager to the file system. Microsoft's "BypassIO for
/// filter drivers" says that all file-system filters are skipped, how minifilters keep it off, and nothing of
/// legacy filters.
fn judge_bypass(facts: &Facts, say: &mut Say<'_>) {
    /// Windows 11: the first with BypassIO.
    const FIRST: u32 = 22_000;
    match facts.build {
        _ if facts.wine.is_some() => {}
        Some(build) if build < FIRST => {
            say(
                "BypassIO",
                Grade::Good,
                "not in this Windows".to_owned(),
                None,
            );
        }
        Some(_) => say(
            "BypassIO",
            Grade::Note,
            "reads of a handle for which a program has asked for it skip all file-system filters: \
             they are neither counted nor traced"
                .to_owned(),
            Some(
                "`fsutil bypassIo state C:\\` tells whether a volume has it, and what keeps it off",
            ),
        ),
        None => {}
    }
}

fn judge_driver(facts: &Facts, say: &mut Say<'_>) {
    let (grade, found, remedy) = match (facts.installed, facts.running) {
        (false, _) => (Grade::Note, "not installed", Some("`fsglass install`")),
        (true, false) => (
            Grade::Note,
            "installed, does not run",
            Some("`fsglass start`"),
        ),
        (true, true) => (Grade::Good, "runs", None),
    };
    say("driver", grade, found.to_owned(), remedy);
    if facts.installed {
        let (found, remedy) = match facts.allow_unload {
            Some(1) => ("1: it can be stopped", None),
            _ => (
                "0: it cannot be stopped, as is right outside of tests",
                Some(
                    "for a test machine: reg add HKLM\\SYSTEM\\CurrentControlSet\\Services\\fsglass\\Parameters \
                     /v AllowUnload /t REG_DWORD /d 1 /f, before it is started",
                ),
            ),
        };
        let grade = if remedy.is_some() {
            Grade::Note
        } else {
            Grade::Good
        };
        say("AllowUnload", grade, found.to_owned(), remedy);
    }
}

#[cfg(test)]
mod tests;
