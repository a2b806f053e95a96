//! How programs of the host reach a driver that runs in ntbox (`ntbox run --client ADDRESS`).
//!
//! A connection is a program of the box with one handle: it opens a device by its NT name, sends device
//! controls, cancels those that wait, and closes the handle by going away.
//!
//! # Protocol
//! Over TCP, on a loopback address only. Each side first sends the eight bytes of [`GREETING`]; then
//! frames go both ways: a [`FrameHeader`] and as many bytes as it says. The program numbers what it
//! asks for; each question but a cancellation has one answer, of that number.
//!
//! | kind | sent by | first | second | bytes |
//! |---|---|---|---|---|
//! | [`kind::MACHINE`] | program | 0 | 0 | none |
//! | [`kind::OPEN`] | program | 0 | 0 | the name, in UTF-8 |
//! | [`kind::CONTROL`] | program | the control code | bytes of output wanted | the input |
//! | [`kind::CANCEL`] | program | 0 | 0 | none; the number is that of the control |
//! | [`kind::ANSWER`] | box | the NTSTATUS | `IoStatus.Information` | the output |
//!
//! The answer to [`kind::MACHINE`] is text: a line for each driver (`driver`, its service, its file) and
//! each drive letter (`letter`, the letter, the device), with tabs between. Whatever does not keep to
//! this ends the connection.

mod connection;
mod frame;
mod machine;

pub use connection::{Connection, loopback};
pub use frame::{Frame, FrameHeader, GREETING, MAXIMUM_BYTES, greet, kind};
pub use machine::{DriverFile, Letter, Machine};
