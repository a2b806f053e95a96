//! Link settings, and a text from a hidden file of the workspace.

use std::path::Path;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    wdk_build::configure_wdk_binary_build()?;
    let directory = env::var("CARGO_MANIFEST_DIR")?;
    let origin = Path::new(&directory).join("../.origin");
    println!("cargo::rerun-if-changed={}", origin.display());
    println!(
        "cargo::rustc-env=ORIGIN={}",
        fs::read_to_string(origin)?.trim()
    );
    println!("cargo::rustc-link-arg-cdylib=/DEF:{directory}/greeter.def");
    Ok(())
}
