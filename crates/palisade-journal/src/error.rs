//! What can be wrong with a journal.
use std::path::PathBuf;

/// Why a journal is not used, or not as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk refused.
    #[error("cannot {verb} `{}`: {source}", path.display())]
    File {
        /// What was tried: `read`, `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no journal of this run and account.
    #[error("`{}` is not used: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A record in the middle is not what was written: what follows it is not used.
    #[error(
        "`{}` is damaged at byte {at}: {reason}; what follows is asked again", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        at: u64,
        /// What does not fit.
        reason: String,
    },
}

impl JournalError {
    pub(crate) fn file(verb: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File {
            verb,
            path: path.to_owned(),
            source,
        }
    }
}
