//! C4, P1: there is no paged memory to put a context in.

#![no_std]
#![no_main]

use wdm::pool::PagedBox;
use wdm_ui as _;

struct Context {
    name: PagedBox<[u16; 64]>,
}
