//! Signing with a certificate that is made here, for test machines.
//!
//! The key and the certificate are made once, in `target/test-signing`, and never leave the
//! machine with the sources. A machine believes the signatures once the certificate is in its
//! stores and test signing is on. There is no time stamp, since the services that give them
//! are on the network: the signatures end with the certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::files;
use crate::layout::Layout;
use crate::process;
use crate::source_date::SourceDate;

/// How long the certificate holds, and how long it must still hold to be used again.
const DAYS: &str = "3650";
const SECONDS_LEFT: &str = "86400";

/// Who signs, as Windows shows it.
const SUBJECT: &str = "wdk-kit test signing";

/// A key with its certificate.
#[derive(Debug, Clone)]
pub struct Signer {
    key: PathBuf,
    certificate: PathBuf,
}

impl Signer {
    /// The test key and certificate of a workspace, made if there are none that still hold.
    ///
    /// # Errors
    /// With the words of `openssl`.
    pub fn for_tests(layout: &Layout) -> Result<Self> {
        let directory = layout.test_signing();
        let signer = Self {
            key: directory.join("key.pem"),
            certificate: directory.join("certificate.pem"),
        };
        if !signer.holds() {
            files::create_directory(&directory)?;
            signer.make()?;
        }
        Ok(signer)
    }

    /// The certificate, in PEM.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Writes the certificate as Windows installs it, a `.cer` in DER.
    ///
    /// # Errors
    /// With the words of `openssl`.
    pub fn export(&self, destination: &Path) -> Result<()> {
        let mut command = Command::new("openssl");
        command.args(["x509", "-outform", "der", "-in"]);
        command.arg(&self.certificate).arg("-out").arg(destination);
        process::capture(&mut command).map(drop)
    }

    /// Signs an image or a catalog, with SHA-256.
    ///
    /// # Errors
    /// With the words of `osslsigncode`.
    pub fn sign(&self, source: &Path, destination: &Path, moment: SourceDate) -> Result<()> {
        // It does not write over a file.
        if destination.exists() {
            fs::remove_file(destination)
                .with_context(|| format!("cannot replace {}", destination.display()))?;
        }
        if let Some(parent) = destination.parent() {
            files::create_directory(parent)?;
        }
        let mut command = Command::new("osslsigncode");
        command.args(["sign", "-h", "sha256", "-time"]);
        command.arg(moment.0.to_string());
        command.arg("-certs").arg(&self.certificate);
        command.arg("-key").arg(&self.key);
        command.arg("-in").arg(source).arg("-out").arg(destination);
        process::capture(&mut command)
            .with_context(|| format!("cannot sign {}", source.display()))
            .map(drop)
    }

    fn holds(&self) -> bool {
        let mut command = Command::new("openssl");
        command.args(["x509", "-noout", "-checkend", SECONDS_LEFT, "-in"]);
        command.arg(&self.certificate);
        self.key.exists() && process::capture(&mut command).is_ok()
    }

    fn make(&self) -> Result<()> {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-sha256", "-newkey", "rsa:3072", "-nodes"]);
        command.args(["-days", DAYS, "-subj", &format!("/CN={SUBJECT}")]);
        for extension in [
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            "extendedKeyUsage=critical,codeSigning",
        ] {
            command.args(["-addext", extension]);
        }
        command.arg("-keyout").arg(&self.key);
        command.arg("-out").arg(&self.certificate);
        process::capture(&mut command)
            .context("cannot make a certificate for test signatures")
            .map(drop)
    }
}
