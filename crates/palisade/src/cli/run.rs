//! The arguments of runs that several workers share, or that go on after they were interrupted.
use clap::Args;

/// How the accounts are shared, and with which run this one goes on.
#[derive(Debug, Clone, Args, Default)]
pub struct RunArgs {
    /// Read only one share of the accounts: `2/3` is the second of three. `auto` takes it from a Kubernetes indexed Job
    /// (JOB_COMPLETION_INDEX, of PALISADE_SHARDS) or an AWS Batch array job. Needs --run
    #[arg(
        long,
        value_name = "I/N",
        conflicts_with = "resume",
        help_heading = "Runs",
        env = "PALISADE_SHARD",
        hide_env = true
    )]
    pub shard: Option<String>,
    /// Name of the run: all workers that give the same name write one snapshot, which the last of them commits. In AWS
    /// Batch, `--shard auto` takes the array job's id
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "resume",
        help_heading = "Runs",
        env = "PALISADE_RUN",
        hide_env = true
    )]
    pub run: Option<String>,
    #[command(flatten)]
    pub resume: ResumeArgs,
}

/// Going on.
#[derive(Debug, Clone, Args, Default)]
pub struct ResumeArgs {
    /// Go on with a run that was interrupted: its snapshot's id (`palisade snapshots list`), or `last`. Accounts that were
    /// read are not read again, and of others only what was not answered is asked; the other flags must be those that it
    /// was begun with
    #[arg(long, value_name = "ID", help_heading = "Runs")]
    pub resume: Option<String>,
    /// Keep no answers on this machine's disk while accounts are read: only whole accounts can be gone on with then
    #[arg(long, help_heading = "Runs")]
    pub no_journal: bool,
}
