//! Rules about what is written to the registry.

use super::view::{Inf, Root, number_of};
use super::{Level, Place, Rule};
use crate::inf::document::Entry;

const BINARY: u32 = 0x0000_0001;
const DELETE: u32 = 0x0000_0004;
const APPEND: u32 = 0x0000_0008;
const KEY_ONLY: u32 = 0x0000_0010;
/// The bits that tell the type of a value.
const TYPE: u32 = 0xFFFF_0001;
const MULTI_STRING: u32 = 0x0001_0000;
const EXPANDABLE_STRING: u32 = 0x0002_0000;
const DWORD: u32 = 0x0001_0001;
const QWORD: u32 = 0x000B_0001;
/// Types of which the low words are free, since the value is raw data.
const OWN_TYPES: std::ops::Range<u32> = 0x0003_0000..0xFFFF_0000;

/// Values that the system reads, with their types.
const WELL_KNOWN: &[(Root, &str, u32)] = &[
    (Root::EventLog, "EventMessageFile", EXPANDABLE_STRING),
    (Root::EventLog, "TypesSupported", DWORD),
];

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        1224,
        "an entry begins with HKR, HKLM, HKCR, HKCU or HKU",
        |inf| {
            entries(inf, |_, entry| {
                let known = ["HKR", "HKLM", "HKCR", "HKCU", "HKU"];
                !known
                    .iter()
                    .any(|root| root.eq_ignore_ascii_case(entry.value(0)))
            })
        },
    ),
    Rule::new(
        1226,
        "values directly below HKR have no security descriptor of their own",
        |inf| {
            let lists = inf.listed("AddReg").into_iter();
            let secured = lists.filter(|list| {
                let security = format!("{}.Security", list.section);
                inf.document.has(&security)
            });
            secured
                .flat_map(|list| inf.document.entries(&list.section))
                .filter(|entry| !is_global(entry) && entry.value(1).is_empty())
                .map(|entry| Place::new(entry.line, entry.values.join(",")))
                .collect()
        },
    ),
    Rule::new(
        1257,
        "a value names the Windows directory as %%SystemRoot%%",
        |inf| {
            strings(inf, |value| {
                let value = value.to_ascii_lowercase();
                value.contains("c:\\windows") || value.contains("%10%")
            })
        },
    ),
    Rule::new(
        1258,
        "a value names a system directory by %%SystemRoot%%, not by a DIRID",
        |inf| {
            strings(inf, |value| {
                value.contains("%11%") || value.contains("%12%")
            })
        },
    ),
    Rule::new(
        1264,
        "raw data of a type of its own has the flag for raw data",
        |inf| {
            entries(inf, |_, entry| {
                flags(entry).is_some_and(|flags| {
                    OWN_TYPES.contains(&(flags & 0xFFFF_0000)) && flags & BINARY == 0
                })
            })
        },
    ),
    Rule::new(1265, "only a list of strings is appended to", |inf| {
        entries(inf, |_, entry| {
            flags(entry).is_some_and(|flags| flags & APPEND != 0 && flags & TYPE != MULTI_STRING)
        })
    }),
    Rule::new(1267, "raw data is bytes from 00 to FF", |inf| {
        entries(inf, |_, entry| {
            let bytes = entry.values.iter().skip(4);
            let is_byte = |text: &String| {
                (1..=2).contains(&text.len()) && u8::from_str_radix(text, 16).is_ok()
            };
            kind(entry) == Some(BINARY) && (entry.values.len() < 5 || !bytes.clone().all(is_byte))
        })
    }),
    Rule::new(
        1268,
        "flags and numbers are decimal, or hexadecimal with 0x",
        |inf| {
            entries(inf, |_, entry| {
                let is_number = match kind(entry) {
                    Some(DWORD) => number_of(entry.value(4)).is_some(),
                    Some(QWORD) => is_quad_word(entry.value(4)),
                    _ => true,
                };
                flags(entry).is_none() || !is_number
            })
        },
    ),
    Rule::weighing(
        1304,
        "an entry is below HKR",
        Level::Warning,
        Level::None,
        |inf| entries(inf, |_, entry| is_global(entry)),
    ),
    Rule::weighing(
        1305,
        "a list of strings is written whole",
        Level::Warning,
        Level::Error,
        |inf| {
            entries(inf, |_, entry| {
                flags(entry).is_some_and(|flags| {
                    flags & TYPE == MULTI_STRING && flags & (APPEND | DELETE) != 0
                })
            })
        },
    ),
    Rule::weighing(
        1320,
        "a key is below HKR",
        Level::None,
        Level::Error,
        |inf| {
            entries(inf, |_, entry| {
                is_global(entry) && entry.value(2).is_empty()
            })
        },
    ),
    Rule::weighing(
        1321,
        "a value is below HKR",
        Level::None,
        Level::Error,
        |inf| {
            entries(inf, |_, entry| {
                is_global(entry) && !entry.value(2).is_empty()
            })
        },
    ),
    Rule::weighing(
        1323,
        "a service's values are below its Parameters",
        Level::None,
        Level::Error,
        |inf| {
            entries(inf, |root, entry| {
                let first = entry.value(1).split('\\').next().unwrap_or_default();
                root == Root::Service
                    && entry.value(0).eq_ignore_ascii_case("HKR")
                    && !first.eq_ignore_ascii_case("Parameters")
            })
        },
    ),
    Rule::new(
        1431,
        "a value that the system reads has the type that it expects",
        |inf| {
            entries(inf, |root, entry| {
                WELL_KNOWN.iter().any(|(known_root, name, kind)| {
                    *known_root == root
                        && name.eq_ignore_ascii_case(entry.value(2))
                        && flags(entry).is_some_and(|flags| flags & TYPE != *kind)
                })
            })
        },
    ),
];

fn entries(inf: &Inf<'_>, wrong: impl Fn(Root, &Entry) -> bool) -> Vec<Place> {
    let entries = inf.registry().into_iter();
    entries
        .filter(|(root, entry)| wrong(*root, entry))
        .map(|(_, entry)| Place::new(entry.line, entry.values.join(",")))
        .collect()
}

/// Entries with a string that is wrong.
fn strings(inf: &Inf<'_>, wrong: impl Fn(&str) -> bool) -> Vec<Place> {
    entries(inf, |_, entry| {
        flags(entry).is_some_and(|flags| flags & BINARY == 0)
            && entry.values.iter().skip(4).any(|value| wrong(value))
    })
}

/// The flags of an entry; without any, it is a string.
fn flags(entry: &Entry) -> Option<u32> {
    match entry.value(3) {
        "" => Some(0),
        text => number_of(text),
    }
}

/// The type of an entry that writes a value.
fn kind(entry: &Entry) -> Option<u32> {
    let flags = flags(entry)?;
    (flags & (DELETE | KEY_ONLY) == 0).then_some(flags & TYPE)
}

fn is_global(entry: &Entry) -> bool {
    !entry.value(0).eq_ignore_ascii_case("HKR")
}

fn is_quad_word(text: &str) -> bool {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).is_ok(),
        None => text.parse::<u64>().is_ok(),
    }
}
