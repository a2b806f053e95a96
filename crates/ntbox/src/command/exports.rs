//! `ntbox exports`.

use super::arguments::ExportsOptions;
use super::failure::Failure;
use super::image::ImageFacts;
use ntbox::exports::{self, Listed};
use std::collections::BTreeMap;

/// Lists what is bound; with `--check` what a driver imports and whether it is bound.
pub fn run(options: &ExportsOptions) -> Result<bool, Failure> {
    if let Some(path) = &options.check {
        return check(path, options.json);
    }
    let wanted = |listed: &&Listed| {
        let same = |filter: &Option<String>, value: &str| {
            filter
                .as_ref()
                .is_none_or(|filter| filter.eq_ignore_ascii_case(value))
        };
        same(&options.dll, listed.dll) && same(&options.prefix, listed.prefix)
    };
    let list = exports::list();
    let list: Vec<&Listed> = list.iter().filter(wanted).collect();
    if options.json {
        let values: Vec<_> = list
            .iter()
            .map(|listed| serde_json::json!({ "name": listed.name, "dll": listed.dll, "prefix": listed.prefix }))
            .collect();
        line!("{}", serde_json::Value::from(values));
        return Ok(true);
    }
    let mut families: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for listed in &list {
        families
            .entry((listed.dll, listed.prefix))
            .or_default()
            .push(listed.name);
    }
    for ((dll, prefix), mut names) in families {
        names.sort_unstable();
        line!("{dll}  {prefix}  ({})", names.len());
        for name in names {
            line!("    {name}");
        }
    }
    line!("{} routines and variables", list.len());
    Ok(true)
}

fn check(path: &std::path::Path, json: bool) -> Result<bool, Failure> {
    let facts = ImageFacts::read(path).map_err(|error| Failure::Usage(format!("{error:#}")))?;
    let missing: Vec<&String> = facts
        .imports
        .iter()
        .filter(|import| {
            import
                .split_once('!')
                .is_none_or(|(dll, name)| exports::resolve(dll, name).is_none())
        })
        .collect();
    if json {
        line!(
            "{}",
            serde_json::json!({ "imports": facts.imports, "missing": missing })
        );
    } else {
        for import in &facts.imports {
            let state = if missing.contains(&import) {
                "MISSING"
            } else {
                "bound"
            };
            line!("{state:<8} {import}");
        }
        line!("{} imports, {} missing", facts.imports.len(), missing.len());
    }
    Ok(missing.is_empty())
}
