//! INF files: stamping a source, reading, checking, and the variant for Wine.
//!
//! | module | what |
//! |---|---|
//! | [`stamp`] | an INF source (`.inx`) becomes an INF, as `stampinf` does it |
//! | [`document`] | the sections and entries of an INF, strings substituted |
//! | [`lint`] | the rules of InfVerif that concern a file-system filter |
//! | [`wine`] | the variant that copies to `System32\drivers` |
//!
//! Source: "General syntax rules for INF files" and the pages of the sections and
//! directives in the driver documentation.

pub mod document;
pub mod lint;
pub mod stamp;
pub mod wine;
