//! Why a command ended early.

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// What was asked for cannot be done as it was asked.
    Usage(String),
    /// It was tried and went wrong.
    Failed(String),
    /// A process that was started for it ended because of ntbox itself: its report.
    Itself(String),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}
