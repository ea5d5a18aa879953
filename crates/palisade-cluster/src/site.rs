//! What an executor has: the catalogue, the API models, and what it has planned already.
use crate::drift;
use crate::error::{ClusterError, refuse};
use crate::job::{CheckRef, Job, Place, Task, Work};
use crate::result;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{Result, exec_datafusion_err};
use futures::StreamExt;
use futures::stream::BoxStream;
use palisade_catalog::{Catalog, Check};
use palisade_core::Timestamp;
use palisade_drift::{AccountsDiff, Side, diff_accounts};
use palisade_model::Models;
use palisade_query::{CatalogSchemas, Engine, Needs, Params, Plan, computed_needs, is_shared};
use palisade_scan::snapshot_lake;
use palisade_store::{Options, Snapshot, Store};
use palisade_table::Dataset;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// Plans that are kept: those of the jobs that may be running.
const KEPT: usize = 8;

/// What an executor works with.
pub struct Site {
    catalog: Arc<Catalog>,
    models: Arc<Models>,
    schemas: CatalogSchemas,
    fingerprint: String,
    plans: Mutex<Vec<(Key, Arc<Planned>)>>,
    hold: Option<PathBuf>,
}

#[derive(PartialEq)]
struct Key {
    now: Timestamp,
    checks: Vec<CheckRef>,
}

struct Planned {
    engine: Engine,
    plan: Plan,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl Site {
    /// Over a catalogue, with the shipped API models.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let models = Arc::new(Models::embedded());
        let schemas = CatalogSchemas::new(Arc::clone(&catalog), Arc::clone(&models));
        Self {
            fingerprint: catalog.fingerprint.clone(),
            catalog,
            models,
            schemas,
            plans: Mutex::default(),
            hold: None,
        }
    }

    /// What else verdicts depend on, as text: facts about IAM that a user put in the place of the shipped ones.
    #[must_use]
    pub fn with_facts(mut self, facts: &str) -> Self {
        self.fingerprint = with_facts(&self.fingerprint, facts);
        self
    }

    /// For tests of what happens when an executor dies: the first piece of work makes this file and never ends.
    #[must_use]
    pub fn holding(mut self, file: Option<PathBuf>) -> Self {
        self.hold = file;
        self
    }

    /// Whether this executor may do a job.
    pub(crate) fn accepts(&self, job: &Job) -> Result<()> {
        version_fits(job, "executor")?;
        if job.origin.catalog != self.fingerprint {
            return Err(refuse(
                "an executor has another catalogue than this command: start scheduler, executors and command from the same version, with the same `--catalog`",
            ));
        }
        Ok(())
    }

    /// Does a piece of work.
    pub(crate) async fn run(
        self: Arc<Self>,
        job: Arc<Job>,
        work: Work,
        schema: SchemaRef,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        self.accepts(&job)?;
        if let Some(file) = self.hold.clone() {
            tokio::task::spawn_blocking(move || hold(&file))
                .await
                .map_err(|e| exec_datafusion_err!("{e}"))?;
        }
        let snapshots = open(&job.place, &job.snapshots).await?;
        let runtime = tokio::runtime::Handle::current();
        if let Task::Rows { table, only } = &job.task {
            let mut only = only.clone();
            // those that a filter wants of this part
            only.insert("account_id".to_owned(), work.accounts.into_iter().collect());
            let lake = snapshot_lake(snapshots, self.schemas.clone(), runtime);
            let rows = lake.read(table, schema, only);
            return Ok(rows.map(|batch| batch.map_err(refuse)).boxed());
        }
        if let Task::Drift { .. } = &job.task {
            let compared = tokio::task::spawn_blocking(move || {
                let done = self.compare(&job, &work, &snapshots);
                drift::encode(work.number, &runtime.block_on(done)?, &schema)
            });
            let batches = compared
                .await
                .map_err(|e| exec_datafusion_err!("a piece of work stopped: {e}"))??;
            return Ok(futures::stream::iter(batches.into_iter().map(Ok)).boxed());
        }
        let [snapshot] = <[Snapshot; 1]>::try_from(snapshots)
            .map_err(|all| refuse(format_args!("one snapshot is needed, not {}", all.len())))?;
        let done = tokio::task::spawn_blocking(move || {
            self.compute(&runtime, &job, &work, &snapshot, &schema)
        });
        let batches = done
            .await
            .map_err(|e| exec_datafusion_err!("a piece of work stopped: {e}"))??;
        Ok(futures::stream::iter(batches.into_iter().map(Ok)).boxed())
    }

    /// What is computed from tables in memory. Blocks.
    fn compute(
        &self,
        runtime: &tokio::runtime::Handle,
        job: &Job,
        work: &Work,
        snapshot: &Snapshot,
        schema: &SchemaRef,
    ) -> Result<Vec<RecordBatch>> {
        match &job.task {
            Task::Evaluate { now, checks, .. } => {
                let refs = work.checks.iter().filter_map(|at| checks.get(*at)).cloned();
                let planned = self.planned(*now, refs.collect())?;
                let dataset = runtime.block_on(self.load(snapshot, work, &planned.plan.needs()))?;
                let part =
                    planned
                        .engine
                        .evaluate_part(&planned.plan, &dataset, job.task.options());
                result::encode(work.number, &part, schema)
            }
            Task::Computed { now, table, wanted } => {
                let needs = computed_needs(table)
                    .ok_or_else(|| refuse(format_args!("no computed table `{table}`")))?;
                let dataset = runtime.block_on(self.load(snapshot, work, &needs))?;
                let engine = self.engine(*now)?;
                let all = engine
                    .computed_rows(table, wanted, &dataset)
                    .map_err(refuse)?;
                let indices = schema
                    .fields()
                    .iter()
                    .map(|f| all.schema().index_of(f.name()))
                    .collect::<std::result::Result<Vec<usize>, _>>()?;
                Ok(vec![all.project(&indices)?])
            }
            Task::Rows { .. } | Task::Drift { .. } => Ok(Vec::new()),
        }
    }

    /// What became of the accounts between two snapshots.
    async fn compare(
        &self,
        job: &Job,
        work: &Work,
        snapshots: &[Snapshot],
    ) -> Result<AccountsDiff> {
        let [before, after] = snapshots else {
            let count = snapshots.len();
            return Err(refuse(format_args!(
                "two snapshots are needed, not {count}"
            )));
        };
        let (before, after) = (Side::Stored(before), Side::Stored(after));
        let filter = drift::filter(&job.task);
        let accounts = work.accounts.iter().cloned().collect();
        diff_accounts(before, after, &self.schemas, &filter, &accounts)
            .await
            .map_err(refuse)
    }

    fn engine(&self, now: Timestamp) -> Result<Engine> {
        let (catalog, models) = (Arc::clone(&self.catalog), Arc::clone(&self.models));
        Engine::new(catalog, models, now, Params::new()).map_err(refuse)
    }

    /// Planned once for all pieces of a job.
    fn planned(&self, now: Timestamp, checks: Vec<CheckRef>) -> Result<Arc<Planned>> {
        let key = Key { now, checks };
        // Pieces that come at the same time wait for the one that plans.
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, planned)) = plans.iter().find(|(k, _)| *k == key) {
            return Ok(Arc::clone(planned));
        }
        let resolve = |wanted: &CheckRef| {
            wanted
                .resolve(&self.catalog)
                .ok_or_else(|| refuse(format_args!("no check `{}`", wanted.own)))
        };
        let checks: Vec<Arc<Check>> = key.checks.iter().map(resolve).collect::<Result<_>>()?;
        let engine = self.engine(now)?;
        let (plan, problems) = engine.plan(&checks);
        if let Some(problem) = problems.first() {
            return Err(refuse(problem));
        }
        engine.prepare(&plan, &AtomicBool::new(false));
        let planned = Arc::new(Planned { engine, plan });
        if plans.len() >= KEPT {
            plans.remove(0);
        }
        plans.push((key, Arc::clone(&planned)));
        Ok(planned)
    }

    /// The rows of the accounts, and of shared tables those of all accounts.
    async fn load(&self, snapshot: &Snapshot, work: &Work, needs: &Needs) -> Result<Dataset> {
        let (shared, own): (Needs, Needs) = needs
            .clone()
            .into_iter()
            .partition(|(table, _)| is_shared(table));
        let mut dataset = snapshot
            .dataset(&work.accounts, &own, &self.schemas)
            .await
            .map_err(refuse)?;
        if !shared.is_empty() {
            let all = snapshot
                .dataset(&snapshot.accounts(), &shared, &self.schemas)
                .await
                .map_err(refuse)?;
            dataset.tables.extend(all.tables);
        }
        Ok(dataset)
    }
}

/// A fingerprint that changes with the facts; without facts it stays.
pub(crate) fn with_facts(fingerprint: &str, facts: &str) -> String {
    match facts {
        "" => fingerprint.to_owned(),
        facts => format!("{fingerprint}+{}", crate::sum(|sum| write!(sum, "{facts}"))),
    }
}

/// Refuses the work of another version.
pub(crate) fn version_fits(job: &Job, who: &str) -> Result<()> {
    let ours = env!("CARGO_PKG_VERSION");
    if job.origin.version == ours {
        return Ok(());
    }
    Err(refuse(format_args!(
        "the {who} is Palisade {ours}, and this command is {}: they must be of the same version",
        job.origin.version
    )))
}

/// Snapshots of a store.
async fn open(place: &Place, ids: &[String]) -> Result<Vec<Snapshot>> {
    let store = place.open().map_err(|why| {
        refuse(format_args!(
            "a machine of the cluster cannot use the store: {why}"
        ))
    })?;
    let mut snapshots = Vec::with_capacity(ids.len());
    for id in ids {
        snapshots.push(store.snapshot(id).await.map_err(refuse)?);
    }
    Ok(snapshots)
}

impl Place {
    /// A store by its location; a folder is taken from where the process is.
    ///
    /// # Errors
    /// When the folder's place cannot be found out.
    pub fn new(location: &str) -> std::io::Result<Self> {
        let location = match location.contains("://") {
            true => location.to_owned(),
            // executors run elsewhere
            false => std::path::absolute(location)?.display().to_string(),
        };
        Ok(Self {
            location,
            region: None,
            endpoint: None,
        })
    }

    /// The store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> std::result::Result<Store, ClusterError> {
        // opening makes the folder, which would only hide that it is not there
        if !self.location.contains("://") && !Path::new(&self.location).is_dir() {
            return Err(ClusterError::NoFolder(self.location.clone()));
        }
        let options = Options {
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            ..Options::default()
        };
        Ok(Store::open(&self.location, &options)?)
    }
}

/// Makes the file, once in the life of a cluster, and waits to be killed.
fn hold(file: &Path) {
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file);
    if let Ok(mut made) = made {
        use std::io::Write;
        // whoever waits for the file kills the process that it names
        let told = made.write_all(format!("{}\n", std::process::id()).as_bytes());
        drop((made, told));
        loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
}

/// By account: how much there is to read.
pub(crate) fn weights(snapshots: &[Snapshot]) -> BTreeMap<String, usize> {
    let mut weights = BTreeMap::new();
    let entries = snapshots.iter().flat_map(|s| &s.manifest().accounts);
    for entry in entries.filter(|entry| !entry.unread) {
        *weights.entry(entry.account_id.clone()).or_default() += entry.rows;
    }
    weights
}
