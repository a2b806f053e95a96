//! The routines and variables that a driver imports from the kernel.
//!
//! One file per NT prefix. Each holds plain `unsafe extern "win64"` functions,
//! named in Rust casing, and one table that gives them their NT names:
//!
//! ```ignore
//! super::table! {
//!     "IoCreateDevice" => io_create_device,
//!     caller(2) "IofCallDriver" => iof_call_driver,
//!     data "IoFileObjectType" => FILE_OBJECT_TYPE,
//! }
//! ```
//!
//! An import binds only to a name in these tables; whatever is missing is
//! reported by name before the driver runs.
//!
//! # Who called
//!
//! Reports name the line of the driver that called a routine, and the pool
//! remembers who allocated each block. An entry marked `caller(N)` names a
//! routine of N documented arguments whose Rust function takes one more, a
//! `usize`: the driver's return address, an address inside its code just
//! behind the call. The name is bound to a thunk of a few instructions that
//! hands on `[rsp]` as that extra argument:
//!
//! - up to three arguments: in the next argument register, then a jump to the
//!   function. Nothing else is touched, so this costs a load and a jump.
//! - four and more: the extra argument belongs on the stack, behind the
//!   shadow space, where the caller's own frame is. The thunk makes a frame,
//!   copies the stack arguments into it and calls the function.
//!
//! The number of arguments and the type of the last one are checked when the
//! table is compiled. Code of the box that calls such a function directly
//! passes the address that it answers for (0 if there is none).

pub mod c_runtime;
pub mod cc;
pub mod cm;
pub mod debug;
pub mod etw;
pub mod ex;
pub mod fsrtl;
mod handles;
pub mod io;
pub mod ke;
pub mod mm;
pub mod ob;
pub mod po;
pub mod ps;
mod resident;
pub mod rtl;
pub mod se;
pub mod stub;
pub mod zw;

pub(crate) mod table;

pub(crate) use table::table;
pub use table::{Export, Kind};

use crate::io_manager::driver::{LoadError, Loaded, SettingValue};
use crate::io_manager::load;
use crate::pe_image::Problem;
use crate::verifier::options;
use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

/// The files, with the prefix that `ntbox exports` groups by.
static FILES: &[(&str, &[Export])] = &[
    ("c", c_runtime::TABLE),
    ("cc", cc::TABLE),
    ("cm", cm::TABLE),
    ("debug", debug::TABLE),
    ("ex", ex::TABLE),
    ("fsrtl", fsrtl::TABLE),
    ("io", io::TABLE),
    ("ke", ke::TABLE),
    ("etw", etw::TABLE),
    ("mm", mm::TABLE),
    ("ob", ob::TABLE),
    ("po", po::TABLE),
    ("ps", ps::TABLE),
    ("rtl", rtl::TABLE),
    ("se", se::TABLE),
    ("zw", zw::TABLE),
];

/// Names that `hal.dll` exports on x64, of those that are bound here (the
/// spin-lock and IRQL routines are in the HAL on x86 alone). Since Windows 10
/// 2004 the HAL is part of the kernel image, which exports these as well, and
/// `hal.dll` forwards them.
static HAL: &[&str] = &[
    "KeFlushWriteBuffer",
    "KeQueryPerformanceCounter",
    "KeStallExecutionProcessor",
];

/// One bound name, for `ntbox exports`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The NT name.
    pub name: &'static str,
    /// `ntoskrnl.exe`, or `hal.dll` where that exports it (both bind).
    pub dll: &'static str,
    /// The group: the NT prefix in lower case, `c` for the C runtime.
    pub prefix: &'static str,
}

fn by_name() -> &'static HashMap<&'static str, &'static Export> {
    static MAP: OnceLock<HashMap<&'static str, &'static Export>> = OnceLock::new();
    MAP.get_or_init(|| {
        FILES
            .iter()
            .flat_map(|(_, table)| table.iter())
            .map(|e| (e.name, e))
            .collect()
    })
}

/// The address that an import of `name` from `dll` binds to, be it that of a [`stub`]. The name of the
/// image is compared without case, as the loader does.
pub fn resolve(dll: &str, name: &str) -> Option<usize> {
    let exported = dll.eq_ignore_ascii_case("ntoskrnl.exe")
        || (dll.eq_ignore_ascii_case("hal.dll") && HAL.contains(&name));
    let export = by_name().get(name).filter(|_| exported);
    export
        .map(|export| export.address())
        .or_else(|| stub::address(name))
}

/// [`load::load`] of an image that is bound to the routines here.
///
/// # Errors
/// The image could not be loaded, or DriverEntry failed.
pub fn load(
    path: &Path,
    service: &str,
    settings: &[(String, SettingValue)],
) -> Result<Loaded, LoadError> {
    load::load(path, service, settings, &resolve).map_err(with_nearest)
}

/// Names beside each import that is missing the routine that is called most like it.
fn with_nearest(mut error: LoadError) -> LoadError {
    if let LoadError::Image(image) = &mut error
        && let Problem::Unresolved(missing) = &mut image.problem
    {
        for import in missing {
            let name = import.rsplit_once('!').map_or(&**import, |(_, name)| name);
            let near = options::nearest(by_name().keys().copied(), name);
            if let Some(near) = near.first() {
                *import = format!("{import} (the nearest there is: {near})");
            }
        }
    }
    error
}

/// The name bound at `address`, which is an address that [`resolve`] returned.
pub fn name_at(address: usize) -> Option<&'static str> {
    static MAP: OnceLock<HashMap<usize, &'static str>> = OnceLock::new();
    let map = MAP.get_or_init(|| by_name().values().map(|e| (e.address(), e.name)).collect());
    map.get(&address).copied()
}

/// Every bound name, sorted by group, then by name.
pub fn list() -> Vec<Listed> {
    let mut listed: Vec<Listed> = FILES
        .iter()
        .flat_map(|(prefix, table)| {
            table.iter().map(|export| Listed {
                name: export.name,
                dll: if HAL.contains(&export.name) {
                    "hal.dll"
                } else {
                    "ntoskrnl.exe"
                },
                prefix,
            })
        })
        .collect();
    listed.sort_by_key(|listed| (listed.prefix, listed.name));
    listed
}

#[cfg(test)]
mod irql_tests;
#[cfg(test)]
mod test_device;
#[cfg(test)]
mod tests;
