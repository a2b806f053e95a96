//! Link settings, version resource and message table of the driver image.
//!
//! wdk-build emits what every WDM driver needs; what Visual Studio's project
//! system adds to that is added here, so that the image is the same whichever
//! host linked it.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// Linker options on top of wdk-build's.
const LINK_OPTIONS: [&str; 6] = [
    // Store the PE checksum, which the loader verifies for drivers.
    "/RELEASE",
    // Same inputs, same image: a hash of the contents instead of the time.
    "/Brepro",
    // Windows may choose an address above 4 GB.
    "/HIGHENTROPYVA",
    // DriverEntry and what only it calls go away once it has returned.
    "/SECTION:INIT,ERD",
    // The oldest Windows the driver runs on.
    "/SUBSYSTEM:NATIVE,10.00",
    // Routines that happen to be equal keep their names in stacks and reports.
    "/OPT:NOICF",
];

/// The texts of the event log, which the driver names by the same file.
macro_rules! messages {
    ($($code:literal $name:ident: $text:literal;)*) => {
        /// Code and text, the codes ascending.
        const MESSAGES: &[(u32, &str)] = &[$(($code, $text)),*];
    };
}
include!("src/messages.rs");

/// The version resource; VERSION_NUMBERS and VERSION_TEXT stand for the version.
const RESOURCE: &str = "src/fsglass.rc";

fn main() -> Result<(), Box<dyn Error>> {
    wdk_build::configure_wdk_binary_build()?;
    for option in LINK_OPTIONS {
        println!("cargo::rustc-link-arg-cdylib={option}");
    }
    if let Some(resource) = compile_resource()? {
        println!("cargo::rustc-link-arg-cdylib={}", resource.display());
    }
    Ok(())
}

/// Compiles the resource with `RC`, or else the kit's rc.exe.
///
/// Where there is neither, a debug build goes without, with a warning, so that an editor can
/// check the sources; a release build fails.
fn compile_resource() -> Result<Option<PathBuf>, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={RESOURCE}");
    println!("cargo::rerun-if-changed=src/messages.rs");
    println!("cargo::rerun-if-env-changed=RC");
    let version =
        ["MAJOR", "MINOR", "PATCH"].map(|part| env::var(format!("CARGO_PKG_VERSION_{part}")));
    let [major, minor, patch] = version;
    let numbers = [major?, minor?, patch?, "0".to_owned()];
    let source = fs::read_to_string(RESOURCE)?
        .replace("VERSION_NUMBERS", &numbers.join(","))
        .replace("VERSION_TEXT", &numbers.join("."));

    let directory = PathBuf::from(env::var("OUT_DIR")?);
    let (script, resource) = ("fsglass.rc", "fsglass.res");
    fs::write(directory.join(script), source)?;
    fs::write(directory.join("messages.bin"), message_table(MESSAGES))?;
    let compiler = match env::var("RC") {
        Ok(named) => named,
        Err(_) => {
            // It adds the directories of the kit's programs to our search path.
            let _ = wdk_build::cargo_make::setup_path()?;
            "rc.exe".to_owned()
        }
    };
    let flags = env::var("RCFLAGS").unwrap_or_default();
    let status = match Command::new(&compiler)
        .args(flags.split_whitespace())
        .current_dir(&directory)
        // Names without a directory: an absolute path of Linux begins as an option does, and
        // llvm-rc takes `/check/…` for `/c`.
        .args(["/fo", resource, script])
        .status()
    {
        Ok(status) => status,
        Err(error) => {
            let text = format!(
                "cannot start the resource compiler {compiler:?}: {error}; install the Windows \
                 SDK of the kit's version, or set RC to one"
            );
            if env::var("PROFILE")? == "release" {
                return Err(text.into());
            }
            println!("cargo::warning=no version and no event texts in the driver: {text}");
            return Ok(None);
        }
    };
    if !status.success() {
        return Err(format!("{compiler:?} cannot compile {RESOURCE} ({status})").into());
    }
    Ok(Some(directory.join(resource)))
}

/// MESSAGE_RESOURCE_DATA, as the message compiler writes it: blocks of consecutive codes, then the
/// texts in UTF-16, each with its length and padded to four bytes.
fn message_table(messages: &[(u32, &str)]) -> Vec<u8> {
    const UNICODE: u16 = 1;
    let mut sorted = messages.to_vec();
    sorted.sort_by_key(|(code, _)| *code);
    let blocks: Vec<_> = sorted
        .chunk_by(|(code, _), (next, _)| next - code == 1)
        .collect();
    let mut table = u32_bytes(blocks.len());
    let mut entries = Vec::new();
    let first = size_of::<u32>() + blocks.len() * 3 * size_of::<u32>();
    for block in blocks {
        let (Some((low, _)), Some((high, _))) = (block.first(), block.last()) else {
            continue;
        };
        table.extend(low.to_le_bytes());
        table.extend(high.to_le_bytes());
        table.extend(u32_bytes(first + entries.len()));
        for (_, text) in block {
            let mut units: Vec<u8> = format!("{text}\r\n\0")
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            units.resize(units.len().next_multiple_of(4), 0);
            let length = (units.len() + 4) as u16;
            entries.extend(length.to_le_bytes());
            entries.extend(UNICODE.to_le_bytes());
            entries.extend(units);
        }
    }
    table.extend(entries);
    table
}

fn u32_bytes(value: usize) -> Vec<u8> {
    (value as u32).to_le_bytes().to_vec()
}
