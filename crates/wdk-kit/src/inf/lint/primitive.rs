//! Rules about what makes a driver a primitive one, for a range of versions of Windows.

use super::sections::named;
use super::view::{Inf, LEGACY_LISTS, Target, services_section};
use super::{Level, Place, Rule};

/// The number of a build is part of a decoration since this one.
const FIRST_BUILD_IN_A_DECORATION: u32 = 14_310;

/// Windows 10 version 1709, the first that runs drivers from the driver store.
const DRIVER_STORE: (u32, u32, u32) = (10, 0, 16_299);

/// Windows 10 version 1903, the first that knows primitive drivers.
const PRIMITIVE: (u32, u32, u32) = (10, 0, 18_362);

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        1199,
        "DIRID 13 is used from Windows 10 version 1709 (10.0...16299) on",
        |inf| in_driver_store_before(inf, DRIVER_STORE),
    ),
    Rule::new(
        1212,
        "[Manufacturer] and [DefaultInstall] exclude each other",
        |inf| {
            let primitive = !inf.installs.is_empty();
            named(inf, "Manufacturer").filter(|_| primitive).collect()
        },
    ),
    Rule::new(
        1287,
        "a decoration is NT, an architecture, and numbers of a version",
        |inf| decorations(inf, |target| target.is_none()),
    ),
    Rule::new(1288, "a build in a decoration is 14310 or later", |inf| {
        decorations(inf, |target| {
            target.is_some_and(
                |Target {
                     oldest: (_, _, build),
                     ..
                 }| { *build != 0 && *build < FIRST_BUILD_IN_A_DECORATION },
            )
        })
    }),
    Rule::weighing(
        1308,
        "an INF only adds; what it added goes by itself when the driver does",
        Level::Warning,
        Level::Error,
        |inf| legacy_directives(inf, &["DelReg", "DelService"]),
    ),
    Rule::weighing(
        1309,
        "an INF only adds; files are not deleted by it",
        Level::Warning,
        Level::Error,
        |inf| legacy_directives(inf, &["DelFiles"]),
    ),
    Rule::weighing(
        1307,
        "an INF performs no operation that only desktops know",
        Level::Warning,
        Level::Error,
        |inf| {
            let directives = [&["RenFiles", "BitReg"][..], &LEGACY_LISTS].concat();
            legacy_directives(inf, &directives)
        },
    ),
    Rule::new(
        1420,
        "a primitive driver has no [Manufacturer], no undecorated [DefaultInstall], \
        a complete [Version], and nothing to uninstall; in the driver store it is for Windows 10 version 1903 \
        (10.0...18362) on",
        not_primitive,
    ),
    Rule::new(
        1421,
        "[DefaultInstall] and [DefaultUninstall] name their architecture",
        |inf| {
            let sections = inf.installs.iter().chain(&inf.uninstalls);
            sections
                .filter(|section| {
                    Target::parse(section.decoration)
                        .is_none_or(|target| target.architecture.is_none())
                })
                .map(|section| Place::new(section.line, format!("[{}]", section.name)))
                .collect()
        },
    ),
    Rule::new(
        1422,
        "[DefaultUninstall] sets LegacyUninstall=1",
        uninstalls_always,
    ),
    Rule::new(
        1423,
        "there is a [DefaultInstall] for an architecture",
        |inf| {
            let decorated = inf.installs.iter().any(|install| {
                Target::parse(install.decoration)
                    .is_some_and(|target| target.architecture.is_some())
            });
            let missing = (!decorated).then(|| Place::new(1, "no [DefaultInstall.NTamd64…]"));
            missing.into_iter().collect()
        },
    ),
];

/// Sections that leave files in the driver store, and are for a Windows older than `first`.
fn in_driver_store_before(inf: &Inf<'_>, first: (u32, u32, u32)) -> Vec<Place> {
    let uses_driver_store = |install: &str| {
        let entries = inf.document.entries(install);
        let mut lists = entries
            .filter(|entry| entry.is("CopyFiles"))
            .flat_map(|entry| &entry.values);
        lists.any(|list| inf.is_in_driver_store(list))
    };
    let places = inf.installs.iter().filter(|install| {
        let target = Target::parse(install.decoration);
        target.is_some_and(|target| target.oldest < first) && uses_driver_store(install.name)
    });
    places
        .map(|install| Place::new(install.line, format!("[{}]", install.name)))
        .collect()
}

fn decorations(inf: &Inf<'_>, wrong: impl Fn(Option<&Target>) -> bool) -> Vec<Place> {
    let sections = inf.installs.iter().chain(&inf.uninstalls);
    sections
        .filter(|section| !section.decoration.is_empty())
        .filter(|section| wrong(Target::parse(section.decoration).as_ref()))
        .map(|section| Place::new(section.line, format!("[{}]", section.name)))
        .collect()
}

/// Directives that undo something, where they are not left to old systems.
fn legacy_directives(inf: &Inf<'_>, directives: &[&str]) -> Vec<Place> {
    let mut places = Vec::new();
    let services = inf.services();
    let installs = inf
        .installs
        .iter()
        .flat_map(|install| [install.name.to_owned(), services_section(install.name)]);
    let sections = services
        .iter()
        .flat_map(|service| [2, 3].map(|place| service.entry.value(place).to_owned()));
    for section in installs.chain(sections) {
        for entry in inf.document.entries(&section) {
            if directives.iter().any(|directive| entry.is(directive)) {
                let key = entry.key.as_deref().unwrap_or_default();
                places.push(Place::new(entry.line, format!("{key} in [{section}]")));
            }
        }
    }
    places
}

fn uninstalls_always(inf: &Inf<'_>) -> Vec<Place> {
    let places = inf.uninstalls.iter().filter(|uninstall| {
        let legacy = inf.document.directive(uninstall.name, "LegacyUninstall");
        legacy.is_none_or(|entry| entry.value(0) != "1")
    });
    places
        .map(|uninstall| Place::new(uninstall.line, format!("[{}]", uninstall.name)))
        .collect()
}

/// The requirements of "Creating a new primitive driver", each of which has its own number too.
fn not_primitive(inf: &Inf<'_>) -> Vec<Place> {
    let undecorated = inf
        .installs
        .iter()
        .filter(|install| install.decoration.is_empty());
    let undecorated =
        undecorated.map(|install| Place::new(install.line, "undecorated [DefaultInstall]"));
    let incomplete = ["Class", "ClassGuid", "Provider"]
        .into_iter()
        .filter(|directive| {
            let entry = inf.document.directive("Version", directive);
            entry.is_none_or(|entry| entry.value(0).is_empty())
        });
    let incomplete =
        incomplete.map(|directive| Place::new(1, format!("no {directive} in [Version]")));
    named(inf, "Manufacturer")
        .chain(undecorated)
        .chain(incomplete)
        .chain(uninstalls_always(inf))
        .chain(in_driver_store_before(inf, PRIMITIVE))
        .collect()
}
