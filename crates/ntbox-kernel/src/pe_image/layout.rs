//! What the headers of an image say, checked before anything is mapped.
//!
//! Format: "PE Format" in the Windows documentation.

use super::error::Problem;
use crate::host::PAGE;
use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader};
use std::hash::{DefaultHasher, Hasher};

/// A file larger than this in memory is refused; no driver comes near it.
const LARGEST_IMAGE: usize = 1 << 30;

/// One section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) rva: usize,
    /// Bytes in memory.
    pub(super) bytes: usize,
    /// Where its data lies in the file.
    pub(super) file: std::ops::Range<usize>,
    pub(super) execute: bool,
    pub(super) write: bool,
    /// Thrown away after `DriverEntry`.
    pub(super) discardable: bool,
}

impl Section {
    /// True if NT may page it out: it is named so (`PAGE`, `PAGELK`, …).
    pub(super) fn is_pageable(&self) -> bool {
        self.name.starts_with("PAGE") && !self.discardable
    }
}

/// A table of the image: address and size within it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) rva: usize,
    pub(super) bytes: usize,
}

/// The checked headers.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) preferred_base: u64,
    /// Bytes in memory, in whole pages.
    pub(super) size: usize,
    pub(super) header_bytes: usize,
    pub(super) entry: usize,
    pub(super) sections: Vec<Section>,
    pub(super) relocatable: bool,
    /// Windows loads it only if its signature is right (`IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY`).
    pub(super) checked_for_integrity: bool,
    pub(super) exports: Directory,
    pub(super) imports: Directory,
    /// The import address table.
    pub(super) import_addresses: Directory,
    pub(super) relocations: Directory,
    pub(super) load_configuration: Directory,
    /// `.pdata`: how to unwind each function.
    pub(super) functions: Directory,
    pub(super) identity: Identity,
}

/// What tells one build of an image from another, also when it has been stripped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Of the PDB that belongs to this very build.
    pub(super) pdb: Option<[u8; 16]>,
    entry: u32,
    base: u64,
    /// A digest of the code: who strips an image may give it another time.
    code: u64,
}

fn is_code(section: &pe::ImageSectionHeader) -> bool {
    section.characteristics.get(LE).0 & pe::IMAGE_SCN_MEM_EXECUTE.0 != 0
}

impl Identity {
    pub(super) fn of(image: &object::read::pe::PeFile64<'_>) -> Self {
        let headers = image.nt_headers();
        let optional = headers.optional_header();
        Self {
            pdb: object::Object::pdb_info(image)
                .ok()
                .flatten()
                .map(|info| info.guid()),
            entry: optional.address_of_entry_point(),
            base: optional.image_base(),
            code: {
                let mut digest = DefaultHasher::new();
                let sections = image.section_table();
                for section in sections.iter().filter(|section| is_code(section)) {
                    digest.write(section.pe_data(image.data()).unwrap_or_default());
                }
                digest.finish()
            },
        }
    }
}

impl Layout {
    /// Reads and checks the headers of `file`.
    pub(super) fn parse(file: &[u8]) -> Result<Self, Problem> {
        let not_an_image = |error: object::read::Error| Problem::NotAnImage(error.to_string());
        let dos = pe::ImageDosHeader::parse(file).map_err(not_an_image)?;
        let start = dos.nt_headers_offset() as usize;
        let machine = file
            .get(start..start + 6)
            .ok_or(Problem::Truncated("the PE header"))?;
        if machine.first_chunk() != Some(b"PE\0\0") {
            return Err(Problem::NotAnImage("no PE signature".into()));
        }
        let machine = u16::from_le_bytes([machine[4], machine[5]]);
        if machine != pe::IMAGE_FILE_MACHINE_AMD64.0 {
            return Err(Problem::Machine(machine));
        }
        let image = object::read::pe::PeFile64::parse(file).map_err(not_an_image)?;
        let headers = image.nt_headers();
        let optional = headers.optional_header();
        if optional.subsystem() != pe::IMAGE_SUBSYSTEM_NATIVE {
            return Err(Problem::Subsystem(optional.subsystem().0));
        }
        if optional.section_alignment() as usize != PAGE {
            return Err(Problem::SectionAlignment(optional.section_alignment()));
        }
        let size = crate::host::memory::whole_pages(optional.size_of_image() as usize);
        if size == 0 || size > LARGEST_IMAGE {
            return Err(Problem::NotAnImage(format!("{size} bytes in memory")));
        }
        let header_bytes = optional.size_of_headers() as usize;
        if header_bytes > size || header_bytes > file.len() {
            return Err(Problem::Truncated("the header"));
        }
        let entry = optional.address_of_entry_point() as usize;
        if entry == 0 {
            return Err(Problem::NoEntryPoint);
        }
        let sections: Vec<Section> = image
            .section_table()
            .iter()
            .map(|header| Section::parse(header, file.len(), size))
            .collect::<Result<_, _>>()?;
        if !sections
            .iter()
            .any(|s| s.execute && (s.rva..s.rva + s.bytes).contains(&entry))
        {
            return Err(Problem::Truncated("the entry point"));
        }
        let directory = |index: usize| {
            image
                .data_directory(index)
                .map_or(Directory::default(), |directory| Directory {
                    rva: directory.virtual_address.get(LE) as usize,
                    bytes: directory.size.get(LE) as usize,
                })
        };
        let dll_characteristics = optional.dll_characteristics().0;
        let stripped =
            headers.file_header().characteristics.get(LE).0 & pe::IMAGE_FILE_RELOCS_STRIPPED.0 != 0;
        Ok(Self {
            preferred_base: optional.image_base(),
            size,
            header_bytes,
            entry,
            sections,
            relocatable: !stripped,
            checked_for_integrity: dll_characteristics
                & pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY.0
                != 0,
            exports: directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT),
            imports: directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT),
            import_addresses: directory(pe::IMAGE_DIRECTORY_ENTRY_IAT),
            relocations: directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC),
            load_configuration: directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG),
            functions: directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION),
            identity: Identity::of(&image),
        })
    }
}

impl Section {
    fn parse(
        header: &pe::ImageSectionHeader,
        file_bytes: usize,
        image_bytes: usize,
    ) -> Result<Self, Problem> {
        let rva = header.virtual_address.get(LE) as usize;
        let raw = header.size_of_raw_data.get(LE) as usize;
        // A virtual size of zero means the size of the data, as old linkers wrote it.
        let bytes = match header.virtual_size.get(LE) as usize {
            0 => raw,
            bytes => bytes,
        };
        let start = header.pointer_to_raw_data.get(LE) as usize;
        let file = start..start + raw.min(bytes);
        if !rva.is_multiple_of(PAGE) || rva == 0 || rva + bytes > image_bytes {
            return Err(Problem::Truncated("a section"));
        }
        if file.end > file_bytes {
            return Err(Problem::Truncated("the data of a section"));
        }
        let flags = header.characteristics.get(LE).0;
        let name = header
            .name
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        Ok(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            rva,
            bytes,
            file,
            execute: flags & pe::IMAGE_SCN_MEM_EXECUTE.0 != 0,
            write: flags & pe::IMAGE_SCN_MEM_WRITE.0 != 0,
            discardable: flags & pe::IMAGE_SCN_MEM_DISCARDABLE.0 != 0,
        })
    }
}
