#![no_std]
//! stub
pub use wdk_sys;
