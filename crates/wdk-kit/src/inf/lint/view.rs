//! An INF as its sections refer to each other.

use crate::inf::document::{Document, Entry};

/// The INF, with what the rules ask for.
pub(super) struct Inf<'d> {
    pub(super) document: &'d Document,
    /// `[DefaultInstall…]`.
    pub(super) installs: Vec<Install<'d>>,
    /// `[DefaultUninstall…]`.
    pub(super) uninstalls: Vec<Install<'d>>,
}

/// A section for one architecture and a range of versions of Windows.
pub(super) struct Install<'d> {
    /// The whole name.
    pub(super) name: &'d str,
    pub(super) line: usize,
    /// What follows the first point of the name.
    pub(super) decoration: &'d str,
}

/// The target of a decorated section.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// As in `amd64`, if it is given.
    pub(super) architecture: Option<String>,
    /// The major and minor version, and the build, of the oldest Windows.
    pub(super) oldest: (u32, u32, u32),
}

/// A directive that names sections.
pub(super) struct Reference<'d> {
    /// The section that it stands in.
    pub(super) from: &'d str,
    pub(super) directive: String,
    pub(super) section: String,
    pub(super) line: usize,
}

/// A service that the INF adds.
pub(super) struct Service<'d> {
    pub(super) entry: &'d Entry,
    /// The section that adds it.
    pub(super) added_in: String,
}

/// What the HKR of a registry entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Install,
    Service,
    EventLog,
}

/// Directives that name lists of files.
pub(super) const FILE_LISTS: [&str; 3] = ["CopyFiles", "DelFiles", "RenFiles"];
/// Directives that name lists of registry entries.
pub(super) const REGISTRY_LISTS: [&str; 3] = ["AddReg", "DelReg", "BitReg"];
/// Other directives that name sections, all of them legacy.
pub(super) const LEGACY_LISTS: [&str; 6] = [
    "ProfileItems",
    "UpdateInis",
    "UpdateIniFields",
    "Ini2Reg",
    "RegisterDlls",
    "UnregisterDlls",
];

impl<'d> Inf<'d> {
    pub(super) fn new(document: &'d Document) -> Self {
        Self {
            document,
            installs: installs(document, "DefaultInstall"),
            uninstalls: installs(document, "DefaultUninstall"),
        }
    }

    /// The services of install sections.
    pub(super) fn services(&self) -> Vec<Service<'d>> {
        let mut services = Vec::new();
        for install in &self.installs {
            let name = services_section(install.name);
            let entries = self.document.entries(&name);
            services.extend(
                entries
                    .filter(|entry| entry.is("AddService"))
                    .map(|entry| Service {
                        entry,
                        added_in: name.clone(),
                    }),
            );
        }
        services
    }

    /// Every place where a section is named, with the directive that does.
    pub(super) fn references(&self) -> Vec<Reference<'d>> {
        let mut references = Vec::new();
        for section in &self.document.sections {
            for entry in &section.entries {
                let named = sections_named_by(entry).into_iter();
                references.extend(named.map(|name| Reference {
                    from: &section.name,
                    directive: entry.key.clone().unwrap_or_default(),
                    section: name.to_owned(),
                    line: entry.line,
                }));
            }
        }
        references
    }

    /// Every place where a directive of that name names a section.
    pub(super) fn listed(&self, directive: &str) -> Vec<Reference<'d>> {
        let mut references = self.references();
        references.retain(|reference| reference.directive.eq_ignore_ascii_case(directive));
        references
    }

    /// Registry entries with what their HKR stands for.
    pub(super) fn registry(&self) -> Vec<(Root, &'d Entry)> {
        let services = self.services();
        let root = |section: &str| {
            let is = |place: usize| {
                services
                    .iter()
                    .any(|service| service.entry.value(place).eq_ignore_ascii_case(section))
            };
            if is(2) {
                Root::Service
            } else if is(3) {
                Root::EventLog
            } else {
                Root::Install
            }
        };
        let mut entries = Vec::new();
        for Reference { from, section, .. } in self.listed("AddReg") {
            entries.extend(
                self.document
                    .entries(&section)
                    .map(|entry| (root(from), entry)),
            );
        }
        entries
    }

    /// Where the files of a list go: the number of the directory, and what lies below it.
    pub(super) fn destination(&self, list: &str) -> Option<&'d Entry> {
        let directive = |name: &str| self.document.directive("DestinationDirs", name);
        directive(list).or_else(|| directive("DefaultDestDir"))
    }

    /// Whether the files of a list stay in the driver store.
    pub(super) fn is_in_driver_store(&self, list: &str) -> bool {
        self.destination(list)
            .is_some_and(|entry| entry.value(0) == "13")
    }

    /// The files that are copied: the list, the destination's name, the source's name.
    pub(super) fn copied(&self) -> Vec<(String, &'d Entry, &'d str, &'d str)> {
        let mut files = Vec::new();
        for Reference { section, .. } in self.listed("CopyFiles") {
            for entry in self.document.entries(&section) {
                let (name, source) = (entry.value(0), entry.value(1));
                let source = if source.is_empty() { name } else { source };
                files.push((section.clone(), entry, name, source));
            }
        }
        files
    }
}

impl Target {
    /// Reads a decoration such as `NTamd64.10.0...18362`.
    pub(super) fn parse(decoration: &str) -> Option<Self> {
        let mut fields = decoration.split('.');
        let (nt, architecture) = fields.next()?.split_at_checked(2)?;
        let known = ["", "x86", "ia64", "amd64", "arm", "arm64", "$arch$"];
        let architecture = architecture.to_ascii_lowercase();
        if !nt.eq_ignore_ascii_case("NT") || !known.contains(&architecture.as_str()) {
            return None;
        }
        let mut numbers = [0; 5];
        let mut places = numbers.iter_mut();
        for field in fields {
            let number = places.next()?;
            if !field.is_empty() {
                *number = number_of(field)?;
            }
        }
        let [major, minor, _product, _suite, build] = numbers;
        Some(Self {
            architecture: (!architecture.is_empty()).then_some(architecture),
            oldest: (major, minor, build),
        })
    }
}

/// The section with the services of an install section.
pub(super) fn services_section(install: &str) -> String {
    format!("{install}.Services")
}

/// A decimal number, or a hexadecimal one with 0x in front.
pub(super) fn number_of(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether an entry names a list of files, registry entries or the like.
pub(super) fn is_list(entry: &Entry) -> bool {
    let lists = FILE_LISTS
        .iter()
        .chain(&REGISTRY_LISTS)
        .chain(&LEGACY_LISTS);
    lists.into_iter().any(|directive| entry.is(directive))
}

fn sections_named_by(entry: &Entry) -> Vec<&str> {
    if is_list(entry) {
        // `@file` names a file.
        let names = entry.values.iter().map(String::as_str);
        names.filter(|name| !name.starts_with('@')).collect()
    } else if entry.is("AddService") {
        let sections = [entry.value(2), entry.value(3)].into_iter();
        sections.filter(|name| !name.is_empty()).collect()
    } else {
        Vec::new()
    }
}

fn installs<'d>(document: &'d Document, base: &str) -> Vec<Install<'d>> {
    let sections = document.sections.iter().filter_map(|section| {
        let (name, rest) = section.name.split_at_checked(base.len())?;
        let is_one = name.eq_ignore_ascii_case(base)
            && (rest.is_empty() || rest.starts_with('.'))
            && !rest.to_ascii_lowercase().ends_with(".services");
        is_one.then(|| Install {
            name: &section.name,
            line: section.line,
            decoration: rest.strip_prefix('.').unwrap_or_default(),
        })
    });
    sections.collect()
}
