//! Checks and SQL on schedulers and executors that are processes of their own, against the embedded engine.
use crate::common::{self, Collected, Embedded, Taken, assert_same, difference, lines};
use crate::processes::{self, Running};
use palisade_catalog::{Catalog, Check};
use palisade_cluster::{Cluster, ClusterError, Place};
use palisade_core::{Assessment, Finding, Listing, Status};
use palisade_query::{Evaluation, Options, QueryResult};
use palisade_scan::{ScanError, Scanner};
use palisade_store::Snapshot;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Checks that look across accounts and checks that fail, over the shipped ones.
fn over() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalog")
}

struct Sample {
    folder: tempfile::TempDir,
    catalog: Arc<Catalog>,
    demo: Taken,
    organisation: Taken,
    embedded: Embedded,
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
        embedded: Embedded::new(&catalog, &common::checks(&catalog), demo.now),
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

fn distributed(url: &str, taken: &Taken, options: Options) -> Result<Evaluation, ClusterError> {
    findings(url, taken, &common::checks(&SAMPLE.catalog), options)
}

fn findings(
    url: &str,
    taken: &Taken,
    checks: &[Arc<Check>],
    options: Options,
) -> Result<Evaluation, ClusterError> {
    let cluster = cluster(url);
    let (place, snapshot) = (&taken.place, &taken.snapshot);
    runtime().block_on(cluster.findings(place, snapshot, checks, taken.now(), options))
}

/// Rows from a cluster.
fn rows(cluster: &Cluster, taken: &[&Taken], sql: &str) -> Result<QueryResult, ClusterError> {
    let snapshots: Vec<Snapshot> = taken.iter().map(|t| t.snapshot.clone()).collect();
    let asked = cluster.sql(&taken[0].place, &snapshots, sql, taken[0].now());
    runtime().block_on(asked).map(|(rows, _)| rows)
}

/// Rows from the embedded engine.
fn rows_here(taken: &[&Taken], sql: &str) -> Result<QueryResult, ScanError> {
    let mut scanner = Scanner::new(Arc::clone(&SAMPLE.catalog));
    scanner.set_now(taken[0].now());
    let snapshots: Vec<Snapshot> = taken.iter().map(|t| t.snapshot.clone()).collect();
    let runtime = runtime();
    let asked = scanner.query_snapshots(sql, &snapshots, 1 << 30, runtime.handle());
    asked.map(|(rows, _)| rows)
}

fn json(assessment: &Assessment) -> String {
    serde_json::to_string_pretty(assessment).unwrap()
}

#[test]
fn findings_of_one_account() {
    let sample = &*SAMPLE;
    let here = sample.embedded.says(&sample.demo, Options::default());
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
        whole: false,
    };
    let here = sample.embedded.says(&sample.organisation, options);
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
    let wrong = of("s3-test-wrong-in-one-account").filter(undecided);
    let accounts: BTreeSet<&str> = wrong.map(|f| &*f.account_id).collect();
    assert_eq!(accounts, BTreeSet::from(["210000000022"]));
    assert_eq!(here.errors, []);
    let there = distributed(&SHARED.url(), &sample.organisation, options).unwrap();
    assert_same(&there, &here);
    // and so says the command that has no cluster
    let shipped = |id: &str| !id.starts_with("s3-test-");
    let mut checks = common::checks(&sample.catalog);
    checks.retain(|c| shipped(&c.id));
    let mut scanner = Scanner::new(Arc::clone(&sample.catalog));
    let taken = &sample.organisation;
    scanner.set_now(taken.now());
    let assessed = scanner.assess_snapshot(&checks, &taken.snapshot, options, Listing::All);
    let (here, left_out) = runtime().block_on(assessed).unwrap();
    assert!(left_out.is_empty());
    let cluster = cluster(&SHARED.url());
    let (place, snapshot) = (&taken.place, &taken.snapshot);
    let assessed = cluster.assess_snapshot(&scanner, place, snapshot, &checks, options);
    let (assessed, left_out) = runtime().block_on(assessed).unwrap();
    assert!(left_out.is_empty());
    assert_eq!(difference(&json(&assessed), &json(&here)), None);
    assert!(assessed == here, "another order");
    // Accounts one by one or all at once: that is the same, unless a check fails.
    let mut at_once = sample.embedded.says_at_once(&sample.organisation, options);
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
        whole: false,
    };
    let here = sample.embedded.says(&sample.demo, options);
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

/// Queries that give other rows, with what is different.
fn wrong_rows(taken: &[&Taken], queries: &[(&str, bool)]) -> Vec<String> {
    let cluster = cluster(&SHARED.url());
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    let mut wrong = Vec::new();
    for (sql, ordered) in queries {
        let here = rows_here(taken, sql).unwrap_or_else(|e| panic!("{sql}\n{e}"));
        let there = match rows(&cluster, taken, sql) {
            Ok(there) => there,
            Err(e) => {
                wrong.push(format!("{sql}\n{e}"));
                continue;
            }
        };
        let names = |rows: &QueryResult| -> Vec<String> {
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
    wrong
}

#[test]
fn rows_of_a_snapshot() {
    let wrong = wrong_rows(&[&SAMPLE.organisation], QUERIES);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Over several snapshots.
const ACROSS: &[(&str, bool)] = &[
    (
        "SELECT snapshot, account_id, count(*) AS n FROM s3_bucket GROUP BY snapshot, account_id ORDER BY snapshot, account_id",
        true,
    ),
    (
        "SELECT snapshot, rows, accounts FROM snapshot ORDER BY snapshot",
        true,
    ),
    ("SELECT count(*) AS n FROM snapshot", false),
    (
        "SELECT s.started_at, count(*) AS n FROM snapshot s JOIN ec2_vpc v ON v.snapshot = s.snapshot GROUP BY s.started_at",
        false,
    ),
    (
        "SELECT * FROM ec2_vpc WHERE account_id = '210000000008' AND region = 'us-east-1'",
        false,
    ),
    (
        "SELECT name FROM s3_bucket WHERE account_id IN ('210000000001', '210000000008') AND name > 'tidewater-b'",
        false,
    ),
    (
        "SELECT count(*) AS n FROM s3_bucket WHERE account_id = 'nobody'",
        false,
    ),
    ("SELECT count(*) AS n FROM finding", false),
];

#[test]
fn rows_of_several_snapshots() {
    let taken = [&SAMPLE.organisation, &SAMPLE.demo];
    let wrong = wrong_rows(&taken, ACROSS);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn wrong_sql_is_told_as_the_embedded_engine_tells_it() {
    let taken = [&SAMPLE.organisation];
    let cluster = cluster(&SHARED.url());
    for sql in [
        "SELECT nam FROM s3_bucket",
        "SELECT name FROM s3_buckets",
        "SELECT now()",
        "SELECT abs(1)",
        "DROP TABLE s3_bucket",
        "SELECT no_such_function(name) FROM s3_bucket",
    ] {
        let there = rows(&cluster, &taken, sql).unwrap_err();
        let here = rows_here(&taken, sql).unwrap_err();
        assert_eq!(there.to_string(), here.to_string(), "{sql}");
    }
    let error = rows(
        &cluster,
        &taken,
        "SELECT CAST(name AS BIGINT) FROM s3_bucket",
    )
    .unwrap_err();
    assert!(error.to_string().contains("Cannot cast"), "{error}");
}

/// Planners and codecs are recursive: the longest SQL that is possible gives rows or an error, and kills nobody.
#[test]
fn long_and_deep_sql() {
    let taken = [&SAMPLE.demo];
    let mut terms: Vec<String> = (0..900)
        .map(|n| format!("name <> 'x{n}' || region"))
        .collect();
    let long = format!(
        "SELECT count(*) AS n FROM s3_bucket WHERE {}",
        terms.join(" AND ")
    );
    terms.truncate(100);
    let ors = format!(
        "SELECT count(*) AS n FROM s3_bucket WHERE {}",
        terms.join(" OR ")
    );
    let mut deep = "name".to_owned();
    for n in 0..25 {
        deep = format!("concat('{n}', {deep})");
    }
    let deep = format!("SELECT {deep} AS n FROM s3_bucket ORDER BY 1");
    for sql in [&long, &ors, &deep] {
        let here = rows_here(&taken, sql).unwrap();
        match rows(&cluster(&SHARED.url()), &taken, sql) {
            Ok(there) => assert_eq!(there.to_json_lines(), here.to_json_lines()),
            Err(e) => panic!("{e}"),
        }
    }
}

/// What comes of a question while an executor is killed.
fn without_one<T: Send>(name: &str, ask: impl FnOnce(String) -> T + Send) -> T {
    let folder = SAMPLE.folder.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    processes::without_one(&folder, Some(&over()), ask)
}

#[test]
fn an_executor_that_is_killed_changes_no_finding() {
    let sample = &*SAMPLE;
    // some of the checks: each executor plans them anew
    let mut checks = common::checks(&sample.catalog);
    checks.retain(|c| ["s3", "ec2", "iam", "organizations"].contains(&c.service.as_str()));
    let taken = &sample.organisation;
    let here = Embedded::new(&sample.catalog, &checks, taken.now());
    let here = here.says(taken, Options::default());
    let there = without_one("killed-findings", |url| {
        findings(&url, taken, &checks, Options::default())
    });
    assert_same(&there.unwrap(), &here);
}

#[test]
fn an_executor_that_is_killed_changes_no_row() {
    let sample = &*SAMPLE;
    let taken = [&sample.organisation];
    let sql = "SELECT v.account_id, v.vpc_id, count(s.group_id) AS groups FROM ec2_vpc v LEFT JOIN ec2_security_group s ON v.vpc_id = s.vpc_id AND v.account_id = s.account_id GROUP BY v.account_id, v.vpc_id ORDER BY v.account_id, v.vpc_id";
    let here = rows_here(&taken, sql).unwrap();
    let there = without_one("killed-rows", |url| rows(&cluster(&url), &taken, sql));
    assert_eq!(there.unwrap().to_json_lines(), here.to_json_lines());
}

#[test]
fn who_cannot_be_used_is_told() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let ask = |url: &str, catalog: Arc<Catalog>| {
        let cluster = Cluster::new(url, catalog).unwrap();
        let cluster = cluster.with_patience(Duration::from_millis(300));
        let sql = "SELECT count(*) AS n FROM s3_bucket";
        rows(&cluster, &[&SAMPLE.demo], sql).unwrap_err()
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
    // the command sees the store, the executors do not
    let elsewhere = Place::new(sample.folder.path().join("nowhere").to_str().unwrap()).unwrap();
    assert!(matches!(elsewhere.open(), Err(ClusterError::NoFolder(_))));
    let taken = Taken {
        place: elsewhere,
        snapshot: sample.demo.snapshot.clone(),
    };
    let error = rows(&cluster, &[&taken], "SELECT count(*) FROM s3_bucket").unwrap_err();
    assert!(matches!(error, ClusterError::Refused(_)), "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(!sample.folder.path().join("nowhere").exists());

    // a snapshot of some tables only
    let few = sample.folder.path().join("few");
    let demo = common::demo(&sample.catalog);
    let mut dataset = demo.dataset.clone();
    dataset.tables.retain(|name, _| name == "s3_bucket");
    let taken = common::snapshot(&few, "00000003", &demo, [(demo.account.clone(), dataset)]);
    let error = rows(&cluster, &[&taken], "SELECT count(*) FROM ec2_vpc").unwrap_err();
    assert!(error.to_string().contains("ec2_vpc"), "{error}");
    let error = distributed(&SHARED.url(), &taken, Options::default()).unwrap_err();
    assert!(matches!(error, ClusterError::Lacking { .. }), "{error}");

    // a file that is damaged is named
    let file = folder_of(&few, "parquet");
    std::fs::write(&file, b"damaged").unwrap();
    let error = rows(&cluster, &[&taken], "SELECT count(name) FROM s3_bucket").unwrap_err();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(error.to_string().contains(name), "{error}");
    assert!(error.to_string().contains("is damaged"), "{error}");
}

/// The first file with that ending.
fn folder_of(folder: &Path, ending: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                return path;
            }
        }
    }
    panic!("no file ends with {ending}");
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
        &sample.demo.place.location,
        "--snapshot",
        &sample.demo.snapshot.manifest().id,
        "--catalog",
        over.to_str().unwrap(),
    ];
    let sql = "SELECT count(*) AS n FROM s3_bucket";
    let (code, out, err) = run(&[&["sql"], &place[..], &[sql]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let n: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert!(n["n"].as_i64() > Some(0), "{out}");
    let (code, out, err) = run(&[&["findings"], &place[..]].concat());
    let here = sample.embedded.says(&sample.demo, Options::default());
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
