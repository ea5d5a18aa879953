//! Snapshots to ask about: the recorded demo account, and organisations made of it.
#![allow(dead_code, reason = "the benchmark uses a part")]
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StringArray, StructArray,
    new_null_array,
};
use datafusion::arrow::datatypes::DataType;
use palisade_aws::{Client, ClientConfig, StaticCredentials};
use palisade_catalog::{Catalog, Check, Source};
use palisade_cluster::Place;
use palisade_collect::{AccountTarget, Limits, Request, Silent, Targets};
use palisade_core::{CallError, CallErrorKind, Coverage, Timestamp};
use palisade_model::Models;
use palisade_query::{
    CatalogSchemas, Engine, Evaluation, Needs, Options, Params, Plan, Reach, is_shared,
};
use palisade_replay::{Faults, Recording, Server};
use palisade_store::{AccountResult, NewSnapshot, Snapshot};
use palisade_table::{Dataset, Failure, Gap, TAGGING};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};

const DEMO: &[u8] = include_bytes!("../../../../catalog/demo/account.recording");

static SHIPPED: LazyLock<(Arc<Catalog>, Models)> =
    LazyLock::new(|| (catalog(None), Models::embedded()));

/// The shipped catalogue, with more files over it.
pub fn catalog(over: Option<&Path>) -> Arc<Catalog> {
    let mut sources = vec![Source::embedded()];
    sources.extend(over.map(|folder| Source::directory(folder).unwrap()));
    let loaded = palisade_catalog::load(&sources);
    let errors: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.is_error())
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    Arc::new(loaded.catalog)
}

pub fn checks(catalog: &Catalog) -> Vec<Arc<Check>> {
    catalog.checks.values().cloned().collect()
}

/// A data set, and when and where it was read.
pub struct Collected {
    pub account: String,
    pub regions: Vec<String>,
    pub now: Timestamp,
    pub dataset: Dataset,
    pub coverage: Coverage,
}

/// All tables of the recorded demo account, whole.
pub fn demo(catalog: &Arc<Catalog>) -> Collected {
    let models = Arc::new(Models::embedded());
    let recording = Recording::from_bytes(DEMO).unwrap();
    let header = recording.header().clone();
    let server = Server::start(Arc::new(recording), Faults::none()).unwrap();
    let config = ClientConfig {
        endpoint_url: Some(server.url()),
        region: header.regions.first().cloned(),
        credentials: Some(StaticCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "example".to_owned(),
            session_token: None,
        }),
        max_in_flight: 64,
        ..ClientConfig::default()
    };
    let mut request = Request::default();
    catalog.tables.keys().for_each(|t| request.add_all(t));
    let plan = palisade_collect::plan(catalog, &models, &request).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collected = runtime.block_on(async {
        let client = Client::connect(config, Arc::clone(&models)).await.unwrap();
        let identity = client.identity().await.unwrap();
        let account = AccountTarget {
            account_id: identity.account_id.to_string(),
            partition: identity.partition.as_str().to_owned(),
            home_region: identity.partition.home_region().to_owned(),
            api: Arc::new(client),
            regions: header.regions.iter().map(|r| r.parse().unwrap()).collect(),
        };
        let account_id = account.account_id.clone();
        let targets = Targets {
            accounts: vec![account],
            regions: models.regions().unwrap(),
        };
        let (_stop, cancel) = tokio::sync::watch::channel(false);
        let collected =
            palisade_collect::run(&plan, &targets, &Limits::default(), &Silent, cancel).await;
        (account_id, collected)
    });
    server.shutdown();
    Collected {
        account: collected.0,
        regions: header.regions,
        now: header.recorded_at.parse().unwrap(),
        dataset: collected.1.dataset,
        coverage: collected.1.coverage,
    }
}

/// The accounts of an organisation made of the demo account: every text that names the account names another, and rows
/// stand there `times` times.
pub fn members(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("{:012}", 210_000_000_001 + 7 * n))
        .collect()
}

/// A member's tables: as the demo account's, with something that could not be read in some of them.
pub fn member(demo: &Collected, account: &str, number: usize, times: usize) -> Dataset {
    let mut dataset = Dataset::default();
    for (index, (name, table)) in demo.dataset.tables.iter().enumerate() {
        let mut table = table.clone();
        for batch in &mut table.batches {
            let mut copies = Vec::new();
            for copy in 0..times {
                let columns = batch.rows.columns().iter();
                let columns = columns.map(|c| renamed(c, &demo.account, account, copy));
                copies.push(RecordBatch::try_new(batch.rows.schema(), columns.collect()).unwrap());
            }
            let rows = batch.rows.num_rows();
            batch.rows =
                datafusion::arrow::compute::concat_batches(&batch.rows.schema(), &copies).unwrap();
            let failures = batch.failures.clone();
            batch.failures = (0..times)
                .flat_map(|copy| {
                    failures.iter().map(move |f| Failure {
                        row: f.row + copy * rows,
                        ..f.clone()
                    })
                })
                .collect();
            batch.failures.sort_by_key(|f| (f.source, f.row));
        }
        for gap in &mut table.gaps {
            gap.account_id = account.to_owned();
        }
        // every third account lacks some lists, every fourth some calls for rows
        if number % 3 == 1
            && index % 5 == number % 5
            && let Some(batch) = table.batches.pop()
        {
            let region = batch
                .rows
                .column_by_name("region")
                .and_then(|c| c.as_string_opt::<i32>().map(|t| t.value(0).to_owned()));
            table.gaps.push(Gap {
                account_id: account.to_owned(),
                region: region.unwrap_or_default(),
                error: denied(account, "List", index),
            });
        }
        if number % 4 == 2 && index % 3 == number % 3 {
            for batch in &mut table.batches {
                fail_first_row(batch, &table.spec, account, index);
            }
        }
        dataset.tables.insert(name.clone(), table);
    }
    dataset
}

fn denied(account: &str, operation: &str, index: usize) -> Arc<CallError> {
    Arc::new(CallError {
        service: format!("service{}", index % 3),
        operation: operation.to_owned(),
        account_id: account.to_owned(),
        region: "us-east-1".to_owned(),
        kind: CallErrorKind::Denied,
        code: "AccessDenied".to_owned(),
        message: "not allowed".to_owned(),
        permissions: vec![format!("service{}:{operation}", index % 3)],
    })
}

/// The first call for the first row failed: the cells that it fills are NULL, and that is told.
fn fail_first_row(
    batch: &mut palisade_table::Batch,
    spec: &palisade_catalog::TableSpec,
    account: &str,
    index: usize,
) {
    let (shipped, models) = &*SHIPPED;
    let schema = shipped.table_schema(&spec.name, models).unwrap();
    let Some(source) = schema
        .columns
        .iter()
        .flat_map(|c| c.sources.iter().copied())
        .filter(|s| *s > 0 && *s != TAGGING)
        .min()
    else {
        return;
    };
    if batch.rows.num_rows() == 0 || batch.failures.iter().any(|f| f.row == 0) {
        return;
    }
    let fields = batch.rows.schema();
    let columns = fields.fields().iter().zip(batch.rows.columns());
    let columns = columns.map(|(field, column)| {
        let filled = schema
            .column(field.name())
            .is_some_and(|c| c.sources.contains(&source));
        if !filled {
            return Arc::clone(column);
        }
        let rest = column.slice(1, column.len() - 1);
        let none = new_null_array(column.data_type(), 1);
        datafusion::arrow::compute::concat(&[none.as_ref(), rest.as_ref()]).unwrap()
    });
    batch.rows = RecordBatch::try_new(batch.rows.schema(), columns.collect()).unwrap();
    batch.failures.push(Failure {
        source,
        row: 0,
        error: denied(account, "Describe", index),
    });
    batch.failures.sort_by_key(|f| (f.source, f.row));
}

/// The same values, with another account in every text; ids of copies differ.
fn renamed(array: &ArrayRef, from: &str, to: &str, copy: usize) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>().iter();
            let texts = texts.map(|t| {
                t.map(|t| {
                    let text = t.replace(from, to);
                    match copy {
                        0 => text,
                        // what names a resource ends with a name
                        _ if text.starts_with("arn:") || looks_like_id(&text) => {
                            format!("{text}-{copy}")
                        }
                        _ => text,
                    }
                })
            });
            Arc::new(texts.collect::<StringArray>())
        }
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let values = renamed(list.values(), from, to, copy);
            Arc::new(ListArray::new(
                Arc::clone(field),
                list.offsets().clone(),
                values,
                list.nulls().cloned(),
            ))
        }
        DataType::Struct(fields) => {
            let parts = array.as_struct();
            let columns = parts.columns().iter().map(|c| renamed(c, from, to, copy));
            Arc::new(StructArray::new(
                fields.clone(),
                columns.collect(),
                parts.nulls().cloned(),
            ))
        }
        DataType::Map(field, ordered) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = renamed(&entries, from, to, 0);
            Arc::new(MapArray::new(
                Arc::clone(field),
                map.offsets().clone(),
                entries.as_struct().clone(),
                map.nulls().cloned(),
                *ordered,
            ))
        }
        _ => Arc::clone(array),
    }
}

/// `i-0123456789abcdef0`, `vpc-1a2b3c4d`
fn looks_like_id(text: &str) -> bool {
    text.rsplit_once('-')
        .is_some_and(|(_, tail)| tail.len() >= 8 && tail.chars().all(|c| c.is_ascii_hexdigit()))
}

/// A snapshot, and where executors find it.
pub struct Taken {
    pub place: Place,
    pub snapshot: Snapshot,
}

impl Taken {
    pub fn now(&self) -> Timestamp {
        self.snapshot.manifest().started_at
    }
}

/// Writes a snapshot.
pub fn snapshot(
    folder: &Path,
    nonce: &str,
    demo: &Collected,
    accounts: impl IntoIterator<Item = (String, Dataset)>,
) -> Taken {
    std::fs::create_dir_all(folder).unwrap();
    let place = Place::new(folder.to_str().unwrap()).unwrap();
    let store = place.open().unwrap();
    let writer = store.writer(NewSnapshot {
        nonce: nonce.to_owned(),
        started_at: demo.now,
        palisade: env!("CARGO_PKG_VERSION").to_owned(),
        catalog: "test".to_owned(),
        regions: demo.regions.clone(),
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (account, dataset) in accounts {
        let result = AccountResult {
            account_id: &account,
            dataset: &dataset,
            coverage: &demo.coverage,
            findings: None,
        };
        runtime.block_on(writer.account(result)).unwrap();
    }
    let manifest = runtime.block_on(writer.commit(demo.now, None)).unwrap();
    Taken {
        place,
        snapshot: store.of(manifest),
    }
}

/// Tables of some accounts, and the shared ones of all; without accounts, of all.
pub fn load(taken: &Taken, catalog: &Arc<Catalog>, needs: &Needs, of: Option<&str>) -> Dataset {
    let snapshot = &taken.snapshot;
    let schemas = CatalogSchemas::new(Arc::clone(catalog), Arc::new(Models::embedded()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let everyone = snapshot.accounts();
    let accounts = of.map_or_else(|| everyone.clone(), |account| vec![account.to_owned()]);
    let (shared, own): (Needs, Needs) = needs
        .clone()
        .into_iter()
        .partition(|(table, _)| is_shared(table));
    let (own, shared) = runtime.block_on(async {
        let own = snapshot.dataset(&accounts, &own, &schemas).await;
        (own, snapshot.dataset(&everyone, &shared, &schemas).await)
    });
    let mut dataset = own.unwrap();
    dataset.tables.extend(shared.unwrap().tables);
    dataset
}

pub fn engine(catalog: &Arc<Catalog>, now: Timestamp) -> Engine {
    let models = Arc::new(Models::embedded());
    Engine::new(Arc::clone(catalog), models, now, Params::new()).unwrap()
}

/// The embedded engine with checks that are planned once.
pub struct Embedded {
    catalog: Arc<Catalog>,
    engine: Engine,
    within: Plan,
    over: Plan,
}

impl Embedded {
    pub fn new(catalog: &Arc<Catalog>, checks: &[Arc<Check>], now: Timestamp) -> Self {
        let engine = engine(catalog, now);
        let (plan, problems) = engine.plan(checks);
        assert!(problems.is_empty(), "{problems:?}");
        let (within, over): (Vec<_>, Vec<_>) = plan
            .checks
            .into_iter()
            .partition(|check| engine.reach(check) == Reach::Account);
        Self {
            catalog: Arc::clone(catalog),
            engine,
            within: Plan { checks: within },
            over: Plan { checks: over },
        }
    }

    fn part(&self, taken: &Taken, plan: &Plan, of: Option<&str>, options: Options) -> Evaluation {
        let dataset = load(taken, &self.catalog, &plan.needs(), of);
        self.engine.evaluate(plan, &dataset, options)
    }

    /// What it says of a snapshot: account by account, as far as checks stay within accounts.
    pub fn says(&self, taken: &Taken, options: Options) -> Evaluation {
        let mut all = self.part(taken, &self.over, None, options);
        for account in taken.snapshot.accounts() {
            add(
                &mut all,
                self.part(taken, &self.within, Some(&account), options),
            );
        }
        palisade_query::sort_findings(&mut all.findings);
        all.errors.sort();
        all
    }

    /// What it says of all accounts at once.
    pub fn says_at_once(&self, taken: &Taken, options: Options) -> Evaluation {
        let mut all = self.part(taken, &self.over, None, options);
        add(&mut all, self.part(taken, &self.within, None, options));
        palisade_query::sort_findings(&mut all.findings);
        all
    }
}

fn add(all: &mut Evaluation, part: Evaluation) {
    all.findings.extend(part.findings);
    for (check, counts) in part.counts {
        all.counts.entry(check).or_default().add(counts);
    }
    all.errors.extend(part.errors);
}

/// Findings as lines of JSON.
pub fn lines(found: &Evaluation) -> String {
    let lines = found
        .findings
        .iter()
        .map(|f| serde_json::to_string(f).unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The first line that differs, for a message that can be read.
pub fn difference(a: &str, b: &str) -> Option<String> {
    if a == b {
        return None;
    }
    let (left, right): (BTreeSet<&str>, BTreeSet<&str>) =
        (a.lines().collect(), b.lines().collect());
    let some = |set: Vec<&&str>| {
        set.iter()
            .take(3)
            .map(|l| format!("  {l}"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    Some(format!(
        "{} and {} lines; only in the first:\n{}\nonly in the second:\n{}",
        a.lines().count(),
        b.lines().count(),
        some(left.difference(&right).collect()),
        some(right.difference(&left).collect())
    ))
}

/// Counts by status of the whole, so that a test can say that it saw all of them.
pub fn statuses(found: &Evaluation) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for finding in &found.findings {
        *out.entry(finding.status.to_string()).or_default() += 1;
    }
    out
}

/// Two evaluations are one, to the byte.
pub fn assert_same(there: &Evaluation, here: &Evaluation) {
    if let Some(difference) = difference(&lines(there), &lines(here)) {
        panic!("cluster against embedded: {difference}");
    }
    assert_eq!(there.errors, here.errors);
    assert_eq!(there.counts, here.counts);
    assert_eq!(there, here);
}
