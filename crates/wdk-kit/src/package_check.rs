//! Whether a package is whole: each file there, of the others that lie beside it, and signed.
//!
//! Each step of making one may end well and leave nothing, or what an earlier run left. Times of
//! files do not show that, since copying and signing change them: the catalog has to have the
//! digests of the files beside it, and a signature the digest of its image.
//!
//! Whether a signature would be believed is not looked at; `osslsigncode verify` and
//! `signtool verify` do that. What is looked for is the bytes of the certificate: every
//! signature carries that of its signer.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sha2::Sha256;

use crate::authenticode;
use crate::catalog::Member;
use crate::files;
use crate::inf::document::Document;
use crate::inf::lint::{self, Mode};
use crate::inf::stamp;
use crate::introduced;
use crate::package::{self, WINE};
use crate::workspace::Driver;

/// Looks at the package of a driver, with these files of programs.
///
/// # Errors
/// With everything that is missing or wrong, each with the name of its file.
pub fn check(driver: &Driver, programs: &[String], folder: &Path) -> Result<()> {
    let mut check = Check {
        driver,
        folder,
        complaints: Vec::new(),
    };
    let certificate = check.file(folder.join(check.name("cer")));
    check.file(folder.join(check.name("pdb")));
    for text in package::texts(driver).unwrap_or_default() {
        check.file(folder.join(text.file_name().unwrap_or_default()));
    }
    for program in programs {
        check.image(&folder.join(program), &certificate);
    }
    let mut parts = vec![(folder.to_path_buf(), Mode::Windows)];
    let inf = files::read(&folder.join(check.name("inf"))).unwrap_or_default();
    if !package::is_of_device(&Document::read(&inf)) {
        parts.push((folder.join(WINE), Mode::Declarative));
    }
    for (folder, mode) in parts {
        check.image(&folder.join(check.name("sys")), &certificate);
        check.inf(&folder.join(check.name("inf")), mode);
    }
    check.catalog(folder, &certificate);
    check.versions_of_windows();
    match check.complaints.as_slice() {
        [] => Ok(()),
        complaints => bail!(
            "the package is not whole:{}",
            complaints
                .iter()
                .map(|complaint| format!("\n  {complaint}"))
                .collect::<String>()
        ),
    }
}

struct Check<'a> {
    driver: &'a Driver,
    folder: &'a Path,
    complaints: Vec<String>,
}

impl Check<'_> {
    fn name(&self, extension: &str) -> String {
        format!("{}.{extension}", self.driver.image)
    }

    fn complain(&mut self, file: &Path, what: &str) {
        let shown = file.strip_prefix(self.folder).unwrap_or(file);
        self.complaints.push(format!("{}: {what}", shown.display()));
    }

    /// The contents of a file, empty if it is not there.
    fn file(&mut self, path: PathBuf) -> Vec<u8> {
        let contents = files::read(&path).unwrap_or_default();
        if contents.is_empty() {
            self.complain(&path, "missing or empty");
        }
        contents
    }

    fn image(&mut self, path: &Path, certificate: &[u8]) {
        let image = self.file(path.to_path_buf());
        if image.is_empty() {
            return;
        }
        let parts = authenticode::digest::<Sha256>(&image)
            .and_then(|digest| Ok((digest, authenticode::signatures(&image)?)));
        match parts {
            Err(error) => self.complain(path, &format!("{error:#}")),
            Ok((_, [])) => self.complain(path, "not signed"),
            Ok((digest, signatures)) => {
                if !contains(signatures, &digest) {
                    self.complain(path, "its signature is of another file");
                }
                if !contains(signatures, certificate) {
                    self.complain(path, "not signed with the certificate of the package");
                }
            }
        }
    }

    fn inf(&mut self, path: &Path, mode: Mode) {
        let inf = self.file(path.to_path_buf());
        if inf.is_empty() {
            return;
        }
        let document = Document::read(&inf);
        let stamp = document.directive("Version", "DriverVer");
        let version = stamp::driver_version(&self.driver.version);
        if stamp.is_none_or(|stamp| stamp.value(1) != version) {
            self.complain(path, &format!("not stamped with the version {version}"));
        }
        if package::is_of_device(&document) {
            return; // The rules are for drivers without one.
        }
        for finding in lint::check(&document, mode) {
            self.complain(path, &finding.to_string());
        }
    }

    /// No Windows that the INF is for is too old for the driver.
    fn versions_of_windows(&mut self) {
        let inf = self.folder.join(self.name("inf"));
        let read = |path: &Path| files::read(path).unwrap_or_default();
        let Some(oldest) = lint::oldest_windows(&Document::read(&read(&inf))) else {
            return;
        };
        // Files that are missing or no images have been complained about.
        let image = read(&self.folder.join(self.name("sys")));
        let needed = introduced::needed(&image).ok().flatten();
        if let Some(routine) = needed.filter(|routine| oldest < routine.introduced.numbers()) {
            let (major, minor, build) = oldest;
            let what = format!(
                "it is for Windows {major}.{minor}, build {build}, and the driver imports {}, which is from {} \
                 on: decorate its sections as in {}",
                routine.name,
                routine.introduced,
                routine.introduced.decoration(),
            );
            self.complain(&inf, &what);
        }
    }

    fn catalog(&mut self, folder: &Path, certificate: &[u8]) {
        let path = folder.join(self.name("cat"));
        let catalog = self.file(path.clone());
        if catalog.is_empty() {
            return;
        }
        if !contains(&catalog, certificate) {
            self.complain(&path, "not signed with the certificate of the package");
        }
        for extension in ["inf", "sys"] {
            let name = self.name(extension);
            let Ok(contents) = files::read(&folder.join(&name)) else {
                continue;
            };
            let member = Member::new(&name, &contents);
            let vouches = |member: Member| {
                let mut digests = member.digests().into_iter();
                digests.any(|digest| contains(&catalog, digest))
            };
            if !member.is_ok_and(vouches) {
                self.complain(&path, &format!("does not vouch for the {name} beside it"));
            }
        }
    }
}

/// Whether bytes occur in others; none occur nowhere.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}
