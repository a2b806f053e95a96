//! Access tokens, and the contexts in which drivers look at them.
//!
//! There are three tokens, one for each [`Token`]. A thread has that of its process, or the one that a workload gave
//! it, or that of a client ([`super::impersonation`]).
//!
//! Source: `SeCaptureSubjectContext`, `SeQueryInformationToken`, `SeAccessCheck`, `SePrivilegeCheck`,
//! `PsReferencePrimaryToken` in the DDI reference.

#![expect(
    non_upper_case_globals,
    reason = "information classes keep the DDI's names"
)]
#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::sid::{self, Sid};
use crate::exports::zw::self_relative;
use crate::io_manager::references;
use crate::nt::{
    NTSTATUS, SECURITY_SUBJECT_CONTEXT, STATUS_ACCESS_DENIED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_INFO_CLASS, STATUS_SUCCESS,
};
use crate::pool;
use crate::processor::object::{self, Kind, ObjectType};
use crate::processor::process::{self, Process};
use crate::processor::thread::{self, Thread, Token};
use crate::processor::{irql, lifetime};
use crate::user::access;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::LUID;
use windows_sys::Win32::Security::{
    GENERIC_MAPPING, PRIVILEGE_SET, SID_AND_ATTRIBUTES, TOKEN_GROUPS, TOKEN_USER, TokenGroups,
    TokenOwner, TokenPrimary, TokenSessionId, TokenType, TokenUser,
};

/// `SeTokenObjectType`.
pub static TOKEN_TYPE: &ObjectType = object::object_type(Kind::Token);

const TOKENS: [Token; 3] = [Token::System, Token::Administrator, Token::User];
const TAG: u32 = u32::from_le_bytes(*b"SeTk");
/// `SE_GROUP_MANDATORY | SE_GROUP_ENABLED_BY_DEFAULT | SE_GROUP_ENABLED`.
pub(in crate::exports) const ENABLED: u32 = 7;
/// `PRIVILEGE_SET_ALL_NECESSARY`.
const ALL_NECESSARY: u32 = 1;
/// `MAXIMUM_ALLOWED`.
const MAXIMUM_ALLOWED: u32 = 0x0200_0000;

/// The object of a token, which stays.
pub(in crate::exports) fn object_of(token: Token) -> *mut c_void {
    static OBJECTS: OnceLock<[usize; TOKENS.len()]> = OnceLock::new();
    let objects =
        OBJECTS.get_or_init(|| TOKENS.map(|_| object::create(Kind::Token, 16).expose_provenance()));
    std::ptr::with_exposed_provenance_mut(objects[token as usize])
}

/// The token that an object is; that of a user for what is none.
pub(in crate::exports) fn of_object(object: *mut c_void) -> Token {
    let is = |token: &Token| object_of(*token) == object;
    TOKENS.into_iter().find(is).unwrap_or(Token::User)
}

/// The token of a process: that of the thread that runs, if it is its own.
pub(in crate::exports) fn of_process(process: *mut c_void) -> Token {
    let current = thread::current();
    if current.process() == process {
        current.primary_token()
    } else if process == thread::system_process() {
        Token::System
    } else {
        Token::Administrator
    }
}

pub(super) fn reference(token: Token, caller: usize) -> *mut c_void {
    let object = object_of(token);
    // SAFETY: token objects live as long as the box.
    unsafe { lifetime::reference(object) };
    // SAFETY: as above.
    unsafe { references::taken(object, caller) };
    object
}

pub(super) fn dereference(object: *mut c_void, caller: usize) {
    if !object.is_null() {
        references::given_back(object, caller);
        // SAFETY: the driver's reference.
        unsafe { lifetime::dereference(object) };
    }
}

/// `PsReferencePrimaryToken`.
pub unsafe extern "win64" fn reference_primary(process: *mut c_void, caller: usize) -> *mut c_void {
    irql::require("PsReferencePrimaryToken", caller);
    reference(of_process(process), caller)
}

/// `PsDereferencePrimaryToken`.
pub unsafe extern "win64" fn dereference_primary(object: *mut c_void, caller: usize) {
    irql::require("PsDereferencePrimaryToken", caller);
    dereference(object, caller);
}

/// `SecurityImpersonation`, at which clients are impersonated.
pub(super) const IMPERSONATION_LEVEL: i32 = 2;

/// `SeCaptureSubjectContext`: of the thread that runs.
pub unsafe extern "win64" fn capture(context: *mut SECURITY_SUBJECT_CONTEXT, caller: usize) {
    irql::require("SeCaptureSubjectContext", caller);
    let current = thread::current();
    let id = current.owner().id();
    // SAFETY: the driver passes the memory of a context.
    unsafe { context.write(captured(current.primary_token(), Some(current), id, caller)) };
}

/// `SeCaptureSubjectContextEx`: of a process, and of what a thread of it impersonates.
pub unsafe extern "win64" fn capture_of(
    thread: *mut c_void,
    process: *mut c_void,
    context: *mut SECURITY_SUBJECT_CONTEXT,
    caller: usize,
) {
    irql::require("SeCaptureSubjectContextEx", caller);
    let thread = thread::from_object(thread);
    let id = process::from_object(process).map_or(0, Process::id);
    // SAFETY: the driver passes the memory of a context.
    unsafe { context.write(captured(of_process(process), thread, id, caller)) };
}

fn captured(
    token: Token,
    thread: Option<&Thread>,
    process: u32,
    caller: usize,
) -> SECURITY_SUBJECT_CONTEXT {
    let client = thread.and_then(Thread::impersonated);
    SECURITY_SUBJECT_CONTEXT {
        ClientToken: client.map_or(null_mut(), |client| reference(client, caller)),
        ImpersonationLevel: client.map_or(0, |_| IMPERSONATION_LEVEL),
        PrimaryToken: reference(token, caller),
        ProcessAuditId: std::ptr::without_provenance_mut(process as usize),
    }
}

/// `SeReleaseSubjectContext`: its tokens are gone.
pub unsafe extern "win64" fn release(context: *mut SECURITY_SUBJECT_CONTEXT, caller: usize) {
    irql::require("SeReleaseSubjectContext", caller);
    // SAFETY: the driver's context.
    let context = unsafe { &mut *context };
    for token in [&mut context.PrimaryToken, &mut context.ClientToken] {
        dereference(std::mem::replace(token, null_mut()), caller);
    }
}

/// `SeLockSubjectContext`: tokens of the box do not change.
pub unsafe extern "win64" fn lock(_context: *mut SECURITY_SUBJECT_CONTEXT, caller: usize) {
    irql::require("SeLockSubjectContext", caller);
}

/// `SeUnlockSubjectContext`.
pub unsafe extern "win64" fn unlock(_context: *mut SECURITY_SUBJECT_CONTEXT, caller: usize) {
    irql::require("SeUnlockSubjectContext", caller);
}

/// The token that counts in a context: that of a client before the process's own.
///
/// # Safety
/// `context` is a captured one.
pub(super) unsafe fn effective(context: *const SECURITY_SUBJECT_CONTEXT) -> *mut c_void {
    // SAFETY: contract.
    let context = unsafe { &*context };
    if context.ClientToken.is_null() {
        context.PrimaryToken
    } else {
        context.ClientToken
    }
}

/// `SeTokenIsAdmin`.
pub unsafe extern "win64" fn is_administrator(object: *mut c_void, caller: usize) -> u8 {
    irql::require("SeTokenIsAdmin", caller);
    u8::from(of_object(object) != Token::User)
}

/// `SeTokenIsRestricted`: none is.
pub unsafe extern "win64" fn is_restricted(_object: *mut c_void, caller: usize) -> u8 {
    irql::require("SeTokenIsRestricted", caller);
    0
}

/// `SeTokenType`.
pub unsafe extern "win64" fn token_type(_object: *mut c_void) -> i32 {
    TokenPrimary
}

/// `SeQueryAuthenticationIdToken`: the logon session, for the system the one that is published (0x3E7).
pub unsafe extern "win64" fn authentication_id(
    object: *mut c_void,
    id: *mut LUID,
    caller: usize,
) -> NTSTATUS {
    irql::require("SeQueryAuthenticationIdToken", caller);
    let low = match of_object(object) {
        Token::System => 0x3E7,
        Token::Administrator => 0x1_0001,
        Token::User => 0x1_0002,
    };
    let value = LUID {
        LowPart: low,
        HighPart: 0,
    };
    // SAFETY: the driver's pointer.
    unsafe { id.write(value) };
    STATUS_SUCCESS
}

/// The session: programs are in the first one that has a desktop.
pub(in crate::exports) fn session(token: Token) -> u32 {
    u32::from(token != Token::System)
}

/// `SeQuerySessionIdToken`.
pub unsafe extern "win64" fn session_id(object: *mut c_void, id: *mut u32) -> NTSTATUS {
    // SAFETY: the driver's pointer.
    unsafe { id.write(session(of_object(object))) };
    STATUS_SUCCESS
}

/// Who it is, and what else it is.
pub(in crate::exports) fn identifiers(token: Token) -> (&'static Sid, Vec<&'static Sid>) {
    match token {
        Token::System => (&sid::LOCAL_SYSTEM, vec![&sid::ADMINISTRATORS, &sid::WORLD]),
        Token::Administrator => (
            &sid::BOX_ADMINISTRATOR,
            vec![&sid::ADMINISTRATORS, &sid::AUTHENTICATED_USERS, &sid::WORLD],
        ),
        Token::User => (
            &sid::BOX_USER,
            vec![&sid::USERS, &sid::AUTHENTICATED_USERS, &sid::WORLD],
        ),
    }
}

/// What a driver gets of one entry. The identifier is the box's, which stays.
fn entry(sid: &'static Sid, attributes: u32) -> SID_AND_ATTRIBUTES {
    SID_AND_ATTRIBUTES {
        Sid: std::ptr::from_ref(sid).cast_mut().cast(),
        Attributes: attributes,
    }
}

/// Gives the driver a block with a header and entries behind it.
///
/// # Safety
/// `into` is writable.
unsafe fn give<H>(
    header: H,
    entries: &[SID_AND_ATTRIBUTES],
    into: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    let start = size_of::<H>().next_multiple_of(align_of::<SID_AND_ATTRIBUTES>());
    let bytes = start + size_of_val(entries);
    let block = pool::allocate(pool::Kind::Paged, bytes, TAG, caller);
    if block.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the block is large enough and new.
    unsafe { block.cast::<H>().write(header) };
    let behind: *mut SID_AND_ATTRIBUTES = block.wrapping_byte_add(start).cast();
    // SAFETY: as above.
    unsafe { behind.copy_from_nonoverlapping(entries.as_ptr(), entries.len()) };
    // SAFETY: contract.
    unsafe { into.write(block) };
    STATUS_SUCCESS
}

/// `SeQueryInformationToken`: the driver frees the block with ExFreePool; the session is no block but a number.
pub unsafe extern "win64" fn query(
    object: *mut c_void,
    class: i32,
    information: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("SeQueryInformationToken", caller);
    let token = of_object(object);
    let (user, groups) = identifiers(token);
    match class {
        TokenUser => {
            let user = TOKEN_USER {
                User: entry(user, 0),
            };
            // SAFETY: the driver's pointer.
            unsafe { give(user, &[], information, caller) }
        }
        TokenOwner => {
            let owner = entry(user, 0).Sid;
            // SAFETY: the driver's pointer.
            unsafe { give(owner, &[], information, caller) }
        }
        TokenGroups => {
            let entries: Vec<_> = groups.iter().map(|sid| entry(sid, ENABLED)).collect();
            let count = entries.len() as u32;
            // SAFETY: the driver's pointer.
            unsafe { give(count, &entries, information, caller) }
        }
        TokenType => {
            // SAFETY: the driver's pointer.
            unsafe { give(TokenPrimary, &[], information, caller) }
        }
        TokenSessionId => {
            // SAFETY: the driver's pointer, to a number.
            unsafe { information.cast::<u32>().write(session(token)) };
            STATUS_SUCCESS
        }
        _ => STATUS_INVALID_INFO_CLASS,
    }
}

const _: () = assert!(std::mem::offset_of!(TOKEN_GROUPS, Groups) == 8);

/// True if who has the token has the privilege.
pub fn has_privilege(token: Token, privilege: LUID) -> bool {
    token != Token::User || (privilege.HighPart, privilege.LowPart) == (0, super::CHANGE_NOTIFY)
}

/// `SePrivilegeCheck`: one of the privileges is enough unless all are said to be necessary.
pub unsafe extern "win64" fn privilege_check(
    set: *mut PRIVILEGE_SET,
    context: *mut SECURITY_SUBJECT_CONTEXT,
    mode: i8,
    caller: usize,
) -> u8 {
    irql::require("SePrivilegeCheck", caller);
    if mode == 0 {
        return 1;
    }
    // SAFETY: the driver's context.
    let token = of_object(unsafe { effective(context) });
    // SAFETY: the driver's set.
    let PRIVILEGE_SET {
        PrivilegeCount: count,
        Control: control,
        ..
    } = unsafe { set.read() };
    // SAFETY: a pointer to a field of the set.
    let first = unsafe { (&raw const (*set).Privilege).cast() };
    // SAFETY: as many follow as it says.
    let all: &[windows_sys::Win32::Security::LUID_AND_ATTRIBUTES] =
        unsafe { std::slice::from_raw_parts(first, count as usize) };
    let held = |wanted: &windows_sys::Win32::Security::LUID_AND_ATTRIBUTES| {
        has_privilege(token, wanted.Luid)
    };
    u8::from(if control & ALL_NECESSARY != 0 {
        all.iter().all(held)
    } else {
        all.iter().any(held)
    })
}

/// `SeAccessCheck`. No privilege is used for it, so that none is told.
pub unsafe extern "win64" fn access_check(
    descriptor: *mut c_void,
    context: *mut SECURITY_SUBJECT_CONTEXT,
    _locked: u8,
    desired: u32,
    previously: u32,
    privileges: *mut *mut PRIVILEGE_SET,
    mapping: *const GENERIC_MAPPING,
    mode: i8,
    granted: *mut u32,
    status: *mut NTSTATUS,
    caller: usize,
) -> u8 {
    irql::require("SeAccessCheck", caller);
    if !privileges.is_null() {
        // SAFETY: the driver's pointer.
        unsafe { privileges.write(null_mut()) };
    }
    // SAFETY: the driver's mapping.
    let everything = unsafe { (*mapping).GenericAll };
    let wanted = desired & !MAXIMUM_ALLOWED;
    let token = if mode == 0 {
        Token::System
    } else {
        // SAFETY: the driver's context.
        of_object(unsafe { effective(context) })
    };
    let descriptor = self_relative(descriptor as usize).unwrap_or_default();
    let allows = |rights: u32| mode == 0 || access::check(&descriptor, token, rights);
    let mut rights = previously | wanted;
    let fine = wanted & !previously == 0 || allows(wanted & !previously);
    if desired & MAXIMUM_ALLOWED != 0 {
        let bits = (0..u32::BITS).map(|bit| 1 << bit);
        rights |= bits
            .filter(|bit| everything & bit != 0 && allows(*bit))
            .sum::<u32>();
    }
    let fine = fine && (rights != 0 || desired == 0);
    // SAFETY: the driver's pointer.
    unsafe { granted.write(if fine { rights } else { 0 }) };
    let result = if fine {
        STATUS_SUCCESS
    } else {
        STATUS_ACCESS_DENIED
    };
    // SAFETY: the driver's pointer.
    unsafe { status.write(result) };
    u8::from(fine)
}

/// `SeFreePrivileges`.
pub unsafe extern "win64" fn free_privileges(privileges: *mut PRIVILEGE_SET, caller: usize) {
    irql::require("SeFreePrivileges", caller);
    if !privileges.is_null() {
        // SAFETY: what the driver was given, of which it was never given any.
        unsafe { pool::free(privileges.cast(), None, caller) };
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
