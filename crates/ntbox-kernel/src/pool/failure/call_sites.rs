//! Which code of the drivers allocates, and failing a chosen one of these places.
//!
//! A place is the stack of the drivers' calls, from the routine that the box
//! called to the one that allocates: the same `allocate` helper is another place
//! for each of its callers. It is named by a key that is the same in every run
//! of the same image, wherever that lies in memory.
//!
//! What is found is written to a file at once, line by line: the run may end in
//! a violation at any allocation.

use crate::pe_image::{self, Origin, calls_of_routine};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A place where drivers allocate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSite {
    /// Its name on the command line.
    pub key: String,
    /// The routine of the kernel that was called, where the image imports it by name.
    pub routine: Option<String>,
    /// The drivers' calls that led there, innermost first.
    pub calls: Vec<String>,
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A place allocated for the first time.
    Reached(CallSite),
    /// The allocation of the place with this key was made to fail.
    Failed(String),
}

static WATCHED: AtomicBool = AtomicBool::new(false);
static SITES: Mutex<Option<Sites>> = Mutex::new(None);

struct Sites {
    reached: HashSet<String>,
    /// Those whose next allocation fails.
    to_fail: HashSet<String>,
    file: Option<File>,
}

/// From now on the places are looked at: the first allocation of each in `to_fail` fails, and
/// every place is written to `file` when it allocates for the first time.
///
/// # Errors
/// The file cannot be made.
pub fn watch(to_fail: &[String], file: Option<&Path>) -> std::io::Result<()> {
    let sites = Sites {
        reached: HashSet::new(),
        to_fail: to_fail.iter().cloned().collect(),
        file: file.map(File::create).transpose()?,
    };
    *SITES.lock().unwrap_or_else(PoisonError::into_inner) = Some(sites);
    WATCHED.store(true, Ordering::Release);
    Ok(())
}

/// Notes that the driver's call that returns to `caller` allocates; true if it is to fail.
pub(super) fn fails(caller: usize) -> bool {
    if !WATCHED.load(Ordering::Acquire) || pe_image::image_at(caller).is_none() {
        return false;
    }
    let calls = calls_of_routine();
    let key = key_of(&calls);
    let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(sites) = sites.as_mut() else {
        return false;
    };
    if sites.reached.insert(key.clone()) {
        sites.write(&Record::Reached(CallSite {
            key: key.clone(),
            routine: pe_image::imported_routine(Origin::here().called()).map(str::to_owned),
            calls: calls
                .iter()
                .map(|call| pe_image::describe_code(*call))
                .collect(),
        }));
    }
    let fails = sites.to_fail.remove(&key);
    if fails {
        sites.write(&Record::Failed(key));
    }
    fails
}

impl Sites {
    fn write(&mut self, record: &Record) {
        if let (Some(file), Ok(line)) = (&mut self.file, serde_json::to_string(record)) {
            // A place that could not be written is one that nobody fails.
            let _ = writeln!(file, "{line}");
        }
    }
}

/// FNV-1a over image and relative address of each call.
fn key_of(calls: &[usize]) -> String {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    for call in calls {
        if let Some(image) = pe_image::image_at(*call) {
            image.name().bytes().for_each(&mut add);
            (call - image.base())
                .to_le_bytes()
                .into_iter()
                .for_each(&mut add);
        }
    }
    format!("{hash:016x}")
}
