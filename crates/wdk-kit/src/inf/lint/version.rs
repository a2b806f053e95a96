//! Rules about `[Version]`.

use super::view::Inf;
use super::{Level, Place, Rule};

/// The classes of file-system filters, by the names and GUIDs of `devguid.h`.
const CLASSES: &[(&str, &str)] = &[
    ("ActivityMonitor", "{b86dff51-a31e-4bac-b3cf-e8cfe75c9fc2}"),
    ("Undelete", "{fe8f1572-c67a-48c0-bbac-0b5c6d66cafb}"),
    ("AntiVirus", "{b1d1a169-c54f-4379-81db-bee7d88d7454}"),
    ("Replication", "{48d3ebc4-4cf8-48ff-b869-9c68ad42eb9f}"),
    ("ContinuousBackup", "{71aa14f8-6fad-4622-ad77-92bb9d7e6947}"),
    ("ContentScreener", "{3e3f0674-c83c-4558-bb26-9820e1eba5c5}"),
    ("QuotaManagement", "{8503c911-a6c7-4919-8f79-5028f5866b0c}"),
    ("SystemRecovery", "{2db15374-706e-4131-a0c7-d7c78eb0289a}"),
    (
        "CFSMetadataServer",
        "{cdcf0939-b75b-4630-bf76-80f7ba655884}",
    ),
    ("HSM", "{d546500a-2aeb-45f6-9482-f4b1799c3177}"),
    ("Compression", "{f3586baf-b5aa-49b5-8d6c-0569284c639f}"),
    ("Encryption", "{a0a701c0-a511-42ff-aa6c-06dc0395576f}"),
    (
        "PhysicalQuotaManagement",
        "{6a0a8e78-bba6-4fc4-a709-1e33cd09d67e}",
    ),
    ("OpenFileBackup", "{f8ecafa6-66d1-41a5-899b-66585d7216b7}"),
    ("SecurityEnhancer", "{d02bc3da-0c8e-4945-9bd5-f1883c226c8c}"),
    ("CopyProtection", "{89786ff1-9c12-402f-9c9e-17753c7f4375}"),
];

/// A class name has at most this many characters.
const LONGEST_CLASS: usize = 31;

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        1001,
        "there is a [Version] with the signature \"$Windows NT$\"",
        |inf| {
            wrong(inf, "Signature", |signature| {
                !signature.eq_ignore_ascii_case("$Windows NT$")
            })
            .or_else(|| missing(inf, "Signature"))
            .into_iter()
            .collect()
        },
    ),
    Rule::new(1010, "ClassGuid is a GUID in braces", |inf| {
        wrong(inf, "ClassGuid", |guid| !is_guid(guid))
            .into_iter()
            .collect()
    }),
    Rule::weighing(
        1201,
        "a directive has no more values than it takes",
        Level::Warning,
        Level::Warning,
        extra_values,
    ),
    Rule::new(
        1204,
        "Provider is who wrote the INF, not Microsoft",
        |inf| {
            wrong(inf, "Provider", |provider| {
                provider.to_ascii_lowercase().starts_with("microsoft")
            })
            .into_iter()
            .collect()
        },
    ),
    Rule::new(1214, "CatalogFile is the name of a .cat file", |inf| {
        wrong(inf, "CatalogFile", |catalog| {
            let name = catalog
                .strip_suffix(".cat")
                .or_else(|| catalog.strip_suffix(".CAT"));
            name.is_none_or(|name| name.is_empty() || name.contains(['\\', '/', '.']))
        })
        .into_iter()
        .collect()
    }),
    Rule::new(
        1217,
        "the version in DriverVer is w.x.y.z, each below 65536",
        |inf| {
            wrong_driver_ver(inf, 1, |version| {
                let parts: Vec<_> = version.split('.').map(str::parse::<u16>).collect();
                parts.len() != 4 || parts.iter().any(Result::is_err)
            })
        },
    ),
    Rule::new(1218, "the date in DriverVer is MM/DD/YYYY", |inf| {
        wrong_driver_ver(inf, 0, |date| !is_date(date))
    }),
    Rule::new(
        1233,
        "CatalogFile is given, which a signature needs",
        |inf| missing(inf, "CatalogFile").into_iter().collect(),
    ),
    Rule::new(
        1234,
        "[Version] has Class, ClassGuid, Provider and DriverVer",
        |inf| {
            let required = ["Class", "ClassGuid", "Provider", "DriverVer"];
            required
                .into_iter()
                .filter_map(|directive| missing(inf, directive))
                .collect()
        },
    ),
    Rule::new(
        1280,
        "a known ClassGuid goes with the name of its class",
        |inf| {
            let (name, guid) = (value(inf, "Class"), value(inf, "ClassGuid"));
            let known = CLASSES
                .iter()
                .find(|(_, known)| known.eq_ignore_ascii_case(guid));
            let expected = known.filter(|(known, _)| !known.eq_ignore_ascii_case(name));
            mismatch(inf, "Class", expected.map(|(name, _)| *name))
        },
    ),
    Rule::new(1281, "a known class goes with its ClassGuid", |inf| {
        let (name, guid) = (value(inf, "Class"), value(inf, "ClassGuid"));
        let known = CLASSES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        let expected = known.filter(|(_, known)| !known.eq_ignore_ascii_case(guid));
        mismatch(inf, "ClassGuid", expected.map(|(_, guid)| *guid))
    }),
    Rule::new(1285, "a class of Microsoft's is not installed", |inf| {
        let sections = inf.document.sections.iter().filter(|section| {
            let base = section.name.split('.').next().unwrap_or_default();
            base.eq_ignore_ascii_case("ClassInstall32")
        });
        sections
            .map(|section| Place::new(section.line, format!("[{}]", section.name)))
            .collect()
    }),
    Rule::new(
        1286,
        "the name of a class has at most 31 characters",
        |inf| {
            wrong(inf, "Class", |class| class.chars().count() > LONGEST_CLASS)
                .into_iter()
                .collect()
        },
    ),
    Rule::weighing(
        1324,
        "PnpLockdown=1 keeps other programs from changing the files",
        Level::Warning,
        Level::Error,
        |inf| {
            wrong(inf, "PnpLockdown", |value| value != "1")
                .or_else(|| missing(inf, "PnpLockdown"))
                .into_iter()
                .collect()
        },
    ),
];

fn value<'i>(inf: &'i Inf<'_>, directive: &str) -> &'i str {
    let entry = inf.document.directive("Version", directive);
    entry.map_or("", |entry| entry.value(0))
}

/// The directive, if it has a value and that is wrong.
fn wrong(inf: &Inf<'_>, directive: &str, is_wrong: impl Fn(&str) -> bool) -> Option<Place> {
    let entry = inf.document.directive("Version", directive)?;
    let value = entry.value(0);
    (!value.is_empty() && is_wrong(value))
        .then(|| Place::new(entry.line, format!("{directive} is {value:?}")))
}

/// The directive, if it is missing or has no value.
fn missing(inf: &Inf<'_>, directive: &str) -> Option<Place> {
    match inf.document.directive("Version", directive) {
        None => Some(Place::new(1, format!("no {directive} in [Version]"))),
        Some(entry) if entry.value(0).is_empty() => {
            Some(Place::new(entry.line, format!("{directive} is empty")))
        }
        Some(_) => None,
    }
}

fn wrong_driver_ver(inf: &Inf<'_>, place: usize, is_wrong: fn(&str) -> bool) -> Vec<Place> {
    let entry = inf.document.directive("Version", "DriverVer");
    let entry = entry.filter(|entry| !entry.values.is_empty() && is_wrong(entry.value(place)));
    let found = entry.map(|entry| Place::new(entry.line, format!("{:?}", entry.value(place))));
    found.into_iter().collect()
}

fn mismatch(inf: &Inf<'_>, directive: &str, expected: Option<&str>) -> Vec<Place> {
    let (Some(expected), Some(entry)) = (expected, inf.document.directive("Version", directive))
    else {
        return Vec::new();
    };
    let detail = format!(
        "{directive} is {:?}, expecting {expected:?}",
        entry.value(0)
    );
    vec![Place::new(entry.line, detail)]
}

fn extra_values(inf: &Inf<'_>) -> Vec<Place> {
    let entries = inf.document.entries("Version").filter(|entry| {
        let most = if entry.is("DriverVer") { 2 } else { 1 };
        entry.key.is_some() && !entry.is("LayoutFile") && entry.values.len() > most
    });
    entries
        .map(|entry| Place::new(entry.line, entry.key.as_deref().unwrap_or_default()))
        .collect()
}

fn is_guid(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
    else {
        return false;
    };
    let parts: Vec<_> = inner.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && parts
            .concat()
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
}

fn is_date(text: &str) -> bool {
    let parts: Vec<_> = text.split('/').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    let numbers: Vec<u16> = parts.iter().filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [month, day, _year] => {
            lengths == [2, 2, 4] && (1..=12).contains(&month) && (1..=31).contains(&day)
        }
        _ => false,
    }
}
