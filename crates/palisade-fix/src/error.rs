//! Why a plan cannot be made, applied or taken back.
use palisade_core::Timestamp;
use std::path::PathBuf;

/// Why a plan cannot be made, applied or taken back. Nothing was changed unless the journal says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixError {
    /// The file is not a plan.
    #[error("this is not a plan: {0}")]
    NotAPlan(String),
    /// Somebody changed the plan after it was made.
    #[error("the plan was changed after it was made: its content has the hash {found}, not {said}")]
    Tampered {
        /// The hash in the file.
        said: String,
        /// The hash of the content.
        found: String,
    },
    /// Something else was approved.
    #[error("the approval is for `{approved}`, and what would be sent has the hash {hash}")]
    NotApproved {
        /// What was approved.
        approved: String,
        /// The hash of what would be sent.
        hash: String,
    },
    /// Too old.
    #[error("the plan expired at {0}; make a new one")]
    Expired(Timestamp),
    /// Made for others.
    #[error("the plan is for account {plan}, these credentials are for account {here}")]
    OtherAccount {
        /// The plan's account.
        plan: String,
        /// The credentials' accounts.
        here: String,
    },
    /// Made by a later Palisade.
    #[error("the plan was made by a newer version of palisade ({0}); update first")]
    Newer(String),
    /// A call that no change file describes.
    #[error(
        "the plan's item {item} calls `{call}`, which no change file of this palisade describes"
    )]
    UnknownCall {
        /// The item.
        item: usize,
        /// `service:Operation`.
        call: String,
    },
    /// A step that is not what the change file makes of the call.
    #[error("the plan's item {item} does not fit what the change file says of `{call}`: {reason}")]
    Unfit {
        /// The item.
        item: usize,
        /// `service:Operation`.
        call: String,
        /// What does not fit.
        reason: String,
    },
    /// A step of retiring a key that must not be made now.
    #[error("{0}")]
    Retire(String),
    /// More than the user allows.
    #[error("{0}")]
    Limit(String),
    /// The API models.
    #[error(transparent)]
    Model(#[from] palisade_model::ModelError),
    /// The journal or its folder.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Journal {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A journal that does not read.
    #[error("`{}`, line {line}: {message}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// No run of that name.
    #[error("there is no run `{name}` in `{}`", folder.display())]
    NoRun {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// Somebody else works on the run.
    #[error("`{}` is in use by another palisade", .0.display())]
    Locked(PathBuf),
}
