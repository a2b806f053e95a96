//! The Windows that drivers see: Windows 10, version 22H2, for workstations.

/// `dwMajorVersion`.
pub const MAJOR: u32 = 10;
/// `dwMinorVersion`.
pub const MINOR: u32 = 0;
/// `dwBuildNumber`.
pub const BUILD: u32 = 19_045;
/// `VER_PLATFORM_WIN32_NT`.
pub const PLATFORM_NT: u32 = 2;
/// `VER_NT_WORKSTATION`.
pub const WORKSTATION: u8 = 1;
/// `VER_SUITE_SINGLEUSERTS`.
pub const SUITE: u16 = 0x100;
