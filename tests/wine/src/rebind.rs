//! Binds some imports of an image to another module, and changes nothing else.
//!
//! A linker could do it, but then the code would be another link's. Here the image keeps every
//! byte of its sections. It gets a new section with an import directory of its own: one
//! descriptor for each run of imports that go to the same module, whose thunks are that part of
//! the old import address table. The code finds its imports where they always were.

use anyhow::{Context, Result, ensure};
use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_IMPORT, IMAGE_DIRECTORY_ENTRY_SECURITY, IMAGE_SCN_CNT_INITIALIZED_DATA,
    IMAGE_SCN_MEM_READ, IMAGE_SCN_MEM_WRITE, ImageDataDirectory, ImageDosHeader,
    ImageImportDescriptor, ImageNtHeaders64, ImageSectionHeader,
};
use object::read::pe::{Import, PeFile64};
use std::mem::offset_of;

/// The name of the new section.
const SECTION: &[u8; 8] = b".rebind\0";

/// An imported name, and where its pointer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The module it comes from.
    pub module: String,
    /// The name.
    pub name: String,
    /// The address of the pointer, relative to the image.
    pub thunk: u32,
}

/// Everything that `image` imports.
///
/// # Errors
/// When it is no PE32+ image, or imports by ordinal.
pub fn imports(image: &[u8]) -> Result<Vec<Imported>> {
    let file = PeFile64::parse(image).context("not a PE32+ image")?;
    let mut found = Vec::new();
    let Some(table) = file.import_table()? else {
        return Ok(found);
    };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let module = text(table.name(descriptor.name.get(LE))?);
        let first = descriptor.first_thunk.get(LE);
        let names = match descriptor.original_first_thunk.get(LE) {
            0 => first,
            names => names,
        };
        let mut thunks = table.thunks(names)?;
        let mut thunk = first;
        while let Some(entry) = thunks.next::<ImageNtHeaders64>()? {
            let import = table.import::<ImageNtHeaders64>(entry)?;
            let Import::Name(_, name) = import else {
                anyhow::bail!("{module} is imported from by ordinal");
            };
            found.push(Imported {
                module: module.clone(),
                name: text(name),
                thunk,
            });
            thunk += THUNK;
        }
    }
    Ok(found)
}

/// The names that `image` exports.
///
/// # Errors
/// When it is no PE32+ image.
pub fn exports(image: &[u8]) -> Result<Vec<String>> {
    let file = PeFile64::parse(image).context("not a PE32+ image")?;
    let Some(table) = file.export_table()? else {
        return Ok(Vec::new());
    };
    let exports = table.exports()?;
    Ok(exports
        .iter()
        .filter_map(|export| export.name)
        .map(text)
        .collect())
}

/// A copy of `image` that imports the names of `chosen` from `module`.
///
/// # Errors
/// When it is no PE32+ image with imports, or its headers have no room for another section.
pub fn rebind(image: &[u8], module: &str, chosen: impl Fn(&str) -> bool) -> Result<Vec<u8>> {
    let mut imports = imports(image)?;
    ensure!(!imports.is_empty(), "the image imports nothing");
    for import in &mut imports {
        if chosen(&import.name) {
            import.module = module.to_owned();
        }
    }

    let headers = Headers::of(image)?;
    let mut result = image.get(..headers.file_end).context("cut off")?.to_vec();
    let directory = Directory::of(&imports, headers.image_end);
    result.resize(align(result.len(), headers.file_alignment), 0);
    let raw = u32::try_from(result.len())?;
    result.extend(&directory.bytes);
    result.resize(align(result.len(), headers.file_alignment), 0);

    let size = u32::try_from(directory.bytes.len())?;
    let mut section = Vec::with_capacity(size_of::<ImageSectionHeader>());
    section.extend(SECTION);
    for word in [
        size,
        headers.image_end,
        u32::try_from(result.len())? - raw,
        raw,
        0,
        0,
        0,
    ] {
        section.extend(word.to_le_bytes());
    }
    let kind = IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ | IMAGE_SCN_MEM_WRITE;
    section.extend(kind.0.to_le_bytes());
    put(&mut result, headers.next_section, &section);

    let count = headers.sections + 1;
    put(&mut result, headers.section_count, &count.to_le_bytes());
    let image_end = align(
        headers.image_end as usize + directory.bytes.len(),
        headers.section_alignment,
    );
    put(
        &mut result,
        headers.image_size,
        &u32::try_from(image_end)?.to_le_bytes(),
    );
    let entry = |index: usize| headers.directories + index * size_of::<ImageDataDirectory>();
    let import = entry(IMAGE_DIRECTORY_ENTRY_IMPORT);
    put(&mut result, import, &headers.image_end.to_le_bytes());
    put(
        &mut result,
        import + 4,
        &directory.descriptors.to_le_bytes(),
    );
    // A signature would be that of another image.
    put(&mut result, entry(IMAGE_DIRECTORY_ENTRY_SECURITY), &[0; 8]);
    put(&mut result, headers.checksum, &[0; 4]);
    Ok(result)
}

/// Bytes of a thunk.
const THUNK: u32 = 8;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn align(value: usize, alignment: usize) -> usize {
    value.div_ceil(alignment) * alignment
}

/// Overwrites a field of the headers, whose place [`Headers`] has checked.
fn put(image: &mut [u8], offset: usize, bytes: &[u8]) {
    image[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// What is needed of the headers: values, and the offsets in the file of what changes.
struct Headers {
    sections: u16,
    file_alignment: usize,
    section_alignment: usize,
    /// Where the image ends in memory: there the new section begins.
    image_end: u32,
    /// Where it ends in the file, without a signature.
    file_end: usize,
    section_count: usize,
    image_size: usize,
    checksum: usize,
    directories: usize,
    next_section: usize,
}

impl Headers {
    fn of(image: &[u8]) -> Result<Self> {
        let file = PeFile64::parse(image).context("not a PE32+ image")?;
        let nt = file.nt_headers();
        let at = file.dos_header().nt_headers_offset() as usize;
        debug_assert!(at >= size_of::<ImageDosHeader>());
        let optional = at + offset_of!(ImageNtHeaders64, optional_header);
        let field = |offset: usize| optional + offset;
        let sections = nt.file_header.number_of_sections.get(LE);
        let table = optional + usize::from(nt.file_header.size_of_optional_header.get(LE));
        let next_section = table + usize::from(sections) * size_of::<ImageSectionHeader>();
        let room = next_section + size_of::<ImageSectionHeader>();
        let options = &nt.optional_header;
        ensure!(
            room <= options.size_of_headers.get(LE) as usize,
            "the headers have no room for another section"
        );
        let signature = file
            .data_directories()
            .get(IMAGE_DIRECTORY_ENTRY_SECURITY)
            .map(|directory| directory.virtual_address.get(LE) as usize);
        Ok(Self {
            sections,
            file_alignment: options.file_alignment.get(LE) as usize,
            section_alignment: options.section_alignment.get(LE) as usize,
            image_end: options.size_of_image.get(LE),
            file_end: signature.unwrap_or(image.len()),
            section_count: at
                + offset_of!(ImageNtHeaders64, file_header)
                + offset_of!(object::pe::ImageFileHeader, number_of_sections),
            image_size: field(offset_of!(object::pe::ImageOptionalHeader64, size_of_image)),
            checksum: field(offset_of!(object::pe::ImageOptionalHeader64, check_sum)),
            directories: field(size_of::<object::pe::ImageOptionalHeader64>()),
            next_section,
        })
    }
}

/// An import directory.
struct Directory {
    /// Descriptors, then names of modules and imports, then lists of imports.
    bytes: Vec<u8>,
    /// Bytes of the descriptors.
    descriptors: u32,
}

impl Directory {
    /// The directory of `imports` at the address `base`.
    fn of(imports: &[Imported], base: u32) -> Self {
        let runs: Vec<&[Imported]> = imports
            .chunk_by(|one, next| one.module == next.module && one.thunk + THUNK == next.thunk)
            .collect();
        let descriptors = (runs.len() + 1) * size_of::<ImageImportDescriptor>();
        let mut bytes = vec![0; descriptors];
        for (index, run) in runs.iter().enumerate() {
            let Some(first) = run.first() else { continue };
            let address = |bytes: &Vec<u8>| base + bytes.len() as u32;
            let module = address(&bytes);
            bytes.extend(first.module.bytes());
            bytes.push(0);
            let mut names = Vec::new();
            for import in *run {
                // Behind a hint, which is even.
                bytes.resize(align(bytes.len(), 2), 0);
                names.push(u64::from(address(&bytes)));
                bytes.extend([0, 0]);
                bytes.extend(import.name.bytes());
                bytes.push(0);
            }
            bytes.resize(align(bytes.len(), THUNK as usize), 0);
            let list = address(&bytes);
            for name in names.into_iter().chain([0]) {
                bytes.extend(name.to_le_bytes());
            }
            let descriptor = [list, 0, 0, module, first.thunk];
            let start = index * size_of::<ImageImportDescriptor>();
            for (word, value) in descriptor.into_iter().enumerate() {
                put(&mut bytes, start + word * 4, &value.to_le_bytes());
            }
        }
        Self {
            bytes,
            descriptors: descriptors as u32,
        }
    }
}
