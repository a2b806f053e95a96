//! Builds Windows kernel drivers on Linux, from the published `wdk*` crates.
//!
//! # Why
//! The `wdk*` crates ask for a Windows host with the Windows Driver Kit
//! installed. Almost nothing in them depends on either: bindgen needs headers,
//! the linker needs import libraries, and `wdk-build` needs a folder shaped like
//! an installed WDK. All of that can be had from a Debian mirror.
//!
//! # What it makes
//! Everything lands under `target/kit` and may be deleted at any time:
//!
//! ```text
//! wdk/        a WDK-shaped folder (WDKContentRoot): mingw-w64's headers with
//!             ours in front, import libraries            headers, import_libraries
//! crates/     wdk-build with the edits it needs to run on Linux
//!                                                        patched_crates
//! workspace/  the workspace again, as symbolic links, with a lock file and a
//!             cargo configuration of its own             mirror
//! ```
//!
//! The mirror exists because a `[patch]` table changes Cargo.lock: with it in a
//! directory of its own, the committed lock file stays the one that Windows
//! users get, and the `cargo metadata` that wdk-build's build scripts run sees
//! the same patches as the build itself.
//!
//! # Data flow
//! `command_line` → [`commands`] → [`workspace::Workspace::find`] (what cargo says) →
//! [`lock_file::LockFile`] → [`requirements::Requirements::probe`] (what is installed) →
//! [`driver_build::prepare`] (the three directories above) →
//! [`driver_build::build`] (cargo, then `NAME.sys` and `NAME.pdb` into
//! `target/TARGET/PROFILE`, such as `target/x86_64-pc-windows-msvc/release`) →
//! [`package::Ingredients::package`] (the INF by [`inf`], digests by [`authenticode`], the
//! [`catalog`], [`signing`]) → [`package_check::check`].
//!
//! On Windows nothing of the three is made: cargo runs in the workspace itself, and
//! [`package::Ingredients::collect`] completes what Windows' own tools have made.
//!
//! A program for Windows is simpler: [`program_build::build`] runs cargo in the workspace itself
//! and puts what it made into `target/x86_64-pc-windows-gnu/PROFILE`.
//!
//! Nothing here is specific to one driver: the drivers are the packages of the
//! workspace with a `package.metadata.wdk.driver-model` table and a cdylib. [`new_driver`] makes one.

pub mod authenticode;
pub mod catalog;
pub mod command_line;
pub mod commands;
pub mod compiler;
pub mod driver_build;
pub mod driver_model;
pub mod files;
pub mod headers;
pub mod import_libraries;
pub mod inf;
pub mod introduced;
pub mod layout;
pub mod lock_file;
pub mod machine;
pub mod metadata;
pub mod mirror;
pub mod new_driver;
pub mod package;
pub mod package_check;
pub mod patched_crates;
pub mod process;
pub mod processor;
pub mod program_build;
pub mod requirements;
pub mod rust_flags;
pub mod setup;
pub mod signing;
pub mod source_date;
pub mod source_edit;
pub mod surroundings;
pub mod workspace;
