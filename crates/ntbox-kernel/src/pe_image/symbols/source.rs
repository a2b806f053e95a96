//! What is asked of symbols, wherever they come from.

/// A function with its place in the sources.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) function: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    /// Where the function begins, if nothing but that is known of the place.
    pub(super) begin: Option<u32>,
}

/// What tells the functions of an image.
pub(super) trait Source: Send {
    /// True if a function is known to begin at `rva`.
    fn begins_function(&self, rva: u32) -> bool;
    /// The function at `rva` behind those that were inlined into it there, the innermost first.
    fn frames(&self, rva: u32) -> Option<Vec<Frame>>;
}
