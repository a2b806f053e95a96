//! Makes a driver's package: a folder that a test machine installs from.
//!
//! ```text
//! NAME.sys     the driver, with a signature in it
//! NAME.pdb     its symbols
//! NAME.inf     stamped with the date of the sources and the package's version
//! NAME.cat     the catalog of NAME.sys and NAME.inf, signed
//! NAME.cer     the certificate of the signatures, for the machine's stores
//! NAME.wprp    a profile for Windows Performance Recorder, where the driver has one
//! README.txt   what to do with it
//! PROGRAM.exe  programs that belong to the driver, signed
//! wine/        NAME.inf and NAME.sys for Wine; without a catalog, so that Windows takes them from nobody
//! ```
//!
//! The INF of a device's driver, which has a `[Manufacturer]`, is made as it is written: the rules
//! that are checked here, and `wine`, are for drivers without a device.
//!
//! Made twice from the same sources with the same key, the folder is the same.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::catalog::{self, Member};
use crate::files;
use crate::inf::document::{self, Document};
use crate::inf::lint::{self, Mode};
use crate::inf::stamp::{self, Date};
use crate::inf::wine;
use crate::signing::Signer;
use crate::source_date::SourceDate;
use crate::workspace::Driver;

/// The folder in a package for Wine.
pub const WINE: &str = "wine";

/// The certificate in a package that wdk-build's makefile makes on Windows.
const WINDOWS_CERTIFICATE: &str = "WDRLocalTestCert.cer";

/// What a package is made of.
#[derive(Debug)]
pub struct Ingredients<'a> {
    /// The driver.
    pub driver: &'a Driver,
    /// The directory of `NAME.sys` and `NAME.pdb`.
    pub built: &'a Path,
    /// Programs for the package.
    pub programs: &'a [PathBuf],
    /// The moment that stands for the sources.
    pub moment: SourceDate,
    /// Who signs; without one, someone else does, or has.
    pub signer: Option<&'a Signer>,
}

impl Ingredients<'_> {
    /// Makes the package in a folder, which is emptied first, and returns its files.
    ///
    /// The INF source is `inf/NAME.inx` or `NAME.inx` in the driver's directory, and
    /// `README.txt` and `NAME.wprp` lie beside it, if there are any.
    ///
    /// # Errors
    /// When the driver has no INF source, the INF breaks a rule, or something cannot be signed.
    pub fn package(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let source = inf_source(self.driver)?;
        let (isolated, for_wine) = self.infs(&source)?;
        files::empty_directory(folder)?;
        self.sign(
            &self.built.join(self.name("sys")),
            &folder.join(self.name("sys")),
        )?;
        if let Some(signer) = self.signer {
            signer.export(&folder.join(self.name("cer")))?;
        }
        self.inf_and_catalog(folder, &isolated)?;
        self.complete(for_wine.as_deref(), folder)
    }

    /// Makes the package of one in `built` that Windows' own tools have stamped, catalogued and
    /// signed: the INF is theirs, and what is added is left for them to sign.
    ///
    /// # Errors
    /// As [`Self::package`].
    pub fn collect(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let source = inf_source(self.driver)?;
        let (_, for_wine) = self.infs(&source)?;
        files::empty_directory(folder)?;
        for extension in ["sys", "inf", "cat"] {
            let file = self.name(extension);
            files::copy_if_changed(&self.built.join(&file), &folder.join(&file))?;
        }
        let certificate = self.built.join(WINDOWS_CERTIFICATE);
        files::copy_if_changed(&certificate, &folder.join(self.name("cer")))?;
        self.complete(for_wine.as_deref(), folder)
    }

    /// Adds what does not depend on who makes the package.
    fn complete(&self, for_wine: Option<&str>, folder: &Path) -> Result<Vec<PathBuf>> {
        let symbols = self.name("pdb");
        files::copy_if_changed(&self.built.join(&symbols), &folder.join(&symbols))?;
        for text in texts(self.driver)? {
            let name = text.file_name().context("a text has no name")?;
            let lines = with_windows_line_ends(&files::read_text(&text)?);
            files::write_if_changed(&folder.join(name), lines)?;
        }
        for program in self.programs {
            let file = program.file_name().context("a program has no name")?;
            self.sign(program, &folder.join(file))?;
        }
        if let Some(for_wine) = for_wine {
            let below = folder.join(WINE);
            let driver = self.name("sys");
            files::copy_if_changed(&folder.join(&driver), &below.join(&driver))?;
            files::write_if_changed(&below.join(self.name("inf")), for_wine)?;
        }
        files::below(folder)
    }

    fn name(&self, extension: &str) -> String {
        format!("{}.{extension}", self.driver.image)
    }

    /// The INF, and, for a driver without a device, the one for Wine, which keeps the rules of
    /// Windows before driver isolation.
    fn infs(&self, source: &Path) -> Result<(String, Option<String>)> {
        let cannot = || format!("cannot make an INF of {}", source.display());
        let text = inf_text(source)?;
        let text = stamp::with_catalog(&text, &self.name("cat")).with_context(cannot)?;
        let version = stamp::driver_version(&self.driver.version);
        let stamped = |text: &str| stamp::stamp(text, Date::of(self.moment), &version);
        let isolated = stamped(&text).with_context(cannot)?;
        if is_of_device(&Document::parse(&isolated)) {
            eprintln!(
                "wdk-kit: {} installs a device's driver; InfVerif's rules for such an INF are not \
                 checked here",
                source.display()
            );
            return Ok((isolated, None));
        }
        refuse_findings(&isolated, Mode::Windows).with_context(cannot)?;
        let for_wine = || -> Result<String> {
            let for_wine = stamped(&wine::variant(&text)?)?;
            refuse_findings(&for_wine, Mode::Declarative)?;
            Ok(for_wine)
        };
        let for_wine = for_wine()
            .with_context(|| format!("cannot make an INF for Wine of {}", source.display()))?;
        Ok((isolated, Some(for_wine)))
    }

    /// Writes an INF beside the files that it names, and the catalog of all of them.
    fn inf_and_catalog(&self, folder: &Path, text: &str) -> Result<()> {
        let inf = folder.join(self.name("inf"));
        files::write_if_changed(&inf, document::encode(text))?;
        let (catalog, contents) = catalog_of(&inf, self.moment)?;
        let unsigned = catalog.with_extension("unsigned");
        files::write_if_changed(&unsigned, contents)?;
        self.sign(&unsigned, &catalog)?;
        fs::remove_file(&unsigned).with_context(|| format!("cannot remove {}", unsigned.display()))
    }

    fn sign(&self, source: &Path, destination: &Path) -> Result<()> {
        match self.signer {
            Some(signer) => signer.sign(source, destination, self.moment),
            None => files::copy_if_changed(source, destination).map(drop),
        }
    }
}

/// The catalog of an INF and of the files beside it that it names: its path, and its contents,
/// not signed.
///
/// # Errors
/// When one of them is missing, or the INF names no catalog.
pub fn catalog_of(inf: &Path, moment: SourceDate) -> Result<(PathBuf, Vec<u8>)> {
    let document = Document::read(&files::read(inf)?);
    let mut members = vec![member(inf)?];
    for entry in document.entries("SourceDisksFiles") {
        let file = entry.key.as_deref().unwrap_or_else(|| entry.value(0));
        members.push(member(&inf.with_file_name(file))?);
    }
    let name = document.directive("Version", "CatalogFile");
    let name = name.context("the INF names no catalog")?.value(0);
    let contents = catalog::unsigned(&members, moment)?;
    Ok((inf.with_file_name(name), contents))
}

/// The text of an INF or an INF source.
///
/// # Errors
/// When it cannot be read, also for its encoding.
pub fn inf_text(path: &Path) -> Result<String> {
    document::decode(&files::read(path)?).with_context(|| {
        format!(
            "{} is neither ASCII nor UTF-16 with a byte order mark",
            path.display()
        )
    })
}

/// Whether an INF installs the driver of a device.
#[must_use]
pub fn is_of_device(inf: &Document) -> bool {
    inf.has("Manufacturer")
}

fn inf_source(driver: &Driver) -> Result<PathBuf> {
    let name = format!("{}.inx", driver.image);
    let candidates = [
        driver.directory.join("inf").join(&name),
        driver.directory.join(&name),
    ];
    let source = candidates.iter().find(|path| path.is_file());
    source.cloned().with_context(|| {
        format!(
            "{} has no INF source; it belongs at {}",
            driver.package,
            candidates[0].display()
        )
    })
}

/// What lies beside the INF source and goes into the package as it is: `README.txt`, which says what to do with it, and
/// `NAME.wprp`, as far as there are such files.
///
/// # Errors
/// When the driver has no INF source.
pub fn texts(driver: &Driver) -> Result<Vec<PathBuf>> {
    let source = inf_source(driver)?;
    let profile = format!("{}.wprp", driver.image);
    let beside = [String::from("README.txt"), profile].map(|name| source.with_file_name(name));
    Ok(beside.into_iter().filter(|text| text.is_file()).collect())
}

fn refuse_findings(inf: &str, mode: Mode) -> Result<()> {
    let findings = lint::check(&Document::parse(inf), mode);
    if !findings.is_empty() {
        let lines: Vec<_> = findings
            .iter()
            .map(|finding| format!("\n  {finding}"))
            .collect();
        bail!("the INF breaks rules of InfVerif:{}", lines.concat());
    }
    Ok(())
}

fn member(path: &Path) -> Result<Member> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Member::new(&name, &files::read(path)?)
}

fn with_windows_line_ends(text: &str) -> String {
    text.lines().flat_map(|line| [line, "\r\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticode::tests::image;
    use crate::driver_model::Model;
    use crate::inf::lint::tests::GLASS;

    fn driver_in(root: &Path) -> Driver {
        Driver {
            package: "glass".to_owned(),
            version: "0.2.0".to_owned(),
            image: "glass".to_owned(),
            directory: root.to_path_buf(),
            model: Model::Wdm,
            programs: Vec::new(),
        }
    }

    fn unsigned<'a>(driver: &'a Driver, built: &'a Path) -> Ingredients<'a> {
        Ingredients {
            driver,
            built,
            programs: &[],
            moment: SourceDate(1_773_057_600),
            signer: None,
        }
    }

    /// What `package` says of a driver whose INF source has that text.
    fn refusal(inf: Option<&str>) -> String {
        let root = tempfile::tempdir().unwrap();
        let driver = driver_in(root.path());
        if let Some(text) = inf {
            files::write_if_changed(&root.path().join("inf/glass.inx"), text).unwrap();
        }
        let ingredients = unsigned(&driver, root.path());
        let folder = root.path().join("package");
        let error = ingredients.package(&folder).unwrap_err();
        assert!(!folder.exists(), "nothing is made of a bad INF");
        format!("{error:#}")
    }

    #[test]
    fn a_driver_without_an_inf_source_is_told_where_it_belongs() {
        let text = refusal(None);
        let place = Path::new("inf").join("glass.inx");
        assert!(text.contains(&place.display().to_string()), "{text}");
    }

    #[test]
    fn a_package_of_windows_tools_is_completed() {
        let root = tempfile::tempdir().unwrap();
        let driver = driver_in(root.path());
        let source = GLASS.replace("NTamd64", "NT$ARCH$");
        files::write_if_changed(&root.path().join("inf/glass.inx"), source).unwrap();
        let built = root.path().join("built");
        for file in [
            "glass.sys",
            "glass.inf",
            "glass.cat",
            "glass.pdb",
            WINDOWS_CERTIFICATE,
        ] {
            files::write_if_changed(&built.join(file), format!("their {file}")).unwrap();
        }
        let ingredients = Ingredients {
            driver: &driver,
            built: &built,
            programs: &[],
            moment: SourceDate(1_773_057_600),
            signer: None,
        };
        let folder = root.path().join("package");
        let made = ingredients.collect(&folder).unwrap();
        let made: Vec<_> = made
            .iter()
            .map(|file| file.strip_prefix(&folder).unwrap())
            .collect();
        let expected = [
            "glass.cat",
            "glass.cer",
            "glass.inf",
            "glass.pdb",
            "glass.sys",
            "wine/glass.inf",
            "wine/glass.sys",
        ];
        assert_eq!(made, expected.map(Path::new));
        assert_eq!(
            files::read_text(&folder.join("glass.cat")).unwrap(),
            "their glass.cat"
        );
        assert_eq!(
            files::read_text(&folder.join("wine/glass.sys")).unwrap(),
            "their glass.sys"
        );
    }

    /// What a device's INF source is made of, and what is made of it.
    fn device_package(source: &[u8]) -> (Vec<u8>, Vec<PathBuf>) {
        let root = tempfile::tempdir().unwrap();
        let driver = driver_in(root.path());
        files::write_if_changed(&root.path().join("glass.inx"), source).unwrap();
        for file in ["glass.sys", "glass.pdb"] {
            files::write_if_changed(&root.path().join(file), image(b"")).unwrap();
        }
        let ingredients = unsigned(&driver, root.path());
        let folder = root.path().join("package");
        let made = ingredients.package(&folder).unwrap();
        let names = made
            .iter()
            .map(|file| file.strip_prefix(&folder).unwrap().to_path_buf());
        (
            files::read(&folder.join("glass.inf")).unwrap(),
            names.collect(),
        )
    }

    #[test]
    fn the_inf_of_a_device_is_stamped_and_keeps_its_encoding() {
        let source = "[Version]\nSignature = \"$WINDOWS NT$\"\nClass = Sample\n\
            [Manufacturer]\n%Maker% = Models,NT$ARCH$\n[SourceDisksFiles]\nglass.sys = 1\n\
            [Strings]\nMaker = \"Glass\"\n";
        let (inf, files) = device_package(source.as_bytes());
        let text = String::from_utf8(inf).unwrap();
        for line in [
            "Models,NTamd64",
            "CatalogFile = glass.cat",
            "DriverVer = 03/09/2026,0.2.0.0",
        ] {
            assert!(
                text.contains(&format!("{line}\r\n")),
                "{line:?} is not in: {text}"
            );
        }
        let expected = ["glass.cat", "glass.inf", "glass.pdb", "glass.sys"];
        assert_eq!(files, expected.map(PathBuf::from));

        let (inf, _) = device_package(&document::encode(&source.replace("Glass", "Gläser")));
        assert!(inf.starts_with(&[0xFF, 0xFE]));
        assert!(document::decode(&inf).unwrap().contains("Gläser"));
    }

    #[test]
    fn a_source_of_unknown_encoding_is_refused_by_its_name() {
        let text = refusal(Some(&GLASS.replace("glass", "gläser")));
        assert!(
            text.contains("glass.inx") && text.contains("UTF-16"),
            "{text}"
        );
    }

    #[test]
    fn an_inf_that_breaks_a_rule_is_refused_with_its_number() {
        let source = GLASS.replace("NTamd64", "NT$ARCH$");
        let text = refusal(Some(&source.replace("PnpLockdown = 1", "PnpLockdown = 0")));
        assert!(text.contains("error 1324"), "{text}");
        let text = refusal(Some(&source.replace("%13%", "%12%")));
        assert!(text.contains("error 2084"), "{text}");
    }
}
