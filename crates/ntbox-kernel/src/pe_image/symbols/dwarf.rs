//! Functions and lines from the DWARF debugging information in an image, which GCC and clang leave
//! there for mingw-w64, and in the box itself.

use super::source::{Frame, Source};
use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, Error, LittleEndian};
use object::{Object, ObjectSection as _};

type Reader = EndianSlice<'static, LittleEndian>;

pub(super) struct Lines {
    context: Context<Reader>,
    /// Addresses are those of an image where it prefers to lie.
    base: u64,
}

/// What is in an image; `None` if there is nothing. Its sections are leaked, as images are.
pub(super) fn read<'d>(image: &impl Object<'d>) -> Option<Lines> {
    image.section_by_name(".debug_info")?;
    let section = |id: addr2line::gimli::SectionId| -> Result<Reader, Error> {
        let section = image.section_by_name(id.name());
        let data = section.and_then(|section| section.data().ok());
        let data: &[u8] = Vec::leak(data.unwrap_or_default().to_vec());
        Ok(EndianSlice::new(data, LittleEndian))
    };
    let context = Context::from_dwarf(Dwarf::load(section).ok()?).ok()?;
    Some(Lines {
        context,
        base: image.relative_address_base(),
    })
}

impl Source for Lines {
    fn begins_function(&self, _: u32) -> bool {
        // The table of symbols beside it tells.
        false
    }
    fn frames(&self, rva: u32) -> Option<Vec<Frame>> {
        let address = self.base + u64::from(rva);
        let mut found = self.context.find_frames(address).skip_all_loads().ok()?;
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = found.next() {
            let name = frame.function.as_ref();
            let name = name.and_then(|function| function.raw_name().ok());
            let location = frame.location;
            frames.push(Frame {
                function: name.map(|name| name.into_owned()),
                file: location
                    .as_ref()
                    .and_then(|location| Some(location.file?.to_owned())),
                line: location.and_then(|location| location.line),
                begin: None,
            });
        }
        (!frames.is_empty()).then_some(frames)
    }
}
