//! Collecting many accounts by several workers, and going on with what was interrupted: against the replay endpoint as an
//! organisation, through the binary.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::accounts::{
    CHECKS, MANAGEMENT, MEMBERS, REFUSING, collect, command, findings, offline, organization, run,
    snapshots,
};
use common::{err, out};
use palisade_replay::{Faults, Refusal};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

fn ended(child: Child, code: i32) -> String {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", err(&output));
    err(&output)
}

/// Until a file of the store is there.
fn wait_for(folder: &Path, below: &str, at_least: usize) {
    let started = Instant::now();
    let count = || {
        let snapshots = std::fs::read_dir(folder.join("lake/snapshots"))
            .into_iter()
            .flatten();
        let folders = snapshots.flatten().map(|s| s.path().join(below));
        let files = folders.flat_map(|f| std::fs::read_dir(f).into_iter().flatten().flatten());
        files
            .filter(|f| f.file_name().to_string_lossy().ends_with(".json"))
            .count()
    };
    while count() < at_least {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "nothing is written"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Three workers at the same time, and one alone: the same is read, and judged the same.
#[test]
fn several_workers_make_the_snapshot_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = organization(Some(Refusal::Denied), Faults::none());
    let alone = run(folder, &server, &collect("alone", &[]));
    assert!(alone.status.success(), "{}", err(&alone));
    assert!(err(&alone).contains("AccessDenied"), "{}", err(&alone));

    let workers: Vec<Child> = ["1/3", "2/3", "3/3"]
        .iter()
        .map(|shard| {
            let arguments = collect("lake", &["--run", "nightly", "--shard", shard]);
            command(folder, &server, &arguments).spawn().unwrap()
        })
        .collect();
    let said: Vec<String> = workers.into_iter().map(|w| ended(w, 0)).collect();
    let kept = said.iter().filter(|s| s.contains("kept in lake")).count();
    assert_eq!(kept, 1, "{said:#?}");

    let (manifests, notes) = snapshots(folder, "lake");
    assert_eq!(manifests.len(), 1);
    assert!(!notes.contains("under way"), "{notes}");
    let accounts: Vec<&str> = manifests[0]["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["account_id"].as_str().unwrap())
        .collect();
    let mut all = MEMBERS.to_vec();
    all.extend([MANAGEMENT, REFUSING]);
    all.sort_unstable();
    assert_eq!(accounts, all);
    offline(folder, &["snapshots", "verify", "--store", "lake"], 0);

    let (one, three) = (
        findings(folder, "alone", "latest"),
        findings(folder, "lake", "latest"),
    );
    assert!(one.len() > 500, "{}", one.len());
    assert_eq!(one, three);
    // of the account that lets nobody in nothing is known, and it is not one that has nothing
    let of_refusing = one.iter().filter(|f| f["account_id"] == REFUSING);
    let statuses: Vec<&Value> = of_refusing.map(|f| &f["status"]).collect();
    assert!(!statuses.is_empty() && statuses.iter().all(|s| *s == "unknown"));
    // and as a scan judges
    let mut scan = vec!["scan", "--organization", "-f", "jsonl", "--no-snapshot"];
    scan.extend(CHECKS);
    let scanned = run(folder, &server, &scan);
    let scanned: Vec<Value> = out(&scanned)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let read: Vec<Value> = one
        .into_iter()
        .filter(|f| f["account_id"] != REFUSING)
        .collect();
    assert_eq!(scanned, read);

    // again: nothing is left to do
    let again = run(
        folder,
        &server,
        &collect("lake", &["--run", "nightly", "--shard", "2/3"]),
    );
    assert!(again.status.success() && err(&again).contains("nothing is left to do"));
    let (_, said) = offline(
        folder,
        &["snapshots", "commit", "nightly", "--store", "lake"],
        0,
    );
    assert!(said.contains("was committed before"), "{said}");
    assert_eq!(snapshots(folder, "lake").0.len(), 1);
}

#[test]
fn a_commit_that_comes_too_early_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = organization(None, Faults::none());
    let one = run(
        folder,
        &server,
        &collect("lake", &["--run", "nightly", "--shard", "1/3"]),
    );
    assert!(one.status.success(), "{}", err(&one));
    assert!(
        err(&one).contains("the last worker commits"),
        "{}",
        err(&one)
    );
    let (manifests, notes) = snapshots(folder, "lake");
    assert!(manifests.is_empty());
    assert!(
        notes.contains("run nightly, 3 shards") && notes.contains("--resume"),
        "{notes}"
    );
    let commit = ["snapshots", "commit", "nightly", "--store", "lake"];
    let (_, said) = offline(folder, &commit, 1);
    assert!(
        said.contains("shard 2/3: ") && said.contains("shard 3/3: "),
        "{said}"
    );
    assert!(!said.contains("shard 1/3"), "{said}");
    let missing: Vec<&&str> = MEMBERS.iter().filter(|id| said.contains(**id)).collect();
    assert!(!missing.is_empty());
    let (_, nothing) = offline(folder, &["check", "--store", "lake"], 2);
    assert!(nothing.contains("no snapshot"), "{nothing}");
    // a worker of another run, or with other flags
    for (more, says) in [
        (
            &["--run", "nightly", "--shard", "1/2"][..],
            "number of shards",
        ),
        (
            &[
                "--run",
                "nightly",
                "--shard",
                "2/3",
                "--exclude-account",
                REFUSING,
            ],
            "choice of accounts",
        ),
        (
            &[
                "--run",
                "nightly",
                "--shard",
                "2/3",
                "--region",
                "us-east-1,eu-west-1",
            ],
            "regions",
        ),
    ] {
        let other = run(folder, &server, &collect("lake", more));
        assert_eq!(other.status.code(), Some(2), "{}", err(&other));
        assert!(err(&other).contains(says), "{}", err(&other));
    }
    let incomplete = [&commit[..], &["--incomplete"]].concat();
    let (_, said) = offline(folder, &incomplete, 0);
    assert!(said.contains("not all of it could be read"), "{said}");
    let all = findings(folder, "lake", "latest");
    for id in missing {
        let of: Vec<&Value> = all.iter().filter(|f| f["account_id"] == **id).collect();
        assert!(
            !of.is_empty() && of.iter().all(|f| f["status"] == "unknown"),
            "{id}"
        );
    }
    offline(folder, &["snapshots", "verify", "--store", "lake"], 0);
    // who comes too late changes nothing
    let late = run(
        folder,
        &server,
        &collect("lake", &["--run", "nightly", "--shard", "2/3"]),
    );
    assert!(late.status.success(), "{}", err(&late));
    assert_eq!(findings(folder, "lake", "latest"), all);
}

/// A worker whose account is throttled fails and leaves the snapshot uncommitted; the same again reads just what is missing.
#[test]
fn a_worker_that_failed_does_only_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arguments = collect("lake", &["--run", "nightly", "--shard", "1/1"]);
    let server = organization(Some(Refusal::Throttled), Faults::none());
    let failed = run(folder, &server, &arguments);
    assert_eq!(failed.status.code(), Some(1), "{}", err(&failed));
    let said = err(&failed);
    assert!(
        said.contains("not committed") && said.contains("1 of 7 accounts are missing"),
        "{said}"
    );
    assert!(
        said.contains(REFUSING) && said.contains("Throttling"),
        "{said}"
    );
    assert!(
        said.contains("the same command again (`--run nightly --shard 1/1`)"),
        "{said}"
    );
    assert!(snapshots(folder, "lake").0.is_empty());

    let server = organization(None, Faults::none());
    let again = run(folder, &server, &arguments);
    assert!(again.status.success(), "{}", err(&again));
    let asked = server.shutdown().requests;
    assert_eq!(asked.get("sts:AssumeRole"), Some(&1), "{asked:?}");
    assert_eq!(asked.get("s3:GET /"), Some(&1), "{asked:?}");

    let server = organization(None, Faults::none());
    let whole = run(folder, &server, &collect("alone", &[]));
    assert!(whole.status.success(), "{}", err(&whole));
    assert_eq!(
        findings(folder, "lake", "latest"),
        findings(folder, "alone", "latest")
    );
}

/// Killed in the middle, gone on with, and as if nothing had been.
#[test]
fn an_interrupted_collection_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let slow = Faults::none().latency(Duration::from_millis(60));
    let server = organization(None, slow);
    let arguments = collect("lake", &["--max-accounts", "1"]);
    let mut killed = command(folder, &server, &arguments).spawn().unwrap();
    wait_for(folder, "accounts", 2);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (manifests, notes) = snapshots(folder, "lake");
    assert!(manifests.is_empty());
    let id = notes
        .lines()
        .find(|l| l.contains("under way"))
        .and_then(|l| l.split_whitespace().find(|w| w.contains("Z-")))
        .unwrap()
        .to_owned();
    assert!(
        notes.contains(&format!("`palisade collect --resume {id}`")),
        "{notes}"
    );
    let written = notes
        .split(" of 7 accounts are written")
        .next()
        .and_then(|before| before.rsplit(' ').next())
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap();
    assert!((2..7).contains(&written), "{notes}");

    let server = organization(None, Faults::none());
    // another choice is another run
    let other = run(
        folder,
        &server,
        &[
            "collect",
            "--organization",
            "--store",
            "lake",
            "--resume",
            &id,
            "--table",
            "s3_bucket",
        ],
    );
    assert_eq!(other.status.code(), Some(2), "{}", err(&other));
    let resumed = run(folder, &server, &collect("lake", &["--resume", "last"]));
    assert!(resumed.status.success(), "{}", err(&resumed));
    assert!(
        err(&resumed).contains(&format!("snapshot {id} kept")),
        "{}",
        err(&resumed)
    );
    let asked = server.shutdown().requests;
    // of the account that was begun, it may have been answered before
    let again = asked.get("s3:GET /").copied().unwrap_or_default();
    assert!((6 - written..=7 - written).contains(&again), "{asked:?}");
    let (manifests, notes) = snapshots(folder, "lake");
    assert_eq!(manifests.len(), 1);
    assert!(!notes.contains("under way"), "{notes}");

    let server = organization(None, Faults::none());
    assert!(
        run(folder, &server, &collect("alone", &[]))
            .status
            .success()
    );
    assert_eq!(
        findings(folder, "lake", "latest"),
        findings(folder, "alone", "latest")
    );
    let nothing = run(folder, &server, &collect("lake", &["--resume", "last"]));
    assert_eq!(nothing.status.code(), Some(2), "{}", err(&nothing));
    assert!(err(&nothing).contains("no run `last`"), "{}", err(&nothing));
}

/// Ctrl-C: what is whole is kept, what is half is not, and nothing is committed.
#[cfg(unix)]
#[test]
fn ctrl_c_leaves_what_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = organization(None, Faults::none().latency(Duration::from_millis(60)));
    let child = command(folder, &server, &collect("lake", &["--max-accounts", "1"]))
        .spawn()
        .unwrap();
    wait_for(folder, "accounts", 1);
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(sent.success());
    let said = ended(child, 1);
    assert!(
        said.contains("not committed") && said.contains("`--resume "),
        "{said}"
    );
    assert!(snapshots(folder, "lake").0.is_empty());
    let server = organization(None, Faults::none());
    let resumed = run(folder, &server, &collect("lake", &["--resume", "last"]));
    assert!(resumed.status.success(), "{}", err(&resumed));
    let (manifests, _) = snapshots(folder, "lake");
    let complete = manifests[0]["accounts"].as_array().unwrap().iter();
    let gaps: Vec<&Value> = complete.filter(|a| a["rows"] == 0).collect();
    assert!(gaps.is_empty(), "{gaps:?}");
}

#[test]
fn jobs_say_which_shard_a_worker_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = organization(None, Faults::none());
    let auto = |environment: &[(&str, &str)], more: &[&str]| {
        let mut arguments = vec![
            "collect",
            "--organization",
            "--store",
            "lake",
            "--table",
            "s3_bucket",
            "--shard",
            "auto",
        ];
        arguments.extend(more);
        let mut command = command(folder, &server, &arguments);
        command.envs(environment.iter().copied()).output().unwrap()
    };
    for (environment, run, shard) in [
        (
            &[
                ("JOB_COMPLETION_INDEX", "1"),
                ("PALISADE_SHARDS", "2"),
                ("PALISADE_RUN", "job-1"),
            ][..],
            "job-1",
            "2/2",
        ),
        (
            &[
                ("AWS_BATCH_JOB_ARRAY_INDEX", "0"),
                ("AWS_BATCH_JOB_ARRAY_SIZE", "2"),
                ("AWS_BATCH_JOB_ID", "6c8f2d1a-0b4e:0"),
            ],
            "6c8f2d1a-0b4e",
            "1/2",
        ),
    ] {
        let output = auto(environment, &[]);
        assert!(output.status.success(), "{}", err(&output));
        let said = err(&output);
        assert!(
            said.contains(&format!("run {run}, shard {shard}: ")),
            "{said}"
        );
    }
    for (environment, more, says) in [
        (&[][..], &[][..], "neither JOB_COMPLETION_INDEX nor"),
        (
            &[("JOB_COMPLETION_INDEX", "1")],
            &["--run", "x"],
            "PALISADE_SHARDS does not say",
        ),
        (
            &[("JOB_COMPLETION_INDEX", "2"), ("PALISADE_SHARDS", "2")],
            &["--run", "x"],
            "no worker 2 (from 0) of 2",
        ),
        (
            &[("JOB_COMPLETION_INDEX", "one"), ("PALISADE_SHARDS", "2")],
            &["--run", "x"],
            "`one`, which is no number",
        ),
        (
            &[("JOB_COMPLETION_INDEX", "0"), ("PALISADE_SHARDS", "2")],
            &[],
            "needs the name of the run",
        ),
    ] {
        let output = auto(environment, more);
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        assert!(err(&output).contains(says), "{}", err(&output));
    }
    for (arguments, says) in [
        (
            &["--organization", "--shard", "4/3", "--run", "x"][..],
            "`4/3` is no shard",
        ),
        (
            &["--organization", "--shard", "1", "--run", "x"],
            "`1` is no shard",
        ),
        (
            &["--organization", "--shard", "1/3"],
            "needs the name of the run",
        ),
        (&["--organization", "--run", "a/b"], "no name of a run"),
        (&["--run", "x"], "over many accounts"),
        (&["--resume", "last"], "no run `last`"),
        (
            &["--organization", "--resume", "last", "--run", "x"],
            "cannot be used with",
        ),
    ] {
        let whole = [&["collect", "--store", "lake"][..], arguments].concat();
        let output = run(folder, &server, &whole);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            err(&output)
        );
        assert!(
            err(&output).contains(says),
            "{arguments:?}: {}",
            err(&output)
        );
    }
}

/// A scan of many accounts goes on, too: its report is that of an undisturbed one.
#[test]
fn an_interrupted_scan_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut arguments = vec!["scan", "--organization", "--store", "lake", "-f", "jsonl"];
    arguments.extend(CHECKS);
    let slow = Faults::none().latency(Duration::from_millis(60));
    let server = organization(None, slow);
    let one = [&arguments[..], &["--max-accounts", "1"]].concat();
    let mut killed = command(folder, &server, &one).spawn().unwrap();
    wait_for(folder, "accounts", 2);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (manifests, notes) = snapshots(folder, "lake");
    assert!(manifests.is_empty());
    assert!(notes.contains("`palisade scan --resume "), "{notes}");
    let id = notes.split("--resume ").nth(1).unwrap();
    let id = id.split('`').next().unwrap();
    // its checks are not evaluated to the end, so nobody else may end it
    for (other, says) in [
        (
            &["snapshots", "commit", id, "--store", "lake"][..],
            "is a scan",
        ),
        (&collect("lake", &["--resume", id]), "another command"),
    ] {
        let output = run(folder, &server, other);
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        assert!(err(&output).contains(says), "{}", err(&output));
    }

    // each account says where it was read: with `--region all` they differ, which is made up here
    let accounts = folder.join("lake/snapshots").join(id).join("accounts");
    let document = std::fs::read_dir(accounts).unwrap().next().unwrap();
    let document = document.unwrap().path();
    let text = std::fs::read_to_string(&document).unwrap();
    let mut account: Value = serde_json::from_str(&text).unwrap();
    let regions = account["regions"].as_array_mut().unwrap();
    assert!(!regions.is_empty());
    regions.insert(0, "af-south-1".into());
    std::fs::write(&document, account.to_string()).unwrap();

    let server = organization(None, Faults::none());
    let more = [
        "--resume",
        id,
        "--output",
        "jsonl=-",
        "--output",
        "json=whole.json",
    ];
    let resumed = run(folder, &server, &[&arguments[..], &more].concat());
    assert!(resumed.status.success(), "{}", err(&resumed));
    let whole = std::fs::read_to_string(folder.join("whole.json")).unwrap();
    let whole: Value = serde_json::from_str(&whole).unwrap();
    let reported = whole["regions"].as_array().unwrap();
    assert_eq!(reported.first().unwrap(), "af-south-1");
    assert!(reported.len() > 1, "{reported:?}");
    let asked = server.shutdown().requests;
    assert!(asked["s3:GET /"] <= 5, "{asked:?}");
    let server = organization(None, Faults::none());
    let whole = run(folder, &server, &arguments);
    assert!(out(&whole).lines().count() > 500);
    // the second one knows since when something fails: from the first
    let findings = |output: &Output| -> Vec<Value> {
        let text = out(output);
        let lines = text
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap());
        lines
            .map(|mut finding| {
                finding.as_object_mut().unwrap().remove("history");
                finding
            })
            .collect()
    };
    assert_eq!(findings(&resumed), findings(&whole));
    // what is kept of it is what it said
    let (manifests, _) = snapshots(folder, "lake");
    assert_eq!(manifests.len(), 2);
    let kept = |manifest: &Value| {
        let id = manifest["id"].as_str().unwrap();
        let sql = "SELECT * FROM finding";
        let query = [
            "query",
            "--store",
            "lake",
            "--snapshot",
            id,
            "-f",
            "jsonl",
            "--quiet",
            sql,
        ];
        let rows = offline(folder, &query, 0).0.replace(id, "");
        let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    };
    let (one, two) = (kept(&manifests[0]), kept(&manifests[1]));
    assert!(one.len() > 500);
    let differ = one.iter().zip(&two).find(|(a, b)| a != b);
    assert_eq!((differ, one.len()), (None, two.len()));
    let again = run(
        folder,
        &server,
        &[&arguments[..], &["--resume", id]].concat(),
    );
    assert_eq!(again.status.code(), Some(2), "{}", err(&again));
    assert!(err(&again).contains("is committed"), "{}", err(&again));
}
