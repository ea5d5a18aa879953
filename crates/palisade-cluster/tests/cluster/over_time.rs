//! Snapshots over time on schedulers and executors that are processes of their own, against one process: what changed
//! between two, the tables over time, and an account that could not be entered.
use crate::common::{self, difference};
use crate::processes::{Running, without_one};
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use palisade_catalog::{Catalog, Check};
use palisade_cluster::{Cluster, Place};
use palisade_collect::Collected;
use palisade_core::{CallError, CallErrorKind, Listing, Status, Timestamp};
use palisade_drift::{Diff, Filter, Side, diff};
use palisade_model::Models;
use palisade_query::{CatalogSchemas, Options};
use palisade_scan::{Planned, Scanner, Scope};
use palisade_store::{AccountResult, Committed, RunPlan, Snapshot};
use palisade_table::Dataset;
use std::sync::{Arc, LazyLock};

struct Sample {
    folder: tempfile::TempDir,
    catalog: Arc<Catalog>,
    place: Place,
    /// The earlier one and the later one.
    before: Snapshot,
    after: Snapshot,
}

const MEMBERS: usize = 6;
/// It could not be entered, later.
const UNREAD: usize = 2;
/// It was not there before.
const NEW: usize = 5;

/// Some checks: each executor plans them anew.
fn checks(catalog: &Catalog) -> Vec<Arc<Check>> {
    let mut checks = common::checks(catalog);
    checks.retain(|c| ["s3", "organizations", "kms"].contains(&c.service.as_str()));
    checks
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let catalog = common::catalog(None);
    let demo = common::demo(&catalog);
    let store = folder.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let place = Place::new(store.to_str().unwrap()).unwrap();
    let members = common::members(MEMBERS);
    let mut scanner = Scanner::new(Arc::clone(&catalog));
    scanner.set_now(demo.now);
    let planned = scanner.plan(&checks(&catalog)).unwrap();
    let taking = Taking {
        place: &place,
        scanner: &scanner,
        planned: &planned,
        demo: &demo,
    };
    let taken = |number: usize, later: bool| {
        let mut accounts = Vec::new();
        for (at, id) in members.iter().enumerate() {
            // other lists and rows could not be read in another number's place
            let mut dataset = common::member(&demo, id, at + number, 1);
            if later {
                drifted(&mut dataset);
            }
            match (later, at) {
                (true, UNREAD) => accounts.push((id.clone(), None)),
                (false, NEW) => {}
                _ => accounts.push((id.clone(), Some(dataset))),
            }
        }
        taking.snapshot(number, accounts)
    };
    Sample {
        before: taken(1, false),
        after: taken(2, true),
        catalog,
        place,
        folder,
    }
});

static SHARED: LazyLock<Running> = LazyLock::new(|| {
    let folder = SAMPLE.folder.path().join("shared");
    std::fs::create_dir(&folder).unwrap();
    Running::start(&folder, 2, None, &[])
});

/// Resources that go, and values that change.
fn drifted(dataset: &mut Dataset) {
    for (name, column) in [
        ("ec2_security_group", "description"),
        ("kms_key", "description"),
        ("iam_user", "path"),
    ] {
        for batch in &mut dataset.tables.get_mut(name).unwrap().batches {
            let schema = batch.rows.schema();
            let columns = schema.fields().iter().zip(batch.rows.columns());
            let changed = columns.map(|(field, values)| -> ArrayRef {
                if field.name() != column {
                    return Arc::clone(values);
                }
                let texts = values.as_string::<i32>().iter().enumerate();
                let texts = texts.map(|(row, text)| match row % 3 {
                    0 => text.map(|text| format!("{text} changed")),
                    _ => text.map(str::to_owned),
                });
                Arc::new(texts.collect::<StringArray>())
            });
            batch.rows = RecordBatch::try_new(Arc::clone(&schema), changed.collect()).unwrap();
        }
    }
    for batch in &mut dataset.tables.get_mut("s3_bucket").unwrap().batches {
        let fewer = batch.rows.num_rows().saturating_sub(1);
        batch.rows = batch.rows.slice(0, fewer);
        batch.failures.retain(|f| f.row < fewer);
    }
}

struct Taking<'t> {
    place: &'t Place,
    scanner: &'t Scanner,
    planned: &'t Planned,
    demo: &'t common::Collected,
}

impl Taking<'_> {
    /// A snapshot of accounts, of which some could not be entered, with what the checks say.
    fn snapshot(&self, number: usize, accounts: Vec<(String, Option<Dataset>)>) -> Snapshot {
        let days = i64::try_from(number).unwrap();
        let started_at = self.demo.now.as_micros() + days * 24 * 3_600 * 1_000_000;
        let started_at = Timestamp::from_micros(started_at);
        let time: String = started_at.to_string().chars().take(19).collect();
        let digits = time.replace(['-', ':'], "");
        let id = format!("{digits}Z-0000000{number}");
        let plan = RunPlan {
            format: palisade_store::FORMAT,
            run: id.clone(),
            snapshot: id,
            started_at,
            palisade: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: "test".to_owned(),
            regions: self.demo.regions.clone(),
            shards: 1,
            asks: String::new(),
            judged: true,
            accounts: accounts.iter().map(|(id, _)| id.clone()).collect(),
            left_out: Vec::new(),
        };
        let store = self.place.open().unwrap();
        let attempt = format!("0000000{number}");
        let run = runtime().block_on(store.begin_run(plan, &attempt)).unwrap();
        let mut summaries = Vec::new();
        for (account_id, dataset) in accounts {
            let Some(dataset) = dataset else {
                runtime()
                    .block_on(run.unread(&refused(&account_id), true))
                    .unwrap();
                continue;
            };
            let collected = Collected {
                dataset: dataset.clone(),
                coverage: self.demo.coverage.clone(),
            };
            let scope = Scope {
                accounts: vec![account_id.clone()],
                regions: self.demo.regions.clone(),
            };
            let assessed = self
                .scanner
                .assess(self.planned, collected, scope, Options::default());
            let assessed = assessed.unwrap();
            summaries = assessed.checks;
            let result = AccountResult {
                account_id: &account_id,
                dataset: &dataset,
                coverage: &self.demo.coverage,
                findings: Some(&assessed.findings),
            };
            assert!(runtime().block_on(run.account(result)).unwrap());
        }
        let committed = run.commit_judged(started_at, &summaries, true);
        match runtime().block_on(committed).unwrap() {
            Committed::Now(manifest) => store.of(manifest),
            Committed::Before(_) => panic!("twice"),
        }
    }
}

fn refused(account_id: &str) -> CallError {
    CallError {
        service: "sts".to_owned(),
        operation: "AssumeRole".to_owned(),
        account_id: account_id.to_owned(),
        region: "us-east-1".to_owned(),
        kind: CallErrorKind::Denied,
        code: "AccessDenied".to_owned(),
        message: "not allowed".to_owned(),
        permissions: vec!["sts:AssumeRole".to_owned()],
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn cluster(url: &str) -> Cluster {
    Cluster::new(url, Arc::clone(&SAMPLE.catalog)).unwrap()
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn drift_here(filter: &Filter) -> Diff {
    let sample = &*SAMPLE;
    let models = Arc::new(Models::embedded());
    let schemas = CatalogSchemas::new(Arc::clone(&sample.catalog), models);
    let (before, after) = (Side::Stored(&sample.before), Side::Stored(&sample.after));
    runtime()
        .block_on(diff(before, after, &schemas, filter))
        .unwrap()
}

fn drift_there(url: &str, filter: &Filter) -> Diff {
    let sample = &*SAMPLE;
    let (place, before, after) = (&sample.place, &sample.before, &sample.after);
    runtime()
        .block_on(cluster(url).diff(place, before, after, filter))
        .unwrap()
}

#[test]
fn what_changed_is_the_same() {
    let members = common::members(MEMBERS);
    let everything = drift_here(&Filter::default());
    let kinds: std::collections::BTreeSet<&str> = everything
        .resources
        .iter()
        .map(|r| r.kind.as_str())
        .collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert!(
        everything.findings.len() > 20,
        "{}",
        everything.findings.len()
    );
    for lacking in [UNREAD, NEW] {
        let of =
            |l: &&palisade_drift::NotCompared| l.account_id.as_ref() == Some(&members[lacking]);
        assert!(everything.not_compared.iter().any(|l| of(&l)), "{lacking}");
    }
    for filter in [
        Filter::default(),
        Filter {
            tables: vec!["s3_*".to_owned(), "kms_key".to_owned()],
            findings: false,
            ..Filter::default()
        },
        Filter {
            accounts: vec![members[0].clone(), members[UNREAD].clone()],
            resources: false,
            ..Filter::default()
        },
        // nobody has work
        Filter {
            accounts: vec!["999999999999".to_owned()],
            ..Filter::default()
        },
    ] {
        let (here, there) = (drift_here(&filter), drift_there(&SHARED.url(), &filter));
        assert_eq!(difference(&json(&there), &json(&here)), None, "{filter:?}");
        assert!(there == here, "{filter:?}");
        let (text, markdown) = (palisade_drift::text, palisade_drift::markdown);
        assert_eq!(
            (text(&there), markdown(&there)),
            (text(&here), markdown(&here))
        );
    }
}

#[test]
fn an_executor_that_is_killed_changes_no_drift() {
    let here = drift_here(&Filter::default());
    let folder = SAMPLE.folder.path().join("killed");
    std::fs::create_dir(&folder).unwrap();
    let there = without_one(&folder, None, |url| drift_there(&url, &Filter::default()));
    assert_eq!(difference(&json(&there), &json(&here)), None);
}

/// What nobody could look at is unknown, on one machine and on many.
#[test]
fn an_account_that_could_not_be_entered_is_judged_the_same() {
    let sample = &*SAMPLE;
    let unread = &common::members(MEMBERS)[UNREAD];
    let snapshot = &sample.after;
    assert!(snapshot.everyone().contains(unread) && !snapshot.accounts().contains(unread));
    let mut checks = checks(&sample.catalog);
    // one that looks at all accounts, through computed tables
    let ways = &sample.catalog.checks["iam-principal-no-privilege-escalation"];
    checks.push(Arc::clone(ways));
    // as a selection has them
    checks.sort_by(|a, b| a.id.cmp(&b.id));
    let mut scanner = Scanner::new(Arc::clone(&sample.catalog));
    scanner.set_now(snapshot.manifest().started_at);
    let options = Options {
        passes: true,
        evidence: true,
        ..Options::default()
    };
    let here = scanner.assess_snapshot(&checks, snapshot, options, Listing::All);
    let (here, left_out) = runtime().block_on(here).unwrap();
    let cluster = cluster(&SHARED.url());
    let there = cluster.assess_snapshot(&scanner, &sample.place, snapshot, &checks, options);
    let (there, left_out_there) = runtime().block_on(there).unwrap();
    assert_eq!(left_out_there.len(), left_out.len());
    let mut pairs = there.findings.iter().zip(&here.findings);
    assert_eq!(pairs.find(|(there, here)| there != here), None);
    assert_eq!(difference(&json(&there), &json(&here)), None);
    let mut of = here.findings.iter().filter(|f| *f.account_id == **unread);
    assert!(of.clone().count() > 0 && of.all(|f| f.status == Status::Unknown));
}

/// SQL over the tables over time, and whether its rows are in an order.
const QUERIES: &[(&str, bool)] = &[
    ("SELECT * FROM finding_history", false),
    ("SELECT * FROM resource_history", false),
    ("SELECT * FROM resource_change", false),
    (
        "SELECT account_id, status, count(*) AS n FROM finding_history GROUP BY account_id, status ORDER BY account_id, status",
        true,
    ),
    (
        "SELECT resource, first_seen FROM resource_history WHERE account_id = '210000000001' AND NOT present ORDER BY resource",
        true,
    ),
    (
        "SELECT c.account_id, c.path, count(*) AS n FROM resource_change c JOIN resource_history h ON h.account_id = c.account_id AND h.resource = c.resource AND h.resource_type = c.resource_type GROUP BY c.account_id, c.path ORDER BY 1, 2",
        true,
    ),
    (
        "SELECT f.account_id, f.resource, b.name FROM finding_history f JOIN s3_bucket b ON b.arn = f.resource AND b.account_id = f.account_id WHERE f.status = 'open'",
        false,
    ),
    (
        "SELECT count(*) AS n FROM finding_history WHERE account_id = 'nobody'",
        false,
    ),
];

#[test]
fn tables_over_time_have_the_same_rows() {
    let sample = &*SAMPLE;
    let cluster = cluster(&SHARED.url());
    let now = sample.after.manifest().started_at;
    let mut scanner = Scanner::new(Arc::clone(&sample.catalog));
    scanner.set_now(now);
    let runtime = runtime();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for snapshots in [
        vec![sample.after.clone()],
        vec![sample.before.clone(), sample.after.clone()],
        vec![sample.before.clone()],
    ] {
        for (sql, ordered) in QUERIES {
            let asked = scanner.query_snapshots(sql, &snapshots, 1 << 30, runtime.handle());
            let (here, lacking) = asked.unwrap_or_else(|e| panic!("{sql}\n{e}"));
            let asked = cluster.sql(&sample.place, &snapshots, sql, now);
            let (there, lacking_there) = match runtime.block_on(asked) {
                Ok(there) => there,
                Err(e) => {
                    wrong.push(format!("{sql}\n{e}"));
                    continue;
                }
            };
            assert_eq!(lacking, lacking_there, "{sql}");
            let (mut a, mut b) = (there.to_json_lines(), here.to_json_lines());
            seen += b.lines().count();
            if !ordered {
                (a, b) = (sorted(&a), sorted(&b));
            }
            let of = snapshots.len();
            wrong.extend(difference(&a, &b).map(|d| format!("{of}: {sql}\n{d}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(seen > 1000, "{seen}");
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}
