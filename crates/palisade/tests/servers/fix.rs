//! Every machine fix against a server: state A fails → plan → apply → the check passes → undo → the whole account is
//! described as before, byte for byte. What moto cannot show is shown on an endpoint that keeps state (`tests/live/kept.py`),
//! so that no machine fix is left out. Prints the table, past the test harness: CI shows it.
use crate::account::{self, Account, changed, text};
use crate::kept::Kept;
use crate::moto::Moto;
use palisade_catalog::{Catalog, Source, load};
use palisade_fix::{Event, Outcome, Plan, Run, Verdict, read_run, undo_hash};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// What the parameters of fixes say where only a person knows it.
const PARAMETERS: &[(&str, &str)] = &[
    ("bucket", "fix-access-logs"),
    (
        "key",
        "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
    ),
    ("log_group", "fix-logs"),
    ("target", "fix-access-logs"),
    ("topic", "arn:aws:sns:us-east-1:123456789012:fix-topic"),
];

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
        "elb-load-balancer-access-logs",
        "every change appends another attribute",
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
        "elbv2-load-balancer-access-logs",
        "attributes with their default are not described",
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
        "opensearch-domain-audit-logs",
        "UpdateDomainConfig forgets logs that it is not given",
    ),
    (
        "opensearch-domain-error-logs",
        "UpdateDomainConfig forgets logs that it is not given",
    ),
    (
        "opensearch-domain-slow-logs",
        "UpdateDomainConfig forgets logs that it is not given",
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
        "redshift-cluster-audit-logging",
        "DisableLogging leaves the destination",
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

/// Checks whose fix calls are all described by change files.
fn machine_fixes(catalog: &Catalog) -> BTreeSet<String> {
    let checks = catalog.checks.values();
    let machine = checks.filter(|c| catalog.is_machine_fix(c));
    machine.map(|c| c.id.clone()).collect()
}

/// `--param` for everything that has no default that could be used here.
fn parameters(catalog: &Catalog, checks: &BTreeSet<String>) -> Vec<String> {
    let mut all = Vec::new();
    for check in checks {
        for (name, parameter) in &catalog.checks[check].params {
            let empty = parameter.default.to_json() == "";
            if let Some((_, value)) = PARAMETERS.iter().find(|(n, _)| n == name)
                && empty
            {
                all.extend(["--param".to_owned(), format!("{check}.{name}={value}")]);
            }
            // settings are judged although nothing in the account uses the service
            if name == "unused" {
                all.extend(["--param".to_owned(), format!("{check}.unused=true")]);
            }
        }
    }
    all
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

/// One line of the table.
struct Row {
    check: String,
    resource: String,
    endpoint: &'static str,
    came: String,
    good: bool,
}

/// What was seen on an endpoint.
struct Shown {
    plan: Plan,
    rows: Vec<Row>,
    /// Why a check could not be shown.
    why: BTreeMap<String, String>,
    /// What is not as it should be.
    wrong: Vec<String>,
}

/// Plans, applies and takes back everything that fails, and compares the whole account each time.
fn show(account: &Account<'_>, catalog: &Catalog, checks: &BTreeSet<String>) -> Shown {
    let before = account.settled();
    let recorded = account.record();
    let ids: Vec<&str> = checks.iter().map(String::as_str).collect();
    let ids = ids.join(",");
    let params = parameters(catalog, checks);
    let mut arguments = vec!["fix", "plan", "--region", "us-east-1", "--check", &ids];
    arguments.extend(["--output", "plan.json"]);
    arguments.extend(params.iter().map(String::as_str));
    let planned = account.palisade(&arguments);
    assert!(planned.status.success(), "{}", text(&planned.stderr));
    let plan = std::fs::read_to_string(account.folder.join("plan.json")).unwrap();
    let plan = Plan::parse(&plan).unwrap();
    assert_eq!(
        changed(&before, &account.dump()),
        [],
        "planning changes nothing"
    );

    let limits = [
        "--max-resources",
        "1000",
        "--max-per-account",
        "1000",
        "--allow-irreversible",
        "--settle",
        "5",
    ];
    let mut arguments = vec!["fix", "apply", "plan.json"];
    arguments.extend(limits);
    let dry = account.palisade(&arguments);
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

    arguments.extend(["--keep-going", "--approve", &plan.hash]);
    let applied = account.palisade(&arguments);
    let after = account.dump();
    let runs = account.folder.join("palisade-runs");
    let run = read_run(&runs, "").unwrap_or_else(|e| panic!("{e}: {}", text(&applied.stderr)));
    let made = verdicts(&run, false);

    let approve = undo_hash(&run, &[]);
    account.palisade(&["fix", "undo", &run.name, "--approve", &approve]);
    let back = account.dump();
    let recorded_back = account.record();
    let run = read_run(&runs, &run.name).unwrap();
    let taken_back = verdicts(&run, true);

    let mut shown = Shown {
        rows: Vec::new(),
        why: BTreeMap::new(),
        wrong: Vec::new(),
        plan,
    };
    for check in checks {
        rows_of(check, account.name, &made, &taken_back, &mut shown);
    }
    let wrong = account::compare(
        &shown.plan,
        &account::Seen {
            before: &before,
            after: &after,
            back: &back,
            recorded: &recorded,
            recorded_back: &recorded_back,
        },
    );
    shown.wrong.extend(wrong);
    shown
}

/// The lines of a check, or why there are none.
fn rows_of(
    check: &str,
    endpoint: &'static str,
    made: &BTreeMap<usize, Came>,
    taken_back: &BTreeMap<usize, Came>,
    shown: &mut Shown,
) {
    let mut any = false;
    for item in &shown.plan.items {
        if !item.checks.iter().any(|c| c.check == check) {
            continue;
        }
        any = true;
        let not_reached = || (Outcome::Failed, Some("not reached".to_owned()), Vec::new());
        let (outcome, reason, verdicts) =
            made.get(&item.number).cloned().unwrap_or_else(not_reached);
        let verdict = verdicts.iter().find(|(id, _)| id == check).map(|(_, v)| *v);
        let undo = taken_back
            .get(&item.number)
            .map(|(o, r, _)| (*o, r.clone()));
        let undone = match &undo {
            Some((Outcome::Undone, _)) => true,
            Some((Outcome::Irreversible, _)) => !item.is_reversible(),
            _ => false,
        };
        let good = outcome == Outcome::Fixed && verdict == Some(Verdict::Fixed) && undone;
        let way_back = undo.as_ref().map_or("not taken back", |(o, _)| o.as_str());
        shown.rows.push(Row {
            check: check.to_owned(),
            resource: item.resource_id.clone(),
            endpoint,
            came: format!(
                "{}, {way_back} {}",
                outcome.as_str(),
                reason.clone().unwrap_or_default()
            ),
            good,
        });
        if !good {
            shown.wrong.push(format!(
                "{check} {}: {outcome:?} {reason:?} {verdicts:?} {undo:?}",
                item.resource_id
            ));
        }
    }
    if !any {
        let plan = &shown.plan;
        let mut left = plan.guided.iter().chain(&plan.unknown);
        let left = left.find(|l| l.check == check);
        let why = left.map_or("nothing fails", |l| l.reason.as_str());
        shown.why.insert(check.to_owned(), why.to_owned());
    }
}

#[test]
fn every_machine_fix_is_made_and_taken_back() {
    let catalog = load(&[Source::embedded()]).catalog;
    let fixes = machine_fixes(&catalog);
    let unknown: Vec<_> = MOTO_DIFFERS
        .iter()
        .filter(|(id, _)| !fixes.contains(*id))
        .collect();
    assert!(unknown.is_empty(), "no machine fixes: {unknown:?}");

    let moto = Moto::start();
    let folder = tempfile::tempdir().unwrap();
    let account = Account::new("moto", &moto.url, folder.path());
    let seeded: Json = serde_json::from_str(&account.python("seed_fix.py")).unwrap();
    assert_eq!(seeded["unsupported"], serde_json::json!({}));
    let differs = |id: &str| MOTO_DIFFERS.iter().find(|(differs, _)| *differs == id);
    let on_moto = fixes.iter().filter(|id| differs(id).is_none());
    let on_moto: BTreeSet<String> = on_moto.cloned().collect();
    let mut first = show(&account, &catalog, &on_moto);
    first.why.extend(
        MOTO_DIFFERS
            .iter()
            .map(|(id, why)| ((*id).to_owned(), (*why).to_owned())),
    );
    drop(moto);

    let kept = Kept::start();
    let folder = tempfile::tempdir().unwrap();
    let account = Account::new("kept", &kept.url, folder.path());
    let rest: BTreeSet<String> = first.why.keys().cloned().collect();
    let second = show(&account, &catalog, &rest);

    let rows: Vec<&Row> = first.rows.iter().chain(&second.rows).collect();
    let mut table = String::new();
    for row in &rows {
        let why = first
            .why
            .get(&row.check)
            .map(|why| format!("(moto: {why})"));
        table.push_str(&format!(
            "{:52} {:5} {:44} {} {}\n",
            row.check,
            row.endpoint,
            row.resource,
            row.came,
            why.unwrap_or_default()
        ));
    }
    let of = |name: &str| {
        let good = rows.iter().filter(|r| r.endpoint == name && r.good);
        let checks: BTreeSet<&str> = good.map(|r| r.check.as_str()).collect();
        checks.len()
    };
    table.push_str(&format!(
        "{} checks with a machine fix: {} shown on moto, {} on the endpoint that keeps state\n",
        fixes.len(),
        of("moto"),
        of("kept")
    ));
    // not by a macro: those are captured
    std::io::stderr().write_all(table.as_bytes()).unwrap();

    let mut wrong = first.wrong;
    wrong.extend(second.wrong);
    wrong.extend(
        second
            .why
            .iter()
            .map(|(id, why)| format!("{id} is shown nowhere: {why}")),
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(of("moto") + of("kept"), fixes.len());
}
