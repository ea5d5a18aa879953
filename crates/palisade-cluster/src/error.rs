//! What can go wrong between machines.
use palisade_query::{CheckError, QueryError};
use palisade_store::StoreError;

/// Why a cluster did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// Not an address of an engine.
    #[error("`{url}` is no engine: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answers there.
    #[error("no scheduler answers at {address}: {reason}; `palisade cluster scheduler` starts one")]
    Unreachable {
        /// `host:port`
        address: String,
        /// Why.
        reason: String,
    },
    /// Something else answers there.
    #[error("what answers at {address} is no Ballista scheduler")]
    NotAScheduler {
        /// `host:port`
        address: String,
    },
    /// There is nobody to do the work.
    #[error(
        "the scheduler at {address} has no executor; `palisade cluster executor --scheduler {address}` starts one"
    )]
    NoExecutor {
        /// `host:port`
        address: String,
    },
    /// A scheduler or an executor will not do it, and says why.
    #[error("{0}")]
    Refused(String),
    /// The work failed on the way.
    #[error("the cluster failed: {0}")]
    Failed(String),
    /// The answer is not whole, which is a bug.
    #[error("the cluster's answer is not whole: {0}")]
    Incomplete(String),
    /// A store that is a folder is not there: opening it would make it.
    #[error(
        "there is no folder `{0}`: give a store that every machine sees, such as `s3://BUCKET/PREFIX`"
    )]
    NoFolder(String),
    /// The snapshot has not what is asked for.
    #[error("the snapshot `{snapshot}` has no {what}; collect again to have it")]
    Lacking {
        /// Its id.
        snapshot: String,
        /// Tables and columns.
        what: String,
    },
    /// A check is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Checks(Vec<palisade_catalog::Diagnostic>),
    /// Checks that gave no verdicts.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Evaluation(Vec<CheckError>),
    /// What is asked for is wrong.
    #[error(transparent)]
    Scan(#[from] palisade_scan::ScanError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The SQL is wrong.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A scheduler or an executor could not be started, or stopped with an error.
    #[error("{what}: {reason}")]
    Server {
        /// What was tried.
        what: String,
        /// Why it failed.
        reason: String,
    },
}

/// Before what a scheduler or an executor refuses: errors come back as text, with other texts around.
const REFUSES: &str = "palisade refuses: ";
/// After it.
const END: &str = " (end of refusal)";

/// An error of DataFusion that says why something is refused.
pub(crate) fn refuse(why: impl std::fmt::Display) -> datafusion::common::DataFusionError {
    datafusion::common::DataFusionError::Execution(format!("{REFUSES}{why}{END}"))
}

/// An error of the cluster as ours: a refusal without what was put around it on its way.
pub(crate) fn cluster_error(error: &datafusion::common::DataFusionError) -> ClusterError {
    let text = error.to_string();
    match refusal(&text) {
        Some(why) => ClusterError::Refused(why),
        None => ClusterError::Failed(first_line(&text)),
    }
}

fn refusal(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(REFUSES)?;
    let why = rest.split_once(END).map_or(rest, |(why, _)| why);
    // what was printed as a debug text on its way has its signs escaped
    Some(
        why.replace("\\\"", "\"")
            .replace("\\n", "\n")
            .replace("\\'", "'"),
    )
}

fn first_line(text: &str) -> String {
    const MOST: usize = 600;
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::common::DataFusionError;

    #[test]
    fn refusals_come_back_as_they_were() {
        let inner = refuse("the executor runs \"1.0\"");
        let around =
            DataFusionError::Execution(format!("Job 1 failed: {:?}, more", inner.to_string()));
        let ClusterError::Refused(why) = cluster_error(&around) else {
            panic!("{around}");
        };
        assert_eq!(why, "the executor runs \"1.0\"");
        let other = DataFusionError::Execution("disk full\nstack".to_owned());
        assert!(
            matches!(cluster_error(&other), ClusterError::Failed(t) if t == "Execution error: disk full")
        );
    }
}
