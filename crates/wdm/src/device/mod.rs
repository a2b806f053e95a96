//! Device objects: borrowed, referenced, and the driver's own.
//!
//! [`DeviceObject`] is any device of any driver. [`FilterDevice`] is one of
//! ours, attached above another; `ControlDevice` is the named one that
//! programs open. Which of ours a device is stands in the head of its
//! extension, so that one dispatch routine serves both (D2).

mod control;
mod extension;
mod filter;
mod name;
pub(crate) mod object;
mod security;

pub(crate) use control::{ControlDevice, ControlExtension};
pub(crate) use extension::{Kind, extension_of, kind_of, kind_of_any};
pub use filter::{FilterDevice, attach, attach_at_once};
pub(crate) use filter::{delete, detach};
pub use name::NameBuffer;
pub use object::{DeviceKind, DeviceList, DeviceObject, DeviceReference};
