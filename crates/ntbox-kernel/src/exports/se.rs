//! `Se`: well-known identifiers, privileges and tokens.
//!
//! Left out: auditing, and descriptors that are inherited.
//!
//! Source: `SE_EXPORTS` in ntifs.h, the privilege constants of the SDK.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

pub(super) mod impersonation;
pub(super) mod sid;
pub(super) mod token;

use crate::nt::SE_EXPORTS;
use crate::processor::irql;
use crate::processor::thread;
use sid::*;
use windows_sys::Win32::Foundation::LUID;

super::table! {
    data "SeExports" => POINTER,
    data "SeTokenObjectType" => token::TOKEN_TYPE,
    "SeSinglePrivilegeCheck" => single_privilege_check,
    caller(1) "SeCaptureSubjectContext" => token::capture,
    caller(3) "SeCaptureSubjectContextEx" => token::capture_of,
    caller(1) "SeReleaseSubjectContext" => token::release,
    caller(1) "SeLockSubjectContext" => token::lock,
    caller(1) "SeUnlockSubjectContext" => token::unlock,
    caller(4) "SeCreateClientSecurity" => impersonation::create,
    caller(4) "SeCreateClientSecurityFromSubjectContext" => impersonation::create_from_subject,
    caller(2) "SeImpersonateClient" => impersonation::impersonate,
    caller(2) "SeImpersonateClientEx" => impersonation::impersonate_ex,
    caller(10) "SeAccessCheck" => token::access_check,
    caller(3) "SePrivilegeCheck" => token::privilege_check,
    caller(1) "SeFreePrivileges" => token::free_privileges,
    caller(3) "SeQueryInformationToken" => token::query,
    caller(2) "SeQueryAuthenticationIdToken" => token::authentication_id,
    "SeQuerySessionIdToken" => token::session_id,
    caller(2) "SeLocateProcessImageName" => super::io::names::locate_process_image_name,
    caller(1) "SeTokenIsAdmin" => token::is_administrator,
    caller(1) "SeTokenIsRestricted" => token::is_restricted,
    "SeTokenType" => token::token_type,
}

/// A privilege constant of the SDK.
const fn privilege(value: u32) -> LUID {
    LUID {
        LowPart: value,
        HighPart: 0,
    }
}

/// `*SeExports`, at the size of Windows 10: the application silo members of
/// Windows 11 are zero.
struct Exports(SE_EXPORTS);

// SAFETY: the structure is not written after it is made.
unsafe impl Sync for Exports {}

macro_rules! exports {
    ($($privilege:ident = $value:literal),* ; $($identifier:ident = $sid:ident),* $(,)?) => {
        SE_EXPORTS {
            $($privilege: privilege($value),)*
            $($identifier: (&raw const $sid).cast_mut().cast(),)*
            SeAppSiloSid: std::ptr::null_mut(),
            SeAppSiloVolumeRootMinimalCapabilitySid: std::ptr::null_mut(),
            SeAppSiloProfilesRootMinimalCapabilitySid: std::ptr::null_mut(),
        }
    };
}

static EXPORTS: Exports = Exports(exports! {
    SeCreateTokenPrivilege = 2, SeAssignPrimaryTokenPrivilege = 3, SeLockMemoryPrivilege = 4,
    SeIncreaseQuotaPrivilege = 5, SeUnsolicitedInputPrivilege = 6, SeTcbPrivilege = 7, SeSecurityPrivilege = 8,
    SeTakeOwnershipPrivilege = 9, SeLoadDriverPrivilege = 10, SeSystemProfilePrivilege = 11,
    SeSystemtimePrivilege = 12, SeProfileSingleProcessPrivilege = 13, SeIncreaseBasePriorityPrivilege = 14,
    SeCreatePagefilePrivilege = 15, SeCreatePermanentPrivilege = 16, SeBackupPrivilege = 17,
    SeRestorePrivilege = 18, SeShutdownPrivilege = 19, SeDebugPrivilege = 20, SeAuditPrivilege = 21,
    SeSystemEnvironmentPrivilege = 22, SeChangeNotifyPrivilege = 23, SeRemoteShutdownPrivilege = 24,
    SeUndockPrivilege = 25, SeSyncAgentPrivilege = 26, SeEnableDelegationPrivilege = 27,
    SeManageVolumePrivilege = 28, SeImpersonatePrivilege = 29, SeCreateGlobalPrivilege = 30,
    SeTrustedCredManAccessPrivilege = 31, SeRelabelPrivilege = 32, SeIncreaseWorkingSetPrivilege = 33,
    SeTimeZonePrivilege = 34, SeCreateSymbolicLinkPrivilege = 35,
    SeDelegateSessionUserImpersonatePrivilege = 36;
    SeNullSid = NULL, SeWorldSid = WORLD, SeLocalSid = LOCAL, SeCreatorOwnerSid = CREATOR_OWNER,
    SeCreatorGroupSid = CREATOR_GROUP, SeNtAuthoritySid = NT_AUTHORITY, SeDialupSid = DIALUP,
    SeNetworkSid = NETWORK, SeBatchSid = BATCH, SeInteractiveSid = INTERACTIVE, SeLocalSystemSid = LOCAL_SYSTEM,
    SeAliasAdminsSid = ADMINISTRATORS, SeAliasUsersSid = USERS, SeAliasGuestsSid = GUESTS,
    SeAliasPowerUsersSid = POWER_USERS, SeAliasAccountOpsSid = ACCOUNT_OPERATORS,
    SeAliasSystemOpsSid = SYSTEM_OPERATORS, SeAliasPrintOpsSid = PRINT_OPERATORS,
    SeAliasBackupOpsSid = BACKUP_OPERATORS, SeAuthenticatedUsersSid = AUTHENTICATED_USERS,
    SeRestrictedSid = RESTRICTED, SeAnonymousLogonSid = ANONYMOUS, SeLocalServiceSid = LOCAL_SERVICE,
    SeNetworkServiceSid = NETWORK_SERVICE, SeIUserSid = IUSER, SeUntrustedMandatorySid = UNTRUSTED_LEVEL,
    SeLowMandatorySid = LOW_LEVEL, SeMediumMandatorySid = MEDIUM_LEVEL, SeHighMandatorySid = HIGH_LEVEL,
    SeSystemMandatorySid = SYSTEM_LEVEL, SeOwnerRightsSid = OWNER_RIGHTS, SeAllAppPackagesSid = ALL_APP_PACKAGES,
    SeUserModeDriversSid = USER_MODE_DRIVERS, SeProcTrustWinTcbSid = PROTECTED_WINDOWS_TCB,
    SeTrustedInstallerSid = TRUSTED_INSTALLER,
});

/// The variable `SeExports`, which points to the structure.
#[repr(transparent)]
struct Pointer(*const SE_EXPORTS);

// SAFETY: as the structure it points to.
unsafe impl Sync for Pointer {}

static POINTER: Pointer = Pointer(&raw const EXPORTS.0);

/// `SeChangeNotifyPrivilege`, which everybody has.
const CHANGE_NOTIFY: u32 = 23;

/// `SeSinglePrivilegeCheck`: kernel mode has every privilege, and so have the
/// system and administrators; others have the one to pass through directories.
unsafe extern "win64" fn single_privilege_check(privilege: LUID, mode: i8) -> u8 {
    irql::require("SeSinglePrivilegeCheck", 0);
    u8::from(mode == 0 || token::has_privilege(thread::current().token(), privilege))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::thread::Token;

    #[test]
    fn identifiers_are_the_published_ones() {
        // SAFETY: the members point to SIDs, which begin with two bytes and the authority.
        let bytes = |sid: *mut std::ffi::c_void| unsafe {
            std::slice::from_raw_parts(sid.cast::<u8>(), 16)
        };
        let exports = &EXPORTS.0;
        assert_eq!(
            bytes(exports.SeLocalSystemSid)[..12],
            [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]
        );
        assert_eq!(
            bytes(exports.SeAliasAdminsSid),
            [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]
        );
        assert_eq!(
            bytes(exports.SeWorldSid)[..12],
            [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        );
        assert_eq!(exports.SeManageVolumePrivilege.LowPart, 28);
        assert_eq!(exports.SeCreateTokenPrivilege.LowPart, 2);
    }

    #[test]
    fn privileges_go_by_token_and_mode() {
        let check = |value, mode| {
            // SAFETY: no pointers.
            unsafe { single_privilege_check(privilege(value), mode) }
        };
        std::thread::spawn(move || {
            thread::current().set_token(Token::User);
            assert_eq!(
                [check(17, 0), check(17, 1), check(CHANGE_NOTIFY, 1)],
                [1, 0, 1]
            );
            thread::current().set_token(Token::Administrator);
            assert_eq!(check(17, 1), 1);
        })
        .join()
        .expect("no panic");
    }
}
