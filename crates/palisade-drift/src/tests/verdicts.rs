//! What becomes of findings.
use super::common::*;
use crate::{FindingKind, Keep, Standing, history, reopened};
use palisade_core::{Coverage, Finding, MutedBy, Muting, Severity, Status};
use palisade_store::{AccountResult, NewSnapshot};
use palisade_table::Dataset;
use serde_json::json;
use std::sync::Arc;

const CHECK: &str = "s3-bucket-good";

async fn pair(before: &[Finding], after: &[Finding]) -> Vec<(FindingKind, String)> {
    let store = memory();
    let data = tables(&buckets(&[json!({ "name": "a" })]));
    let b = commit(&store, 1, &[ACCOUNT], &data, Some((&[CHECK], before))).await;
    let a = commit(&store, 2, &[ACCOUNT], &data, Some((&[CHECK], after))).await;
    let diff = compared(&b, &a).await;
    let findings = diff.findings.into_iter();
    findings.map(|f| (f.kind, f.resource_id)).collect()
}

#[tokio::test]
async fn every_way_from_one_verdict_to_another() {
    use FindingKind as K;
    use Status::{Fail, Pass, Unknown};
    let one = |status: Option<Status>| -> Vec<Finding> {
        status.map(|s| finding(CHECK, "a", s)).into_iter().collect()
    };
    for (before, after, expected) in [
        (None, Some(Fail), Some(K::Opened)),
        (Some(Pass), Some(Fail), Some(K::Opened)),
        (Some(Fail), Some(Pass), Some(K::Fixed)),
        (Some(Fail), None, Some(K::Gone)),
        (Some(Fail), Some(Unknown), Some(K::BecameUnknown)),
        (Some(Pass), Some(Unknown), Some(K::BecameUnknown)),
        (None, Some(Unknown), Some(K::BecameUnknown)),
        (Some(Unknown), Some(Fail), Some(K::BecameReadable)),
        (Some(Unknown), Some(Pass), Some(K::BecameReadable)),
        (Some(Fail), Some(Fail), None),
        (Some(Unknown), Some(Unknown), None),
        (Some(Pass), None, None),
        (Some(Unknown), None, None),
    ] {
        let found = pair(&one(before), &one(after)).await;
        let expected: Vec<_> = expected.map(|k| (k, "a".to_owned())).into_iter().collect();
        assert_eq!(found, expected, "{before:?} → {after:?}");
    }
}

/// Where resources could not be listed, a finding that is not there is not gone, and one that is there is not new.
#[tokio::test]
async fn unlisted_is_not_gone() {
    let unlisted = finding(CHECK, "", Status::Unknown);
    let failed = finding(CHECK, "a", Status::Fail);
    let found = pair(
        std::slice::from_ref(&failed),
        std::slice::from_ref(&unlisted),
    )
    .await;
    assert!(
        found.contains(&(FindingKind::NotComparable, "a".to_owned())),
        "{found:?}"
    );
    assert!(!found.iter().any(|(k, _)| *k == FindingKind::Gone));
    let found = pair(&[unlisted], &[failed]).await;
    assert!(
        found.contains(&(FindingKind::NotComparable, "a".to_owned())),
        "{found:?}"
    );
}

#[tokio::test]
async fn messages_severities_and_mutes() {
    let failed = |message: &str| Finding {
        message: message.to_owned(),
        ..finding(CHECK, "a", Status::Fail)
    };
    let muted = Finding {
        muted: Some(Arc::new(Muting {
            by: MutedBy::Mute,
            reason: "known".to_owned(),
            owner: String::new(),
            expires: String::new(),
        })),
        ..failed("m")
    };
    let worse = Finding {
        severity: Severity::Critical,
        ..failed("m")
    };
    let kinds = |found: Vec<(FindingKind, String)>| -> Vec<FindingKind> {
        found.into_iter().map(|(k, _)| k).collect()
    };
    let age = (failed("used 90 days ago"), failed("used 91 days ago"));
    assert_eq!(kinds(pair(&[age.0], &[age.1]).await), []);
    let other = (failed("port 22 is open"), failed("port 23 is open"));
    assert_eq!(
        kinds(pair(&[other.0], &[other.1]).await),
        [FindingKind::Changed]
    );
    assert_eq!(
        kinds(pair(&[failed("m")], &[worse]).await),
        [FindingKind::Changed]
    );
    assert_eq!(
        kinds(pair(&[failed("m")], std::slice::from_ref(&muted)).await),
        [FindingKind::Muted]
    );
    assert_eq!(
        kinds(pair(&[muted], &[failed("m")]).await),
        [FindingKind::Unmuted]
    );
}

#[tokio::test]
async fn what_failed_earlier_is_opened_again() {
    let store = memory();
    let data = tables(&buckets(&[json!({ "name": "a" })]));
    let mut all = Vec::new();
    for (day, status) in [(1, Status::Fail), (2, Status::Pass), (3, Status::Fail)] {
        let findings = [finding(CHECK, "a", status)];
        all.push(commit(&store, day, &[ACCOUNT], &data, Some((&[CHECK], &findings))).await);
    }
    let mut diff = compared(&all[1], &all[2]).await;
    assert_eq!(diff.findings[0].kind, FindingKind::Opened);
    reopened(&mut diff, &all[..1]).await.unwrap();
    assert_eq!(diff.findings[0].kind, FindingKind::Reopened);
}

/// A check that one of the states was not judged by says nothing about change.
#[tokio::test]
async fn checks_of_one_state_are_said() {
    let store = memory();
    let data = tables(&buckets(&[]));
    let failed = [finding("new-check", "a", Status::Fail)];
    let before = commit(&store, 1, &[ACCOUNT], &data, Some((&[CHECK], &[]))).await;
    let after = commit(
        &store,
        2,
        &[ACCOUNT],
        &data,
        Some((&[CHECK, "new-check"], &failed)),
    )
    .await;
    let diff = compared(&before, &after).await;
    assert_eq!(diff.findings, []);
    assert_eq!(diff.not_compared[0].checks, ["new-check"]);
}

/// An account whose role could not be assumed this time is as it was, as far as anybody knows.
#[tokio::test]
async fn an_account_that_was_not_read_is_neither_fixed_nor_gone() {
    let store = memory();
    let data = tables(&buckets(&[json!({ "name": "a" })]));
    let failed = [finding(CHECK, "a", Status::Fail)];
    let before = commit(&store, 1, &[ACCOUNT], &data, Some((&[CHECK], &failed))).await;
    let writer = store.writer(NewSnapshot {
        nonce: "0000000b".to_owned(),
        started_at: at(2),
        palisade: "0.0.0".to_owned(),
        catalog: "test".to_owned(),
        regions: vec![REGION.to_owned()],
    });
    let coverage = Coverage {
        failures: vec![(denied("AssumeRole"), 1)],
        ..Coverage::default()
    };
    let nothing = AccountResult {
        account_id: ACCOUNT,
        dataset: &Dataset::default(),
        coverage: &coverage,
        findings: None,
    };
    writer.account(nothing).await.unwrap();
    let checks = [summary(CHECK)];
    let after = store.of(writer.commit(at(2), Some(&checks)).await.unwrap());
    assert!(after.accounts().is_empty());
    assert_eq!(after.everyone(), [ACCOUNT]);

    let diff = compared(&before, &after).await;
    assert!(
        diff.findings.is_empty() && diff.resources.is_empty(),
        "{diff:?}"
    );
    let said: Vec<_> = diff.not_compared.iter().map(|n| &*n.reason).collect();
    assert_eq!(said, ["the account was not read"]);

    let all = [before, after];
    let history = history(&store, &all, &*SHIPPED, Keep::Read).await.unwrap();
    let [only] = &history.findings[..] else {
        panic!("{history:?}")
    };
    assert!(only.standing == Standing::Open && only.unknown, "{only:?}");
    assert!(history.episodes.is_empty());
}
