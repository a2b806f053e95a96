//! The built `fsglass.sys` in a kernel that is not ours: Wine's.
//!
//! Wine's kernel calls drivers, dispatches requests of programs to them, and completes and
//! cancels them. It has nothing of file systems: `fskit.sys` brings that, as a file system with
//! volumes and as the routines that Wine lacks. The filter is the shipped image, with those
//! imports bound to `fskit.sys` and not a byte of its code changed.
//!
//! | module | for |
//! |---|---|
//! | [`rebind`] | the image for Wine |
//! | [`imports`] | which imports Wine has |
//! | [`wine`] | a Wine of its own, and commands in it |
//! | [`files`] | what has been built |
//! | [`inf`] | the INF for Wine |
//! | [`filter`] | what is expected of a filter in Wine |
//! | [`client`] | what is expected of `fsglass.exe` in Wine |

pub mod client;
pub mod files;
pub mod filter;
pub mod imports;
pub mod inf;
mod random_numbers;
pub mod rebind;
pub mod wine;
