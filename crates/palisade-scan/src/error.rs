//! Why a scan cannot be done.
use palisade_catalog::Diagnostic;
use palisade_collect::PlanError;
use palisade_query::{CheckError, QueryError};

/// Why a scan cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The SQL of checks is wrong.
    #[error("{} in the selected checks", match .0.len() { 1 => "there is an error".to_owned(), n => format!("there are {n} errors") })]
    Checks(Vec<Diagnostic>),
    /// Checks failed while they were evaluated.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Evaluation(Vec<CheckError>),
    /// The calls cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Planning ended without an answer.
    #[error("planning the checks stopped without an answer")]
    PlanningStopped,
    /// `docs/reference/reads.json` is older than the checks.
    #[error(
        "what the shipped checks read was not collected: `docs/reference/reads.json` is stale, run `cargo xtask reference` and build again"
    )]
    StaleReads,
    /// A snapshot cannot be read.
    #[error(transparent)]
    Store(#[from] palisade_store::StoreError),
    /// Findings that are kept apart cannot be written or read.
    #[error("{0}")]
    Spool(std::io::Error),
    /// No snapshot has what a query reads.
    #[error(
        "the snapshot `{snapshot}` has no column `{column}` of `{table}`: it was not collected then"
    )]
    NotCollected {
        /// Its id.
        snapshot: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The query is wrong or failed.
    #[error(transparent)]
    Query(#[from] QueryError),
}
