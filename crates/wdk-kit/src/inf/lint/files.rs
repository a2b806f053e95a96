//! Rules about the files of the package: where they come from and where they go.

use super::view::{Inf, Reference, number_of};
use super::{Level, Place, Rule};

/// Directories of the system, by number, that an INF may name.
const DIRECTORIES: &[u32] = &[
    10, 11, 12, 13, 23, 51, 52, 55, 16_422, 16_425, 16_426, 16_427, 16_428,
];

/// Directories that "Using DIRIDs" lists as deprecated since Windows 11 version 24H2.
const DEPRECATED: &[u32] = &[
    1, 17, 18, 20, 21, 24, 25, 30, 50, 53, 54, 16_406, 16_407, 16_408, 16_409, 16_415, 16_419,
    16_429, 16_430, 65_535,
];

/// Numbers from here on are an installation program's own.
const FIRST_USER_DEFINED: u32 = 32_768;

pub(super) const RULES: &[Rule] = &[
    Rule::new(1008, "a source file names its disk by a number", |inf| {
        source_files(inf, |entry, _| number_of(entry.value(0)).is_none())
    }),
    Rule::new(
        1100,
        "a file in the driver store keeps its name and its directory",
        moved_in_store,
    ),
    Rule::new(
        1101,
        "files in the driver store have no security descriptors",
        |inf| {
            let lists = stored_lists(inf, "CopyFiles").into_iter();
            let security = |list: &Reference<'_>| format!("{}.Security", list.section);
            lists
                .filter(|list| inf.document.has(&security(list)))
                .map(|list| Place::new(list.line, format!("[{}]", security(&list))))
                .collect()
        },
    ),
    Rule::new(
        1102,
        "files in the driver store are neither deleted nor renamed",
        |inf| {
            let lists = ["DelFiles", "RenFiles"].into_iter();
            lists
                .flat_map(|directive| stored_lists(inf, directive))
                .map(|list| {
                    Place::new(
                        list.line,
                        format!("{} of [{}]", list.directive, list.section),
                    )
                })
                .collect()
        },
    ),
    Rule::new(1110, "CopyINF names INF files", |inf| {
        let sections = inf
            .document
            .sections
            .iter()
            .flat_map(|section| &section.entries);
        let files = sections.filter(|entry| entry.is("CopyINF"));
        files
            .flat_map(|entry| entry.values.iter().map(move |file| (entry.line, file)))
            .filter(|(_, file)| !file.to_ascii_lowercase().ends_with(".inf"))
            .map(|(line, file)| Place::new(line, file))
            .collect()
    }),
    Rule::new(1213, "catalogs are not source files", |inf| {
        source_files(inf, |_, name| name.to_ascii_lowercase().ends_with(".cat"))
    }),
    Rule::new(1229, "an entry of CopyFiles names a file", |inf| {
        let files = inf.copied().into_iter();
        files
            .filter(|(_, _, name, _)| name.is_empty())
            .map(|(list, entry, _, _)| Place::new(entry.line, format!("in [{list}]")))
            .collect()
    }),
    Rule::new(
        1230,
        "a file that is copied is listed in [SourceDisksFiles]",
        unlisted,
    ),
    Rule::weighing(
        1231,
        "a source file is listed by its uncompressed name",
        Level::Warning,
        Level::Error,
        |inf| source_files(inf, |_, name| name.ends_with('_')),
    ),
    Rule::new(
        1241,
        "a directory is not one that only an installation program defines",
        |inf| {
            destinations(inf, |number| {
                number.is_some_and(|number| {
                    number >= FIRST_USER_DEFINED && !DEPRECATED.contains(&number)
                })
            })
        },
    ),
    Rule::new(1242, "a directory's number is one of the system's", |inf| {
        destinations(inf, |number| {
            number.is_some_and(|number| {
                number < FIRST_USER_DEFINED
                    && !DIRECTORIES.contains(&number)
                    && !DEPRECATED.contains(&number)
            })
        })
    }),
    Rule::new(1243, "a directory is named by its number", |inf| {
        destinations(inf, |number| number.is_none())
    }),
    Rule::new(
        1273,
        "a source file's disk is listed in [SourceDisksNames]",
        |inf| {
            source_files(inf, |entry, _| {
                let disk = entry.value(0);
                let names = sections_with_architecture(inf, "SourceDisksNames");
                let known = names
                    .into_iter()
                    .any(|section| inf.document.directive(section, disk).is_some());
                number_of(disk).is_some() && !known
            })
        },
    ),
    Rule::new(
        1275,
        "a list of files has a directory in [DestinationDirs]",
        |inf| {
            let lists = ["CopyFiles", "DelFiles", "RenFiles"].into_iter();
            lists
                .flat_map(|directive| inf.listed(directive))
                .filter(|list| inf.destination(&list.section).is_none())
                .map(|list| Place::new(list.line, format!("[{}]", list.section)))
                .collect()
        },
    ),
    Rule::weighing(
        1322,
        "files go to the driver store, DIRID 13",
        Level::None,
        Level::Error,
        |inf| destinations(inf, |number| number.is_some_and(|number| number != 13)),
    ),
    Rule::new(1330, "a destination has one source", two_sources),
    Rule::weighing(
        1340,
        "a directory is not a deprecated one",
        Level::None,
        Level::Error,
        |inf| {
            destinations(inf, |number| {
                number.is_some_and(|number| DEPRECATED.contains(&number))
            })
        },
    ),
];

/// The section of that name and those for one architecture.
fn sections_with_architecture<'i>(inf: &'i Inf<'_>, base: &str) -> Vec<&'i str> {
    let names = inf
        .document
        .sections
        .iter()
        .map(|section| section.name.as_str());
    names
        .filter(|name| {
            let first = name.split('.').next().unwrap_or_default();
            first.eq_ignore_ascii_case(base)
        })
        .collect()
}

fn source_files(
    inf: &Inf<'_>,
    wrong: impl Fn(&crate::inf::document::Entry, &str) -> bool,
) -> Vec<Place> {
    let sections = sections_with_architecture(inf, "SourceDisksFiles").into_iter();
    sections
        .flat_map(|section| inf.document.entries(section))
        .filter_map(|entry| {
            let name = entry.key.as_deref().unwrap_or_else(|| entry.value(0));
            wrong(entry, name).then(|| Place::new(entry.line, name))
        })
        .collect()
}

fn destinations(inf: &Inf<'_>, wrong: impl Fn(Option<u32>) -> bool) -> Vec<Place> {
    let entries = inf.document.entries("DestinationDirs").filter(|entry| {
        let number = match entry.value(0) {
            // The absolute path has two numbers.
            "-1" => Some(65_535),
            text => number_of(text),
        };
        wrong(number)
    });
    entries
        .map(|entry| {
            let list = entry.key.as_deref().unwrap_or_default();
            Place::new(entry.line, format!("{list} is {:?}", entry.value(0)))
        })
        .collect()
}

fn stored_lists<'d>(inf: &Inf<'d>, directive: &str) -> Vec<Reference<'d>> {
    let mut lists = inf.listed(directive);
    lists.retain(|list| inf.is_in_driver_store(&list.section));
    lists
}

/// The subdirectory in which a source file lies.
fn source_directory<'i>(inf: &'i Inf<'_>, file: &str) -> Option<&'i str> {
    let sections = sections_with_architecture(inf, "SourceDisksFiles").into_iter();
    let mut entries = sections.filter_map(|section| inf.document.directive(section, file));
    entries
        .next()
        .map(|entry| entry.value(1).trim_matches('\\'))
}

fn moved_in_store(inf: &Inf<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for (list, entry, name, source) in inf.copied() {
        if !inf.is_in_driver_store(&list) {
            continue;
        }
        if !name.eq_ignore_ascii_case(source) {
            places.push(Place::new(entry.line, format!("{source} becomes {name}")));
        }
        let destination = inf
            .destination(&list)
            .map(|entry| entry.value(1).trim_matches('\\'));
        let directory = source_directory(inf, source);
        if directory.is_some_and(|directory| Some(directory) != destination) {
            let (from, to) = (
                directory.unwrap_or_default(),
                destination.unwrap_or_default(),
            );
            places.push(Place::new(
                entry.line,
                format!("{name} goes from {from:?} to {to:?}"),
            ));
        }
    }
    places
}

fn unlisted(inf: &Inf<'_>) -> Vec<Place> {
    let copied = inf.copied().into_iter();
    let copied = copied
        .filter(|(_, _, _, source)| !source.is_empty())
        .map(|(_, entry, _, source)| (entry.line, source.to_owned()));
    let direct = inf
        .document
        .sections
        .iter()
        .flat_map(|section| &section.entries);
    let direct = direct
        .filter(|entry| entry.is("CopyFiles"))
        .flat_map(|entry| {
            let files = entry
                .values
                .iter()
                .filter_map(|value| value.strip_prefix('@'));
            files.map(|file| (entry.line, file.to_owned()))
        });
    copied
        .chain(direct)
        .filter(|(_, source)| source_directory(inf, source).is_none())
        .map(|(line, source)| Place::new(line, source))
        .collect()
}

fn two_sources(inf: &Inf<'_>) -> Vec<Place> {
    let files = inf.copied();
    let place = |list: &str| inf.destination(list).map(|entry| &entry.values);
    let mut places = Vec::new();
    for (index, (list, entry, name, source)) in files.iter().enumerate() {
        for (earlier_list, _, earlier_name, earlier_source) in &files[..index] {
            let same_file =
                name.eq_ignore_ascii_case(earlier_name) && place(list) == place(earlier_list);
            if same_file && !source.eq_ignore_ascii_case(earlier_source) {
                let detail = format!("{name} is {earlier_source} and {source}");
                places.push(Place::new(entry.line, detail));
            }
        }
    }
    places
}
