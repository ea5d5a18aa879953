//! Row-checks a second over a synthetic table of 100,000 buckets, on one core.
//! `cargo run --release -p palisade-query --example bench_predicates -- [ROWS]`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "an example prints"
)]
use arrow::array::{ArrayRef, RecordBatch};
use palisade_catalog::Source;
use palisade_core::Status;
use palisade_model::Models;
use palisade_query::{CatalogSchemas, Counts, Engine, FIXTURE_NOW, Options, Params};
use palisade_table::{Batch, Dataset, Schemas, Table, fixture_table};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

const PREDICATES: [(&str, &str); 10] = [
    ("a", "versioning['status'] = 'Enabled'"),
    ("b", "coalesce(versioning['status'], 'off') <> 'Suspended'"),
    (
        "c",
        "creation_date IS NOT NULL AND age_days(creation_date) < 400",
    ),
    (
        "d",
        "public_access_block['block_public_acls'] AND public_access_block['block_public_policy']",
    ),
    (
        "e",
        "array_any_match(encryption['rules'], r -> r['apply_server_side_encryption_by_default']['sse_algorithm'] = 'aws:kms')",
    ),
    (
        "f",
        "starts_with(name, 'bucket') AND NOT contains(name, '13')",
    ),
    ("g", "tags['Owner'] IS NOT NULL"),
    ("h", "logging['target_bucket'] IS NOT NULL"),
    (
        "i",
        "array_has(map_keys(tags), 'env') OR region = 'eu-west-1'",
    ),
    (
        "j",
        "policy IS NULL OR NOT policy_is_public(policy, account_id)",
    ),
];

fn page(sql: &str) -> String {
    format!(
        "+++\ntitle = \"A test\"\nseverity = \"low\"\nresource = \"s3_bucket\"\ncategory = \"data\"\nsince = \"0.1.0\"\n+++\nWhy.\n\n## Fix\nHow.\n\n## Check\n```sql\n{sql}\n```\npass: `good`\nfail: `versioning is ${{coalesce(versioning['status'], 'off')}}`\n\n## Fixtures\n```rows\npass {{}}\nfail {{}}\nunknown {{}}\n```\n"
    )
}

fn main() {
    let rows: usize = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(100_000);
    let files = PREDICATES
        .iter()
        .map(|(id, sql)| (format!("checks/s3/s3-bench-{id}.md"), page(sql)));
    let loaded = palisade_catalog::load(&[Source::embedded(), Source::from_texts(files)]);
    let bad = loaded
        .diagnostics
        .iter()
        .filter(|d| d.is_error() && d.file.contains("bench"));
    bad.for_each(|d| println!("{d}"));
    let catalog = Arc::new(loaded.catalog);
    let models = Arc::new(Models::embedded());
    let engine = Engine::new(
        Arc::clone(&catalog),
        Arc::clone(&models),
        FIXTURE_NOW,
        Params::new(),
    )
    .unwrap();
    let checks: Vec<_> = catalog
        .checks
        .values()
        .filter(|c| c.id.starts_with("s3-bench-"))
        .cloned()
        .collect();
    let (plan, problems) = engine.plan(&checks);
    problems.iter().for_each(|p| println!("{p}"));
    let schemas = CatalogSchemas::new(Arc::clone(&catalog), models);
    let dataset = dataset(&schemas, &engine, &plan.needs(), rows);
    println!(
        "rows {rows}, checks {}, memory before {} MB",
        plan.checks.len(),
        peak()
    );
    let row_checks = (rows * plan.checks.len()) as f64;

    let start = Instant::now();
    let mut counts = Counts::default();
    let errors = engine.evaluate_blocks(&plan, &dataset, |block| counts.add(block.counts()));
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "verdicts only:            {:>6.2} M row-checks/s  {counts:?} {errors:?} peak {} MB",
        row_checks / seconds / 1e6,
        peak()
    );
    for (name, options) in [
        (
            "findings without passes:",
            Options {
                passes: false,
                evidence: false,
                whole: false,
            },
        ),
        (
            "all findings:           ",
            Options {
                passes: true,
                evidence: false,
                whole: false,
            },
        ),
    ] {
        let start = Instant::now();
        let evaluation = engine.evaluate(&plan, &dataset, options);
        let seconds = start.elapsed().as_secs_f64();
        let fails = evaluation
            .findings
            .iter()
            .filter(|f| f.status == Status::Fail)
            .count();
        println!(
            "{name}  {:>6.2} M row-checks/s  {} findings, {fails} fails, peak {} MB",
            row_checks / seconds / 1e6,
            evaluation.findings.len(),
            peak()
        );
    }
    for planned in &plan.checks {
        let single = palisade_query::Plan {
            checks: vec![Arc::clone(planned)],
        };
        let start = Instant::now();
        engine.evaluate_blocks(&single, &dataset, |block| counts.add(block.counts()));
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "  {:<14} {:>8.2} M rows/s  {}",
            planned.check.id,
            rows as f64 / seconds / 1e6,
            planned.check.sql.0
        );
    }
}

/// A thousand different rows, again and again, in batches of one account each.
fn dataset(
    schemas: &dyn Schemas,
    engine: &Engine,
    needs: &palisade_query::Needs,
    rows: usize,
) -> Dataset {
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
    let json: Vec<_> = (0..1000)
        .map(|i| {
            json!({
                "name": format!("bucket-{i}"), "creation_date": format!("now-{}d", i % 700),
                "versioning": if i % 10 == 0 { json!(null) } else { json!({"status": "Enabled"}) },
                "policy": if i % 3 == 0 { json!(policy) } else { json!(null) },
                "public_access_block": {"block_public_acls": true, "block_public_policy": i % 20 != 0},
                "encryption": {"rules": [{"apply_server_side_encryption_by_default": {"sse_algorithm": if i % 4 == 0 { "AES256" } else { "aws:kms" }}}]},
                "tags": {"Owner": "team", "env": "prod", "cost": i.to_string()},
                "logging": if i % 8 == 0 { json!(null) } else { json!({"target_bucket": "logs"}) },
            })
        })
        .collect();
    let full = fixture_table(schemas, "s3_bucket", &json!(json), engine.now()).unwrap();
    let indices: Vec<usize> = full
        .schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, f)| needs["s3_bucket"].contains(f.name()))
        .map(|(i, _)| i)
        .collect();
    let thousand = full
        .batches
        .first()
        .unwrap()
        .rows
        .project(&indices)
        .unwrap();
    let schema = thousand.schema();
    let per_batch = 8;
    let columns: Vec<ArrayRef> = (0..thousand.num_columns())
        .map(|c| {
            let copies: Vec<&dyn arrow::array::Array> = (0..per_batch)
                .map(|_| thousand.column(c).as_ref())
                .collect();
            arrow::compute::concat(&copies).unwrap()
        })
        .collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let mut batches = Vec::new();
    let mut left = rows;
    while left > 0 {
        let count = left.min(batch.num_rows());
        batches.push(Batch {
            rows: batch.slice(0, count),
            failures: Vec::new(),
        });
        left -= count;
    }
    let table = Table {
        spec: full.spec,
        schema,
        batches,
        gaps: Vec::new(),
    };
    Dataset {
        tables: [("s3_bucket".to_owned(), table)].into(),
    }
}

/// Peak resident memory in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|l| l.starts_with("VmHWM:"))
        .unwrap_or("VmHWM: 0");
    line.split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
