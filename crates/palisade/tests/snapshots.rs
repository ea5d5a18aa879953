//! Snapshots through the binary: kept by scans, judged and queried offline, in a folder and in a bucket (moto).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{CREDENTIALS, Moto, err, out, palisade};
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn run(folder: &Path, args: &[&str]) -> std::process::Output {
    palisade(folder).args(args).output().unwrap()
}

fn good(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    assert!(output.status.success(), "{args:?}: {}", err(&output));
    out(&output)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A snapshot that cannot be committed is told, after the report, which is whole; nothing of it can be seen.
#[test]
fn a_snapshot_that_cannot_be_committed_costs_no_report() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let scan = ["scan", "--demo", "--quiet", "-f", "jsonl"];
    let expected = good(folder, &scan);
    let mut command = palisade(folder);
    command.args(scan).args(["--store", "lake"]);
    let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut scanning = pipes.spawn().unwrap();
    // tables are written while others are read; the checks come last, and find a folder in their place
    let snapshot = loop {
        assert!(scanning.try_wait().unwrap().is_none(), "no table came");
        let begun = std::fs::read_dir(folder.join("lake/snapshots"));
        let begun = begun.into_iter().flatten().next();
        match begun.map(|entry| entry.unwrap().path()) {
            Some(snapshot) => break snapshot,
            None => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    };
    std::fs::create_dir(snapshot.join("checks.json")).unwrap();
    let scanned = scanning.wait_with_output().unwrap();
    assert_eq!(scanned.status.code(), Some(1), "{}", err(&scanned));
    assert!(out(&scanned) == expected, "the report is another");
    assert!(err(&scanned).contains("checks.json"), "{}", err(&scanned));
    assert!(!snapshot.join("manifest.json").exists());
}

/// What a scan says, a check of its snapshot says: byte for byte, with what could not be read.
#[test]
fn a_snapshot_is_judged_as_the_account_was() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let scan = good(
        folder,
        &[
            "scan", "--demo", "--store", "lake", "--quiet", "-f", "jsonl",
        ],
    );
    let again = good(
        folder,
        &["check", "--store", "lake", "--quiet", "-f", "jsonl"],
    );
    assert!(scan.lines().count() > 1000);
    assert_eq!(scan, again);
    // piece by piece it is the same
    let check = ["check", "--store", "lake", "--quiet", "-f", "jsonl"];
    let little = good(folder, &[&check[..], &["--memory", "16"]].concat());
    assert!(scan == little, "less memory finds something else");
    let none = run(folder, &[&check[..], &["--memory", "0"]].concat());
    assert_eq!(none.status.code(), Some(2), "{}", err(&none));

    let listed = good(folder, &["snapshots", "list", "--store", "lake"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let shown = good(folder, &["snapshots", "show", "--store", "lake"]);
    assert!(
        shown.contains("s3_bucket") && shown.contains("calls answered"),
        "{shown}"
    );
    let counted = good(
        folder,
        &[
            "query",
            "--snapshot",
            "latest",
            "--store",
            "lake",
            "--quiet",
            "-f",
            "jsonl",
            "SELECT status, count(*) AS n FROM finding GROUP BY status ORDER BY status",
        ],
    );
    let failed = scan
        .lines()
        .filter(|l| l.contains(r#""status":"fail""#))
        .count();
    assert!(
        counted.contains(&format!(r#"{{"status":"fail","n":{failed}}}"#)),
        "{counted}"
    );
}

#[test]
fn the_demo_is_kept_only_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    good(
        folder,
        &[
            "scan", "--demo", "--quiet", "--check", "s3-*", "-f", "jsonl",
        ],
    );
    assert!(!folder.join("data").exists());
    let nothing = run(folder, &["check"]);
    assert_eq!(nothing.status.code(), Some(2), "{}", err(&nothing));
    assert!(
        err(&nothing).contains("no snapshot `latest`"),
        "{}",
        err(&nothing)
    );
}

#[test]
fn what_was_not_collected_is_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    good(
        folder,
        &[
            "collect",
            "--demo",
            "--store",
            "lake",
            "--check",
            "s3-bucket-versioning",
        ],
    );
    let all = run(
        folder,
        &["check", "--store", "lake", "-f", "jsonl", "--strict"],
    );
    assert_eq!(all.status.code(), Some(4), "{}", err(&all));
    assert!(err(&all).contains("checks are left out"), "{}", err(&all));
    assert!(
        out(&all).lines().all(|l| l.contains("\"s3_bucket\"")),
        "{}",
        out(&all)
    );
    let other = run(folder, &["check", "--store", "lake", "--check", "kms-*"]);
    assert_eq!(other.status.code(), Some(2), "{}", err(&other));
    assert!(err(&other).contains("was not collected"), "{}", err(&other));
    let sql = run(
        folder,
        &[
            "query",
            "--snapshot",
            "latest",
            "--store",
            "lake",
            "SELECT key_id FROM kms_key",
        ],
    );
    assert_eq!(sql.status.code(), Some(2), "{}", err(&sql));
    for (sql, said) in [
        ("SELECT nam FROM s3_bucket", "nam"),
        ("SELECT name FROM s3_bucke", "did you mean `s3_bucket`"),
    ] {
        let wrong = run(
            folder,
            &["query", "--snapshot", "all", "--store", "lake", sql],
        );
        assert_eq!(wrong.status.code(), Some(2), "{}", err(&wrong));
        assert!(err(&wrong).contains(said), "{}", err(&wrong));
    }
}

#[test]
fn several_snapshots_are_one_table_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for _ in 0..2 {
        good(
            folder,
            &[
                "collect",
                "--demo",
                "--store",
                "lake",
                "--table",
                "s3_bucket",
            ],
        );
    }
    let query = |which: &str, sql: &str| {
        good(
            folder,
            &[
                "query",
                "--snapshot",
                which,
                "--store",
                "lake",
                "--quiet",
                "-f",
                "csv",
                sql,
            ],
        )
    };
    let one: usize = query("latest", "SELECT count(*) AS n FROM s3_bucket")
        .lines()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap();
    let both = query(
        "all",
        "SELECT count(*) AS n, count(DISTINCT snapshot) AS s FROM s3_bucket",
    );
    assert_eq!(both.replace('\r', ""), format!("n,s\n{},2\n", one * 2));
    // little memory: sorting goes to temporary files
    let sorted = good(
        folder,
        &[
            "query",
            "--snapshot",
            "all",
            "--store",
            "lake",
            "--quiet",
            "--memory",
            "16",
            "-f",
            "csv",
            "SELECT a.name FROM s3_bucket a JOIN s3_bucket b ON a.region = b.region ORDER BY a.name",
        ],
    );
    assert!(sorted.lines().count() > one * 2);

    let parquet: Vec<PathBuf> = files(&folder.join("lake"))
        .into_iter()
        .filter(|f| f.extension().is_some_and(|e| e == "parquet"))
        .collect();
    let victim = &parquet[0];
    std::fs::write(victim, b"PAR1").unwrap();
    let verified = run(folder, &["snapshots", "verify", "--store", "lake"]);
    assert_eq!(verified.status.code(), Some(1), "{}", err(&verified));
    let name = victim.file_name().unwrap().to_string_lossy();
    assert!(err(&verified).contains(&*name) && out(&verified).contains("0 are damaged"));

    let dry = good(
        folder,
        &["snapshots", "prune", "--keep-last", "1", "--store", "lake"],
    );
    assert_eq!(dry.lines().count(), 1);
    good(
        folder,
        &[
            "snapshots",
            "prune",
            "--keep-last",
            "1",
            "--yes",
            "--store",
            "lake",
        ],
    );
    good(folder, &["snapshots", "verify", "--store", "lake"]);
    good(folder, &["snapshots", "compact", "--store", "lake"]);
    assert_eq!(
        good(folder, &["snapshots", "list", "--store", "lake"])
            .lines()
            .count(),
        2
    );
}

/// The same in a bucket, with an account that is asked: every scan keeps what it read.
#[test]
fn a_bucket_holds_snapshots_as_a_folder_does() {
    let moto = Moto::start();
    moto.boto(
        "s3 = boto3.client('s3'); s3.create_bucket(Bucket='lake'); s3.create_bucket(Bucket='other'); print('{}')",
    );
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let at = |args: &[&str]| {
        let output = palisade(folder)
            .args(args)
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &moto.url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", err(&output));
        out(&output)
    };
    let bucket = "s3://lake/security";
    let check = ["--check", "s3-bucket-versioning", "-f", "jsonl"];
    let scan = |more: &[&str]| at(&[&["scan"], &check[..], more].concat());
    let found = scan(&["--store", bucket]);
    assert_eq!(found.lines().count(), 2, "{found}");
    assert_eq!(
        at(&[&["check", "--store", bucket], &check[..]].concat()),
        found
    );
    scan(&["--store", bucket]);
    assert_eq!(
        at(&["snapshots", "list", "--store", bucket])
            .lines()
            .count(),
        3
    );
    at(&["snapshots", "verify", "--store", bucket]);
    at(&[
        "snapshots",
        "prune",
        "--keep-last",
        "1",
        "--yes",
        "--store",
        bucket,
    ]);
    assert_eq!(
        at(&["snapshots", "list", "--store", bucket])
            .lines()
            .count(),
        2
    );
    // two workers, whose commit is one object that is created once
    let worker = |shard: &str| {
        let accounts = ["--accounts", "123456789012,222200000001,222200000002"];
        let run = ["--run", "nightly", "--shard", shard, "--store", bucket];
        let collect = ["collect", "--table", "s3_bucket"];
        let output = palisade(folder)
            .args([&collect[..], &accounts, &run].concat())
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &moto.url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", err(&output));
        err(&output)
    };
    let said = [worker("1/2"), worker("2/2"), worker("1/2")];
    let kept = said.iter().filter(|s| s.contains("kept in")).count();
    assert_eq!(kept, 1, "{said:?}");
    assert!(said[2].contains("nothing is left to do"), "{said:?}");
    at(&["snapshots", "verify", "--store", bucket]);
    assert_eq!(
        at(&["snapshots", "list", "--store", bucket])
            .lines()
            .count(),
        3
    );
    // without --store: in the user's data folder, unless that is not wanted
    scan(&["--no-snapshot"]);
    assert!(files(&folder.join("data")).is_empty());
    scan(&[]);
    assert!(
        files(&folder.join("data/palisade"))
            .iter()
            .any(|f| f.ends_with("manifest.json"))
    );
}

/// Asks DuckDB, which knows nothing of Palisade, about the files of a snapshot: rows as JSON, one a line.
fn duckdb(sql: &str) -> Vec<serde_json::Value> {
    let program = "import sys, json, duckdb\nc = duckdb.connect()\ncursor = c.execute(sys.argv[1])\nnames = [d[0] for d in cursor.description]\nfor row in cursor.fetchall(): print(json.dumps(dict(zip(names, row))))";
    let asked = std::process::Command::new(common::python())
        .args(["-c", program, sql])
        .output()
        .unwrap();
    assert!(asked.status.success(), "{sql}: {}", err(&asked));
    let text = out(&asked);
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// The files are plain Parquet in Hive partitions: another engine counts and reads what `palisade query` does.
#[test]
fn another_engine_reads_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    good(
        folder,
        &[
            "scan", "--demo", "--store", "lake", "--quiet", "-f", "jsonl",
        ],
    );
    let snapshot = std::fs::read_dir(folder.join("lake/snapshots"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .next()
        .unwrap();
    let files = |table: &str| {
        format!(
            "read_parquet('{}/table={table}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)",
            snapshot.display()
        )
    };
    let ours = |sql: &str| -> Vec<serde_json::Value> {
        let text = good(
            folder,
            &[
                "query",
                "--snapshot",
                "latest",
                "--store",
                "lake",
                "--quiet",
                "-f",
                "jsonl",
                sql,
            ],
        );
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    let mut tables: Vec<String> = std::fs::read_dir(&snapshot)
        .unwrap()
        .filter_map(|e| {
            let name = e.unwrap().file_name().into_string().unwrap();
            name.strip_prefix("table=").map(str::to_owned)
        })
        .collect();
    tables.sort();
    assert!(tables.len() > 50, "{tables:?}");
    // every table: as many rows
    let counts = |source: &dyn Fn(&str) -> String| -> String {
        let each = tables
            .iter()
            .map(|t| format!("SELECT '{t}' AS name, count(*) AS n FROM {}", source(t)));
        format!(
            "SELECT * FROM ({}) ORDER BY name",
            each.collect::<Vec<_>>().join(" UNION ALL ")
        )
    };
    let theirs = duckdb(&counts(&files));
    assert_eq!(theirs, ours(&counts(&|t| t.to_owned())));
    assert!(theirs.iter().any(|row| row["n"].as_i64().unwrap() > 20));
    // values, nested ones and those that are in the path alone
    let values = |source: String, region: &str| {
        format!(
            "SELECT name, {region} AS region, versioning.status AS versioning, account_id FROM {source} ORDER BY name"
        )
    };
    assert_eq!(
        duckdb(&values(files("s3_bucket"), "region")),
        ours(&values("s3_bucket".to_owned(), "region"))
    );
    assert_eq!(
        duckdb(&format!(
            "SELECT account, status, count(*) AS n FROM {} GROUP BY ALL ORDER BY ALL",
            files("finding")
        )),
        ours(
            "SELECT account_id AS account, status, count(*) AS n FROM finding GROUP BY account_id, status ORDER BY account_id, status"
        )
    );
    // what could not be read is NULL, and says why
    let unread = duckdb(&format!(
        "SELECT name, versioning IS NULL AS empty, _unread FROM {} WHERE _unread IS NOT NULL ORDER BY name",
        files("s3_bucket")
    ));
    let bucket = unread.first().unwrap();
    let why: serde_json::Value = serde_json::from_str(bucket["_unread"].as_str().unwrap()).unwrap();
    let (source, error) = (why[0][0].as_str().unwrap(), &why[0][1]);
    assert!(source.starts_with("Get"), "{why}");
    assert!(error.to_string().contains("AccessDenied"), "{why}");
}

/// Counts by account, region, service and tag are counts of the same resources; without tags and unmanaged are some of them.
#[test]
fn inventory_counts_the_same_resources_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let output = palisade(folder.path())
            .args([
                "inventory",
                "--demo",
                "--quiet",
                "-s",
                "s3,ec2",
                "-f",
                "jsonl",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", err(&output));
        let text = out(&output);
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    let sum = |arguments: &[&str]| -> i64 {
        let counted = rows(arguments);
        counted
            .iter()
            .map(|r| r["resources"].as_i64().unwrap())
            .sum()
    };
    let all = i64::try_from(rows(&["--list"]).len()).unwrap();
    for by in ["account", "region", "service", "type", "account,region"] {
        assert_eq!(sum(&["--by", by]), all, "{by}");
    }
    let tagged = rows(&["--by", "tag:team"]);
    assert!(tagged.iter().any(|r| r["tag:team"] != ""), "{tagged:?}");
    let untagged = sum(&["--untagged", "--by", "service"]);
    let without_team = sum(&["--untagged", "--required-tag", "team", "--by", "service"]);
    let unteamed = tagged.iter().find(|r| r["tag:team"] == "").unwrap();
    assert!(untagged > 0 && untagged < without_team, "{untagged}");
    assert_eq!(Some(without_team), unteamed["resources"].as_i64());
    assert!(sum(&["--unmanaged", "--by", "service"]) <= all);
}

/// What a snapshot has is counted as the account is, and what it was not collected for is told.
#[test]
fn an_inventory_of_a_snapshot_is_that_of_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let collect = ["collect", "--demo", "--store", "lake", "--quiet"];
    good(folder, &[&collect[..], &["--table", "all"]].concat());
    let services = ["-s", "s3,ec2,iam,lambda", "-f", "csv"];
    for more in [
        &[][..],
        &["--list"],
        &["--by", "tag:team,type"],
        &["--untagged", "--by", "service"],
        &["--unmanaged", "--list"],
    ] {
        let of = |place: &[&str]| {
            let args = [&["inventory"][..], place, &services, more].concat();
            let output = run(folder, &args);
            assert!(output.status.success(), "{args:?}: {}", err(&output));
            (out(&output), err(&output))
        };
        let (live, _) = of(&["--demo"]);
        let (stored, notes) = of(&["--snapshot", "latest", "--store", "lake"]);
        assert_eq!(live, stored, "{more:?}");
        assert!(live.lines().count() > 2, "{live}");
        assert!(!notes.contains("not collected"), "{notes}");
    }

    let some = ["--check", "s3-bucket-versioning"];
    let collect = ["collect", "--demo", "--store", "less", "--quiet"];
    good(folder, &[&collect[..], &some].concat());
    let inventory = ["inventory", "--snapshot", "latest", "--store", "less"];
    let less = run(folder, &[&inventory[..], &["--by", "type"]].concat());
    assert!(less.status.success(), "{}", err(&less));
    assert!(out(&less).contains("s3_bucket"), "{}", out(&less));
    let told = err(&less);
    assert!(
        told.contains("types of resources are not counted: the snapshot was not collected"),
        "{told}"
    );
    for (wrong, says) in [
        (&["-s", "ec2"][..], "none of these types of resources"),
        (&["--organization"], "has the accounts that it has"),
        (&["--new-since", "latest"], "cannot be used with"),
    ] {
        let output = run(folder, &[&inventory[..], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", err(&output));
        assert!(err(&output).contains(says), "{}", err(&output));
    }
}
