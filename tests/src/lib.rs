//! What the tests of the built drivers share.
//!
//! The tests look at the shipped files: `fsglass.sys` and, for the checks
//! themselves, `bad_drivers.sys`. [`drivers`] says where they are.
//!
//! | module | for |
//! |---|---|
//! | [`image_audit`] | what must be true of the image before it is ever run |
//! | [`layouts`] | the driver's structures against independent definitions |

pub mod drivers;
pub mod image_audit;
pub mod layouts;
