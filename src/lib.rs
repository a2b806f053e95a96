//! fsglass: a legacy file-system filter that passes every request through and sees it complete.
//!
//! Policy only. What touches the kernel is in the crate `wdm`; rule ids such as
//! `C5` are listed in `docs/rules.md`.
//!
//! | module | decides |
//! |---|---|
//! | [`entry`] | the order in which the driver starts |
//! | [`settings`] | what the registry may change |
//! | [`glass`] | what the driver keeps: the state that each module finds through the driver |
//! | [`routing`] | which module answers which request |
//! | [`pass_through`] | what is done with a request that is none of the below |
//! | [`mount`] | mounting, and loading of file systems |
//! | [`policy`] | what is filtered |
//! | [`file_system_list`] | which file systems there are |
//! | [`file_systems`] | what is done when one comes or goes |
//! | [`volumes`] | attaching, each exactly once |
//! | [`refusal`] | why an attachment was refused |
//! | [`report`] | what is said in the event log and at the debugger |
//! | [`unfiltered`] | what is remembered of that, and of volumes that a program detached |
//! | [`control`] | requests for the control device |
//! | [`listing`] | the list of volumes that it answers with |
//! | [`observe`] | what is counted and recorded of what passes |
//! | [`client`] | who has the control device open |

#![no_std]

extern crate wdk_panic;

mod client;
mod control;
mod entry;
mod file_system_list;
mod file_systems;
mod glass;
mod listing;
mod mount;
mod observe;
mod pass_through;
mod policy;
mod refusal;
mod report;
mod routing;
mod settings;
mod unfiltered;
mod volumes;

/// Allocations of the `alloc` crate, should one be made; none is made on an I/O path (P2).
#[global_allocator]
static ALLOCATOR: wdk_alloc::WdkAllocator = wdk_alloc::WdkAllocator;
