//! `palisade diff`, `drift` and `history` through the binary, over snapshots that the test makes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::palisade;
use palisade_core::{
    Category, CheckSummary, Coverage, Finding, FixAvailability, Severity, Status, Timestamp,
};
use palisade_store::{AccountResult, NewSnapshot, Options, Store};
use palisade_table::{CatalogSchemas, FIXTURE_ACCOUNT, FIXTURE_REGION, fixture_dataset};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

const CHECK: &str = "s3-bucket-versioning";

fn finding(bucket: &str, status: Status) -> Finding {
    Finding {
        check: Arc::from(CHECK),
        status,
        severity: Severity::High,
        account_id: Arc::from(FIXTURE_ACCOUNT),
        region: Arc::from(FIXTURE_REGION),
        resource: format!("arn:aws:s3:::{bucket}"),
        resource_id: bucket.to_owned(),
        resource_type: Arc::from("s3_bucket"),
        message: format!("versioning of {bucket}: {status}"),
        evidence: serde_json::Map::new(),
        requirements: Arc::from([]),
        fix: FixAvailability::Guided,
        history: None,
        missing_permissions: vec![],
        muted: None,
    }
}

/// A bucket: its name, its versioning (`""`: could not be read), and what a check says of it.
type Bucket = (&'static str, &'static str, Status);

/// Writes a snapshot of each day and gives their ids.
fn store(folder: &Path, days: &[(u32, &[Bucket])]) -> Vec<String> {
    let shipped = CatalogSchemas::shipped();
    let store = Store::open(folder.to_str().unwrap(), &Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut ids = Vec::new();
    for (day, buckets) in days {
        let at: Timestamp = format!("2026-01-{day:02}T12:00:00Z").parse().unwrap();
        let rows: Vec<Json> = buckets
            .iter()
            .map(|(name, versioning, _)| match *versioning {
                "" => json!({ "name": name, "versioning": { "!error": "AccessDenied" } }),
                status => json!({ "name": name, "versioning": { "status": status } }),
            })
            .collect();
        let data = json!({ "s3_bucket": rows });
        let data = data.as_object().unwrap();
        let dataset = fixture_dataset(&shipped, "s3_bucket", true, data, at).unwrap();
        let findings: Vec<Finding> = buckets.iter().map(|(n, _, s)| finding(n, *s)).collect();
        let summary = CheckSummary {
            id: CHECK.to_owned(),
            title: "Versioning is on".to_owned(),
            service: "s3".to_owned(),
            severity: Severity::High,
            category: Category::Data,
            why: String::new(),
            fix: String::new(),
            requirements: vec![],
            passed: 0,
            failed: 0,
            unknown: 0,
            manual: 0,
        };
        let writer = store.writer(NewSnapshot {
            nonce: format!("{day:08x}"),
            started_at: at,
            palisade: "0.0.0".to_owned(),
            catalog: "test".to_owned(),
            regions: vec![FIXTURE_REGION.to_owned()],
        });
        let manifest = runtime.block_on(async {
            writer
                .account(AccountResult {
                    account_id: FIXTURE_ACCOUNT,
                    dataset: &dataset,
                    coverage: &Coverage::default(),
                    findings: Some(&findings),
                })
                .await
                .unwrap();
            writer.commit(at, Some(&[summary])).await.unwrap()
        });
        ids.push(manifest.id);
    }
    ids
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = palisade(folder);
    let store = folder.join("store");
    command.args(arguments).arg("--store").arg(store);
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const DAYS: &[(u32, &[Bucket])] = &[
    (
        1,
        &[
            ("a", "Suspended", Status::Fail),
            ("b", "Enabled", Status::Pass),
            ("c", "Enabled", Status::Pass),
        ],
    ),
    (
        2,
        &[
            ("a", "Enabled", Status::Pass),
            ("b", "Enabled", Status::Pass),
            ("c", "Enabled", Status::Pass),
        ],
    ),
    (
        3,
        &[
            ("a", "Suspended", Status::Fail),
            ("b", "", Status::Unknown),
            ("d", "Suspended", Status::Fail),
        ],
    ),
];

#[test]
fn two_snapshots_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let ids = store(&folder.path().join("store"), DAYS);
    let shown = run(folder.path(), &["diff", "--fail"]);
    assert_eq!(shown.status.code(), Some(3), "{}", told(&shown));
    let text = out(&shown);
    for part in [
        "1 added, 1 removed, 1 changed, 1 not comparable",
        "versioning.status: \"Enabled\" → \"Suspended\"",
        "Findings reopened (1)",
        "Findings opened (1)",
        "Findings became unknown (1)",
        "  + arn:aws:s3:::d",
        "  - arn:aws:s3:::c",
        "  ? arn:aws:s3:::b",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    assert_eq!(text, out(&run(folder.path(), &["diff", &ids[1], &ids[2]])));

    let json = run(
        folder.path(),
        &["diff", &ids[0], &ids[2], "--format", "json", "--resources"],
    );
    let json: Json = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(json["findings"], json!([]));
    assert_eq!(json["counts"]["same"], 1);
    let markdown = run(
        folder.path(),
        &["diff", "--format", "markdown", "--findings"],
    );
    assert!(out(&markdown).contains("| opened | high | `s3-bucket-versioning` |"));
    assert!(!out(&markdown).contains("## Resources"));
}

#[test]
fn nothing_differs_from_itself() {
    let folder = tempfile::tempdir().unwrap();
    let ids = store(&folder.path().join("store"), DAYS);
    let shown = run(folder.path(), &["diff", &ids[1], &ids[1], "--fail"]);
    assert_eq!(shown.status.code(), Some(0), "{}", out(&shown));
    assert!(out(&shown).contains("0 added, 0 removed, 0 changed, 3 the same"));
    // unknown on both sides: not the same, and no drift
    let shown = run(folder.path(), &["diff", &ids[2], &ids[2], "--fail"]);
    assert_eq!(shown.status.code(), Some(0), "{}", out(&shown));
    assert!(out(&shown).contains("1 not comparable"));
}

#[test]
fn wrong_questions_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    store(&folder.path().join("store"), &DAYS[..1]);
    for (arguments, expected) in [
        (vec!["diff"], "two snapshots are needed"),
        (vec!["diff", "2031", "latest"], "no snapshot `2031`"),
        (vec!["diff", "--since", "soon"], "`soon` is no age"),
        (vec!["diff", "--since", "5000w"], "no snapshot is older"),
        (vec!["drift", "show"], "nothing is pinned"),
    ] {
        let shown = run(folder.path(), &arguments);
        assert_eq!(
            shown.status.code(),
            Some(2),
            "{arguments:?} {}",
            told(&shown)
        );
        assert!(
            told(&shown).contains(expected),
            "{arguments:?} {}",
            told(&shown)
        );
    }
}

#[test]
fn history_is_told_and_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    store(&folder.path().join("store"), DAYS);
    let shown = run(folder.path(), &["history", "--format", "json"]);
    assert_eq!(shown.status.code(), Some(0), "{}", told(&shown));
    let json: Json = serde_json::from_str(&out(&shown)).unwrap();
    let a = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["resource_id"] == "a")
        .unwrap();
    assert_eq!(a["standing"], "open");
    assert_eq!(a["reopened"], 1);
    assert_eq!(a["first_seen"], "2026-01-01T12:00:00Z");
    assert_eq!(a["open_since"], "2026-01-03T12:00:00Z");
    assert_eq!(a["age_days"], 0);
    assert_eq!(json["time_to_fix"][0]["mean_hours"], 24.0);
    assert_eq!(json["trend"].as_array().unwrap().len(), 3);
    // what was kept gives the same, and so does what is computed anew
    let again = out(&run(folder.path(), &["history", "--format", "json"]));
    assert_eq!(out(&shown), again);
    let kept = folder.path().join("store/history");
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1);
    for object in std::fs::read_dir(&kept).unwrap() {
        std::fs::write(object.unwrap().path(), "{").unwrap();
    }
    assert_eq!(
        again,
        out(&run(folder.path(), &["history", "--format", "json"]))
    );
    std::fs::remove_dir_all(&kept).unwrap();
    assert_eq!(
        again,
        out(&run(folder.path(), &["history", "--format", "json"]))
    );

    let text = out(&run(folder.path(), &["history", "--resource", "a"]));
    assert!(text.contains("reopened 1"), "{text}");
    assert!(text.contains("versioning.status"), "{text}");
    let csv = out(&run(
        folder.path(),
        &["history", "--format", "csv", "--check", "s3-*"],
    ));
    assert_eq!(csv.lines().count(), 3, "{csv}");
}

#[test]
fn what_differs_from_the_baseline_is_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let ids = store(&folder.path().join("store"), DAYS);
    let pinned = run(folder.path(), &["drift", "pin", &ids[1]]);
    assert_eq!(pinned.status.code(), Some(0), "{}", told(&pinned));
    let only = [
        "check",
        "--check",
        "palisade-configuration-drift",
        "--format",
        "json",
    ];
    let shown = run(folder.path(), &only);
    assert_eq!(shown.status.code(), Some(0), "{}", told(&shown));
    let json: Json = serde_json::from_str(&out(&shown)).unwrap();
    let found: Vec<(String, String)> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["resource_id"].to_string(), f["status"].to_string()))
        .collect();
    let pair = |a: &str, b: &str| (format!("\"{a}\""), format!("\"{b}\""));
    let expected = [
        pair("a", "fail"),
        pair("b", "unknown"),
        pair("c", "fail"),
        pair("d", "fail"),
    ];
    assert_eq!(found, expected);
    let a = &json["findings"][0];
    assert_eq!(a["check"], "palisade-configuration-drift");
    assert_eq!(a["evidence"]["baseline"], ids[1].as_str());
    assert_eq!(a["evidence"]["changes"][0]["path"], "versioning.status");
    // the same without findings, for a pipeline when it is asked for
    for (more, code) in [(&[][..], 0), (&["--fail"], 3)] {
        let arguments = [&["drift", "show"][..], more].concat();
        let shown = run(folder.path(), &arguments);
        assert_eq!(shown.status.code(), Some(code), "{}", told(&shown));
        assert!(out(&shown).contains("versioning.status"), "{}", out(&shown));
    }
    // pinned snapshots are kept by what clears away
    let listed = out(&run(
        folder.path(),
        &["snapshots", "prune", "--keep-last", "1", "--yes"],
    ));
    assert_eq!(listed.trim(), ids[0]);
    let removed = run(folder.path(), &["snapshots", "remove", &ids[1]]);
    assert_eq!(removed.status.code(), Some(2), "{}", told(&removed));
    assert_eq!(
        run(folder.path(), &["drift", "unpin"]).status.code(),
        Some(0)
    );
    assert_eq!(run(folder.path(), &only).status.code(), Some(2));
}

/// The demo, scanned against a baseline of itself: the same answers are no drift.
#[test]
fn a_scan_is_held_against_the_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let scan = |more: &[&str]| {
        let mut arguments = vec!["scan", "--demo", "--service", "s3", "--format", "json"];
        arguments.extend(more);
        run(folder.path(), &arguments)
    };
    let first = scan(&[]);
    assert!(first.status.success(), "{}", told(&first));
    assert!(!out(&first).contains("palisade-configuration-drift"));
    assert_eq!(run(folder.path(), &["drift", "pin"]).status.code(), Some(0));
    let second = scan(&["--check", "palisade-configuration-drift"]);
    let json: Json = serde_json::from_str(&out(&second)).unwrap();
    let checks = json["checks"].as_array().unwrap().iter();
    let drift: Vec<&Json> = checks
        .filter(|c| c["id"] == "palisade-configuration-drift")
        .collect();
    assert_eq!(drift.len(), 1);
    assert_eq!(drift[0]["failed"], 0);
}

#[test]
fn the_check_has_a_page_and_what_is_new_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut explain = palisade(folder.path());
    explain.args(["explain", "palisade-configuration-drift"]);
    let shown = explain.output().unwrap();
    assert!(
        out(&shown).contains("as the pinned baseline has it"),
        "{}",
        told(&shown)
    );

    let collected = run(
        folder.path(),
        &["collect", "--demo", "--table", "s3_bucket"],
    );
    assert!(collected.status.success(), "{}", told(&collected));
    let arguments = [
        "inventory",
        "--demo",
        "--service",
        "s3",
        "--list",
        "--format",
        "csv",
    ];
    let all = out(&run(folder.path(), &arguments));
    assert!(all.lines().count() > 1, "{all}");
    let new = run(
        folder.path(),
        &[&arguments[..], &["--new-since", "latest"]].concat(),
    );
    assert!(new.status.success(), "{}", told(&new));
    assert_eq!(
        out(&new)
            .lines()
            .filter(|l| l.contains("s3_bucket"))
            .count(),
        0
    );
}

fn lines(output: &Output) -> Vec<Json> {
    assert!(output.status.success(), "{}", told(output));
    let text = out(output);
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn ask(folder: &Path, snapshot: &str, sql: &str) -> Vec<Json> {
    let shown = run(
        folder,
        &["query", "--snapshot", snapshot, "-q", "-f", "jsonl", sql],
    );
    lines(&shown)
}

/// What SQL says of findings over time, `palisade history` says.
#[test]
fn findings_over_time_are_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ids = store(&folder.join("store"), DAYS);
    let columns = "\"check\", account_id, region, resource, resource_id, resource_type, severity, status, unknown, message, first_seen, last_seen, last_changed, open_since, reopened, age_days";
    let rows = ask(
        folder,
        "all",
        &format!("SELECT {columns} FROM finding_history ORDER BY resource"),
    );
    let shown = out(&run(folder, &["history", "--format", "json"]));
    let shown: Json = serde_json::from_str(&shown).unwrap();
    let mut told: Vec<Json> = shown["findings"].as_array().unwrap().clone();
    told.sort_by_key(|f| f["resource"].as_str().unwrap().to_owned());
    for finding in &mut told {
        let finding = finding.as_object_mut().unwrap();
        let standing = finding.remove("standing").unwrap();
        finding.insert("status".to_owned(), standing);
    }
    assert_eq!(rows.len(), 2, "{rows:?}");
    let time =
        |row: &Json, name: &str| -> Timestamp { row[name].as_str().unwrap().parse().unwrap() };
    for (row, told) in rows.iter().zip(&told) {
        for (name, value) in told.as_object().unwrap() {
            if name.ends_with("seen") || name == "last_changed" || name == "open_since" {
                assert_eq!(time(row, name), time(told, name), "{name}: {row}");
            } else {
                assert_eq!(&row[name], value, "{name}: {row}");
            }
        }
    }
    // as it was on the second day: seen to be fixed, and not yet open again
    let before = ask(
        folder,
        &ids[1],
        "SELECT resource_id, status, fixed_at IS NOT NULL AS fixed, gone_at, opened, age_days FROM finding_history",
    );
    assert_eq!(before.len(), 1);
    assert_eq!(
        (
            &before[0]["resource_id"],
            &before[0]["status"],
            &before[0]["fixed"],
            &before[0]["opened"]
        ),
        (&json!("a"), &json!("fixed"), &json!(true), &json!(1))
    );
    assert!(before[0]["gone_at"].is_null() && before[0]["age_days"].is_null());
}

#[test]
fn resources_over_time_are_tables() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ids = store(&folder.join("store"), DAYS);
    let rows = ask(
        folder,
        "all",
        "SELECT resource_id AS id, present, unknown, changes, to_char(first_seen, '%d') AS first, to_char(last_seen, '%d') AS last, to_char(gone_at, '%d') AS gone FROM resource_history WHERE resource_type = 's3_bucket' ORDER BY id",
    );
    let short = |row: &Json| {
        let gone = row["gone"].as_str().unwrap_or("").to_owned();
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (
            text("id"),
            row["present"] == true,
            row["changes"].as_i64().unwrap(),
            text("first"),
            text("last"),
            gone,
        )
    };
    let own = |id: &str, present, changes, first: &str, last: &str, gone: &str| {
        (
            id.to_owned(),
            present,
            changes,
            first.to_owned(),
            last.to_owned(),
            gone.to_owned(),
        )
    };
    assert_eq!(
        rows.iter().map(short).collect::<Vec<_>>(),
        [
            own("a", true, 2, "01", "03", ""),
            own("b", true, 0, "01", "03", ""),
            own("c", false, 0, "01", "02", "03"),
            own("d", true, 0, "03", "03", ""),
        ]
    );
    let changes = ask(
        folder,
        "all",
        "SELECT resource, change, path, before, after FROM resource_change WHERE change <> 'first seen' ORDER BY at, resource",
    );
    let words: Vec<String> = changes
        .iter()
        .map(|c| {
            format!(
                "{} {}",
                c["change"].as_str().unwrap(),
                c["resource"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        words,
        [
            "changed arn:aws:s3:::a",
            "changed arn:aws:s3:::a",
            "removed arn:aws:s3:::c",
            "added arn:aws:s3:::d",
        ]
    );
    assert_eq!(changes[1]["path"], "versioning.status");
    assert_eq!(changes[1]["after"], "\"Suspended\"");
    // up to the second snapshot, `c` is there and nobody has heard of `d`
    let then = ask(
        folder,
        &ids[1],
        "SELECT resource_id AS id FROM resource_history WHERE present ORDER BY id",
    );
    assert_eq!(
        then,
        [json!({"id":"a"}), json!({"id":"b"}), json!({"id":"c"})]
    );
    // joined with what there is now
    let joined = ask(
        folder,
        "latest",
        "SELECT b.name, h.changes FROM s3_bucket b JOIN resource_history h ON h.resource = b.arn ORDER BY b.name",
    );
    assert_eq!(joined.len(), 3, "{joined:?}");
}

#[test]
fn history_without_a_store_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let asked = palisade(folder.path())
        .args(["query", "--demo", "SELECT * FROM finding_history"])
        .output()
        .unwrap();
    assert_eq!(asked.status.code(), Some(2), "{}", told(&asked));
    assert!(
        told(&asked).contains("made from the snapshots of a store")
            && told(&asked).contains("--snapshot all"),
        "{}",
        told(&asked)
    );
    let shown = palisade(folder.path())
        .args(["tables", "resource_history"])
        .output()
        .unwrap();
    assert!(out(&shown).contains("last_changed"), "{}", out(&shown));
}

/// A report says since when its findings fail, from the snapshots before it, the same each time; the first one does not.
#[test]
fn reports_say_since_when() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ids = store(&folder.join("store"), DAYS);
    let report = |snapshot: &str, format: &str| {
        let arguments = [
            "check",
            "--snapshot",
            snapshot,
            "--check",
            CHECK,
            "-q",
            "-f",
            format,
        ];
        let shown = run(folder, &arguments);
        assert!(!out(&shown).is_empty(), "{}", told(&shown));
        assert_eq!(out(&shown), out(&run(folder, &arguments)));
        out(&shown)
    };
    assert!(!report(&ids[0], "json").contains("\"history\""));
    let json: Json = serde_json::from_str(&report(&ids[2], "json")).unwrap();
    assert_eq!(json["last_scan"]["snapshot"], json!(ids[1]));
    let of = |bucket: &str| {
        let findings = json["findings"].as_array().unwrap();
        findings
            .iter()
            .find(|f| f["resource_id"] == bucket)
            .unwrap()["history"]
            .clone()
    };
    assert_eq!(
        of("a"),
        json!({
            "first_seen": "2026-01-01T12:00:00Z", "last_seen": "2026-01-03T12:00:00Z",
            "last_changed": "2026-01-03T12:00:00Z", "open_since": "2026-01-03T12:00:00Z",
            "age_days": 0, "reopened": 1, "new": true,
        })
    );
    assert_eq!(of("d")["first_seen"], "2026-01-03T12:00:00Z");
    assert_eq!(of("d")["new"], true);
    // what could not be read says nothing of itself
    assert_eq!(of("b"), Json::Null);
    assert!(report(&ids[2], "text").contains("2  since the last scan, 2026-01-02T12:00:00Z"));
    let asff = report(&ids[2], "asff");
    assert!(
        asff.contains("\"FirstObservedAt\":\"2026-01-01T12:00:00Z\""),
        "{asff}"
    );
    let ocsf = report(&ids[2], "ocsf");
    assert!(ocsf.contains("\"first_seen_time\":1767268800000"), "{ocsf}");
    let csv = report(&ids[2], "csv");
    assert!(
        csv.lines()
            .next()
            .unwrap()
            .ends_with("first_seen,last_changed,age_days,reopened,new")
    );
    assert!(
        csv.contains(",2026-01-01T12:00:00Z,2026-01-03T12:00:00Z,0,1,true"),
        "{csv}"
    );
}

/// A page needs all findings in memory, so with one the others are written from there; without, finding by finding. The
/// bytes are the same, with what is muted, new, accepted and to be attested.
#[test]
fn a_report_is_the_same_wherever_its_findings_are() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (on, off) = ("Enabled", "Suspended");
    let (pass, fail, unknown) = (Status::Pass, Status::Fail, Status::Unknown);
    let first: &[Bucket] = &[("a", off, fail), ("b", off, fail), ("c", on, pass)];
    let second: &[Bucket] = &[
        ("a", off, fail),
        ("b", on, pass),
        ("c", "", unknown),
        ("d", off, fail),
        ("e", off, fail),
        ("f", off, fail),
    ];
    let ids = store(&folder.join("store"), &[(1, first), (2, second)]);
    let only = ["check", "--check", CHECK];
    let json = [&only[..], &["--snapshot", &ids[0], "-f", "json"]].concat();
    let json = run(folder, &json);
    assert_eq!(json.status.code(), Some(0), "{}", told(&json));
    std::fs::write(folder.join("first.json"), &json.stdout).unwrap();
    let baseline = ["baseline", "--from", "first.json", "--output", "base.json"];
    let taken = palisade(folder).args(baseline).output().unwrap();
    assert_eq!(taken.status.code(), Some(0), "{}", told(&taken));
    let mutes = r#"
[[mute]]
check = "s3-bucket-versioning"
resource = "d"
reason = "known"
owner = "storage"
expires = "2099-12-31"
[[mute]]
check = "s3-bucket-versioning"
resource = "e"
reason = "was known"
owner = "storage"
expires = "2020-12-31"
"#;
    std::fs::write(folder.join("mutes.toml"), mutes).unwrap();
    const FORMATS: &[&str] = &[
        "text",
        "markdown",
        "json",
        "jsonl",
        "csv",
        "ocsf",
        "asff",
        "sarif",
        "junit",
        "prometheus",
    ];
    let check = |to: &str, more: &[&str]| {
        let outputs: Vec<String> = FORMATS.iter().map(|f| format!("{f}={f}.{to}")).collect();
        let noise = ["--mutes", "mutes.toml", "--baseline", "base.json"];
        let mut args = [&only[..], &noise, &["--framework", "cis-aws-5.0"], more].concat();
        for output in &outputs {
            args.extend(["--output", output]);
        }
        let output = run(folder, &args);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let lines = told(&output).replace(&format!(".{to}"), "");
        let lines = lines.lines().filter(|l| !l.contains("page.html"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let apart = check("apart", &[]);
    let whole = check("whole", &["--output", "html=page.html"]);
    assert_eq!(apart, whole);
    // a report that lists the first of them is about as many
    let text = [
        &only[..],
        &["--output", "text=brief"],
        &["--framework", "cis-aws-5.0"],
    ]
    .concat();
    let brief = told(&run(folder, &text));
    let written = brief
        .lines()
        .find_map(|l| l.strip_suffix(" written to brief"));
    let written = written.unwrap();
    assert!(
        apart.contains(&format!("{written} written to json")),
        "{written}: {apart:?}"
    );
    let of = |name: String| std::fs::read_to_string(folder.join(name)).unwrap();
    for format in FORMATS {
        let (apart, whole) = (of(format!("{format}.apart")), of(format!("{format}.whole")));
        assert_eq!(apart, whole, "{format}");
    }
    let text = of("text.apart".to_owned());
    for line in ["\nmuted ", "\nnew ", "\nto be attested "] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let json: Json = serde_json::from_str(&of("json.apart".to_owned())).unwrap();
    let about = |bucket: &str| {
        let all = json["findings"].as_array().unwrap().iter();
        all.clone()
            .find(|f| f["check"] == CHECK && f["resource_id"] == bucket)
            .unwrap()
    };
    assert_eq!(about("a")["muted"]["by"], "baseline");
    assert_eq!(about("a")["history"]["new"], false);
    assert_eq!(about("d")["muted"]["by"], "mute");
    assert_eq!(about("f")["history"]["new"], true);
    assert_eq!(json["expired_mutes"][0]["findings"], 1);
    assert!(json["last_scan"].is_object());
}

/// Since when something fails costs no more than the history that says it: the last scan's verdicts are read once.
#[test]
fn verdicts_of_the_last_scan_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("store");
    store(&folder, DAYS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = Store::open(folder.to_str().unwrap(), &Options::default()).unwrap();
    let listing = runtime.block_on(store.list()).unwrap();
    let before: Vec<_> = listing.manifests.into_iter().map(|m| store.of(m)).collect();
    let schemas = CatalogSchemas::shipped();
    let keep = palisade_drift::Keep::Read;
    let reads = |work: &mut dyn FnMut()| {
        let from = store.reads();
        work();
        store.reads() - from
    };
    let history = reads(&mut || {
        let asked = palisade_drift::history(&store, &before, &schemas, keep);
        assert!(!runtime.block_on(asked).unwrap().findings.is_empty());
    });
    let now: Timestamp = "2026-02-01T12:00:00Z".parse().unwrap();
    let accounts = std::collections::BTreeSet::from([FIXTURE_ACCOUNT.to_owned()]);
    let mut told = None;
    let earlier = reads(&mut || {
        let asked = palisade_drift::Earlier::read(&store, &before, &schemas, keep, now, &accounts);
        told = runtime.block_on(asked).unwrap();
    });
    // and the list of its checks
    assert_eq!(earlier, history + 1);
    let mut failed = finding("a", Status::Fail);
    told.unwrap().tell(&mut failed, &schemas);
    assert!(failed.history.unwrap().new.is_some());
}
