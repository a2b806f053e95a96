//! The package, as programs that did not make it see it.
//!
//! The kit digests files and writes the catalog; `osslsigncode` and `openssl`, which share no
//! code with it, say what is in them. `osslsigncode` has no notion of a flat file in a catalog,
//! so that for the INF the digests of `openssl dgst` are looked up in what
//! `openssl asn1parse` reads.

use std::path::Path;
use std::process::{Command, Output};

/// What is in a package: docs/packaging.md's list, by the path in the folder.
pub const FILES: [&str; 10] = [
    "README.txt",
    "fsglass.cat",
    "fsglass.cer",
    "fsglass.exe",
    "fsglass.inf",
    "fsglass.pdb",
    "fsglass.sys",
    "fsglass.wprp",
    "wine/fsglass.inf",
    "wine/fsglass.sys",
];

/// A catalog, as far as it says which files it vouches for.
#[derive(Debug, Default)]
pub struct Catalog {
    subjects: Vec<Subject>,
}

/// One digest of a file.
#[derive(Debug, Default)]
struct Subject {
    /// In upper-case hexadecimal digits, as all digests here.
    identifier: String,
    /// The texts of the file's attributes: its name, and the systems that it is for.
    texts: Vec<String>,
    /// The digest as a signature would have it.
    indirect: Option<String>,
}

impl Catalog {
    /// Reads a catalog with `openssl asn1parse`.
    ///
    /// # Panics
    /// If it is not in DER.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let mut command = Command::new("openssl");
        command
            .args(["asn1parse", "-inform", "der", "-in"])
            .arg(path);
        let mut catalog = Self::default();
        for line in succeed(&mut command).lines() {
            let Some((place, hexadecimal)) = line.split_once("OCTET STRING      [HEX DUMP]:")
            else {
                continue;
            };
            // How deep the lists of the catalog's subjects lie, which the signature follows.
            let subject = catalog.subjects.last_mut();
            match (place.split_once("d="), subject) {
                (Some((_, depth)), _) if depth.starts_with("8 ") => {
                    catalog.subjects.push(Subject {
                        identifier: hexadecimal.to_owned(),
                        ..Subject::default()
                    });
                }
                (Some((_, depth)), Some(subject)) if depth.starts_with("12 ") => {
                    subject.texts.push(wide_text(hexadecimal));
                }
                (Some((_, depth)), Some(subject)) if depth.starts_with("13 ") => {
                    subject.indirect = Some(hexadecimal.to_owned());
                }
                _ => {}
            }
        }
        catalog
    }

    /// The names of the files, each once.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        let texts = self.subjects.iter().flat_map(|subject| &subject.texts);
        let mut files: Vec<_> = texts
            .map(String::as_str)
            .filter(|text| *text != SYSTEMS)
            .collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Whether the catalog vouches for a file of that name with these digests, for 64-bit
    /// Windows 10 and later, the SHA-256 also as a signature would have it.
    #[must_use]
    pub fn vouches_for(&self, name: &str, sha_256: &str, sha_1: &str) -> bool {
        let has = |digest: &str, indirect: Option<&str>| {
            self.subjects.iter().any(|subject| {
                let names = |text| subject.texts.iter().any(|known| known == text);
                subject.identifier == digest
                    && subject.indirect.as_deref() == indirect
                    && names(name)
                    && names(SYSTEMS)
            })
        };
        has(sha_256, Some(sha_256)) && has(sha_1, None)
    }
}

/// OSAttr of every Windows from 10 on.
const SYSTEMS: &str = "2:10.0";

/// The digest of a file's bytes, by `openssl dgst`.
///
/// # Panics
/// If it cannot be run.
#[must_use]
pub fn digest(algorithm: &str, file: &Path) -> String {
    let mut command = Command::new("openssl");
    command
        .args(["dgst", "-r"])
        .arg(format!("-{algorithm}"))
        .arg(file);
    let text = succeed(&mut command);
    text.split(' ').next().unwrap_or_default().to_uppercase()
}

/// The Authenticode digest of a signed image, as `osslsigncode` computes it; `None` if the image
/// does not have the one that its signature says.
#[must_use]
pub fn signed_digest(image: &Path, certificate: &Path) -> Option<String> {
    let output = verify(image, certificate, None);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .find(|line| line.starts_with("Calculated message digest "));
    let digest = line?.rsplit(": ").next()?.trim().to_owned();
    output.status.success().then_some(digest)
}

/// Whether `osslsigncode` accepts a signed image or catalog, or an image that a catalog vouches
/// for, when it trusts that certificate alone.
#[must_use]
pub fn is_accepted(file: &Path, certificate: &Path, catalog: Option<&Path>) -> bool {
    verify(file, certificate, catalog).status.success()
}

fn verify(file: &Path, certificate: &Path, catalog: Option<&Path>) -> Output {
    let mut command = Command::new("osslsigncode");
    command.arg("verify").arg("-CAfile").arg(certificate);
    if let Some(catalog) = catalog {
        command.arg("-catalog").arg(catalog);
    }
    command.arg("-in").arg(file);
    run(&mut command)
}

fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `wdk-kit setup --package` installs it")
    })
}

fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// UTF-16 in little-endian order with a zero at its end.
fn wide_text(hexadecimal: &str) -> String {
    let units = hexadecimal.as_bytes().chunks(4).map(|digits| {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        u16::from_str_radix(digits, 16)
            .unwrap_or_default()
            .swap_bytes()
    });
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}
