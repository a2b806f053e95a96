//! The checks, each on its own.

use super::image::{Check, Image, Section};
use super::resources;
use object::LittleEndian as LE;
use object::pe::*;
use object::read::Object as _;
use object::read::pe::{ExportTarget, Import};

pub(super) const ALL: &[Check] = &[
    Check {
        rule: "it is for the processor that it was built for",
        run: machine,
    },
    Check {
        rule: "its subsystem is native",
        run: subsystem,
    },
    Check {
        rule: "it is a WDM driver image that can be relocated",
        run: relocatable,
    },
    Check {
        rule: "no-execute, random addresses, also above 4 GB, signature enforced",
        run: mitigations,
    },
    Check {
        rule: "it imports from ntoskrnl.exe and hal.dll only",
        run: imported_modules,
    },
    Check {
        rule: "it imports only reviewed names (tests/imports.txt)",
        run: imported_names,
    },
    Check {
        rule: "no section is both writable and executable",
        run: write_or_execute,
    },
    Check {
        rule: "sections are aligned to pages",
        run: page_alignment,
    },
    Check {
        rule: "nothing is pageable or discardable but INIT and what only the loader reads",
        run: pageable,
    },
    Check {
        rule: "its entry point is code in INIT",
        run: entry,
    },
    Check {
        rule: "it exports nothing but its entry point and what wdk-sys has for linkers",
        run: exports,
    },
    Check {
        rule: "it has no thread-local storage, delayed or bound imports, or managed code",
        run: directories,
    },
    Check {
        rule: "its checksum is right",
        run: checksum,
    },
    Check {
        rule: "its version resource names the package's version",
        run: version,
    },
    Check {
        rule: "it names the PDB beside it, without a path",
        run: program_database,
    },
];

fn machine(image: &Image<'_>) -> Result<(), String> {
    let machine = image.headers().file_header.machine.get(LE);
    let expected = image.expected.machine;
    require(machine == expected, || {
        format!("machine 0x{machine:X}, expected 0x{expected:X}")
    })
}

fn subsystem(image: &Image<'_>) -> Result<(), String> {
    let subsystem = image.headers().optional_header.subsystem.get(LE);
    require(subsystem == IMAGE_SUBSYSTEM_NATIVE, || {
        format!("subsystem {subsystem}")
    })
}

fn relocatable(image: &Image<'_>) -> Result<(), String> {
    let characteristics = image.headers().file_header.characteristics.get(LE);
    require(
        characteristics.contains(IMAGE_FILE_EXECUTABLE_IMAGE),
        || "it is marked as not linked".into(),
    )?;
    require(
        !characteristics.contains(IMAGE_FILE_RELOCS_STRIPPED),
        || "its relocations were stripped".into(),
    )?;
    require(
        image.directory(IMAGE_DIRECTORY_ENTRY_BASERELOC).is_some(),
        || "it has no relocations".into(),
    )
}

fn mitigations(image: &Image<'_>) -> Result<(), String> {
    let flags = image.headers().optional_header.dll_characteristics.get(LE);
    let missing: Vec<&str> = [
        (IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "NX_COMPAT"),
        (IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "DYNAMIC_BASE"),
        (IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA, "HIGH_ENTROPY_VA"),
        (IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY, "FORCE_INTEGRITY"),
    ]
    .into_iter()
    .filter_map(|(flag, name)| (!flags.contains(flag)).then_some(name))
    .collect();
    require(missing.is_empty(), || {
        format!("missing {}", missing.join(", "))
    })
}

/// Calls `visit` with each module and name that is imported; `None` is an ordinal.
fn each_import<'a>(
    image: &Image<'a>,
    mut visit: impl FnMut(&str, Option<&'a [u8]>) -> Result<(), String>,
) -> Result<(), String> {
    let error = |error: object::read::Error| error.to_string();
    let table = image
        .file
        .import_table()
        .map_err(error)?
        .ok_or("it imports nothing")?;
    let mut descriptors = table.descriptors().map_err(error)?;
    while let Some(descriptor) = descriptors.next().map_err(error)? {
        let module = table.name(descriptor.name.get(LE)).map_err(error)?;
        let module = String::from_utf8_lossy(module).to_lowercase();
        visit(&module, Some(b""))?;
        let mut thunks = table
            .thunks(descriptor.original_first_thunk.get(LE))
            .map_err(error)?;
        while let Some(thunk) = thunks.next::<ImageNtHeaders64>().map_err(error)? {
            match table.import::<ImageNtHeaders64>(thunk).map_err(error)? {
                Import::Name(_hint, name) => visit(&module, Some(name))?,
                Import::Ordinal(_) => visit(&module, None)?,
            }
        }
    }
    Ok(())
}

fn imported_modules(image: &Image<'_>) -> Result<(), String> {
    each_import(image, |module, _| {
        require(matches!(module, "ntoskrnl.exe" | "hal.dll"), || {
            format!("it imports from {module}")
        })
    })
}

fn imported_names(image: &Image<'_>) -> Result<(), String> {
    let mut unknown = Vec::new();
    each_import(image, |module, name| {
        match name.map(String::from_utf8_lossy) {
            Some(name) if name.is_empty() || image.expected.imports.find(&name).is_some() => {}
            Some(name) => unknown.push(name.into_owned()),
            None => unknown.push(format!("an ordinal of {module}")),
        }
        Ok(())
    })?;
    require(unknown.is_empty(), || unknown.join(", "))
}

fn write_or_execute(image: &Image<'_>) -> Result<(), String> {
    let both = |section: &Section<'_>| {
        section.has(IMAGE_SCN_MEM_WRITE) && section.has(IMAGE_SCN_MEM_EXECUTE)
    };
    none_of(image, both)
}

/// Protection works by pages: smaller sections would share one (HVCI refuses such an image).
fn page_alignment(image: &Image<'_>) -> Result<(), String> {
    const PAGE: u32 = 0x1000;
    let alignment = image.headers().optional_header.section_alignment.get(LE);
    require(alignment.is_multiple_of(PAGE) && alignment != 0, || {
        format!("alignment 0x{alignment:X}")
    })?;
    none_of(image, |section| {
        !section.0.virtual_address.get(LE).is_multiple_of(PAGE)
    })
}

/// A driver's section is pageable if its name begins with PAGE (P1).
fn pageable(image: &Image<'_>) -> Result<(), String> {
    none_of(image, |section| {
        let name = section.name();
        name.starts_with("PAGE")
            || name.starts_with(".eda")
            || section.has(IMAGE_SCN_MEM_DISCARDABLE)
                && !matches!(&*name, "INIT" | ".reloc" | ".rsrc")
    })?;
    let discarded = image
        .sections()
        .find(|section| section.name() == "INIT")
        .ok_or("there is no INIT section")?;
    require(discarded.has(IMAGE_SCN_MEM_DISCARDABLE), || {
        "INIT is not discardable".into()
    })
}

/// DriverEntry goes away with what only it uses.
fn entry(image: &Image<'_>) -> Result<(), String> {
    let entry = image
        .headers()
        .optional_header
        .address_of_entry_point
        .get(LE);
    let section = image
        .sections()
        .find(|section| section.contains(entry))
        .ok_or("it lies in no section")?;
    require(section.has(IMAGE_SCN_MEM_EXECUTE), || {
        format!("{} is no code", section.name())
    })?;
    require(section.name() == "INIT", || {
        format!("it lies in {}", section.name())
    })
}

/// The kernel finds the entry point in the header. Some linkers are told to export it by its name
/// as well; anything else would make the driver a library for others.
/// What wdk-sys defines because Microsoft's linker asks for it. On Windows rustc exports them, by a
/// definition file, of which that linker takes one.
const FOR_LINKERS: [&[u8]; 4] = [
    b"__CxxFrameHandler3",
    b"__CxxFrameHandler4",
    b"__GSHandlerCheck_EH4",
    b"_fltused",
];

fn exports(image: &Image<'_>) -> Result<(), String> {
    let table = image
        .file
        .export_table()
        .map_err(|error| error.to_string())?;
    let Some(table) = table else { return Ok(()) };
    let optional = &image.headers().optional_header;
    let entry = optional.address_of_entry_point.get(LE);
    let exports = table.exports().map_err(|error| error.to_string())?;
    let others: Vec<_> = exports
        .iter()
        .filter(|export| match (export.target, export.name) {
            (ExportTarget::Address(0), _) => false,
            (ExportTarget::Address(address), _) if address == entry => false,
            (ExportTarget::Address(_), Some(name)) => !FOR_LINKERS.contains(&name),
            _ => true,
        })
        .map(|export| String::from_utf8_lossy(export.name.unwrap_or(b"one without a name")))
        .collect();
    require(others.is_empty(), || others.join(", "))
}

fn directories(image: &Image<'_>) -> Result<(), String> {
    let present: Vec<&str> = [
        (IMAGE_DIRECTORY_ENTRY_TLS, "thread-local storage"),
        (IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT, "delayed imports"),
        (IMAGE_DIRECTORY_ENTRY_BOUND_IMPORT, "bound imports"),
        (IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR, "managed code"),
    ]
    .into_iter()
    .filter_map(|(index, name)| image.directory(index).map(|_| name))
    .collect();
    require(present.is_empty(), || present.join(", "))
}

/// Of the field in the NT headers: behind the signature (4 bytes) and the file header (20), at
/// offset 64 of the optional header.
pub(super) const CHECKSUM_OFFSET: usize = 4 + 20 + 64;

/// The sum of the file's 16-bit words with carry, without the field itself, plus the length.
fn checksum(image: &Image<'_>) -> Result<(), String> {
    let stored = image.headers().optional_header.check_sum.get(LE);
    let computed = compute_checksum(
        image.bytes,
        image.file.dos_header().nt_headers_offset() as usize,
    );
    require(stored == computed, || {
        format!("0x{stored:X}, expected 0x{computed:X}")
    })
}

/// What the checksum field of a file must hold whose NT headers begin at byte `headers`.
pub(super) fn compute_checksum(bytes: &[u8], headers: usize) -> u32 {
    let field = headers + CHECKSUM_OFFSET;
    let mut sum = 0_u32;
    for (index, word) in bytes.chunks(2).enumerate() {
        let word = match *word {
            [low, high] => u16::from_le_bytes([low, high]),
            [low] => u16::from(low),
            _ => 0,
        };
        if index != field / 2 && index != field / 2 + 1 {
            sum += u32::from(word);
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
    }
    sum + bytes.len() as u32
}

fn version(image: &Image<'_>) -> Result<(), String> {
    let found = resources::file_version(image)?;
    let mut expected = [0_u16; 4];
    for (place, number) in expected.iter_mut().zip(image.expected.version.split('.')) {
        *place = number
            .parse()
            .map_err(|_| format!("the package's version is {number:?}"))?;
    }
    require(found == expected, || {
        format!("{found:?}, expected {expected:?}")
    })
}

/// A path would tell strangers about the machine that built it, and differ between machines.
fn program_database(image: &Image<'_>) -> Result<(), String> {
    let entry = image
        .file
        .pdb_info()
        .map_err(|error| error.to_string())?
        .ok_or("there is no CodeView entry")?;
    let name = String::from_utf8_lossy(entry.path());
    require(!name.contains(['/', '\\']), || format!("it names {name}"))?;
    let pdb = pdb2::PDB::open(std::io::Cursor::new(image.expected.pdb))
        .and_then(|mut pdb| pdb.pdb_information());
    let pdb = pdb.map_err(|error| format!("the PDB cannot be read: {error}"))?;
    require(pdb.guid.to_bytes_le() == entry.guid(), || {
        "the PDB is of another build".into()
    })
}

fn require(condition: bool, found: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(found()) }
}

fn none_of(image: &Image<'_>, bad: impl Fn(&Section<'_>) -> bool) -> Result<(), String> {
    let names: Vec<String> = image
        .sections()
        .filter(bad)
        .map(|section| section.name())
        .collect();
    require(names.is_empty(), || names.join(", "))
}
