//! What is muted, until when, and what is never muted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use palisade_core::{Assessment, Coverage, Finding, FixAvailability, MutedBy, Severity, Status};
use palisade_mute::{Baseline, Mutes, import};
use std::collections::BTreeMap;

fn finding(check: &str, status: Status, name: &str) -> Finding {
    Finding {
        check: check.into(),
        status,
        severity: Severity::High,
        account_id: "123456789012".into(),
        region: "eu-west-1".into(),
        resource: format!("arn:aws:s3:::{name}"),
        resource_id: name.into(),
        resource_type: "s3_bucket".into(),
        message: String::new(),
        evidence: serde_json::Map::new(),
        requirements: [].into(),
        fix: FixAvailability::Guided,
        history: None,
        missing_permissions: vec![],
        muted: None,
    }
}

fn assessment(findings: Vec<Finding>) -> Assessment {
    Assessment {
        counted: palisade_core::Counted::default(),
        version: "0.1.0".into(),
        started_at: "2026-01-15T23:59:59Z".parse().unwrap(),
        accounts: vec![],
        regions: vec![],
        checks: vec![],
        findings,
        coverage: Coverage::default(),
        frameworks: vec![],
        last_scan: None,
        expired_mutes: vec![],
    }
}

fn mute(fields: &str) -> Mutes {
    let text = format!("[[mute]]\n{fields}\nreason = \"r\"\nowner = \"o\"\nexpires = 2026-01-15\n");
    Mutes::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The names of the muted findings.
fn muted(mutes: &Mutes, tags: &BTreeMap<String, String>) -> Vec<String> {
    let mut all = assessment(vec![
        finding("s3-a", Status::Fail, "web-1"),
        finding("s3-a", Status::Fail, "data"),
        finding("s3-b", Status::Fail, "web-1"),
        finding("s3-b", Status::Unknown, "web-2"),
        finding("s3-b", Status::Pass, "web-3"),
    ]);
    let before: Vec<Status> = all.findings.iter().map(|f| f.status).collect();
    mutes.apply(&mut all, |f| (f.resource_id == "data").then_some(tags));
    assert_eq!(
        all.findings.iter().map(|f| f.status).collect::<Vec<_>>(),
        before
    );
    let names = all.findings.iter().filter(|f| f.muted.is_some());
    names
        .map(|f| format!("{} {}", f.check, f.resource_id))
        .collect()
}

#[test]
fn every_part_that_is_named_must_hold() {
    let tags = BTreeMap::from([("use".to_owned(), "website".to_owned())]);
    for (fields, expected) in [
        ("check = '*'", vec!["s3-a web-1", "s3-a data", "s3-b web-1"]),
        ("check = 's3-a'", vec!["s3-a web-1", "s3-a data"]),
        ("check = ['s3-b', 's3-c']", vec!["s3-b web-1"]),
        (
            "check = 's3-*'\nresource = 'web-*'",
            vec!["s3-a web-1", "s3-b web-1"],
        ),
        (
            "check = '*'\nresource = 'arn:aws:s3:::data'",
            vec!["s3-a data"],
        ),
        ("check = '*'\naccount = '999999999999'", vec![]),
        (
            "check = '*'\naccount = ['999999999999', '1234*']\nregion = 'eu-*'",
            vec!["s3-a web-1", "s3-a data", "s3-b web-1"],
        ),
        ("check = '*'\nregion = 'us-*'", vec![]),
        ("check = '*'\ntag = 'use'", vec!["s3-a data"]),
        ("check = '*'\ntag = 'use=web*'", vec!["s3-a data"]),
        ("check = '*'\ntag = ['use=website', 'team']", vec![]),
        ("check = '*'\ntag = '*'\nresource = 'web-*'", vec![]),
    ] {
        assert_eq!(muted(&mute(fields), &tags), expected, "{fields}");
    }
}

/// A framework that demands other parameters makes variants of a check: who mutes the check means these, too.
#[test]
fn a_check_is_muted_with_its_variants() {
    let marked = |check: &str| {
        let mut all = assessment(vec![
            finding("iam-key-rotated", Status::Fail, "a"),
            finding("iam-key-rotated@days=45", Status::Fail, "b"),
            finding("iam-key-rotated@days=90", Status::Fail, "c"),
            finding("iam-key-rotated-often", Status::Fail, "d"),
        ]);
        mute(&format!("check = \"{check}\"")).apply(&mut all, |_| None);
        let muted = all.findings.iter().filter(|f| f.muted.is_some());
        muted.map(|f| f.resource_id.clone()).collect::<String>()
    };
    assert_eq!(marked("iam-key-rotated"), "abc");
    assert_eq!(marked("iam-key-rotate?"), "abc");
    assert_eq!(marked("iam-key-rotated@days=45"), "b");
    assert_eq!(marked("iam-key-rotated@*"), "bc");
    // a name of a variant is a name of a check
    let mutes = mute("check = [\"iam-key-rotated@days=45\", \"nothing@days=1\"]");
    assert_eq!(
        mutes.unknown_checks(&["iam-key-rotated"]),
        ["nothing@days=1"]
    );
}

#[test]
fn an_entry_without_reason_owner_or_day_is_an_error() {
    let whole = "[[mute]]\ncheck = 'a'\nreason = 'r'\nowner = 'o'\nexpires = '2026-12-31'\n";
    assert!(Mutes::parse(whole).is_ok());
    for missing in ["check", "reason", "owner", "expires"] {
        let text: String = whole
            .lines()
            .filter(|l| !l.starts_with(missing))
            .map(|l| format!("{l}\n"))
            .collect();
        let error = Mutes::parse(&text).unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
    }
    for (from, to, says) in [
        ("'r'", "' '", "reason"),
        ("'o'", "''", "owner"),
        ("'2026-12-31'", "'2026-02-30'", "2026-12-31"),
        ("'2026-12-31'", "'never'", "2026-12-31"),
        ("'2026-12-31'", "2026-12-31T00:00:00Z", "2026-12-31"),
        ("reason", "why", "unknown field `why`"),
    ] {
        let error = Mutes::parse(&whole.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_last_day_counts_and_the_day_after_is_reported() {
    let mutes = |day: &str| {
        Mutes::parse(&format!(
            "[[mute]]\ncheck = 's3-a'\nreason = 'r'\nowner = 'o'\nexpires = {day}\n"
        ))
        .unwrap()
    };
    let run = |mutes: &Mutes| {
        let mut all = assessment(vec![
            finding("s3-a", Status::Fail, "x"),
            finding("s3-a", Status::Fail, "y"),
        ]);
        mutes.apply(&mut all, |_| None);
        all
    };
    let last_day = run(&mutes("2026-01-15"));
    assert!(
        last_day.findings.iter().all(|f| f.muted.is_some()) && last_day.expired_mutes.is_empty()
    );
    let after = run(&mutes("2026-01-14"));
    assert!(after.findings.iter().all(Finding::counts_as_failed));
    assert_eq!(after.expired_mutes.len(), 1);
    assert_eq!(
        (
            after.expired_mutes[0].findings,
            after.expired_mutes[0].owner.as_str()
        ),
        (2, "o")
    );
}

#[test]
fn a_baseline_accepts_what_failed_and_nothing_new() {
    let old = assessment(vec![
        finding("s3-a", Status::Fail, "x"),
        finding("s3-a", Status::Pass, "y"),
        finding("s3-a", Status::Fail, "z"),
    ]);
    let baseline = Baseline::parse(&Baseline::of(&old).to_json()).unwrap();
    assert_eq!((&baseline, baseline.len()), (&Baseline::of(&old), 2));
    let mut new = assessment(vec![
        finding("s3-a", Status::Fail, "x"),
        finding("s3-a", Status::Fail, "y"),
        finding("s3-a", Status::Unknown, "z"),
    ]);
    assert_eq!(baseline.apply(&mut new), 1);
    let counting: Vec<&str> = new
        .findings
        .iter()
        .filter(|f| f.counts_as_failed())
        .map(|f| f.resource_id.as_str())
        .collect();
    assert_eq!(counting, ["y"]);
    assert_eq!(
        new.findings[0].muted.as_ref().unwrap().by,
        MutedBy::Baseline
    );
    assert!(new.findings[2].muted.is_none());
    let empty = Baseline::of(&assessment(vec![]));
    assert!(Baseline::parse(&empty.to_json()).unwrap().is_empty());
    assert!(Baseline::parse("{}").is_err());
    assert!(
        Baseline::parse(&empty.to_json().replace("baseline/1", "baseline/9"))
            .unwrap_err()
            .to_string()
            .contains("baseline/9")
    );
}

const MUTELIST: &str = r#"
Mutelist:
  Accounts:
    "123456789012":
      Checks:
        "bucket_public":
          Regions: ["eu-west-1"]
          Resources: ["web-.*", "^data$"]
          Description: "public on purpose"
        "nobody_knows":
          Regions: ["*"]
          Resources: ["*"]
        "bucket_logs":
          Regions: ["*"]
          Resources: ["a|b"]
    "*":
      Checks:
        "*":
          Regions: ["us-east-1"]
          Resources: ["*"]
          Tags: ["use=web.*", "team=core"]
        "bucket_keys":
          Regions: ["*"]
          Resources: ["*"]
          Exceptions:
            Accounts: ["999999999999"]
"#;

#[test]
fn a_mutelist_is_imported_or_said_to_be_left_out() {
    let checks = |id: &str| match id {
        "bucket_public" => vec!["s3-a".to_owned()],
        "bucket_logs" | "bucket_keys" => vec!["s3-b".to_owned()],
        _ => vec![],
    };
    let made = import(MUTELIST, "web team", "2026-12-31", checks).unwrap();
    assert_eq!(made.left_out.len(), 3, "{:?}", made.left_out);
    for part in ["nobody_knows", "a|b", "exceptions"] {
        assert!(
            made.left_out.iter().any(|l| l.contains(part)),
            "{part}: {:?}",
            made.left_out
        );
    }
    let text = made.mutes.to_toml();
    assert_eq!(Mutes::parse(&text).unwrap(), made.mutes, "{text}");
    assert!(
        text.contains("public on purpose") && text.contains("use=web*"),
        "{text}"
    );
    // `web-.*` is searched for anywhere, `^data$` is the whole name
    assert_eq!(
        muted(&made.mutes, &BTreeMap::new()),
        ["s3-a web-1", "s3-a data"]
    );
    assert!(import(MUTELIST, "", "2026-12-31", checks).is_err());
    assert!(import(MUTELIST, "o", "soon", checks).is_err());
    assert!(import("a: b", "o", "2026-12-31", checks).is_err());
    assert!(import(": [", "o", "2026-12-31", checks).is_err());
}
