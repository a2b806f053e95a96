//! Which kernel routines Wine has.
//!
//! Wine exports many names that it does not implement: their code reports the name and raises an
//! exception. A driver that imports one loads, and dies when it calls it.

use anyhow::{Context, Result};
use object::read::pe::{ExportTarget, PeFile64};
use object::{LittleEndian as LE, Object, ObjectSection};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Where Debian puts Wine's images.
const IMAGES: &str = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows";

/// The modules that drivers import from.
const MODULES: [&str; 2] = ["ntoskrnl.exe", "hal.dll"];

/// The exports of Wine's kernel, and whether each is implemented, by module and name.
pub struct Kernel(BTreeMap<&'static str, BTreeMap<String, bool>>);

impl Kernel {
    /// Reads the kernel of the Wine that is installed.
    ///
    /// # Errors
    /// When it is not where Debian puts it, or no image.
    pub fn installed() -> Result<Self> {
        let read = |module| {
            let path = Path::new(IMAGES).join(module);
            let image = fs::read(&path).with_context(|| format!("no Wine: {}", path.display()))?;
            Ok((module, Self::of(&image)?))
        };
        MODULES
            .into_iter()
            .map(read)
            .collect::<Result<_>>()
            .map(Self)
    }

    fn of(image: &[u8]) -> Result<BTreeMap<String, bool>> {
        let file = PeFile64::parse(image).context("not a PE32+ image")?;
        let table = file.export_table()?.context("no exports")?;
        let base = file.nt_headers().optional_header.image_base.get(LE);
        let mut names = BTreeMap::new();
        for export in table.exports()? {
            let Some(name) = export.name else { continue };
            let implemented = match export.target {
                ExportTarget::Address(address) => !is_stub(&file, base + u64::from(address)),
                _forwarded => true,
            };
            names.insert(String::from_utf8_lossy(name).into_owned(), implemented);
        }
        Ok(names)
    }

    /// Whether a driver can call this.
    #[must_use]
    pub fn has(&self, module: &str, name: &str) -> bool {
        self.find(module, name) == Some(true)
    }

    /// Whether a driver that imports this loads, and dies when it calls it.
    #[must_use]
    pub fn is_stub(&self, module: &str, name: &str) -> bool {
        self.find(module, name) == Some(false)
    }

    fn find(&self, module: &str, name: &str) -> Option<bool> {
        let module = module.to_ascii_lowercase();
        self.0.get(&*module)?.get(name).copied()
    }
}

/// `sub rsp, 28h; lea rcx, [module]; lea rdx, [name]; call` is all that a stub does.
fn is_stub(file: &PeFile64<'_>, address: u64) -> bool {
    let mut sections = file.sections();
    let code = sections.find_map(|section| section.data_range(address, 19).ok()?);
    code.is_some_and(|code| {
        matches!(
            code,
            [
                0x48,
                0x83,
                0xEC,
                0x28,
                0x48,
                0x8D,
                0x0D,
                _,
                _,
                _,
                _,
                0x48,
                0x8D,
                0x15,
                _,
                _,
                _,
                _,
                0xE8,
            ]
        )
    })
}
