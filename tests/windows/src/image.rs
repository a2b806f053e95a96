//! A driver that was built in Wine, held against the one that was built on Linux.

use anyhow::{Context, Result, anyhow, ensure};
use fsglass_tests::drivers::repository;
use fsglass_tests::image_audit::{self, Expected};
use object::LittleEndian as LE;
use object::pe::IMAGE_FILE_MACHINE_AMD64;
use object::read::pe::{Import, PeFile64};
use std::fs;

/// How many bytes a section may be larger or smaller: names in it depend on where the sources lie,
/// and Windows' has an export table. Where the next one begins follows from that.
const SIZE_DIFFERENCE: u32 = 0x200;

/// Fails unless both images have the same headers, sections and imports, and as much in each
/// section, laid one behind the other.
///
/// # Errors
/// With the first line of their descriptions that differs, or the first section that does.
pub fn compare(linux: &[u8], wine: &[u8]) -> Result<()> {
    for (one, other) in sections(linux)?.iter().zip(&sections(wine)?) {
        ensure!(
            one.size.abs_diff(other.size) <= SIZE_DIFFERENCE,
            "section {} of Linux has {} bytes, that of Wine {}",
            one.name,
            one.size,
            other.size
        );
    }
    let [linux, wine] = [describe(linux)?, describe(wine)?];
    for (one, other) in linux.iter().zip(&wine) {
        ensure!(
            one == other,
            "the driver of Linux has {one:?}, that of Wine {other:?}"
        );
    }
    ensure!(
        linux.len() == wine.len(),
        "the driver of Linux has {} sections and imports, that of Wine {}",
        linux.len(),
        wine.len()
    );
    Ok(())
}

/// Fails unless the image passes every check that the shipped one passes.
///
/// # Errors
/// With all that is not true.
pub fn audit(image: &[u8], pdb: &[u8]) -> Result<()> {
    let list = fs::read_to_string(repository().join("tests/imports.txt"))?;
    let imports = list
        .parse()
        .map_err(|error| anyhow!("imports.txt: {error}"))?;
    let expected = Expected {
        machine: IMAGE_FILE_MACHINE_AMD64,
        imports: &imports,
        version: env!("CARGO_PKG_VERSION"),
        pdb,
    };
    let findings = image_audit::audit(image, &expected);
    let lines: Vec<_> = findings
        .iter()
        .map(|finding| format!("not true: {}: {}", finding.rule, finding.found))
        .collect();
    ensure!(lines.is_empty(), "{}", lines.join("\n"));
    Ok(())
}

struct Section {
    name: String,
    address: u32,
    size: u32,
    flags: u32,
}

fn sections(bytes: &[u8]) -> Result<Vec<Section>> {
    let file = PeFile64::parse(bytes).context("not a PE32+ image")?;
    let table = file.section_table();
    let sections = table.iter().map(|section| Section {
        name: String::from_utf8_lossy(section.raw_name()).into_owned(),
        address: section.virtual_address.get(LE),
        size: section.virtual_size.get(LE),
        flags: section.characteristics.get(LE).0,
    });
    Ok(sections.collect())
}

/// What is the same whoever has compiled it, a line each.
fn describe(bytes: &[u8]) -> Result<Vec<String>> {
    let file = PeFile64::parse(bytes).context("not a PE32+ image")?;
    let headers = file.nt_headers();
    let optional = &headers.optional_header;
    let mut lines = vec![
        format!("machine {:?}", headers.file_header.machine.get(LE)),
        format!("flags {:?}", headers.file_header.characteristics.get(LE)),
        format!("DLL flags {:?}", optional.dll_characteristics.get(LE)),
        format!("subsystem {:?}", optional.subsystem.get(LE)),
        format!(
            "subsystem version {}.{}",
            optional.major_subsystem_version.get(LE),
            optional.minor_subsystem_version.get(LE)
        ),
        format!("base {:#x}", optional.image_base.get(LE)),
        format!(
            "alignment {:#x} {:#x}",
            optional.section_alignment.get(LE),
            optional.file_alignment.get(LE)
        ),
    ];
    let alignment = optional.section_alignment.get(LE);
    let mut next = alignment;
    for section in sections(bytes)? {
        let behind = if section.address == next {
            "right"
        } else {
            "not right"
        };
        lines.push(format!(
            "section {} with flags {:#x}, {behind} behind the one before",
            section.name, section.flags
        ));
        next = (section.address + section.size).next_multiple_of(alignment);
    }
    let mut imports = Vec::new();
    if let Some(table) = file.import_table()? {
        let mut descriptors = table.descriptors()?;
        while let Some(descriptor) = descriptors.next()? {
            let module = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?);
            let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
            while let Some(thunk) = thunks.next::<object::pe::ImageNtHeaders64>()? {
                let name = match table.import::<object::pe::ImageNtHeaders64>(thunk)? {
                    Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                    Import::Ordinal(number) => format!("#{number}"),
                };
                imports.push(format!("import {name} of {module}"));
            }
        }
    }
    imports.sort();
    lines.extend(imports);
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsglass_tests::drivers::{Profile, fsglass};

    fn image() -> Vec<u8> {
        fs::read(fsglass(Profile::Release)).unwrap()
    }

    #[test]
    fn another_flag_section_or_import_is_a_difference() {
        let image = image();
        compare(&image, &image).unwrap();
        let place = |text: &[u8]| {
            let found = image.windows(text.len()).position(|bytes| bytes == text);
            found.unwrap()
        };
        let header = place(b"PE\0\0");
        for (what, at) in [
            ("a flag", header + 22),
            ("a DLL flag", header + 24 + 70),
            ("the subsystem's version", header + 24 + 48),
            ("a section's name", place(b"INIT\0\0\0\0")),
            ("a section's flags", place(b"INIT\0\0\0\0") + 36),
            ("a section's size", place(b"INIT\0\0\0\0") + 10),
            ("a section's place", place(b"INIT\0\0\0\0") + 14),
            ("an import", place(b"IofCallDriver\0") + 4),
        ] {
            let mut other = image.clone();
            other[at] ^= 2;
            assert!(compare(&image, &other).is_err(), "{what}");
        }
    }
}
