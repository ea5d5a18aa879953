//! Every format against one small assessment: golden text, and that nothing is dropped.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use palisade_core::{
    Assessment, CallError, CallErrorKind, CallStatistics, Category, CheckSummary, Coverage,
    Finding, FixAvailability, Severity, Status,
};
use palisade_report::{csv, json, jsonl, text};
use proptest::prelude::*;

fn finding(check: &str, status: Status, severity: Severity, id: &str, message: &str) -> Finding {
    Finding {
        check: check.into(),
        status,
        severity,
        account_id: "123456789012".into(),
        region: "eu-west-1".into(),
        resource: format!("arn:aws:s3:::{id}"),
        resource_id: id.to_owned(),
        resource_type: "s3_bucket".into(),
        message: message.to_owned(),
        evidence: serde_json::Map::new(),
        requirements: [].into(),
        fix: FixAvailability::Guided,
        missing_permissions: if status == Status::Unknown {
            vec!["s3:GetBucketPolicy".into()]
        } else {
            vec![]
        },
    }
}

fn summary(id: &str, severity: Severity) -> CheckSummary {
    CheckSummary {
        id: id.into(),
        title: format!("title of {id}"),
        service: "s3".into(),
        severity,
        category: Category::Data,
        why: "It matters.".into(),
        fix: "Do this first. Then that.\n\nAnd mind the gap.".into(),
        requirements: vec![],
        passed: 0,
        failed: 0,
        unknown: 0,
        manual: 0,
    }
}

fn assessment(findings: Vec<Finding>) -> Assessment {
    let denied = CallError {
        service: "s3".into(),
        operation: "GetBucketPolicy".into(),
        account_id: "123456789012".into(),
        region: "eu-west-1".into(),
        kind: CallErrorKind::Denied,
        code: "AccessDenied".into(),
        message: "Access Denied".into(),
        permissions: vec!["s3:GetBucketPolicy".into()],
    };
    Assessment {
        version: "0.1.0".into(),
        started_at: "2026-01-15T00:00:00Z".parse().unwrap(),
        accounts: vec!["123456789012".into()],
        regions: vec!["eu-west-1".into()],
        checks: vec![
            summary("s3-a", Severity::High),
            summary("s3-b", Severity::Low),
        ],
        findings,
        coverage: Coverage {
            calls: vec![CallStatistics {
                operation: "s3:GetBucketPolicy".into(),
                planned: 4,
                succeeded: 3,
                failed: 1,
                requests: 5,
                throttled: 1,
            }],
            failures: vec![(denied, 1)],
            skipped: vec![],
            interrupted: false,
        },
        frameworks: vec![],
    }
}

fn sample() -> Assessment {
    assessment(vec![
        finding(
            "s3-a",
            Status::Fail,
            Severity::High,
            "one",
            "open to the world",
        ),
        finding("s3-a", Status::Pass, Severity::High, "two", "closed"),
        finding(
            "s3-a",
            Status::Unknown,
            Severity::High,
            "three",
            "s3:GetBucketPolicy failed with AccessDenied",
        ),
        finding(
            "s3-b",
            Status::Fail,
            Severity::Low,
            "=one",
            "a \u{1b}[31mred\u{1b}[0m name",
        ),
    ])
}

#[test]
fn terminal_text() {
    let mut out = Vec::new();
    text::write(&sample(), text::Options::default(), &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn nothing_from_the_account_can_steer_the_terminal() {
    let mut out = Vec::new();
    text::write(
        &sample(),
        text::Options {
            all: true,
            ..text::Options::default()
        },
        &mut out,
    )
    .unwrap();
    assert!(!out.contains(&0x1b));
}

#[test]
fn formulas_are_inert_in_csv() {
    let mut out = Vec::new();
    csv::write(&sample(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(",'=one,"), "{text}");
}

fn status() -> impl Strategy<Value = Status> {
    prop::sample::select(Status::ALL)
}

proptest! {
    #[test]
    fn every_finding_is_in_every_format(items in prop::collection::vec((status(), "[a-z]{1,8}", ".{0,40}"), 0..40)) {
        let findings: Vec<_> = items.iter().map(|(s, id, m)| finding("s3-a", *s, Severity::High, id, m)).collect();
        let assessment = assessment(findings.clone());

        let mut out = Vec::new();
        jsonl::write(&assessment, &mut out).unwrap();
        let read: Vec<Finding> = String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        prop_assert_eq!(&read, &findings);

        let mut out = Vec::new();
        json::write(&assessment, &mut out).unwrap();
        let read: Assessment = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(&read, &assessment);

        let mut out = Vec::new();
        csv::write(&assessment, &mut out).unwrap();
        let mut rows = ::csv::Reader::from_reader(out.as_slice());
        let ids: Vec<String> = rows.records().map(|r| r.unwrap()[9].to_owned()).collect();
        prop_assert_eq!(ids, items.iter().map(|(_, id, _)| id.clone()).collect::<Vec<_>>());
    }
}
