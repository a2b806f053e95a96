//! Where what has been built lies.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
#[must_use]
pub fn repository() -> &'static Path {
    // The manifest directory is `tests/wine` in it.
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

/// The release build of a driver.
///
/// # Errors
/// If it has not been built.
pub fn driver(name: &str) -> Result<Vec<u8>> {
    let path = built("x86_64-pc-windows-msvc", &format!("{name}.sys"));
    fs::read(&path).with_context(|| format!("no {}; `./dev wine` builds it", path.display()))
}

/// A program for Windows.
///
/// # Errors
/// If it has not been built.
pub fn program(file: &str) -> Result<PathBuf> {
    let path = built("x86_64-pc-windows-gnu", file);
    let found = path.is_file().then(|| path.clone());
    found.with_context(|| format!("no {}; `./dev wine` builds it", path.display()))
}

fn built(target: &str, file: &str) -> PathBuf {
    let directory = repository().join("target").join(target).join("release");
    directory.join(file)
}
