//! Passes the configuration flags of a WDM driver to cargo.

fn main() -> Result<(), wdk_build::ConfigError> {
    wdk_build::configure_wdk_library_build()
}
