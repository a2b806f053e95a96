//! `makecert`, `certmgr` and `signtool`. A store is a directory with a key and its certificate.
//!
//! Source: "MakeCert", "CertMgr", "SignTool".

use crate::arguments::Arguments;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wdk_kit::files;
use wdk_kit::layout::Layout;
use wdk_kit::signing::Signer;
use wdk_kit::source_date::SourceDate;

/// The moment in the signatures: the same one, so that they can be compared.
const MOMENT: SourceDate = SourceDate(1_773_057_600);

/// Makes a certificate, puts it and its key into a store, and writes it to a file.
pub fn makecert(arguments: &[String]) -> Result<ExitCode> {
    let options = ["-a", "-eku", "-ss", "-n"];
    let arguments = Arguments::parse(arguments, &["-r", "-pe"], &options)?;
    ensure!(
        arguments.has("-r") && arguments.has("-pe"),
        "only self-signed, with a key that can be exported"
    );
    let name = arguments.value("-n")?;
    let name = name.strip_prefix("CN=").context("-n begins with CN=")?;
    let store = Store::of(&arguments, "-ss")?;
    files::create_directory(&store.0)?;
    files::write_if_changed(&store.named(), name)?;
    store.signer()?.export(arguments.file()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a certificate of a store to a file; exits 1 if it is not there.
pub fn certmgr(arguments: &[String]) -> Result<ExitCode> {
    let arguments = Arguments::parse(arguments, &["-put", "-c"], &["-s", "-n"])?;
    ensure!(
        arguments.has("-put") && arguments.has("-c"),
        "only -put of a certificate"
    );
    // -s says that the name after it is a store.
    let store = Store::of(&arguments, "-s")?;
    if !store.has(arguments.value("-n")?) {
        eprintln!("certmgr: no such certificate");
        return Ok(ExitCode::FAILURE);
    }
    store.signer()?.export(arguments.file()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Signs a file with a certificate of a store.
pub fn signtool(arguments: &[String]) -> Result<ExitCode> {
    let options = ["/s", "/n", "/t", "/fd"];
    let arguments = Arguments::parse(arguments, &["sign", "/v"], &options)?;
    ensure!(arguments.has("sign"), "only sign");
    let digest = arguments.value("/fd")?;
    ensure!(digest.eq_ignore_ascii_case("SHA256"), "/fd {digest}");
    let server = arguments.value("/t")?;
    ensure!(server.starts_with("http"), "/t {server}: no address");
    let store = Store::of(&arguments, "/s")?;
    let name = arguments.value("/n")?;
    ensure!(store.has(name), "no certificate of {name}");
    let file = arguments.present_file()?;
    let signed = file.with_extension("signed");
    store.signer()?.sign(file, &signed, MOMENT)?;
    fs::rename(&signed, file).with_context(|| format!("cannot replace {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

struct Store(PathBuf);

impl Store {
    fn of(arguments: &Arguments, option: &str) -> Result<Self> {
        let stores = std::env::var_os("STAND_IN_STORES").context("STAND_IN_STORES is not set")?;
        Ok(Self(Path::new(&stores).join(arguments.value(option)?)))
    }

    fn named(&self) -> PathBuf {
        self.0.join("name")
    }

    /// Whether it has a certificate whose subject has that name in it.
    fn has(&self, name: &str) -> bool {
        let there = files::read_text(&self.named()).unwrap_or_default();
        there
            .to_ascii_lowercase()
            .contains(&name.to_ascii_lowercase())
            && !there.is_empty()
    }

    fn signer(&self) -> Result<Signer> {
        Signer::for_tests(&Layout::new(&self.0))
    }
}
