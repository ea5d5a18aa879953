//! The arguments of `palisade respond`.
use super::{Protect, Target};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Respond {
    /// List the playbooks
    List,
    /// Show a playbook: its steps, what they read and change
    Show {
        /// For example `leaked-access-key`
        playbook: String,
    },
    /// Collect the evidence, plan what changes something, and write the report; changes nothing
    Run(Box<RespondRun>),
    /// The same against the demo account, or another one with --target flags: for practice
    Drill(Box<RespondRun>),
    /// Write the report of an incident again, with what the journals say happened since
    Report {
        /// The incident's folder
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct RespondRun {
    /// For example `leaked-access-key`
    pub playbook: String,
    /// What the playbook asks for; may repeat
    #[arg(long, value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// The incident's folder, which must not exist; default: `palisade-incidents/<time>-<playbook>`
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub protect: Protect,
    #[command(flatten)]
    pub target: Target,
}
