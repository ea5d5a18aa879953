//! The demo account through the whole pipeline: the binary over HTTP against the replay endpoint, without and with
//! faults. What must hold under every fault: the scan ends, a verdict that was reached is the verdict of the
//! undisturbed scan, and the rest is unknown with its cause.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use palisade_core::{Assessment, CallErrorKind, Finding, Status};
use palisade_replay::{Faults, Recording, Server, Statistics};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

fn recording() -> Arc<Recording> {
    static RECORDING: OnceLock<Arc<Recording>> = OnceLock::new();
    let load = || {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog/demo/account.recording");
        Arc::new(Recording::load(file).unwrap())
    };
    Arc::clone(RECORDING.get_or_init(load))
}

fn palisade() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_CONFIG_FILE", "/nonexistent/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials");
    command.envs([
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ]);
    command.env("AWS_SECRET_ACCESS_KEY", "example");
    command
}

/// A scan against a server with these faults.
fn scan(faults: Faults, arguments: &[&str]) -> (Output, Statistics) {
    let server = Server::start(recording(), faults).unwrap();
    let regions = recording().header().regions.join(",");
    let format = if arguments.contains(&"--format") {
        &[][..]
    } else {
        &["--format", "json"]
    };
    // what a scan keeps there tells the next one since when something fails
    let kept = tempfile::tempdir().unwrap();
    let output = palisade()
        .env("XDG_DATA_HOME", kept.path())
        .args([
            "scan",
            "--region",
            &regions,
            "--endpoint-url",
            &server.url(),
        ])
        .args(format)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        !String::from_utf8_lossy(&output.stderr).contains("panicked"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (output, server.shutdown())
}

fn assessment(output: &Output) -> Assessment {
    assert!(
        output.status.success(),
        "{:?}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn clean() -> &'static (Assessment, Statistics) {
    static CLEAN: OnceLock<(Assessment, Statistics)> = OnceLock::new();
    CLEAN.get_or_init(|| {
        let (output, statistics) = scan(Faults::none(), &[]);
        (assessment(&output), statistics)
    })
}

fn key(finding: &Finding) -> (String, String, String, String) {
    (
        finding.check.to_string(),
        finding.region.to_string(),
        finding.resource.clone(),
        finding.resource_id.clone(),
    )
}

/// Every verdict is the clean scan's, or unknown.
fn nothing_is_wrong(disturbed: &Assessment) {
    let right: BTreeMap<_, Status> = clean()
        .0
        .findings
        .iter()
        .map(|f| (key(f), f.status))
        .collect();
    for finding in &disturbed.findings {
        if matches!(finding.status, Status::Pass | Status::Fail) {
            assert_eq!(
                right.get(&key(finding)),
                Some(&finding.status),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn the_demo_needs_nothing_and_shows_good_bad_and_unknown() {
    let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
        .args(["scan", "--demo", "--format", "json"])
        // a user's broken settings must not reach the demo
        .envs([
            ("AWS_PROFILE", "nobody"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"),
        ])
        .output()
        .unwrap();
    let demo = assessment(&output);
    assert!(demo.regions.len() >= 3);
    let count = |status| demo.findings.iter().filter(|f| f.status == status).count();
    assert!(count(Status::Fail) > 100 && count(Status::Pass) > 100 && count(Status::Unknown) > 0);
    let unknown: Vec<_> = demo
        .findings
        .iter()
        .filter(|f| f.status == Status::Unknown)
        .collect();
    assert!(
        unknown
            .iter()
            .all(|f| f.message.contains("failed with") || f.message.contains("could not")),
        "{:?}",
        unknown.first()
    );
    assert!(
        demo.coverage
            .failures
            .iter()
            .all(|(e, _)| e.code != "NotRecorded"),
        "{:?}",
        demo.coverage.failures
    );
}

/// One is not many.
#[test]
fn what_is_printed_of_one_is_singular() {
    let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
        .args(["scan", "--demo", "--quiet"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(clean().0.coverage.skipped.len(), 1);
    for line in [
        "\n          1 service skipped in regions that do not have them\n",
        "  (1 finding)\n",
        "  (6 findings)\n",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
}

#[test]
fn no_request_is_made_twice() {
    let (_, statistics) = clean();
    assert_eq!(statistics.duplicates, []);
    assert!(
        statistics.not_recorded.is_empty(),
        "{:?}",
        statistics.not_recorded
    );
}

#[test]
fn one_check_makes_only_its_calls() {
    let (output, statistics) = scan(Faults::none(), &["--check", "s3-bucket-versioning"]);
    let assessment = assessment(&output);
    assert_eq!(assessment.checks.len(), 1);
    let mut operations: Vec<String> = assessment
        .coverage
        .calls
        .iter()
        .map(|c| c.operation.clone())
        .collect();
    operations.sort();
    assert_eq!(operations, ["s3:GetBucketVersioning", "s3:ListBuckets"]);
    // and who we are
    let calls: usize = assessment.coverage.calls.iter().map(|c| c.requests).sum();
    assert_eq!(statistics.total, calls as u64 + 1);
}

#[test]
fn two_runs_print_the_same_bytes() {
    let jitter = Faults::none().seed(7).jitter(Duration::from_millis(20));
    let (first, _) = scan(Faults::none(), &["--format", "jsonl"]);
    let (second, _) = scan(jitter, &["--format", "jsonl"]);
    // ages are counted from the time of the scan, which is now: days may differ only around midnight
    assert!(first.status.success() && second.status.success());
    assert!(
        first.stdout == second.stdout,
        "the findings differ between runs"
    );
}

#[test]
fn a_denied_service_is_unknown_with_the_permission() {
    let (output, _) = scan(Faults::none().deny("kms"), &[]);
    let assessment = assessment(&output);
    nothing_is_wrong(&assessment);
    let keys: Vec<_> = assessment
        .findings
        .iter()
        .filter(|f| f.resource_type.as_ref() == "kms_key")
        .collect();
    assert!(!keys.is_empty());
    for finding in keys {
        assert_eq!(finding.status, Status::Unknown, "{finding:?}");
        assert!(
            finding
                .missing_permissions
                .iter()
                .any(|p| p.starts_with("kms:")),
            "{finding:?}"
        );
    }
    assert!(
        assessment
            .coverage
            .failures
            .iter()
            .any(|(e, _)| e.service == "kms" && e.kind == CallErrorKind::Denied)
    );
    let (strict, _) = scan(Faults::none().deny("kms"), &["--strict"]);
    assert_eq!(strict.status.code(), Some(4));
}

#[test]
fn a_refused_region_leaves_the_others() {
    let (output, _) = scan(Faults::none().refuse_region("eu-west-1"), &[]);
    let assessment = assessment(&output);
    nothing_is_wrong(&assessment);
    let judged = |region: &str| {
        assessment
            .findings
            .iter()
            .filter(|f| {
                f.region.as_ref() == region && matches!(f.status, Status::Pass | Status::Fail)
            })
            .count()
    };
    assert!(judged("us-east-1") > 50);
    assert!(
        assessment
            .findings
            .iter()
            .any(|f| f.region.as_ref() == "eu-west-1" && f.status == Status::Unknown)
    );
}

#[test]
fn a_third_of_all_answers_throttled_changes_nothing() {
    let (output, statistics) = scan(
        Faults::none().seed(3).throttle("*", 0.3),
        &["--service", "s3", "--service", "kms"],
    );
    let assessment = assessment(&output);
    nothing_is_wrong(&assessment);
    assert!(statistics.throttled > 10, "{}", statistics.throttled);
    let throttled: usize = assessment.coverage.calls.iter().map(|c| c.throttled).sum();
    assert!(throttled > 0, "the report does not mention the throttling");
    let decided = assessment
        .findings
        .iter()
        .filter(|f| matches!(f.status, Status::Pass | Status::Fail))
        .count();
    assert!(
        decided * 10 > assessment.findings.len() * 8,
        "{decided} of {}",
        assessment.findings.len()
    );
}

#[test]
fn damaged_answers_and_server_errors_are_unknown() {
    for faults in [
        Faults::none().seed(1).truncate("*", 0.2),
        Faults::none().seed(2).truncate_chunked("*", 0.2),
        Faults::none().seed(3).malformed("*", 0.2),
        Faults::none().seed(4).server_errors("*", 0.3),
    ] {
        let (output, statistics) = scan(
            faults,
            &["--service", "s3", "--service", "sns", "--service", "lambda"],
        );
        if output.status.success() {
            assert!(statistics.faults.values().sum::<u64>() > 0);
            nothing_is_wrong(&assessment(&output));
        } else {
            // the very first call, who we are, was hit for good: one message, nothing half-written
            assert_eq!(output.status.code(), Some(1));
            assert!(output.stdout.is_empty());
        }
    }
}

#[test]
fn a_service_that_always_fails_does_not_stop_the_rest() {
    let (output, _) = scan(
        Faults::none().server_errors("sqs", 1.0),
        &["--service", "sqs", "--service", "sns"],
    );
    let assessment = assessment(&output);
    nothing_is_wrong(&assessment);
    assert!(
        assessment
            .findings
            .iter()
            .any(|f| f.check.starts_with("sns-") && f.status != Status::Unknown)
    );
    let sqs: Vec<_> = assessment
        .findings
        .iter()
        .filter(|f| f.resource_type.starts_with("sqs_"))
        .collect();
    assert!(!sqs.is_empty() && sqs.iter().all(|f| f.status == Status::Unknown));
}

#[test]
fn exit_codes_follow_the_flags() {
    let code = |arguments: &[&str]| {
        palisade()
            .args(["scan", "--demo", "--service", "s3", "--quiet"])
            .args(arguments)
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(code(&[]), Some(0));
    assert_eq!(code(&["--fail-on", "low"]), Some(3));
    assert_eq!(
        code(&["--check", "s3-bucket-versioning", "--fail-on", "critical"]),
        Some(3).filter(|_| has_critical_s3()).or(Some(0))
    );
}

fn has_critical_s3() -> bool {
    let critical =
        |f: &&Finding| f.severity == palisade_core::Severity::Critical && f.status == Status::Fail;
    clean()
        .0
        .findings
        .iter()
        .filter(critical)
        .any(|f| f.check.starts_with("s3-"))
}

#[test]
fn a_report_file_is_whole_or_absent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let output = palisade()
        .args([
            "scan",
            "--demo",
            "--service",
            "sns",
            "--format",
            "json",
            "--output",
        ])
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout.is_empty());
    let _: Assessment = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "a temporary file was left"
    );
    let nowhere = folder.path().join("missing/report.json");
    let output = palisade()
        .args(["scan", "--demo", "--service", "sns", "--output"])
        .arg(&nowhere)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing/report.json"));
}

#[test]
fn foreign_ids_answer_under_their_own_name() {
    let output = palisade()
        .args([
            "scan",
            "--demo",
            "--check",
            "prowler:s3_bucket_object_versioning",
            "--format",
            "jsonl",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.is_empty());
    assert!(text.lines().all(
        |l| serde_json::from_str::<Finding>(l).unwrap().check.as_ref()
            == "s3_bucket_object_versioning"
    ));
}

#[test]
fn a_foreign_id_that_stands_for_two_checks_runs_both() {
    let output = palisade()
        .args(["permissions", "--check", "prowler:rds_snapshots_encrypted"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for action in ["rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots"] {
        assert!(text.contains(action), "{text}");
    }
}

#[test]
fn queries_and_inventory_answer() {
    let output = palisade()
        .args([
            "query",
            "--demo",
            "--format",
            "jsonl",
            "SELECT count(*) AS n FROM s3_bucket",
        ])
        .output()
        .unwrap();
    let row: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(row["n"].as_i64().unwrap() > 3, "{row}");
    let output = palisade()
        .args([
            "inventory",
            "--demo",
            "--service",
            "s3",
            "--list",
            "--format",
            "jsonl",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.lines().count() > 3 && text.contains("arn:aws:s3:::"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[cfg(unix)]
fn an_interrupted_scan_says_so() {
    // every answer takes a second: the scan cannot be done when the signal comes
    let server =
        Server::start(recording(), Faults::none().latency(Duration::from_secs(1))).unwrap();
    let regions = recording().header().regions.join(",");
    let child = palisade()
        .args([
            "scan",
            "--format",
            "json",
            "--region",
            &regions,
            "--endpoint-url",
            &server.url(),
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // once calls of the scan itself are under way
    while server.statistics().total < 40 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let assessment: Assessment = serde_json::from_slice(&output.stdout).unwrap();
    assert!(assessment.coverage.interrupted);
    nothing_is_wrong(&assessment);
    assert!(
        assessment
            .findings
            .iter()
            .any(|f| f.status == Status::Unknown)
    );
}
