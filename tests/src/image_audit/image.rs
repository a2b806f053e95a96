//! The image that is looked at, and what a check of it is.

use object::LittleEndian as LE;
use object::pe::{ImageNtHeaders64, ImageSectionHeader, Machine, SectionFlags};
use object::read::pe::PeFile64;
use wdk_kit::introduced::ImportList;

/// One thing that must be true.
pub struct Check {
    /// What is true of a good image.
    pub rule: &'static str,
    pub(super) run: fn(&Image<'_>) -> Result<(), String>,
}

/// What an image is held against.
pub struct Expected<'a> {
    /// The processor that it is for: one of the constants `IMAGE_FILE_MACHINE_*`.
    pub machine: Machine,
    /// Names that may be imported.
    pub imports: &'a ImportList,
    /// Version of the package, as in its manifest.
    pub version: &'a str,
    /// Contents of the PDB beside the image.
    pub pdb: &'a [u8],
}

/// An image whose headers could be read.
pub struct Image<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) file: PeFile64<'a>,
    pub(super) expected: &'a Expected<'a>,
}

impl<'a> Image<'a> {
    pub(super) fn headers(&self) -> &'a ImageNtHeaders64 {
        self.file.nt_headers()
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = Section<'a>> {
        self.file.section_table().iter().map(Section)
    }

    /// Bytes at a relative virtual address, to the end of its section.
    pub(super) fn at(&self, address: u32) -> Result<&'a [u8], String> {
        self.file
            .section_table()
            .pe_data_at(self.bytes, address)
            .ok_or_else(|| format!("nothing lies at 0x{address:X}"))
    }

    /// The address and size of data directory `index`, if it is not empty.
    pub(super) fn directory(&self, index: usize) -> Option<(u32, u32)> {
        let directory = self.file.data_directory(index)?;
        let (address, size) = directory.address_range();
        (size != 0).then_some((address, size))
    }
}

/// A section header.
pub(super) struct Section<'a>(pub(super) &'a ImageSectionHeader);

impl Section<'_> {
    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(self.0.raw_name()).into_owned()
    }
    pub(super) fn has(&self, characteristic: SectionFlags) -> bool {
        self.0.characteristics.get(LE).contains(characteristic)
    }
    pub(super) fn contains(&self, address: u32) -> bool {
        let start = self.0.virtual_address.get(LE);
        (start..start.saturating_add(self.0.virtual_size.get(LE))).contains(&address)
    }
}
