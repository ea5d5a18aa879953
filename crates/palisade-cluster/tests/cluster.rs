//! Checks and SQL on schedulers and executors that are processes of their own, against the embedded engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "common/mod.rs"]
mod common;
#[path = "common/processes.rs"]
mod processes;

use common::{Collected, difference, embedded, lines};
use palisade_catalog::Catalog;
use palisade_cluster::{Cluster, ClusterError, Lake};
use palisade_core::{Finding, Status};
use palisade_query::{Evaluation, Options};
use processes::Running;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Checks that look across accounts and checks that fail, over the shipped ones.
fn over() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalog")
}

struct Sample {
    folder: tempfile::TempDir,
    catalog: Arc<Catalog>,
    demo: Lake,
    organisation: Lake,
}

const MEMBERS: usize = 4;

/// Snapshots of the demo account and of an organisation, made once.
static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let catalog = common::catalog(Some(&over()));
    let demo: Collected = common::demo(&catalog);
    let one = [(demo.account.clone(), demo.dataset.clone())];
    let accounts = common::members(MEMBERS);
    let members = accounts.into_iter().enumerate().map(|(number, account)| {
        let dataset = common::member(&demo, &account, number, 1);
        (account, dataset)
    });
    let store = folder.path().join("store");
    let single = common::snapshot(&store, "00000001", &demo, one);
    let organisation = common::snapshot(&store, "00000002", &demo, members);
    Sample {
        catalog,
        demo: single,
        organisation,
        folder,
    }
});

/// A cluster for the tests that break nothing. Its processes end with this one.
static SHARED: LazyLock<Running> = LazyLock::new(|| {
    let folder = SAMPLE.folder.path().join("shared");
    std::fs::create_dir(&folder).unwrap();
    Running::start(&folder, 2, Some(&over()), &[])
});

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn cluster(url: &str) -> Cluster {
    Cluster::new(url, Arc::clone(&SAMPLE.catalog)).unwrap()
}

fn distributed(url: &str, lake: &Lake, options: Options) -> Result<Evaluation, ClusterError> {
    let now = common::open(lake).manifest().started_at;
    let checks = common::checks(&SAMPLE.catalog);
    runtime().block_on(cluster(url).findings(lake, &checks, now, options))
}

/// Two evaluations are one, to the byte.
fn assert_same(there: &Evaluation, here: &Evaluation) {
    if let Some(difference) = difference(&lines(there), &lines(here)) {
        panic!("cluster against embedded: {difference}");
    }
    assert_eq!(there.errors, here.errors);
    assert_eq!(there.counts, here.counts);
    assert_eq!(there, here);
}

#[test]
fn findings_of_one_account() {
    let sample = &*SAMPLE;
    let here = embedded(&sample.demo, &sample.catalog, Options::default());
    assert!(here.findings.len() > 500, "{}", here.findings.len());
    let there = distributed(&SHARED.url(), &sample.demo, Options::default()).unwrap();
    assert_same(&there, &here);
}

#[test]
fn findings_of_an_organisation() {
    let sample = &*SAMPLE;
    let options = Options {
        passes: true,
        evidence: true,
    };
    let here = embedded(&sample.organisation, &sample.catalog, options);
    let seen = common::statuses(&here);
    for status in ["pass", "fail", "unknown"] {
        assert!(seen.get(status).is_some_and(|n| *n > 100), "{seen:?}");
    }
    // what the sample checks are there for did come to pass
    let of = |check: &'static str| here.findings.iter().filter(move |f| &*f.check == check);
    assert!(of("s3-test-names-in-one-account").any(|f| f.evidence["times"] == MEMBERS));
    let failed = of("s3-test-sum-fails-in-one-account");
    let undecided = |f: &&Finding| f.message.starts_with("could not be decided");
    let accounts: BTreeSet<&str> = failed.filter(undecided).map(|f| &*f.account_id).collect();
    assert_eq!(accounts, BTreeSet::from(["210000000015"]));
    assert!(of("s3-test-rows-fail-in-one-account").any(|f| undecided(&f)));
    assert!(of("s3-test-organisation-known").any(|f| f.evidence["accounts"].as_i64() > Some(3)));
    assert_eq!(here.errors.len(), 1, "{:?}", here.errors);
    let there = distributed(&SHARED.url(), &sample.organisation, options).unwrap();
    assert_same(&there, &here);
    // Accounts one by one or all at once: that is the same, unless a check fails.
    let mut at_once = common::at_once(&sample.organisation, &sample.catalog, options);
    let mut there = there;
    for found in [&mut at_once, &mut there] {
        let failing = [
            "s3-test-sum-fails-in-one-account",
            "s3-test-wrong-in-one-account",
        ];
        found.findings.retain(|f| !failing.contains(&&*f.check));
    }
    assert_eq!(difference(&lines(&there), &lines(&at_once)), None);
}

#[test]
fn passes_that_nobody_wants_are_counted() {
    let sample = &*SAMPLE;
    let options = Options {
        passes: false,
        evidence: false,
    };
    let here = embedded(&sample.demo, &sample.catalog, options);
    assert!(here.findings.iter().all(|f| f.status != Status::Pass));
    let there = distributed(&SHARED.url(), &sample.demo, options).unwrap();
    assert_same(&there, &here);
}

/// SQL, and whether its rows are in an order.
const QUERIES: &[(&str, bool)] = &[
    (
        "SELECT account_id, count(*) AS n FROM s3_bucket GROUP BY account_id ORDER BY account_id",
        true,
    ),
    ("SELECT count(*) AS n FROM ec2_security_group", false),
    ("SELECT 1 AS one FROM s3_bucket", false),
    ("SELECT * FROM s3_bucket", false),
    (
        "SELECT name, age_days(creation_date) AS age FROM s3_bucket WHERE age_days(creation_date) > 0 ORDER BY account_id, name",
        true,
    ),
    (
        "SELECT age_days(creation_date) AS age, count(*) AS n FROM s3_bucket GROUP BY age_days(creation_date)",
        false,
    ),
    (
        "SELECT account_id, group_id, array_any_match(ip_permissions, p -> port_in_range(p['from_port'], p['to_port'], 22) AND array_any_match(p['ip_ranges'], r -> cidr_is_public(r['cidr_ip']))) AS open FROM ec2_security_group ORDER BY account_id, group_id",
        true,
    ),
    (
        "SELECT cardinality(array_filter(ip_permissions, p -> p['from_port'] = 22)) AS n, count(*) AS groups FROM ec2_security_group GROUP BY 1",
        false,
    ),
    (
        "SELECT s.account_id, v.vpc_id, s.group_id FROM ec2_security_group s JOIN ec2_vpc v ON v.account_id = s.account_id AND v.vpc_id = s.vpc_id",
        false,
    ),
    (
        "SELECT v.vpc_id, count(s.group_id) AS groups, string_agg(s.group_name, ', ' ORDER BY s.group_name) AS names FROM ec2_vpc v LEFT JOIN ec2_security_group s ON v.vpc_id = s.vpc_id AND v.account_id = s.account_id GROUP BY v.vpc_id ORDER BY v.vpc_id",
        true,
    ),
    ("SELECT DISTINCT region FROM ec2_vpc", false),
    (
        "SELECT account_id, name FROM s3_bucket WHERE name NOT IN (SELECT name FROM s3_bucket WHERE account_id = '210000000001')",
        false,
    ),
    (
        "SELECT account_id, (SELECT max(name) FROM s3_bucket) AS last FROM s3_bucket",
        false,
    ),
    (
        "SELECT b.account_id, (SELECT count(*) FROM ec2_vpc v WHERE v.account_id = b.account_id) AS vpcs FROM s3_bucket b",
        false,
    ),
    (
        "SELECT account_id, name, row_number() OVER (PARTITION BY account_id ORDER BY name) AS place FROM s3_bucket",
        false,
    ),
    (
        "SELECT account_id, rank() OVER (ORDER BY account_id, name) AS place FROM s3_bucket ORDER BY place LIMIT 5",
        true,
    ),
    (
        "SELECT name FROM s3_bucket UNION ALL SELECT vpc_id FROM ec2_vpc",
        false,
    ),
    (
        "WITH n AS (SELECT account_id, count(*) AS c FROM iam_user GROUP BY account_id) SELECT max(c) AS most, min(c) AS least FROM n",
        false,
    ),
    (
        "SELECT account_id, unnest(ip_permissions)['from_port'] AS port FROM ec2_security_group",
        false,
    ),
    (
        "SELECT account_id, kind, who, count(*) AS n FROM iam_external_access GROUP BY account_id, kind, who ORDER BY account_id, kind, who",
        true,
    ),
    (
        "SELECT arn, action FROM iam_principal_permission WHERE action = 's3:GetObject' ORDER BY arn, action",
        true,
    ),
    (
        "SELECT account_id, $now - creation_date > INTERVAL '1 day' AS old FROM s3_bucket",
        false,
    ),
    (
        "SELECT account_id, name FROM s3_bucket WHERE account_id = 'nobody'",
        false,
    ),
    ("SELECT 1 + 1 AS two", false),
];

#[test]
fn rows_of_sql() {
    let sample = &*SAMPLE;
    let lake = &sample.organisation;
    let now = common::open(lake).manifest().started_at;
    let engine = common::engine(&sample.catalog, now);
    let cluster = cluster(&SHARED.url());
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    let mut wrong = Vec::new();
    for (sql, ordered) in QUERIES {
        let needs = engine.columns_of_sql(sql).unwrap();
        let dataset = common::load(lake, &sample.catalog, &needs, None);
        let here = engine.sql(sql, &dataset).unwrap();
        let there = match runtime().block_on(cluster.sql(lake, sql, now)) {
            Ok(there) => there,
            Err(e) => {
                wrong.push(format!("{sql}\n{e}"));
                continue;
            }
        };
        let names = |rows: &palisade_query::QueryResult| -> Vec<String> {
            rows.schema
                .fields()
                .iter()
                .map(|f| f.name().clone())
                .collect()
        };
        let (mut a, mut b) = (there.to_json_lines(), here.to_json_lines());
        if !ordered {
            (a, b) = (sorted(&a), sorted(&b));
        }
        let difference = difference(&a, &b).or((a != b).then(|| "another order".to_owned()));
        if names(&there) != names(&here) {
            wrong.push(format!("{sql}\n{:?} {:?}", names(&there), names(&here)));
        }
        wrong.extend(difference.map(|d| format!("{sql}\n{d}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn wrong_sql_is_told_as_the_embedded_engine_tells_it() {
    let lake = &SAMPLE.organisation;
    let now = common::open(lake).manifest().started_at;
    let engine = common::engine(&SAMPLE.catalog, now);
    let cluster = cluster(&SHARED.url());
    for sql in [
        "SELECT nam FROM s3_bucket",
        "SELECT name FROM s3_buckets",
        "SELECT now()",
        "DROP TABLE s3_bucket",
        "SELECT no_such_function(name) FROM s3_bucket",
    ] {
        let there = runtime().block_on(cluster.sql(lake, sql, now)).unwrap_err();
        let here = engine.columns_of_sql(sql).unwrap_err();
        assert_eq!(there.to_string(), here.to_string(), "{sql}");
    }
    let fails = "SELECT CAST(name AS BIGINT) FROM s3_bucket";
    let error = runtime()
        .block_on(cluster.sql(lake, fails, now))
        .unwrap_err();
    assert!(error.to_string().contains("Cannot cast"), "{error}");
}

/// Kills the executor that has work in its hands, and gives what came all the same.
fn without_one<T: Send>(name: &str, ask: impl FnOnce(String) -> T + Send) -> T {
    let folder = SAMPLE.folder.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    let held = folder.join("held");
    let environment = [("PALISADE_CLUSTER_HOLD", held.to_str().unwrap())];
    let mut running = Running::start(&folder, 2, Some(&over()), &environment);
    let url = running.url();
    std::thread::scope(|scope| {
        let asked = scope.spawn(move || ask(url));
        let until = Instant::now() + Duration::from_secs(300);
        let victim = loop {
            assert!(
                Instant::now() < until && !asked.is_finished(),
                "nobody took the work"
            );
            match std::fs::read_to_string(&held) {
                Ok(text) if text.ends_with('\n') => break text.trim().parse::<u32>().unwrap(),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let victim = running.executors.iter_mut().find(|e| e.id() == victim);
        victim.unwrap().kill();
        asked.join().unwrap()
    })
}

#[test]
fn an_executor_that_is_killed_changes_no_finding() {
    let sample = &*SAMPLE;
    let here = embedded(&sample.organisation, &sample.catalog, Options::default());
    let there = without_one("killed-findings", |url| {
        distributed(&url, &sample.organisation, Options::default())
    });
    assert_same(&there.unwrap(), &here);
}

#[test]
fn an_executor_that_is_killed_changes_no_row() {
    let sample = &*SAMPLE;
    let lake = &sample.organisation;
    let now = common::open(lake).manifest().started_at;
    let sql = "SELECT v.account_id, v.vpc_id, count(s.group_id) AS groups FROM ec2_vpc v LEFT JOIN ec2_security_group s ON v.vpc_id = s.vpc_id AND v.account_id = s.account_id GROUP BY v.account_id, v.vpc_id ORDER BY v.account_id, v.vpc_id";
    let engine = common::engine(&sample.catalog, now);
    let needs = engine.columns_of_sql(sql).unwrap();
    let dataset = common::load(lake, &sample.catalog, &needs, None);
    let here = engine.sql(sql, &dataset).unwrap();
    let there = without_one("killed-rows", |url| {
        runtime().block_on(cluster(&url).sql(lake, sql, now))
    });
    assert_eq!(there.unwrap().to_json_lines(), here.to_json_lines());
}

#[test]
fn who_cannot_be_used_is_told() {
    let lake = &SAMPLE.demo;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let ask = |url: &str, catalog: Arc<Catalog>| {
        let cluster = Cluster::new(url, catalog).unwrap();
        let cluster = cluster.with_patience(Duration::from_millis(300));
        let now = common::open(lake).manifest().started_at;
        let sql = "SELECT count(*) AS n FROM s3_bucket";
        runtime().block_on(cluster.sql(lake, sql, now)).unwrap_err()
    };
    let catalog = || Arc::clone(&SAMPLE.catalog);

    let error = ask(&format!("ballista://127.0.0.1:{port}"), catalog());
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error}");
    assert!(
        error.to_string().contains("palisade cluster scheduler"),
        "{error}"
    );

    let error = Cluster::new("http://127.0.0.1:1", catalog()).unwrap_err();
    assert!(
        error.to_string().contains("ballista://HOST:PORT"),
        "{error}"
    );

    let other = palisade_replay::Server::start(
        Arc::new(palisade_replay::Recording::new(
            palisade_replay::Header::default(),
        )),
        palisade_replay::Faults::none(),
    )
    .unwrap();
    let url = other.url().replace("http://", "ballista://");
    let error = ask(&url, catalog());
    assert!(
        matches!(error, ClusterError::NotAScheduler { .. }),
        "{error}"
    );
    other.shutdown();

    let folder = SAMPLE.folder.path().join("alone");
    std::fs::create_dir(&folder).unwrap();
    let alone = Running::start(&folder, 0, None, &[]);
    let error = ask(&alone.url(), catalog());
    assert!(matches!(error, ClusterError::NoExecutor { .. }), "{error}");

    // executors with checks of their own do not work for those who have none
    let error = ask(&SHARED.url(), common::catalog(None));
    assert!(matches!(error, ClusterError::Refused(_)), "{error}");
    assert!(error.to_string().contains("another catalogue"), "{error}");
}

#[test]
fn what_is_not_there_is_told() {
    let sample = &*SAMPLE;
    let cluster = cluster(&SHARED.url());
    let now = common::open(&sample.demo).manifest().started_at;
    let ask = |location: &str, snapshot: &str| {
        let lake = Lake::new(location, snapshot).unwrap();
        let asked = cluster.sql(&lake, "SELECT count(*) FROM s3_bucket", now);
        runtime().block_on(asked).unwrap_err().to_string()
    };
    let nowhere = sample.folder.path().join("nowhere");
    let error = ask(nowhere.to_str().unwrap(), "latest");
    assert!(error.contains("nowhere"), "{error}");
    assert!(!nowhere.exists());
    let error = ask(&sample.demo.location, "20010101");
    assert!(error.contains("no snapshot `20010101`"), "{error}");

    // a snapshot of some tables only
    let few = sample.folder.path().join("few");
    let demo = common::demo(&sample.catalog);
    let mut dataset = demo.dataset.clone();
    dataset.tables.retain(|name, _| name == "s3_bucket");
    let lake = common::snapshot(&few, "00000003", &demo, [(demo.account.clone(), dataset)]);
    let sql = "SELECT count(*) FROM ec2_vpc";
    let error = runtime()
        .block_on(cluster.sql(&lake, sql, now))
        .unwrap_err();
    assert!(matches!(error, ClusterError::Lacking { .. }), "{error}");
    assert!(error.to_string().contains("ec2_vpc"), "{error}");
}

#[test]
fn the_program_answers_and_says_nothing_else() {
    let sample = &*SAMPLE;
    let running = &*SHARED;
    let run = |arguments: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_palisade-cluster"))
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (out.status.code(), text(out.stdout), text(out.stderr))
    };
    let (url, over) = (running.url(), over());
    let place = [
        "--engine",
        &url,
        "--store",
        &sample.demo.location,
        "--snapshot",
        &sample.demo.snapshot,
        "--catalog",
        over.to_str().unwrap(),
    ];
    let sql = "SELECT count(*) AS n FROM s3_bucket";
    let (code, out, err) = run(&[&["sql"], &place[..], &[sql]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let n: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert!(n["n"].as_i64() > Some(0), "{out}");
    let (code, out, err) = run(&[&["findings"], &place[..]].concat());
    let here = embedded(&sample.demo, &sample.catalog, Options::default());
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(difference(out.trim(), &lines(&here)), None);
    for (arguments, says) in [
        (vec![], "palisade-cluster scheduler"),
        (vec!["executor"], "--scheduler is missing"),
        (
            vec!["scheduler", "--bind", "nowhere"],
            "`nowhere` is not possible",
        ),
        (
            vec!["scheduler", "--bind", &running.scheduler.address],
            "cannot run",
        ),
        (
            vec!["sql", "--engine", "x", "--store", "y", "SELECT 1"],
            "`x` is no engine",
        ),
    ] {
        let (code, out, err) = run(&arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(err.contains(says), "{arguments:?}: {err}");
    }
    assert_eq!(running.said(), "", "logs belong on the standard error");
}
