//! What of the drivers' calls is made to fail: those that need memory, and by option those that Windows may
//! refuse for other reasons.

use crate::nt::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_INSUFFICIENT_RESOURCES, STATUS_NO_SUCH_DEVICE,
    STATUS_OBJECT_PATH_INVALID,
};
use crate::pe_image;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What needs memory.
    Memory,
    /// Attaching: the device above which the driver attaches initializes, or goes away.
    Attach,
    /// Opening a file or a device.
    Open,
    /// Asking for the name of an object.
    Name,
    /// Opening keys of the registry and reading their values.
    Registry,
}

/// Each with its name on the command line, and what it is refused with.
const KINDS: [(Kind, &str, NTSTATUS); 5] = [
    (Kind::Memory, "memory", STATUS_INSUFFICIENT_RESOURCES),
    (Kind::Attach, "attach", STATUS_NO_SUCH_DEVICE),
    (Kind::Open, "open", STATUS_ACCESS_DENIED),
    (Kind::Name, "name", STATUS_OBJECT_PATH_INVALID),
    (Kind::Registry, "registry", STATUS_INSUFFICIENT_RESOURCES),
];

/// Several kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// What needs memory, alone.
    pub const MEMORY: Self = Self(1 << Kind::Memory as u8);

    fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

/// `all`, or names with commas between them.
impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut kinds = 0;
        for name in text.split(',') {
            kinds |= match KINDS.iter().find(|(_, known, _)| *known == name) {
                Some((kind, ..)) => 1 << *kind as u8,
                None if name == "all" => (1 << KINDS.len()) - 1,
                None => {
                    let known = KINDS.map(|(_, known, _)| known).join(", ");
                    return Err(format!("'{name}' is none of {known} and all"));
                }
            };
        }
        Ok(Self(kinds))
    }
}

static CHOSEN: AtomicU8 = AtomicU8::new(Kinds::MEMORY.0);

/// What is made to fail from now on, where something is.
pub fn choose(kinds: Kinds) {
    CHOSEN.store(kinds.0, Ordering::Relaxed);
}

pub(super) fn is_chosen(kind: Kind) -> bool {
    Kinds(CHOSEN.load(Ordering::Relaxed)).has(kind)
}

/// What the call of a driver that this thread is in is refused with, if that is of a kind that fails, and it is its
/// turn. A call of the box itself is not refused.
pub fn refuses(kind: Kind) -> Option<NTSTATUS> {
    if !is_chosen(kind) {
        return None;
    }
    let caller = pe_image::driver_calls().first().copied()?;
    let (.., status) = KINDS.iter().find(|(known, ..)| *known == kind)?;
    super::is_due(caller).then_some(*status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named() {
        let of = |text: &str| text.parse::<Kinds>().expect("kinds");
        assert_eq!(of("memory"), Kinds::MEMORY);
        assert!(of("attach,name").has(Kind::Name) && !of("attach,name").has(Kind::Memory));
        assert!(KINDS.iter().all(|(kind, ..)| of("all").has(*kind)));
        assert!("attach,".parse::<Kinds>().is_err());
    }
}
