//! A12, D7: the kernel reads as many bytes of metadata as their head says, so only the layer writes them.

#![no_std]
#![no_main]

use wdm::etw::Event;
use wdm_ui as _;

fn longer(event: Event) -> Event {
    Event {
        metadata: &[0xFF, 0xFF, 0],
        ..event
    }
}
