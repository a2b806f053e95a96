//! A package that the tasks have made in Wine, held against the one that is made on Linux.

use crate::image;
use anyhow::{Context, Result, bail, ensure};
use fsglass_tests::drivers::{Profile, client, fsglass};
use fsglass_tests::package::is_accepted;
use std::path::{Path, PathBuf};
use wdk_kit::files;
use wdk_kit::layout::Layout;
use wdk_kit::package::{self, Ingredients, WINE};
use wdk_kit::package_check;
use wdk_kit::signing::Signer;
use wdk_kit::source_date::SourceDate;
use wdk_kit::workspace::Workspace;

/// What Linux's package is dated: nothing that is compared depends on it.
const MOMENT: SourceDate = SourceDate(1_773_057_600);

/// CertificateTrustList, the content of a catalog: 1.3.6.1.4.1.311.10.1 in DER.
const TRUST_LIST: &[u8] = b"\x06\x09\x2b\x06\x01\x04\x01\x82\x37\x0a\x01";

/// The type and length of a UTCTime in DER, `YYMMDDhhmmssZ`.
const TIME: &[u8] = b"\x17\x0d";

/// Makes the package on Linux, below `root`, and returns its folder.
///
/// # Errors
/// When something has not been built, or cannot be signed.
pub fn on_linux(root: &Path) -> Result<PathBuf> {
    let workspace = Workspace::find(None)?;
    let driver = fsglass(Profile::Release);
    let signer = Signer::for_tests(&Layout::new(root))?;
    let drivers = workspace.select(&[])?;
    let ingredients = Ingredients {
        driver: drivers.first().context("no driver at the root")?,
        built: driver.parent().context("no directory")?,
        programs: &[client()],
        moment: MOMENT,
        signer: Some(&signer),
    };
    let folder = root.join("package");
    ingredients.package(&folder)?;
    Ok(folder)
}

/// Fails unless the package of Wine is whole, signed with `certificate`, and that of Linux apart
/// from signatures, dates and compilers.
///
/// # Errors
/// With the first thing that is not so.
pub fn compare(linux: &Path, wine: &Path, certificate: &Path) -> Result<()> {
    let (ours, theirs) = (names(linux)?, names(wine)?);
    ensure!(ours == theirs, "Linux has {ours:?}, Wine {theirs:?}");
    let workspace = Workspace::find(None)?;
    let drivers = workspace.select(&[])?;
    let driver = drivers.first().context("no driver at the root")?;
    package_check::check(driver, &["fsglass.exe".to_owned()], wine)?;

    let pair = |name: &str| -> Result<_> {
        Ok([
            files::read(&linux.join(name))?,
            files::read(&wine.join(name))?,
        ])
    };
    let wine_inf = format!("{WINE}/fsglass.inf");
    for name in ["README.txt", "fsglass.inf", &*wine_inf] {
        let [one, other] = pair(name)?.map(|bytes| undated(&bytes));
        ensure!(one == other, "{name}: {one}\nin Wine: {other}");
    }
    let [ours, theirs] = pair("fsglass.sys")?;
    image::compare(&ours, &theirs)?;
    image::audit(&theirs, &files::read(&wine.join("fsglass.pdb"))?)?;
    let same = files::read(&wine.join(WINE).join("fsglass.sys"))? == theirs;
    ensure!(same, "{WINE}/fsglass.sys is another driver");
    for name in ["fsglass.sys", "fsglass.exe", "fsglass.cat"] {
        ensure!(
            is_accepted(&wine.join(name), certificate, None),
            "osslsigncode does not accept the signature of {name}"
        );
    }
    catalog(wine)
}

/// Fails unless the catalog is the one that the kit makes of the files beside it.
fn catalog(folder: &Path) -> Result<()> {
    let signed = files::read(&folder.join("fsglass.cat"))?;
    let (_, made) = package::catalog_of(&folder.join("fsglass.inf"), moment(&signed)?)?;
    // Nobody has signed: an empty set ends it.
    let list = made.strip_suffix(b"\x31\x00").unwrap_or(&made);
    let begin = place(list, TRUST_LIST).context("the kit makes no list")?;
    let list = list.get(begin..).unwrap_or_default();
    ensure!(
        place(&signed, list).is_some(),
        "fsglass.cat is not the catalog of the files beside it"
    );
    Ok(())
}

/// When a catalog was made, of which nothing before its list has a time.
fn moment(catalog: &[u8]) -> Result<SourceDate> {
    let begin = place(catalog, TIME).context("the catalog has no time")? + TIME.len();
    let text = catalog.get(begin..begin + 12).unwrap_or_default();
    let mut numbers = [0_u64; 6];
    for (number, digits) in numbers.iter_mut().zip(text.chunks(2)) {
        let digits = std::str::from_utf8(digits)?;
        *number = digits.parse().with_context(|| digits.to_owned())?;
    }
    let [year, month, day, hour, minute, second] = numbers;
    let days = days_since_1970(2000 + year, month, day);
    Ok(SourceDate(((days * 24 + hour) * 60 + minute) * 60 + second))
}

fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // The year begins in March, so that a leap day ends it.
    let (year, month) = match month {
        0..=2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let before = 719_468;
    (year * 365 + leap_days + (153 * month + 2) / 5 + day - 1) - before
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let files = files::below(folder)?;
    if files.is_empty() {
        bail!("there is no package in {}", folder.display());
    }
    let names = files
        .iter()
        .filter_map(|file| file.strip_prefix(folder).ok());
    Ok(names.map(|name| name.display().to_string()).collect())
}

/// The text, without the date of an INF.
fn undated(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(|line| match line.split_once("DriverVer") {
        Some((before, rest)) => {
            let version = rest.split_once(',').map_or("", |(_, version)| version);
            format!("{before}DriverVer = DATE,{version}\n")
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

fn place(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(root: &Path) -> (PathBuf, PathBuf) {
        let package = on_linux(root).unwrap();
        let signer = Signer::for_tests(&Layout::new(root)).unwrap();
        (package, signer.certificate().to_path_buf())
    }

    /// A change in each file is a difference.
    #[test]
    fn another_package_is_a_difference() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (linux, _) = made(ours.path());
        let (wine, certificate) = made(theirs.path());
        compare(&linux, &wine, &certificate).unwrap();
        for name in names(&wine).unwrap() {
            let path = wine.join(&name);
            let whole = files::read(&path).unwrap();
            let mut changed = whole.clone();
            // In an INF, a letter of its text; elsewhere, what the file begins with.
            let text = name.ends_with("inf");
            let at = text.then(|| place(&whole, b"Service").unwrap());
            changed[at.unwrap_or_default()] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert!(
                compare(&linux, &wine, &certificate).is_err(),
                "{name} is changed"
            );
            std::fs::remove_file(&path).unwrap();
            assert!(compare(&linux, &wine, &certificate).is_err(), "no {name}");
            std::fs::write(&path, &whole).unwrap();
        }
        compare(&linux, &wine, &certificate).unwrap();
    }

    #[test]
    fn the_moment_of_a_catalog_is_read() {
        for (text, seconds) in [
            ("260309120000", MOMENT.0),
            ("240229235959", 1_709_251_199),
            ("250101000001", 1_735_689_601),
        ] {
            let catalog = format!("\x17\x0d{text}Z");
            assert_eq!(
                moment(catalog.as_bytes()).unwrap(),
                SourceDate(seconds),
                "{text}"
            );
        }
        assert!(moment(b"\x17\x0d26030912000Z").is_err());
    }
}
