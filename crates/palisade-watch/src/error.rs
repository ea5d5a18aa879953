//! What can go wrong.

/// Why an event could not be worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// A message is no event.
    #[error("the message is no event of AWS: {0}")]
    Message(String),
    /// Tables do not fit each other.
    #[error("the table `{table}` cannot be brought up to date: {message}")]
    Merge {
        /// The table.
        table: String,
        /// Why.
        message: String,
    },
    /// The store refused, or is damaged.
    #[error(transparent)]
    Store(#[from] palisade_store::StoreError),
}
