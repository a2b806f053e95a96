//! D4, D5: a request is completed or passed on before its dispatch routine returns.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm_ui::Plain;

fn request(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let _major = irp.major();
}
