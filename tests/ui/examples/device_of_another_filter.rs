//! A9: what is kept with a device is what its own filter has put there. A filter is no other one, also where both are
//! one type but for a lifetime, so that one is a subtype of the other.

#![no_std]
#![no_main]

use core::marker::PhantomData;
use wdm::device::FilterDevice;
use wdm::driver::{Driver, Keeps};
use wdm::irp::Irp;

struct Filter<T>(PhantomData<T>);

type One = Filter<for<'a> fn(&'a u8)>;
type Other = Filter<fn(&'static u8)>;

impl Keeps for One {
    type Attachment = usize;
    type Client = ();
}

impl Keeps for Other {
    type Attachment = &'static u8;
    type Client = ();
}

fn kept<'i>(irp: &'i Irp<'_, One>) -> &'i &'static u8 {
    let irp: &Irp<'_, Other> = irp;
    irp.device().attachment()
}

fn kept_with<'d>(device: &'d FilterDevice<One>) -> &'d &'static u8 {
    let device: &FilterDevice<Other> = device;
    device.attachment()
}

fn other(driver: &Driver<One>) -> &Driver<Other> {
    driver
}
