//! Resources over time.
use super::common::*;
use crate::{Lifetime, lifetimes};
use palisade_store::Snapshot;
use serde_json::json;

async fn course(snapshots: &[Snapshot]) -> Vec<Lifetime> {
    lifetimes(snapshots, &*SHIPPED, None)
        .await
        .unwrap()
        .resources
}

/// Not listed is not gone; a snapshot of other tables in between says nothing; what comes back has returned.
#[tokio::test]
async fn only_what_was_looked_for_is_gone() {
    let store = memory();
    let both = tables(&buckets(&[json!({ "name": "a" }), json!({ "name": "b" })]));
    let one = tables(&buckets(&[json!({ "name": "a" })]));
    let mut refused = tables(&buckets(&[json!({ "name": "a" })]));
    gap(&mut refused, "s3_bucket", ACCOUNT, REGION);
    let other = tables(&json!({ "sqs_queue": [] }));
    let mut all = Vec::new();
    for (day, data) in [&both, &refused, &other, &one, &both]
        .into_iter()
        .enumerate()
    {
        all.push(commit(&store, day as u32 + 1, &[ACCOUNT], data, None).await);
    }
    let b = |all: &[Lifetime]| all.iter().find(|r| r.resource_id == "b").unwrap().clone();
    let found = b(&course(&all[..2]).await);
    assert!(found.present && found.unknown, "{found:?}");
    assert_eq!(found.last_seen, at(1));
    // the table was not collected then
    assert_eq!(b(&course(&all[..3]).await), found);
    let found = b(&course(&all[..4]).await);
    assert!(!found.present && !found.unknown, "{found:?}");
    assert_eq!((found.gone_at, found.last_changed), (Some(at(4)), at(4)));
    let found = b(&course(&all).await);
    assert!(found.present, "{found:?}");
    assert_eq!((found.returned, found.gone_at), (1, None));
    assert_eq!((found.first_seen, found.last_seen), (at(1), at(5)));
    let told = lifetimes(&all, &*SHIPPED, None).await.unwrap().events;
    let told: Vec<(&str, &str)> = told
        .iter()
        .map(|e| (e.what.as_str(), e.resource.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("first seen", "arn:aws:s3:::a"),
            ("first seen", "arn:aws:s3:::b"),
            ("removed", "arn:aws:s3:::b"),
            ("returned", "arn:aws:s3:::b"),
        ]
    );
}
