//! Functions by name alone: from the COFF symbol table of an image, and from what it exports.

use super::source::{Frame, Source};
use object::pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION;
use object::read::pe::PeFile64;
use object::{ExportTarget, NameOrOrdinal, Object as _, ObjectSymbol as _, SymbolKind};
use pe_unwind_info::x86_64::FunctionTableEntries;
use std::collections::BTreeMap;

/// Functions by the address that they begin at.
struct Names(BTreeMap<u32, Function>);

struct Function {
    name: String,
    /// Where it ends, at the latest.
    end: u32,
}

/// What is in an image; `None` if that is nothing.
pub(super) fn read(image: &PeFile64<'_>) -> Option<impl Source + use<>> {
    let mut names = exported(image);
    // The table has every function: each ends at the next. Of one that is exported under another
    // name, its own is told.
    for symbol in image.symbols() {
        let is_function = symbol.kind() == SymbolKind::Text && !symbol.is_undefined();
        let (address, name) = (relative(image, symbol.address()), symbol.name());
        if let (true, Some(address), Ok(name)) = (is_function, address, name) {
            let (name, end) = (name.to_owned(), u32::MAX);
            names.insert(address, Function { name, end });
        }
    }
    (!names.is_empty()).then_some(Names(names))
}

/// The exported functions, each as long as its unwind data says. What lies behind it may be any
/// other, of which nothing is known.
fn exported(image: &PeFile64<'_>) -> BTreeMap<u32, Function> {
    let directory = image.data_directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION);
    let table = directory.and_then(|table| table.data(image.data(), &image.section_table()).ok());
    let table = FunctionTableEntries::parse(table.unwrap_or_default());
    let exports = image.exports().into_iter().flatten().flatten();
    let named = exports.filter_map(|export| {
        let (NameOrOrdinal::Name(name), ExportTarget::Address { address }) =
            (export.name(), export.target())
        else {
            return None;
        };
        let address = relative(image, address)?;
        let unwind = table.lookup(address);
        let unwind = unwind.filter(|found| found.begin_address.get() == address);
        let end = unwind.map_or(address + 1, |found| found.end_address.get());
        let name = String::from_utf8_lossy(name).into_owned();
        Some((address, Function { name, end }))
    });
    named.collect()
}

fn relative(image: &PeFile64<'_>, address: u64) -> Option<u32> {
    u32::try_from(address.checked_sub(image.relative_address_base())?).ok()
}

impl Source for Names {
    fn begins_function(&self, rva: u32) -> bool {
        self.0.contains_key(&rva)
    }
    fn frames(&self, rva: u32) -> Option<Vec<Frame>> {
        let (begin, function) = self.0.range(..=rva).next_back()?;
        (rva < function.end).then(|| {
            vec![Frame {
                function: Some(function.name.clone()),
                begin: Some(*begin),
                ..Frame::default()
            }]
        })
    }
}
