//! `palisade cluster`
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a machine of a cluster does.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Hand work out to executors; users name it with --engine ballista://HOST:PORT
    Scheduler(SchedulerArgs),
    /// Do the work that a scheduler hands out
    Executor(ExecutorArgs),
}

#[derive(Debug, Args)]
pub struct SchedulerArgs {
    /// Where it listens; users and executors must reach it. There is no sign-in: not beyond a network that you trust
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50050")]
    pub bind: SocketAddr,
    /// Seconds after which an executor that says nothing is taken for gone; a busy one says something every five
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(6..))]
    pub silence: u64,
    /// Messages of the engine on stderr: error, warn, info, debug, off
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
}

#[derive(Debug, Args)]
pub struct ExecutorArgs {
    /// The scheduler
    #[arg(long, value_name = "HOST:PORT")]
    pub scheduler: String,
    /// Where results are fetched from it; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub bind: SocketAddr,
    /// The name or address by which the others reach it; default: the address that the scheduler sees
    #[arg(long, value_name = "HOST")]
    pub advertise: Option<String>,
    /// Where results stand until they are fetched; default: a folder among the temporary files
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Pieces of work at a time; 0 is one for each processor
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub concurrent_tasks: usize,
    /// Messages of the engine on stderr: error, warn, info, debug, off
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
}
