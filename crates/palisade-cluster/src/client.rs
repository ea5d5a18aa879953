//! Asks a cluster for findings and for rows.
use crate::address::Address;
use crate::codec::Codec;
use crate::deep::on_own_thread;
use crate::drift;
use crate::error::{ClusterError, cluster_error};
use crate::exec::WorkExec;
use crate::job::{CheckRef, Job, Origin, Place, Task, Work};
use crate::lake::lake_plan;
use crate::parts::{account_parts, shares};
use crate::result::{self, Received};
use crate::site;
use ballista_core::execution_plans::execute_physical_plan;
use ballista_core::extension::SessionConfigExt;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::TryStreamExt;
use palisade_catalog::{Catalog, Check};
use palisade_core::{Assessment, Timestamp};
use palisade_drift::{Diff, Filter, Side, accounts_of_both, diff_of_parts};
use palisade_model::Models;
use palisade_query::{
    CatalogSchemas, Engine, Evaluation, Needs, Only, Options, Params, Part, Plan, QueryResult,
    Reach, sort_findings,
};
use palisade_scan::{Lacking, LeftOut, Scanner, Scope, snapshot_lake};
use palisade_store::Snapshot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a scheduler may be without executors.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often work is given again when a machine was lost with its results.
const TRIES: usize = 3;

/// A cluster, and what its users work with.
#[derive(Debug, Clone)]
pub struct Cluster {
    address: Address,
    catalog: Arc<Catalog>,
    models: Arc<Models>,
    fingerprint: String,
    patience: Duration,
}

impl Cluster {
    /// The cluster of a scheduler. Nothing is connected yet.
    ///
    /// # Errors
    /// When the URL is not `ballista://HOST:PORT`.
    pub fn new(url: &str, catalog: Arc<Catalog>) -> Result<Self, ClusterError> {
        Ok(Self {
            address: url.parse()?,
            fingerprint: catalog.fingerprint.clone(),
            catalog,
            models: Arc::new(Models::embedded()),
            patience: PATIENCE,
        })
    }

    /// What else verdicts depend on, as [`crate::Site::with_facts`].
    #[must_use]
    pub fn with_facts(mut self, facts: &str) -> Self {
        self.fingerprint = site::with_facts(&self.fingerprint, facts);
        self
    }

    /// How long a scheduler may be without executors before that is an error.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What the checks say about a snapshot: exactly what the embedded engine says. `options` as there.
    ///
    /// # Errors
    /// When a check is wrong, the snapshot has not what the checks read, or the cluster cannot be used.
    pub async fn findings(
        &self,
        place: &Place,
        snapshot: &Snapshot,
        checks: &[Arc<Check>],
        now: Timestamp,
        options: Options,
    ) -> Result<Evaluation, ClusterError> {
        let executors = self.address.ready(self.patience).await?;
        let (refs, own) = self.references(checks);
        let engine = self.engine(now)?;
        let planned = self.planned(&engine, &own, snapshot)?;
        let parts = account_parts(&site::weights(std::slice::from_ref(snapshot)), executors);
        let task = Task::Evaluate {
            now,
            checks: refs,
            passes: options.passes,
            evidence: options.evidence,
        };
        let job = self.job(std::slice::from_ref(snapshot), place, task);
        let everyone = snapshot.everyone();
        // what an account suffices for says nothing of accounts that could not be read
        let is_one_part = parts.len() < 2 && everyone == snapshot.accounts();
        let wide = wide(&engine, &planned, &own, is_one_part);
        let works = works(&planned, &own, &wide, &parts, &everyone, executors);
        let mut all = self.evaluate(&job, &works).await?;

        // What failed on values takes rows along, in the embedded engine those of one account.
        let within = all.iter().zip(&works).filter(|(_, work)| work.within);
        let unsettled: BTreeSet<String> = within
            .flat_map(|(part, _)| part.unsettled.iter().cloned())
            .collect();
        if !unsettled.is_empty() {
            all.iter_mut().for_each(|part| part.forget(&unsettled));
            let again = again(&own, &wide, &unsettled, &snapshot.accounts(), &everyone);
            all.extend(self.evaluate(&job, &again).await?);
        }
        Ok(merged(all, &own))
    }

    /// As [`Scanner::assess_snapshot`]: the same checks are left out, and what is said of the others is the same. Ages are
    /// counted from the snapshot's time.
    ///
    /// # Errors
    /// As there, and when the cluster cannot be used.
    pub async fn assess_snapshot(
        &self,
        scanner: &Scanner,
        place: &Place,
        snapshot: &Snapshot,
        checks: &[Arc<Check>],
        options: Options,
    ) -> Result<(Assessment, Vec<LeftOut>), ClusterError> {
        let (planned, left_out) = scanner.answerable(checks, snapshot)?;
        let now = snapshot.manifest().started_at;
        let asked = self.findings(place, snapshot, planned.checks(), now, options);
        let evaluation = asked.await?;
        let mut regions = snapshot.manifest().regions.clone();
        regions.sort();
        let scope = Scope {
            accounts: snapshot.accounts(),
            regions,
        };
        let coverage = snapshot.coverage().await?;
        let assessment = scanner.assessment(&planned, evaluation, coverage, scope)?;
        Ok((assessment, left_out))
    }

    /// Rows of a query over the tables of snapshots: those that the embedded engine gives; without ORDER BY perhaps in
    /// another order. Also names the snapshots that were left out, each with a table and a column that it lacks.
    ///
    /// # Errors
    /// When the SQL is wrong or fails on a value, no snapshot has what it reads, or the cluster cannot be used.
    pub async fn sql(
        &self,
        place: &Place,
        snapshots: &[Snapshot],
        sql: &str,
        now: Timestamp,
    ) -> Result<(QueryResult, Vec<Lacking>), ClusterError> {
        let mut scanner = Scanner::new(Arc::clone(&self.catalog));
        scanner.set_now(now);
        let runtime = tokio::runtime::Handle::current();
        let query = scanner.snapshot_query(sql, snapshots, &runtime)?;
        let executors = self.address.ready(self.patience).await?;
        let parts = account_parts(&site::weights(&query.usable), executors);
        // the task of each table is set where it is planned
        let task = Task::Rows {
            table: String::new(),
            only: Only::new(),
        };
        let job = self.job(&query.usable, place, task);
        let engine = self.engine(now)?;
        let engine = match query.computed {
            true => engine,
            false => engine.over(snapshot_lake(query.usable, self.schemas(), runtime)),
        };
        let partitions = shares(executors).min(parts.len().max(1));
        let (plan, config) = lake_plan(engine, sql, &job, &parts, partitions).await?;
        let (schema, batches) = self.run(plan, config).await?;
        Ok((QueryResult::new(schema, batches), query.lacking))
    }

    /// What changed between two snapshots of a store: exactly what [`palisade_drift::diff`] says.
    ///
    /// # Errors
    /// When a snapshot is damaged, or the cluster cannot be used.
    pub async fn diff(
        &self,
        place: &Place,
        before: &Snapshot,
        after: &Snapshot,
        filter: &Filter,
    ) -> Result<Diff, ClusterError> {
        let executors = self.address.ready(self.patience).await?;
        let snapshots = [before.clone(), after.clone()];
        let (before, after) = (Side::Stored(before), Side::Stored(after));
        let mut weights = site::weights(&snapshots);
        let there = accounts_of_both(before, after);
        weights.retain(|id, _| there.contains(id) && filter.wants_account(id));
        let parts = account_parts(&weights, executors);
        let works: Vec<Work> = parts
            .into_iter()
            .enumerate()
            .map(|(number, accounts)| Work {
                number,
                accounts,
                within: true,
                checks: Vec::new(),
            })
            .collect();
        let mut compared = Vec::new();
        if !works.is_empty() {
            let job = self.job(&snapshots, place, drift::task(filter));
            let exec = WorkExec::over(job, drift::schema(), &works);
            let plan: Arc<dyn ExecutionPlan> = Arc::new(exec.map_err(|e| cluster_error(&e))?);
            let (_, batches) = self.run(plan, SessionConfig::new_with_ballista()).await?;
            let mut received = drift::Received::default();
            for batch in &batches {
                received
                    .add(batch)
                    .map_err(|e| ClusterError::Incomplete(e.to_string()))?;
            }
            compared = received
                .whole(works.len())
                .map_err(ClusterError::Incomplete)?;
        }
        Ok(diff_of_parts(before, after, filter, compared).await?)
    }

    fn schemas(&self) -> CatalogSchemas {
        CatalogSchemas::new(Arc::clone(&self.catalog), Arc::clone(&self.models))
    }

    fn engine(&self, now: Timestamp) -> Result<Engine, ClusterError> {
        let (catalog, models) = (Arc::clone(&self.catalog), Arc::clone(&self.models));
        Ok(Engine::new(catalog, models, now, Params::new())?)
    }

    /// The checks in the order of a plan, as they are sent and as they are.
    fn references(&self, checks: &[Arc<Check>]) -> (Vec<CheckRef>, Vec<Arc<Check>>) {
        let own: BTreeMap<&str, &str> = self
            .catalog
            .checks
            .iter()
            .map(|(id, check)| (check.file.as_str(), id.as_str()))
            .collect();
        let mut sorted = checks.to_vec();
        sorted.sort_by(|a, b| (&a.id, &a.file).cmp(&(&b.id, &b.file)));
        sorted.dedup_by(|a, b| a.id == b.id && a.file == b.file);
        let reference = |check: &Arc<Check>| {
            let id = own.get(check.file.as_str()).copied();
            CheckRef::to(check, id.unwrap_or(&check.id))
        };
        (sorted.iter().map(reference).collect(), sorted)
    }

    fn planned(
        &self,
        engine: &Engine,
        checks: &[Arc<Check>],
        snapshot: &Snapshot,
    ) -> Result<Plan, ClusterError> {
        let (plan, problems) = engine.plan(checks);
        if !problems.is_empty() {
            return Err(ClusterError::Checks(problems));
        }
        self.holds(snapshot, &plan.needs())?;
        Ok(plan)
    }

    fn holds(&self, snapshot: &Snapshot, needs: &Needs) -> Result<(), ClusterError> {
        let lacking = snapshot.lacks(needs, &self.schemas());
        if lacking.is_empty() {
            return Ok(());
        }
        const MOST: usize = 10;
        let mut shown: Vec<String> = lacking
            .iter()
            .take(MOST)
            .map(|(table, column)| match column.as_str() {
                "" => format!("`{table}`"),
                column => format!("`{table}.{column}`"),
            })
            .collect();
        if lacking.len() > MOST {
            shown.push(format!("{} more", lacking.len() - MOST));
        }
        Err(ClusterError::Lacking {
            snapshot: snapshot.manifest().id.clone(),
            what: shown.join(", "),
        })
    }

    fn job(&self, snapshots: &[Snapshot], place: &Place, task: Task) -> Job {
        Job {
            origin: Origin {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                catalog: self.fingerprint.clone(),
            },
            place: place.clone(),
            snapshots: snapshots.iter().map(|s| s.manifest().id.clone()).collect(),
            task,
        }
    }

    /// Findings of pieces of work, in their order.
    async fn evaluate(&self, job: &Job, works: &[Work]) -> Result<Vec<Part>, ClusterError> {
        if works.is_empty() {
            return Ok(Vec::new());
        }
        let exec = WorkExec::over(job.clone(), result::schema(), works);
        let plan: Arc<dyn ExecutionPlan> = Arc::new(exec.map_err(|e| cluster_error(&e))?);
        let (_, batches) = self.run(plan, SessionConfig::new_with_ballista()).await?;
        let mut received = Received::default();
        for batch in &batches {
            received
                .add(batch)
                .map_err(|e| ClusterError::Incomplete(e.to_string()))?;
        }
        received
            .whole(works.len())
            .map_err(ClusterError::Incomplete)
    }

    /// Runs a plan. A machine that goes away after it has worked takes its results with it: then all is done again.
    async fn run(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: SessionConfig,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), ClusterError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once(&plan, &config).await {
                Err(ClusterError::Failed(why)) if tries < TRIES && is_lost(&why) => {
                    self.address.ready(self.patience).await?;
                }
                other => return other.map(|batches| (plan.schema(), batches)),
            }
        }
    }

    async fn once(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        config: &SessionConfig,
    ) -> Result<Vec<RecordBatch>, ClusterError> {
        let (url, plan, config) = (self.address.http(), Arc::clone(plan), config.clone());
        let asked = on_own_thread(move || async move {
            let stream = execute_physical_plan::<PhysicalPlanNode>(
                url,
                &config.ballista_config(),
                plan,
                &Codec::new(None),
                session_id(),
                config,
            )
            .await?;
            stream.try_collect().await
        });
        asked.await.map_err(|e| cluster_error(&e))
    }
}

/// Whether results were lost on their way.
fn is_lost(why: &str) -> bool {
    [
        "FetchFailed",
        "GrpcConnectionError",
        "transport error",
        "Connection refused",
        "GrpcError",
    ]
    .iter()
    .any(|sign| why.contains(sign))
}

/// No session is used twice.
fn session_id() -> String {
    ballista_core::ids::new_instance_id()
}

/// Which checks look at all accounts. One part of accounts is all of them; then the checks are what is dealt out.
fn wide(engine: &Engine, plan: &Plan, checks: &[Arc<Check>], is_one_part: bool) -> Vec<bool> {
    let reach: BTreeMap<(&str, &str), Reach> = plan
        .checks
        .iter()
        .map(|planned| (name(&planned.check), engine.reach(planned)))
        .collect();
    let is_wide =
        |check: &Arc<Check>| is_one_part || reach.get(&name(check)) != Some(&Reach::Account);
    checks.iter().map(is_wide).collect()
}

/// One foreign id may stand for several checks.
fn name(check: &Check) -> (&str, &str) {
    (&check.id, &check.file)
}

/// The pieces of work: for each part of the accounts the checks that stay within accounts, and the others over all.
fn works(
    plan: &Plan,
    checks: &[Arc<Check>],
    wide: &[bool],
    parts: &[Vec<String>],
    everyone: &[String],
    executors: usize,
) -> Vec<Work> {
    let mut works = Vec::new();
    let places = |is_wide: bool| -> Vec<usize> {
        let places = wide.iter().enumerate().filter(|(_, w)| **w == is_wide);
        places.map(|(at, _)| at).collect()
    };
    let within = places(false);
    if !within.is_empty() {
        for part in parts {
            works.push(Work {
                number: works.len(),
                accounts: part.clone(),
                within: true,
                checks: within.clone(),
            });
        }
    }
    // Checks that read many tables stay together: among them are those over computed tables, and what these are computed
    // from costs most and serves all of them.
    let tables: BTreeMap<(&str, &str), usize> = plan
        .checks
        .iter()
        .map(|planned| (name(&planned.check), planned.needs.len()))
        .collect();
    let weight = |at: &usize| {
        let check = checks.get(*at).map(|check| name(check));
        check.and_then(|name| tables.get(&name)).copied()
    };
    let mut over_all = places(true);
    over_all.sort_by_key(|at| (std::cmp::Reverse(weight(at)), *at));
    let size = over_all.len().div_ceil(executors.max(1)).max(1);
    for some in over_all.chunks(size) {
        let mut some = some.to_vec();
        some.sort_unstable();
        works.push(Work {
            number: works.len(),
            accounts: everyone.to_vec(),
            within: false,
            checks: some,
        });
    }
    works
}

/// Work for checks that are to be evaluated account by account, and for those that share their ids.
fn again(
    checks: &[Arc<Check>],
    wide: &[bool],
    ids: &BTreeSet<String>,
    read: &[String],
    everyone: &[String],
) -> Vec<Work> {
    let places = |is_wide: bool| -> Vec<usize> {
        let all = checks.iter().zip(wide).enumerate();
        let wanted = all.filter(|(_, (c, w))| **w == is_wide && ids.contains(&c.id));
        wanted.map(|(at, _)| at).collect()
    };
    let mut works: Vec<Work> = Vec::new();
    for account in read {
        works.push(Work {
            number: works.len(),
            accounts: vec![account.clone()],
            within: true,
            checks: places(false),
        });
    }
    if !places(true).is_empty() {
        works.push(Work {
            number: works.len(),
            accounts: everyone.to_vec(),
            within: false,
            checks: places(true),
        });
    }
    works
}

/// One evaluation of its parts.
fn merged(parts: Vec<Part>, checks: &[Arc<Check>]) -> Evaluation {
    let mut all = Evaluation::default();
    for check in checks {
        all.counts.entry(check.id.clone()).or_default();
    }
    for part in parts {
        all.findings.extend(part.evaluation.findings);
        for (check, counts) in part.evaluation.counts {
            all.counts.entry(check).or_default().add(counts);
        }
        all.errors.extend(part.evaluation.errors);
    }
    sort_findings(&mut all.findings);
    all.errors.sort();
    all
}
