//! Everything that can end a command, rendered once.
use palisade_catalog::Diagnostic;
use palisade_scan::{ScanError, SelectionError};
use palisade_store::StoreError;
use std::path::PathBuf;

/// Why a command could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line asks for something that does not exist.
    #[error("{message}")]
    Usage {
        message: String,
        hint: Option<String>,
    },
    /// Files of the catalogue are wrong.
    #[error("the catalogue has errors")]
    Catalog { diagnostics: Vec<Diagnostic> },
    /// A file that the user wrote is wrong: configuration, attestations.
    #[error(transparent)]
    Config(#[from] palisade_config::ConfigError),
    /// No connection to AWS as somebody.
    #[error("{message}")]
    Connect {
        message: String,
        hint: Option<String>,
    },
    /// Anything of the pipeline itself.
    #[error("{0}")]
    Scan(#[from] ScanError),
    /// A file or stdout could not be written.
    #[error("cannot write {what}: {source}")]
    Output {
        what: String,
        source: std::io::Error,
    },
    /// An object could not be put into Amazon S3.
    #[error("cannot write `{place}`: {message}")]
    Upload { place: String, message: String },
    /// A file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Input {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{}`: {message}", path.display())]
    Content { path: PathBuf, message: String },
    /// An event could not be worked on.
    #[error(transparent)]
    Watch(palisade_watch::WatchError),
    /// Snapshots.
    #[error(transparent)]
    Store(#[from] palisade_store::StoreError),
    /// Planning, applying or taking back.
    #[error(transparent)]
    Fix(#[from] palisade_fix::FixError),
    /// A cluster that could not be used.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Cluster(palisade_cluster::ClusterError),
    /// The demo or a recording.
    #[error("cannot replay: {0}")]
    Replay(#[from] palisade_replay::ReplayError),
}

impl Failure {
    /// Whether the reader of stdout has gone (`palisade … | head`): nobody is left to be told.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage { .. }
            | Self::Config(_)
            | Self::Store(
                StoreError::NoSnapshot { .. }
                | StoreError::Ambiguous { .. }
                | StoreError::Location { .. }
                | StoreError::RunName(_)
                | StoreError::NoRun { .. }
                | StoreError::OtherRun { .. },
            )
            | Self::Scan(ScanError::NotCollected { .. })
            | Self::Scan(ScanError::Query(palisade_query::QueryError::Sql(_))) => 2,
            #[cfg(feature = "cluster")]
            Self::Cluster(palisade_cluster::ClusterError::Url { .. }) => 2,
            _ => 1,
        }
    }
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::Connect { hint, .. } => hint.clone(),
            Self::Store(StoreError::NoSnapshot { .. }) => Some(
                "`palisade snapshots list` prints them; `palisade scan` and `palisade collect` make one"
                    .to_owned(),
            ),
            Self::Store(StoreError::NoRun { .. }) => Some(
                "`palisade snapshots list` prints those that are not finished".to_owned(),
            ),
            Self::Store(StoreError::OtherRun { .. }) => Some(
                "give the flags that it was begun with, or begin another one with another `--run NAME`"
                    .to_owned(),
            ),
            Self::Store(StoreError::Unfinished { .. }) => Some(
                "run the missing shards again; `palisade snapshots commit --incomplete` commits without those accounts, as not read"
                    .to_owned(),
            ),
            Self::Store(StoreError::NothingRead { .. }) => Some(
                "docs/organizations.md says which role each account needs, and --organization-role names it"
                    .to_owned(),
            ),
            Self::Store(StoreError::Damaged { .. }) => Some(
                "`palisade snapshots verify` finds all that is damaged; other snapshots stay usable"
                    .to_owned(),
            ),
            Self::Scan(ScanError::NotCollected { .. }) => Some(
                "`palisade collect --table TABLE` reads every column of a table".to_owned(),
            ),
            Self::Fix(palisade_fix::FixError::OtherAccount { .. }) => Some(
                "`--account-role NAME` says which role changes in the other accounts of a plan"
                    .to_owned(),
            ),
            Self::Catalog { .. } => {
                Some("palisade lists every broken file above; nothing was scanned".to_owned())
            }
            _ => None,
        }
    }
    /// Wraps a failure to write to stdout.
    pub fn stdout(source: std::io::Error) -> Self {
        Self::Output {
            what: "to stdout".to_owned(),
            source,
        }
    }
}

#[cfg(feature = "cluster")]
impl From<palisade_cluster::ClusterError> for Failure {
    /// What goes wrong without a cluster, too, is told as it is told without one.
    fn from(error: palisade_cluster::ClusterError) -> Self {
        use palisade_cluster::ClusterError as E;
        match error {
            E::Scan(error) => Self::Scan(error),
            E::Store(error) => Self::Store(error),
            E::Query(error) => Self::Scan(ScanError::Query(error)),
            other => Self::Cluster(other),
        }
    }
}

impl From<SelectionError> for Failure {
    fn from(error: SelectionError) -> Self {
        let list = match error.what {
            "check" => "`palisade checks list` prints all checks",
            "framework" => "`palisade frameworks list` prints all frameworks",
            _ => "`palisade tables` prints all services and their tables",
        };
        let hint = match error.suggestions.as_slice() {
            [] => list.to_owned(),
            some => format!(
                "did you mean {}? {list}",
                some.iter()
                    .map(|s| format!("`{s}`"))
                    .collect::<Vec<_>>()
                    .join(" or ")
            ),
        };
        Self::Usage {
            message: error.to_string(),
            hint: Some(hint),
        }
    }
}
