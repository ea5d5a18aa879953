//! Against a moto server, seeded with boto3 in two regions: the binary finds what was put there. Makes its virtual
//! environment itself (needs Python 3); the server listens on loopback and ends with the test.
use crate::moto::{CREDENTIALS, Moto, root};
use palisade_core::{Assessment, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Fact of the seed → the check that must fail for exactly these of the resources named in the second fact.
const FAILS: &[(&str, &str, &str)] = &[
    (
        "iam_two_active_keys",
        "iam-user-single-access-key",
        "iam_users",
    ),
    (
        "iam_attached_to_user",
        "iam-user-no-direct-policies",
        "iam_users",
    ),
    ("s3_public_policy", "s3-bucket-private", ""),
    ("ec2_imds_v1", "ec2-instance-imdsv2", "ec2_instances"),
    (
        "ec2_ssh_from_anywhere",
        "ec2-security-group-ssh-restricted",
        "",
    ),
    (
        "ec2_volumes_not_encrypted",
        "ec2-volume-encrypted",
        "ec2_volumes",
    ),
    ("ec2_public_snapshots", "ec2-snapshot-private", ""),
    (
        "ec2_vpcs_without_flow_logs",
        "ec2-vpc-flow-logs",
        "ec2_vpcs",
    ),
    ("rds_public", "rds-instance-private", "rds_instances"),
    (
        "rds_not_encrypted",
        "rds-instance-encrypted",
        "rds_instances",
    ),
    (
        "dynamodb_without_recovery",
        "dynamodb-table-point-in-time-recovery",
        "dynamodb_tables",
    ),
    ("kms_not_rotated", "kms-key-rotation", ""),
    ("lambda_public", "lambda-function-private", ""),
];
/// Fact → the check that must pass for exactly these of the resources named in the second fact.
const PASSES: &[(&str, &str, &str)] = &[
    ("s3_versioned", "s3-bucket-versioning", "s3_buckets"),
    ("s3_only_tls", "s3-bucket-tls-only", "s3_buckets"),
];

#[test]
fn the_seeded_account_is_read_as_it_is() {
    let moto = Moto::start();
    let seed = root().join("tests/live/seed_small.py");
    let seeded = moto.run(&[seed.to_str().unwrap()]);
    let seeded: serde_json::Value = serde_json::from_slice(&seeded).unwrap();
    let regions: Vec<&str> = seeded["regions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r.as_str().unwrap())
        .collect();
    let fact = |name: &str| -> BTreeSet<String> {
        let ids = seeded["facts"][name]
            .as_array()
            .unwrap_or_else(|| panic!("the seed has no fact `{name}`"));
        ids.iter().map(|i| i.as_str().unwrap().to_owned()).collect()
    };
    let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
        .args([
            "scan",
            "--no-snapshot",
            // nothing is in the seeded VPCs
            "--param",
            "ec2-vpc-flow-logs.unused=true",
            "--format",
            "json",
            "--region",
            &regions.join(","),
            "--endpoint-url",
            &moto.url,
        ])
        .envs(CREDENTIALS)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let assessment: Assessment = serde_json::from_slice(&output.stdout).unwrap();

    let mut by_check: BTreeMap<&str, BTreeMap<&str, Status>> = BTreeMap::new();
    for finding in &assessment.findings {
        by_check
            .entry(&finding.check)
            .or_default()
            .insert(&finding.resource_id, finding.status);
        // ARNs of topics and the like are what the seed knows
        by_check
            .entry(&finding.check)
            .or_default()
            .insert(&finding.resource, finding.status);
    }
    let mut wrong = Vec::new();
    for (list, status) in [(FAILS, Status::Fail), (PASSES, Status::Pass)] {
        for (name, check, population) in list {
            let Some(found) = by_check.get(check) else {
                wrong.push(format!("{check}: no findings"));
                continue;
            };
            let expected = fact(name);
            for id in &expected {
                if found.get(id.as_str()) != Some(&status) {
                    wrong.push(format!(
                        "{check}: {id} is {:?}, not {status}",
                        found.get(id.as_str())
                    ));
                }
            }
            let others = if population.is_empty() {
                BTreeSet::new()
            } else {
                fact(population)
            };
            for id in others.difference(&expected) {
                if found.get(id.as_str()) == Some(&status) {
                    wrong.push(format!("{check}: {id} is {status} as well"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // what moto lacks is unknown, with a reason
    let unknown = assessment
        .findings
        .iter()
        .filter(|f| f.status == Status::Unknown);
    assert!(
        unknown.clone().all(|f| f.message.contains("failed")),
        "{:?}",
        unknown.map(|f| &f.message).find(|m| !m.contains("failed"))
    );
}
