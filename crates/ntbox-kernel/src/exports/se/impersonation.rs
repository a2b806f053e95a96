//! Impersonation: what a thread does with the rights of a client.
//!
//! A client's context has the token itself: a copy could not be told from it, as tokens do not change here.
//!
//! Source: `SeCreateClientSecurity`, `SeImpersonateClientEx`, `PsImpersonateClient`, `PsRevertToSelf` in the DDI
//! reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::token::{dereference, effective, of_object, reference};
use crate::nt::{NTSTATUS, SECURITY_CLIENT_CONTEXT, SECURITY_SUBJECT_CONTEXT, STATUS_SUCCESS};
use crate::processor::irql;
use crate::processor::thread::{self, Thread, Token};
use std::ffi::c_void;
use std::ptr::null_mut;
use windows_sys::Win32::Security::SECURITY_QUALITY_OF_SERVICE;

/// The thread of an object, or the one that runs for null.
fn thread_of(object: *mut c_void) -> &'static Thread {
    let other = (!object.is_null())
        .then(|| thread::from_object(object))
        .flatten();
    other.unwrap_or_else(thread::current)
}

/// Fills a client's context, with a reference on the token that the driver gives back with it.
///
/// # Safety
/// The driver's structures.
unsafe fn fill(
    context: *mut SECURITY_CLIENT_CONTEXT,
    quality: *const SECURITY_QUALITY_OF_SERVICE,
    remote: u8,
    token: Token,
    caller: usize,
) {
    let new = SECURITY_CLIENT_CONTEXT {
        // SAFETY: contract.
        SecurityQos: unsafe { *quality },
        ClientToken: reference(token, caller),
        DirectlyAccessClientToken: true,
        ServerIsRemote: remote != 0,
        ..SECURITY_CLIENT_CONTEXT::default()
    };
    // SAFETY: contract.
    unsafe { context.write(new) };
}

/// `SeCreateClientSecurity`: of what the thread has the rights of now. No thread impersonates below
/// `SecurityImpersonation` here, so that each can be impersonated in its turn.
pub unsafe extern "win64" fn create(
    client: *mut c_void,
    quality: *const SECURITY_QUALITY_OF_SERVICE,
    remote: u8,
    context: *mut SECURITY_CLIENT_CONTEXT,
    caller: usize,
) -> NTSTATUS {
    irql::require("SeCreateClientSecurity", caller);
    let token = thread_of(client).token();
    // SAFETY: the driver's structures.
    unsafe { fill(context, quality, remote, token, caller) };
    STATUS_SUCCESS
}

/// `SeCreateClientSecurityFromSubjectContext`.
pub unsafe extern "win64" fn create_from_subject(
    subject: *const SECURITY_SUBJECT_CONTEXT,
    quality: *const SECURITY_QUALITY_OF_SERVICE,
    remote: u8,
    context: *mut SECURITY_CLIENT_CONTEXT,
    caller: usize,
) -> NTSTATUS {
    irql::require("SeCreateClientSecurityFromSubjectContext", caller);
    // SAFETY: the driver's context.
    let token = of_object(unsafe { effective(subject) });
    // SAFETY: the driver's structures.
    unsafe { fill(context, quality, remote, token, caller) };
    STATUS_SUCCESS
}

/// `SeImpersonateClientEx`: the thread that runs, where none is named.
pub unsafe extern "win64" fn impersonate_ex(
    context: *const SECURITY_CLIENT_CONTEXT,
    server: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("SeImpersonateClientEx", caller);
    // SAFETY: the driver's context.
    let token = unsafe { (*context).ClientToken };
    thread_of(server).impersonate(Some(of_object(token)));
    STATUS_SUCCESS
}

/// `SeImpersonateClient`, which does not tell how it went.
pub unsafe extern "win64" fn impersonate(
    context: *const SECURITY_CLIENT_CONTEXT,
    server: *mut c_void,
    caller: usize,
) {
    irql::require("SeImpersonateClient", caller);
    // SAFETY: as there.
    unsafe { impersonate_ex(context, server, caller) };
}

/// `PsImpersonateClient`: a token of null ends it.
pub unsafe extern "win64" fn impersonate_token(
    server: *mut c_void,
    token: *mut c_void,
    _copy_on_open: u8,
    _effective_only: u8,
    _level: i32,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsImpersonateClient", caller);
    thread_of(server).impersonate((!token.is_null()).then(|| of_object(token)));
    STATUS_SUCCESS
}

/// `PsRevertToSelf`.
pub unsafe extern "win64" fn revert(caller: usize) {
    irql::require("PsRevertToSelf", caller);
    thread::current().impersonate(None);
}

/// `PsIsThreadImpersonating`.
pub unsafe extern "win64" fn is_impersonating(server: *mut c_void) -> u8 {
    u8::from(thread_of(server).impersonated().is_some())
}

/// `PsReferenceImpersonationToken`: null for a thread that impersonates nobody.
pub unsafe extern "win64" fn reference_token(
    server: *mut c_void,
    copy_on_open: *mut u8,
    effective_only: *mut u8,
    level: *mut i32,
    caller: usize,
) -> *mut c_void {
    irql::require("PsReferenceImpersonationToken", caller);
    let Some(token) = thread_of(server).impersonated() else {
        return null_mut();
    };
    for flag in [copy_on_open, effective_only] {
        // SAFETY: the driver's pointers.
        unsafe { flag.write(0) };
    }
    // SAFETY: as above.
    unsafe { level.write(super::token::IMPERSONATION_LEVEL) };
    reference(token, caller)
}

/// `PsDereferenceImpersonationToken`.
pub unsafe extern "win64" fn dereference_token(object: *mut c_void, caller: usize) {
    irql::require("PsDereferenceImpersonationToken", caller);
    dereference(object, caller);
}

#[cfg(test)]
mod tests {
    use super::super::token::{capture, object_of, of_process, release};
    use super::*;
    use windows_sys::Win32::Security::SecurityImpersonation;

    fn subject() -> SECURITY_SUBJECT_CONTEXT {
        let mut subject = SECURITY_SUBJECT_CONTEXT::default();
        // SAFETY: a local variable.
        unsafe { capture(&raw mut subject, 0) };
        subject
    }

    #[test]
    fn a_thread_has_the_rights_of_its_client_until_it_reverts() {
        let body = || {
            let own = thread::current().token();
            assert_ne!(own, Token::User);
            let mut context = SECURITY_CLIENT_CONTEXT::default();
            let mut captured = subject();
            captured.ClientToken = object_of(Token::User);
            let quality = SECURITY_QUALITY_OF_SERVICE {
                ImpersonationLevel: SecurityImpersonation,
                ..SECURITY_QUALITY_OF_SERVICE::default()
            };
            let quality = &raw const quality;
            // SAFETY: local structures, here and below.
            unsafe { create_from_subject(&raw const captured, quality, 0, &raw mut context, 0) };
            // SAFETY: as above.
            let status = unsafe { impersonate_ex(&raw const context, null_mut(), 0) };
            assert_eq!(
                (status, thread::current().token()),
                (STATUS_SUCCESS, Token::User)
            );
            assert_eq!(of_process(thread::current().process()), own);

            // Who looks now sees the client in front of the process.
            let mut seen = subject();
            let tokens = (seen.ClientToken, seen.PrimaryToken, seen.ImpersonationLevel);
            let wanted = (
                object_of(Token::User),
                object_of(own),
                SecurityImpersonation,
            );
            assert_eq!(tokens, wanted);
            // SAFETY: as above.
            unsafe { release(&raw mut seen, 0) };
            let (mut copy, mut only, mut level) = (9, 9, 9);
            let token = {
                let (copy, only, level) = (&raw mut copy, &raw mut only, &raw mut level);
                // SAFETY: as above.
                unsafe { reference_token(null_mut(), copy, only, level, 0) }
            };
            assert_eq!((token, copy, only), (object_of(Token::User), 0, 0));
            // SAFETY: referenced above.
            unsafe { dereference_token(token, 0) };

            // SAFETY: no pointer.
            unsafe { revert(0) };
            assert_eq!(
                (thread::current().token(), thread::current().impersonated()),
                (own, None)
            );
            // SAFETY: as above.
            unsafe { create(thread::current().object(), quality, 0, &raw mut context, 0) };
            assert_eq!(context.ClientToken, object_of(own));
            captured.ClientToken = null_mut();
            // SAFETY: as above.
            unsafe { release(&raw mut captured, 0) };
        };
        std::thread::spawn(body).join().expect("no panic");
    }
}
