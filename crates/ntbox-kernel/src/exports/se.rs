//! `Se`: well-known identifiers and privileges.
//!
//! Left out: tokens and subject contexts, and with them `SeAccessCheck` and
//! `SePrivilegeCheck`; the box checks access itself when a program opens a device.
//!
//! Source: `SE_EXPORTS` in ntifs.h, "Well-known SIDs" (MS-DTYP 2.4.2.4), the
//! privilege constants of the SDK.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::SE_EXPORTS;
use crate::processor::irql;
use crate::processor::thread::{self, Token};
use windows_sys::Win32::Foundation::LUID;

super::table! {
    data "SeExports" => POINTER,
    "SeSinglePrivilegeCheck" => single_privilege_check,
}

/// A SID with up to six sub-authorities.
#[repr(C, align(4))]
struct Sid {
    revision: u8,
    count: u8,
    authority: [u8; 6],
    sub_authorities: [u32; 6],
}

const fn sid(authority: u8, sub_authorities: &[u32]) -> Sid {
    let mut value = Sid {
        revision: 1,
        count: sub_authorities.len() as u8,
        authority: [0, 0, 0, 0, 0, authority],
        sub_authorities: [0; 6],
    };
    let mut index = 0;
    while index < sub_authorities.len() {
        value.sub_authorities[index] = sub_authorities[index];
        index += 1;
    }
    value
}

macro_rules! sids {
    ($($name:ident = $authority:literal, $sub_authorities:expr;)*) => {
        $(static $name: Sid = sid($authority, &$sub_authorities);)*
    };
}

sids! {
    NULL = 0, [0];
    WORLD = 1, [0];
    LOCAL = 2, [0];
    CREATOR_OWNER = 3, [0];
    CREATOR_GROUP = 3, [1];
    OWNER_RIGHTS = 3, [4];
    NT_AUTHORITY = 5, [];
    DIALUP = 5, [1];
    NETWORK = 5, [2];
    BATCH = 5, [3];
    INTERACTIVE = 5, [4];
    ANONYMOUS = 5, [7];
    AUTHENTICATED_USERS = 5, [11];
    RESTRICTED = 5, [12];
    IUSER = 5, [17];
    LOCAL_SYSTEM = 5, [18];
    LOCAL_SERVICE = 5, [19];
    NETWORK_SERVICE = 5, [20];
    ADMINISTRATORS = 5, [32, 544];
    USERS = 5, [32, 545];
    GUESTS = 5, [32, 546];
    POWER_USERS = 5, [32, 547];
    ACCOUNT_OPERATORS = 5, [32, 548];
    SYSTEM_OPERATORS = 5, [32, 549];
    PRINT_OPERATORS = 5, [32, 550];
    BACKUP_OPERATORS = 5, [32, 551];
    TRUSTED_INSTALLER = 5, [80, 956_008_885, 3_418_522_649, 1_831_038_044, 1_853_292_631, 2_271_478_464];
    USER_MODE_DRIVERS = 5, [84, 0, 0, 0, 0, 0];
    ALL_APP_PACKAGES = 15, [2, 1];
    UNTRUSTED_LEVEL = 16, [0];
    LOW_LEVEL = 16, [4096];
    MEDIUM_LEVEL = 16, [8192];
    HIGH_LEVEL = 16, [12_288];
    SYSTEM_LEVEL = 16, [16_384];
    PROTECTED_WINDOWS_TCB = 19, [1024, 8192];
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
    let held = mode == 0
        || thread::current().token() != Token::User
        || (privilege.HighPart, privilege.LowPart) == (0, CHANGE_NOTIFY);
    u8::from(held)
}

#[cfg(test)]
mod tests {
    use super::*;

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
