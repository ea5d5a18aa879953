//! A small catalogue over real API models, and datasets written as JSON rows.
#![allow(dead_code, reason = "each test file uses a part")]
use palisade_catalog::{Catalog, Check, Source};
use palisade_core::{CallError, CallErrorKind};
use palisade_model::Models;
use palisade_query::{CatalogSchemas, Engine, FIXTURE_NOW, Params, Plan};
use palisade_table::{Dataset, fixture_table};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

pub static MODELS: LazyLock<Arc<Models>> = LazyLock::new(|| Arc::new(Models::embedded()));

const S3: &str = r#"
title = "Amazon S3"
scope = "global"
[table.s3_bucket]
about = "Buckets."
id = "name"
arn = "arn:${partition}:s3:::${name}"
region = ["bucket_region"]
list = { call = "ListBuckets", rows = "Buckets[]" }
[[table.s3_bucket.call]]
call = "GetBucketVersioning"
params = { Bucket = "${name}" }
into = "versioning"
[[table.s3_bucket.call]]
call = "GetBucketPolicy"
params = { Bucket = "${name}" }
from = "Policy"
into = "policy"
absent = ["NoSuchBucketPolicy"]
[[table.s3_bucket.call]]
call = "GetBucketTagging"
params = { Bucket = "${name}" }
from = "TagSet"
into = "tags"
absent = ["NoSuchTagSet"]
"#;

const GUARDDUTY: &str = r#"
title = "Amazon GuardDuty"
[table.guardduty_detector]
about = "Detectors."
id = "detector_id"
arn = "arn:${partition}:guardduty:${region}:${account_id}:detector/${detector_id}"
list = { call = "ListDetectors", rows = "DetectorIds[]", scalar = "detector_id" }
[[table.guardduty_detector.call]]
call = "GetDetector"
params = { DetectorId = "${detector_id}" }
"#;

const EC2: &str = r#"
title = "Amazon EC2"
[table.ec2_security_group]
about = "Security groups."
id = "group_id"
list = { call = "DescribeSecurityGroups", rows = "SecurityGroups[]" }
[table.ec2_vpc]
about = "Networks."
id = "vpc_id"
list = { call = "DescribeVpcs", rows = "Vpcs[]" }
[view.ec2_rule]
about = "One row a rule."
sql = """
SELECT account_id, region, group_id, p.from_port AS from_port, p.ip_ranges AS ranges
FROM (SELECT *, unnest(ip_permissions) AS p FROM ec2_security_group)
"""
"#;

/// A check page around SQL.
pub fn page(front: &str, check: &str) -> String {
    format!(
        "+++\ntitle = \"A test\"\nseverity = \"low\"\ncategory = \"data\"\nsince = \"0.1.0\"\n{front}\n+++\nWhy.\n\n## Fix\nHow.\n\n## Check\n{check}\n\n## Fixtures\n```rows\npass {{}}\nfail {{}}\nunknown {{}}\n```\n"
    )
}

/// Checks by `service/id` and text. The loader's own diagnostics about fixtures do not matter here.
pub fn catalog(checks: &[(&str, String)]) -> Arc<Catalog> {
    let mut files = vec![
        ("services/s3.toml".to_owned(), S3.to_owned()),
        ("services/guardduty.toml".to_owned(), GUARDDUTY.to_owned()),
        ("services/ec2.toml".to_owned(), EC2.to_owned()),
    ];
    files.extend(
        checks
            .iter()
            .map(|(id, text)| (format!("checks/{id}.md"), text.clone())),
    );
    let loaded = palisade_catalog::load(&[Source::from_texts(files)]);
    let errors: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.is_error())
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    Arc::new(loaded.catalog)
}

pub fn engine(catalog: &Arc<Catalog>) -> Engine {
    Engine::new(
        Arc::clone(catalog),
        Arc::clone(&MODELS),
        FIXTURE_NOW,
        Params::new(),
    )
    .unwrap()
}

/// All checks of the catalogue, planned without problems.
pub fn plan(engine: &Engine, catalog: &Catalog) -> Plan {
    let checks: Vec<Arc<Check>> = catalog.checks.values().cloned().collect();
    let (plan, problems) = engine.plan(&checks);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(plan.checks.len(), checks.len());
    plan
}

/// Table → rows, or `{"!error": "Code"}`; `!Code` texts as values are failed cells.
pub fn dataset(catalog: &Arc<Catalog>, tables: Value) -> Dataset {
    let schemas = CatalogSchemas::new(Arc::clone(catalog), Arc::clone(&MODELS));
    let mut dataset = Dataset::default();
    for (name, rows) in tables.as_object().unwrap() {
        let table = fixture_table(&schemas, name, &marked(rows), FIXTURE_NOW).unwrap();
        dataset.tables.insert(name.clone(), table);
    }
    dataset
}

fn marked(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('!') => {
            serde_json::json!({ "!error": text.trim_start_matches('!') })
        }
        Value::Array(items) => items.iter().map(marked).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(k, v)| (k.clone(), marked(v))).collect())
        }
        other => other.clone(),
    }
}

pub fn denied(operation: &str, permission: &str) -> CallError {
    CallError {
        service: "guardduty".into(),
        operation: operation.into(),
        account_id: "123456789012".into(),
        region: "eu-west-1".into(),
        kind: CallErrorKind::Denied,
        code: "AccessDenied".into(),
        message: String::new(),
        permissions: vec![permission.into()],
    }
}
