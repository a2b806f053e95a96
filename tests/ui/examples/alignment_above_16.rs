//! P2: the pool aligns to 16 bytes; a type that asks for more is refused when it is compiled.

#![no_std]
#![no_main]

use wdm::pool::NonPagedBox;
use wdm::status::Status;
use wdm_ui as _;

#[repr(align(32))]
struct Wide([u8; 32]);

#[used]
static MAKE: fn() -> Result<NonPagedBox<Wide>, Status> = || NonPagedBox::try_new(Wide([0; 32]));
