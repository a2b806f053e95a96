//! Rules about the service that loads the driver.

use super::view::{Inf, Service, is_list, number_of};
use super::{Level, Place, Rule};

/// The services of Microsoft's file-system filter samples; those of a product have other names.
const SAMPLES: &[&str] = &[
    "avscan",
    "cancelsafe",
    "cdo",
    "cdosample",
    "change",
    "ctx",
    "delete",
    "filespy",
    "fmm",
    "metadatamanager",
    "minispy",
    "namechanger",
    "nullfilter",
    "passthrough",
    "scanner",
    "sfilter",
    "simrep",
    "swapbuffers",
];

/// Flags of AddService.
const FLAGS: u32 = 0x0006_FDFB;

/// Services that the system's loader or the I/O manager starts.
const KERNEL_TYPES: &[u32] = &[1, 2, 8];
/// Programs.
const PROGRAM_TYPES: &[u32] = &[0x10, 0x20, 0x110, 0x120];

pub(super) const RULES: &[Rule] = &[
    Rule::new(1006, "a directive of a service has a value", |inf| {
        // What a service must have is missing then, 1013; a list names no section, 1005.
        let required = ["ServiceType", "StartType", "ErrorControl", "ServiceBinary"];
        let services = defined(inf).into_iter();
        services
            .flat_map(|service| inf.document.entries(service.entry.value(2)))
            .filter(|entry| entry.values.is_empty() && !is_list(entry))
            .filter_map(|entry| Some((entry.line, entry.key.as_deref()?)))
            .filter(|(_, key)| !required.iter().any(|known| known.eq_ignore_ascii_case(key)))
            .map(|(line, key)| Place::new(line, key))
            .collect()
    }),
    Rule::new(
        1013,
        "a service has a type, a start, error control and a binary",
        |inf| {
            let required = ["ServiceType", "StartType", "ErrorControl", "ServiceBinary"];
            let missing = |service: &Service<'_>, directive: &str| {
                let entry = inf.document.directive(service.entry.value(2), directive);
                entry.is_none_or(|entry| entry.value(0).is_empty())
            };
            defined(inf)
                .iter()
                .flat_map(|service| required.map(|directive| (service, directive)))
                .filter(|(service, directive)| missing(service, directive))
                .map(|(service, directive)| {
                    Place::new(service.entry.line, format!("no {directive}"))
                })
                .collect()
        },
    ),
    Rule::new(
        1014,
        "a service's type, start and error control are values that exist",
        |inf| {
            let types = [KERNEL_TYPES, PROGRAM_TYPES].concat();
            let known: [(&str, &[u32]); 3] = [
                ("ServiceType", &types),
                ("StartType", &[0, 1, 2, 3, 4]),
                ("ErrorControl", &[0, 1, 2, 3]),
            ];
            let mut places = Vec::new();
            for (directive, values) in known {
                places.extend(settings(inf, directive).filter_map(|(line, value)| {
                    let wrong = number_of(&value).is_none_or(|number| !values.contains(&number));
                    (wrong && !value.is_empty())
                        .then(|| Place::new(line, format!("{directive} is {value:?}")))
                }));
            }
            places
        },
    ),
    Rule::new(
        1017,
        "the service is not named like one of Microsoft's samples",
        |inf| {
            added(inf, |service| {
                let name = service.entry.value(0).to_ascii_lowercase();
                SAMPLES.contains(&name.as_str())
            })
        },
    ),
    Rule::new(1080, "AddService names the section of the service", |inf| {
        added(inf, |service| {
            !service.entry.value(0).is_empty() && service.entry.value(2).is_empty()
        })
    }),
    Rule::new(1081, "the flags of AddService are a number", |inf| {
        added(inf, |service| {
            let flags = service.entry.value(1);
            !flags.is_empty() && number_of(flags).is_none()
        })
    }),
    Rule::new(1083, "the flags of AddService are ones that exist", |inf| {
        added(inf, |service| {
            let flags = number_of(service.entry.value(1));
            flags.is_some_and(|flags| flags & !FLAGS != 0)
        })
    }),
    Rule::new(1086, "a service is added once", |inf| {
        let services = inf.services();
        let again = services.iter().enumerate().filter(|(place, service)| {
            services[..*place].iter().any(|earlier| {
                earlier.added_in.eq_ignore_ascii_case(&service.added_in)
                    && earlier
                        .entry
                        .value(0)
                        .eq_ignore_ascii_case(service.entry.value(0))
            })
        });
        again
            .map(|(_, service)| Place::new(service.entry.line, service.entry.value(0)))
            .collect()
    }),
    Rule::new(
        1250,
        "an event log is System, Application or Security",
        |inf| {
            added(inf, |service| {
                let log = service.entry.value(4);
                let known = ["System", "Application", "Security"];
                !log.is_empty() && !known.iter().any(|known| known.eq_ignore_ascii_case(log))
            })
        },
    ),
    Rule::weighing(
        1252,
        "only a driver starts at boot or with the system",
        Level::Warning,
        Level::Warning,
        |inf| {
            let number = |service: &Service<'_>, directive: &str| {
                let entry = inf.document.directive(service.entry.value(2), directive);
                entry.and_then(|entry| number_of(entry.value(0)))
            };
            added(inf, |service| {
                let (kind, start) = (number(service, "ServiceType"), number(service, "StartType"));
                kind.is_some_and(|kind| PROGRAM_TYPES.contains(&kind))
                    && start.is_some_and(|start| start < 2)
            })
        },
    ),
    Rule::new(1253, "AddService names the service", |inf| {
        added(inf, |service| service.entry.value(0).is_empty())
    }),
    Rule::new(1254, "ServiceBinary ends in the name of a file", |inf| {
        binaries(inf, |binary| {
            binary.ends_with('\\') || binary.contains(['"', '/', '*', '?', '<', '>', '|'])
        })
    }),
    Rule::new(2006, "the section of a service exists", |inf| {
        let sections = inf.services().into_iter().flat_map(|service| {
            [2, 3].map(|place| (service.entry.line, service.entry.value(place)))
        });
        sections
            .filter(|(_, section)| !section.is_empty() && !inf.document.has(section))
            .map(|(line, section)| Place::new(line, format!("[{section}]")))
            .collect()
    }),
    Rule::weighing(
        2084,
        "the service's binary is a file that the INF copies to that place",
        Level::Warning,
        Level::Error,
        |inf| {
            binaries(inf, |binary| {
                directory_and_name(binary).is_some_and(|(directory, name)| {
                    !inf.copied().iter().any(|(list, _, file, _)| {
                        let destination = inf.destination(list);
                        let path = destination.map_or(String::new(), |entry| {
                            match entry.value(1).trim_matches('\\') {
                                "" => (*file).to_owned(),
                                below => format!("{below}\\{file}"),
                            }
                        });
                        destination.is_some_and(|entry| entry.value(0) == directory)
                            && path.eq_ignore_ascii_case(name)
                    })
                })
            })
        },
    ),
    Rule::new(
        2085,
        "ServiceBinary is a path below a directory's number, as in %13%\\x.sys",
        |inf| binaries(inf, |binary| directory_and_name(binary).is_none()),
    ),
];

fn added(inf: &Inf<'_>, wrong: impl Fn(&Service<'_>) -> bool) -> Vec<Place> {
    let services = inf.services().into_iter();
    services
        .filter(|service| wrong(service))
        .map(|service| Place::new(service.entry.line, service.entry.values.join(",")))
        .collect()
}

/// The services whose sections exist.
fn defined<'d>(inf: &Inf<'d>) -> Vec<Service<'d>> {
    let mut services = inf.services();
    services.retain(|service| inf.document.has(service.entry.value(2)));
    services
}

/// A directive's lines and values in the sections of services.
fn settings(inf: &Inf<'_>, directive: &str) -> impl Iterator<Item = (usize, String)> {
    let services = defined(inf).into_iter();
    let entries = services.filter_map(|service| {
        let entry = inf.document.directive(service.entry.value(2), directive)?;
        Some((entry.line, entry.value(0).to_owned()))
    });
    entries.collect::<Vec<_>>().into_iter()
}

fn binaries(inf: &Inf<'_>, wrong: impl Fn(&str) -> bool) -> Vec<Place> {
    settings(inf, "ServiceBinary")
        .filter(|(_, binary)| !binary.is_empty() && wrong(binary))
        .map(|(line, binary)| Place::new(line, binary))
        .collect()
}

/// `13` and `x.sys` of `%13%\x.sys`.
fn directory_and_name(binary: &str) -> Option<(&str, &str)> {
    let (directory, name) = binary.strip_prefix('%')?.split_once('%')?;
    number_of(directory)?;
    Some((directory, name.strip_prefix('\\')?))
}
