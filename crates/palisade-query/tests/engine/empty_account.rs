//! A new account that nobody has used yet, in two regions, as AWS makes it: what of it may fail.
use crate::common::{dataset, engine};
use palisade_catalog::{Check, Source};
use palisade_core::{Finding, Status};
use palisade_query::Options;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// What fails in an account that nobody uses, and why it matters there, too. Everything else is told where
/// something is protected by it.
const MATTERS: &[(&str, &str)] = &[
    (
        "accessanalyzer-external-access",
        "roles and what comes later are looked at from the first day; it costs nothing",
    ),
    ("accessanalyzer-unused-access", "once an account"),
    (
        "account-contacts-complete",
        "AWS writes to these addresses when the account is misused",
    ),
    (
        "account-security-contact",
        "AWS writes to this address when the account is misused",
    ),
    (
        "cloudtrail-multi-region-management-events",
        "the only record of who did what",
    ),
    (
        "cloudtrail-region-recorded",
        "intruders work where nobody looks",
    ),
    (
        "config-recorder-active",
        "the record of what was set up, also by intruders",
    ),
    (
        "guardduty-detector-active",
        "intruders work where nobody looks",
    ),
    ("iam-saml-provider-exists", "once an account"),
    ("iam-security-audit-role", "once an account"),
    ("iam-support-role", "once an account"),
    (
        "organizations-member",
        "guardrails come from the organisation",
    ),
    (
        "resource-explorer-2-index-exists",
        "informational, once an account",
    ),
    (
        "s3control-account-block-public-access",
        "once an account; holds for buckets from their first minute",
    ),
    (
        "securityhub-active",
        "shows in one place what the other services find",
    ),
    ("ssm-incidents-response-plan", "once an account"),
    ("support-plan-premium", "once an account"),
];

/// Fifteen alarms on what happens to the account: each once an account, and low.
const ALARMS: &str = "cloudwatch-alarm-";

/// The rows of `empty_account.json`: those of regions once a region, and every other table empty.
fn rows(tables: impl Iterator<Item = String>) -> Value {
    let text = include_str!("empty_account.json");
    let written: Value = serde_json::from_str(text).unwrap();
    let mut out: Map<String, Value> = tables
        .map(|table| (table, Value::Array(Vec::new())))
        .collect();
    out.extend(written["account"].as_object().unwrap().clone());
    for (table, rows) in written["region"].as_object().unwrap() {
        let of = |region: &str| -> Vec<Value> {
            let text = rows.to_string().replace("${region}", region);
            let mut rows: Vec<Value> = serde_json::from_str(&text).unwrap();
            for row in &mut rows {
                row["region"] = region.into();
            }
            rows
        };
        let rows = REGIONS.into_iter().flat_map(of).collect();
        out.insert(table.clone(), rows);
    }
    Value::Object(out)
}

#[test]
fn an_account_that_nobody_uses_fails_only_what_matters_there() {
    let catalog = Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog);
    let engine = engine(&catalog);
    let checks: Vec<Arc<Check>> = catalog.checks.values().cloned().collect();
    let (plan, problems) = engine.plan(&checks);
    assert!(problems.is_empty(), "{problems:?}");
    let needed: BTreeSet<String> = plan
        .checks
        .iter()
        .flat_map(|c| c.needs.keys().cloned())
        .collect();
    let dataset = dataset(&catalog, rows(needed.into_iter()));
    let evaluation = engine.evaluate(&plan, &dataset, Options::default());
    let errors: Vec<&str> = evaluation.errors.iter().map(|e| &*e.message).collect();
    assert_eq!(errors, Vec::<&str>::new());
    let (as_needed, _) = engine.plan_as_needed(&checks);
    assert!(engine.evaluate(&as_needed, &dataset, Options::default()) == evaluation);

    let mut not_applicable = 0;
    let mut failed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for finding in &evaluation.findings {
        let shown = |f: &Finding| {
            format!(
                "{} {} {}: {}",
                f.severity, f.region, f.resource_id, f.message
            )
        };
        match finding.status {
            Status::Fail => failed
                .entry(&finding.check)
                .or_default()
                .push(shown(finding)),
            Status::Unknown => panic!("{} {}", finding.check, shown(finding)),
            Status::NotApplicable => {
                not_applicable += 1;
                let default = "the requirement does not concern it";
                assert_ne!(
                    finding.message, default,
                    "{}: it has to say why",
                    finding.check
                );
            }
            _ => {}
        }
    }
    let known: BTreeSet<&str> = MATTERS.iter().map(|(check, _)| *check).collect();
    let new: Vec<String> = failed
        .iter()
        .filter(|(check, _)| !known.contains(*check) && !check.starts_with(ALARMS))
        .map(|(check, findings)| format!("{check}\n    {}", findings.join("\n    ")))
        .collect();
    assert!(
        new.is_empty(),
        "fails although nothing is used:\n{}",
        new.join("\n")
    );
    let gone: Vec<&str> = known
        .into_iter()
        .filter(|c| !failed.contains_key(c))
        .collect();
    assert!(gone.is_empty(), "listed, and does not fail: {gone:?}");
    // what was left out is told, with its reason
    assert!(not_applicable > 60, "{not_applicable}");
    // a region more costs only what watches there
    let regional: BTreeMap<&str, usize> = failed
        .iter()
        .map(|(check, findings)| (*check, findings.len()))
        .filter(|(_, findings)| *findings > 1)
        .collect();
    let every_region = [
        "accessanalyzer-external-access",
        "cloudtrail-region-recorded",
        "config-recorder-active",
        "guardduty-detector-active",
        "securityhub-active",
    ];
    assert_eq!(
        regional,
        every_region.map(|check| (check, REGIONS.len())).into()
    );
}
