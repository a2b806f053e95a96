//! `stampinf`, `inf2cat` and `infverif`.
//!
//! Source: "Stampinf Command Options", "Inf2Cat", "Running InfVerif from the Command Line".

use crate::arguments::{Arguments, present};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use wdk_kit::files;
use wdk_kit::inf::document::Document;
use wdk_kit::inf::lint::{self, Mode};
use wdk_kit::inf::stamp::{self, Date};
use wdk_kit::package;
use wdk_kit::source_date::SourceDate;

/// Stamps the INF that `-f` names.
pub fn stampinf(arguments: &[String]) -> Result<ExitCode> {
    let arguments = Arguments::parse(arguments, &[], &["-f", "-d", "-a", "-c", "-v"])?;
    if let Some(unknown) = arguments.files.first() {
        bail!("{} is no option that is known here", unknown.display());
    }
    let inf = present(Path::new(arguments.value("-f")?))?;
    let date = arguments.value("-d")?;
    ensure!(date == "*", "-d {date}: only today's date (*) is stamped");
    let architecture = arguments.value("-a")?;
    ensure!(architecture == "amd64", "-a {architecture}: not amd64");
    let version = arguments.value("-v")?;
    let parts: Vec<_> = version.split('.').map(str::parse::<u16>).collect();
    ensure!(
        parts.len() == 4 && parts.iter().all(Result::is_ok),
        "-v {version}: not four numbers"
    );
    let stamped = stamp::stamp(&files::read_text(inf)?, Date::of(now()?), version)?;
    let catalog = arguments.value("-c")?;
    let document = Document::parse(&stamped);
    let named = document.directive("Version", "CatalogFile");
    ensure!(
        named.is_some_and(|entry| entry.value(0) == catalog),
        "-c {catalog}: the INF names another catalog"
    );
    files::write_if_changed(inf, stamped)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the catalog of each INF in a folder, not signed.
pub fn inf2cat(arguments: &[String]) -> Result<ExitCode> {
    let arguments = Arguments::parse(arguments, &["/uselocaltime"], &["/driver:", "/os:"])?;
    if let Some(unknown) = arguments.files.first() {
        bail!("{} is no option that is known here", unknown.display());
    }
    let systems = arguments.value("/os:")?;
    ensure!(
        systems.eq_ignore_ascii_case("10_x64"),
        "/os:{systems}: not 10_x64"
    );
    let folder = Path::new(arguments.value("/driver:")?);
    let mut made = 0;
    for inf in files::below(folder)? {
        if inf.extension().is_some_and(|extension| extension == "inf") {
            let (catalog, contents) = package::catalog_of(&inf, now()?)?;
            files::write_if_changed(&catalog, contents)?;
            made += 1;
        }
    }
    ensure!(made != 0, "there is no INF in {}", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Looks at an INF: exits 1 after a finding.
pub fn infverif(arguments: &[String]) -> Result<ExitCode> {
    let arguments = Arguments::parse(arguments, &["/v", "/w", "/k"], &[])?;
    let mode = match (arguments.has("/w"), arguments.has("/k")) {
        (true, false) => Mode::Windows,
        (false, true) => Mode::Declarative,
        _ => bail!("either /w or /k"),
    };
    let inf = arguments.present_file()?;
    let findings = lint::check(&Document::read(&files::read(inf)?), mode);
    for finding in &findings {
        println!("{}:{finding}", inf.display());
    }
    Ok(ExitCode::from(u8::from(!findings.is_empty())))
}

fn now() -> Result<SourceDate> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(SourceDate(now.context("the clock is not set")?.as_secs()))
}
