//! The arguments of `palisade iam`.
use super::{StoreArgs, Target};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Iam {
    /// Whether a principal may do an action on a resource
    Can(Box<Can>),
    /// The same, layer by layer: which statement of which policy decides, and what blocks
    Explain(Box<Can>),
    /// The users and roles that may do an action on a resource
    WhoCan(Box<WhoCan>),
    /// The actions that a principal may do, each with a resource as an example
    WhatCan(Box<WhatCan>),
    /// The administrators, within boundaries and guardrails
    Admins(Box<List>),
    /// What can be reached from outside: by everyone, by other accounts, by the organisation, by identity providers
    External(Box<List>),
    /// Users, keys and roles that were not used for a time; with --last-accessed, services that a principal does not use
    Unused(Box<Unused>),
    /// Whether policy B allows anything that policy A does not, with a request that shows it
    Diff(PolicyDiff),
    /// The shortest ways to more permissions, and the smallest change that breaks each
    Escalation(Box<Escalation>),
    /// Lint policies: grammar, unknown actions and keys, wildcards, missing conditions
    Lint(Box<Lint>),
    /// The smallest policy for what CloudTrail or last-accessed data show was used
    LeastPrivilege(LeastPrivilege),
    /// The service and resource control policies of each account, as a file for --from and --with; asked of the
    /// organisation's management account
    Guardrails(Box<Guardrails>),
    /// Answer conformance cases: JSON Lines on stdin, one answer a line on stdout
    Conform,
}

/// Where users, roles and policies come from.
#[derive(Debug, Args, Default)]
pub struct Accounts {
    /// Read `get-account-authorization-details` JSON instead of asking AWS; also a file with guardrails and resource
    /// policies (docs/iam.md); may repeat
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        conflicts_with_all = ["profile", "role_arn", "endpoint_url", "demo", "record"],
        help_heading = "Accounts from files"
    )]
    pub from: Vec<PathBuf>,
    /// Take what the files do not say for non-existent: no other guardrail and no other resource policy
    #[arg(long, requires = "from", help_heading = "Accounts from files")]
    pub assume_complete: bool,
    /// Files with guardrails and resource policies that count instead of what AWS says, for example what
    /// `palisade iam guardrails` wrote in the management account; may repeat
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "from",
        help_heading = "Accounts from files"
    )]
    pub with: Vec<PathBuf>,
    /// Ask a snapshot instead of AWS: its id, `latest` or `latest~1`, as the accounts were then. What it was not collected
    /// for is not known
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["from", "demo", "replay", "record"],
        help_heading = "Snapshots"
    )]
    pub snapshot: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For a terminal
    Text,
    /// One document
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Decision {
    Allow,
    Deny,
}

/// What is known of a request.
#[derive(Debug, Args)]
pub struct Keys {
    /// A context key of the request, as KEY=VALUE; may repeat, also for more values of one key
    #[arg(long, value_name = "KEY=VALUE")]
    pub context: Vec<String>,
    /// The request has no other context keys; without this, conditions on other keys make the answer `depends on`
    #[arg(long)]
    pub only_context: bool,
}

#[derive(Debug, Args)]
pub struct Can {
    /// ARN, or the name of a user or role, or a service, or `*` for everyone
    pub principal: String,
    /// For example `s3:GetObject`
    pub action: String,
    /// ARN, or `*` for actions without a resource
    pub resource: String,
    #[command(flatten)]
    pub keys: Keys,
    /// A policy that was passed when the role's session was made; may repeat
    #[arg(long, value_name = "FILE")]
    pub session_policy: Vec<PathBuf>,
    /// The policy of the VPC endpoint that the request comes through
    #[arg(long, value_name = "FILE")]
    pub endpoint_policy: Option<PathBuf>,
    /// Exit with 3 when the answer is another
    #[arg(long, value_name = "DECISION")]
    pub expect: Option<Decision>,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
    #[command(flatten)]
    pub accounts: Accounts,
}

#[derive(Debug, Args)]
pub struct WhoCan {
    /// For example `s3:GetObject`
    pub action: String,
    /// ARN, or `*` for actions without a resource
    pub resource: String,
    #[command(flatten)]
    pub keys: Keys,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
    #[command(flatten)]
    pub accounts: Accounts,
}

#[derive(Debug, Args)]
pub struct WhatCan {
    /// ARN, or the name of a user or role
    pub principal: String,
    /// Every action instead of counts by service
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub keys: Keys,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
    #[command(flatten)]
    pub accounts: Accounts,
}

#[derive(Debug, Args)]
pub struct List {
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
    #[command(flatten)]
    pub accounts: Accounts,
}

#[derive(Debug, Args)]
pub struct Guardrails {
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct Unused {
    /// ARN, or the name of a user or role; needed with --last-accessed
    pub principal: Option<String>,
    /// Not used for so many days
    #[arg(long, value_name = "N", default_value_t = 90)]
    pub days: u32,
    /// JSON of `get-service-last-accessed-details` for the principal
    #[arg(long, value_name = "FILE", requires = "principal")]
    pub last_accessed: Option<PathBuf>,
    /// The credential report as CSV, with --from
    #[arg(long, value_name = "FILE", requires = "from")]
    pub credential_report: Option<PathBuf>,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
    #[command(flatten)]
    pub accounts: Accounts,
}

#[derive(Debug, Args)]
pub struct PolicyDiff {
    /// The policy before
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// The policy after
    #[arg(value_name = "B")]
    pub after: PathBuf,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
}

#[derive(Debug, Args)]
pub struct Escalation {
    /// ARN, or the name of a user or role; without it, everyone who is not an administrator
    pub principal: Option<String>,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
    #[command(flatten)]
    pub accounts: Accounts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// For a terminal
    Text,
    /// One document
    Json,
    /// SARIF 2.1.0
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyKind {
    /// Attached to a user, group or role
    Identity,
    /// Of a bucket, queue, key …
    Resource,
    /// Of a role
    Trust,
    /// Service control policy
    Scp,
    /// Resource control policy
    Rcp,
}

#[derive(Debug, Args)]
pub struct Lint {
    /// Policy files
    #[arg(value_name = "FILE", required_unless_present_any = ["account", "rules"], conflicts_with = "account")]
    pub files: Vec<PathBuf>,
    /// Every policy of the account (or of --from)
    #[arg(long)]
    pub account: bool,
    /// List the rules
    #[arg(long, conflicts_with_all = ["account", "files"])]
    pub rules: bool,
    /// What kind of policy the files are; without it, statements with a principal make a resource policy
    #[arg(long, value_name = "KIND")]
    pub kind: Option<PolicyKind>,
    /// Account that owns the policy, for what is external
    #[arg(long, value_name = "ACCOUNT")]
    pub owner: Option<String>,
    /// Exit with 3 when there is a finding of this weight or worse: `note`, `warning`, `error`
    #[arg(long, value_name = "WEIGHT", value_parser = ["note", "warning", "error"])]
    pub fail_on: Option<String>,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: LintFormat,
    #[command(flatten)]
    pub accounts: Accounts,
}

#[derive(Debug, Args)]
pub struct LeastPrivilege {
    /// CloudTrail log files (JSON, also gzip) and folders of them, or JSON of `get-service-last-accessed-details`
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// ARN of the user or role whose events count; sessions count for their role
    #[arg(long, value_name = "ARN")]
    pub principal: Option<String>,
    /// Compare with the policy that it has: what shrinks, and what would be missing
    #[arg(long, value_name = "FILE")]
    pub current: Option<PathBuf>,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
}
