//! What is on a volume: its host directory, read after the program has ended.

use crate::user::outcome::digest;
use std::path::Path;

/// The files and directories below `host` whose path begins with `prefix`, as lines in order of
/// name: path, size and digest of the bytes.
///
/// # Errors
/// Of the host.
pub fn contents(host: &Path, prefix: &str) -> std::io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(host)? {
        let entry = entry?;
        if let Some(rest) = entry.file_name().to_string_lossy().strip_prefix(prefix) {
            visit(&entry.path(), rest, &mut lines)?;
        }
    }
    lines.sort();
    Ok(lines)
}

fn visit(path: &Path, name: &str, lines: &mut Vec<String>) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        lines.push(format!("{name}\\"));
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let below = format!("{name}\\{}", entry.file_name().to_string_lossy());
            visit(&entry.path(), &below, lines)?;
        }
        return Ok(());
    }
    let bytes = std::fs::read(path)?;
    lines.push(format!(
        "{name} {} bytes, {:016x}",
        bytes.len(),
        digest(&bytes)
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_line_and_every_byte_counts() {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(root.path().join("p1/d")).expect("directories");
        std::fs::create_dir_all(root.path().join("q1")).expect("directories");
        std::fs::write(root.path().join("p1/d/f"), b"one").expect("a file");
        let first = contents(root.path(), "p").expect("a listing");
        assert_eq!(first.len(), 3, "{first:?}");
        assert!(first[2].starts_with("1\\d\\f 3 bytes"), "{first:?}");
        std::fs::write(root.path().join("p1/d/f"), b"two").expect("a file");
        assert_ne!(first, contents(root.path(), "p").expect("a listing"));
    }
}
