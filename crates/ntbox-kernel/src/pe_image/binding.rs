//! What the loader does to an image in memory before its code may run:
//! relocations, imports, the security cookie; and reading its exports.

use super::error::Problem;
use super::layout::{Directory, Layout};
use super::view::View;
use std::collections::HashMap;

const ABSOLUTE: u16 = 0;
const DIR64: u16 = 10;

/// Copies headers and sections of `file` to their places.
pub(super) fn copy_sections(
    view: &mut View<'_>,
    layout: &Layout,
    file: &[u8],
) -> Result<(), Problem> {
    view.0[..layout.header_bytes].copy_from_slice(&file[..layout.header_bytes]);
    for section in &layout.sections {
        let data = file
            .get(section.file.clone())
            .ok_or(Problem::Truncated("the data of a section"))?;
        view.0[section.rva..section.rva + data.len()].copy_from_slice(data);
    }
    Ok(())
}

/// Moves the image from its preferred address to `base`.
pub(super) fn relocate(view: &mut View<'_>, layout: &Layout, base: usize) -> Result<(), Problem> {
    const WHAT: &str = "the relocation table";
    let delta = (base as u64).wrapping_sub(layout.preferred_base);
    if delta == 0 {
        return Ok(());
    }
    if !layout.relocatable {
        return Err(Problem::NoRelocations);
    }
    let Directory {
        rva: mut block,
        bytes,
    } = layout.relocations;
    let end = block.checked_add(bytes).ok_or(Problem::Truncated(WHAT))?;
    while block < end {
        let page = view.u32(block, WHAT)?;
        let block_bytes = view.u32(block + 4, WHAT)?;
        if block_bytes < 8 || block + block_bytes > end {
            return Err(Problem::Truncated(WHAT));
        }
        for entry in (block + 8..block + block_bytes).step_by(2) {
            let entry = view.u16(entry, WHAT)?;
            let target = page + usize::from(entry & 0x0FFF);
            match entry >> 12 {
                ABSOLUTE => {}
                DIR64 => {
                    let value = view.u64(target, "a relocation")?;
                    view.set_u64(target, value.wrapping_add(delta), "a relocation")?;
                }
                kind => return Err(Problem::RelocationKind(kind)),
            }
        }
        block += block_bytes;
    }
    Ok(())
}

/// Fills the import slots. All names that `resolve` does not know are
/// collected, so that one attempt names every one of them. Returns the address
/// of each slot (relative) with the name it was bound to.
pub(super) fn bind_imports(
    view: &mut View<'_>,
    layout: &Layout,
    resolve: &dyn Fn(&str, &str) -> Option<usize>,
) -> Result<HashMap<usize, String>, Problem> {
    const WHAT: &str = "the import table";
    const DESCRIPTOR: usize = 20;
    let mut bound = HashMap::new();
    let mut unresolved = Vec::new();
    if layout.imports.rva == 0 {
        return Ok(bound);
    }
    for descriptor in (layout.imports.rva..).step_by(DESCRIPTOR) {
        let lookup = view.u32(descriptor, WHAT)?;
        let name = view.u32(descriptor + 12, WHAT)?;
        let slots = view.u32(descriptor + 16, WHAT)?;
        if name == 0 || slots == 0 {
            break;
        }
        let dll = view.text(name, WHAT)?;
        // An image without a lookup table has the names in the slots themselves.
        let lookup = if lookup == 0 { slots } else { lookup };
        for offset in (0..).step_by(8) {
            let entry = view.u64(lookup + offset, WHAT)?;
            if entry == 0 {
                break;
            }
            let slot = slots + offset;
            let name = match entry >> 63 {
                0 => view.text((entry as usize & 0x7FFF_FFFF) + 2, WHAT)?,
                _ => format!("#{}", entry & 0xFFFF),
            };
            match resolve(&dll, &name) {
                Some(address) => {
                    view.set_u64(slot, address as u64, WHAT)?;
                    bound.insert(slot, name);
                }
                None => unresolved.push(format!("{dll}!{name}")),
            }
        }
    }
    if unresolved.is_empty() {
        Ok(bound)
    } else {
        Err(Problem::Unresolved(unresolved))
    }
}

/// The exported names. Forwarded exports are left out: they have no address here.
pub(super) fn read_exports(
    view: &View<'_>,
    layout: &Layout,
) -> Result<HashMap<String, usize>, Problem> {
    const WHAT: &str = "the export table";
    let Directory { rva, bytes } = layout.exports;
    let mut exports = HashMap::new();
    if rva == 0 || bytes == 0 {
        return Ok(exports);
    }
    let names = view.u32(rva + 24, WHAT)?;
    let (functions, name_pointers, ordinals) = (
        view.u32(rva + 28, WHAT)?,
        view.u32(rva + 32, WHAT)?,
        view.u32(rva + 36, WHAT)?,
    );
    for index in 0..names {
        let name = view.text(view.u32(name_pointers + 4 * index, WHAT)?, WHAT)?;
        let ordinal = usize::from(view.u16(ordinals + 2 * index, WHAT)?);
        let function = view.u32(functions + 4 * ordinal, WHAT)?;
        if !(rva..rva + bytes).contains(&function) {
            exports.insert(name, function);
        }
    }
    Ok(exports)
}

/// Gives the image a security cookie, as the kernel's loader does since
/// Windows 8: an image that still finds the linker's default stops the system.
/// The value is fixed, so that runs are repeatable. `base` is where the image
/// lies: after relocation the table holds absolute addresses.
pub(super) fn set_security_cookie(
    view: &mut View<'_>,
    layout: &Layout,
    base: usize,
) -> Result<(), Problem> {
    const WHAT: &str = "the load configuration";
    const LINKERS_DEFAULT: u64 = 0x0000_2B99_2DDF_A232;
    const OFFSET: usize = 88;
    if layout.load_configuration.rva == 0 {
        return Ok(());
    }
    let table = layout.load_configuration.rva;
    if view.u32(table, WHAT)? < OFFSET + 8 {
        return Ok(());
    }
    let cookie = view.u64(table + OFFSET, WHAT)?;
    if cookie == 0 {
        return Ok(());
    }
    let cookie = (cookie as usize).wrapping_sub(base);
    if view.u64(cookie, WHAT)? == LINKERS_DEFAULT {
        view.set_u64(cookie, 0x0000_6E74_626F_7821, WHAT)?;
    }
    Ok(())
}
