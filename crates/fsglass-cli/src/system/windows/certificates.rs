//! Certificate stores of the machine.

use super::wide;
use crate::error::{Code, Error, Result};
use windows_sys::Win32::Foundation::GetLastError;
use windows_sys::Win32::Security::Cryptography::{
    CERT_CONTEXT, CERT_FIND_EXISTING, CERT_STORE_ADD_REPLACE_EXISTING, CERT_STORE_PROV_SYSTEM_W,
    CERT_SYSTEM_STORE_LOCAL_MACHINE, CertAddEncodedCertificateToStore, CertCloseStore,
    CertCreateCertificateContext, CertDeleteCertificateFromStore, CertFindCertificateInStore,
    CertFreeCertificateContext, CertOpenStore, HCERTSTORE, X509_ASN_ENCODING,
};

/// An open store; closed when dropped.
pub(super) struct Store {
    handle: HCERTSTORE,
    name: String,
}

fn last_error(what: String) -> Error {
    // SAFETY: no precondition.
    Error::with_code(what, Code::Win32(unsafe { GetLastError() }))
}

impl Store {
    /// Opens a store by its name.
    pub(super) fn open(name: &str) -> Result<Self> {
        let wide_name = wide(name);
        // SAFETY: the provider of system stores takes a terminated name.
        let handle = unsafe {
            CertOpenStore(
                CERT_STORE_PROV_SYSTEM_W,
                0,
                0,
                CERT_SYSTEM_STORE_LOCAL_MACHINE,
                wide_name.as_ptr().cast(),
            )
        };
        if handle.is_null() {
            return Err(last_error(format!("cannot open the store {name}")));
        }
        let name = name.to_owned();
        Ok(Self { handle, name })
    }

    /// Adds a certificate, in the place of the same one.
    pub(super) fn add(&self, certificate: &[u8]) -> Result<()> {
        // SAFETY: an open store, and an encoded certificate of the stated size.
        let added = unsafe {
            CertAddEncodedCertificateToStore(
                self.handle,
                X509_ASN_ENCODING,
                certificate.as_ptr(),
                certificate.len() as u32,
                CERT_STORE_ADD_REPLACE_EXISTING,
                std::ptr::null_mut(),
            )
        };
        if added == 0 {
            let what = format!("cannot add the certificate to the store {}", self.name);
            return Err(last_error(what));
        }
        Ok(())
    }

    /// Removes a certificate: whether it was there.
    pub(super) fn remove(&self, certificate: &[u8]) -> Result<bool> {
        // SAFETY: an encoded certificate of the stated size.
        let wanted = unsafe {
            CertCreateCertificateContext(
                X509_ASN_ENCODING,
                certificate.as_ptr(),
                certificate.len() as u32,
            )
        };
        if wanted.is_null() {
            return Err(last_error("that is no certificate".to_owned()));
        }
        let wanted = Context(wanted);
        // SAFETY: an open store and a certificate to look for.
        let found = unsafe {
            CertFindCertificateInStore(
                self.handle,
                X509_ASN_ENCODING,
                0,
                CERT_FIND_EXISTING,
                wanted.0.cast(),
                std::ptr::null(),
            )
        };
        if found.is_null() {
            return Ok(false);
        }
        // SAFETY: found above; the call frees it, whatever comes of it.
        if unsafe { CertDeleteCertificateFromStore(found) } == 0 {
            let what = format!("cannot remove the certificate from the store {}", self.name);
            return Err(last_error(what));
        }
        Ok(true)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed once.
        unsafe { CertCloseStore(self.handle, 0) };
    }
}

/// A certificate that was decoded; freed when dropped.
struct Context(*mut CERT_CONTEXT);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by `remove`, freed once.
        unsafe { CertFreeCertificateContext(self.0) };
    }
}
