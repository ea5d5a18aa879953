//! `palisade cluster`
use crate::Outcome;
use crate::cli::{ClusterCommand, Target};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::{Catalog, Check};
use palisade_core::{Assessment, Timestamp};
use palisade_drift::{Diff, Filter};
use palisade_query::Options;
use palisade_scan::{Lacking, LeftOut, QueryResult, Scanner};
use palisade_store::{Snapshot, Store};
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

/// A cluster, as a command with `--engine` asks it.
#[cfg(feature = "cluster")]
#[derive(Debug)]
pub struct Engine {
    cluster: palisade_cluster::Cluster,
    place: palisade_cluster::Place,
}

/// This build has none.
#[cfg(not(feature = "cluster"))]
#[derive(Debug)]
pub struct Engine {}

#[cfg(feature = "cluster")]
impl Engine {
    /// The cluster of a scheduler, and the store as its executors find it.
    ///
    /// # Errors
    /// When the URL is not `ballista://HOST:PORT`.
    pub fn new(
        url: &str,
        store: &Store,
        target: &Target,
        catalog: &Arc<Catalog>,
        facts: &str,
    ) -> Result<Self, Failure> {
        let cluster = palisade_cluster::Cluster::new(url, Arc::clone(catalog))?;
        let location = store.location();
        let place = palisade_cluster::Place::new(location).map_err(|source| Failure::Input {
            path: location.into(),
            source,
        })?;
        Ok(Self {
            cluster: cluster.with_facts(facts),
            place: palisade_cluster::Place {
                endpoint: target.endpoint_url.clone(),
                ..place
            },
        })
    }

    /// As [`Scanner::assess_snapshot`].
    ///
    /// # Errors
    /// As there, and when the cluster cannot be used.
    pub async fn assess_snapshot(
        &self,
        scanner: &Scanner,
        checks: &[Arc<Check>],
        snapshot: &Snapshot,
        options: Options,
    ) -> Result<(Assessment, Vec<LeftOut>), Failure> {
        let (cluster, place) = (&self.cluster, &self.place);
        let asked = cluster.assess_snapshot(scanner, place, snapshot, checks, options);
        Ok(asked.await?)
    }

    /// As [`Scanner::query_snapshots`].
    ///
    /// # Errors
    /// As there, and when the cluster cannot be used.
    pub async fn query_snapshots(
        &self,
        sql: &str,
        snapshots: &[Snapshot],
        now: Timestamp,
    ) -> Result<(QueryResult, Vec<Lacking>), Failure> {
        Ok(self.cluster.sql(&self.place, snapshots, sql, now).await?)
    }

    /// As [`palisade_drift::diff`].
    ///
    /// # Errors
    /// As there, and when the cluster cannot be used.
    pub async fn diff(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        filter: &Filter,
    ) -> Result<Diff, Failure> {
        let (cluster, place) = (&self.cluster, &self.place);
        Ok(cluster.diff(place, before, after, filter).await?)
    }
}

#[cfg(not(feature = "cluster"))]
impl Engine {
    /// Says how to get what this build has not.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &str, _: &Store, _: &Target, _: &Arc<Catalog>, _: &str) -> Result<Self, Failure> {
        Err(missing("--engine"))
    }

    /// There is no engine.
    ///
    /// # Errors
    /// Always.
    pub async fn assess_snapshot(
        &self,
        _: &Scanner,
        _: &[Arc<Check>],
        _: &Snapshot,
        _: Options,
    ) -> Result<(Assessment, Vec<LeftOut>), Failure> {
        Err(missing("--engine"))
    }

    /// There is no engine.
    ///
    /// # Errors
    /// Always.
    pub async fn query_snapshots(
        &self,
        _: &str,
        _: &[Snapshot],
        _: Timestamp,
    ) -> Result<(QueryResult, Vec<Lacking>), Failure> {
        Err(missing("--engine"))
    }

    /// There is no engine.
    ///
    /// # Errors
    /// Always.
    pub async fn diff(&self, _: &Snapshot, _: &Snapshot, _: &Filter) -> Result<Diff, Failure> {
        Err(missing("--engine"))
    }
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
