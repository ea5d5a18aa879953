//! `palisade cluster`
use crate::Outcome;
use crate::cli::ClusterCommand;
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use std::sync::Arc;

/// Runs a scheduler or an executor until it is asked to stop.
#[cfg(feature = "cluster")]
pub fn run(
    command: ClusterCommand,
    catalog: impl FnOnce() -> Result<Arc<Catalog>, Failure>,
    facts: &str,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let runtime = palisade_cluster::runtime().map_err(|e| Failure::Connect {
        message: e.to_string(),
        hint: None,
    })?;
    match command {
        ClusterCommand::Scheduler(args) => {
            palisade_cluster::log_to_stderr(args.log.as_deref());
            let config = palisade_cluster::SchedulerConfig {
                bind: args.bind,
                executor_silence: args.silence,
            };
            let ready = |address| terminal.note(&format!("scheduler on {address}"));
            runtime.block_on(palisade_cluster::scheduler(config, ready))?;
        }
        ClusterCommand::Executor(args) => {
            palisade_cluster::log_to_stderr(args.log.as_deref());
            let site = Arc::new(palisade_cluster::Site::new(catalog()?).with_facts(facts));
            let config = palisade_cluster::ExecutorConfig {
                scheduler: args.scheduler,
                bind: args.bind,
                advertise: args.advertise,
                work_dir: args.work_dir,
                concurrent_tasks: args.concurrent_tasks,
            };
            let ready = |address| terminal.note(&format!("executor on {address}"));
            runtime.block_on(palisade_cluster::executor(config, site, ready))?;
        }
    }
    Ok(Outcome::Done)
}

/// Says how to get what this build has not.
#[cfg(not(feature = "cluster"))]
pub fn run(
    command: ClusterCommand,
    _: impl FnOnce() -> Result<Arc<Catalog>, Failure>,
    _: &str,
    _: &Terminal,
) -> Result<Outcome, Failure> {
    let what = match command {
        ClusterCommand::Scheduler(_) => "cluster scheduler",
        ClusterCommand::Executor(_) => "cluster executor",
    };
    Err(missing(what))
}

/// This build has no Ballista.
#[cfg(not(feature = "cluster"))]
pub fn missing(what: &str) -> Failure {
    Failure::Usage {
        message: format!(
            "this build of Palisade has no `{what}`: it was made without the feature `cluster`"
        ),
        hint: Some(
            "`cargo build --release --features palisade/cluster --bin palisade` makes one that has"
                .to_owned(),
        ),
    }
}
