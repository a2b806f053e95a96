//! The images for Wine: only their imports differ from what is shipped.

use anyhow::{Context, Result, ensure};
use fsglass_wine::files;
use fsglass_wine::filter;
use fsglass_wine::imports::Kernel;
use fsglass_wine::rebind::{exports, imports, rebind};
use object::LittleEndian as LE;
use object::read::pe::PeFile64;
use object::{Object, ObjectSection};

const DRIVERS: [&str; 2] = ["fsglass", "bad_drivers"];

/// Fails unless `copy` has all sections of `image` as they are, and its headers but for the fields
/// that a section more and another import directory change.
fn expect_same_code(image: &[u8], copy: &[u8]) -> Result<()> {
    let (one, other) = (PeFile64::parse(image)?, PeFile64::parse(copy)?);
    let mut others = other.sections();
    for section in one.sections() {
        let same = others.next().context("a section is gone")?;
        ensure!(section.name()? == same.name()?);
        ensure!(section.address() == same.address());
        ensure!(
            section.data()? == same.data()?,
            "{} differs",
            section.name()?
        );
    }
    ensure!(others.count() == 1, "there is one section more");
    let fields = |file: &PeFile64<'_>| {
        let header = &file.nt_headers().optional_header;
        (
            header.address_of_entry_point.get(LE),
            header.image_base.get(LE),
            header.subsystem.get(LE),
            header.dll_characteristics.get(LE),
            header.size_of_stack_reserve.get(LE),
        )
    };
    ensure!(fields(&one) == fields(&other), "a header field differs");
    for directory in 0..16 {
        // The import directory is new, and a signature would not fit.
        if matches!(directory, 1 | 4) {
            continue;
        }
        let entry = |file: &PeFile64<'_>| {
            let directories = file.data_directories();
            directories
                .get(directory)
                .map(|directory| directory.address_range())
        };
        ensure!(
            entry(&one) == entry(&other),
            "directory {directory} differs"
        );
    }
    Ok(())
}

#[test]
fn the_code_for_wine_is_the_shipped_code() -> Result<()> {
    for name in DRIVERS {
        expect_same_code(&files::driver(name)?, &filter::for_wine(name)?)?;
    }
    Ok(())
}

#[test]
fn a_copy_with_another_byte_of_code_is_noticed() -> Result<()> {
    let image = files::driver("fsglass")?;
    let mut copy = filter::for_wine("fsglass")?;
    let file = PeFile64::parse(&*image)?;
    let text = file.section_by_name(".text").context("no code")?;
    let (offset, size) = text.file_range().context("no code")?;
    copy[(offset + size / 2) as usize] ^= 1;
    ensure!(expect_same_code(&image, &copy).is_err());
    Ok(())
}

#[test]
fn every_import_keeps_its_place_and_what_fskit_has_comes_from_there() -> Result<()> {
    let kit = exports(&files::driver("fskit")?)?;
    for name in DRIVERS {
        let shipped = imports(&files::driver(name)?)?;
        let bound = imports(&filter::for_wine(name)?)?;
        ensure!(shipped.len() == bound.len());
        for (before, after) in shipped.iter().zip(&bound) {
            ensure!((&before.name, before.thunk) == (&after.name, after.thunk));
            let module = if kit.contains(&after.name) {
                "fskit.sys"
            } else {
                &before.module
            };
            ensure!(after.module == module, "{after:?}");
        }
        ensure!(bound.iter().any(|import| import.module == "fskit.sys"));
    }
    Ok(())
}

/// bad_drivers.sys imports more, for mistakes that are not made in Wine.
#[test]
fn wine_has_every_import_that_is_left_to_it() -> Result<()> {
    let kernel = Kernel::installed()?;
    for (name, image) in [
        ("fsglass", filter::for_wine("fsglass")?),
        ("fskit", files::driver("fskit")?),
    ] {
        for import in imports(&image)? {
            ensure!(
                import.module == "fskit.sys" || kernel.has(&import.module, &import.name),
                "{name}.sys imports {}, which Wine {}: fskit.sys has to export it",
                import.name,
                if kernel.is_stub(&import.module, &import.name) {
                    "has as a stub"
                } else {
                    "does not have"
                }
            );
        }
    }
    Ok(())
}

#[test]
fn a_stub_of_wine_is_known_from_a_routine() -> Result<()> {
    let kernel = Kernel::installed()?;
    let stub = |name| kernel.is_stub("ntoskrnl.exe", name);
    let has = |name| kernel.has("ntoskrnl.exe", name);
    ensure!(stub("IoSetCompletionRoutineEx") && stub("IoGetDiskDeviceObject"));
    ensure!(has("IofCallDriver") && has("ZwClose") && has("memcpy"));
    ensure!(!has("ExAllocatePool2") && !stub("ExAllocatePool2"));
    ensure!(kernel.has("HAL.dll", "KeQueryPerformanceCounter"));
    Ok(())
}

#[test]
fn an_image_without_room_or_imports_is_refused() -> Result<()> {
    let image = files::driver("fsglass")?;
    ensure!(rebind(b"MZ", "fskit.sys", |_| true).is_err());
    let mut full = image.clone();
    let at = PeFile64::parse(&*image)?.dos_header().nt_headers_offset() as usize;
    // SizeOfHeaders: no more than there is.
    let sections = PeFile64::parse(&*image)?.sections().count();
    let end = at + 24 + 240 + sections * 40;
    full[at + 24 + 60..at + 24 + 64].copy_from_slice(&u32::try_from(end)?.to_le_bytes());
    let error = rebind(&full, "fskit.sys", |_| true)
        .err()
        .context("accepted")?;
    ensure!(error.to_string().contains("no room"), "{error}");
    Ok(())
}
