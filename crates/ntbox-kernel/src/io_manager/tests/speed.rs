//! What a hop costs. Run by hand, in release:
//! `cargo test --release -p ntbox --lib io_manager::tests::speed -- --ignored --nocapture`.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are built by pointer"
)]

use super::drivers::{Behaviour, Stack};
use crate::io_manager::{call, irp, stack};
use crate::nt::{
    DEVICE_OBJECT, IRP, IrpExt, NTSTATUS, STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS,
};
use std::ffi::c_void;
use std::time::Instant;

unsafe extern "win64" fn stop(_: *mut DEVICE_OBJECT, _: *mut IRP, _: *mut c_void) -> NTSTATUS {
    STATUS_MORE_PROCESSING_REQUIRED
}

/// Nanoseconds of one request down and up a stack of `filters` propagating filters.
fn cost(filters: usize) -> f64 {
    const ROUNDS: u32 = 300_000;
    let mut behaviours = vec![Behaviour::Complete];
    behaviours.resize(filters + 1, Behaviour::Propagate);
    let devices = Stack::new(&behaviours);
    let top = devices.top();
    // SAFETY: the test owns the request, and its routine stops each completion.
    unsafe {
        let request = irp::allocate((*top).StackSize);
        let start = Instant::now();
        for _ in 0..ROUNDS {
            irp::reuse(request, STATUS_SUCCESS, 0);
            (*request.next_location()).MajorFunction = 3;
            stack::set_completion_routine(request, Some(stop), std::ptr::null_mut(), stack::ALWAYS);
            call::call_driver(top, request, 0);
        }
        let spent = start.elapsed().as_nanos() as f64 / f64::from(ROUNDS);
        irp::free(request, 0);
        spent
    }
}

#[test]
#[ignore = "a measurement, not a check"]
fn a_hop_down_and_up() {
    let (one, five) = (cost(1), cost(5));
    println!(
        "checks {}: {:.1} ns per filter ({one:.0} ns with 1, {five:.0} ns with 5)",
        crate::verifier::checks(),
        (five - one) / 4.0
    );
    crate::verifier::configure(crate::verifier::Configuration {
        options: crate::verifier::Options::NONE,
        ..Default::default()
    });
    let (one, five) = (cost(1), cost(5));
    println!(
        "checks {}: {:.1} ns per filter ({one:.0} ns with 1, {five:.0} ns with 5)",
        crate::verifier::checks(),
        (five - one) / 4.0
    );
}
