//! Well-known identifiers, and those of the users of the box.
//!
//! Source: "Well-known SIDs" (MS-DTYP 2.4.2.4).

#![expect(unsafe_code, reason = "an identifier is looked at as bytes")]

/// A SID with up to six sub-authorities.
#[repr(C, align(4))]
pub struct Sid {
    revision: u8,
    count: u8,
    authority: [u8; 6],
    sub_authorities: [u32; 6],
}

impl Sid {
    /// As it lies in memory, up to its last sub-authority.
    pub fn bytes(&self) -> &[u8] {
        let length = std::mem::offset_of!(Sid, sub_authorities) + 4 * usize::from(self.count);
        // SAFETY: there are as many sub-authorities as it counts, and no padding.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), length) }
    }
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
        $(pub static $name: Sid = sid($authority, &$sub_authorities);)*
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
    BOX_ADMINISTRATOR = 5, [21, 1, 2, 3, 500];
    BOX_USER = 5, [21, 1, 2, 3, 1001];
    PROTECTED_WINDOWS_TCB = 19, [1024, 8192];
}
