//! What can be wrong with a store.
use crate::run::Missing;
use std::collections::BTreeMap;

/// Ids that a message names of each shard.
const NAMED: usize = 8;

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The location is neither a folder nor `s3://BUCKET/PREFIX`.
    #[error("`{location}` is no store: {message}")]
    Location {
        /// As it was given.
        location: String,
        /// What is wrong with it.
        message: String,
    },
    /// The disk or the bucket refused.
    #[error("cannot {verb} `{path}`: {source}")]
    Storage {
        /// What was tried: `read`, `write`, `list`, `delete`.
        verb: &'static str,
        /// The object, relative to the store.
        path: String,
        /// Why.
        source: object_store::Error,
    },
    /// Something in the store is not what its manifest says, or not of our making.
    #[error("`{path}` is damaged: {message}")]
    Damaged {
        /// The object, relative to the store.
        path: String,
        /// What does not fit.
        message: String,
    },
    /// The snapshot was written by a later version.
    #[error("`{path}` has format {found}, and this version reads up to {known}")]
    Newer {
        /// The object, relative to the store.
        path: String,
        /// Its format.
        found: u32,
        /// The latest that is known.
        known: u32,
    },
    /// No such snapshot.
    #[error("no snapshot `{wanted}` in `{location}`")]
    NoSnapshot {
        /// What was asked for.
        wanted: String,
        /// The store.
        location: String,
    },
    /// More than one snapshot begins like this.
    #[error("`{wanted}` is ambiguous: {candidates}")]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The ids, joined by commas.
        candidates: String,
    },
    /// Somebody else committed a snapshot of the same id.
    #[error("the snapshot `{0}` is committed already")]
    Committed(String),
    /// A run's name that cannot be part of a path.
    #[error(
        "`{0}` is no name of a run: letters, digits, `.`, `_` and `-`, beginning with a letter or digit, 128 at most"
    )]
    RunName(String),
    /// No such run.
    #[error("no run `{wanted}` in `{location}`")]
    NoRun {
        /// What was asked for.
        wanted: String,
        /// The store.
        location: String,
    },
    /// A run of this name was begun with something else.
    #[error("the run `{run}` was begun with another {what}")]
    OtherRun {
        /// The run.
        run: String,
        /// What differs.
        what: &'static str,
    },
    /// Accounts of a run are not read yet.
    #[error("the run `{run}` is not finished: {}", missing_accounts(*.of, *.shards, missing))]
    Unfinished {
        /// The run.
        run: String,
        /// How many accounts it has.
        of: usize,
        /// How many workers share them.
        shards: u32,
        /// Those that are missing, sorted.
        missing: Vec<Missing>,
    },
    /// No account of a run could be read.
    #[error("no account of the run `{run}` could be read: {why}")]
    NothingRead {
        /// The run.
        run: String,
        /// Why, of the first.
        why: String,
    },
    /// A table cannot be written as Parquet, which is a bug.
    #[error("the table `{table}` cannot be written: {message}")]
    Encode {
        /// The table.
        table: String,
        /// Why.
        message: String,
    },
}

/// Which accounts are missing, shard by shard.
fn missing_accounts(of: usize, shards: u32, missing: &[Missing]) -> String {
    let mut by_shard: BTreeMap<u32, Vec<&Missing>> = BTreeMap::new();
    for account in missing {
        by_shard.entry(account.shard).or_default().push(account);
    }
    let parts = by_shard.iter().map(|(shard, accounts)| {
        let mut names: Vec<String> = accounts
            .iter()
            .take(NAMED)
            .map(|m| match &m.error {
                Some(error) => format!("{} ({error})", m.account_id),
                None => m.account_id.clone(),
            })
            .collect();
        if accounts.len() > NAMED {
            names.push(format!("{} more", accounts.len() - NAMED));
        }
        format!("shard {shard}/{shards}: {}", names.join(", "))
    });
    format!(
        "{} of {of} accounts are missing; {}",
        missing.len(),
        parts.collect::<Vec<_>>().join("; ")
    )
}

impl StoreError {
    pub(crate) fn storage(
        verb: &'static str,
        path: &object_store::path::Path,
        source: object_store::Error,
    ) -> Self {
        Self::Storage {
            verb,
            path: path.to_string(),
            source,
        }
    }
    pub(crate) fn damaged(path: impl std::fmt::Display, message: impl std::fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_string(),
            message: message.to_string(),
        }
    }
    /// Whether the store is full or the disk is.
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Storage {
                source: object_store::Error::NotFound { .. },
                ..
            }
        )
    }
}
