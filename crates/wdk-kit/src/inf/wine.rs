//! The variant of an INF for Wine.
//!
//! Wine does not run drivers from the driver store, knows no version in a section's name, and does
//! not undo what an INF did: the driver goes to `System32\drivers` (DIRID 12), `[DefaultInstall]` is
//! decorated with the architecture alone, and there is a `[DefaultUninstall]`.
//!
//! Such an INF is what Windows before driver isolation had, and would say to any Windows that the
//! driver is for it. So a package has no catalog for it: Windows 10 version 1903 and later, which
//! treat it as a primitive driver (and would ignore `[DefaultUninstall]`, for `LegacyUninstall=1`),
//! take no package without one. It is nobody's way to install on an older Windows either: a driver for
//! those needs an INF and a catalog of its own.
//!
//! The variant is made of the same source, so that the two cannot drift apart. It has no
//! comments: those of the source speak of the driver store.
//!
//! Source: "Creating a new primitive driver", on legacy compatibility; "INF DelService
//! directive".

use anyhow::{Result, bail};

use super::document::Document;

/// Stop the service before it is deleted, and delete its event log's registration.
const DELETE_SERVICE_FLAGS: &str = "0x204";

/// Makes the variant of an INF source.
///
/// # Errors
/// When the source is not that of a driver that stays in the driver store.
pub fn variant(source: &str) -> Result<String> {
    if !source.contains("%13%") {
        bail!("ServiceBinary does not lie in the driver store (%13%): there is nothing to change");
    }
    let document = Document::parse(source);
    let mut text =
        "; For Wine alone: no Windows takes it, as it has no catalog. Made by wdk-kit.\n"
            .to_owned();
    let mut section = String::new();
    for line in source.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with(';') {
            continue;
        }
        if trimmed.starts_with('[') {
            section = trimmed.to_ascii_lowercase();
            text.push_str(&without_version(trimmed));
        } else if section == "[destinationdirs]" {
            text.push_str(&destination(line));
        } else if is_directive(trimmed, "ServiceBinary") {
            text.push_str(&line.replace("%13%", "%12%"));
        } else {
            // In the registry a path has an environment variable in front.
            text.push_str(&line.replace("%13%", r"%%SystemRoot%%\System32\drivers"));
        }
        text.push('\n');
    }
    text.push_str(&uninstall_sections(&document)?);
    Ok(text)
}

/// `[DefaultInstall.NTamd64.10.0...18362.Services]` without the version.
fn without_version(header: &str) -> String {
    let name = header.trim_matches(['[', ']']);
    let mut fields = name.split('.');
    match (fields.next(), fields.next()) {
        (Some(base), Some(target)) if base.eq_ignore_ascii_case("DefaultInstall") => {
            let services = name.to_ascii_lowercase().ends_with(".services");
            let suffix = if services { ".Services" } else { "" };
            format!("[{base}.{target}{suffix}]")
        }
        _ => header.to_owned(),
    }
}

fn destination(line: &str) -> String {
    match line.split_once('=') {
        Some((list, "13")) => format!("{list}=12"),
        Some((list, value)) if value.trim() == "13" => format!("{list}= 12"),
        _ => line.to_owned(),
    }
}

fn is_directive(line: &str, name: &str) -> bool {
    let key = line.split('=').next().unwrap_or_default();
    key.trim().eq_ignore_ascii_case(name)
}

fn uninstall_sections(document: &Document) -> Result<String> {
    let install = document
        .sections
        .iter()
        .find(|section| section.entries.iter().any(|entry| entry.is("CopyFiles")));
    let services = document
        .sections
        .iter()
        .flat_map(|section| &section.entries)
        .filter(|entry| entry.is("AddService"));
    let (Some(install), Some(target)) = (install, target(document)) else {
        bail!("there is no [DefaultInstall.NT…] with a CopyFiles");
    };
    let copied = install.entries.iter().filter(|entry| entry.is("CopyFiles"));
    let lists: Vec<_> = copied.flat_map(|entry| &entry.values).collect();
    let deleted: Vec<_> = lists.iter().map(|list| format!("{list}.Deleted")).collect();

    let mut text = format!(
        "\n[DefaultUninstall.{target}]\nLegacyUninstall = 1\nDelFiles = {}\n\
         \n[DefaultUninstall.{target}.Services]\n",
        deleted.join(",")
    );
    for service in services {
        let name = service.value(0);
        text.push_str(&format!("DelService = {name},{DELETE_SERVICE_FLAGS}\n"));
    }
    for (list, deleted) in lists.iter().zip(&deleted) {
        text.push_str(&format!("\n[{deleted}]\n"));
        for file in document.entries(list) {
            text.push_str(&format!("{}\n", file.value(0)));
        }
    }
    Ok(text)
}

/// The decoration up to the architecture.
fn target(document: &Document) -> Option<&str> {
    let mut names = document
        .sections
        .iter()
        .map(|section| section.name.split('.'));
    names.find_map(|mut name| {
        let base = name.next()?;
        base.eq_ignore_ascii_case("DefaultInstall")
            .then(|| name.next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inf::lint::tests::GLASS;
    use crate::inf::lint::{self, Mode};

    fn codes(text: &str, mode: Mode) -> Vec<u16> {
        let findings = lint::check(&Document::parse(text), mode);
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn the_variant_copies_to_the_drivers_directory_and_can_be_undone() {
        let text = variant(GLASS).unwrap();
        let document = Document::parse(&text);
        let value = |section: &str, directive: &str| {
            let entry = document.directive(section, directive);
            entry
                .map(|entry| entry.values.join(","))
                .unwrap_or_default()
        };
        assert_eq!(value("DestinationDirs", "DefaultDestDir"), "12");
        assert_eq!(value("DefaultInstall.NTamd64", "CopyFiles"), "Glass.Files");
        assert_eq!(value("Glass.Service", "ServiceBinary"), r"%12%\glass.sys");
        assert_eq!(value("DefaultUninstall.NTamd64", "LegacyUninstall"), "1");
        assert_eq!(
            value("DefaultUninstall.NTamd64", "DelFiles"),
            "Glass.Files.Deleted"
        );
        assert_eq!(
            value("DefaultUninstall.NTamd64.Services", "DelService"),
            "glass,0x204"
        );
        assert_eq!(document.entries("Glass.Files.Deleted").count(), 1);
        assert!(!text.contains("%13%") && !text.contains("18362"), "{text}");
    }

    #[test]
    fn the_variant_keeps_the_rules_of_its_time_and_only_those() {
        let text = variant(GLASS).unwrap();
        assert!(codes(&text, Mode::Declarative).is_empty());
        assert_eq!(codes(&text, Mode::Windows), [1322]);
    }

    #[test]
    fn a_source_that_leaves_nothing_to_change_is_refused() {
        let error = variant(&GLASS.replace("%13%", "%12%")).unwrap_err();
        assert!(error.to_string().contains("%13%"), "{error}");
        let error = variant(&GLASS.replace("CopyFiles", "AddReg")).unwrap_err();
        assert!(error.to_string().contains("CopyFiles"), "{error}");
    }
}
