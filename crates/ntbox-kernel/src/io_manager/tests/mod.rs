//! The model against the documented semantics, with native drivers of its own.
//!
//! [`drivers`] is a test driver whose devices each behave in one way, right or
//! wrong, as [`behaviours`] spells out; [`flow`] and [`second_stage`] follow requests through stacks of right
//! ones, [`random`] does so for random stacks, [`wrong`] shows that each wrong
//! one is caught, [`stacks`], [`mounting`] and [`registering`] are about devices, [`witness`] about what is noted.

mod behaviours;
mod drivers;
mod flow;
mod keeping;
mod mounting;
mod own_requests;
mod plug_and_play;
mod random;
mod registering;
mod second_stage;
mod speed;
mod stacks;
mod witness;
mod wrong;
