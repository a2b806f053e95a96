//! What programs and `fsglass.sys` say to each other over the control device.
//!
//! A program opens `\\.\fsglass` (administrators only) and sends device controls, METHOD_BUFFERED but
//! for [`code::TRACE_READ`], which is METHOD_OUT_DIRECT: the driver writes records into the caller's
//! pages. Driver, client and tests share this crate, so that no layout is written twice.
//!
//! | code | access | input | output |
//! |---|---|---|---|
//! | [`code::VERSION`] | read | nothing | [`VersionReply`] |
//! | [`code::SETTINGS`] | read | [`Header`] | [`SettingsReply`] |
//! | [`code::VOLUMES`] | read | [`Header`] | [`VolumesHeader`], then as many [`VolumeRecord`]s as fit |
//! | [`code::ATTACH`] | write | [`Header`], then the name of a volume | nothing |
//! | [`code::DETACH`] | write | the same | nothing |
//! | [`code::OBSERVE`] | write | [`Header`], [`Observe`] | nothing |
//! | [`code::STATISTICS`] | read | [`Header`] | [`StatisticsHeader`], then as many [`StatisticsRecord`]s as fit |
//! | [`code::TRACE_START`] | write | [`Header`], [`TraceStart`], then two patterns | nothing |
//! | [`code::TRACE_READ`] | read | [`Header`] | [`TraceHeader`], then as many records as fit |
//! | [`code::TRACE_STOP`] | write | [`Header`] | nothing |
//!
//! # Layouts
//! All numbers are little-endian and unaligned ([`zerocopy::little_endian`]): there is no padding,
//! and a 32-bit program, a 64-bit program and the driver have the same layout by construction.
//! The layout of the version request never changes; it tells which versions of the others the
//! driver speaks. Each of the others begins with the version that the caller speaks.
//!
//! Version 2 has paging I/O and FsFilter operations as operations of their own, tells what observation
//! keeps in memory, reads traces directly, and means all rings together by [`TraceStart::ring_bytes`].
//! Answers with records of version 1, which programs keep in files, are read as well
//! ([`OLDEST_TRACE`]).
//!
//! # Errors
//! | status | when |
//! |---|---|
//! | STATUS_INVALID_DEVICE_REQUEST | there is no such code |
//! | STATUS_INFO_LENGTH_MISMATCH | the input has not the length of that request |
//! | STATUS_REVISION_MISMATCH | the caller speaks a version that the driver does not |
//! | STATUS_INVALID_PARAMETER | a field has a value without a meaning |
//! | STATUS_BUFFER_TOO_SMALL | the output has no room for the fixed part of the answer |
//! | STATUS_BUFFER_OVERFLOW | there are more records than fit; [`VolumesHeader::bytes`] says how many bytes they need; so it is with statistics |
//! | STATUS_OBJECT_NAME_NOT_FOUND | attach, detach: no mounted volume and no file system has that name |
//! | STATUS_OBJECT_NAME_COLLISION | attach: it is filtered already |
//! | STATUS_NOT_FOUND | detach: it is not filtered |
//! | STATUS_DEVICE_BUSY | detach: another filter lies above |
//! | STATUS_INVALID_DEVICE_STATE | a trace is started on a handle that has one, or read or stopped on one that has none, or two are reading it |
//! | STATUS_TOO_MANY_SESSIONS | a trace is started while as many run as can |
//! | STATUS_CANCELLED | the trace was stopped or the handle closed while a read was waiting |
//! | STATUS_INSUFFICIENT_RESOURCES | there is no memory for it, or observation keeps as much as it may |

#![no_std]

pub mod code;
pub mod histogram;
mod name;
#[cfg(test)]
mod observation_tests;
mod operation;
mod reader;
mod request;
mod sheet;
mod statistics;
#[cfg(test)]
mod tests;
pub mod trace;
mod version;
mod volumes;
mod writer;

pub use name::{MAXIMUM_NAME, MAXIMUM_NAMED, Name, NamedHeader, encode_named};
pub use operation::Operation;
pub use reader::{Malformed, Units, Volume, Volumes};
pub use request::{Header, Memory, Refusal, Request, SettingsReply, VersionReply, attach};
pub use statistics::{
    BucketRecord, Observe, OperationRecord, OperationStatistics, Statistics, StatisticsHeader,
    StatisticsRecord, StatisticsWriter, VolumeStatistics, VolumeWriter,
};
pub use trace::{Trace, TraceHeader, TraceRecord, TraceStart, VolumeNameRecord};
pub use version::{OLDEST_TRACE, VERSION};
pub use volumes::{Kind, NO_DEVICE, Reason, VolumeRecord, VolumesHeader, class};
pub use writer::{RecordWriter, VolumesWriter};
