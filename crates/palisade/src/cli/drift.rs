//! `palisade diff`, `palisade drift`, `palisade history`
use super::StoreAt;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 done; 3 something differs, with --fail; 2 usage; 1 anything else.\n\nWhat could not be read in one of the two snapshots is `not comparable`: neither changed nor the same, and no reason for exit code 3."
)]
pub struct Diff {
    /// The earlier snapshot: its id, what its id begins with, `latest`, `latest~1`; without it, the one before the latest
    pub before: Option<String>,
    /// The later snapshot; without it, the latest
    pub after: Option<String>,
    /// Compare the latest snapshot with the last one that is older than this: `7d`, `12h`, `2w`
    #[arg(long, value_name = "AGE", conflicts_with_all = ["before", "after"])]
    pub since: Option<String>,
    /// Only this table, or pattern (`s3_*`); may repeat
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub table: Vec<String>,
    /// Only this account; may repeat
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub account: Vec<String>,
    /// Only resources, no findings
    #[arg(long, conflicts_with = "findings")]
    pub resources: bool,
    /// Only findings, no resources
    #[arg(long)]
    pub findings: bool,
    /// `text`, `json` or `markdown`
    #[arg(long, short, default_value = "text")]
    pub format: DiffFormat,
    /// Do it on several machines: the scheduler of a cluster, `ballista://HOST:PORT`
    #[arg(long, value_name = "URL")]
    pub engine: Option<String>,
    /// Exit with 3 when something differs
    #[arg(long)]
    pub fail: bool,
    #[command(flatten)]
    pub at: StoreAt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For a terminal
    Text,
    /// One document
    Json,
    /// For a ticket or a pull request
    #[value(alias = "md")]
    Markdown,
}

#[derive(Debug, Subcommand)]
pub enum Drift {
    /// Declare a snapshot to be the desired state: from then on, scans report what differs from it
    Pin {
        /// The snapshot
        #[arg(default_value = "latest")]
        snapshot: String,
        #[command(flatten)]
        at: StoreAt,
    },
    /// Which snapshot is pinned, and how the latest differs from it
    Show {
        #[command(flatten)]
        at: StoreAt,
        /// `text`, `json` or `markdown`
        #[arg(long, short, default_value = "text")]
        format: DiffFormat,
        /// Do it on several machines: the scheduler of a cluster, `ballista://HOST:PORT`
        #[arg(long, value_name = "URL")]
        engine: Option<String>,
        /// Exit with 3 when something differs
        #[arg(long)]
        fail: bool,
    },
    /// Nothing is pinned any more
    Unpin {
        #[command(flatten)]
        at: StoreAt,
    },
}

#[derive(Debug, Args)]
pub struct History {
    /// Only findings of this check, or pattern (`s3-*`); may repeat
    #[arg(long, short, value_name = "ID", value_delimiter = ',')]
    pub check: Vec<String>,
    /// Only this account; may repeat
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub account: Vec<String>,
    /// This resource (ARN or id): its findings, and when it was seen and changed; may repeat
    #[arg(long, value_name = "ID")]
    pub resource: Vec<String>,
    /// Only what changed within this time: `7d`, `12h`, `2w`
    #[arg(long, value_name = "AGE")]
    pub since: Option<String>,
    /// `text`, `json` or `csv`
    #[arg(long, short, default_value = "text")]
    pub format: HistoryFormat,
    #[command(flatten)]
    pub at: StoreAt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// For a terminal
    Text,
    /// One document
    Json,
    /// One finding a row
    Csv,
}
