//! Names of the box's own code, for reports of what went wrong in there.

use super::dwarf;
use super::source::Source;
use object::{Object as _, ObjectSymbol as _, SymbolKind};
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The program that runs.
struct Own {
    /// Where it lies.
    base: usize,
    lines: Mutex<Box<dyn Source>>,
    /// Functions by where they begin. Where there are line tables alone, no other place has all names.
    functions: BTreeMap<u64, String>,
}

fn own() -> Option<&'static Own> {
    static OWN: OnceLock<Option<Own>> = OnceLock::new();
    OWN.get_or_init(|| {
        let base = base()?;
        let file = std::fs::read(std::env::current_exe().ok()?).ok()?;
        let file = object::File::parse(&*file).ok()?;
        let lines: Box<dyn Source> = Box::new(dwarf::read(&file)?);
        let symbols = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text);
        let function = |symbol: object::Symbol<'_, '_>| {
            Some((symbol.address(), symbol.name().ok()?.to_owned()))
        };
        Some(Own {
            functions: symbols.filter_map(function).collect(),
            base: base.wrapping_sub(file.relative_address_base() as usize),
            lines: Mutex::new(lines),
        })
    })
    .as_ref()
}

/// Where the host has mapped the program that runs.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the host's loader is asked")]
fn base() -> Option<usize> {
    // SAFETY: a structure of pointers.
    let mut found: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: an address, and room for what is known of it.
    let known = unsafe { libc::dladdr(base as *const libc::c_void, &raw mut found) } != 0;
    known.then(|| found.dli_fbase.expose_provenance())
}
#[cfg(not(target_os = "linux"))]
fn base() -> Option<usize> {
    None
}

/// The function of the box that the return address `at` lies in, with file and line where that is known.
pub fn describe(at: usize) -> Option<String> {
    let own = own()?;
    // In front of the return address is the call.
    let address = at.checked_sub(own.base + 1)?;
    let rva = u32::try_from(address).ok()?;
    let lines = own.lines.lock().unwrap_or_else(PoisonError::into_inner);
    let frames = lines.frames(rva)?;
    // As for drivers: what is the language's own and inlined tells nothing.
    let of_box = |frame: &&super::Frame| !frame.file.as_deref().is_some_and(super::is_library);
    let frame = frames.iter().find(of_box)?;
    let symbol = || own.functions.range(..=u64::from(rva)).next_back();
    let named = frame.function.as_deref().map(super::readable);
    let function = named
        .filter(|name| name.contains("::"))
        .or_else(|| Some(super::readable(symbol()?.1)))?;
    let roots: Vec<_> = std::env::current_dir().into_iter().collect();
    Some(match (frame.file.as_deref(), frame.line) {
        (Some(file), Some(line)) => format!("{function} ({}:{line})", super::shorten(file, &roots)),
        _ => function,
    })
}
