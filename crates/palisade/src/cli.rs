//! The command line: names, flags and help texts. No behaviour.
use clap::{Args, Parser, Subcommand, ValueEnum};
use palisade_core::{Category, Severity};
use std::path::PathBuf;

mod cluster;
mod drift;
mod fix;
mod iam;
mod organization;
mod respond;
mod run;
mod watch;
pub use cluster::ClusterCommand;
pub use drift::{Diff, DiffFormat, Drift, History, HistoryFormat};
pub use fix::{Fix, FixApply, FixPlan, FixRetire, FixUndo, Protect, Retired};
pub use iam::{
    Accounts, Can, Decision, Escalation, Guardrails, Iam, Keys, LeastPrivilege, Lint, LintFormat,
    List, OutputFormat, PolicyDiff, PolicyKind, Unused, WhatCan, WhoCan,
};
pub use organization::OrganizationArgs;
pub use respond::{Respond, RespondRun};
pub use run::{ResumeArgs, RunArgs};
pub use watch::Watch;

/// Tells where AWS accounts are open, why it matters, and how to close the hole.
#[derive(Debug, Parser)]
#[command(
    name = "palisade",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done; 2 usage; 3 findings at or above --fail-on; 4 incomplete under --strict; 1 anything else."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// Folder with services, checks and frameworks that add to the shipped ones or replace them; may repeat
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        env = "PALISADE_CATALOG",
        value_delimiter = ','
    )]
    pub catalog: Vec<PathBuf>,
    /// Configuration file; default: `palisade.toml` in the working directory, when there is one
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "PALISADE_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// When to use colour
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: When,
    /// No progress and no notes on stderr, only errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Assess accounts: collect what the selected checks need, evaluate, report
    Scan(Box<ScanAccounts>),
    /// Read tables and keep them as a snapshot, without judging
    Collect(Box<Collect>),
    /// Judge a snapshot with the checks of now, offline
    Check(Box<CheckSnapshot>),
    /// Snapshots: list, show, verify, clear away
    #[command(subcommand)]
    Snapshots(Snapshots),
    /// What changed between two snapshots: resources column by column, findings
    Diff(Box<Diff>),
    /// The baseline: the snapshot that is the desired state
    #[command(subcommand)]
    Drift(Drift),
    /// Since when findings fail, how often they came back, how long fixing takes
    History(Box<History>),
    /// Send the findings of an earlier report to Security Hub, SNS, EventBridge, Slack, a webhook or Jira
    Send(Box<Send>),
    /// Say what keeps a scan from working: credentials, region, clock, endpoints, permissions, configuration
    Doctor(Box<Doctor>),
    /// Accept what fails today, so that only new findings count: writes a file for `scan --baseline`
    Baseline(Box<BaselineArgs>),
    /// Mutes: findings that somebody accepted, with a reason and a last day
    #[command(subcommand)]
    Mutes(MutesCommand),
    /// The checks: list, show, test
    #[command(subcommand)]
    Checks(Checks),
    /// Why a check matters, how to fix what it finds, and what it reads (the same as `checks show`)
    Explain(CheckIds),
    /// The frameworks that checks are mapped to
    #[command(subcommand)]
    Frameworks(Frameworks),
    /// The tables and their columns, with the calls that fill them
    Tables(Tables),
    /// Run SQL over the tables; only the calls that it needs are made
    Query(Query),
    /// The least-privilege policy for a selection of checks
    Permissions(Permissions),
    /// What exists where
    Inventory(Inventory),
    /// IAM: exact answers about policies and principals
    #[command(subcommand)]
    Iam(Iam),
    /// Watch accounts: read again what an event touched, judge it again, and tell what changed within seconds
    Watch(Box<Watch>),
    /// Repair what checks find: a plan of exact calls, applied by compare-and-set, taken back by its journal
    #[command(subcommand)]
    Fix(Fix),
    /// Respond to an incident: evidence first, then a plan that is approved, journalled and taken back as every repair
    #[command(subcommand)]
    Respond(Respond),
    /// The configuration: check it, show what is in effect and why, take over another scanner's
    #[command(subcommand)]
    Config(Config),
    /// What has to be looked at again: reviews by their cadence, attestations by their date
    Review(Review),
    /// Write the reference: a page in Markdown for every check, table and framework, and the schema of palisade.toml
    Reference(Reference),
    /// Evaluate and query on several machines: the scheduler and the executors that do it
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Write man pages, one for each command
    Man {
        /// The folder
        #[arg(long, short, value_name = "DIR")]
        output: PathBuf,
    },
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which checks.
#[derive(Debug, Args, Default)]
pub struct Selection {
    /// Check id or pattern (`s3-*`), or another tool's id: `prowler:ID`, `security_hub:S3.14`, `config:RULE`; may repeat
    #[arg(
        long = "check",
        short = 'c',
        value_name = "ID",
        env = "PALISADE_CHECK",
        hide_env = true,
        value_delimiter = ',',
        help_heading = "Which checks"
    )]
    pub check: Vec<String>,
    /// All checks of a service; may repeat
    #[arg(
        long,
        short,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Which checks",
        env = "PALISADE_SERVICE",
        hide_env = true
    )]
    pub service: Vec<String>,
    /// All checks of a framework, for example `cis-aws-5.0`; may repeat
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Which checks",
        env = "PALISADE_FRAMEWORK",
        hide_env = true
    )]
    pub framework: Vec<String>,
    /// All checks of a category; may repeat
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Which checks",
        env = "PALISADE_CATEGORY",
        hide_env = true
    )]
    pub category: Vec<Category>,
    /// Only checks of this severity or worse
    #[arg(
        long,
        value_name = "SEVERITY",
        help_heading = "Which checks",
        env = "PALISADE_SEVERITY",
        hide_env = true
    )]
    pub severity: Option<Severity>,
    /// Leave out a check id or pattern; may repeat
    #[arg(
        long,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "Which checks",
        env = "PALISADE_EXCLUDE",
        hide_env = true
    )]
    pub exclude: Vec<String>,
}

/// Which account and regions, and how to get there.
#[derive(Debug, Clone, PartialEq, Eq, Args, Default)]
#[command(group = clap::ArgGroup::new("assumed").multiple(true))]
pub struct Target {
    /// Profile of ~/.aws/config and ~/.aws/credentials
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Account and regions",
        env = "PALISADE_PROFILE",
        hide_env = true
    )]
    pub profile: Option<String>,
    /// Regions, or `all` for every region that is enabled in the account; default: the configured region
    #[arg(
        long,
        short,
        value_name = "REGION",
        value_delimiter = ',',
        help_heading = "Account and regions",
        env = "PALISADE_REGION",
        hide_env = true
    )]
    pub region: Vec<String>,
    /// Role to assume
    #[arg(
        long,
        value_name = "ARN",
        group = "assumed",
        help_heading = "Account and regions",
        env = "PALISADE_ROLE_ARN",
        hide_env = true
    )]
    pub role_arn: Option<String>,
    /// External id for the roles that are assumed
    #[arg(
        long,
        value_name = "ID",
        requires = "assumed",
        help_heading = "Account and regions",
        env = "PALISADE_EXTERNAL_ID",
        hide_env = true
    )]
    pub external_id: Option<String>,
    /// Session name for the roles that are assumed
    #[arg(
        long,
        value_name = "NAME",
        requires = "assumed",
        help_heading = "Account and regions",
        env = "PALISADE_SESSION_NAME",
        hide_env = true
    )]
    pub session_name: Option<String>,
    /// How long the credentials of an assumed role last, in seconds; default: an hour. They are renewed as needed
    #[arg(long, value_name = "SECONDS", requires = "assumed", value_parser = clap::value_parser!(u32).range(900..=43200), help_heading = "Account and regions", env = "PALISADE_SESSION_DURATION", hide_env = true)]
    pub session_duration: Option<u32>,
    /// Send every call to this endpoint (as AWS_ENDPOINT_URL)
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Account and regions",
        env = "PALISADE_ENDPOINT_URL",
        hide_env = true
    )]
    pub endpoint_url: Option<String>,
    /// The demo account: a recorded, fictional account behind a loopback endpoint inside this process; no credentials needed
    #[arg(long, help_heading = "Account and regions", conflicts_with_all = ["profile", "role_arn", "endpoint_url"])]
    pub demo: bool,
    /// A recording made with --record, replayed as --demo is: at its time, offline, without credentials
    #[arg(long, value_name = "FILE", help_heading = "Account and regions", conflicts_with_all = ["profile", "role_arn", "endpoint_url", "demo"])]
    pub replay: Option<PathBuf>,
    /// Calls in flight at once, over all services and regions
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Account and regions", env = "PALISADE_MAX_IN_FLIGHT", hide_env = true)]
    pub max_in_flight: u16,
    /// Write every request and answer to a recording that can be replayed (credentials are left out)
    #[arg(long, value_name = "FILE", help_heading = "Account and regions")]
    pub record: Option<PathBuf>,
}

impl Target {
    /// What is asked is a recording: nothing of the machine's AWS configuration counts.
    pub fn is_recorded(&self) -> bool {
        self.demo || self.replay.is_some()
    }
}

/// Where snapshots are.
#[derive(Debug, Args, Default, Clone)]
pub struct StoreArgs {
    /// Where snapshots are kept: a folder, or `s3://BUCKET/PREFIX`; default: `palisade` in the user's data folder
    #[arg(
        long,
        value_name = "LOCATION",
        help_heading = "Snapshots",
        env = "PALISADE_STORE",
        hide_env = true
    )]
    pub store: Option<String>,
}

#[derive(Debug, Args)]
pub struct Collect {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub organization: OrganizationArgs,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Read every column of these tables, or `all`, instead of what the checks need; may repeat
    #[arg(
        long,
        value_name = "TABLE",
        value_delimiter = ',',
        help_heading = "Snapshots"
    )]
    pub table: Vec<String>,
    /// Exit with 4 when something that was planned could not be read
    #[arg(long, help_heading = "Exit code")]
    pub strict: bool,
}

#[derive(Debug, Args)]
pub struct CheckSnapshot {
    /// The snapshot: its id, what its id begins with, `latest`, or `latest~1` for the one before
    #[arg(
        long,
        value_name = "ID",
        default_value = "latest",
        help_heading = "Snapshots"
    )]
    pub snapshot: String,
    /// Do it on several machines: the scheduler of a cluster, `ballista://HOST:PORT`
    #[arg(long, value_name = "URL", help_heading = "Snapshots")]
    pub engine: Option<String>,
    /// Memory for the rows that are judged at once, in MiB, about: less takes more time, and finds the same
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..), help_heading = "Snapshots")]
    pub memory: u32,
    #[command(flatten)]
    pub scan: Scan,
}

#[derive(Debug, Subcommand)]
pub enum Snapshots {
    /// List the snapshots, oldest first
    List {
        #[command(flatten)]
        at: StoreAt,
        /// `text` or `json`
        #[arg(long, short, default_value = "text")]
        format: ListFormat,
    },
    /// What a snapshot holds: accounts, tables, and what could not be read
    Show {
        /// The snapshot
        #[arg(default_value = "latest")]
        snapshot: String,
        #[command(flatten)]
        at: StoreAt,
        /// `text` or `json`
        #[arg(long, short, default_value = "text")]
        format: ListFormat,
    },
    /// Compare every object of snapshots with its checksum; ends with 1 when one is damaged
    Verify {
        /// The snapshots; without one, all
        snapshots: Vec<String>,
        #[command(flatten)]
        at: StoreAt,
    },
    /// Delete snapshots
    Remove {
        /// The snapshots
        #[arg(required = true)]
        snapshots: Vec<String>,
        #[command(flatten)]
        at: StoreAt,
    },
    /// Delete the snapshots that no rule keeps, and what interrupted runs have left; without --yes only say what would go
    Prune {
        /// Keep so many of the latest
        #[arg(long, value_name = "N")]
        keep_last: Option<usize>,
        /// Keep the latest of each of so many days
        #[arg(long, value_name = "N")]
        keep_daily: Option<usize>,
        /// Keep those younger than so many days
        #[arg(long, value_name = "DAYS")]
        keep_days: Option<u32>,
        /// Delete
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        at: StoreAt,
    },
    /// Commit a run that several workers share (`palisade collect --run NAME --shard I/N`); the last worker does so by itself
    Commit {
        /// The run's name, or its snapshot's id
        run: String,
        /// Also when accounts are missing: they are in the snapshot as not read
        #[arg(long)]
        incomplete: bool,
        #[command(flatten)]
        at: StoreAt,
    },
    /// Join the small files of snapshots, table by table and region by region
    Compact {
        /// The snapshots; without one, all
        snapshots: Vec<String>,
        #[command(flatten)]
        at: StoreAt,
    },
}

/// A store, and who may read it.
#[derive(Debug, Args)]
pub struct StoreAt {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct ScanAccounts {
    #[command(flatten)]
    pub scan: Scan,
    #[command(flatten)]
    pub resume: ResumeArgs,
}

#[derive(Debug, Args)]
pub struct Scan {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Keep no snapshot of what was read
    #[arg(long, help_heading = "Snapshots")]
    pub no_snapshot: bool,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub organization: OrganizationArgs,
    /// Report format
    #[arg(
        long,
        short,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Report"
    )]
    pub format: Format,
    /// Where the report goes, instead of stdout: PATH in the format of --format, or FORMAT=PATH; `-` is stdout,
    /// `s3://BUCKET/KEY` an object. May repeat, for several reports at once; each file is written whole or not at all
    #[arg(long, short, value_name = "[FORMAT=]PATH", help_heading = "Report")]
    pub output: Vec<String>,
    /// Send the findings to a destination after the scan: the NAME of `[send.NAME]` in the configuration file, or
    /// `securityhub`; may repeat
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Report",
        env = "PALISADE_SEND",
        hide_env = true
    )]
    pub send: Vec<String>,
    /// Send nothing: print the requests that --send would make on stdout, one JSON object a line. The report is written
    /// only to the files that --output names
    #[arg(long, help_heading = "Report")]
    pub dry_run: bool,
    /// List every failed resource in the text report
    #[arg(long, help_heading = "Report")]
    pub all: bool,
    /// Attach the deciding values to all findings, not only to failed ones
    #[arg(long, help_heading = "Report")]
    pub evidence: bool,
    /// A parameter of a check, over what the configuration file says; may repeat
    #[arg(long, value_name = "CHECK.NAME=VALUE", help_heading = "Which checks")]
    pub param: Vec<String>,
    /// File with attestations; default: `attestations.toml` in the working directory, when there is one
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Which checks",
        env = "PALISADE_ATTESTATIONS",
        hide_env = true
    )]
    pub attestations: Option<PathBuf>,
    #[command(flatten)]
    pub noise: NoiseArgs,
    /// Exit with 3 when there is a failed finding of this severity or worse
    #[arg(
        long,
        value_name = "SEVERITY",
        help_heading = "Exit code",
        env = "PALISADE_FAIL_ON",
        hide_env = true
    )]
    pub fail_on: Option<Severity>,
    /// Exit with 4 when something that was planned could not be read
    #[arg(
        long,
        help_heading = "Exit code",
        env = "PALISADE_STRICT",
        hide_env = true
    )]
    pub strict: bool,
    /// Also read every column of every table (with --record: a recording that answers every query)
    #[arg(long, hide = true)]
    pub all_tables: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 nothing is broken (warnings may be); 1 something is; 2 usage."
)]
pub struct Doctor {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub target: Target,
    /// `text` or `json`
    #[arg(long, short, default_value = "text")]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct Send {
    /// Report of `scan --format json`
    pub file: PathBuf,
    /// Where to: the NAME of `[send.NAME]` in the configuration file, or `securityhub`; may repeat
    #[arg(long, value_name = "NAME", value_delimiter = ',', required = true)]
    pub to: Vec<String>,
    /// Change nothing; print the requests that would be made, one JSON object a line
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub target: Target,
}

/// What does not count.
#[derive(Debug, Args, Default)]
pub struct NoiseArgs {
    /// Mutes file (TOML): findings that somebody accepted stay in the report, marked, and do not count
    #[arg(long, value_name = "FILE", help_heading = "What does not count")]
    pub mutes: Option<PathBuf>,
    /// Baseline of `palisade baseline`: what failed then does not count
    #[arg(long, value_name = "FILE", help_heading = "What does not count")]
    pub baseline: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct BaselineArgs {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub target: Target,
    /// Mutes file: what is muted is not in the baseline
    #[arg(long, value_name = "FILE")]
    pub mutes: Option<PathBuf>,
    /// A parameter of a check, over what the configuration file says; may repeat
    #[arg(long, value_name = "CHECK.NAME=VALUE")]
    pub param: Vec<String>,
    /// Take it of a report of `scan --format json` instead of scanning
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Where the baseline goes
    #[arg(
        long,
        short,
        value_name = "PATH",
        default_value = "palisade-baseline.json"
    )]
    pub output: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum MutesCommand {
    /// Print a mutes file made of Prowler's mutelist (YAML); ends with 1 when something had to be left out
    Import {
        /// The mutelist
        file: PathBuf,
        /// Who answers for the entries: the mutelist does not say
        #[arg(long, value_name = "NAME")]
        owner: String,
        /// Their last day, such as 2026-12-31: the mutelist has none
        #[arg(long, value_name = "DAY")]
        expires: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    Text,
    /// The whole assessment as one document
    Json,
    /// One finding a line
    Jsonl,
    /// One finding a row
    Csv,
    /// One row for every requirement and finding
    ComplianceCsv,
    /// One self-contained page
    Html,
    /// A summary for a pull request or ticket
    #[value(alias = "md")]
    Markdown,
    /// OCSF Compliance Finding
    Ocsf,
    /// AWS Security Finding Format
    Asff,
    /// SARIF 2.1.0
    Sarif,
    /// JUnit XML
    Junit,
    /// Metrics in Prometheus' text format
    Prometheus,
}

#[derive(Debug, Subcommand)]
pub enum Checks {
    /// List checks
    List {
        #[command(flatten)]
        selection: Selection,
        /// `text` or `json`
        #[arg(long, short, default_value = "text")]
        format: ListFormat,
    },
    /// Show one or more checks
    Show(CheckIds),
    /// Run checks against the fixtures in their own pages
    Test {
        #[command(flatten)]
        selection: Selection,
    },
}

#[derive(Debug, Args)]
pub struct CheckIds {
    /// Check ids, patterns, or other tools' ids (`prowler:ID`)
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Frameworks {
    /// List frameworks
    List,
    /// Show the requirements of a framework and the checks that serve them
    Show {
        /// For example `cis-aws-5.0`
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Tables {
    /// Show the columns of these tables; without a name, list all tables
    #[arg(value_name = "TABLE")]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Query {
    /// The SELECT
    pub sql: String,
    /// Ask a snapshot instead of AWS: its id, `latest`, `latest~1`, or `all` (the column `snapshot` tells them apart; the
    /// tables `finding` and `snapshot` are there, too)
    #[arg(long, value_name = "ID", help_heading = "Snapshots")]
    pub snapshot: Option<String>,
    /// Do it on several machines: the scheduler of a cluster, `ballista://HOST:PORT`
    #[arg(
        long,
        value_name = "URL",
        requires = "snapshot",
        help_heading = "Snapshots"
    )]
    pub engine: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Memory for a query over snapshots, in MiB; what does not fit goes to temporary files
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..), help_heading = "Snapshots")]
    pub memory: u32,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub organization: OrganizationArgs,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: QueryFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueryFormat {
    /// Aligned columns
    Table,
    /// One JSON object a row
    Jsonl,
    /// Comma-separated
    Csv,
}

#[derive(Debug, Args)]
pub struct Permissions {
    #[command(flatten)]
    pub selection: Selection,
    /// As an IAM policy, as policies that fit into managed ones, as a CloudFormation template with a role that has
    /// them, or as one with a stack set of such roles for an organisation
    #[arg(long, short, default_value = "json")]
    pub format: PolicyFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyFormat {
    /// One policy
    Json,
    /// A list of policies, each small enough for a managed policy
    Policies,
    /// A template with a role
    Cloudformation,
    /// A template with a stack set, for the management account
    Stackset,
}

#[derive(Debug, Args)]
pub struct Inventory {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub organization: OrganizationArgs,
    /// Only tables of these services; may repeat
    #[arg(long, short, value_name = "NAME", value_delimiter = ',')]
    pub service: Vec<String>,
    /// Every resource, instead of counts
    #[arg(long)]
    pub list: bool,
    /// Count by `account`, `region`, `service`, `type` or `tag:KEY`; may repeat. Default: by service, type, account and region
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub by: Vec<palisade_scan::inventory::By>,
    /// Only resources without any tag, or, with --required-tag, without one of these
    #[arg(long)]
    pub untagged: bool,
    /// A tag that every resource should have; may repeat
    #[arg(long, value_name = "KEY", requires = "untagged")]
    pub required_tag: Vec<String>,
    /// Only resources that no CloudFormation stack made, by the tag that it gives to what it makes
    #[arg(long)]
    pub unmanaged: bool,
    /// Count what a snapshot has instead of asking AWS: its id, `latest`, or `latest~1` for the one before
    #[arg(
        long,
        value_name = "ID",
        conflicts_with = "new_since",
        help_heading = "Snapshots"
    )]
    pub snapshot: Option<String>,
    /// Only resources that are not in a snapshot: its id, `latest`, or an age (`7d`: the last snapshot that is a week old)
    #[arg(long, value_name = "SNAPSHOT", help_heading = "Snapshots")]
    pub new_since: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: QueryFormat,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Say everything that is wrong with a configuration file, with its place
    Check {
        /// Default: the file that a scan would use
        file: Option<PathBuf>,
    },
    /// The values that a scan with the same flags would have, each with where it comes from
    Show {
        #[command(flatten)]
        scan: Box<Scan>,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Also the parameters that have their defaults
        #[arg(long)]
        params: bool,
    },
    /// The JSON schema of the file
    Schema,
    /// Turn the thresholds of Prowler's configuration (YAML) into `palisade.toml`; what has no equivalent is told on stderr
    Import {
        /// The file; `-` is stdin
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Review {
    /// File with attestations and reviews; default: the configured one, else `attestations.toml` in the working directory
    #[arg(
        long,
        value_name = "FILE",
        env = "PALISADE_ATTESTATIONS",
        hide_env = true
    )]
    pub attestations: Option<PathBuf>,
    /// As of this day, for example `2026-01-31`; default: today
    #[arg(long, value_name = "DATE")]
    pub as_of: Option<palisade_core::Date>,
    /// What is due within so many days is due soon
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=3650))]
    pub within: u32,
    /// Exit with 3 when something is overdue
    #[arg(long)]
    pub fail: bool,
    /// `text` or `json`
    #[arg(long, short, default_value = "text")]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct Reference {
    /// The folder; pages that nothing makes any more are removed from it
    pub folder: PathBuf,
    /// Write nothing; list the pages that would change, and exit with 1 when there are any
    #[arg(long)]
    pub check: bool,
}
