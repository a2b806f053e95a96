//! A copy of the workspace, to build something else of it than in itself.

use std::fs;
use std::io;
use std::path::Path;

/// Makes `to` a copy of the sources in `from`. What is the same already is not written, so that
/// cargo builds only what has changed; what is gone is removed.
///
/// # Errors
/// When a file cannot be read or written.
pub fn workspace(from: &Path, to: &Path) -> io::Result<()> {
    directory(from, to, &|name| {
        let is_hidden = name.starts_with('.') && name != ".cargo" && name != ".github";
        name != "target" && !is_hidden
    })
}

fn directory(from: &Path, to: &Path, is_copied: &dyn Fn(&str) -> bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if !is_copied(&name.to_string_lossy()) {
            continue;
        }
        let copy = to.join(&name);
        if entry.file_type()?.is_dir() {
            directory(&entry.path(), &copy, &|_| true)?;
        } else {
            write_if_changed(&copy, &fs::read(entry.path())?)?;
        }
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let is_ours = is_copied(&entry.file_name().to_string_lossy());
        if is_ours && !from.join(entry.file_name()).exists() {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// Writes a file unless it has these contents.
///
/// # Errors
/// When it cannot be written.
pub fn write_if_changed(file: &Path, contents: &[u8]) -> io::Result<()> {
    if fs::read(file).is_ok_and(|present| present == contents) {
        return Ok(());
    }
    fs::write(file, contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_its_original() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let put = |root: &tempfile::TempDir, file: &str, text: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for file in [
            "src/lib.rs",
            "src/target/kept.rs",
            ".cargo/config.toml",
            ".github/workflows/ci.yml",
            ".git/HEAD",
            "target/debris",
        ] {
            put(&from, file, file);
        }
        put(&to, "src/old.rs", "gone");
        put(&to, "gone/mod.rs", "gone");
        put(&to, "target/built", "stays");
        workspace(from.path(), to.path()).unwrap();
        let has = |file: &str| to.path().join(file).exists();
        for file in [
            "src/lib.rs",
            "src/target/kept.rs",
            ".cargo/config.toml",
            ".github/workflows/ci.yml",
            "target/built",
        ] {
            assert!(has(file), "{file}");
        }
        for file in ["src/old.rs", "gone", ".git", "target/debris"] {
            assert!(!has(file), "{file}");
        }
        let written = |file: &str| {
            fs::metadata(to.path().join(file))
                .unwrap()
                .modified()
                .unwrap()
        };
        let before = written("src/lib.rs");
        workspace(from.path(), to.path()).unwrap();
        assert_eq!(written("src/lib.rs"), before);
    }
}
