//! The driver's structures against independent definitions.
//!
//! The bindings of the driver are generated from C headers; ntbox takes the
//! same structures from Microsoft's metadata, and `IO_STACK_LOCATION` from the
//! DDI reference. An error in either shows as a difference. What is compared is
//! what the shipped image was compiled with: the type information of its PDB
//! ([`Driver`]) against the offsets in ntbox's definitions ([`expected`]).

mod definitions;
mod types;

pub use definitions::expected;
pub use types::{Driver, Member};

/// One field of a structure, or the structure itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name of the structure in the DDI reference.
    pub structure: &'static str,
    /// Path of the field, unnamed members left out; empty for the structure itself.
    pub path: &'static str,
    /// Bytes from the start of the structure.
    pub offset: usize,
    /// Bytes it occupies.
    pub size: usize,
}

/// What differs between the driver and the definitions.
#[must_use]
pub fn differences(driver: &Driver, expected: &[Field]) -> Vec<String> {
    let mut differences: Vec<String> = expected
        .iter()
        .filter_map(|field| difference(driver, field))
        .collect();
    let mut structures: Vec<&str> = expected.iter().map(|field| field.structure).collect();
    structures.dedup();
    for structure in structures {
        let compared = |name: &str| {
            let of_path = |field: &Field| named(field.path).next() == Some(name);
            expected
                .iter()
                .any(|field| field.structure == structure && of_path(field))
        };
        let members = driver.members(structure).unwrap_or_default();
        let forgotten = members
            .iter()
            .filter_map(|member| named(&member.path).next())
            .filter(|name| !compared(name));
        differences
            .extend(forgotten.map(|name| format!("{structure}.{name}: compared with nothing")));
    }
    differences.sort();
    differences.dedup();
    differences
}

fn difference(driver: &Driver, field: &Field) -> Option<String> {
    let &Field {
        structure,
        path,
        offset,
        size,
    } = field;
    let name = std::iter::once(structure)
        .chain(named(path))
        .collect::<Vec<_>>()
        .join(".");
    let Some(members) = driver.members(structure) else {
        return Some(format!(
            "{name}: the driver's PDB does not describe {structure}"
        ));
    };
    let found = if path.is_empty() {
        driver.size(structure).map(|size| (0, size))
    } else {
        let same = |member: &&Member| named(&member.path).eq(named(path));
        members
            .iter()
            .find(same)
            .map(|member| (member.offset, member.size))
    };
    let there = |(offset, size): (usize, usize)| format!("{size} bytes at {offset}");
    match found {
        None => Some(format!(
            "{name}: not in the driver, expected {}",
            there((offset, size))
        )),
        Some(found) if found == (offset, size) => None,
        Some(found) => Some(format!(
            "{name}: {} in the driver, expected {}",
            there(found),
            there((offset, size))
        )),
    }
}

/// The parts of a path that have names of their own in the DDI reference.
fn named(path: &str) -> impl Iterator<Item = &str> {
    let unnamed = |part: &&str| part.starts_with("Anonymous") || part.starts_with("__bindgen_anon");
    path.split('.')
        .map(str::trim)
        .filter(move |part| !part.is_empty() && !unnamed(part))
}
