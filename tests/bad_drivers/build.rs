//! Link settings of the driver image: those of every WDM driver, and routines that happen to be
//! equal keep their names, which the reports are tested for.

fn main() -> Result<(), wdk_build::ConfigError> {
    wdk_build::configure_wdk_binary_build()?;
    println!("cargo::rustc-link-arg-cdylib=/OPT:NOICF");
    Ok(())
}
