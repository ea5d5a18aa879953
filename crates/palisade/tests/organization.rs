//! Guardrails of an organisation as moto's Organizations API tells them: root → unit → unit → account. The management
//! account writes them down, and answers about a member account go through every level.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "common/moto.rs"]
mod moto;

use moto::{CREDENTIALS, Moto, root};
use serde_json::Value;
use std::process::{Command, Output};

fn with_credentials<'c>(command: &'c mut Command, url: &str) -> &'c mut Command {
    command.envs(CREDENTIALS).env("AWS_ENDPOINT_URL", url)
}

fn iam(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.arg("iam").args(arguments);
    with_credentials(&mut command, url).output().unwrap()
}

#[test]
fn every_level_of_the_organisation_decides() {
    let moto = Moto::start_organization();
    let mut seed = Command::new(&moto.python);
    seed.arg(root().join("tests/live/seed_organization.py"));
    let seeded = with_credentials(&mut seed, &moto.url).output().unwrap();
    assert!(
        seeded.status.success(),
        "{}",
        String::from_utf8_lossy(&seeded.stderr)
    );
    let seeded: Value = serde_json::from_slice(&seeded.stdout).unwrap();
    let (account, role) = (
        seeded["account"].as_str().unwrap(),
        seeded["role"].as_str().unwrap(),
    );

    // The management account writes the guardrails of all accounts down.
    let written = iam(&moto.url, &["guardrails"]);
    assert!(
        written.status.success(),
        "{}",
        String::from_utf8_lossy(&written.stderr)
    );
    let guardrails: Value = serde_json::from_slice(&written.stdout).unwrap();
    let levels = guardrails["ServiceControlPolicies"][account]
        .as_array()
        .unwrap();
    let names: Vec<&Value> = levels.iter().map(|l| &l["Level"]).collect();
    let chain: Vec<&Value> = seeded["chain"].as_array().unwrap().iter().collect();
    assert_eq!(names, chain);
    assert!(guardrails["ResourceControlPolicies"][account].is_array());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guardrails.json");
    std::fs::write(&file, &written.stdout).unwrap();
    let file = file.to_str().unwrap();

    let can = |action: &str, resource: &str, expected: &str| {
        iam(
            &moto.url,
            &[
                "can",
                "user/dev",
                action,
                resource,
                "--role-arn",
                role,
                "--with",
                file,
                "--region",
                "us-east-1",
                "--expect",
                expected,
                "--format",
                "json",
            ],
        )
    };
    for (action, resource, level) in [
        ("kms:ScheduleKeyDeletion", "key/1", 0),
        ("sqs:SendMessage", "q", 1),
        ("sns:Publish", "t", 2),
        ("lambda:InvokeFunction", "function:f", 3),
    ] {
        let service = action.split(':').next().unwrap();
        let arn = format!("arn:aws:{service}:us-east-1:{account}:{resource}");
        let ran = can(action, &arn, "deny");
        assert!(
            ran.status.success(),
            "{action}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(answer["decision"], "explicit_deny", "{action}");
        let denying = answer["layers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|l| l["says"] == "denies")
            .unwrap_or_else(|| panic!("{action}: {answer}"));
        assert_eq!(denying["layer"], "scp", "{action}");
        assert_eq!(&denying["level"], chain[level], "{action}");
    }
    // What another unit is denied does not matter here.
    let machine = format!("arn:aws:ec2:us-east-1:{account}:instance/i-1");
    let ran = can("ec2:StartInstances", &machine, "allow");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stdout)
    );
    assert_eq!(
        can("ec2:StartInstances", &machine, "deny").status.code(),
        Some(3)
    );

    // All accounts at once, through the role that Organizations makes in each.
    let mut scan = Command::new(env!("CARGO_BIN_EXE_palisade"));
    scan.args(["scan", "--organization", "--region", "us-east-1"])
        .arg("--no-snapshot")
        .args(["--organization-role", "OrganizationAccountAccessRole"])
        .args(["--service", "organizations,iam", "--format", "json"]);
    let scanned = with_credentials(&mut scan, &moto.url).output().unwrap();
    let report: Value = serde_json::from_slice(&scanned.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&scanned.stderr)));
    let accounts: Vec<&str> = report["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a.as_str().unwrap())
        .collect();
    assert_eq!(accounts.len(), 2, "{accounts:?}");
    assert!(accounts.contains(&account));
    let users = report["findings"].as_array().unwrap().iter();
    let of_dev: Vec<&Value> = users
        .filter(|f| {
            f["resource_id"] == "dev" || f["resource"].as_str().unwrap().ends_with(":user/dev")
        })
        .collect();
    assert!(!of_dev.is_empty());
    assert!(of_dev.iter().all(|f| f["account_id"] == account));
    // The unit decides, by its path.
    let mut scan = Command::new(env!("CARGO_BIN_EXE_palisade"));
    scan.args([
        "query",
        "--organization",
        "--region",
        "us-east-1",
        "--format",
        "jsonl",
    ])
    .args(["--organization-role", "OrganizationAccountAccessRole"])
    .args(["--include-ou", "Root/workloads"])
    .arg("SELECT DISTINCT account_id FROM iam_user");
    let scanned = with_credentials(&mut scan, &moto.url).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&scanned.stdout).trim(),
        format!("{{\"account_id\":\"{account}\"}}"),
        "{}",
        String::from_utf8_lossy(&scanned.stderr)
    );
}
