//! Where reports go: several at once, whole or not at all; and what does not count: mutes and baselines.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use palisade_core::{Assessment, MutedBy, Status};
use std::path::Path;
use std::process::{Command, Output};

const FORMATS: &[&str] = &[
    "text",
    "json",
    "jsonl",
    "csv",
    "compliance-csv",
    "html",
    "markdown",
    "ocsf",
    "asff",
    "sarif",
    "junit",
    "prometheus",
];

fn palisade(folder: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    output
}

fn scan(folder: &Path, arguments: &[&str]) -> Output {
    let fixed = ["scan", "--demo", "--service", "s3"];
    palisade(folder, &[&fixed, arguments].concat())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(folder: &Path, name: &str) -> Assessment {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn every_format_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let outputs: Vec<String> = FORMATS.iter().map(|f| format!("{f}={f}.out")).collect();
    let mut arguments: Vec<&str> = outputs.iter().flat_map(|o| ["--output", o]).collect();
    arguments.extend(["--output", "jsonl=-"]);
    let output = scan(folder.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut expected: Vec<String> = FORMATS.iter().map(|f| format!("{f}.out")).collect();
    expected.sort();
    assert_eq!(files(folder.path()), expected);
    let findings = report(folder.path(), "json.out").findings.len();
    assert!(findings > 100);
    assert_eq!(
        output.stdout,
        std::fs::read(folder.path().join("jsonl.out")).unwrap()
    );
    assert_eq!(
        output.stdout.iter().filter(|b| **b == b'\n').count(),
        findings
    );
    // the same answers give the same bytes
    let again = tempfile::tempdir().unwrap();
    assert!(scan(again.path(), &arguments).status.success());
    for name in expected {
        let read = |folder: &Path| std::fs::read(folder.join(&name)).unwrap();
        assert!(
            read(folder.path()) == read(again.path()),
            "{name} differs between two scans of the same account"
        );
    }
}

#[test]
fn when_one_output_fails_no_file_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.json"), "old").unwrap();
    // a device that is always full
    let output = scan(
        folder.path(),
        &[
            "-o",
            "json=old.json",
            "-o",
            "csv=new.csv",
            "-o",
            "html=/dev/full",
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("cannot write `/dev/full`: No space left"),
        "{}",
        stderr(&output)
    );
    assert_eq!(files(folder.path()), ["old.json"]);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("old.json")).unwrap(),
        "old"
    );
    // told before anything is asked of AWS
    for (arguments, code, says) in [
        (
            &["-o", "json=missing/x.json"][..],
            1,
            "cannot write `missing/x.json`",
        ),
        (&["-o", "json=."], 1, "cannot write `.`"),
        (&["-o", "json=x", "-o", "csv=x"], 2, "two outputs go to `x`"),
        (&["-o", "-", "-o", "csv=-"], 2, "two outputs go to stdout"),
        (
            &["-o", "html=gs://bucket/key"],
            2,
            "cannot write to `gs://bucket/key`",
        ),
        (
            &["-o", "html=s3://bucket/key"],
            2,
            "the account is a recording",
        ),
    ] {
        let output = scan(folder.path(), arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(says),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            output.stdout.is_empty() && !stderr(&output).contains("Tidewater"),
            "{arguments:?}"
        );
    }
    assert_eq!(files(folder.path()), ["old.json"]);
}

fn mutes(folder: &Path, fields: &str, expires: &str) {
    let text = format!(
        "[[mute]]\n{fields}\nreason = 'on purpose'\nowner = 'web team'\nexpires = {expires}\n"
    );
    std::fs::write(folder.join("mutes.toml"), text).unwrap();
}

#[test]
fn muted_findings_stay_and_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = |more: &[&str]| {
        scan(
            folder,
            &[&["--fail-on", "critical", "-o", "json=r.json"], more].concat(),
        )
    };
    assert_eq!(run(&[]).status.code(), Some(3));
    let plain = report(folder, "r.json");

    mutes(folder, "check = 's3-bucket-private'", "2026-12-31");
    let output = run(&["--mutes", "mutes.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let muted = report(folder, "r.json");
    assert_eq!(muted.findings.len(), plain.findings.len());
    for (a, b) in plain.findings.iter().zip(&muted.findings) {
        assert_eq!(
            (&a.check, a.status, &a.resource),
            (&b.check, b.status, &b.resource)
        );
        let expected = a.status == Status::Fail && &*a.check == "s3-bucket-private";
        assert_eq!(b.muted.is_some(), expected, "{b:?}");
    }

    // by tag: the tags are read for it
    mutes(
        folder,
        "check = 's3-bucket-private'\ntag = 'owner=marketing'",
        "2026-12-31",
    );
    assert_eq!(run(&["--mutes", "mutes.toml"]).status.code(), Some(3));
    let tagged: Vec<String> = report(folder, "r.json")
        .findings
        .iter()
        .filter(|f| f.muted.is_some())
        .map(|f| f.resource_id.clone())
        .collect();
    assert!(
        tagged.contains(&"tidewater-www".to_owned()) && tagged.len() < 5,
        "{tagged:?}"
    );

    // the demo is of 2026-01-15
    mutes(folder, "check = 's3-bucket-private'", "2026-01-14");
    let output = run(&["--mutes", "mutes.toml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("ended on 2026-01-14: 5 findings count again"),
        "{}",
        stderr(&output)
    );
    assert_eq!(report(folder, "r.json").expired_mutes[0].findings, 5);

    mutes(folder, "check = 's3-bucket-privat'", "2026-12-31");
    assert!(
        stderr(&run(&["--mutes", "mutes.toml"])).contains("`s3-bucket-privat`, which is no check")
    );
    assert_eq!(run(&["--mutes", "absent.toml"]).status.code(), Some(1));
    std::fs::write(folder.join("mutes.toml"), "[[mute]]\ncheck = 'x'\n").unwrap();
    let output = run(&["--mutes", "mutes.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("missing field `reason`"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_baseline_lets_only_new_findings_fail() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let output = palisade(
        folder,
        &[
            "baseline",
            "--demo",
            "--check",
            "s3-bucket-private",
            "-o",
            "base.json",
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let all = &["--baseline", "base.json", "-o", "json=r.json", "--fail-on"];
    assert_eq!(
        scan(folder, &[all, &["critical"][..]].concat())
            .status
            .code(),
        Some(0)
    );
    let old = report(folder, "r.json");
    let marked = old.findings.iter().filter_map(|f| f.muted.as_deref());
    assert!(marked.clone().count() == 5 && marked.clone().all(|m| m.by == MutedBy::Baseline));
    // other checks are not in it
    assert_eq!(
        scan(folder, &[all, &["high"][..]].concat()).status.code(),
        Some(3)
    );
    // of a report: the same
    let output = palisade(
        folder,
        &["baseline", "--from", "r.json", "-o", "second.json"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let second = std::fs::read_to_string(folder.join("second.json")).unwrap();
    assert!(
        !second.contains("s3-bucket-private") && second.contains("s3-bucket-"),
        "{second}"
    );
    assert_eq!(
        scan(folder, &["--baseline", "r.json"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_mutelist_becomes_a_mutes_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let list = "Mutelist:\n  Accounts:\n    '*':\n      Checks:\n        s3_bucket_object_versioning:\n          Regions: ['*']\n          Resources: ['^tidewater-.*']\n";
    std::fs::write(folder.join("list.yaml"), list).unwrap();
    let import = [
        "mutes",
        "import",
        "list.yaml",
        "--owner",
        "web team",
        "--expires",
        "2026-12-31",
    ];
    let output = palisade(folder, &import);
    assert!(output.status.success(), "{}", stderr(&output));
    std::fs::write(folder.join("mutes.toml"), &output.stdout).unwrap();
    assert!(
        scan(folder, &["--mutes", "mutes.toml", "-o", "json=r.json"])
            .status
            .success()
    );
    let muted: Vec<_> = report(folder, "r.json")
        .findings
        .into_iter()
        .filter(|f| f.muted.is_some())
        .collect();
    assert!(!muted.is_empty() && muted.iter().all(|f| &*f.check == "s3-bucket-versioning"));
    std::fs::write(
        folder.join("list.yaml"),
        list.replace("s3_bucket_object_versioning", "no_such_check"),
    )
    .unwrap();
    let output = palisade(folder, &import);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("left out") && stderr(&output).contains("no_such_check"));
}
