//! 200,000 findings to all formats at once: seconds, bytes, and the most memory that the process had.
//! `cargo run --release -p palisade-report --example bench_formats [FINDINGS]`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints, and stops where it cannot measure"
)]

use palisade_core::{
    Assessment, Category, CheckSummary, Coverage, Finding, FixAvailability, Severity, Status,
};
use palisade_report as report;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Writer = fn(&Assessment, &mut dyn Write) -> std::io::Result<()>;

const FORMATS: &[(&str, Writer)] = &[
    ("asff", report::asff::write),
    ("compliance-csv", report::compliance_csv::write),
    ("csv", report::csv::write),
    ("html", report::html::write),
    ("json", report::json::write),
    ("jsonl", report::jsonl::write),
    ("junit", report::junit::write),
    ("markdown", report::markdown::write),
    ("ocsf", report::ocsf::write),
    ("prometheus", report::prometheus::write),
    ("sarif", report::sarif::write),
    ("text", text),
];

fn text(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    report::text::write(assessment, report::text::Options::default(), out)
}

fn assessment(count: usize) -> Assessment {
    let accounts: Vec<Arc<str>> = (0..20)
        .map(|i| format!("{:012}", 111_111_111_111u64 + i).into())
        .collect();
    let regions: Vec<Arc<str>> = ["us-east-1", "eu-west-1", "ap-southeast-2"]
        .map(Arc::from)
        .into();
    let checks: Vec<Arc<str>> = (0..600)
        .map(|i| format!("service-check-{i:03}").into())
        .collect();
    let requirements: Vec<Arc<[String]>> = (0..600)
        .map(|i| {
            (0..3)
                .map(|f| format!("framework-{f}.0/{}.{}", i % 9, i % 31))
                .collect()
        })
        .collect();
    let per_check = count.div_ceil(checks.len());
    let findings = (0..count).map(|i| {
        let check = i / per_check;
        // as in the recorded account: half passes, two in five fail and carry evidence
        let status = match i % 20 {
            0..=7 => Status::Fail,
            8 => Status::Unknown,
            _ => Status::Pass,
        };
        let mut evidence = serde_json::Map::new();
        if status == Status::Fail {
            evidence.insert("status".into(), "Suspended".into());
        }
        Finding {
            check: Arc::clone(&checks[check]),
            status,
            severity: Severity::ALL[check % 5],
            account_id: Arc::clone(&accounts[i % accounts.len()]),
            region: Arc::clone(&regions[i % regions.len()]),
            resource: format!("arn:aws:service:eu-west-1:111111111111:resource/production-{i:07}"),
            resource_id: format!("production-{i:07}"),
            resource_type: "service_resource".into(),
            message: format!(
                "the policy of resource {i} lets everybody in the organisation read it"
            ),
            evidence,
            requirements: Arc::clone(&requirements[check]),
            fix: FixAvailability::Guided,
            history: None,
            missing_permissions: if status == Status::Unknown {
                vec!["service:GetPolicy".into()]
            } else {
                vec![]
            },
            muted: None,
        }
    });
    Assessment {
        counted: palisade_core::Counted::default(),
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: "2026-01-15T00:00:00Z".parse().unwrap(),
        accounts: accounts.iter().map(ToString::to_string).collect(),
        regions: regions.iter().map(ToString::to_string).collect(),
        findings: findings.collect(),
        checks: (0..600)
            .map(|i| CheckSummary {
                id: checks[i].to_string(),
                title: format!("Resource of kind {i} is not open to everybody"),
                service: format!("service{}", i % 60),
                severity: Severity::ALL[i % 5],
                category: Category::Data,
                why: "Whoever knows the name reads it without an account. ".repeat(4),
                fix: "Turn on the block, then read the policy and remove what opened it. "
                    .repeat(3),
                requirements: requirements[i].to_vec(),
                passed: 0,
                failed: 0,
                unknown: 0,
                manual: 0,
            })
            .collect(),
        coverage: Coverage::default(),
        frameworks: vec![],
        last_scan: None,
        expired_mutes: vec![],
    }
}

/// Megabytes that the process had at most.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

fn main() {
    let count = std::env::args()
        .nth(1)
        .map_or(200_000, |n| n.parse().unwrap());
    let assessment = assessment(count);
    println!("{count} findings in memory: {} MB", peak());
    let folder = tempfile::tempdir().unwrap();
    let mut total = Duration::ZERO;
    for (name, write) in FORMATS {
        let path = folder.path().join(name);
        let start = Instant::now();
        let mut out =
            std::io::BufWriter::with_capacity(1 << 16, std::fs::File::create(&path).unwrap());
        write(&assessment, &mut out).unwrap();
        out.flush().unwrap();
        let took = start.elapsed();
        total += took;
        println!(
            "{name:<16} {:>7.3} s {:>9} kB",
            took.as_secs_f64(),
            path.metadata().unwrap().len() / 1024
        );
    }
    println!(
        "all              {:>7.3} s, {} MB at most",
        total.as_secs_f64(),
        peak()
    );
}
