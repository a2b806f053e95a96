//! Tokens as a driver sees them.

#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a row of calls on local structures"
)]

use super::*;
use crate::nt::APC_LEVEL;
use crate::verifier::capture as reports;
use windows_sys::Win32::Security::LUID_AND_ATTRIBUTES;

/// As a thread with this token.
fn as_token<R: Send + 'static>(token: Token, f: impl FnOnce() -> R + Send + 'static) -> R {
    let run = move || {
        thread::current().set_token(token);
        f()
    };
    std::thread::spawn(run).join().expect("no panic")
}

/// Calls `f` with the context of the thread that runs.
fn with_context<R>(f: impl FnOnce(*mut SECURITY_SUBJECT_CONTEXT) -> R) -> R {
    let mut context = SECURITY_SUBJECT_CONTEXT::default();
    // SAFETY: a local variable.
    unsafe { capture(&raw mut context, 0) };
    let result = f(&raw mut context);
    // SAFETY: captured above.
    unsafe { release(&raw mut context, 0) };
    assert!(context.PrimaryToken.is_null());
    result
}

#[test]
fn the_context_of_a_process_is_its_own() {
    for (process, token) in [
        (thread::system_process(), Token::System),
        (thread::user_process(), Token::Administrator),
    ] {
        let mut context = SECURITY_SUBJECT_CONTEXT::default();
        // SAFETY: a local variable, and a process.
        unsafe { capture_of(null_mut(), process, &raw mut context, 0) };
        assert_eq!(context.PrimaryToken, object_of(token));
        let id = process::from_object(process).map_or(0, Process::id);
        assert_eq!(context.ProcessAuditId.addr(), id as usize);
        assert!(context.ClientToken.is_null());
        // SAFETY: captured above.
        unsafe { release(&raw mut context, 0) };
    }
}

/// An absolute descriptor that grants `mask` to who `sid` is: revision, control, and a DACL of one entry.
fn descriptor(sid: &Sid, bytes: usize, mask: u32) -> ([usize; 5], Vec<u8>) {
    let size = (8 + 8 + bytes) as u16;
    let mut acl = vec![2, 0];
    acl.extend(size.to_le_bytes());
    acl.extend([1, 0, 0, 0, 0, 0]);
    acl.extend((size - 8).to_le_bytes());
    acl.extend(mask.to_le_bytes());
    // SAFETY: a SID of that many bytes.
    acl.extend(unsafe { std::slice::from_raw_parts(std::ptr::from_ref(sid).cast::<u8>(), bytes) });
    // SE_DACL_PRESENT.
    ([1 | 4 << 16, 0, 0, 0, acl.as_ptr() as usize], acl)
}

/// The rights that are granted of `desired`, and the status.
fn check(desired: u32, mode: i8) -> (u32, NTSTATUS) {
    let (mut descriptor, _acl) = descriptor(&sid::ADMINISTRATORS, 16, 0x3);
    let mapping = GENERIC_MAPPING {
        GenericAll: 0xF,
        ..GENERIC_MAPPING::default()
    };
    let (mut granted, mut status) = (7, 7);
    with_context(|context| {
        // SAFETY: all pointers are to locals.
        let fine = unsafe {
            access_check(
                descriptor.as_mut_ptr().cast(),
                context,
                0,
                desired,
                0,
                null_mut(),
                &raw const mapping,
                mode,
                &raw mut granted,
                &raw mut status,
                0,
            )
        };
        assert_eq!(fine != 0, status == STATUS_SUCCESS);
    });
    (granted, status)
}

#[test]
fn access_goes_by_the_token_of_the_context() {
    assert_eq!(
        as_token(Token::Administrator, || check(0x1, 1)),
        (0x1, STATUS_SUCCESS)
    );
    assert_eq!(
        as_token(Token::Administrator, || check(0x5, 1)),
        (0, STATUS_ACCESS_DENIED)
    );
    assert_eq!(
        as_token(Token::User, || check(0x1, 1)),
        (0, STATUS_ACCESS_DENIED)
    );
    assert_eq!(
        as_token(Token::User, || check(0x5, 0)),
        (0x5, STATUS_SUCCESS),
        "kernel mode"
    );
    let most = |token| as_token(token, || check(MAXIMUM_ALLOWED, 1));
    assert_eq!(most(Token::Administrator), (0x3, STATUS_SUCCESS));
    assert_eq!(most(Token::User), (0, STATUS_ACCESS_DENIED));
}

#[test]
fn privileges_are_checked_as_a_set() {
    let check = |token, control| {
        as_token(token, move || {
            let wanted = |value| LUID_AND_ATTRIBUTES {
                Luid: LUID {
                    LowPart: value,
                    HighPart: 0,
                },
                Attributes: 0,
            };
            #[repr(C)]
            struct Set(u32, u32, [LUID_AND_ATTRIBUTES; 2]);
            // SeBackupPrivilege, and the one that everybody has.
            let mut set = Set(
                2,
                control,
                [wanted(17), wanted(super::super::CHANGE_NOTIFY)],
            );
            // SAFETY: a set of two.
            with_context(|context| unsafe { privilege_check((&raw mut set).cast(), context, 1, 0) })
        })
    };
    assert_eq!(
        [check(Token::User, 0), check(Token::User, ALL_NECESSARY)],
        [1, 0]
    );
    assert_eq!(check(Token::Administrator, ALL_NECESSARY), 1);
}

/// The words of what a class of information is, freed as a driver has to.
fn words(object: *mut c_void, class: i32, count: usize) -> Result<Vec<u64>, NTSTATUS> {
    let mut block = null_mut();
    // SAFETY: a local variable.
    match unsafe { query(object, class, &raw mut block, 0) } {
        STATUS_SUCCESS => {}
        status => return Err(status),
    }
    // SAFETY: the block has that many words.
    let words = unsafe { std::slice::from_raw_parts(block.cast::<u64>(), count) }.to_vec();
    // SAFETY: given to this test.
    unsafe { pool::free(block, None, 0) };
    Ok(words)
}

#[test]
fn a_token_says_who_it_is() {
    let (system, user) = (object_of(Token::System), object_of(Token::User));
    let at = |sid: &'static Sid| std::ptr::from_ref(sid) as u64;
    assert_eq!(
        words(system, TokenUser, 1),
        Ok(vec![at(&sid::LOCAL_SYSTEM)])
    );
    assert_eq!(words(user, TokenUser, 1), Ok(vec![at(&sid::BOX_USER)]));
    let groups = words(system, TokenGroups, 4).expect("known");
    assert_eq!((groups[0] as u32, groups[1]), (2, at(&sid::ADMINISTRATORS)));
    assert_eq!(groups[3], at(&sid::WORLD));
    assert_eq!(words(user, 99, 1), Err(STATUS_INVALID_INFO_CLASS));
    let mut session = [7_u32; 2];
    // SAFETY: a number is written, here and below.
    let status = unsafe { query(system, TokenSessionId, session.as_mut_ptr().cast(), 0) };
    assert_eq!((status, session), (STATUS_SUCCESS, [0, 7]));
    let mut id = LUID::default();
    // SAFETY: as above.
    unsafe { authentication_id(system, &raw mut id, 0) };
    assert_eq!(id.LowPart, 0x3E7);
    // SAFETY: tokens of the box.
    let administrators = unsafe { [is_administrator(system, 0), is_administrator(user, 0)] };
    assert_eq!(administrators, [1, 0]);
}

#[test]
fn a_context_holds_its_token_until_it_is_released() {
    as_token(Token::User, || {
        let object = object_of(Token::User);
        // SAFETY: a token of the box.
        let count = || unsafe { object::pointer_count(object) };
        let before = count();
        with_context(|_| assert_eq!(count(), before + 1));
        assert_eq!(count(), before);
        let ((), found) = reports(|| {
            let _level = irql::raised_to(APC_LEVEL);
            with_context(|_| ());
        });
        assert_eq!(found.len(), 2, "capture and release");
        // SAFETY: the process is the thread's own.
        let token = unsafe { reference_primary(thread::current().process(), 0) };
        assert_eq!(token, object);
        // SAFETY: referenced above.
        unsafe { dereference_primary(token, 0) };
    });
}
