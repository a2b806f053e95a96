//! What must be true of `fsglass.sys` before it is ever run.
//!
//! [`audit`] applies every [`Check`] to the bytes of an image. The checks are
//! independent of each other and of what built the image, so that each can be
//! shown a copy that is wrong in one place (`tests/image.rs`).
//!
//! Sources: "PE Format"; "Hardware-enforced stack protection and code
//! integrity" of the driver documentation for what HVCI refuses; "Making
//! Drivers Pageable" for section names.

mod checks;
mod doctored;
mod resources;

pub use doctored::Doctored;
pub use wdk_kit::introduced::ImportList;

use object::LittleEndian as LE;
use object::pe::{ImageNtHeaders64, ImageSectionHeader, Machine, SectionFlags};
use object::read::pe::PeFile64;
use std::collections::BTreeMap;

/// One thing that must be true.
pub struct Check {
    /// What is true of a good image.
    pub rule: &'static str,
    pub(crate) run: fn(&Image<'_>) -> Result<(), String>,
}

/// Something that is not true.
#[derive(Debug)]
pub struct Finding {
    /// The rule of the check.
    pub rule: &'static str,
    /// What was found instead.
    pub found: String,
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
    bytes: &'a [u8],
    file: PeFile64<'a>,
    expected: &'a Expected<'a>,
}

/// Every check.
#[must_use]
pub fn checks() -> &'static [Check] {
    checks::ALL
}

/// Everything that is wrong with an image.
#[must_use]
pub fn audit(bytes: &[u8], expected: &Expected<'_>) -> Vec<Finding> {
    const READABLE: &str = "it is a PE32+ image";
    // The reader itself refuses PE32 and other magic numbers.
    let file = match PeFile64::parse(bytes) {
        Ok(file) => file,
        Err(error) => {
            return vec![Finding {
                rule: READABLE,
                found: error.to_string(),
            }];
        }
    };
    let image = Image {
        bytes,
        file,
        expected,
    };
    let run = |check: &Check| {
        (check.run)(&image).err().map(|found| Finding {
            rule: check.rule,
            found,
        })
    };
    checks::ALL.iter().filter_map(run).collect()
}

/// The texts of the event log in an image, by their codes.
///
/// # Errors
/// What is wrong with its message table.
pub fn message_table(
    bytes: &[u8],
    expected: &Expected<'_>,
) -> Result<BTreeMap<u32, String>, String> {
    let file = PeFile64::parse(bytes).map_err(|error| error.to_string())?;
    resources::messages(&Image {
        bytes,
        file,
        expected,
    })
}

impl<'a> Image<'a> {
    fn headers(&self) -> &'a ImageNtHeaders64 {
        self.file.nt_headers()
    }

    fn sections(&self) -> impl Iterator<Item = Section<'a>> {
        self.file.section_table().iter().map(Section)
    }

    /// Bytes at a relative virtual address, to the end of its section.
    fn at(&self, address: u32) -> Result<&'a [u8], String> {
        self.file
            .section_table()
            .pe_data_at(self.bytes, address)
            .ok_or_else(|| format!("nothing lies at 0x{address:X}"))
    }

    /// The address and size of data directory `index`, if it is not empty.
    fn directory(&self, index: usize) -> Option<(u32, u32)> {
        let directory = self.file.data_directory(index)?;
        let (address, size) = directory.address_range();
        (size != 0).then_some((address, size))
    }
}

/// A section header.
struct Section<'a>(&'a ImageSectionHeader);

impl Section<'_> {
    fn name(&self) -> String {
        String::from_utf8_lossy(self.0.raw_name()).into_owned()
    }
    fn has(&self, characteristic: SectionFlags) -> bool {
        self.0.characteristics.get(LE).contains(characteristic)
    }
    fn contains(&self, address: u32) -> bool {
        let start = self.0.virtual_address.get(LE);
        (start..start.saturating_add(self.0.virtual_size.get(LE))).contains(&address)
    }
}
