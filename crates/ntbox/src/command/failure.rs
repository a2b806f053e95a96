//! Why a command ended early.

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// What was asked for cannot be done as it was asked.
    Usage(String),
    /// It was tried and went wrong.
    Failed(String),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}
