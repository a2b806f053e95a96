//! Operations in words, for the report.

use super::super::layout::room_control;
use super::operation::{Create, Exchange, Locked, NAMES, Name, Operation, Removal};
use crate::nt::{
    FILE_DELETE_ON_CLOSE, FILE_DIRECTORY_FILE, FILE_NO_INTERMEDIATE_BUFFERING,
    FILE_NON_DIRECTORY_FILE, FILE_SYNCHRONOUS_IO_NONALERT, FILE_WRITE_THROUGH,
    FileAllocationInformation,
};
use std::fmt;

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.get(usize::from(self.name)).unwrap_or(&"?");
        write!(f, "V{}:\\{name}", self.volume)
    }
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "blocks {} to {}",
            self.block,
            self.block + self.blocks - 1
        )
    }
}

/// `at OFFSET`, or where that is.
struct At(Option<i64>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(offset) => write!(f, "at {offset}"),
            None => f.write_str("at the current position"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(create) => create.fmt(f),
            Self::Close { slot } => write!(f, "close handle {slot}"),
            Self::Read {
                slot,
                offset,
                length,
            } => {
                write!(f, "read {length} bytes {} by handle {slot}", At(*offset))
            }
            Self::Write {
                slot,
                offset,
                length,
                byte,
            } => {
                write!(
                    f,
                    "write {length} bytes {byte:#04x} {} by handle {slot}",
                    At(*offset)
                )
            }
            Self::Overlap { slot, parts } => {
                write!(f, "at the same time by handle {slot}:")?;
                for part in parts {
                    let what = if part.write { "write" } else { "read" };
                    let cancel = if part.cancel { " and cancel it" } else { "" };
                    write!(f, " {what} block {}{cancel},", part.block)?;
                }
                f.write_str(" wait for all")
            }
            Self::Hold { slot, write } => {
                let what = if *write { "write" } else { "read" };
                write!(f, "{what} by handle {slot}, to be cancelled")
            }
            Self::Lock {
                slot,
                range,
                exclusive,
                wait,
            } => {
                let exclusive = if *exclusive { "exclusively" } else { "shared" };
                let wait = if *wait { ", waiting" } else { "" };
                write!(f, "lock {range} {exclusive} by handle {slot}{wait}")
            }
            Self::Unlock { slot, range } => write!(f, "unlock {range} by handle {slot}"),
            Self::Watch {
                slot,
                filter,
                tree,
                class,
            } => {
                let tree = if *tree { " with its tree" } else { "" };
                write!(
                    f,
                    "watch the directory of handle {slot}{tree} for {filter:#x}, told by class {class}"
                )
            }
            Self::Cancel { which } => write!(f, "cancel outstanding request {which}"),
            Self::CancelAll { slot } => write!(f, "cancel all requests on handle {slot}"),
            Self::Query {
                slot,
                class,
                length,
            } => {
                write!(
                    f,
                    "query information {class} of handle {slot} into {length} bytes"
                )
            }
            Self::QueryName { at } => write!(f, "query the attributes of {at}"),
            Self::Follow { at, to, mount } => {
                let what = if *mount {
                    "mount point"
                } else {
                    "symbolic link"
                };
                write!(f, "make {at} a {what} to {to}, and open it")
            }
            Self::QueryVolume { slot, class } => {
                write!(f, "query volume information {class} of handle {slot}")
            }
            Self::QuerySecurity { slot } => write!(f, "query security of handle {slot}"),
            Self::ExtendedAttributes { slot, set } => match set {
                Some(bytes) => write!(
                    f,
                    "set an extended attribute of {bytes} bytes on handle {slot}"
                ),
                None => write!(f, "query extended attributes of handle {slot}"),
            },
            Self::Quota { slot, set } => {
                let what = if *set { "set" } else { "query" };
                write!(f, "{what} quotas by handle {slot}")
            }
            Self::Label { slot } => write!(f, "set the label again by handle {slot}"),
            Self::SetEnd { slot, class, size } => {
                let what = if *class == FileAllocationInformation {
                    "allocation"
                } else {
                    "end"
                };
                write!(f, "set {what} of handle {slot} to {size}")
            }
            Self::ShortName { slot, name: "" } => {
                write!(f, "take the short name of handle {slot} away")
            }
            Self::ShortName { slot, name } => {
                write!(f, "set the short name of handle {slot} to {name}")
            }
            Self::Room {
                slot,
                draw,
                block,
                blocks,
            } => write!(
                f,
                "control {:#x} about {blocks} blocks from {block} on of handle {slot}",
                room_control(*draw, 0, 0).0
            ),
            Self::TellCase { slot, on: true } => {
                write!(f, "tell case apart in the directory of handle {slot}")
            }
            Self::TellCase { slot, on: false } => {
                write!(f, "tell no case apart in the directory of handle {slot}")
            }
            Self::SetAttributes { slot, attributes } => {
                write!(f, "set attributes of handle {slot} to {attributes:#x}")
            }
            Self::SetPosition { slot, position } => {
                write!(f, "set position of handle {slot} to {position}")
            }
            Self::Rename {
                slot,
                to,
                link,
                flags,
            } => {
                let what = if *link { "link" } else { "rename" };
                write!(f, "{what} the file of handle {slot} to {to}")?;
                if *flags != 0 {
                    write!(f, ", with flags {flags:#x}")?;
                }
                Ok(())
            }
            Self::Delete { slot, delete } => {
                let what = if *delete { "delete" } else { "keep" };
                write!(f, "{what} the file of handle {slot}")
            }
            Self::List {
                slot,
                class,
                pattern,
                restart,
                single,
            } => {
                write!(f, "list the directory of handle {slot} (class {class}")?;
                if let Some(pattern) = pattern {
                    write!(f, ", {pattern}")?;
                }
                let restart = if *restart { ", from its start" } else { "" };
                let single = if *single { ", one entry" } else { "" };
                write!(f, "{restart}{single})")
            }
            Self::Flush { slot } => write!(f, "flush handle {slot}"),
            Self::Control { slot, code, device } => {
                let what = if *device { "device" } else { "file-system" };
                write!(f, "{what} control {code:#010x} on handle {slot}")
            }
            Self::Map { slot, writable } => {
                let what = if *writable { "to write" } else { "to read" };
                write!(f, "map the file of handle {slot} {what}")
            }
            Self::Unmap { slot } => write!(f, "unmap the view of handle {slot}"),
            Self::PageIn { slot, page } => write!(f, "page in page {page} of handle {slot}"),
            Self::ByMdl {
                slot,
                block,
                blocks,
                write,
            } => {
                match write {
                    Some(byte) => write!(f, "write {byte:#04x}")?,
                    None => f.write_str("read")?,
                }
                write!(
                    f,
                    " by MDL, {blocks} blocks from {block} on, by handle {slot}"
                )
            }
            Self::PageOut {
                slot,
                page,
                byte,
                writer,
            } => write!(
                f,
                "page {page} of handle {slot} written full of {byte:#04x} by {writer:?}"
            ),
            Self::Oplock {
                at,
                kind,
                opening,
                touch,
                answer,
            } => write!(
                f,
                "oplock {kind:?} on {at}; another thread opens it ({opening:?}) and touches it ({touch:?}); answered by {answer:?}"
            ),
            Self::Dismount { lock } => {
                let lock = if *lock { "lock and " } else { "" };
                write!(f, "{lock}dismount V0:")
            }
            Self::Remove { how } => f.write_str(match how {
                Removal::Ask => "ask whether the device of V0: may go",
                Removal::TakeOut => "take the device of V0: out and put it in",
                Removal::Pull => "pull the device of V0: and put it in",
            }),
            Self::Exchange { how } => f.write_str(match how {
                Exchange::Same => "take the medium of V0: out and put it in",
                Exchange::Other => "put another medium into V0:, and then the first one",
                Exchange::Nothing => "leave V0: without a medium, and put it in",
            }),
        }
    }
}

impl fmt::Display for Create {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disposition = [
            "supersede",
            "open",
            "create",
            "open or create",
            "overwrite",
            "overwrite or create",
        ]
        .get(self.disposition as usize)
        .unwrap_or(&"?");
        write!(f, "{disposition} {} as handle {}", self.at, self.slot)?;
        for (option, text) in [
            (FILE_DIRECTORY_FILE, "directory"),
            (FILE_NON_DIRECTORY_FILE, "file"),
            (FILE_SYNCHRONOUS_IO_NONALERT, "synchronous"),
            (FILE_WRITE_THROUGH, "write-through"),
            (FILE_NO_INTERMEDIATE_BUFFERING, "not buffered"),
            (FILE_DELETE_ON_CLOSE, "delete on close"),
        ] {
            if self.options & option != 0 {
                write!(f, ", {text}")?;
            }
        }
        let relative = if self.relative { ", relative" } else { "" };
        write!(
            f,
            ", access {:#x}, share {}{relative}",
            self.access, self.share
        )
    }
}
