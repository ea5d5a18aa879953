//! The arguments of `palisade fix`.
use super::{ListFormat, NoiseArgs, OrganizationArgs, Selection, Target};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Fix {
    /// Scan, read the state of what fails, and write a plan: every call, before and after, and the call that takes it back
    Plan(Box<FixPlan>),
    /// Apply a plan: shows what would be sent, and sends it when it is approved
    Apply(Box<FixApply>),
    /// Take a run back to the values that were there, as far as nobody changed them since
    Undo(Box<FixUndo>),
    /// Retire a key in steps that are approved one by one: disable it, observe for some days that nobody wants it, schedule
    /// its deletion
    Retire(Box<FixRetire>),
    /// List the runs
    List {
        #[command(flatten)]
        runs: Runs,
    },
    /// Show a plan's file, or everything that happened in a run: who, what, when, before, after
    Show {
        /// The file of a plan, or a run's name (its beginning is enough)
        what: String,
        #[command(flatten)]
        runs: Runs,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What can be retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Retired {
    /// A KMS key: the last step schedules its deletion, which can be called off
    KmsKey,
    /// An access key of a user: the last step, deleting it, is told and not made
    AccessKey,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Writes the plan of the step that is due, or says why none is. Nothing is sent: `palisade fix apply` does, the last step only with `--retire`."
)]
pub struct FixRetire {
    /// What it is
    pub kind: Retired,
    /// The key: id or ARN of a KMS key; USER/ACCESS-KEY-ID of an access key
    pub key: String,
    /// Days without use, from 7 to 90, before the last step
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub days: u32,
    /// Days in which a deletion that is scheduled can be called off, from 7 to 30
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(7..=30))]
    pub waiting: u32,
    /// Where the plan is written
    #[arg(long, value_name = "FILE", default_value = "plan.json")]
    pub output: PathBuf,
    #[command(flatten)]
    pub runs: Runs,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub protect: Protect,
}

/// Where the journals lie.
#[derive(Debug, Args)]
pub struct Runs {
    /// Folder of the journals
    #[arg(
        long = "runs",
        value_name = "DIR",
        default_value = "palisade-runs",
        env = "PALISADE_RUNS",
        hide_env = true
    )]
    pub folder: PathBuf,
}

/// What is never changed.
#[derive(Debug, Args)]
pub struct Protect {
    /// Never change this ARN or id (`*` and `?` are understood); may repeat
    #[arg(
        long,
        value_name = "PATTERN",
        value_delimiter = ',',
        env = "PALISADE_PROTECT",
        hide_env = true,
        help_heading = "Guard rails"
    )]
    pub protect: Vec<String>,
    /// Never change resources with this tag, `Key` or `Key=Value`; may repeat
    #[arg(
        long,
        value_name = "TAG",
        value_delimiter = ',',
        env = "PALISADE_PROTECT_TAG",
        hide_env = true,
        help_heading = "Guard rails"
    )]
    pub protect_tag: Vec<String>,
}

#[derive(Debug, Args)]
pub struct FixPlan {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub organization: OrganizationArgs,
    #[command(flatten)]
    pub protect: Protect,
    /// A parameter of a check, over what the configuration file says; may repeat
    #[arg(long, value_name = "CHECK.NAME=VALUE", help_heading = "Which checks")]
    pub param: Vec<String>,
    #[command(flatten)]
    pub noise: NoiseArgs,
    /// Only resources of this ARN or id (`*` and `?` are understood); may repeat
    #[arg(long, value_name = "PATTERN", help_heading = "Which checks")]
    pub resource: Vec<String>,
    /// Leave riskier changes to a person: `none`, `brief-interruption`, `may-break-access`
    #[arg(
        long,
        value_name = "RISK",
        default_value = "may-break-access",
        help_heading = "Guard rails"
    )]
    pub max_risk: String,
    /// Hours in which the plan may be applied
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=720), help_heading = "Guard rails")]
    pub valid: u16,
    /// Where the plan goes
    #[arg(
        long,
        short,
        value_name = "PATH",
        default_value = "palisade-plan.json",
        help_heading = "Report"
    )]
    pub output: PathBuf,
    /// How the plan is shown on stdout
    #[arg(
        long,
        short,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Report"
    )]
    pub format: ListFormat,
}

/// How a plan's other accounts are entered.
#[derive(Debug, Args)]
pub struct OtherAccounts {
    /// Name of the role that changes in every other account of the plan; that of the credentials needs none
    #[arg(
        long,
        value_name = "NAME",
        env = "PALISADE_ACCOUNT_ROLE",
        hide_env = true,
        help_heading = "Account and regions"
    )]
    pub account_role: Option<String>,
}

#[derive(Debug, Args)]
pub struct FixApply {
    /// The plan; with --resume the run has it
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    pub plan: Option<PathBuf>,
    /// Seconds to wait at most until AWS describes a change; some take minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub settle: u32,
    /// Go on with a run that was broken off
    #[arg(long, value_name = "RUN")]
    pub resume: Option<String>,
    /// Apply the plan with exactly this hash, without asking
    #[arg(long, value_name = "HASH", help_heading = "Guard rails")]
    pub approve: Option<String>,
    /// Refuse plans that change more resources
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50,
        help_heading = "Guard rails"
    )]
    pub max_resources: usize,
    /// Refuse plans that change more resources in one account
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50,
        help_heading = "Guard rails"
    )]
    pub max_per_account: usize,
    /// Go on after an item that failed; the first that is sent must succeed all the same
    #[arg(long, help_heading = "Guard rails")]
    pub keep_going: bool,
    /// Change this production account; may repeat
    #[arg(
        long,
        value_name = "ACCOUNT",
        value_delimiter = ',',
        help_heading = "Guard rails"
    )]
    pub allow: Vec<String>,
    /// Account that only changes with --allow; may repeat
    #[arg(
        long,
        value_name = "ACCOUNT",
        value_delimiter = ',',
        env = "PALISADE_PRODUCTION",
        hide_env = true,
        help_heading = "Guard rails"
    )]
    pub production: Vec<String>,
    /// Apply items that cannot be taken back, too
    #[arg(long, help_heading = "Guard rails")]
    pub allow_irreversible: bool,
    /// Make the last step of retiring a key: schedule its deletion, which can be called off for some days only
    #[arg(long, help_heading = "Guard rails")]
    pub retire: bool,
    #[command(flatten)]
    pub protect: Protect,
    #[command(flatten)]
    pub others: OtherAccounts,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub runs: Runs,
}

#[derive(Debug, Args)]
pub struct FixUndo {
    /// The run's name, or its beginning
    pub run: String,
    /// Take back exactly what has this hash (it is shown without --approve), without asking
    #[arg(long, value_name = "HASH", help_heading = "Guard rails")]
    pub approve: Option<String>,
    /// Seconds to wait at most until AWS describes a change; some take minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub settle: u32,
    /// Only this item of the plan; may repeat
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    pub item: Vec<usize>,
    /// Change this production account; may repeat
    #[arg(
        long,
        value_name = "ACCOUNT",
        value_delimiter = ',',
        help_heading = "Guard rails"
    )]
    pub allow: Vec<String>,
    /// Account that only changes with --allow; may repeat
    #[arg(
        long,
        value_name = "ACCOUNT",
        value_delimiter = ',',
        env = "PALISADE_PRODUCTION",
        hide_env = true,
        help_heading = "Guard rails"
    )]
    pub production: Vec<String>,
    #[command(flatten)]
    pub protect: Protect,
    #[command(flatten)]
    pub others: OtherAccounts,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub runs: Runs,
}
