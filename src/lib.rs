//! fsglass: a legacy file-system filter that passes every request through and sees it complete.
//!
//! Policy only. What touches the kernel is in the crate `wdm`; rule ids such as
//! `C5` are listed in `docs/rules.md`.
//!
//! | module | decides |
//! |---|---|
//! | [`entry`] | the order in which the driver starts |
//! | [`settings`] | what the registry may change |
//! | [`glass`] | which module answers which request |
//! | [`pass_through`] | what is done with a request that is none of the below |
//! | [`mount`] | mounting, and loading of file systems |
//! | [`policy`] | what is filtered |
//! | [`file_systems`] | which file systems there are |
//! | [`volumes`] | attaching, each exactly once |
//! | [`refusal`] | why an attachment was refused |
//! | [`report`] | what is said in the event log and at the debugger |
//! | [`control`] | requests for the control device |

#![no_std]

extern crate wdk_panic;

mod control;
mod entry;
mod file_systems;
mod glass;
mod mount;
mod pass_through;
mod policy;
mod refusal;
mod report;
mod settings;
mod volumes;

/// Allocations of the `alloc` crate, should one be made; none is made on an I/O path (P2).
#[global_allocator]
static ALLOCATOR: wdk_alloc::WdkAllocator = wdk_alloc::WdkAllocator;
