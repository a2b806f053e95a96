//! IRP_MJ_QUERY_SECURITY and IRP_MJ_SET_SECURITY: self-relative descriptors, kept with what else the
//! host cannot hold; that of the volume itself for as long as it is mounted.
//!
//! A file that was given none has a default: owned by Administrators, group
//! SYSTEM, full access for SYSTEM, Administrators and Everyone. Descriptors are
//! stored and returned; opens are not checked against them.

use super::notify::{Action, Change, change};
use super::record::{Fields, Record};
use super::volume::{OpenId, Volume};
use super::waiting::{Effects, Reply};
use ntbox_kernel::nt::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_PARAMETER, STATUS_INVALID_SECURITY_DESCR,
    STATUS_MEDIA_WRITE_PROTECTED, STATUS_SUCCESS,
};

/// `*_SECURITY_INFORMATION`.
pub mod part {
    #![expect(missing_docs, reason = "the names are the DDI's")]
    pub const OWNER: u32 = 1;
    pub const GROUP: u32 = 2;
    pub const DACL: u32 = 4;
    pub const SACL: u32 = 8;
}

/// `SE_*` control bits.
mod control {
    pub const DACL_PRESENT: u16 = 0x4;
    pub const SACL_PRESENT: u16 = 0x10;
    pub const SELF_RELATIVE: u16 = 0x8000;
    /// Bits that belong to the discretionary list.
    pub const OF_DACL: u16 = 0x4 | 0x8 | 0x100 | 0x400 | 0x1000;
    /// Bits that belong to the system list.
    pub const OF_SACL: u16 = 0x10 | 0x20 | 0x200 | 0x800 | 0x2000;
    /// Bits that belong to owner and group.
    pub const OF_OWNER: u16 = 0x1;
    pub const OF_GROUP: u16 = 0x2;
}

const HEAD: usize = 20;

/// A descriptor in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    control: u16,
    owner: Option<Vec<u8>>,
    group: Option<Vec<u8>>,
    sacl: Option<Vec<u8>>,
    dacl: Option<Vec<u8>>,
}

fn sid(bytes: &[u8], at: usize) -> Option<Vec<u8>> {
    let count = usize::from(*bytes.get(at + 1)?);
    bytes.get(at..at + 8 + 4 * count).map(<[u8]>::to_vec)
}

fn acl(bytes: &[u8], at: usize) -> Option<Vec<u8>> {
    let length = u16::from_le_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]);
    bytes
        .get(at..at + usize::from(length))
        .filter(|acl| acl.len() >= 8)
        .map(<[u8]>::to_vec)
}

impl Descriptor {
    /// Takes a self-relative descriptor apart.
    ///
    /// # Errors
    /// `STATUS_INVALID_SECURITY_DESCR`: a part lies outside, or it is not self-relative.
    pub fn parse(bytes: &[u8]) -> Result<Self, NTSTATUS> {
        Self::try_parse(bytes).ok_or(STATUS_INVALID_SECURITY_DESCR)
    }
    fn try_parse(bytes: &[u8]) -> Option<Self> {
        let fields = Fields(bytes.get(..HEAD)?);
        let control = (fields.int(0)? >> 16) as u16;
        if fields.byte(0)? != 1 || control & control::SELF_RELATIVE == 0 {
            return None;
        }
        let part = |offset: usize, read: fn(&[u8], usize) -> Option<Vec<u8>>| match fields
            .int(offset)?
            as usize
        {
            0 => Some(None),
            at => read(bytes, at).map(Some),
        };
        Some(Self {
            control,
            owner: part(4, sid)?,
            group: part(8, sid)?,
            sacl: part(12, acl)?,
            dacl: part(16, acl)?,
        })
    }
    /// The default of a file.
    pub fn default_of_files() -> Self {
        let sid = |authority: u8, parts: &[u32]| {
            Record::new()
                .bytes(&[1, parts.len() as u8, 0, 0, 0, 0, 0, authority])
                .int(parts.iter().copied())
                .finish()
        };
        let (administrators, system, everyone) = (sid(5, &[32, 544]), sid(5, &[18]), sid(1, &[0]));
        let mut entries = Vec::new();
        for sid in [&system, &administrators, &everyone] {
            let length = (8 + sid.len()) as u8;
            let entry = Record::new()
                .bytes(&[0, 0x3, length, 0])
                .int([super::share::access::FILE_ALL])
                .bytes(sid);
            entries.extend(entry.finish());
        }
        let length = (8 + entries.len()) as u8;
        let dacl = Record::new()
            .bytes(&[2, 0, length, 0, 3, 0, 0, 0])
            .bytes(&entries)
            .finish();
        Self {
            control: control::SELF_RELATIVE | control::DACL_PRESENT,
            owner: Some(administrators),
            group: Some(system),
            sacl: None,
            dacl: Some(dacl),
        }
    }
    /// The self-relative form of the parts that `information` names.
    pub fn to_bytes(&self, information: u32) -> Vec<u8> {
        let chosen =
            |bit: u32, part: &Option<Vec<u8>>| part.clone().filter(|_| information & bit != 0);
        let mut mask = control::SELF_RELATIVE;
        for (bit, bits) in [
            (part::OWNER, control::OF_OWNER),
            (part::GROUP, control::OF_GROUP),
            (part::DACL, control::OF_DACL),
            (part::SACL, control::OF_SACL),
        ] {
            mask |= if information & bit != 0 { bits } else { 0 };
        }
        let parts = [
            chosen(part::OWNER, &self.owner),
            chosen(part::GROUP, &self.group),
            chosen(part::SACL, &self.sacl),
            chosen(part::DACL, &self.dacl),
        ];
        let mut head =
            Record::new().int([1 | u32::from(self.control & mask | control::SELF_RELATIVE) << 16]);
        let mut body = Vec::new();
        for part in parts {
            head = head.int([if part.is_some() {
                (HEAD + body.len()) as u32
            } else {
                0
            }]);
            body.extend(part.unwrap_or_default());
            body.resize(body.len().next_multiple_of(4), 0);
        }
        head.bytes(&body).finish()
    }
    /// Takes over the parts that `information` names.
    pub fn update(&mut self, from: &Self, information: u32) {
        let mut take = |bit: u32, bits: u16, own: &mut Option<Vec<u8>>, new: &Option<Vec<u8>>| {
            if information & bit != 0 {
                own.clone_from(new);
                self.control = self.control & !bits | from.control & bits;
            }
        };
        take(part::OWNER, control::OF_OWNER, &mut self.owner, &from.owner);
        take(part::GROUP, control::OF_GROUP, &mut self.group, &from.group);
        take(part::DACL, control::OF_DACL, &mut self.dacl, &from.dacl);
        take(
            part::SACL,
            control::OF_SACL | control::SACL_PRESENT,
            &mut self.sacl,
            &from.sacl,
        );
    }
}

impl Volume {
    /// Copies the descriptor; too little room is `STATUS_BUFFER_OVERFLOW` with the length needed.
    pub fn query_security(&self, id: OpenId, information: u32, buffer: &mut [u8]) -> Reply {
        match self.descriptor(id) {
            Err(status) => (status, 0),
            Ok(descriptor) => {
                let bytes = descriptor.to_bytes(information);
                match buffer.get_mut(..bytes.len()) {
                    None => (STATUS_BUFFER_OVERFLOW, bytes.len()),
                    Some(room) => {
                        room.copy_from_slice(&bytes);
                        (STATUS_SUCCESS, bytes.len())
                    }
                }
            }
        }
    }

    fn descriptor(&self, id: OpenId) -> Result<Descriptor, NTSTATUS> {
        let state = self.state();
        state.usable(id)?;
        let stored = match state.whole_of(id)?.metadata()? {
            Some(metadata) => state
                .overlays
                .of(&metadata)
                .map(|overlay| &overlay.security),
            None => Some(&state.security),
        };
        match stored.and_then(Option::as_ref) {
            Some(bytes) => Descriptor::parse(bytes),
            None => Ok(Descriptor::default_of_files()),
        }
    }

    /// Replaces the parts of the descriptor that `information` names.
    pub fn set_security(
        &self,
        id: OpenId,
        information: u32,
        new: &[u8],
        effects: &mut Effects<'_>,
    ) -> NTSTATUS {
        let mut set = || {
            if self.description.read_only {
                return Err(STATUS_MEDIA_WRITE_PROTECTED);
            }
            let new = Descriptor::parse(new)?;
            if information & part::OWNER != 0 && new.owner.is_none()
                || information & part::GROUP != 0 && new.group.is_none()
            {
                return Err(STATUS_INVALID_PARAMETER);
            }
            let mut descriptor = self.descriptor(id)?;
            descriptor.update(&new, information);
            let mut state = self.state();
            state.usable(id)?;
            let all = part::OWNER | part::GROUP | part::DACL | part::SACL;
            let security = Some(descriptor.to_bytes(all));
            match state.whole_of(id)?.metadata()? {
                Some(metadata) => state
                    .overlays
                    .change(&metadata, |overlay| overlay.security = security),
                None => state.security = security,
            }
            let path = state.link_of(id)?.components.clone();
            let changed = Change {
                path,
                action: Action::Modified,
                filter: change::SECURITY,
                entry: state.entry_of(id),
            };
            state.report(&[changed], effects);
            Ok(())
        };
        set().err().unwrap_or(STATUS_SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_comes_apart_and_together() {
        let default = Descriptor::default_of_files();
        let bytes = default.to_bytes(0xF);
        assert_eq!(Descriptor::parse(&bytes).unwrap(), default);
        assert_eq!(bytes[0], 1);
        let owner = Descriptor::parse(&default.to_bytes(part::OWNER)).unwrap();
        assert!(owner.owner.is_some() && owner.dacl.is_none() && owner.group.is_none());
        assert_eq!(owner.control, control::SELF_RELATIVE);
    }

    #[test]
    fn parts_are_replaced_one_by_one() {
        let mut descriptor = Descriptor::default_of_files();
        let mut other = Descriptor {
            dacl: Some(vec![2, 0, 8, 0, 0, 0, 0, 0]),
            ..Descriptor::default_of_files()
        };
        other.owner = other.group.clone();
        descriptor.update(&other, part::DACL);
        assert_eq!(descriptor.dacl, other.dacl);
        assert_ne!(descriptor.owner, other.owner);
    }

    #[test]
    fn broken_descriptors_are_refused() {
        let good = Descriptor::default_of_files().to_bytes(0xF);
        for length in [0, 19, good.len() - 1] {
            assert_eq!(
                Descriptor::parse(&good[..length]),
                Err(STATUS_INVALID_SECURITY_DESCR)
            );
        }
        let mut outside = good.clone();
        outside[4..8].copy_from_slice(&1000_u32.to_le_bytes());
        assert!(Descriptor::parse(&outside).is_err());
        let mut absolute = good;
        absolute[3] = 0;
        assert!(Descriptor::parse(&absolute).is_err());
    }
}
