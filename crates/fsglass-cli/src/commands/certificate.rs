//! `certificate`: makes Windows believe the test signature of the package, or no longer.

use super::context::{Context, administrator, beside_program};
use crate::arguments::Certificate;
use crate::error::{Error, Exit, Result};
use std::path::{Path, PathBuf};

/// The names that a package's certificate has: made on Linux, and by wdk-build's makefile.
const NAMES: [&str; 2] = ["fsglass.cer", "WDRLocalTestCert.cer"];

/// Where a certificate must be: as an authority, and as a publisher whose drivers are installed
/// without a question.
const STORES: [&str; 2] = ["Root", "TrustedPublisher"];

/// Installs or removes the certificate.
pub fn run(context: &mut Context<'_>, what: &Certificate) -> Result<Exit> {
    let (file, install) = match what {
        Certificate::Install { file } => (file, true),
        Certificate::Remove { file } => (file, false),
    };
    administrator(context.system, "to change the machine's certificates")?;
    let path = find(file.as_deref())?;
    let certificate = std::fs::read(&path)
        .map_err(|error| Error::new(format!("cannot read {}: {error}", path.display())))?;
    // A DER certificate is a SEQUENCE with a length in two bytes.
    if !certificate.starts_with(&[0x30, 0x82]) {
        let what = format!("{} is no certificate in DER form", path.display());
        return Err(Error::new(what).remedy("take the .cer of the package"));
    }
    for store in STORES {
        if install {
            context.system.add_certificate(store, &certificate)?;
            writeln!(context.out, "{}: added to {store}", path.display())?;
        } else if context.system.remove_certificate(store, &certificate)? {
            writeln!(context.out, "{}: removed from {store}", path.display())?;
        } else {
            writeln!(context.out, "{}: was not in {store}", path.display())?;
        }
    }
    Ok(Exit::Done)
}

fn find(file: Option<&Path>) -> Result<PathBuf> {
    match file {
        Some(file) => Ok(file.to_path_buf()),
        None => beside_program(&NAMES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::ran;
    use crate::system::pretended::Pretended;

    #[test]
    fn a_certificate_goes_into_both_stores_and_out_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0x30, 0x82, 0, 0]).unwrap();
        let path = file.path().to_str().unwrap();
        let system = Pretended {
            administrator: true,
            ..Pretended::default()
        };
        assert_eq!(
            ran(&system, &["certificate", "install", path]).0,
            Ok(Exit::Done)
        );
        assert_eq!(
            ran(&system, &["certificate", "remove", path]).0,
            Ok(Exit::Done)
        );
        assert_eq!(
            *system.done.borrow(),
            [
                "add 4 bytes to Root",
                "add 4 bytes to TrustedPublisher",
                "remove 4 bytes from Root",
                "remove 4 bytes from TrustedPublisher"
            ]
        );
    }

    #[test]
    fn what_is_no_certificate_is_not_installed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "-----BEGIN").unwrap();
        let path = file.path().to_str().unwrap();
        let system = Pretended {
            administrator: true,
            ..Pretended::default()
        };
        assert_eq!(
            ran(&system, &["certificate", "install", path]).0,
            Err(Exit::Failed)
        );
        assert!(system.done.borrow().is_empty());
    }
}
