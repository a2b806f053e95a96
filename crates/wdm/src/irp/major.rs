//! The major function codes.
//!
//! Source: "IRP Major Function Codes".

/// Major function codes that a filter tells apart.
pub struct Major;

impl Major {
    /// IRP_MJ_CREATE.
    pub const CREATE: u8 = wdk_sys::IRP_MJ_CREATE as u8;
    /// IRP_MJ_CREATE_NAMED_PIPE.
    pub const CREATE_NAMED_PIPE: u8 = wdk_sys::IRP_MJ_CREATE_NAMED_PIPE as u8;
    /// IRP_MJ_CREATE_MAILSLOT.
    pub const CREATE_MAILSLOT: u8 = wdk_sys::IRP_MJ_CREATE_MAILSLOT as u8;
    /// IRP_MJ_CLEANUP.
    pub const CLEANUP: u8 = wdk_sys::IRP_MJ_CLEANUP as u8;
    /// IRP_MJ_CLOSE.
    pub const CLOSE: u8 = wdk_sys::IRP_MJ_CLOSE as u8;
    /// IRP_MJ_READ.
    pub const READ: u8 = wdk_sys::IRP_MJ_READ as u8;
    /// IRP_MJ_WRITE.
    pub const WRITE: u8 = wdk_sys::IRP_MJ_WRITE as u8;
    /// IRP_MJ_QUERY_INFORMATION.
    pub const QUERY_INFORMATION: u8 = wdk_sys::IRP_MJ_QUERY_INFORMATION as u8;
    /// IRP_MJ_SET_INFORMATION.
    pub const SET_INFORMATION: u8 = wdk_sys::IRP_MJ_SET_INFORMATION as u8;
    /// IRP_MJ_DIRECTORY_CONTROL.
    pub const DIRECTORY_CONTROL: u8 = wdk_sys::IRP_MJ_DIRECTORY_CONTROL as u8;
    /// IRP_MJ_FLUSH_BUFFERS.
    pub const FLUSH_BUFFERS: u8 = wdk_sys::IRP_MJ_FLUSH_BUFFERS as u8;
    /// IRP_MJ_POWER.
    pub const POWER: u8 = wdk_sys::IRP_MJ_POWER as u8;
    /// IRP_MJ_PNP.
    pub const PNP: u8 = wdk_sys::IRP_MJ_PNP as u8;
}
