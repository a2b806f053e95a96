//! Passes the link and configuration flags of a WDM driver to cargo.

fn main() -> Result<(), wdk_build::ConfigError> {
    wdk_build::configure_wdk_binary_build()
}
