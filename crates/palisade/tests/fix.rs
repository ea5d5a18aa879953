//! `palisade fix` against a moto server: state A fails → plan → apply → the check passes → undo → the whole account is
//! described as before, byte for byte. Prints a table with every machine fix, and names what this moto cannot show.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its table"
)]

mod moto;

use moto::{CREDENTIALS, Moto, python, root};
use palisade_catalog::{Source, load};
use palisade_fix::{Event, Outcome, Plan, Run, Verdict, read_run, undo_hash};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

/// Machine fixes that this moto cannot show, with what it does.
const MOTO_DIFFERS: &[(&str, &str)] = &[
    (
        "athena-workgroup-encrypted",
        "UpdateWorkGroup ends with 500",
    ),
    ("athena-workgroup-enforced", "UpdateWorkGroup ends with 500"),
    ("athena-workgroup-logging", "UpdateWorkGroup ends with 500"),
    (
        "autoscaling-group-capacity-rebalance",
        "UpdateAutoScalingGroup does not take CapacityRebalance",
    ),
    (
        "cloudformation-stack-termination-protection",
        "UpdateTerminationProtection ends with 500",
    ),
    (
        "cloudtrail-insights",
        "an empty list of selectors does not turn them off",
    ),
    ("cloudtrail-logging", "StartLogging by ARN ends with 500"),
    (
        "cloudwatch-alarm-actions-active",
        "EnableAlarmActions ends with 500",
    ),
    (
        "dms-replication-instance-minor-upgrades",
        "ModifyReplicationInstance ends with 500",
    ),
    (
        "dms-replication-instance-multi-az",
        "ModifyReplicationInstance ends with 500",
    ),
    (
        "dynamodb-table-kms-key",
        "UpdateTable does not take SSESpecification",
    ),
    (
        "ec2-instance-detailed-monitoring",
        "MonitorInstances ends with 500",
    ),
    (
        "ec2-instance-imdsv2",
        "ModifyInstanceMetadataOptions ends with 500",
    ),
    (
        "ecs-cluster-container-insights",
        "UpdateClusterSettings ends with 500",
    ),
    ("efs-file-system-backups", "PutBackupPolicy ends with 500"),
    (
        "eks-cluster-deletion-protection",
        "UpdateClusterConfig does not take deletionProtection",
    ),
    (
        "eks-cluster-endpoint-inside",
        "UpdateClusterConfig forgets the parts of resourcesVpcConfig that it is not given",
    ),
    (
        "elasticache-cluster-minor-upgrades",
        "ModifyCacheCluster ends with 500",
    ),
    (
        "elb-load-balancer-connection-draining",
        "the former timeout is not described",
    ),
    (
        "elb-load-balancer-desync-mitigation",
        "every change appends the attribute once more",
    ),
    (
        "elbv2-load-balancer-desync-mitigation",
        "attributes with their default are not described",
    ),
    (
        "elbv2-load-balancer-drop-invalid-headers",
        "attributes with their default are not described",
    ),
    (
        "elb-load-balancer-cross-zone",
        "every change appends another attribute",
    ),
    (
        "emr-settings-block-public-access",
        "before the first change there is no configuration at all",
    ),
    (
        "guardduty-eks-audit-logs",
        "UpdateDetector forgets features that it is not given",
    ),
    (
        "guardduty-lambda-protection",
        "UpdateDetector forgets features that it is not given",
    ),
    (
        "guardduty-malware-protection",
        "UpdateDetector forgets features that it is not given",
    ),
    (
        "guardduty-rds-protection",
        "UpdateDetector forgets features that it is not given",
    ),
    (
        "guardduty-runtime-agents-managed",
        "UpdateDetector forgets features that it is not given",
    ),
    (
        "guardduty-runtime-monitoring",
        "UpdateDetector forgets features that it is not given",
    ),
    (
        "ram-share-organization-only",
        "UpdateResourceShare forgets the name",
    ),
    (
        "rds-cluster-audit-log",
        "ModifyDBCluster does not take exports of logs",
    ),
    (
        "rds-cluster-iam-authentication",
        "ModifyDBCluster does not take IAM authentication",
    ),
    (
        "redshift-cluster-multi-az",
        "ModifyCluster does not take MultiAZ",
    ),
    (
        "s3-bucket-event-notifications",
        "EventBridge is not described",
    ),
];

/// The state of the whole account: call → answer.
type Dump = BTreeMap<String, Json>;

struct Account<'a> {
    moto: &'a Moto,
    folder: &'a Path,
}

impl Account<'_> {
    fn palisade(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(arguments)
            .current_dir(self.folder)
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &self.moto.url)
            .output()
            .unwrap()
    }

    fn python(&self, script: &str) -> String {
        let output = Command::new(python())
            .arg(root().join("tests/live").join(script))
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &self.moto.url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The state when resources that were made a moment ago are ready: moto moves on when it is asked.
    fn settled(&self) -> Dump {
        let mut last = self.dump();
        for _ in 0..5 {
            let now = self.dump();
            if now == last {
                return now;
            }
            last = now;
        }
        panic!("the account does not come to rest");
    }

    fn dump(&self) -> Dump {
        serde_json::from_str(&self.python("dump.py")).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Checks whose fix calls are all described by change files.
fn machine_fixes() -> BTreeSet<String> {
    let catalog = load(&[Source::embedded()]).catalog;
    let described = |c: &palisade_catalog::FixCall| {
        let of = catalog.changes.get(&c.service);
        of.is_some_and(|of| of.contains_key(&c.operation))
    };
    let checks = catalog.checks.values();
    checks
        .filter(|c| !c.fix_calls.is_empty() && c.fix_calls.iter().all(described))
        .map(|c| c.id.clone())
        .collect()
}

/// What came of an item: outcome, reason, what the checks say.
type Came = (Outcome, Option<String>, Vec<(String, Verdict)>);

fn verdicts(run: &Run, undo: bool) -> BTreeMap<usize, Came> {
    let mut found = BTreeMap::new();
    for event in &run.events {
        if let Event::Item {
            item,
            undo: of,
            outcome,
            reason,
            verdicts,
            ..
        } = event
            && *of == undo
        {
            found.insert(*item, (*outcome, reason.clone(), verdicts.clone()));
        }
    }
    found
}

/// Elements that differ, each as the smallest element of a list, or whole answer, that holds the difference.
fn differences(a: &Json, b: &Json, out: &mut Vec<(String, String)>) {
    match (a, b) {
        (Json::Object(x), Json::Object(y)) => {
            let names: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            let mut deeper = Vec::new();
            for name in names {
                let (p, q) = (x.get(name), y.get(name));
                if p == q {
                    continue;
                }
                match (p, q) {
                    (Some(Json::Array(p)), Some(Json::Array(q)))
                        if p.len() == q.len() && p.iter().all(Json::is_object) =>
                    {
                        // lists are sorted: an element that changed may have moved
                        let only = |x: &[Json], y: &[Json]| -> Vec<Json> {
                            x.iter().filter(|e| !y.contains(e)).cloned().collect()
                        };
                        for (p, q) in only(p, q).iter().zip(&only(q, p)) {
                            differences(p, q, &mut deeper);
                        }
                    }
                    (Some(p @ Json::Object(_)), Some(q @ Json::Object(_))) => {
                        differences(p, q, &mut deeper);
                    }
                    _ => {
                        out.push((a.to_string(), b.to_string()));
                        return;
                    }
                }
            }
            out.extend(deeper);
        }
        _ => out.push((a.to_string(), b.to_string())),
    }
}

fn changed(a: &Dump, b: &Dump) -> Vec<(String, String, String)> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let null = Json::Null;
    let mut all = Vec::new();
    for key in keys {
        let (x, y) = (a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null));
        if x != y {
            let mut found = Vec::new();
            differences(x, y, &mut found);
            all.extend(found.into_iter().map(|(x, y)| (key.clone(), x, y)));
        }
    }
    all
}

#[test]
fn every_machine_fix_is_made_and_taken_back() {
    let python = python();
    let moto = Moto::start(&python);
    let folder = tempfile::tempdir().unwrap();
    let account = Account {
        moto: &moto,
        folder: folder.path(),
    };
    let seeded: Json = serde_json::from_str(&account.python("seed_fix.py")).unwrap();
    let before = account.settled();

    let fixes = machine_fixes();
    let is_shown = |id: &&str| MOTO_DIFFERS.iter().all(|(differs, _)| differs != id);
    let unknown: Vec<_> = MOTO_DIFFERS
        .iter()
        .filter(|(id, _)| !fixes.contains(*id))
        .collect();
    assert!(unknown.is_empty(), "no machine fixes: {unknown:?}");
    let selection: Vec<&str> = fixes.iter().map(String::as_str).filter(is_shown).collect();
    let planned = account.palisade(&[
        "fix",
        "plan",
        "--check",
        &selection.join(","),
        "--output",
        "plan.json",
    ]);
    assert!(planned.status.success(), "{}", text(&planned.stderr));
    let plan = std::fs::read_to_string(folder.path().join("plan.json")).unwrap();
    let plan = Plan::parse(&plan).unwrap();
    assert_eq!(
        changed(&before, &account.dump()),
        [],
        "planning changes nothing"
    );

    let dry = account.palisade(&[
        "fix",
        "apply",
        "plan.json",
        "--max-resources",
        "1000",
        "--max-per-account",
        "1000",
        "--allow-irreversible",
    ]);
    assert!(dry.status.success(), "{}", text(&dry.stderr));
    assert!(
        text(&dry.stderr).contains("nothing was sent"),
        "{}",
        text(&dry.stderr)
    );
    assert_eq!(
        changed(&before, &account.dump()),
        [],
        "without approval nothing changes"
    );

    let applied = account.palisade(&[
        "fix",
        "apply",
        "plan.json",
        "--approve",
        &plan.hash,
        "--keep-going",
        "--max-resources",
        "1000",
        "--max-per-account",
        "1000",
        "--allow-irreversible",
        "--settle",
        "5",
    ]);
    let after = account.dump();
    let runs = folder.path().join("palisade-runs");
    let run = read_run(&runs, "").unwrap_or_else(|e| panic!("{e}: {}", text(&applied.stderr)));
    let made = verdicts(&run, false);

    let undone = account.palisade(&["fix", "undo", &run.name, "--approve", &undo_hash(&run, &[])]);
    let back = account.dump();
    let run = read_run(&runs, &run.name).unwrap();
    let taken_back = verdicts(&run, true);

    // the table
    let mut wrong = Vec::new();
    let (mut good, mut unshown) = (0, 0);
    for check in &fixes {
        let items: Vec<_> = plan
            .items
            .iter()
            .filter(|i| i.checks.iter().any(|c| c.check == *check))
            .collect();
        let known = MOTO_DIFFERS.iter().find(|(id, _)| id == check);
        if items.is_empty() {
            unshown += 1;
            let left = plan
                .guided
                .iter()
                .chain(&plan.unknown)
                .find(|l| l.check == *check);
            let why = left.map_or("nothing fails on this moto", |l| l.reason.as_str());
            let why = known.map_or(why, |(_, differs)| differs);
            println!("{check:50} not shown: {why}");
            continue;
        }
        for item in items {
            let (outcome, reason, verdicts) = made.get(&item.number).cloned().unwrap_or((
                Outcome::Failed,
                Some("not reached".to_owned()),
                Vec::new(),
            ));
            let verdict = verdicts.iter().find(|(id, _)| id == check).map(|(_, v)| *v);
            let undo = taken_back
                .get(&item.number)
                .map(|(o, r, _)| (*o, r.clone()));
            let undo_good = match &undo {
                Some((Outcome::Undone, _)) => true,
                Some((Outcome::Irreversible, _)) => !item.is_reversible(),
                _ => false,
            };
            let fine = outcome == Outcome::Fixed && verdict == Some(Verdict::Fixed) && undo_good;
            println!(
                "{check:50} {:40} {:24} {:?} {}",
                item.resource_id,
                outcome.as_str(),
                undo.as_ref().map(|(o, _)| o.as_str()),
                reason.clone().unwrap_or_default()
            );
            if fine {
                good += 1;
            } else {
                wrong.push(format!(
                    "{check} {}: {outcome:?} {reason:?} {undo:?}",
                    item.resource_id
                ));
            }
        }
    }
    println!(
        "{good} repairs made and taken back; {unshown} checks not shown; seed: {}",
        seeded["unsupported"]
    );

    // nothing else changed
    let ids: Vec<&str> = plan
        .items
        .iter()
        .map(|i| i.resource_id.as_str())
        .filter(|id| id.len() > 3)
        .collect();
    let of_account = [
        "iam:get_account",
        "s3control:",
        "ec2:get_",
        "ssm:get_service",
        "macie2:",
    ];
    for (key, old, new) in changed(&before, &after) {
        let planned = ids.iter().any(|id| key.contains(id) || old.contains(id))
            || of_account.iter().any(|p| key.starts_with(p));
        if !planned {
            wrong.push(format!(
                "changed without being planned: {key}: {old} -> {new}"
            ));
        }
    }
    // and undo brings everything back but what the plan said it cannot
    let lossy: Vec<&str> = plan
        .items
        .iter()
        .filter(|i| {
            let steps = i.steps.iter();
            let exact = |s: &palisade_fix::Step| {
                s.inverse.is_some() && s.attributes.iter().all(|a| a.back.is_none())
            };
            !steps.clone().all(exact)
        })
        .map(|i| i.resource_id.as_str())
        .collect();
    for (key, old, new) in changed(&before, &back) {
        if !lossy.iter().any(|id| key.contains(id) || old.contains(id)) {
            wrong.push(format!("not as before: {key}: {old} -> {new}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong:#?}\n{}\n{}",
        text(&applied.stderr),
        text(&undone.stderr)
    );
    assert!(good >= 80, "only {good}");
}
