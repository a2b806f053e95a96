//! What a driver's file says about itself.

use anyhow::Context;
use object::read::NameOrOrdinal;
use object::read::pe::PeFile64;
use object::{LittleEndian, Object, ObjectSection};
use serde::Serialize;
use std::path::Path;

/// A driver's image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageFacts {
    /// Path as given.
    pub path: String,
    /// Bytes of the file.
    pub size: u64,
    /// `TimeDateStamp`; a hash of the contents in reproducible builds.
    pub timestamp: u32,
    /// `CheckSum` of the optional header.
    pub checksum: u32,
    /// Names and virtual sizes.
    pub sections: Vec<(String, u64)>,
    /// Imported names as `dll!name`.
    pub imports: Vec<String>,
}

impl ImageFacts {
    /// Reads them from the file.
    ///
    /// # Errors
    /// The file cannot be read or is not a 64-bit PE image.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let data =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = PeFile64::parse(data.as_slice())
            .with_context(|| format!("{} is not a 64-bit PE image", path.display()))?;
        let headers = file.nt_headers();
        let mut imports = Vec::new();
        for import in file.imports().context("the import table is damaged")? {
            let import = import.context("the import table is damaged")?;
            let name = match import.name() {
                NameOrOrdinal::Name(name) => String::from_utf8_lossy(name).into_owned(),
                NameOrOrdinal::Ordinal(ordinal) => format!("#{ordinal}"),
            };
            imports.push(format!(
                "{}!{name}",
                String::from_utf8_lossy(import.library())
            ));
        }
        imports.sort();
        Ok(Self {
            path: path.display().to_string(),
            size: data.len() as u64,
            timestamp: headers.file_header.time_date_stamp.get(LittleEndian),
            checksum: headers.optional_header.check_sum.get(LittleEndian),
            sections: file
                .sections()
                .map(|section| (section.name().unwrap_or("?").to_owned(), section.size()))
                .collect(),
            imports,
        })
    }
}
