//! What people attest, and what they have to look at again: as users run it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("AWS_") || name.starts_with("PALISADE_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .args(["--catalog", "cat"])
        .args(arguments)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command.output().unwrap()
}

/// A folder with a framework of manual requirements and this attestations file.
fn folder(attestations: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("cat/frameworks")).unwrap();
    std::fs::write(
        folder.path().join("cat/frameworks/f-1.toml"),
        r#"name = "f"
version = "1"
title = "T"
source = "https://example.com"

[[requirement]]
id = "plan"
title = "There is an incident plan"
kind = "manual"
control = "incident-plan"

[[requirement]]
id = "training"
title = "People are trained"
kind = "manual"

[[requirement]]
id = "versions"
title = "Buckets keep versions"
kind = "automated"
checks = ["s3-bucket-versioning"]
"#,
    )
    .unwrap();
    std::fs::write(folder.path().join("attestations.toml"), attestations).unwrap();
    folder
}

/// An attestation; the demo was recorded in between 2001 and 2099.
fn attestation(about: &str, on: &str, until: &str) -> String {
    format!(
        "[[attestation]]\n{about}\nby = \"J. Doe\"\non = {on}\nvalid_until = {until}\nevidence = \"https://wiki.example/plan\"\nstatement = \"The plan was rehearsed\"\n\n"
    )
}

fn scan(attestations: &str, more: &[&str]) -> (Option<i32>, Value) {
    let folder = folder(attestations);
    let mut arguments = vec![
        "--quiet",
        "scan",
        "--demo",
        "--framework",
        "f-1",
        "--format",
        "json",
    ];
    arguments.extend(more);
    let output = run(folder.path(), &arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (
        output.status.code(),
        report.unwrap_or_else(|_| panic!("{text}")),
    )
}

fn requirement(report: &Value, id: &str) -> Value {
    let all = report["frameworks"][0]["requirements"].as_array().unwrap();
    all.iter().find(|r| r["id"] == id).unwrap().clone()
}

fn finding(report: &Value, check: &str) -> Value {
    let all = report["findings"].as_array().unwrap();
    all.iter().find(|f| f["check"] == check).unwrap().clone()
}

#[test]
fn a_valid_attestation_passes_with_its_evidence() {
    let text = attestation(
        "requirements = [\"f-1/training\"]",
        "2001-01-01",
        "2099-12-31",
    );
    let (_, report) = scan(&text, &[]);
    assert_eq!(requirement(&report, "training")["status"], "passed");
    assert_eq!(requirement(&report, "plan")["status"], "manual");
    let finding = finding(&report, "f-1/training");
    assert_eq!(finding["status"], "pass");
    let message = finding["message"].as_str().unwrap();
    for part in [
        "J. Doe",
        "2001-01-01",
        "2099-12-31",
        "https://wiki.example/plan",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_control_answers_the_requirements_that_name_it() {
    let text = attestation(
        "control = \"incident-plan\"",
        "\"2001-01-01\"",
        "2099-12-31",
    );
    let (_, report) = scan(&text, &[]);
    assert_eq!(requirement(&report, "plan")["status"], "passed");
    assert_eq!(requirement(&report, "training")["status"], "manual");
}

#[test]
fn an_expired_attestation_fails_and_counts() {
    let text = attestation(
        "requirements = [\"f-1/training\"]",
        "2001-01-01",
        "2001-12-31",
    );
    let (code, report) = scan(&text, &["--fail-on", "medium"]);
    assert_eq!(code, Some(3));
    assert_eq!(requirement(&report, "training")["status"], "failed");
    let message = finding(&report, "f-1/training")["message"].to_string();
    assert!(message.contains("expired on 2001-12-31"), "{message}");
    // a newer one takes its place
    let newer = attestation(
        "requirements = [\"f-1/training\"]",
        "2002-01-01",
        "2099-12-31",
    );
    let (_, report) = scan(&format!("{text}{newer}"), &[]);
    assert_eq!(requirement(&report, "training")["status"], "passed");
}

#[test]
fn an_attestation_of_tomorrow_or_of_another_account_answers_nothing() {
    let future = attestation(
        "requirements = [\"f-1/training\"]",
        "2098-01-01",
        "2099-12-31",
    );
    let (_, report) = scan(&future, &[]);
    assert_eq!(requirement(&report, "training")["status"], "manual");
    let other = attestation(
        "requirements = [\"f-1/training\"]\naccounts = [\"999999999999\"]",
        "2001-01-01",
        "2099-12-31",
    );
    let (_, report) = scan(&other, &[]);
    assert_eq!(requirement(&report, "training")["status"], "manual");
}

#[test]
fn mistakes_are_told_at_once_with_their_places() {
    let bad = "[[attestation]]\nrequirements = [\"f-1/plann\", \"f-2/x\", \"plan\", \"f-1/versions\"]\ncontrol = \"incident-pln\"\naccounts = [\"12\"]\nby = \"\"\non = 2026-02-30\nvalid_until = \"soon\"\nevidence = \"e\"\nstatement = \"s\"\n";
    let order = attestation("requirements = [\"f-1/plan\"]", "2026-01-02", "2026-01-01");
    let nothing = attestation("", "2026-01-01", "2026-01-01");
    let review = "[[review]]\nkind = \"drill\"\non = 3\nby = \"x\"\n";
    for (text, says) in [
        // an impossible date is no TOML: the rest is judged when it is gone
        (bad.to_owned(), vec!["attestations.toml:6:"]),
        (
            format!(
                "{}{order}{nothing}{review}",
                bad.replace("2026-02-30", "\"2026-02-30\"")
            ),
            vec![
                "attestations.toml:2:17: error: `f-1` has no requirement `plann`",
                "unknown framework `f-2`",
                "`plan` is not of the form `framework/requirement`",
                "checks answer `f-1/versions`",
                "attestations.toml:3:11: error: unknown control `incident-pln`",
                "did you mean `incident-plan`?",
                "`12` is not an account id",
                "attestations.toml:5:6: error: `by` of `attestation` is empty",
                "attestations.toml:6:6: error: `2026-02-30` is not a date",
                "`soon` is not a date",
                "`valid_until` (2026-01-01) is before the day of the attestation (2026-01-02)",
                "it has neither",
                "unknown review `drill`",
                "did you mean `drills`?",
                "`on` must be a date, not a whole number",
                "`evidence` of `review` is missing",
            ],
        ),
    ] {
        let folder = folder(&text);
        let output = run(folder.path(), &["scan", "--demo", "--framework", "f-1"]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(output.stdout.is_empty());
        for part in says {
            assert!(message.contains(part), "`{part}` is not in:\n{message}");
        }
    }
}

#[test]
fn a_named_file_that_is_not_there_is_an_error() {
    let folder = folder("");
    let output = run(
        folder.path(),
        &["scan", "--demo", "--attestations", "absent.toml"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("absent.toml")
    );
}

#[test]
fn reviews_are_due_by_their_cadence() {
    let text = format!(
        "{}[[review]]\nkind = \"drills\"\non = 2026-01-31\nby = \"ops\"\nevidence = \"https://wiki.example/drill\"\n\n[[review]]\nkind = \"drills\"\non = 2025-01-31\nby = \"ops\"\nevidence = \"e\"\n\n[[review]]\nkind = \"permissions\"\non = 2026-01-01\nby = \"sec\"\nevidence = \"e\"\n",
        attestation(
            "requirements = [\"f-1/training\"]",
            "2026-01-01",
            "2026-03-15"
        )
    );
    let folder = folder(&text);
    std::fs::write(
        folder.path().join("palisade.toml"),
        "[review]\nposture = \"30d\"\ndrills = \"1m\"\npermissions = \"1y\"\n",
    )
    .unwrap();
    let on = |day: &str, more: &[&str]| {
        let mut arguments = vec!["review", "--as-of", day, "--format", "json"];
        arguments.extend(more);
        let output = run(folder.path(), &arguments);
        let list: Vec<Value> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let standings: Vec<(String, String)> = list
            .iter()
            .map(|d| {
                (
                    d["what"].as_str().unwrap().to_owned(),
                    d["standing"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        (output.status.code(), standings)
    };
    let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };
    // the last day of February is due on its own day
    let (code, standings) = on("2026-02-28", &["--fail"]);
    assert_eq!(
        standings,
        of(&[
            ("posture", "overdue"),
            ("drills", "due soon"),
            ("f-1/training", "due soon"),
            ("permissions", "done")
        ])
    );
    assert_eq!(code, Some(3), "posture was never looked at");
    let (code, standings) = on("2026-03-16", &[]);
    assert_eq!(code, Some(0), "only --fail fails");
    assert_eq!(
        standings,
        of(&[
            ("posture", "overdue"),
            ("drills", "overdue"),
            ("f-1/training", "overdue"),
            ("permissions", "done")
        ])
    );
    let output = run(folder.path(), &["review", "--as-of", "2026-02-28"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("never done") && text.contains("due 2026-02-28, in 0 days"),
        "{text}"
    );
    let output = run(folder.path(), &["review", "--as-of", "yesterday"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn nothing_to_review_is_said() {
    let folder = folder("");
    let output = run(folder.path(), &["review", "--fail"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("no review has a cadence")
    );
}
