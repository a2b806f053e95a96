//! Rules about the sections as such.

use super::view::{FILE_LISTS, Inf, REGISTRY_LISTS, is_list, services_section};
use super::{Level, Place, Rule};
use crate::inf::document::is_strings;

pub(super) const RULES: &[Rule] = &[
    Rule::new(1002, "the file follows the syntax of INF files", |inf| {
        problems(inf, 1002)
    }),
    Rule::new(
        1003,
        "the file is ASCII, or UTF-16 with a byte order mark",
        |inf| problems(inf, 1003),
    ),
    Rule::new(
        1235,
        "each %token% is defined in [Strings]; %% stands for a percent sign",
        |inf| problems(inf, 1235),
    ),
    Rule::new(
        1005,
        "a directive that needs a section names one",
        section_named,
    ),
    Rule::new(
        1088,
        "a directive that can have one effect only stands once",
        duplicate_directives,
    ),
    Rule::new(1203, "a section that is named exists", section_exists),
    Rule::weighing(
        1205,
        "a list of files serves one directive",
        Level::Warning,
        Level::Warning,
        |inf| shared_lists(inf, true),
    ),
    Rule::new(
        1206,
        "a list is what the directive that names it expects",
        |inf| shared_lists(inf, false),
    ),
    Rule::new(1209, "a section is defined once", defined_once),
    Rule::new(1274, "$ARCH$ has been replaced by stampinf", |inf| {
        let sections = inf.document.sections.iter();
        sections
            .filter(|section| section.name.contains("$ARCH$"))
            .map(|section| Place::new(section.line, format!("[{}]", section.name)))
            .collect()
    }),
    Rule::new(
        1290,
        "a section holds only directives that belong there",
        foreign_directives,
    ),
    Rule::new(1294, "a list names each file once", files_twice),
    Rule::new(
        1295,
        "[Strings] has the same strings in each language",
        languages,
    ),
    Rule::weighing(
        2083,
        "each section is used",
        Level::Warning,
        Level::Warning,
        unused,
    ),
];

fn problems(inf: &Inf<'_>, code: u16) -> Vec<Place> {
    let problems = inf.document.problems.iter();
    problems
        .filter(|problem| problem.code == code)
        .map(|problem| Place::new(problem.line, &problem.detail))
        .collect()
}

pub(super) fn named<'i>(inf: &'i Inf<'_>, name: &'i str) -> impl Iterator<Item = Place> + 'i {
    let sections = inf.document.sections.iter();
    sections
        .filter(move |section| section.name.eq_ignore_ascii_case(name))
        .map(|section| Place::new(section.line, format!("[{}]", section.name)))
}

fn section_named(inf: &Inf<'_>) -> Vec<Place> {
    let entries = inf
        .document
        .sections
        .iter()
        .flat_map(|section| &section.entries);
    entries
        .filter(|entry| is_list(entry) && entry.values.is_empty())
        .map(|entry| Place::new(entry.line, entry.key.as_deref().unwrap_or_default()))
        .collect()
}

fn section_exists(inf: &Inf<'_>) -> Vec<Place> {
    let references = inf.references().into_iter();
    references
        // An undefined service has a number of its own, 2006.
        .filter(|reference| !reference.directive.eq_ignore_ascii_case("AddService"))
        .filter(|reference| !reference.section.is_empty())
        .filter(|reference| !inf.document.has(&reference.section))
        .map(|reference| Place::new(reference.line, format!("[{}]", reference.section)))
        .collect()
}

/// Lists that two directives name, one of them legitimately: both are file operations
/// (`files`), or they expect different things.
fn shared_lists(inf: &Inf<'_>, files: bool) -> Vec<Place> {
    let kind = |directive: &str| {
        let is_one_of = |lists: &[&str]| {
            let mut lists = lists.iter();
            lists.any(|list| list.eq_ignore_ascii_case(directive))
        };
        (is_one_of(&FILE_LISTS), is_one_of(&REGISTRY_LISTS))
    };
    let references = inf.references();
    let mut places = Vec::new();
    for (place, later) in references.iter().enumerate() {
        for earlier in &references[..place] {
            let same_list = earlier.section.eq_ignore_ascii_case(&later.section);
            let both = (kind(&earlier.directive), kind(&later.directive));
            let wrong = match files {
                true => {
                    both == ((true, false), (true, false))
                        && !earlier.directive.eq_ignore_ascii_case(&later.directive)
                }
                false => both.0 != both.1,
            };
            if same_list && wrong {
                let (one, other) = (&earlier.directive, &later.directive);
                places.push(Place::new(
                    later.line,
                    format!("[{}] is named by {one} and {other}", later.section),
                ));
            }
        }
    }
    places
}

fn defined_once(inf: &Inf<'_>) -> Vec<Place> {
    let sections = &inf.document.sections;
    let again = sections.iter().enumerate().filter(|(place, section)| {
        sections[..*place]
            .iter()
            .any(|earlier| earlier.name.eq_ignore_ascii_case(&section.name))
    });
    again
        .map(|(_, section)| Place::new(section.line, format!("[{}]", section.name)))
        .collect()
}

fn duplicate_directives(inf: &Inf<'_>) -> Vec<Place> {
    let services: Vec<_> = inf.services();
    let single = services
        .iter()
        .map(|service| service.entry.value(2))
        .chain(["Version"]);
    let mut places = Vec::new();
    for section in single {
        let entries: Vec<_> = inf.document.entries(section).collect();
        for (place, entry) in entries.iter().enumerate() {
            let Some(key) = entry.key.as_deref().filter(|_| !is_list(entry)) else {
                continue;
            };
            if entries[..place].iter().any(|earlier| earlier.is(key)) {
                places.push(Place::new(entry.line, format!("{key} in [{section}]")));
            }
        }
    }
    places
}

/// What belongs into the sections of which the documentation lists everything.
const VERSION: &[&str] = &[
    "Signature",
    "Class",
    "ClassGuid",
    "Provider",
    "CatalogFile",
    "DriverVer",
    "PnpLockdown",
    "DriverPackageDisplayName",
    "DriverPackageType",
    "LayoutFile",
    "ExtensionId",
    "ClassVer",
];
const SERVICE: &[&str] = &[
    "DisplayName",
    "Description",
    "ServiceType",
    "StartType",
    "ErrorControl",
    "ServiceBinary",
    "StartName",
    "AddReg",
    "DelReg",
    "BitReg",
    "LoadOrderGroup",
    "Dependencies",
    "Security",
    "RequiredPrivileges",
    "ServiceSidType",
    "DelayedAutoStart",
    "AddTrigger",
    "FailureActions",
    "BootFlags",
];
const INSTALL: &[&str] = &[
    "CopyFiles",
    "CopyINF",
    "AddReg",
    "Include",
    "Needs",
    "DelFiles",
    "RenFiles",
    "DelReg",
    "BitReg",
    "ProfileItems",
    "UpdateInis",
    "UpdateIniFields",
    "Ini2Reg",
    "RegisterDlls",
    "UnregisterDlls",
    "OptionDesc",
    "LegacyUninstall",
];
const SERVICES: &[&str] = &["AddService", "DelService", "Include", "Needs"];
const EVENT_LOG: &[&str] = &["AddReg", "DelReg", "BitReg"];

fn foreign_directives(inf: &Inf<'_>) -> Vec<Place> {
    let mut sections = vec![("Version".to_owned(), VERSION)];
    for section in inf.installs.iter().chain(&inf.uninstalls) {
        sections.push((section.name.to_owned(), INSTALL));
        sections.push((services_section(section.name), SERVICES));
    }
    for service in inf.services() {
        sections.push((service.entry.value(2).to_owned(), SERVICE));
        sections.push((service.entry.value(3).to_owned(), EVENT_LOG));
    }
    let mut places = Vec::new();
    for (section, known) in &sections {
        for entry in inf.document.entries(section) {
            // `CatalogFile.ntamd64` is CatalogFile for an architecture.
            let key = entry
                .key
                .as_deref()
                .map(|key| key.split('.').next().unwrap_or(key));
            let belongs = |key: &str| known.iter().any(|known| known.eq_ignore_ascii_case(key));
            if !key.is_some_and(belongs) {
                let shown = entry.key.as_deref().unwrap_or_else(|| entry.value(0));
                places.push(Place::new(entry.line, format!("{shown} in [{section}]")));
            }
        }
    }
    places
}

fn files_twice(inf: &Inf<'_>) -> Vec<Place> {
    let files = inf.copied();
    let again = files
        .iter()
        .enumerate()
        .filter(|(place, (list, entry, name, _))| {
            files[..*place]
                .iter()
                .any(|(earlier_list, earlier, earlier_name, _)| {
                    list == earlier_list
                        && entry.line != earlier.line
                        && name.eq_ignore_ascii_case(earlier_name)
                })
        });
    again
        .map(|(_, (list, entry, name, _))| Place::new(entry.line, format!("{name} in [{list}]")))
        .collect()
}

fn languages(inf: &Inf<'_>) -> Vec<Place> {
    let count = |section: &str| inf.document.entries(section).count();
    let all = count("Strings");
    let sections = inf.document.sections.iter();
    sections
        .filter(|section| is_strings(&section.name) && section.name.contains('.'))
        .filter(|section| count(&section.name) != all)
        .map(|section| Place::new(section.line, format!("[{}]", section.name)))
        .collect()
}

fn unused(inf: &Inf<'_>) -> Vec<Place> {
    let known = [
        "Version",
        "DestinationDirs",
        "SourceDisksNames",
        "SourceDisksFiles",
        "Manufacturer",
    ];
    let references = inf.references();
    let entries = inf.installs.iter().chain(&inf.uninstalls);
    let entries: Vec<_> = entries
        .flat_map(|section| [section.name.to_owned(), services_section(section.name)])
        .collect();
    let is_used = |name: &str| {
        let same = |other: &str| other.eq_ignore_ascii_case(name);
        // An architecture may follow, as in [SourceDisksFiles.amd64].
        let base = name.split('.').next().unwrap_or_default();
        // The security descriptor of a list stands in a section named after it.
        let list = name
            .rsplit_once('.')
            .filter(|(_, end)| end.eq_ignore_ascii_case("Security"));
        known.iter().any(|known| known.eq_ignore_ascii_case(base))
            || is_strings(name)
            || base.eq_ignore_ascii_case("ClassInstall32")
            || entries.iter().any(|entry| same(entry))
            || references.iter().any(|reference| {
                same(&reference.section)
                    || list.is_some_and(|(list, _)| list.eq_ignore_ascii_case(&reference.section))
            })
    };
    let sections = inf.document.sections.iter();
    sections
        .filter(|section| !is_used(&section.name))
        .map(|section| Place::new(section.line, format!("[{}]", section.name)))
        .collect()
}
