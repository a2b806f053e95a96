//! Control codes.

/// The device type in the codes: from the range that is not Microsoft's.
pub const DEVICE_TYPE: u32 = 0xF561;

const READ: u32 = 1;
const WRITE: u32 = 2;
const BUFFERED: u32 = 0;
const OUT_DIRECT: u32 = 2;

/// `CTL_CODE` with METHOD_BUFFERED.
const fn control(function: u32, access: u32) -> u32 {
    DEVICE_TYPE << 16 | access << 14 | function << 2 | BUFFERED
}

/// Which versions the driver speaks, and which driver it is.
pub const VERSION: u32 = control(0x800, READ);
/// The settings and the state of this run.
pub const SETTINGS: u32 = control(0x801, READ);
/// The file systems and their volumes: what is filtered, and why something is not.
pub const VOLUMES: u32 = control(0x802, READ);
/// Filter a volume.
pub const ATTACH: u32 = control(0x803, WRITE);
/// Filter a volume no longer, until it is attached again.
pub const DETACH: u32 = control(0x804, WRITE);

/// What this handle wants observed.
pub const OBSERVE: u32 = control(0x805, WRITE);
/// What has been counted.
pub const STATISTICS: u32 = control(0x806, READ);
/// Start the trace of this handle.
pub const TRACE_START: u32 = control(0x807, WRITE);
/// Take records out of the trace of this handle, or wait for some.
pub const TRACE_READ: u32 = control(0x808, READ) | OUT_DIRECT;
/// Stop the trace of this handle.
pub const TRACE_STOP: u32 = control(0x809, WRITE);

/// All of them.
pub const ALL: [u32; 10] = [
    VERSION,
    SETTINGS,
    VOLUMES,
    ATTACH,
    DETACH,
    OBSERVE,
    STATISTICS,
    TRACE_START,
    TRACE_READ,
    TRACE_STOP,
];
