//! Driver images: mapping a `.sys`, and saying what lies at an address.
//!
//! [`load`] maps a PE image as the kernel does: sections at their places,
//! relocations applied, every import bound or all missing ones named. While
//! that happens the image is writable; [`Image::protect`] then gives each
//! section its final protection before any of its code runs.
//!
//! No page is ever writable and executable, whatever the section asks for:
//! code is not writable here, as under memory integrity (HVCI).
//!
//! An image lives until the process ends. After [`Image::unload`] its pages
//! are inaccessible but its address range stays its own, so that code which
//! still reaches into it is told as "unloaded fsglass". The same file can be
//! loaded several times; later copies are named `fsglass#2` and so on.

#![expect(unsafe_code, reason = "an image is mapped and protected by address")]

mod binding;
mod calls;
pub mod crossing;
mod error;
pub mod frame;
mod layout;
mod symbols;
mod unwind;
mod view;

#[cfg(test)]
pub(crate) mod test_image;
#[cfg(test)]
mod tests;

pub use calls::is_return_address;
pub use error::{LoadError, Problem};
pub use symbols::{add as add_symbols, describe_own, unused as unused_symbols};
pub use unwind::{Origin, calls_of_routine, driver_calls, function_at};

use crate::host::memory::{self, Protection, try_read_usize};
use crate::host::pageable;
use layout::{Directory, Layout, Section};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use view::View;

/// A mapped image.
///
/// # Invariants
/// `base..base + size` is a reservation of this image alone, never released.
pub struct Image {
    name: String,
    path: PathBuf,
    base: usize,
    size: usize,
    entry: usize,
    checked_for_integrity: bool,
    header_bytes: usize,
    sections: Vec<Section>,
    exports: HashMap<String, usize>,
    /// Import slots (relative) with the names they are bound to.
    imports: HashMap<usize, String>,
    import_addresses: Directory,
    functions: Directory,
    symbols: symbols::Symbols,
    state: AtomicU8,
    next: AtomicPtr<Image>,
}

/// States of an image, in their order.
const MAPPED: u8 = 0;
const PROTECTED: u8 = 1;
const INIT_DISCARDED: u8 = 2;
const UNLOADED: u8 = 3;

/// Every image ever loaded, newest first. Images are never removed, so the
/// list is read without a lock, also from the fault handler.
static IMAGES: AtomicPtr<Image> = AtomicPtr::new(std::ptr::null_mut());

/// Every image ever loaded, newest first.
pub fn images() -> impl Iterator<Item = &'static Image> {
    let mut next = IMAGES.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: the list holds leaked images only.
        let image = unsafe { next.as_ref() }?;
        next = image.next.load(Ordering::Acquire);
        Some(image)
    })
}

/// Maps the driver at `path` and binds its imports with `resolve(dll, name)`.
pub fn load(
    path: &Path,
    resolve: &dyn Fn(&str, &str) -> Option<usize>,
) -> Result<&'static Image, LoadError> {
    let refuse = |problem| LoadError {
        path: path.to_owned(),
        problem,
    };
    let file =
        std::fs::read(path).map_err(|error| refuse(Problem::Unreadable(error.to_string())))?;
    map(path, &file, resolve).map_err(refuse)
}

fn map(
    path: &Path,
    file: &[u8],
    resolve: &dyn Fn(&str, &str) -> Option<usize>,
) -> Result<&'static Image, Problem> {
    let layout = Layout::parse(file)?;
    let base = memory::reserve(layout.size).ok_or(Problem::OutOfMemory)?;
    // SAFETY: the reservation was just made and nothing refers into it.
    let prepared = if unsafe { memory::protect(base, layout.size, Protection::ReadWrite) } {
        // SAFETY: the pages are writable, zeroed, and known to nobody else yet.
        let mut view =
            View(unsafe { std::slice::from_raw_parts_mut(base as *mut u8, layout.size) });
        prepare(&mut view, &layout, file, base, resolve)
    } else {
        Err(Problem::OutOfMemory)
    };
    let (imports, exports) = match prepared {
        Ok(tables) => tables,
        Err(problem) => {
            // SAFETY: the reservation is given up; nothing was told of it.
            unsafe { memory::release(base, layout.size) };
            return Err(problem);
        }
    };
    let stem = path.file_stem().map_or_else(
        || "driver".into(),
        |stem| stem.to_string_lossy().into_owned(),
    );
    let image = Box::leak(Box::new(Image {
        name: unused_name(&stem),
        path: path.to_owned(),
        base,
        size: layout.size,
        entry: base + layout.entry,
        checked_for_integrity: layout.checked_for_integrity,
        header_bytes: layout.header_bytes,
        sections: layout.sections,
        exports,
        imports,
        import_addresses: layout.import_addresses,
        functions: layout.functions,
        symbols: symbols::Symbols::new(path, layout.identity),
        state: AtomicU8::new(MAPPED),
        next: AtomicPtr::new(std::ptr::null_mut()),
    }));
    LOWEST.fetch_min(image.base, Ordering::Relaxed);
    HIGHEST.fetch_max(image.base + image.size, Ordering::Relaxed);
    let mut newest = IMAGES.load(Ordering::Acquire);
    loop {
        image.next.store(newest, Ordering::Relaxed);
        match IMAGES.compare_exchange_weak(newest, image, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(image),
            Err(current) => newest = current,
        }
    }
}

type Tables = (HashMap<usize, String>, HashMap<String, usize>);

fn prepare(
    view: &mut View<'_>,
    layout: &Layout,
    file: &[u8],
    base: usize,
    resolve: &dyn Fn(&str, &str) -> Option<usize>,
) -> Result<Tables, Problem> {
    binding::copy_sections(view, layout, file)?;
    binding::relocate(view, layout, base)?;
    binding::set_security_cookie(view, layout, base)?;
    let imports = binding::bind_imports(view, layout, resolve)?;
    let exports = binding::read_exports(view, layout)?;
    Ok((imports, exports))
}

fn unused_name(stem: &str) -> String {
    let copies = images()
        .filter(|image| image.name.split('#').next() == Some(stem))
        .count();
    if copies == 0 {
        stem.to_owned()
    } else {
        format!("{stem}#{}", copies + 1)
    }
}

impl Image {
    /// The file's name without extension; further copies have a number behind it.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The file it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Address of the image.
    pub fn base(&self) -> usize {
        self.base
    }
    /// Bytes in memory.
    pub fn size(&self) -> usize {
        self.size
    }
    /// Address of `DriverEntry` (or of the C runtime's entry in front of it).
    pub fn entry(&self) -> usize {
        self.entry
    }
    /// Address of an exported name.
    pub fn export(&self, name: &str) -> Option<usize> {
        self.exports.get(name).map(|rva| self.base + rva)
    }
    /// True if `address` lies in the image, loaded or not.
    pub fn contains(&self, address: usize) -> bool {
        (self.base..self.base + self.size).contains(&address)
    }
    /// False once [`Image::unload`] was called.
    pub fn is_loaded(&self) -> bool {
        self.state.load(Ordering::Acquire) != UNLOADED
    }
    /// True if `address` lies in a section that was discarded after `DriverEntry`.
    pub fn is_discarded(&self, address: usize) -> bool {
        self.state.load(Ordering::Acquire) >= INIT_DISCARDED
            && self
                .section_at(address)
                .is_some_and(|section| section.discardable)
    }
    /// Name of the section at `address`.
    fn section_name(&self, address: usize) -> Option<&str> {
        self.section_at(address)
            .map(|section| section.name.as_str())
    }

    /// Where in the image `address` is: `0x3010 of fsglass (.data)`.
    pub fn describe_place(&self, address: usize) -> String {
        let section = self.section_name(address).unwrap_or("the header");
        format!("0x{:x} of {} ({section})", address - self.base, self.name)
    }
    /// True if `address` lies in executable code of the image.
    pub fn is_code(&self, address: usize) -> bool {
        self.section_at(address)
            .is_some_and(|section| section.execute)
    }
    /// True if code at `address` can be executed now.
    pub fn is_runnable(&self, address: usize) -> bool {
        matches!(
            self.state.load(Ordering::Acquire),
            PROTECTED | INIT_DISCARDED
        ) && self.is_code(address)
            && !self.is_discarded(address)
    }
    /// True for an image that is linked with `/INTEGRITYCHECK`, as some routines ask.
    pub fn is_checked_for_integrity(&self) -> bool {
        self.checked_for_integrity
    }
    /// The sections that can be written and executed, by name.
    pub fn writable_code(&self) -> impl Iterator<Item = &str> {
        let both = |section: &&Section| section.execute && section.write;
        self.sections
            .iter()
            .filter(both)
            .map(|section| &*section.name)
    }
    /// The section with the import address table, if that can be executed.
    pub fn executable_imports(&self) -> Option<&str> {
        let Directory { rva, bytes } = self.import_addresses;
        let section = self.section_at(self.base + rva);
        let section = section.filter(|section| bytes != 0 && section.execute)?;
        Some(&section.name)
    }
    /// The import that is bound to `address`.
    fn import_bound_to(&self, address: usize) -> Option<&str> {
        let bound = self
            .imports
            .iter()
            .find(|(rva, _)| try_read_usize(self.base + **rva) == Some(address));
        bound.map(|(_, name)| name.as_str())
    }

    fn section_at(&self, address: usize) -> Option<&Section> {
        let rva = address.wrapping_sub(self.base);
        self.sections
            .iter()
            .find(|section| (section.rva..section.rva + section.bytes).contains(&rva))
    }

    /// Gives each section its final protection. To be called before any code
    /// of the image runs; once. `pages_out`: pageable ones are gone while a thread
    /// is at `DISPATCH_LEVEL`.
    pub fn protect(&self, pages_out: bool) {
        if self
            .state
            .compare_exchange(MAPPED, PROTECTED, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return;
        }
        self.set(0, self.size, Protection::None);
        self.set(0, self.header_bytes, Protection::Read);
        for section in &self.sections {
            let protection = match (section.execute, section.write) {
                (true, _) => Protection::ReadExecute,
                (false, true) => Protection::ReadWrite,
                (false, false) => Protection::Read,
            };
            self.set(section.rva, section.bytes, protection);
            if section.is_pageable() && section.bytes > 0 {
                PAGEABLE_CODE.fetch_or(section.execute, Ordering::Relaxed);
                if pages_out {
                    let bytes = memory::whole_pages(section.bytes);
                    pageable::add(self.base + section.rva, bytes, protection);
                }
            }
        }
    }

    /// Makes the discardable sections inaccessible (INIT code and data,
    /// relocations), as the kernel does when `DriverEntry` has returned.
    pub fn discard_init(&self) {
        if self
            .state
            .compare_exchange(
                PROTECTED,
                INIT_DISCARDED,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_err()
        {
            return;
        }
        for section in self.sections.iter().filter(|section| section.discardable) {
            self.discard(section.rva, section.bytes);
        }
    }

    /// Makes the whole image inaccessible. Its addresses stay its own.
    pub fn unload(&self) {
        // Symbols come from the file, which may be gone when a report needs them.
        self.symbols.prepare();
        if self.state.swap(UNLOADED, Ordering::AcqRel) != UNLOADED {
            self.discard(0, self.size);
        }
    }

    fn set(&self, rva: usize, bytes: usize, protection: Protection) {
        // SAFETY: pages of the image (type invariant); the box keeps no references into it.
        let done =
            unsafe { memory::protect(self.base + rva, memory::whole_pages(bytes), protection) };
        assert!(
            bytes == 0 || done,
            "the host refuses to protect a section of {}",
            self.name
        );
    }

    fn discard(&self, rva: usize, bytes: usize) {
        pageable::remove(self.base + rva, bytes);
        // SAFETY: as in `set`.
        let done = unsafe { memory::discard(self.base + rva, memory::whole_pages(bytes)) };
        assert!(
            bytes == 0 || done,
            "the host refuses to unmap a section of {}",
            self.name
        );
    }
}

/// Some image has code that is pageable.
static PAGEABLE_CODE: AtomicBool = AtomicBool::new(false);

/// True if `address` lies in code that NT may page out.
pub fn is_pageable_code(address: usize) -> bool {
    PAGEABLE_CODE.load(Ordering::Relaxed)
        && image_at(address).is_some_and(|image| {
            let section = image.section_at(address);
            section.is_some_and(|section| section.execute && section.is_pageable())
        })
}

/// The lowest address of an image, and the one above the highest.
static LOWEST: AtomicUsize = AtomicUsize::new(usize::MAX);
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// False if no image has ever lain at `address`, which costs less than to look for one.
#[inline]
pub fn may_be_code(address: usize) -> bool {
    address >= LOWEST.load(Ordering::Relaxed) && address < HIGHEST.load(Ordering::Relaxed)
}

/// The image at `address`, loaded or not. Takes no lock.
pub fn image_at(address: usize) -> Option<&'static Image> {
    if !may_be_code(address) {
        return None;
    }
    images().find(|image| image.contains(address))
}

/// The name by which a driver imports what lies at `address`, as [`Origin::called`] gives it.
pub fn imported_routine(address: usize) -> Option<&'static str> {
    images().find_map(|image| image.import_bound_to(address))
}

/// What code lies at `address`: a return address, where the call in front of it
/// is meant, or the address of an instruction or a routine.
/// `fsglass!fsglass::volumes::attach (src/volumes.rs:80)` where there are
/// symbols, `fsglass+0x1234` where not, `ntbox` for the box.
pub fn describe_code(address: usize) -> String {
    let Some(image) = image_at(address) else {
        return match address {
            0 => "nowhere".into(),
            _ if is_code_of_box(address) => "ntbox".into(),
            _ => format!("0x{address:x}, which is no code"),
        };
    };
    let unloaded = if image.is_loaded() { "" } else { "unloaded " };
    let rva = address - image.base;
    // Code that is gone cannot be looked at; most addresses that are kept are of calls.
    let behind_call = if image.is_runnable(address) {
        is_return_address(address)
    } else {
        !image.symbols.begins_function(rva)
    };
    let in_function = rva - usize::from(behind_call && rva > 0);
    match image.symbols.find(in_function, rva) {
        Some(place) => format!("{unloaded}{}!{place}", image.name),
        None => format!("{unloaded}{}+0x{rva:x}", image.name),
    }
}

/// True if `address` is as near as only code of the same program is.
fn is_code_of_box(address: usize) -> bool {
    const LARGEST_IMAGE: usize = 1 << 30;
    address.abs_diff(is_code_of_box as *const () as usize) < LARGEST_IMAGE
}

/// True if the code at `address` belongs to the driver's language, not to the
/// driver: `core::ptr::read_volatile` of an image built without inlining.
pub fn is_library_code(address: usize) -> bool {
    image_at(address).is_some_and(|image| {
        image
            .symbols
            .is_library((address - image.base).saturating_sub(1))
    })
}
