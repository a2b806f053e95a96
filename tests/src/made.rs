//! Documents that are made of what the code says, and lie in the repository.

use crate::drivers::repository;
use std::fs;

/// True if what is made is to be written, with `FSGLASS_BLESS=1`, instead of being compared.
#[must_use]
pub fn is_blessed() -> bool {
    std::env::var_os("FSGLASS_BLESS").is_some()
}

/// Writes a file of the repository.
///
/// # Panics
/// If that fails.
pub fn write(path: &str, text: &str) {
    let path = repository().join(path);
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The document at `path` is what was `made` by the test program `suite`, or is written.
///
/// # Panics
/// If it is another one, with the first line that differs.
pub fn expect_committed(path: &str, made: &str, suite: &str) {
    if is_blessed() {
        write(path, made);
    }
    let committed = fs::read_to_string(repository().join(path)).unwrap_or_default();
    let differs = committed
        .lines()
        .zip(made.lines())
        .find(|(is, made)| is != made);
    assert!(
        committed == made,
        "{path} is out of date: run FSGLASS_BLESS=1 cargo test -p fsglass-tests --test {suite}\n{differs:#?}"
    );
}
