//! Access rights: generic mapping of files, and the check of a caller against
//! the security descriptor of a device (`SeAccessCheck`, as far as the box
//! knows callers: system, administrator, user).

use crate::processor::thread::Token;
pub use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_APPEND_DATA, FILE_EXECUTE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES,
    FILE_READ_DATA, FILE_READ_EA, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA, FILE_WRITE_EA,
    READ_CONTROL, SYNCHRONIZE, WRITE_DAC, WRITE_OWNER,
};

/// `FILE_ALL_ACCESS`.
pub const ALL: u32 = 0x001F_01FF;
/// `FILE_GENERIC_READ`.
pub const READ: u32 =
    FILE_READ_DATA | FILE_READ_ATTRIBUTES | FILE_READ_EA | READ_CONTROL | SYNCHRONIZE;
/// `FILE_GENERIC_WRITE`.
pub const WRITE: u32 = FILE_WRITE_DATA
    | FILE_APPEND_DATA
    | FILE_WRITE_ATTRIBUTES
    | FILE_WRITE_EA
    | READ_CONTROL
    | SYNCHRONIZE;
const EXECUTE: u32 = 0x20 | FILE_READ_ATTRIBUTES | READ_CONTROL | SYNCHRONIZE;
const MAXIMUM_ALLOWED: u32 = 0x0200_0000;

/// The rights of an open that need no mounted file system: the device itself is opened.
pub(super) const DIRECT_DEVICE: u32 =
    SYNCHRONIZE | FILE_READ_ATTRIBUTES | READ_CONTROL | 0x0100_0000 | WRITE_OWNER | WRITE_DAC;

/// Replaces generic rights by the file's (`RtlMapGenericMask`); `MAXIMUM_ALLOWED` gives all.
pub fn map_generic(desired: u32) -> u32 {
    let mut mapped = desired & 0x01FF_FFFF;
    for (bit, rights) in [
        (0x8000_0000, READ),
        (0x4000_0000, WRITE),
        (0x2000_0000, EXECUTE),
        (0x1000_0000, ALL),
    ] {
        if desired & bit != 0 {
            mapped |= rights;
        }
    }
    if desired & MAXIMUM_ALLOWED != 0 {
        mapped |= ALL;
    }
    mapped
}

/// Whether `token` gets all of `desired` (mapped) from a self-relative descriptor.
/// A descriptor without a DACL grants everything, an empty DACL nothing.
pub fn check(descriptor: &[u8], token: Token, desired: u32) -> bool {
    let Some(dacl) = dacl_of(descriptor) else {
        return true;
    };
    let mut missing = desired & !SYNCHRONIZE;
    for ace in dacl {
        if missing == 0 {
            break;
        }
        if !applies(ace.sid, token) {
            continue;
        }
        let mask = map_generic(ace.mask);
        match ace.kind {
            0 => missing &= !mask,
            1 if mask & missing != 0 => return false,
            _ => {}
        }
    }
    missing == 0
}

struct Ace<'a> {
    kind: u8,
    mask: u32,
    sid: &'a [u8],
}

/// Access-control entries of the DACL; `None` without one.
fn dacl_of(descriptor: &[u8]) -> Option<Vec<Ace<'_>>> {
    let word = |at: usize| {
        descriptor
            .get(at..at + 2)
            .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    };
    let long = |at: usize| {
        descriptor
            .get(at..at + 4)
            .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    const DACL_PRESENT: u16 = 4;
    let start = long(16)? as usize;
    if word(2)? & DACL_PRESENT == 0 || start == 0 {
        return None;
    }
    let count = word(start + 4)?;
    let mut entries = Vec::new();
    let mut at = start + 8;
    for _ in 0..count {
        let (Some(kind), Some(size), Some(mask)) = (descriptor.get(at), word(at + 2), long(at + 4))
        else {
            break;
        };
        let Some(sid) = descriptor.get(at + 8..at + usize::from(size)) else {
            break;
        };
        entries.push(Ace {
            kind: *kind,
            mask,
            sid,
        });
        at += usize::from(size);
    }
    Some(entries)
}

/// Whether the caller is, or belongs to, the account of `sid`.
fn applies(sid: &[u8], token: Token) -> bool {
    let Some((header, rest)) = sid.split_at_checked(8) else {
        return false;
    };
    let authority = header[7];
    let parts: Vec<u32> = rest
        .chunks_exact(4)
        .take(header[1].into())
        .map(|part| u32::from_le_bytes([part[0], part[1], part[2], part[3]]))
        .collect();
    match (authority, parts.as_slice()) {
        (1, [0]) | (5, [11]) => true,
        (5, [18]) => token == Token::System,
        (5, [32, 544]) => token != Token::User,
        (5, [32, 545]) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(authority: u8, parts: &[u32]) -> Vec<u8> {
        let mut bytes = vec![1, parts.len() as u8, 0, 0, 0, 0, 0, authority];
        parts
            .iter()
            .for_each(|part| bytes.extend(part.to_le_bytes()));
        bytes
    }

    fn descriptor(entries: &[(u8, u32, Vec<u8>)]) -> Vec<u8> {
        let mut acl = Vec::new();
        for (kind, mask, sid) in entries {
            acl.extend([*kind, 0]);
            acl.extend((8 + sid.len() as u16).to_le_bytes());
            acl.extend(mask.to_le_bytes());
            acl.extend(sid);
        }
        let mut bytes = vec![1, 0];
        bytes.extend(0x8004_u16.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend(20_u32.to_le_bytes());
        bytes.extend([2, 0]);
        bytes.extend((8 + acl.len() as u16).to_le_bytes());
        bytes.extend((entries.len() as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(acl);
        bytes
    }

    #[test]
    fn administrators_and_system_only_keeps_users_out() {
        let only = descriptor(&[
            (0, 0x1000_0000, sid(5, &[18])),
            (0, 0x1000_0000, sid(5, &[32, 544])),
        ]);
        assert!(check(&only, Token::System, READ));
        assert!(check(&only, Token::Administrator, READ | WRITE));
        assert!(!check(&only, Token::User, FILE_READ_DATA));
    }

    #[test]
    fn an_earlier_denial_wins_and_no_dacl_grants_all() {
        let denied = descriptor(&[(1, FILE_WRITE_DATA, sid(1, &[0])), (0, ALL, sid(1, &[0]))]);
        assert!(check(&denied, Token::User, FILE_READ_DATA));
        assert!(!check(&denied, Token::Administrator, FILE_WRITE_DATA));
        assert!(!check(&descriptor(&[]), Token::System, FILE_READ_DATA));
        assert!(check(
            &[
                1, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
            ],
            Token::User,
            ALL
        ));
    }

    #[test]
    fn generic_rights_become_file_rights() {
        assert_eq!(map_generic(0x8000_0000), READ);
        assert_eq!(map_generic(0x1000_0000), ALL);
        assert_eq!(map_generic(FILE_READ_DATA), FILE_READ_DATA);
    }
}
