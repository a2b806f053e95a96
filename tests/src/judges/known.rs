//! What the bare volume does not do as judges have it.

/// Judge, case, and why.
pub const KNOWN: &[(&str, &str, &str)] = &[(
    "pjdfstest",
    "rename::updates_link_parent",
    "NT counts no entries as links of a directory: NumberOfLinks is 1 there",
)];
